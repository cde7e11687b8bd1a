//! Values of Parameter Store and Secrets Manager in the environment of containers, and nowhere else.

use std::path::Path;
use std::time::{Duration, Instant};

use desired::{Container, ContainerHealthStatus, Secret, Task};

use crate::order::check;
use crate::support::registry::{ASM, SSM};
use crate::support::{World, container};

const PARAMETER: &str = "arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/level";
const SECRET: &str = "arn:aws:secretsmanager:ap-northeast-2:000000000001:secret:app/db-AbCdEf";
const FRONT: &str = "ResourceInitializationError: unable to pull secrets or registry auth: ";
const RETRIED: &str = "execution resource retrieval failed: unable to retrieve";

fn with(arguments: &[&str], secrets: &[(&str, &str)]) -> Container {
    let secret =
        |(name, from): &(&str, &str)| Secret { name: (*name).to_owned(), value_from: (*from).to_owned() };
    Container { secrets: secrets.iter().map(secret).collect(), ..container("app", arguments) }
}

fn fill(world: &World) {
    let mut content = world.registry.content.lock().unwrap();
    content.parameters =
        [("/app/level", "chatty-level"), (PARAMETER, "chatty-level"), ("plain", "plain-value")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    content.secrets =
        [(SECRET.to_owned(), r#"{"user":"someone","password":"hunter2","port":5432}"#.to_owned())].into();
}

/// Whether a file below a folder holds a text; sockets and what goes away meanwhile do not.
fn holds(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            holds(&entry.path(), text, found);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

#[test]
fn a_container_has_its_secrets_in_its_environment_and_no_file_has_them() {
    let world = World::new();
    fill(&world);
    let key = |key: &str| format!("{SECRET}:{key}::");
    let secrets = [
        ("LEVEL", "/app/level"),
        ("LEVEL_BY_ARN", PARAMETER),
        ("PLAIN", "plain"),
        ("USER_NAME", &key("user")),
        ("PASSWORD", &key("password")),
        ("PORT", &key("port")),
        ("WHOLE", SECRET),
    ];
    let printing = Container { name: "printing".to_owned(), ..with(&["environment"], &secrets) };
    let health_check = check(&["/app", "has", "USER_NAME", "someone"]);
    let waiting = Container { health_check, ..with(&["forever"], &secrets[..5]) };
    let none = Container { name: "none".to_owned(), ..container("app", &["environment"]) };
    let others = [printing, none].map(|container| Container { essential: false, ..container });
    let mut task = world.run(world.task([waiting].into_iter().chain(others).collect()));
    let running = task.wait_running();
    task.wait_output("printing", "WHOLE=");
    for line in [
        "LEVEL=chatty-level",
        "LEVEL_BY_ARN=chatty-level",
        "PLAIN=plain-value",
        "USER_NAME=someone",
        "PASSWORD=hunter2",
        "PORT=5432",
        r#"WHOLE={"user":"someone","password":"hunter2","port":5432}"#,
    ] {
        task.wait_output("printing", &format!("{line}\n"));
    }
    task.wait("healthy, as its check has the secrets too", |status| {
        let health = status.containers["app"].health.as_ref();
        health.is_some_and(|health| health.status == ContainerHealthStatus::Healthy)
    });
    task.wait_output("none", "PATH=");
    assert!(!task.output("none").contains("hunter2"));
    // The container that prints its environment has it in its log; nothing else has.
    assert!(!format!("{running:?}").contains("hunter2"));
    let asked = world.registry.asked();
    let of = |host: &str| asked.iter().filter(|line| **line == format!("POST {host}/")).count();
    assert_eq!((of(SSM), of(ASM)), (1, 1), "each value is asked for once: {asked:?}");
    let mut found = Vec::new();
    holds(world.state(), "hunter2", &mut found);
    found.retain(|path| !path.contains("/logs/printing"));
    assert_eq!(found, Vec::<String>::new());
    task.stop();
    task.wait_end();
}

/// Runs a task whose values cannot be had; its error.
#[track_caller]
fn fails(world: &World, secrets: &[(&str, &str)]) -> String {
    let task: Task = world.task(vec![with(&["exit", "0"], secrets)]);
    let mut task = world.run(task);
    let status = task.wait_end();
    assert_eq!((status.started_at, status.pull_started_at), (None, None), "the images come after");
    status.error.unwrap_or_else(|| panic!("it ran; log: {}", task.log()))
}

#[test]
fn what_is_missing_fails_the_task_in_fargate_s_words() {
    let world = World::new();
    fill(&world);
    assert_eq!(
        fails(&world, &[("A", "/app/level"), ("B", "/none")]),
        format!(
            "{FRONT}{RETRIED} secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: /none"
        )
    );
    let asm = "secret from asm: service call has been retried 1 time(s): ";
    assert_eq!(
        fails(&world, &[("A", &format!("{SECRET}:none::"))]),
        format!("{FRONT}{RETRIED} {asm}retrieved secret from Secrets Manager did not contain json key none")
    );
    let gone = SECRET.replace("AbCdEf", "GhIjKl");
    assert_eq!(
        fails(&world, &[("A", &gone)]),
        format!(
            "{FRONT}{RETRIED} {asm}failed to fetch secret {gone} from secrets manager: operation error Secrets Manager: \
             GetSecretValue, https response error StatusCode: 400, RequestID: 4f7b, ResourceNotFoundException: Secrets \
             Manager can't find the specified secret."
        )
    );
}

#[test]
fn a_role_that_may_not_read_them_is_told_which_action() {
    let world = World::new();
    fill(&world);
    for (action, from) in [("ssm:GetParameters", "/app/level"), ("secretsmanager:GetSecretValue", SECRET)] {
        world.registry.content.lock().unwrap().denied = [action.to_owned()].into();
        let error = fails(&world, &[("A", from)]);
        assert!(error.starts_with(&format!("{FRONT}{RETRIED} secret")), "{error}");
        assert!(error.contains("service call has been retried 1 time(s): "), "{error}");
        assert!(
            error.contains(
                "AccessDeniedException: User: arn:aws:sts::000000000001:assumed-role/execution/task is not"
            ) && error.contains(&format!("authorized to perform: {action}")),
            "{error}"
        );
    }
}

/// Loses the packets to a service.
#[track_caller]
fn lost(host: &str, from: &str) -> String {
    let world = World::blackhole(&[host]);
    fill(&world);
    let started = Instant::now();
    let error = fails(&world, &[("A", from)]);
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&started.elapsed()));
    error
}

#[test]
fn packets_to_parameter_store_that_get_lost_fail_the_task_in_fargate_s_words() {
    assert_eq!(
        lost(SSM, "/app/level"),
        format!(
            "{FRONT}unable to retrieve secrets from ssm: The task cannot pull secrets from AWS Systems Manager. There is a \
             connection issue between the task and AWS Systems Manager Parameter Store. Check your task network \
             configuration. RequestCanceled: request context canceled caused by: context deadline exceeded"
        )
    );
}

#[test]
fn packets_to_secrets_manager_that_get_lost_do_too() {
    assert_eq!(
        lost(ASM, SECRET),
        format!(
            "{FRONT}unable to retrieve secret from asm: There is a connection issue between the task and AWS Secrets \
             Manager. Check your task network configuration. failed to fetch secret {SECRET} from secrets manager: \
             operation error Secrets Manager: GetSecretValue, https response error StatusCode: 0, RequestID: , canceled, \
             context deadline exceeded"
        )
    );
}
