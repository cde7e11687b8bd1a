//! A state folder with an agent process, and processes that play the roles.
//!
//! The test program plays all of them: a script starts it again with the role's name in its environment.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::topology::{TASK0, VPC, article};
use agent::{Client, Settings};
use desired::role::{News, RoleDir, answer};
use desired::{
    Body, Edge, EdgeStatus, Host, LoadBalancer, LoadBalancerStatus, Names, NamesStatus, Observation, Part,
    PullIdentity, Task, TaskPhase, TaskStatus, encode,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sys::process::{PidFd, spawn_detached};
use types::{PartId, TaskId, VpcId};

pub const PATIENCE: Duration = Duration::from_secs(20);

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
    let stops = matches!(&first.body, Some(Body::Task(task)) if task.stop);
    if role == "shim" && (stops || over.exists() || begun.exists()) {
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
        PartId::Edge => Observation::Edge(EdgeStatus { generation, error, ..EdgeStatus::default() }),
        PartId::Names => Observation::Names(NamesStatus { generation, error }),
        PartId::Vpc(_) => panic!("no role has a VPC"),
    }
}

/// A state folder with an agent.
pub struct Stage {
    pub state: tempfile::TempDir,
    pub agent: std::process::Child,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// With a state folder that is a file system of its own, of two megabytes.
    pub fn on_a_small_disk() -> Self {
        let mount = |path: &Path| {
            let none = nix::mount::MsFlags::empty();
            nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), none, Some("size=2m")).unwrap();
        };
        Self::with(mount)
    }

    /// Leaves no byte free.
    pub fn fill_disk(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.state.path().join("fill")).unwrap();
        while file.write(&[0; 4096]).is_ok() {}
    }

    fn with(prepare: impl FnOnce(&Path)) -> Self {
        let state = tempfile::Builder::new().prefix("landfall-agent-").tempdir_in("/tmp").unwrap();
        prepare(state.path());
        let program = state.path().join("program");
        let own = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nexport LANDFALL_TEST_ROLE=$2 LANDFALL_TEST_DIR=$4 LANDFALL_TEST_STATE=$6\n\
             exec {} --exact stage::plays_a_role --nocapture\n",
            own.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let agent = start_agent(state.path());
        let stage = Self { state, agent };
        stage.until("the agent answers", |_| stage.client().is_ready());
        stage
    }

    pub fn client(&self) -> Client {
        Client::new(self.state.path())
    }

    pub fn kill_agent(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
    }

    pub fn restart_agent(&mut self) {
        self.agent = start_agent(self.state.path());
        self.until("the agent answers again", |stage| stage.client().is_ready());
    }

    pub fn apply(&self, parts: &[Part]) {
        self.client().apply(parts).unwrap();
    }

    /// The newest report of a part.
    pub fn seen(&self, id: &PartId) -> Option<Observation> {
        let observed = self.client().observe(0, Duration::ZERO).unwrap();
        observed.observations.into_iter().find(|observation| observation.part() == *id)
    }

    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
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
    pub fn reported(&self, id: &PartId, wanted: u64) -> i32 {
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
    pub fn removed(&self, id: &PartId) {
        self.until(&format!("{id} removed"), |stage| {
            matches!(stage.seen(id), Some(Observation::Removed { .. }))
        });
    }

    pub fn phase(&self, id: &PartId) -> Option<TaskPhase> {
        match self.seen(id) {
            Some(Observation::Task(status)) => Some(status.phase),
            _ => None,
        }
    }

    pub fn pid(&self, folder: &str) -> Option<i32> {
        std::fs::read_to_string(self.state.path().join(folder).join("pid")).ok()?.parse().ok()
    }

    /// Everything in the state folder but what the test itself put there.
    pub fn left(&self) -> Vec<String> {
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
        // The small disk, if there is one.
        let _ = sys::mount::unmount(self.state.path());
    }
}

pub fn start_agent(state: &Path) -> std::process::Child {
    let dir = state.join("agent");
    std::fs::create_dir_all(&dir).unwrap();
    let [d, s] = [&dir, &state.to_owned()].map(|path| path.display().to_string());
    let arguments = ["role", "agent", "--dir", &d, "--state-dir", &s];
    spawn_detached(&state.join("program"), &arguments, &dir.join("role.log")).unwrap()
}

/// SIGKILL, and waits for the end.
pub fn kill(pid: i32) {
    let Ok(process) = PidFd::open(Pid::from_raw(pid)) else { return };
    process.signal(Signal::SIGKILL).unwrap();
    assert!(process.wait(PATIENCE).unwrap());
}

pub fn lives(pid: i32) -> bool {
    PidFd::open(Pid::from_raw(pid)).is_ok_and(|process| !process.wait(Duration::ZERO).unwrap())
}

pub fn edge(generation: u64) -> Part {
    let edge = Edge {
        api: "127.0.0.1:4566".parse().unwrap(),
        host_address: [127, 0, 0, 1].into(),
        listeners: Vec::new(),
        aws_endpoints: Vec::new(),
        vpc_endpoints: Vec::new(),
        internet: false,
        internet_hosts: Vec::new(),
        certificates: Vec::new(),
        private_key: String::new(),
    };
    Part { id: PartId::Edge, generation, body: Some(Body::Edge(edge)) }
}

pub fn names(generation: u64) -> Part {
    let names = Names { vpcs: Vec::new(), public: Vec::new(), internet: false, api: None };
    Part { id: PartId::Names, generation, body: Some(Body::Names(names)) }
}

pub fn balancer(generation: u64) -> Part {
    let id = "50dc6c495c0c9188";
    let body = LoadBalancer {
        id: id.to_owned(),
        arn: String::new(),
        nodes: Vec::new(),
        listeners: Vec::new(),
        target_groups: Vec::new(),
        idle_timeout: Duration::from_secs(60),
        drop_invalid_headers: false,
    };
    Part { id: PartId::LoadBalancer(id.to_owned()), generation, body: Some(Body::LoadBalancer(body)) }
}

pub fn vpc(generation: u64) -> Part {
    Part { id: PartId::Vpc(VpcId::from(VPC)), generation, body: Some(Body::Vpc(article(VPC))) }
}

pub fn task(generation: u64) -> Part {
    let id = TaskId::from("0123456789abcdef0123456789abcdef");
    let body = Task {
        id: id.clone(),
        arn: String::new(),
        vpc: VpcId::from(VPC),
        interface: TASK0.into(),
        cpu: 256,
        memory: 512,
        dns: desired::Dns::default(),
        containers: Vec::new(),
        pull: PullIdentity::default(),
        role: None,
        volumes: Vec::new(),
        shares_processes: false,
        ephemeral_storage: 0,
        metadata: desired::TaskMetadata::default(),
        stop: false,
    };
    Part { id: PartId::Task(id), generation, body: Some(Body::Task(Box::new(body))) }
}

pub fn gone(part: &Part, generation: u64) -> Part {
    Part { id: part.id.clone(), generation, body: None }
}

pub const TASK_FOLDER: &str = "tasks/0123456789abcdef0123456789abcdef";
