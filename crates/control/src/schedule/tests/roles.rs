//! The sessions of tasks' roles, by a clock of the test's own.

use std::time::Duration;

use desired::TaskPhase;
use serde_json::json;

use super::world::{TRUST, World};
use crate::ecs::task::{LastStatus, Task};
use crate::{Service, SessionKey, project};

const HOUR: Duration = Duration::from_secs(3600);

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A service of one task with a task role `app`, besides its execution role; the task runs.
fn world() -> World {
    let world = World::new(false);
    let body = format!("RoleName=app&AssumeRolePolicyDocument={}", encoded(TRUST));
    world.fixture.ok(Service::Iam, "CreateRole", &body);
    let mut definition = world.definition("127.0.0.1:4566/app:1");
    definition["taskRoleArn"] = json!("arn:aws:iam::000000000001:role/app");
    let printed = world.json("RegisterTaskDefinition", &definition);
    assert_eq!(printed["taskDefinition"]["taskRoleArn"], "arn:aws:iam::000000000001:role/app");
    world.json("CreateService", &world.service(1, false));
    world.play();
    world
}

fn task(world: &World) -> Task {
    let tasks = world.tasks();
    let [task] = &*tasks else { panic!("one task: {tasks:?}") };
    (**task).clone()
}

#[test]
fn what_a_task_is_given_is_valid_for_an_hour_ahead_at_any_time_and_stays_so_until_it_ends() {
    let mut world = world();
    let first = task(&world);
    let start = world.now();
    let mut given = Vec::new();
    for _ in 0..30 {
        world.settle();
        let part = project::task::project(&world.rows(), &world.fixture.api.settings, &first.id).unwrap();
        let role = part.role.unwrap();
        assert!(role.expires_at.since(world.now()) >= HOUR, "{:?}", role.expires_at.since(world.now()));
        let key = world.rows().get::<SessionKey>(&role.access_key_id).unwrap();
        assert_eq!((key.role.as_str(), key.session.as_str()), ("app", first.id.as_str()));
        let pull = world.rows().get::<SessionKey>(&part.pull.access_key_id).unwrap();
        assert!(pull.role == "exec" && pull.expires_at.since(world.now()) >= HOUR);
        given.push((role.access_key_id.clone(), role.expires_at, role.id));
        world.pass(HOUR / 2);
    }
    given.dedup();
    // 15 hours, a new pair every three; the path at which it is found is the same.
    assert_eq!(given.len(), 5, "{given:?}");
    assert!(given.iter().all(|(_, _, id)| *id == given[0].2));
    for (key, expires, _) in &given {
        assert!(world.rows().get::<SessionKey>(key).is_some_and(|known| known.expires_at == *expires));
    }
    let now = task(&world);
    assert_eq!((now.version, now.last_status), (first.version, LastStatus::Running));
    assert!(world.now().since(start) >= 15 * HOUR);
    world.reach(&first.id, TaskPhase::Stopped);
    assert!(world.task(&first.id).role.is_none());
    let last = &given.last().unwrap().0;
    assert!(world.rows().get::<SessionKey>(last).is_none(), "it ends with the task");
}

#[test]
fn the_schedule_asks_to_be_called_when_a_pair_is_due() {
    let world = world();
    let task = task(&world);
    let wake = world.settle().unwrap();
    assert!(wake <= task.role.unwrap().expires_at && wake.since(world.now()) <= 3 * HOUR);
}

#[test]
fn a_role_that_is_gone_keeps_its_last_session_and_is_tried_again() {
    let mut world = world();
    let before = task(&world);
    world.fixture.ok(Service::Iam, "DeleteRole", "RoleName=app");
    world.pass(4 * HOUR);
    let wake = world.settle().unwrap();
    assert_eq!(task(&world).role, before.role);
    assert_ne!(task(&world).pull, before.pull);
    assert!(wake.since(world.now()) <= Duration::from_secs(60));
    let body = format!("RoleName=app&AssumeRolePolicyDocument={}", encoded(TRUST));
    world.fixture.ok(Service::Iam, "CreateRole", &body);
    world.pass(Duration::from_secs(60));
    world.settle();
    assert_ne!(task(&world).role, before.role);
}

#[test]
fn a_task_role_that_does_not_trust_tasks_keeps_the_task_from_being_made() {
    let world = World::new(false);
    let trust = TRUST.replace("ecs-tasks", "ec2");
    let body = format!("RoleName=app&AssumeRolePolicyDocument={}", encoded(&trust));
    world.fixture.ok(Service::Iam, "CreateRole", &body);
    let mut definition = world.definition("127.0.0.1:4566/app:1");
    definition["taskRoleArn"] = json!("arn:aws:iam::000000000001:role/app");
    world.json("RegisterTaskDefinition", &definition);
    world.json("CreateService", &world.service(1, false));
    world.settle();
    assert!(world.tasks().is_empty());
    let events = world.events();
    assert!(
        events
            .iter()
            .any(|event| event.contains("unable to assume the role 'arn:aws:iam::000000000001:role/app'")),
        "{events:?}"
    );
    assert_eq!(world.rows().scan::<SessionKey>("").count(), 0, "nothing is left of it");
}

#[test]
fn each_container_has_an_endpoint_of_its_own() {
    let world = world();
    let task = task(&world);
    let endpoint = &task.containers[0].endpoint;
    let (hex, number) = endpoint.split_once('-').unwrap();
    assert_eq!((hex.len(), number.len()), (32, 10));
    let part = project::task::project(&world.rows(), &world.fixture.api.settings, &task.id).unwrap();
    assert_eq!(part.containers[0].endpoint, *endpoint);
    assert_eq!(part.containers[0].arn, task.container_arn(&task.containers[0]));
    assert_eq!(part.metadata.address, Some(task.interface.address));
    assert!(["10.194.100.0/24", "10.194.101.0/24"].contains(&part.metadata.subnet_cidr.as_str()));
    assert_eq!((part.metadata.family.as_str(), part.metadata.service.as_str()), ("app", "app"));
}
