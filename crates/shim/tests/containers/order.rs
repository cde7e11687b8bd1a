//! Containers that wait for others.

use std::time::Duration;

use desired::{Container, ContainerHealthCheck, Dependency, DependencyCondition, TaskPhase};

use crate::support::{World, container};

pub(crate) fn after(container: Container, others: &[(&str, DependencyCondition)]) -> Container {
    let depends_on = others
        .iter()
        .map(|(other, condition)| Dependency { container: (*other).to_owned(), condition: *condition })
        .collect();
    Container { depends_on, ..container }
}

pub(crate) fn aside(container: Container) -> Container {
    Container { essential: false, ..container }
}

pub(crate) fn check(command: &[&str]) -> Option<ContainerHealthCheck> {
    Some(ContainerHealthCheck {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(20),
        retries: 2,
        start_period: Duration::ZERO,
    })
}

#[test]
fn containers_start_when_those_before_them_have_started_or_ended() {
    use DependencyCondition::{Complete, Start, Success};
    let world = World::new();
    let mut task = world.run(world.task(vec![
        after(container("app", &["trap"]), &[("good", Success), ("bad", Complete), ("first", Start)]),
        after(aside(container("never", &["say", "never"])), &[("bad", Success)]),
        after(aside(container("good", &["exit", "0"])), &[("first", Start)]),
        aside(container("bad", &["exit", "3"])),
        aside(container("first", &["trap"])),
    ]));
    let status = task.wait_running();
    let seen = |name: &str| &status.containers[name];
    assert!(seen("app").started_at >= seen("good").finished_at, "{status:?}");
    assert!(seen("app").started_at >= seen("bad").finished_at && seen("bad").exit_code == Some(3));
    assert!(seen("good").started_at >= seen("first").started_at);
    assert!(seen("app").running && seen("first").running);
    assert_eq!(
        seen("never").reason.as_deref(),
        Some(
            "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [bad] for \
             target [never] as dependency did not exit successfully."
        )
    );
    assert_eq!((seen("never").exit_code, seen("never").started_at), (Some(143), None));
    task.wait_output("app", "ready");
    task.wait_output("first", "ready");
    task.stop();
    let status = task.wait_end();
    // What was started first ends last.
    let ended = |name: &str| status.containers[name].finished_at.unwrap();
    assert!(ended("first") >= ended("app"), "{status:?}");
    assert_eq!(status.containers["first"].exit_code, Some(7));
    assert_eq!(status.error, None);
}

#[test]
fn an_essential_container_whose_dependency_fails_ends_the_task() {
    let world = World::new();
    let mut task = world.run(world.task(vec![
        after(container("app", &["trap"]), &[("bad", DependencyCondition::Success)]),
        container("other", &["trap"]),
        aside(container("bad", &["exit", "1"])),
    ]));
    let status = task.wait_end();
    let app = &status.containers["app"];
    assert_eq!((app.exit_code, app.started_at), (Some(143), None));
    assert!(app.reason.as_deref().unwrap().ends_with("as dependency did not exit successfully."), "{app:?}");
    assert_eq!((status.started_at, status.error), (None, None));
}

#[test]
fn a_dependency_has_its_start_timeout_to_become_healthy() {
    let world = World::new();
    let slow = Container {
        start_timeout: Some(Duration::from_millis(700)),
        health_check: check(&["/app", "exists", "/never"]),
        ..container("slow", &["trap"])
    };
    let mut task = world.run(
        world.task(vec![after(container("app", &["trap"]), &[("slow", DependencyCondition::Healthy)]), slow]),
    );
    let status = task.wait_end();
    assert_eq!(
        status.containers["app"].reason.as_deref(),
        Some(
            "CannotStartContainerError: dependency graph: container ordering dependency [slow] for target [app] has \
             timed out."
        )
    );
}

#[test]
fn a_task_is_told_to_stop_while_containers_wait() {
    let world = World::new();
    let slow =
        Container { health_check: check(&["/app", "exists", "/never"]), ..container("slow", &["trap"]) };
    let mut task = world.run(
        world.task(vec![slow, after(container("app", &["trap"]), &[("slow", DependencyCondition::Healthy)])]),
    );
    task.wait("the first runs", |status| {
        status.containers["slow"].running && status.phase == TaskPhase::Starting
    });
    task.wait_output("slow", "ready");
    task.stop();
    let status = task.wait_end();
    assert_eq!((status.containers["slow"].exit_code, status.containers["app"].exit_code), (Some(7), None));
    assert_eq!((status.started_at, status.error), (None, None));
}
