//! Containers that are started again in their place.

use std::time::Duration;

use desired::{Container, ContainerHealthStatus, DependencyCondition, RestartPolicy};

use crate::logging::{NON_BLOCKING, logged, messages, wait_for};
use crate::order::{after, check};
use crate::support::{World, container, only};

fn policy(ignored_exit_codes: &[i32], period: u64) -> Option<RestartPolicy> {
    let attempt_period = Duration::from_millis(period);
    Some(RestartPolicy { ignored_exit_codes: ignored_exit_codes.to_vec(), attempt_period })
}

#[test]
fn an_essential_container_is_started_again_in_its_root_file_system_and_its_log_goes_on() {
    let world = World::new();
    let app = Container {
        restart_policy: policy(&[0], 100),
        health_check: check(&["/app", "exit", "0"]),
        ..logged(&["again", "/been", "1500", "3"], NON_BLOCKING)
    };
    let behind = after(container("behind", &["trap"]), &[("app", DependencyCondition::Healthy)]);
    let mut task = world.run(world.task(vec![app, behind]));
    let before = task.wait_running();
    let (was, first) = (&before.containers["behind"], &before.containers["app"]);
    let after = task.wait("started again", |status| status.containers["app"].restarts == 1);
    let app = &after.containers["app"];
    assert!(app.running && app.exit_code.is_none() && app.finished_at.is_none(), "{app:?}");
    assert_eq!((&app.runtime_id, app.created_at), (&first.runtime_id, first.created_at));
    assert!(app.started_at > first.started_at);
    assert_eq!(app.health.as_ref().unwrap().status, ContainerHealthStatus::Unknown, "asked anew");
    assert_eq!((&after.containers["behind"], after.execution_stopped_at), (was, None), "not disturbed");
    task.wait("healthy again", |status| {
        let health = status.containers["app"].health.as_ref();
        health.is_some_and(|health| health.status == ContainerHealthStatus::Healthy)
    });
    task.wait_output("app", "again\nready");
    task.wait_output("behind", "ready");
    wait_for("the second process's lines in the same stream", || {
        messages(&world).contains(&"ready".to_owned())
    });
    task.stop();
    let status = task.wait_end();
    let app = &status.containers["app"];
    assert_eq!((app.exit_code, app.restarts), (Some(7), 1), "a stop is no end of its own");
    assert_eq!(messages(&world), ["first", "again", "ready", "got SIGTERM"]);
    assert_eq!(task.output("app"), "first\nagain\nready\ngot SIGTERM\n");
}

#[test]
fn a_container_that_ended_too_early_or_with_an_ignored_code_ends_its_task() {
    let world = World::new();
    for (policy, code) in [(policy(&[], 3_600_000), 3), (policy(&[3], 0), 3), (None, 3), (policy(&[1], 0), 0)]
    {
        let is_started_again = code == 0;
        let code = code.to_string();
        let app = Container { restart_policy: policy, ..container("app", &["again", "/been", "0", &code]) };
        let mut task = world.run(world.task(vec![app]));
        if is_started_again {
            task.wait_output("app", "again\nready");
            task.stop();
        }
        let status = task.wait_end();
        let want = if is_started_again { (Some(7), 1) } else { (Some(3), 0) };
        assert_eq!((only(&status).exit_code, only(&status).restarts), want);
    }
}

#[test]
fn a_task_that_stops_while_its_container_is_started_again_stops() {
    let world = World::new();
    // It ends and is started again all the time.
    let app = Container { restart_policy: policy(&[], 0), ..container("app", &["exit", "3"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait("started again and again", |status| only(status).restarts > 2);
    task.stop();
    let status = task.wait_end();
    assert!(matches!(only(&status).exit_code, Some(3 | 143 | 137)), "{status:?}");
    assert!(!only(&status).running && status.error.is_none());
}
