//! Health checks in containers.

use std::time::Duration;

use desired::{
    Container, ContainerHealth, ContainerHealthCheck, ContainerHealthStatus, DependencyCondition, TaskStatus,
};

use crate::order::{after, check};
use crate::support::{World, container};

fn health<'a>(status: &'a TaskStatus, name: &str) -> &'a ContainerHealth {
    status.containers[name].health.as_ref().unwrap()
}

#[test]
fn a_container_becomes_healthy_unhealthy_and_healthy_again() {
    let world = World::new();
    let volumes = vec!["shared".to_owned()];
    let mounts = vec![desired::VolumeMount {
        volume: "shared".to_owned(),
        path: "/shared".to_owned(),
        read_only: false,
    }];
    let app = Container {
        health_check: check(&["/app", "exists", "/shared/ok"]),
        mounts,
        ..container("app", &["trap"])
    };
    let behind = after(container("behind", &["trap"]), &[("app", DependencyCondition::Healthy)]);
    let mut task = world.run(desired::Task { volumes, ..world.task(vec![app, behind]) });
    let is = |status: &TaskStatus, want| health(status, "app").status == want;
    let mut seen =
        task.wait("unhealthy", |s| s.containers["app"].running && is(s, ContainerHealthStatus::Unhealthy));
    assert!(!seen.containers["behind"].running);
    assert_eq!(health(&seen, "app").exit_code, Some(1));
    let ok = task.dir.join("volumes/shared/ok");
    std::fs::write(&ok, "").unwrap();
    seen = task.wait("healthy", |status| is(status, ContainerHealthStatus::Healthy));
    assert_eq!(health(&seen, "app").exit_code, Some(0));
    task.wait_running();
    std::fs::remove_file(ok).unwrap();
    task.wait("unhealthy again", |status| is(status, ContainerHealthStatus::Unhealthy));
    task.wait_output("app", "ready");
    task.wait_output("behind", "ready");
    // Who is unhealthy goes on: it is the service that replaces it.
    task.stop();
    assert_eq!(task.wait_end().containers["app"].exit_code, Some(7));
}

#[test]
fn a_check_runs_as_the_container_s_own_program_does() {
    let world = World::new();
    let app = Container {
        health_check: check(&["/app", "show", "/proc/self/status", "/proc/self/cgroup", "own"]),
        user: Some("node".to_owned()),
        working_directory: Some("/tmp".to_owned()),
        ..container("app", &["forever"])
    };
    let mut task = world.run(world.task(vec![app]));
    let status = task.wait("checked", |status| {
        status.containers["app"].health.as_ref().is_some_and(|health| health.exit_code.is_some())
    });
    let output = &health(&status, "app").output;
    for want in
        ["Seccomp:\t2", "NoNewPrivs:\t1", "Uid:\t1000\t1000", "Gid:\t1001\t1001", "CapEff:\t0000000000000000"]
    {
        assert!(output.contains(want), "{want} in {output}");
    }
    assert!(output.contains("own: No such file"), "{output}");
    assert!(!output.contains("landfall-"), "its control group is the container's: {output}");
    // It is in the container's control group, and thus counted and killed with it.
    assert!(!task.log().contains("cannot be run"), "{}", task.log());
}

#[test]
fn a_check_that_takes_too_long_or_cannot_be_run_has_failed() {
    let world = World::new();
    let slow =
        ContainerHealthCheck { timeout: Duration::from_millis(400), ..check(&["/app", "forever"]).unwrap() };
    let mut task = world.run(world.task(vec![
        Container { health_check: Some(slow), ..container("slow", &["trap"]) },
        Container { health_check: check(&["/nothing"]), ..container("missing", &["trap"]) },
    ]));
    let is_unhealthy = |status: &TaskStatus, name: &str| {
        status.containers[name].running && health(status, name).status == ContainerHealthStatus::Unhealthy
    };
    let status =
        task.wait("both unhealthy", |status| is_unhealthy(status, "slow") && is_unhealthy(status, "missing"));
    assert_eq!(health(&status, "slow").output, "Health check exceeded timeout (0s)");
    assert_eq!(health(&status, "slow").exit_code, Some(-1));
    let output = &health(&status, "missing").output;
    assert!(output.contains("stat /nothing: no such file or directory"), "{output}");
    task.stop();
    task.wait_end();
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let world = World::new();
    let patient = ContainerHealthCheck {
        start_period: Duration::from_secs(3600),
        retries: 1,
        ..check(&["/app", "exit", "1"]).unwrap()
    };
    let hasty = ContainerHealthCheck { retries: 3, ..check(&["/app", "exit", "1"]).unwrap() };
    let mut task = world.run(world.task(vec![
        Container { health_check: Some(patient), ..container("patient", &["trap"]) },
        Container { health_check: Some(hasty), ..container("hasty", &["trap"]) },
    ]));
    let status = task.wait("the hasty one is unhealthy", |status| {
        let hasty = status.containers["hasty"].health.as_ref();
        hasty.is_some_and(|health| health.status == ContainerHealthStatus::Unhealthy)
    });
    assert_eq!(health(&status, "patient").status, ContainerHealthStatus::Unknown);
    task.stop();
    task.wait_end();
}
