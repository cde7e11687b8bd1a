//! Settings of clusters and accounts.

use serde_json::json;

use crate::ecs::task::Task;
use crate::schedule::tests::world::World;

#[test]
fn an_account_s_settings_hold_for_all_until_somebody_has_their_own() {
    let world = World::new(false);
    let put = |name: &str, value: &str| json!({"name": name, "value": value});
    let listed =
        world.json("ListAccountSettings", &json!({"effectiveSettings": true, "name": "taskLongArnFormat"}));
    assert_eq!(listed["settings"][0]["value"], "enabled");
    assert_eq!(world.json("ListAccountSettings", &json!({}))["settings"], json!([]));
    world.json("PutAccountSettingDefault", &put("containerInsights", "enhanced"));
    let made = world.json("CreateCluster", &json!({"clusterName": "insights"}));
    assert_eq!(made["cluster"]["settings"], json!([{"name": "containerInsights", "value": "enhanced"}]));
    let own = json!({"name": "containerInsights", "value": "disabled",
        "principalArn": "arn:aws:iam::000000000001:role/exec"});
    assert_eq!(world.json("PutAccountSetting", &own)["setting"]["principalArn"], own["principalArn"]);
    let ask =
        json!({"name": "containerInsights", "effectiveSettings": true, "principalArn": own["principalArn"]});
    assert_eq!(world.json("ListAccountSettings", &ask)["settings"][0]["value"], "disabled");
    let delete = json!({"name": "containerInsights", "principalArn": own["principalArn"]});
    assert_eq!(world.json("DeleteAccountSetting", &delete)["setting"]["value"], "enhanced");
    let all = world.json("ListAccountSettings", &json!({"effectiveSettings": true, "maxResults": 3}));
    assert_eq!(all["settings"].as_array().unwrap().len(), 3);
    assert!(all["nextToken"].is_string());
    // What would have to change what happens here is refused.
    let (code, words) = world.refused("PutAccountSetting", &put("fargateFIPSMode", "enabled"));
    assert_eq!(code, "InvalidParameterException");
    assert!(words.contains("fargateFIPSMode"), "{words}");
}

#[test]
fn a_task_s_log_driver_has_the_mode_that_was_set_when_it_was_made() {
    let world = World::new(false);
    let put = |value: &str| {
        world.json("PutAccountSettingDefault", &json!({"name": "defaultLogDriverMode", "value": value}));
    };
    put("blocking");
    world.json("CreateService", &world.service(1, false));
    world.settle();
    put("non-blocking");
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "desiredCount": 2}));
    world.settle();
    let rows = world.fixture.api.store.snapshot();
    let mut blocks: Vec<bool> = rows.scan::<Task>("").map(|task| task.blocks_on_logs).collect();
    blocks.sort_unstable();
    assert_eq!(blocks, [false, true]);
    let wrong = json!({"name": "defaultLogDriverMode", "value": "sometimes"});
    assert_eq!(world.refused("PutAccountSettingDefault", &wrong).0, "InvalidParameterException");
}

#[test]
fn a_cluster_s_settings_are_changed() {
    let world = World::new(false);
    let settings = |value: &str| json!([{"name": "containerInsights", "value": value}]);
    let changed =
        world.json("UpdateClusterSettings", &json!({"cluster": "c", "settings": settings("enabled")}));
    assert_eq!(changed["cluster"]["settings"], settings("enabled"));
    let changed = world.json("UpdateCluster", &json!({"cluster": "c", "settings": settings("disabled")}));
    assert_eq!(changed["cluster"]["settings"], settings("disabled"));
    let wrong = json!({"cluster": "c", "settings": settings("on")});
    assert_eq!(world.refused("UpdateClusterSettings", &wrong).0, "InvalidParameterException");
    let listed = world.json("DescribeCapacityProviders", &json!({}));
    assert_eq!(listed["capacityProviders"].as_array().unwrap().len(), 2);
    let of = json!({"cluster": "c", "capacityProviders": ["FARGATE", "mine"]});
    assert_eq!(world.json("DescribeCapacityProviders", &of)["failures"].as_array().unwrap().len(), 2);
}
