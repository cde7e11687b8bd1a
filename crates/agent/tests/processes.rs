//! The agent as a process, with processes that play the roles: started, adopted, told, ended; killed at any moment.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod stage;
mod topology;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use desired::{Body, Host, Observation, TaskPhase};
use stage::*;
use topology::VPC;
use types::{PartId, VpcId};

#[test]
fn roles_are_started_told_restarted_and_ended() {
    let stage = Stage::new();
    stage.apply(&[edge(1), names(1), balancer(1)]);
    for file in ["edge", "names", "lb-50dc6c495c0c9188"] {
        let file = stage.state.path().join(format!("agent/desired/{file}.json"));
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut held = stage.client().parts().unwrap();
    held.sort();
    assert_eq!(held, [balancer(1).id, PartId::Edge, PartId::Names]);
    let first = stage.reported(&PartId::Edge, 1);
    stage.reported(&PartId::Names, 1);
    stage.apply(&[edge(3), balancer(3)]);
    assert_eq!(stage.reported(&PartId::Edge, 3), first, "told, not started again");
    let balancer_pid = stage.reported(&balancer(3).id, 3);
    stage.apply(&[edge(2)]);
    stage.apply(&[edge(4)]);
    assert_eq!(stage.reported(&PartId::Edge, 4), first, "what is stale is passed over");
    kill(first);
    stage.until("another process plays the edge", |stage| {
        stage.pid("edge").is_some_and(|pid| pid != first && lives(pid))
    });
    stage.until("the new one is heard", |stage| {
        stage.seen(&PartId::Edge).is_some_and(|seen| {
            matches!(seen, Observation::Edge(status) if status.generation == 4 && status.error != Some(first.to_string()))
        })
    });
    stage.apply(&[gone(&balancer(5), 5)]);
    stage.removed(&balancer(5).id);
    assert!(!lives(balancer_pid));
    assert!(!stage.left().iter().any(|name| name.starts_with("lb/")), "{:?}", stage.left());
    stage.apply(&[gone(&vpc(5), 5)]);
    stage.removed(&vpc(5).id);
}

#[test]
fn a_killed_agent_is_followed_by_one_that_adopts_what_runs() {
    let mut stage = Stage::new();
    stage.apply(&[edge(1), balancer(1), vpc(1), task(1)]);
    let (edge_pid, balancer_pid) = (stage.reported(&PartId::Edge, 1), stage.reported(&balancer(1).id, 1));
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    let shim = stage.pid(TASK_FOLDER).unwrap();
    stage.kill_agent();
    assert!(lives(edge_pid) && lives(balancer_pid) && lives(shim));
    // A role that dies while no agent lives.
    kill(balancer_pid);
    stage.restart_agent();
    assert_eq!(stage.reported(&PartId::Edge, 1), edge_pid);
    assert_ne!(stage.reported(&balancer(1).id, 1), balancer_pid);
    stage.until("the task is adopted", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    assert_eq!(stage.pid(TASK_FOLDER), Some(shim));
    stage.apply(&[edge(2)]);
    assert_eq!(stage.reported(&PartId::Edge, 2), edge_pid);
    stage.until("the network is reported again", |stage| {
        matches!(stage.seen(&vpc(1).id), Some(Observation::Vpc(status)) if status.generation == 1 && status.error.is_none())
    });
    let second = start_agent(stage.state.path()).wait().unwrap();
    assert!(!second.success(), "there is one agent at a time");
    assert!(stage.client().is_ready());
}

#[test]
fn a_task_starts_in_its_network_and_its_network_outlives_it() {
    let stage = Stage::new();
    stage.apply(&[task(1)]);
    stage.until("the part is kept", |stage| stage.client().parts().unwrap().len() == 1);
    assert!(!stage.state.path().join(TASK_FOLDER).exists(), "there is no network to start in");
    stage.apply(&[vpc(2)]);
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    assert!(stage.client().counters(&VpcId::from(VPC)).unwrap().is_some());
    let shim = stage.pid(TASK_FOLDER).unwrap();
    stage.apply(&[gone(&vpc(3), 3), gone(&task(3), 3)]);
    stage.removed(&task(3).id);
    stage.removed(&vpc(3).id);
    assert!(!lives(shim));
    assert!(!stage.state.path().join(TASK_FOLDER).exists());
    assert!(!stage.left().iter().any(|name| name.starts_with("netns/")), "{:?}", stage.left());
}

#[test]
fn a_task_that_is_stopped_before_it_has_a_network_ends_without_one() {
    let stage = Stage::new();
    stage.apply(&[task(1)]);
    let mut stopped = task(2);
    let Some(Body::Task(body)) = &mut stopped.body else { panic!() };
    body.stop = true;
    stage.apply(&[stopped]);
    stage.until("the task is stopped", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Stopped));
}

#[test]
fn a_dead_shims_task_is_reported_stopped_and_is_not_started_again() {
    let mut stage = Stage::new();
    stage.apply(&[vpc(1), task(1)]);
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    let shim = stage.pid(TASK_FOLDER).unwrap();
    kill(shim);
    // The shim's socket is left behind; a real shim removes it when it has cleaned up.
    let socket = stage.state.path().join(TASK_FOLDER).join("role.sock");
    stage.until("a second shim has told the end", |stage| {
        stage.state.path().join(TASK_FOLDER).join("exit.json").exists()
    });
    std::fs::remove_file(socket).unwrap();
    stage.until("the task is stopped", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Stopped));
    // Nor by the next agent.
    stage.kill_agent();
    stage.restart_agent();
    stage.until("the end is told again", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Stopped));
    stage.apply(&[gone(&task(2), 2)]);
    stage.removed(&task(2).id);
    assert!(!stage.state.path().join(TASK_FOLDER).exists());
}

#[test]
fn down_leaves_nothing() {
    let mut stage = Stage::new();
    stage.apply(&[edge(1), names(1), balancer(1), vpc(1), task(1)]);
    stage.reported(&balancer(1).id, 1);
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    let pids: Vec<i32> =
        ["edge", "resolver", "lb/50dc6c495c0c9188", TASK_FOLDER].map(|role| stage.pid(role).unwrap()).into();
    stage.client().down(true).unwrap();
    assert!(stage.agent.wait().unwrap().success());
    assert!(!pids.into_iter().any(lives));
    assert!(sys::mount::under(stage.state.path()).unwrap().is_empty());
    assert_eq!(
        stage.left(),
        ["agent", "agent/desired", "agent/role.lock", "agent/role.log", "end", "program"]
    );
    // And it can begin again.
    stage.restart_agent();
    stage.apply(&[edge(1)]);
    stage.reported(&PartId::Edge, 1);
    stage.client().down(false).unwrap();
}

#[test]
fn an_agent_killed_at_any_moment_leaves_nothing_that_the_next_does_not_find() {
    let mut stage = Stage::new();
    let parts = [edge(1), balancer(1), vpc(1), task(1)];
    // Killed in the midst of making: later and later.
    for millis in [0, 3, 10, 30, 60, 100] {
        stage.apply(&parts);
        std::thread::park_timeout(Duration::from_millis(millis));
        stage.kill_agent();
        stage.restart_agent();
    }
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    stage.reported(&PartId::Edge, 1);
    // Killed in the midst of taking down.
    for millis in [0, 3, 10, 30] {
        let client = stage.client();
        let asked = std::thread::spawn(move || client.down(false));
        std::thread::park_timeout(Duration::from_millis(millis));
        stage.kill_agent();
        let _ = asked.join().unwrap();
        stage.restart_agent();
    }
    stage.client().down(false).unwrap();
    assert!(stage.agent.wait().unwrap().success());
    assert!(sys::mount::under(stage.state.path()).unwrap().is_empty());
    assert_eq!(
        stage.left(),
        ["agent", "agent/desired", "agent/role.lock", "agent/role.log", "end", "program"]
    );
}

#[test]
fn on_a_full_disk_roles_are_told_and_started_again_and_everything_ends() {
    let mut stage = Stage::on_a_small_disk();
    stage.apply(&[edge(1), balancer(1), vpc(1), task(1)]);
    let first = stage.reported(&PartId::Edge, 1);
    stage.until("the task runs", |stage| stage.phase(&task(1).id) == Some(TaskPhase::Running));
    stage.fill_disk();
    assert!(stage.client().apply(&[edge(2)]).is_err(), "what is not on disk is not taken over");
    kill(first);
    stage.until("the edge runs again as it was", |stage| {
        stage.pid("edge").is_some_and(|pid| pid != first && lives(pid))
            || matches!(stage.seen(&PartId::Edge), Some(Observation::Edge(status)) if status.error != Some(first.to_string()))
    });
    stage.client().down(false).unwrap();
    assert!(stage.agent.wait().unwrap().success());
    for folder in ["tasks", "lb", "edge", "netns"] {
        assert!(!stage.state.path().join(folder).exists(), "{folder}");
    }
}

#[test]
fn the_api_is_started_and_started_again_while_its_options_are_there() {
    let stage = Stage::new();
    let folder = stage.state.path().join("serve");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("options.json"), "{}").unwrap();
    stage.until("serve runs", |stage| stage.pid("serve").is_some_and(lives));
    let first = stage.pid("serve").unwrap();
    kill(first);
    stage.until("serve runs again", |stage| stage.pid("serve").is_some_and(|pid| pid != first && lives(pid)));
    std::fs::remove_file(folder.join("options.json")).unwrap();
    let second = stage.pid("serve").unwrap();
    kill(second);
    std::thread::park_timeout(Duration::from_millis(1500));
    assert_eq!(stage.pid("serve"), Some(second), "nobody wants it any more");
}
