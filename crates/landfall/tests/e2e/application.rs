//! An application as a team runs it (`application/`): a real Node with a side-car, a secret, a parameter, a role, logs,
//! health checks, scaling, and a Redis that it finds by name; made, used, updated under load, and destroyed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stack::{Answer, Stack, text};
use crate::{cases, images};

const SOON: Duration = Duration::from_secs(60);

/// The whole test.
pub(crate) fn lives_as_on_aws(stack: &Stack) {
    stack.terraform(&["init"]);
    stack.terraform(&[
        "apply",
        "-auto-approve",
        "-target=aws_ecr_repository.app",
        "-target=aws_ecr_repository.redis",
    ]);
    images::push_node(stack);
    images::push_redis(stack);
    // The service waits for its steady state, so that this ends with tasks that are healthy.
    stack.terraform(&["apply", "-auto-approve"]);
    cases::the_second_plan_is_empty(stack);
    it_is_configured_by_parameter_secret_and_role(stack);
    it_finds_redis_by_its_name(stack);
    its_output_is_in_cloudwatch_logs(stack);
    an_update_under_load_drops_no_request(stack);
    cases::destroy_takes_everything(stack);
}

/// A page of the application.
fn page(stack: &Stack, path: &str) -> Result<Value, String> {
    match stack.request("GET", path, "", Duration::from_secs(10)) {
        Some(Answer { status: 200, body }) => Ok(serde_json::from_str(&body).unwrap()),
        other => Err(format!("{path}: {other:?}")),
    }
}

fn it_is_configured_by_parameter_secret_and_role(stack: &Stack) {
    let settings = stack.wait("the application answers", SOON, || page(stack, "/settings"));
    let expected =
        json!({"version": "1", "greeting": "good morning", "password": "correct horse", "uid": 1000});
    assert_eq!(settings, expected);
    let identity = page(stack, "/identity").unwrap();
    assert!(identity["role"].as_str().unwrap().ends_with(":role/application-task"), "{identity}");
    assert_eq!(identity["family"], "app");
    let mut containers: Vec<&str> =
        identity["containers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    containers.sort_unstable();
    assert_eq!(containers, ["app", "beat"]);
    let beats = page(stack, "/shared").unwrap();
    assert!(beats["beats"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{beats}");
    let tasks = stack.ecs("ListTasks", &json!({"cluster": "application", "serviceName": "app"}));
    let find = json!({"cluster": "application", "tasks": tasks["taskArns"]});
    let shown = stack.wait("the containers' own checks find them healthy", SOON, || {
        let shown = stack.ecs("DescribeTasks", &find);
        let healthy = |task: &Value| task["healthStatus"] == "HEALTHY";
        if shown["tasks"].as_array().unwrap().iter().all(healthy) {
            Ok(shown)
        } else {
            Err(format!("{shown:#}"))
        }
    });
    // What a secret holds is in no description.
    assert!(!shown.to_string().contains("correct horse"), "{shown}");
}

fn it_finds_redis_by_its_name(stack: &Stack) {
    let first = stack.wait("the cache answers", SOON, || page(stack, "/cache"));
    assert_eq!(first["visits"], ":1");
    assert_eq!(page(stack, "/cache").unwrap()["visits"], ":2");
}

fn its_output_is_in_cloudwatch_logs(stack: &Stack) {
    let command = "logs filter-log-events --log-group-name /ecs/application --filter-pattern listens";
    let lines = stack.wait("what the application printed is in its log group", SOON, || {
        let events = stack.aws(command)["events"].clone();
        if events.as_array().is_some_and(|events| events.len() >= 2) {
            Ok(events)
        } else {
            Err(events.to_string())
        }
    });
    for event in lines.as_array().unwrap() {
        assert_eq!(event["message"], "version 1 listens");
        assert!(event["logStreamName"].as_str().unwrap().starts_with("ecs/app/"), "{event}");
    }
    let cache = stack
        .aws("logs filter-log-events --log-group-name /ecs/application --log-stream-name-prefix ecs/redis");
    assert!(cache.to_string().contains("Ready to accept connections"), "{cache}");
}

/// Requests come all the while, on connections that stay open and on new ones, as the service takes a new task
/// definition. Each is answered.
fn an_update_under_load_drops_no_request(stack: &Stack) {
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (done, answered) = (&done, &answered);
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    let mut open = None;
                    while !done.load(Ordering::SeqCst) {
                        let mut connection = open.take().unwrap_or_else(|| stack.connect().unwrap());
                        let answer = stack.exchange(&mut connection, "POST", "/", "hello world");
                        match answer {
                            Some(Answer { status: 200, body }) if body == "hello world" => {
                                answered.fetch_add(1, Ordering::SeqCst);
                            }
                            other => failed.push(format!("{other:?}")),
                        }
                        if number % 2 == 0 {
                            open = Some(connection);
                        }
                        std::thread::park_timeout(Duration::from_millis(5));
                    }
                    failed
                })
            })
            .collect();
        let applied = stack.try_terraform(&["apply", "-auto-approve", "-var", "release=2"]);
        done.store(true, Ordering::SeqCst);
        let failed: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(applied.status.success(), "{}", text(&applied));
        failed
    });
    let answered = answered.load(Ordering::SeqCst);
    assert!(failed.is_empty(), "{} of {answered} requests failed: {failed:?}", failed.len());
    assert!(answered > 100, "{answered} requests are no load");
    let settings = page(stack, "/settings").unwrap();
    assert_eq!(settings["version"], "2");
}
