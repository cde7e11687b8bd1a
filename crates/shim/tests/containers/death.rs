//! Shims that are killed, and started again.

use std::time::{Duration, Instant};

use desired::role::RoleError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::registry::API;
use crate::support::{PATIENCE, Running, World, container, only, pause};

fn processes(world: &World, task: &Running<'_>) -> Vec<Pid> {
    shim::task_cgroup(world.state(), task.task.id.as_str()).unwrap().processes().unwrap()
}

fn kill_shim(task: &mut Running<'_>) {
    task.shim().kill().unwrap();
    task.shim().wait().unwrap();
}

#[test]
fn containers_die_with_their_shim_and_clean_leaves_nothing() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("one", &["ignore"]), container("two", &["ignore"])]));
    let before = task.wait_running();
    task.wait_output("two", "ready");
    assert_eq!(processes(&world, &task).len(), 2);
    kill_shim(&mut task);
    // Without anybody's help: the kernel was told so.
    let deadline = Instant::now() + PATIENCE;
    while !processes(&world, &task).is_empty() {
        assert!(Instant::now() < deadline, "the containers live on");
        pause();
    }
    let status = shim::clean(&task.dir, world.state()).unwrap().unwrap();
    assert_eq!(status.started_at, before.started_at);
    for container in status.containers.values() {
        assert_eq!(container.exit_code, Some(137));
        assert!(container.reason.as_deref().unwrap().contains("shim ended unexpectedly"));
    }
    task.assert_nothing_left();
    assert_eq!(shim::clean(&task.dir, world.state()).unwrap(), Some(status), "again, and the same");
}

#[test]
fn a_shim_killed_at_any_moment_leaves_what_clean_removes() {
    let world = World::new();
    for step in 0..14 {
        let mut task =
            world.run(world.task(vec![container("one", &["ignore"]), container("two", &["ignore"])]));
        let moment = Duration::from_millis(step * 40);
        let started = Instant::now();
        while started.elapsed() < moment {
            pause();
        }
        kill_shim(&mut task);
        // Killed while it was forking: the child has the lock, too, up to its exec.
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match shim::clean(&task.dir, world.state()) {
                Err(shim::Error::Role(RoleError::Running(_))) if Instant::now() < deadline => pause(),
                status => break status.unwrap_or_else(|error| panic!("{error}")).unwrap(),
            }
        };
        assert!(status.error.is_some() || status.started_at.is_some(), "{status:?}");
        task.assert_nothing_left();
        // Helpers end by themselves; what they were making when they were cut off is gone as well.
        assert_eq!(processes(&world, &task), []);
        shim::clean(&task.dir, world.state()).unwrap();
        task.assert_nothing_left();
    }
}

#[test]
fn a_second_shim_keeps_out_and_clean_does_too() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["trap"])]));
    task.wait_output("app", "ready");
    let refused = shim::clean(&task.dir, world.state()).unwrap_err();
    assert!(matches!(refused, shim::Error::Role(RoleError::Running(_))), "{refused}");
    let first = task.replace_shim();
    assert!(!task.shim().wait().unwrap().success());
    assert!(task.log().contains("this role runs already"), "{}", task.log());
    task.put_back(first);
    task.stop();
    assert_eq!(only(&task.wait_end()).exit_code, Some(7));
}

#[test]
fn a_shim_that_is_started_again_tells_the_end_and_starts_nothing() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["exit", "5"])]));
    let status = task.wait_end();
    world.registry.asked();
    task.spawn();
    assert_eq!(task.wait("told", |_| true), status);
    assert_eq!(task.wait_end(), status);
    assert_eq!(world.registry.asked(), Vec::<String>::new());
    assert_eq!(task.output("app"), "");
}

#[test]
fn a_shim_after_one_that_died_ends_the_task() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["ignore"])]));
    task.wait_running();
    task.wait_output("app", "ready");
    kill_shim(&mut task);
    task.spawn();
    let status = task.wait_end();
    assert_eq!(only(&status).exit_code, Some(137));
    assert_eq!(task.output("app"), "ready\n", "it was not started again");
}

#[test]
fn helpers_die_with_their_shim() {
    let world = World::blackhole(&[API]);
    let mut task = world.run(world.task(vec![container("app", &["exit", "0"])]));
    let children = format!("/proc/{0}/task/{0}/children", task.shim().id());
    let deadline = Instant::now() + PATIENCE;
    let helper: i32 = loop {
        assert!(Instant::now() < deadline, "no helper; log: {}", task.log());
        match std::fs::read_to_string(&children).unwrap().split_whitespace().next() {
            Some(pid) => break pid.parse().unwrap(),
            None => pause(),
        }
    };
    kill_shim(&mut task);
    while kill(Pid::from_raw(helper), None::<Signal>).is_ok() {
        let state = std::fs::read_to_string(format!("/proc/{helper}/stat")).unwrap_or_default();
        if state.contains(") Z ") || state.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "the helper lives on");
        pause();
    }
}
