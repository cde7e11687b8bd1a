//! Containers that share a PID namespace, and such that do not.

use std::time::Duration;

use desired::{Container, DependencyCondition, LinuxParameters, RestartPolicy, Task};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::order::{after, aside};
use crate::support::{World, container};

fn shared(task: Task) -> Task {
    Task { shares_processes: true, ..task }
}

#[test]
fn containers_that_share_their_processes_see_each_other_s_and_end_for_themselves() {
    let world = World::new();
    let gone = aside(container("gone", &["leave", "3", "forever"]));
    let look = aside(container("look", &["processes"]));
    let look = after(look, &[("gone", DependencyCondition::Complete), ("app", DependencyCondition::Start)]);
    let containers = || vec![container("app", &["trap"]), gone.clone(), look.clone()];
    let mut task = world.run(shared(world.task(containers())));
    let status = task.wait("looked", |status| status.containers["look"].finished_at.is_some());
    let code = |name: &str| status.containers[name].exit_code;
    assert_eq!((code("gone"), code("look")), (Some(3), Some(0)), "{status:?}");
    assert!(status.containers["app"].running, "{status:?}");
    let seen = task.output("look");
    assert!(seen.contains(" /app trap\n") && seen.contains(" /app processes\n"), "{seen}");
    assert!(!seen.contains("forever"), "with a container's first process go all others: {seen}");
    assert!(!seen.contains("1 /app"), "the first process of all is no container's: {seen}");
    task.wait_output("app", "ready");
    task.stop();
    assert_eq!(task.wait_end().containers["app"].exit_code, Some(7));

    let mut task = world.run(world.task(containers()));
    task.wait("looked", |status| status.containers["look"].finished_at.is_some());
    assert_eq!(task.output("look"), "1 /app processes\n", "a container that shares nothing sees its own");
    task.stop();
    task.wait_end();
}

#[test]
fn who_may_trace_processes_finds_nothing_in_the_first_one() {
    let world = World::new();
    let linux =
        LinuxParameters { add_capabilities: vec!["SYS_PTRACE".to_owned()], ..LinuxParameters::default() };
    let files = ["/proc/1/root/etc/passwd", "/proc/1/cwd/etc/passwd", "/proc/1/environ", "/proc/1/status"];
    let arguments: Vec<&str> = ["show"].into_iter().chain(files).collect();
    let app = Container { linux, ..container("app", &arguments) };
    let mut task = world.run(shared(world.task(vec![app])));
    task.wait_end();
    let output = task.output("app");
    for file in &files[..2] {
        assert!(output.contains(&format!("{file}: No such file or directory")), "{output}");
    }
    assert!(!output.contains("PATH="), "{output}");
    for want in ["CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "Uid:\t65534\t", "Seccomp:\t2"] {
        assert!(output.contains(want), "{want} in {output}");
    }
}

#[test]
fn a_container_that_shares_its_processes_is_started_again_in_its_place() {
    let world = World::new();
    let policy = RestartPolicy { ignored_exit_codes: Vec::new(), attempt_period: Duration::ZERO };
    let app = Container { restart_policy: Some(policy), ..container("app", &["again", "/been", "0", "3"]) };
    let mut task = world.run(shared(world.task(vec![app])));
    task.wait_output("app", "again\nready");
    task.stop();
    let status = task.wait_end();
    assert_eq!((status.containers["app"].exit_code, status.containers["app"].restarts), (Some(7), 1));
}

#[test]
fn with_the_namespace_s_first_process_all_end() {
    let world = World::new();
    let mut task = world.run(shared(world.task(vec![container("app", &["trap"])])));
    task.wait_output("app", "ready");
    let group = shim::task_cgroup(world.state(), task.task.id.as_str()).unwrap().oci_path();
    let first = format!("/sys/fs/cgroup/memory{}/+pause/cgroup.procs", group.display());
    let first = std::fs::read_to_string(first).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    assert_eq!(task.wait_end().containers["app"].exit_code, Some(137));
}
