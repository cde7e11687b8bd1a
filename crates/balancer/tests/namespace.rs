//! The role as it runs: a process's worth of it in a network namespace, told over its socket.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "`common` is shared by several suites")]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Backend, Client, PATIENCE, health_of, part, timed};
use desired::role::{Reply, Request, RoleDir};
use desired::{HealthReason, HealthState, LoadBalancerStatus, Observation, Part};
use sys::netlink::{Address, Hop, Neighbour, Netlink, Route, VethEnd};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 99), 8080);

/// A state folder with the namespaces of one node and of those outside, a cable between them once it is laid.
struct World {
    folder: tempfile::TempDir,
    node: String,
}

impl World {
    fn new(node: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), node: node.to_owned() };
        sys::netns::create(&world.outside()).unwrap();
        world
    }

    fn namespaces(&self) -> PathBuf {
        self.folder.path().join("netns")
    }

    fn outside(&self) -> PathBuf {
        self.namespaces().join("outside")
    }

    fn node(&self) -> PathBuf {
        self.namespaces().join(&self.node)
    }

    /// Makes the node's namespace and its interface.
    fn lay(&self) {
        sys::netns::create(&self.node()).unwrap();
        let far = sys::netns::open(&self.node()).unwrap();
        sys::netns::within(&self.outside(), || {
            let mut netlink = Netlink::open().unwrap();
            let end =
                |name, last| VethEnd { name, mac: [2, 0, 0, 0, 0, last], mtu: 1500, gso_ipv4_max: None };
            netlink.add_veth(&end("near", 1), &end("eth0", 2), far.as_fd()).unwrap();
            up("near", OUTSIDE);
        })
        .unwrap();
        sys::netns::within(&self.node(), || {
            up("eth0", NODE);
            // Packets to this one go nowhere.
            let nobody =
                Neighbour { link: "eth0".to_owned(), address: *NOBODY.ip(), mac: [2, 0, 0, 0, 0, 9] };
            Netlink::open().unwrap().add_neighbour(&nobody).unwrap();
        })
        .unwrap();
    }

    fn client(&self) -> Client {
        sys::netns::within(&self.outside(), || Client::connect(SocketAddrV4::new(NODE, 80))).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        sys::netns::delete_all(&self.namespaces()).unwrap();
    }
}

fn up(link: &str, address: Ipv4Addr) {
    let mut netlink = Netlink::open().unwrap();
    netlink.set_up("lo").unwrap();
    netlink.set_up(link).unwrap();
    let address = Address { link: link.to_owned(), address: ipnet::Ipv4Net::new(address, 24).unwrap() };
    netlink.add_address(&address).unwrap();
    let route =
        Route { table: Route::MAIN, destination: address.address.trunc(), hop: Hop::Link(link.to_owned()) };
    netlink.add_route(&route).unwrap();
}

/// The role, on a thread.
struct Role {
    dir: RoleDir,
    thread: Option<std::thread::JoinHandle<Result<(), balancer::Error>>>,
}

impl Role {
    fn start(dir: &Path, state: &Path, part: &Part) -> Self {
        let role = RoleDir::new(dir);
        role.write_config(part).unwrap();
        let (dir, state) = (dir.to_owned(), state.to_owned());
        let thread = std::thread::spawn(move || balancer::run(&dir, &state));
        Self { dir: role, thread: Some(thread) }
    }

    fn wait(&self, what: &str, is: impl Fn(&LoadBalancerStatus) -> bool) -> LoadBalancerStatus {
        let (deadline, mut after, mut last) = (Instant::now() + PATIENCE, 0, None);
        while Instant::now() < deadline {
            let request = Request::Observe { after, timeout: Duration::from_millis(500) };
            // The socket is not there at first.
            let Ok(Reply::Observed(observed)) = self.dir.ask(&request, PATIENCE) else {
                std::thread::yield_now();
                continue;
            };
            after = observed.next;
            for observation in observed.observations {
                let Observation::LoadBalancer(status) = observation else { panic!("{observation:?}") };
                if is(&status) {
                    return status;
                }
                last = Some(status);
            }
        }
        panic!("not {what}: {last:?}");
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            assert_eq!(self.dir.ask(&Request::Stop, PATIENCE).unwrap(), Reply::Done);
            thread.join().unwrap().unwrap();
            // Its threads would answer on: a process that ends takes them along.
            std::fs::remove_file(self.dir.socket()).unwrap();
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.dir.ask(&Request::Stop, PATIENCE);
            let _ = thread.join();
        }
    }
}

#[test]
fn a_role_serves_in_its_node_s_namespace_and_comes_back_when_that_is_made_anew() {
    let backend_address = SocketAddrV4::new(OUTSIDE, 8080);
    let mut part = part(NODE, &[backend_address, NOBODY]);
    let balancer = common::body(&mut part);
    balancer.target_groups[0].health_check.interval = Duration::from_millis(500);
    balancer.target_groups[0].health_check.timeout = Duration::from_millis(300);
    let world = World::new(balancer.nodes[0].interface.as_str());
    let state = world.folder.path();
    let mut role = Role::start(&state.join("lb/a"), state, &part);

    // No namespace yet: said, not fatal.
    let status = role.wait("an error", |status| status.error.is_some());
    let error = status.error.unwrap();
    assert!(!status.ready && error.contains(&world.node), "{error}");

    world.lay();
    let (_, time) = timed(|| role.wait("ready", |status| status.ready && status.error.is_none()));
    assert!(time < Duration::from_secs(5), "{time:?}");
    let backend = sys::netns::within(&world.outside(), || {
        Backend::at(OUTSIDE, |connection, _| {
            let peer = connection.stream.peer_addr().unwrap().ip().to_string();
            connection.answer(&peer)
        })
    })
    .unwrap();
    role.wait("healthy", |status| {
        health_of(status, backend_address) == HealthState::Healthy
            && health_of(status, NOBODY)
                == HealthState::Unhealthy {
                    reason: HealthReason::Timeout,
                    description: "Request timed out".to_owned(),
                }
    });
    let mut client = world.client();
    assert_eq!(client.get("/").text(), NODE.to_string(), "the target's peer is the node");
    assert_eq!(backend.seen()[0].header("x-forwarded-for"), Some(OUTSIDE.to_string().as_str()));

    // Only packets that go nowhere: a new connection times out, the open one lives on.
    part.generation += 1;
    common::body(&mut part).target_groups[0].targets.retain(|target| target.address == *NOBODY.ip());
    role.dir.write_config(&part).unwrap();
    assert_eq!(role.dir.ask(&Request::Apply(part.clone()), PATIENCE).unwrap(), Reply::Done);
    role.wait("the new part", |status| status.generation == 2);
    let (response, time) = timed(|| client.get("/"));
    assert_eq!(response.status, 504);
    assert!(time > Duration::from_secs(9), "{time:?}");

    // The namespace goes and is made anew.
    sys::netns::delete(&world.node()).unwrap();
    role.wait("an error", |status| status.error.is_some() && !status.ready);
    assert!(client.rest().is_empty());
    sys::netns::within(&world.outside(), || {
        // The cable goes with the namespace's last socket.
        let deadline = Instant::now() + PATIENCE;
        let mut netlink = Netlink::open().unwrap();
        while netlink.links().unwrap().iter().any(|link| link.name == "near") {
            assert!(Instant::now() < deadline, "the old namespace is still held");
            std::thread::yield_now();
        }
    })
    .unwrap();
    world.lay();
    part.generation += 1;
    common::body(&mut part).target_groups[0].targets = vec![common::target(backend_address)];
    role.dir.write_config(&part).unwrap();
    role.dir.ask(&Request::Apply(part.clone()), PATIENCE).unwrap();
    role.wait("healthy", |status| {
        status.ready && status.generation == 3 && health_of(status, backend_address) == HealthState::Healthy
    });
    assert_eq!(world.client().get("/").text(), NODE.to_string());

    // A restart works by the folder alone.
    role.stop();
    let mut role = Role::start(&state.join("lb/a"), state, &part);
    role.wait("healthy", |status| {
        status.ready && status.generation == 3 && health_of(status, backend_address) == HealthState::Healthy
    });
    assert_eq!(world.client().get("/").text(), NODE.to_string());

    // A part without a body ends the role.
    let gone = Part { generation: 4, body: None, ..part };
    role.dir.write_config(&gone).unwrap();
    assert_eq!(role.dir.ask(&Request::Apply(gone), PATIENCE).unwrap(), Reply::Done);
    role.thread.take().unwrap().join().unwrap().unwrap();
    balancer::run(role.dir.path(), state).unwrap();
    backend.wait_for_connections(0);
}
