//! A state folder, a namespace for one task's interface with a registry in it, and shims as real processes.

pub mod image;
pub mod registry;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use desired::role::{Reply, Request, RoleDir};
use desired::{
    Body, Container, ContainerStatus, ImageReference, Observation, Part, PullIdentity, Task, TaskPhase,
    TaskStatus,
};
use registry::{REGION, REGISTRY, Registry};
use sys::netlink::{Address, Hop, Neighbour, Netlink, Route, VethEnd};
use types::{NetworkInterfaceId, PartId, TaskId, VpcId};

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    state: tempfile::TempDir,
    interface: NetworkInterfaceId,
    pub registry: Registry,
}

impl World {
    /// With the standard image as `app:1`.
    pub fn new() -> Self {
        let state = tempfile::Builder::new().prefix("lf-shim-").tempdir_in("/tmp").unwrap();
        let interface = NetworkInterfaceId::mint();
        let namespace = state.path().join("netns").join(interface.as_str());
        sys::netns::create(&namespace).unwrap();
        let world = Self { interface, registry: Registry::start(&namespace), state };
        world.registry.add("app", "1", &image::standard());
        world
    }

    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// These names resolve to an address behind which every packet gets lost.
    pub fn blackhole(names: &[&str]) -> Self {
        let world = Self::new();
        let nowhere = world.state().join("netns/nowhere");
        sys::netns::create(&nowhere).unwrap();
        let far = sys::netns::open(&nowhere).unwrap();
        let end = |name, last| VethEnd { name, mac: [2, 0, 0, 0, 0, last], mtu: 1500, gso_ipv4_max: None };
        let address = std::net::Ipv4Addr::new(198, 19, 0, 10);
        sys::netns::within(&world.state().join("netns").join(world.interface.as_str()), || {
            let mut netlink = Netlink::open().unwrap();
            netlink.add_veth(&end("eth0", 1), &end("far", 2), far.as_fd()).unwrap();
            netlink.set_up("eth0").unwrap();
            let own = ([10, 0, 0, 9].into(), 24);
            let own = ipnet::Ipv4Net::new(own.0, own.1).unwrap();
            netlink.add_address(&Address { link: "eth0".to_owned(), address: own }).unwrap();
            let hop = Hop::Link("eth0".to_owned());
            netlink.add_route(&Route { table: Route::MAIN, destination: address.into(), hop }).unwrap();
        })
        .unwrap();
        sys::netns::within(&nowhere, || Netlink::open().unwrap().set_up("far").unwrap()).unwrap();
        sys::netns::within(&world.state().join("netns").join(world.interface.as_str()), || {
            let neighbour = Neighbour { link: "eth0".to_owned(), address, mac: [2, 0, 0, 0, 0, 9] };
            Netlink::open().unwrap().add_neighbour(&neighbour).unwrap();
        })
        .unwrap();
        world.lose(names);
        world
    }

    /// From now on these names lead to where packets get lost, in a world that has such a place.
    pub fn lose(&self, names: &[&str]) {
        let address = std::net::Ipv4Addr::new(198, 19, 0, 10);
        let elsewhere = names.iter().map(|name| ((*name).to_owned(), address)).collect();
        self.registry.content.lock().unwrap().elsewhere = elsewhere;
    }

    /// A task of containers, 256 units of CPU and 128 MiB.
    pub fn task(&self, containers: Vec<Container>) -> Task {
        Task {
            id: TaskId::mint(),
            arn: "arn:aws:ecs:ap-northeast-2:000000000001:task/main/x".to_owned(),
            vpc: VpcId::mint(),
            interface: self.interface.clone(),
            cpu: 256,
            memory: 128,
            containers,
            pull: PullIdentity {
                region: REGION.to_owned(),
                role_arn: Some("arn:aws:iam::000000000001:role/execution".to_owned()),
                access_key_id: "ASIATEST".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: "session".to_owned(),
                ca_certificate: self.registry.authority.clone(),
            },
            role: None,
            volumes: Vec::new(),
            shares_processes: false,
            ephemeral_storage: 0,
            dns: desired::Dns::default(),
            metadata: desired::TaskMetadata::default(),
            stop: false,
        }
    }

    pub fn run(&self, task: Task) -> Running<'_> {
        let dir = self.state().join("tasks").join(task.id.as_str());
        let role = RoleDir::new(&dir);
        role.write_config(&part(&task, 1)).unwrap();
        let mut running = Running { world: self, dir, role, task, shim: None };
        running.spawn();
        running
    }

    /// Runs one container with these arguments to the end.
    pub fn finish(&self, arguments: &[&str]) -> (TaskStatus, String) {
        let mut running = self.run(self.task(vec![container("app", arguments)]));
        let status = running.wait_end();
        (status, running.output("app"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = sys::netns::delete_all(&self.state().join("netns"));
        if let Ok(group) = shim::tasks_cgroup(self.state()) {
            let _ = group.kill(PATIENCE);
            let _ = group.remove();
        }
    }
}

pub fn part(task: &Task, generation: u64) -> Part {
    Part { id: PartId::Task(task.id.clone()), generation, body: Some(Body::Task(Box::new(task.clone()))) }
}

/// A container of the standard image.
pub fn container(name: &str, arguments: &[&str]) -> Container {
    Container {
        name: name.to_owned(),
        image: ImageReference {
            image: format!("{REGISTRY}/app:1"),
            registry: Some(REGISTRY.to_owned()),
            repository: "app".to_owned(),
            reference: "1".to_owned(),
        },
        command: Some(arguments.iter().map(|text| (*text).to_owned()).collect()),
        essential: true,
        stop_timeout: Duration::from_secs(30),
        ..Container::default()
    }
}

/// A task with its shim.
pub struct Running<'a> {
    world: &'a World,
    pub dir: PathBuf,
    pub role: RoleDir,
    pub task: Task,
    shim: Option<Child>,
}

impl Running<'_> {
    pub fn spawn(&mut self) {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().with_file_name("examples").join("shim-role");
        assert!(program.exists(), "build it first: cargo build -p shim --examples");
        let log = std::fs::File::options().create(true).append(true).open(self.role.log()).unwrap();
        #[allow(clippy::disallowed_methods, reason = "the role under test is a process")]
        let child = Command::new(program)
            .args([&self.dir, self.world.state()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.shim = Some(child);
    }

    /// Starts another shim; gives back the first one.
    pub fn replace_shim(&mut self) -> Child {
        let first = self.shim.take().unwrap();
        self.spawn();
        first
    }

    pub fn put_back(&mut self, shim: Child) {
        self.shim = Some(shim);
    }

    pub fn shim(&mut self) -> &mut Child {
        self.shim.as_mut().unwrap()
    }

    /// The news until one fits.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        let deadline = Instant::now() + PATIENCE;
        let (mut after, mut last) = (0, None);
        while Instant::now() < deadline {
            let timeout = Duration::from_millis(500);
            match self.role.ask(&Request::Observe { after, timeout }, PATIENCE) {
                Ok(Reply::Observed(observed)) => {
                    after = observed.next;
                    for observation in observed.observations {
                        let Observation::Task(status) = observation else { panic!("{observation:?}") };
                        if fits(&status) {
                            return status;
                        }
                        last = Some(status);
                    }
                }
                _ => {
                    // Not there yet, or gone.
                    if let Some(status) = shim::exit_record(&self.dir).unwrap().filter(|status| fits(status))
                    {
                        return status;
                    }
                    pause();
                }
            }
        }
        panic!("never {what}; last {last:?}; log: {}", self.log());
    }

    pub fn wait_running(&mut self) -> TaskStatus {
        self.wait("running", |status| status.phase == TaskPhase::Running)
    }

    /// Waits until a container has written a text.
    pub fn wait_output(&self, container: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.output(container).contains(text) {
            assert!(
                Instant::now() < deadline,
                "no '{text}' in {}; log: {}",
                self.output(container),
                self.log()
            );
            pause();
        }
    }

    /// Waits for the shim's own end and checks that nothing is left of the task.
    pub fn wait_end(&mut self) -> TaskStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.shim().try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the shim lives on; log: {}", self.log());
            pause();
        }
        let status = shim::exit_record(&self.dir).unwrap();
        let status = status.unwrap_or_else(|| panic!("no exit record; log: {}", self.log()));
        assert_eq!(status.phase, TaskPhase::Stopped);
        self.assert_nothing_left();
        status
    }

    pub fn assert_nothing_left(&self) {
        let mounts = sys::mount::under(&self.dir.canonicalize().unwrap()).unwrap();
        assert_eq!(mounts, Vec::<PathBuf>::new());
        assert!(!self.dir.join("containers").exists());
        assert!(!self.role.socket().exists());
        assert!(!self.role.is_running());
        let name = shim::task_cgroup(self.world.state(), self.task.id.as_str()).unwrap().oci_path();
        for controller in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
            let folder = controller.unwrap().path().join(name.strip_prefix("/").unwrap());
            assert!(!folder.exists(), "{}", folder.display());
        }
    }

    pub fn stop(&self) {
        let task = Task { stop: true, ..self.task.clone() };
        self.role.ask(&Request::Apply(part(&task, 2)), PATIENCE).unwrap();
    }

    /// All lines of a container.
    pub fn output(&self, container: &str) -> String {
        shim::logs::read(&self.dir, container).unwrap().map(|line| line.message.into_owned() + "\n").collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.role.log()).unwrap_or_default()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(shim) = &mut self.shim {
            let _ = shim.kill();
            let _ = shim.wait();
        }
        let _ = shim::clean(&self.dir, self.world.state());
    }
}

/// Before a condition is looked at again.
pub fn pause() {
    let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(5_u8));
}

pub fn only(status: &TaskStatus) -> &ContainerStatus {
    assert_eq!(status.containers.len(), 1);
    status.containers.values().next().unwrap()
}
