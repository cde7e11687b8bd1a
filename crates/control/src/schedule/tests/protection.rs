//! Task protection over the API.

use std::time::Duration;

use desired::TaskPhase;
use serde_json::{Value, json};
use types::{TaskId, Timestamp};

use super::world::World;

fn protect(world: &World, tasks: &[&TaskId], minutes: Option<i64>) -> Value {
    let mut request = json!({"cluster": "c", "tasks": tasks, "protectionEnabled": true});
    if let Some(minutes) = minutes {
        request["expiresInMinutes"] = json!(minutes);
    }
    world.json("UpdateTaskProtection", &request)
}

fn release(world: &World, task: &TaskId) -> Value {
    let request = json!({"cluster": "c", "tasks": [task], "protectionEnabled": false});
    world.json("UpdateTaskProtection", &request)
}

fn update(world: &World, change: &Value) {
    let mut request = json!({"cluster": "c", "service": "app"});
    for (name, value) in change.as_object().unwrap() {
        request[name] = value.clone();
    }
    world.json("UpdateService", &request);
}

/// What was said of protected tasks last, with the deployment's number taken out.
fn said(world: &World) -> String {
    let events = world.events();
    let event = events.iter().rfind(|event| event.contains("under protection")).unwrap();
    let plain = |word| if str::contains(word, "ecs-svc/") { "ecs-svc/N)" } else { word };
    event.split(' ').map(plain).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_protected_task_outlives_scaling_in_until_its_protection_expires() {
    let mut world = World::new(false);
    world.json("CreateService", &world.service(2, false));
    world.play();
    let [first, second] = &*world.tasks() else { panic!("two tasks") };
    let told = protect(&world, &[&first.id, &second.id], Some(10));
    // The API takes the wall clock's time, the scheduler the test's.
    let until = world.task(&first.id).protected_until.unwrap();
    let minutes = until.since(Timestamp::now()).as_secs().div_ceil(60);
    assert_eq!(minutes, 10);
    let expiration = until.epoch_seconds();
    let protected = json!({"taskArn": first.arn(), "protectionEnabled": true, "expirationDate": expiration});
    assert_eq!((&told["protectedTasks"][0], &told["failures"]), (&protected, &json!([])));
    release(&world, &second.id);
    let get = json!({"cluster": "c", "tasks": [first.arn(), second.id]});
    let told = world.json("GetTaskProtection", &get);
    let free = json!({"taskArn": second.arn(), "protectionEnabled": false});
    assert_eq!(told["protectedTasks"], json!([protected, free]));

    update(&world, &json!({"desiredCount": 0}));
    world.play();
    let [left] = &*world.tasks() else { panic!("one task") };
    assert_eq!(left.id, first.id, "the other one ended");
    assert_eq!(
        said(&world),
        "(service app, taskSet ecs-svc/N) was unable to scale in due to (reason 1 tasks under protection)"
    );
    // More protected tasks than desired ones are not to be: the time cannot be extended.
    let blocked = protect(&world, &[&first.id], None);
    assert_eq!(blocked["failures"], json!([{"arn": first.arn(), "reason": "DEPLOYMENT_BLOCKED"}]));
    let events = world.events().len();
    world.pass(Duration::from_secs(300));
    world.settle();
    assert_eq!(world.events().len(), events, "it is said once");
    world.pass(until.since(world.now()));
    world.play();
    assert!(world.tasks().is_empty());
    assert!(world.service_row().held_back.is_empty());
}

#[test]
fn a_deployment_waits_until_protection_is_taken_away() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    let [old] = &*world.tasks() else { panic!("one task") };
    protect(&world, &[&old.id], None);
    update(&world, &json!({"forceNewDeployment": true}));
    world.play();
    assert_eq!(world.tasks().len(), 2, "the new one serves beside it");
    assert_eq!(
        said(&world),
        "(service app) was unable to reach steady state because (taskSet ecs-svc/N) was unable to scale in due to \
         (reason 1 tasks under protection)"
    );
    let state = |world: &World| {
        let described = world.json("DescribeServices", &json!({"cluster": "c", "services": ["app"]}));
        described["services"][0]["deployments"][0]["rolloutState"].clone()
    };
    assert_eq!(state(&world), "IN_PROGRESS");
    release(&world, &old.id);
    world.play();
    assert_eq!(state(&world), "COMPLETED");
    let [new] = &*world.tasks() else { panic!("one task") };
    assert_ne!(new.id, old.id);
}

#[test]
fn stop_task_and_the_end_of_a_service_do_not_ask_about_protection() {
    let world = World::new(false);
    world.json("CreateService", &world.service(2, false));
    world.play();
    let [first, second] = &*world.tasks() else { panic!("two tasks") };
    protect(&world, &[&first.id, &second.id], Some(2880));
    world.json("StopTask", &json!({"cluster": "c", "task": first.id}));
    world.reach(&first.id, TaskPhase::Stopped);
    assert!(world.tasks().iter().all(|task| task.id != first.id));
    let told = world.json("GetTaskProtection", &json!({"cluster": "c", "tasks": [first.id]}));
    assert_eq!(told["failures"], json!([{"arn": first.arn(), "reason": "TASK_NOT_VALID"}]));
    world.json("DeleteService", &json!({"cluster": "c", "service": "app", "force": true}));
    world.play();
    assert!(world.tasks().is_empty());
}
