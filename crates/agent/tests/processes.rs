//! The agent as a process, with processes that play the roles: started, adopted, told, ended; killed at any moment.
//!
//! This test program plays all of them: a script starts it again with the role's name in its environment.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use agent::{Client, Settings};
use desired::role::{News, RoleDir, answer};
use desired::{
    Body, Edge, EdgeStatus, Host, LoadBalancer, LoadBalancerStatus, Names, NamesStatus, Observation, Part,
    PullIdentity, Task, TaskPhase, TaskStatus, encode,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sys::process::{PidFd, spawn_detached};
use topology::{TASK0, VPC, article};
use types::{PartId, TaskId, VpcId};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the started processes do; for the test run itself it does nothing.
#[test]
fn plays_a_role() {
    let Ok(role) = std::env::var("LANDFALL_TEST_ROLE") else { return };
    let dir = PathBuf::from(std::env::var("LANDFALL_TEST_DIR").unwrap());
    let state = PathBuf::from(std::env::var("LANDFALL_TEST_STATE").unwrap());
    if role == "agent" {
        let settings = Settings {
            program: state.join("program"),
            arguments: vec!["role".to_owned()],
            end: |state| std::fs::write(state.join("end"), "").map_err(|error| error.to_string()),
        };
        agent::run_with(&state, settings).unwrap();
        return;
    }
    let dir = RoleDir::new(dir);
    let _lock = dir.lock().unwrap();
    std::fs::write(dir.path().join("pid"), std::process::id().to_string()).unwrap();
    if role == "serve" {
        let (_never, wait) = channel::<()>();
        let _ = wait.recv();
        return;
    }
    let (news, (stop, stopped)) = (News::default(), channel());
    let (told, told_to_stop) = (news.clone(), stop.clone());
    let first = dir.read_config().unwrap();
    let over = dir.path().join("exit.json");
    let begun = dir.path().join("status.json");
    if role == "shim" && (over.exists() || begun.exists()) {
        std::fs::write(&over, encode(&task_status(&first.id, TaskPhase::Stopped)).unwrap()).unwrap();
        return;
    }
    std::fs::write(&begun, "").unwrap();
    let apply = move |part: Part| {
        if part.body.is_none() {
            told_to_stop.send(()).unwrap();
        } else {
            told.publish(status(&part));
        }
        Ok(())
    };
    news.publish(status(&first));
    answer(&dir, news.clone(), apply, move || stop.send(()).unwrap()).unwrap();
    let _ = stopped.recv();
    if role == "shim" {
        std::fs::write(&over, encode(&task_status(&first.id, TaskPhase::Stopped)).unwrap()).unwrap();
        news.publish(Observation::Task(task_status(&first.id, TaskPhase::Stopped)));
        std::fs::remove_file(dir.socket()).unwrap();
    }
}

fn task_status(id: &PartId, phase: TaskPhase) -> TaskStatus {
    let PartId::Task(task) = id else { panic!("{id}") };
    TaskStatus {
        task: task.clone(),
        phase,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        execution_stopped_at: None,
        error: None,
        containers: BTreeMap::new(),
    }
}

/// A role tells its process's number in place of an error, so that a test sees who speaks.
fn status(part: &Part) -> Observation {
    let (generation, error) = (part.generation, Some(std::process::id().to_string()));
    match &part.id {
        PartId::Task(_) => Observation::Task(task_status(&part.id, TaskPhase::Running)),
        PartId::LoadBalancer(id) => Observation::LoadBalancer(LoadBalancerStatus {
            load_balancer: id.clone(),
            generation,
            ready: true,
            error,
            targets: BTreeMap::new(),
        }),
        PartId::Edge => Observation::Edge(EdgeStatus { generation, listeners: Vec::new(), error }),
        PartId::Names => Observation::Names(NamesStatus { generation, error }),
        PartId::Vpc(_) => panic!("no role has a VPC"),
    }
}

/// A state folder with an agent.
struct Stage {
    state: tempfile::TempDir,
    agent: std::process::Child,
}

impl Stage {
    fn new() -> Self {
        let state = tempfile::Builder::new().prefix("landfall-agent-").tempdir_in("/tmp").unwrap();
        let program = state.path().join("program");
        let own = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nexport LANDFALL_TEST_ROLE=$2 LANDFALL_TEST_DIR=$4 LANDFALL_TEST_STATE=$6\n\
             exec {} --exact plays_a_role --nocapture\n",
            own.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let agent = start_agent(state.path());
        let stage = Self { state, agent };
        stage.until("the agent answers", |_| stage.client().is_ready());
        stage
    }

    fn client(&self) -> Client {
        Client::new(self.state.path())
    }

    fn kill_agent(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
    }

    fn restart_agent(&mut self) {
        self.agent = start_agent(self.state.path());
        self.until("the agent answers again", |stage| stage.client().is_ready());
    }

    fn apply(&self, parts: &[Part]) {
        self.client().apply(parts).unwrap();
    }

    /// The newest report of a part.
    fn seen(&self, id: &PartId) -> Option<Observation> {
        let observed = self.client().observe(0, Duration::ZERO).unwrap();
        observed.observations.into_iter().find(|observation| observation.part() == *id)
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.state.path().join("agent/role.log"));
                panic!("never: {what}; log: {log:?}");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits until a part is reported by a role of a generation, and gives back the role's process.
    #[track_caller]
    fn reported(&self, id: &PartId, wanted: u64) -> i32 {
        let look = |stage: &Self| match stage.seen(id) {
            Some(Observation::Edge(EdgeStatus { generation, error, .. }))
            | Some(Observation::Names(NamesStatus { generation, error }))
            | Some(Observation::LoadBalancer(LoadBalancerStatus { generation, error, .. })) => {
                (generation == wanted).then(|| error.unwrap().parse().unwrap())
            }
            _ => None,
        };
        self.until(&format!("{id} at {wanted}"), |stage| look(stage).is_some());
        look(self).unwrap()
    }

    #[track_caller]
    fn removed(&self, id: &PartId) {
        self.until(&format!("{id} removed"), |stage| {
            matches!(stage.seen(id), Some(Observation::Removed { .. }))
        });
    }

    fn phase(&self, id: &PartId) -> Option<TaskPhase> {
        match self.seen(id) {
            Some(Observation::Task(status)) => Some(status.phase),
            _ => None,
        }
    }

    fn pid(&self, folder: &str) -> Option<i32> {
        std::fs::read_to_string(self.state.path().join(folder).join("pid")).ok()?.parse().ok()
    }

    /// Everything in the state folder but what the test itself put there.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut open = vec![self.state.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                left.push(entry.path().strip_prefix(self.state.path()).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        left.sort();
        left
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
        for name in self.left().into_iter().filter(|name| name.ends_with("/pid")) {
            let pid = std::fs::read_to_string(self.state.path().join(&name)).unwrap_or_default();
            let folder = RoleDir::new(self.state.path().join(&name).parent().unwrap());
            if let Some(pid) = pid.parse().ok().filter(|_| folder.is_running()) {
                kill(pid);
            }
        }
        let _ = agent::network::Network::new(self.state.path()).remove_all();
    }
}

fn start_agent(state: &Path) -> std::process::Child {
    let dir = state.join("agent");
    std::fs::create_dir_all(&dir).unwrap();
    let [d, s] = [&dir, &state.to_owned()].map(|path| path.display().to_string());
    let arguments = ["role", "agent", "--dir", &d, "--state-dir", &s];
    spawn_detached(&state.join("program"), &arguments, &dir.join("role.log")).unwrap()
}

/// SIGKILL, and waits for the end.
fn kill(pid: i32) {
    let Ok(process) = PidFd::open(Pid::from_raw(pid)) else { return };
    process.signal(Signal::SIGKILL).unwrap();
    assert!(process.wait(PATIENCE).unwrap());
}

fn lives(pid: i32) -> bool {
    PidFd::open(Pid::from_raw(pid)).is_ok_and(|process| !process.wait(Duration::ZERO).unwrap())
}

fn edge(generation: u64) -> Part {
    let edge = Edge {
        api: "127.0.0.1:4566".parse().unwrap(),
        host_address: [127, 0, 0, 1].into(),
        listeners: Vec::new(),
        aws_endpoints: Vec::new(),
        certificate_chain: String::new(),
        private_key: String::new(),
    };
    Part { id: PartId::Edge, generation, body: Some(Body::Edge(edge)) }
}

fn names(generation: u64) -> Part {
    let names = Names { vpcs: Vec::new(), public: Vec::new() };
    Part { id: PartId::Names, generation, body: Some(Body::Names(names)) }
}

fn balancer(generation: u64) -> Part {
    let id = "50dc6c495c0c9188";
    let body = LoadBalancer {
        id: id.to_owned(),
        arn: String::new(),
        nodes: Vec::new(),
        listeners: Vec::new(),
        target_groups: Vec::new(),
        idle_timeout: Duration::from_secs(60),
    };
    Part { id: PartId::LoadBalancer(id.to_owned()), generation, body: Some(Body::LoadBalancer(body)) }
}

fn vpc(generation: u64) -> Part {
    Part { id: PartId::Vpc(VpcId::from(VPC)), generation, body: Some(Body::Vpc(article(VPC))) }
}

fn task(generation: u64) -> Part {
    let id = TaskId::from("0123456789abcdef0123456789abcdef");
    let body = Task {
        id: id.clone(),
        arn: String::new(),
        vpc: VpcId::from(VPC),
        interface: TASK0.into(),
        cpu: 256,
        memory: 512,
        containers: Vec::new(),
        pull: PullIdentity {
            region: String::new(),
            role_arn: None,
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: String::new(),
            ca_certificate: String::new(),
        },
        stop: false,
    };
    Part { id: PartId::Task(id), generation, body: Some(Body::Task(body)) }
}

fn gone(part: &Part, generation: u64) -> Part {
    Part { id: part.id.clone(), generation, body: None }
}

const TASK_FOLDER: &str = "tasks/0123456789abcdef0123456789abcdef";

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
