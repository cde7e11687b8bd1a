//! Deployment alarms over the API.

use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};

use super::world::World;
use crate::Service;

const ALARM: &str = "AlarmName=high&Namespace=Test&MetricName=Load&Statistic=Average&Period=60&EvaluationPeriods=1\
                     &Threshold=50&ComparisonOperator=GreaterThanThreshold";

/// A service of two tasks that an alarm watches, with its first deployment complete.
fn watched(rollback: bool) -> World {
    let mut world = World::new(false);
    world.fixture.ok(Service::CloudWatch, "PutMetricAlarm", ALARM);
    let mut request = world.service(2, false);
    let alarms = json!({"alarmNames": ["high", "none"], "enable": true, "rollback": rollback});
    request["deploymentConfiguration"] = json!({ "alarms": alarms });
    let made = world.json("CreateService", &request);
    assert_eq!(made["service"]["deploymentConfiguration"]["alarms"], alarms);
    bake(&mut world);
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED");
    world
}

/// Lets the tasks come and go, and two minutes pass: the alarm's period, and the one that had begun.
fn bake(world: &mut World) {
    world.play();
    assert_eq!(primary(world)["rolloutState"], "IN_PROGRESS", "it bakes");
    let wait = world.settle().unwrap().since(world.now());
    assert!(wait <= Duration::from_secs(120) && wait > Duration::from_secs(100), "{wait:?}");
    world.pass(Duration::from_secs(120));
    world.play();
}

fn set(world: &World, state: &str) {
    let body = format!("AlarmName=high&StateValue={state}&StateReason=test");
    world.fixture.ok(Service::CloudWatch, "SetAlarmState", &body);
}

fn service(world: &World) -> Value {
    world.json("DescribeServices", &json!({"cluster": "c", "services": ["app"]}))["services"][0].clone()
}

fn primary(world: &World) -> Value {
    service(world)["deployments"][0].clone()
}

fn record(world: &World) -> Value {
    let listed = world.json("ListServiceDeployments", &json!({"cluster": "c", "service": "app"}));
    let arn = &listed["serviceDeployments"][0]["serviceDeploymentArn"];
    let found = world.json("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [arn]}));
    found["serviceDeployments"][0].clone()
}

fn redeploy(world: &World) {
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "forceNewDeployment": true}));
}

#[test]
fn an_alarm_takes_a_deployment_back_while_it_bakes() {
    let mut world = watched(true);
    let good = primary(&world)["id"].clone();
    redeploy(&world);
    world.play();
    assert_eq!(record(&world)["alarms"]["status"], "MONITORING");
    assert_eq!(world.tasks().len(), 2, "the old ones went");
    let from = world.events().len();
    set(&world, "ALARM");
    world.settle();
    let back = primary(&world);
    assert_eq!((&back["id"], &back["rolloutState"]), (&good, &json!("IN_PROGRESS")));
    let id = good.as_str().unwrap();
    assert_eq!(
        back["rolloutStateReason"],
        format!("ECS deployment alarm: rolling back to deploymentId {id}.")
    );
    // The alarm was there when it began: it does not bake.
    world.play();
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED");
    expect![[r#"
        (service app) (deployment ecs-svc/N) deployment failed: alarm detected.
        (service app) rolling back to deployment ecs-svc/N."#]]
    .assert_eq(&world.events()[from..from + 2].join("\n"));
    let record = record(&world);
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        record["statusReason"],
        "Service deployment rolled back because the alarm was detected: high."
    );
    let told =
        json!({"status": "TRIGGERED", "alarmNames": ["high", "none"], "triggeredAlarmNames": ["high"]});
    assert_eq!(record["alarms"], told);

    // One that begins while the alarm is there is not watched.
    redeploy(&world);
    world.play();
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED");
    set(&world, "OK");
    redeploy(&world);
    bake(&mut world);
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED");
    // After the bake time it says nothing any more.
    set(&world, "ALARM");
    world.play();
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED");
}

#[test]
fn without_rollback_a_deployment_that_an_alarm_gave_up_stays_failed() {
    let world = watched(false);
    redeploy(&world);
    world.play();
    set(&world, "ALARM");
    world.play();
    let failed = primary(&world);
    assert_eq!(
        (&failed["rolloutState"], &failed["rolloutStateReason"]),
        (&json!("FAILED"), &json!("ECS deployment alarm: alarm detected."))
    );
    assert_eq!(record(&world)["status"], "STOPPED");
    assert_eq!(world.tasks().len(), 2);
}

#[test]
fn alarms_are_kept_by_an_update_that_does_not_name_them_and_taken_away_by_one_that_turns_all_off() {
    let world = watched(true);
    let update = |configuration: Value| {
        let request = json!({"cluster": "c", "service": "app", "deploymentConfiguration": configuration});
        world.json("UpdateService", &request)["service"]["deploymentConfiguration"]["alarms"].clone()
    };
    assert_eq!(update(json!({"maximumPercent": 150}))["alarmNames"], json!(["high", "none"]));
    let off = json!({"alarmNames": ["high"], "enable": false, "rollback": true});
    assert_eq!(update(json!({ "alarms": off })), off);
    redeploy(&world);
    assert_eq!(record(&world)["alarms"]["status"], "DISABLED");
    world.play();
    assert_eq!(primary(&world)["rolloutState"], "COMPLETED", "nothing is watched");
    let none = json!({"alarmNames": [], "enable": false, "rollback": false});
    assert_eq!(update(json!({ "alarms": none })), Value::Null);
}
