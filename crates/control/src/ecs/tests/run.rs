//! RunTask: overrides, and what a task's containers find of themselves.

use desired::{ContainerHealth, ContainerHealthStatus, TaskPhase};
use serde_json::{Value, json};

use super::with;
use crate::schedule::tests::world::World;

fn request(world: &World) -> Value {
    json!({
        "cluster": "c", "taskDefinition": "app", "launchType": "FARGATE",
        "networkConfiguration": world.service(1, false)["networkConfiguration"],
    })
}

#[test]
fn overrides_take_the_task_definition_s_place_for_one_task() {
    let world = World::new(false);
    let container = json!({
        "name": "app", "image": "nginx", "command": ["a"],
        "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
    });
    let definition = with(&world.definition(""), "/containerDefinitions", json!([container]));
    world.json("RegisterTaskDefinition", &definition);
    let overrides = json!({
        "cpu": "0.5 vCPU", "memory": "1 GB", "ephemeralStorage": {"sizeInGiB": 30}, "taskRoleArn": world.role,
        "containerOverrides": [{
            "name": "app", "command": ["b", "c"], "cpu": 100, "memory": 600, "memoryReservation": 500,
            "environment": [{"name": "B", "value": "2"}],
        }],
    });
    let started = world.json("RunTask", &with(&request(&world), "/overrides", overrides.clone()));
    let mut printed = overrides;
    printed["inferenceAcceleratorOverrides"] = json!([]);
    let task = &started["tasks"][0];
    assert_eq!(task["overrides"], printed);
    assert_eq!((&task["cpu"], &task["memory"]), (&json!("512"), &json!("1024")));
    assert_eq!(task["ephemeralStorage"]["sizeInGiB"], 30);
    let printed = &task["containers"][0];
    assert_eq!((&printed["memory"], &printed["memoryReservation"]), (&json!("600"), &json!("500")));
    let row = world.tasks()[0].clone();
    let wanted = crate::project::task::project(&world.rows(), &world.fixture.api.settings, &row.id).unwrap();
    assert_eq!((wanted.cpu, wanted.memory, wanted.ephemeral_storage), (512, 1024, 30));
    assert_eq!(wanted.role.unwrap().role_arn, world.role);
    let app = &wanted.containers[0];
    assert_eq!(app.command, Some(vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!((app.cpu, app.memory, app.memory_reservation), (100, Some(600), Some(500)));
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    assert_eq!(app.environment, [("A", "1"), ("B", "2")].map(pair).into());
    // Another task is made as the task definition says, and names its container all the same.
    let plain = world.json("RunTask", &request(&world));
    let names_only = json!({"containerOverrides": [{"name": "app"}], "inferenceAcceleratorOverrides": []});
    assert_eq!((&plain["tasks"][0]["cpu"], &plain["tasks"][0]["overrides"]), (&json!("256"), &names_only));
}

#[test]
fn overrides_that_cannot_be_are_refused() {
    let world = World::new(false);
    let long = "x".repeat(8200);
    for (overrides, code, words) in [
        (
            json!({"containerOverrides": [{"name": "b"}]}),
            "InvalidParameterException",
            "Override for container named b is not a container in the TaskDefinition.",
        ),
        (
            json!({"containerOverrides": [{"name": "app", "command": [long]}]}),
            "InvalidParameterException",
            "Container Overrides length must be at most 8192",
        ),
        (json!({"cpu": "300"}), "ClientException", "Invalid 'cpu' setting for task."),
        (json!({"memory": "4 GB"}), "ClientException", "No Fargate configuration exists for given values"),
        (
            json!({"containerOverrides": [{"name": "app", "memory": 513}]}),
            "ClientException",
            "The 'memory' setting for container 'app' is greater than for the task.",
        ),
        (
            json!({"containerOverrides": [{"name": "app", "cpu": 257}]}),
            "ClientException",
            "The containers' CPU",
        ),
        (json!({"taskRoleArn": "x"}), "ClientException", "Role is not valid"),
        (json!({"ephemeralStorage": {"sizeInGiB": 1}}), "ClientException", "Ephemeral storage size"),
        (
            json!({"containerOverrides": [{"name": "app", "environmentFiles": [{"type": "s3"}]}]}),
            "UnsupportedOperation",
            "Landfall does not support environmentFiles",
        ),
    ] {
        let (found, message) = world.refused("RunTask", &with(&request(&world), "/overrides", overrides));
        assert!(found == code && message.starts_with(words), "{found}: {message}");
    }
    for (member, value, words) in [
        ("group", json!("service:app"), "Invalid namespace for group."),
        (
            "enableExecuteCommand",
            json!(true),
            "Landfall does not support enableExecuteCommand: `landfall shell",
        ),
        ("referenceId", json!("x".repeat(1025)), "referenceId must have at most"),
    ] {
        let (_, message) = world.refused("RunTask", &with(&request(&world), &format!("/{member}"), value));
        assert!(message.starts_with(words), "{member}: {message}");
    }
}

#[test]
fn a_variable_that_is_a_secret_cannot_be_overridden() {
    let world = World::new(false);
    let container = json!({
        "name": "app", "image": "nginx", "secrets": [{"name": "PASSWORD", "valueFrom": "/app/password"}],
    });
    let definition = with(&world.definition(""), "/containerDefinitions", json!([container]));
    world.json("RegisterTaskDefinition", &definition);
    let overridden = |name: &str| {
        let environment = json!([{"name": name, "value": "plain"}]);
        let overrides = json!({"containerOverrides": [{"name": "app", "environment": environment}]});
        with(&request(&world), "/overrides", overrides)
    };
    let (code, message) = world.refused("RunTask", &overridden("PASSWORD"));
    assert_eq!(code, "ClientException");
    assert_eq!(
        message,
        "The secret name must be unique and not shared with any new or existing environment variables set on the container, \
         such as 'PASSWORD'."
    );
    assert!(world.tasks().is_empty());
    world.json("RunTask", &overridden("USER"));
}

#[test]
fn a_task_is_as_healthy_as_its_essential_containers() {
    let world = World::new(false);
    let check = json!({"command": ["CMD", "true"]});
    let container = |name: &str, essential: bool, check: &Value| json!({"name": name, "image": "nginx", "essential": essential, "healthCheck": check});
    let containers = json!([
        container("app", true, &check),
        container("other", true, &check),
        container("aside", false, &check),
        container("unasked", true, &json!({"command": ["NONE"]})),
    ]);
    let definition = with(&world.definition(""), "/containerDefinitions", containers);
    world.json("RegisterTaskDefinition", &definition);
    world.json("RunTask", &request(&world));
    let id = world.tasks()[0].id.clone();
    use ContainerHealthStatus::{Healthy, Unhealthy, Unknown};
    for (app, other, aside, whole) in [
        (Unknown, Unknown, Unknown, "UNKNOWN"),
        (Healthy, Unknown, Healthy, "UNKNOWN"),
        (Healthy, Healthy, Unhealthy, "HEALTHY"),
        (Unhealthy, Unknown, Healthy, "UNHEALTHY"),
        (Healthy, Unhealthy, Healthy, "UNHEALTHY"),
    ] {
        world.report(&id, TaskPhase::Running, |status| {
            let template = status.containers["app"].clone();
            for (name, health) in
                [("app", Some(app)), ("other", Some(other)), ("aside", Some(aside)), ("unasked", None)]
            {
                let health = health.map(|status| ContainerHealth {
                    status,
                    since: world.now(),
                    exit_code: Some(0),
                    output: String::new(),
                });
                let container = desired::ContainerStatus { health, ..template.clone() };
                status.containers.insert(name.to_owned(), container);
            }
        });
        world.settle();
        let described = world.json("DescribeTasks", &json!({"cluster": "c", "tasks": [id.as_str()]}));
        let task = &described["tasks"][0];
        assert_eq!(task["healthStatus"], whole, "{app:?} {other:?} {aside:?}");
        assert_eq!(task["containers"][1]["healthStatus"], json!(other));
        assert_eq!(task["containers"][3]["healthStatus"], "UNKNOWN");
    }
}

#[test]
fn no_task_is_started_by_hand_or_entered_through_the_api() {
    let world = World::new(false);
    let start = json!({"cluster": "c", "containerInstances": ["i1"], "taskDefinition": "app"});
    let answer = world.json("StartTask", &start);
    assert_eq!(answer["tasks"], json!([]));
    assert_eq!(answer["failures"][0]["reason"], "MISSING");
    assert_eq!(
        answer["failures"][0]["arn"],
        "arn:aws:ecs:ap-northeast-2:000000000001:container-instance/c/i1"
    );
    let (_, message) = world.refused("StartTask", &with(&start, "/containerInstances", json!([])));
    assert_eq!(message, "Container instances cannot be empty.");
    world.json("RunTask", &request(&world));
    let id = world.tasks()[0].id.clone();
    let execute = json!({"cluster": "c", "task": id.as_str(), "command": "sh", "interactive": true});
    let (code, message) = world.refused("ExecuteCommand", &execute);
    assert_eq!(code, "InvalidParameterException");
    assert!(
        message.starts_with("The execute command failed because execute command was not enabled"),
        "{message}"
    );
    assert!(message.contains(&format!("`landfall shell {id}`")), "{message}");
}
