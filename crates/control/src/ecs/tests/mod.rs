//! The API as clients see it: what is taken, what is refused in whose words, what is printed.

mod printed;
mod refused;
mod run;
mod settings;

use serde_json::{Value, json};

use crate::schedule::tests::world::World;

/// A request with members set anew; null takes one away.
fn with(base: &Value, path: &str, value: Value) -> Value {
    let mut changed = base.clone();
    match changed.pointer_mut(path) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = path.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[name] = value;
        }
    }
    changed
}

#[test]
fn what_a_container_definition_says_is_printed_again() {
    let world = World::new(false);
    let container = json!({
        "name": "app", "image": "127.0.0.1:4566/app:1", "cpu": 128, "memory": 256, "memoryReservation": 128,
        "essential": true,
        "portMappings": [{"containerPort": 53, "hostPort": 53, "protocol": "udp", "name": "dns", "appProtocol": "http"}],
        "entryPoint": ["/bin/sh", "-c"], "command": ["true"], "environment": [{"name": "A", "value": "b"}],
        "workingDirectory": "/srv", "user": "1000:1000", "readonlyRootFilesystem": true,
        "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}], "stopTimeout": 5,
        "restartPolicy": {"enabled": true, "ignoredExitCodes": [0, 143], "restartAttemptPeriod": 180},
        "startTimeout": 60, "dependsOn": [{"containerName": "aside", "condition": "HEALTHY"}],
        "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 10},
        "linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}, "initProcessEnabled": true,
            "tmpfs": [{"containerPath": "/run", "size": 64, "mountOptions": ["noexec"]}]},
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": true}],
        "volumesFrom": [{"sourceContainer": "aside", "readOnly": true}],
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "1024"}],
        "dockerLabels": {"a": "b"},
        "secrets": [{"name": "B", "valueFrom": "/app/b"}],
        "privileged": false, "interactive": true, "pseudoTerminal": true, "disableNetworking": false,
        "versionConsistency": "disabled",
    });
    let aside = json!({
        "name": "aside", "image": "nginx", "cpu": 0, "essential": false, "portMappings": [], "environment": [],
        "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 5, "timeout": 2, "retries": 1},
        "linuxParameters": {"capabilities": {"drop": ["NET_RAW"]}, "tmpfs": []}, "dockerLabels": {},
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/in"}], "volumesFrom": [], "systemControls": [],
        "restartPolicy": {"enabled": true}, "interactive": false, "pseudoTerminal": false,
    });
    let request = with(&world.definition(""), "/containerDefinitions", json!([container, aside]));
    let request = with(&request, "/tags", json!([{"key": "team", "value": "a"}]));
    let request = with(&request, "/volumes", json!([{"name": "data"}]));
    let request = with(&request, "/ephemeralStorage", json!({"sizeInGiB": 30}));
    let request = with(&request, "/pidMode", json!("task"));
    let made = world.json("RegisterTaskDefinition", &request);
    assert_eq!(made["taskDefinition"]["containerDefinitions"], json!([container, aside]));
    assert_eq!(made["taskDefinition"]["volumes"], json!([{"name": "data", "host": {}}]));
    assert_eq!(made["taskDefinition"]["ephemeralStorage"], json!({"sizeInGiB": 30}));
    assert_eq!(made["taskDefinition"]["pidMode"], "task");
    assert_eq!(made["tags"], json!([{"key": "team", "value": "a"}]));
    // The empty members that Terraform's SDK may send say nothing.
    let empty = json!({
        "name": "app", "image": "nginx", "dnsServers": [], "dependsOn": [], "secrets": null, "links": [],
        "dockerLabels": {}, "environmentFiles": [], "extraHosts": [], "resourceRequirements": [],
        "credentialSpecs": [], "dockerSecurityOptions": [], "dnsSearchDomains": [], "linuxParameters": {},
    });
    let request = with(&world.definition(""), "/containerDefinitions", json!([empty]));
    world.json("RegisterTaskDefinition", &request);
}

#[test]
fn revisions_are_numbered_and_never_used_twice() {
    let world = World::new(false);
    let number = |answer: &Value| answer["taskDefinition"]["revision"].as_u64().unwrap();
    assert_eq!(number(&world.register("127.0.0.1:4566/app:2")), 2);
    let gone = world.json("DeregisterTaskDefinition", &json!({"taskDefinition": "app:2"}));
    assert_eq!(gone["taskDefinition"]["status"], "INACTIVE");
    let newest = world.json("DescribeTaskDefinition", &json!({"taskDefinition": "app"}));
    assert_eq!(number(&newest), 1);
    assert_eq!(number(&world.register("127.0.0.1:4566/app:3")), 3);
    let arns = |request: &Value| {
        let listed = world.json("ListTaskDefinitions", request);
        let last = |arn: &Value| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        listed["taskDefinitionArns"].as_array().unwrap().iter().map(last).collect::<Vec<_>>()
    };
    assert_eq!(arns(&json!({})), ["app:1", "app:3"]);
    assert_eq!(arns(&json!({"sort": "DESC", "familyPrefix": "app"})), ["app:3", "app:1"]);
    assert_eq!(arns(&json!({"status": "INACTIVE"})), ["app:2"]);
    assert!(arns(&json!({"familyPrefix": "ap"})).is_empty());
    let first = world.json("ListTaskDefinitions", &json!({"maxResults": 1}));
    assert_eq!(arns(&json!({"maxResults": 1, "nextToken": first["nextToken"]})), ["app:3"]);
    let families =
        world.json("ListTaskDefinitionFamilies", &json!({"familyPrefix": "a", "status": "ACTIVE"}));
    assert_eq!(families["families"], json!(["app"]));
    let (code, message) =
        world.refused("CreateService", &with(&world.service(1, false), "/taskDefinition", json!("app:2")));
    assert_eq!((&*code, &*message), ("ClientException", "TaskDefinition is inactive"));
}

#[test]
fn a_deleted_revision_goes_once_nothing_has_it_and_its_number_never_comes_back() {
    let world = World::new(false);
    let named = |answer: &Value, list: &str| {
        let name = |item: &Value| {
            let arn = item["taskDefinitionArn"].as_str().or(item["arn"].as_str()).unwrap();
            arn.rsplit('/').next().unwrap().to_owned()
        };
        answer[list].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    world.register("127.0.0.1:4566/app:2");
    let delete =
        |revisions: &[&str]| world.json("DeleteTaskDefinitions", &json!({"taskDefinitions": revisions}));
    let refused = delete(&["app:2", "app:9"]);
    assert_eq!(named(&refused, "failures"), ["app:2", "app:9"]);
    world.json("CreateService", &world.service(1, false));
    for revision in ["app:1", "app:2"] {
        world.json("DeregisterTaskDefinition", &json!({"taskDefinition": revision}));
    }
    assert_eq!(named(&delete(&["app:1", "app:2"]), "taskDefinitions"), ["app:1", "app:2"]);
    world.play();
    let listed = world.json("ListTaskDefinitions", &json!({"status": "DELETE_IN_PROGRESS"}));
    // The service has the second one; the first one went.
    assert_eq!(listed["taskDefinitionArns"].as_array().unwrap().len(), 1, "{listed}");
    world.json("DeleteService", &json!({"cluster": "c", "service": "app", "force": true}));
    world.play();
    let next = world.register("127.0.0.1:4566/app:3");
    assert_eq!(next["taskDefinition"]["revision"], 3);
    let (code, _) = world.refused("DeleteTaskDefinitions", &json!({"taskDefinitions": ["app"]}));
    assert_eq!(code, "ClientException");
}

#[test]
fn a_cluster_ends_when_nothing_is_in_it() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    world.json("DeleteService", &json!({"cluster": "c", "service": "app", "force": true}));
    let (code, _) = world.refused("DeleteCluster", &json!({"cluster": "c"}));
    assert_eq!(code, "ClusterContainsServicesException");
    world.play();
    let gone = world.json("DeleteCluster", &json!({"cluster": "c"}));
    assert_eq!(gone["cluster"]["status"], "INACTIVE");
    assert_eq!(world.json("ListClusters", &json!({}))["clusterArns"], json!([]));
    let (code, message) = world.refused("CreateService", &world.service(1, false));
    assert_eq!((&*code, &*message), ("ClusterNotFoundException", "The referenced cluster was inactive."));
    let unknown = world.json("DescribeClusters", &json!({"clusters": ["d"]}));
    assert_eq!(unknown["failures"][0]["reason"], "MISSING");
    assert_eq!(unknown["failures"][0]["arn"], "arn:aws:ecs:ap-northeast-2:000000000001:cluster/d");
}

#[test]
fn tags_are_put_and_taken_on_every_resource() {
    let world = World::new(false);
    let made =
        world.json("CreateService", &with(&world.service(1, false), "/propagateTags", json!("SERVICE")));
    let service = made["service"]["serviceArn"].as_str().unwrap().to_owned();
    world.json("TagResource", &json!({"resourceArn": service, "tags": [{"key": "team", "value": "a"}]}));
    world.play();
    let task = world.json("ListTasks", &json!({"cluster": "c"}))["taskArns"][0].as_str().unwrap().to_owned();
    for arn in [
        &*service,
        &*task,
        "arn:aws:ecs:ap-northeast-2:000000000001:cluster/c",
        "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1",
    ] {
        let add =
            json!({"resourceArn": arn, "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]});
        world.json("TagResource", &add);
        world.json("UntagResource", &json!({"resourceArn": arn, "tagKeys": ["a"]}));
        let tags = world.json("ListTagsForResource", &json!({"resourceArn": arn}))["tags"].to_string();
        assert!(tags.contains(r#"{"key":"b","value":"2"}"#) && !tags.contains(r#""a","#), "{arn}: {tags}");
        // The task has its service's tag from its start.
        assert_eq!(tags.contains("team"), arn == service || arn == task, "{arn}: {tags}");
    }
    let (code, _) = world.refused(
        "ListTagsForResource",
        &json!({"resourceArn": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/d"}),
    );
    assert_eq!(code, "ClusterNotFoundException");
}

#[test]
fn tasks_are_listed_by_what_they_belong_to() {
    let world = World::new(false);
    world.json("CreateService", &world.service(3, false));
    world.play();
    let count = |filter: Value| {
        let mut request = filter;
        request["cluster"] = json!("c");
        world.json("ListTasks", &request)["taskArns"].as_array().unwrap().len()
    };
    let deployment = world.service_row().deployments[0].id.clone();
    for (filter, expected) in [
        (json!({}), 3),
        (json!({"family": "app"}), 3),
        (json!({"family": "ap"}), 0),
        (json!({"serviceName": "app"}), 3),
        (json!({"startedBy": deployment}), 3),
        (json!({"startedBy": "me"}), 0),
        (json!({"desiredStatus": "STOPPED"}), 0),
        (json!({"desiredStatus": "PENDING"}), 0),
        (json!({"launchType": "EC2"}), 0),
        (json!({"maxResults": 2}), 2),
    ] {
        assert_eq!(count(filter.clone()), expected, "{filter}");
    }
}
