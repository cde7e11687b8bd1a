//! From a task in a VPC to the rest of the internet: real packets through a VPC as the agent makes it. Whatever the real
//! network would be dialled for is a listener on loopback here.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agent::network::{Network, Outside};
use desired::{
    EdgeStatus, Interface, InterfaceKind, InternetHost, NetworkAcl, NetworkAclEntry, Peer, Protocol, Route,
    RouteTable, RouteTarget, Rule, SecurityGroup, Subnet, Visit, Vpc,
};
use sys::netns;

use super::stage::{PATIENCE, Stage, exchange, patient, serve_one};
use crate::Limits;

const NAT_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 1);
const OWN_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 2);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 19, 128, 1);
/// A public address; nothing is ever sent to it but inside the test's own namespaces.
const REAL: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);

/// A task in a private subnet behind a NAT gateway, and one in a public subnet with a public address.
const PRIVATE_TASK: &str = "eni-00000000000000001";
const PUBLIC_TASK: &str = "eni-00000000000000002";
const NAT: &str = "eni-00000000000000003";

fn vpc() -> Vpc {
    let all =
        |peer: &str| Rule { protocol: Protocol::All, ports: None, peer: Peer::Cidr(peer.parse().unwrap()) };
    let entry = NetworkAclEntry {
        number: 100,
        allow: true,
        protocol: Protocol::All,
        ports: None,
        cidr_block: "0.0.0.0/0".parse().unwrap(),
    };
    let subnet = |id: &str, number, range: &str, table: &str| Subnet {
        id: id.into(),
        number,
        cidr_block: range.parse().unwrap(),
        route_table: table.into(),
        network_acl: "acl-1".into(),
    };
    let table = |id: &str, number, target| RouteTable {
        id: id.into(),
        number,
        routes: vec![Route { destination: "0.0.0.0/0".parse().unwrap(), target, prefix_list: None }],
    };
    let interface = |id: &str, subnet: &str, address: [u8; 4], public_address, kind| Interface {
        id: id.into(),
        subnet: subnet.into(),
        address: address.into(),
        mac: [0x0a, 1, address[0], address[1], address[2], address[3]],
        public_address,
        security_groups: if kind == InterfaceKind::Task { vec!["sg-1".into()] } else { Vec::new() },
        source_dest_check: kind == InterfaceKind::Task,
        kind,
    };
    Vpc {
        id: "vpc-00000000000000001".into(),
        cidr_blocks: vec!["10.7.0.0/16".parse().unwrap()],
        internet_gateway: true,
        subnets: vec![
            subnet("subnet-public", 1, "10.7.0.0/24", "rtb-1"),
            subnet("subnet-private", 2, "10.7.1.0/24", "rtb-2"),
        ],
        route_tables: vec![
            table("rtb-1", 1, RouteTarget::InternetGateway),
            table("rtb-2", 2, RouteTarget::Interface(NAT.into())),
        ],
        network_acls: vec![NetworkAcl {
            id: "acl-1".into(),
            ingress: vec![entry.clone()],
            egress: vec![entry],
        }],
        security_groups: vec![SecurityGroup {
            id: "sg-1".into(),
            ingress: Vec::new(),
            egress: vec![all("0.0.0.0/0")],
        }],
        interfaces: vec![
            interface(PRIVATE_TASK, "subnet-private", [10, 7, 1, 10], None, InterfaceKind::Task),
            interface(PUBLIC_TASK, "subnet-public", [10, 7, 0, 10], Some(OWN_PUBLIC), InterfaceKind::Task),
            interface(NAT, "subnet-public", [10, 7, 0, 20], Some(NAT_PUBLIC), InterfaceKind::NatGateway),
        ],
        prefix_lists: Vec::new(),
        peerings: Vec::new(),
        gateway_endpoints: Vec::new(),
    }
}

struct Inside {
    stage: Stage,
    network: Network,
}

impl Inside {
    /// With these pretend hosts, by port, and the internet on or off.
    fn new(limits: Limits, internet: bool, hosts: &[(Option<u16>, SocketAddr)]) -> Self {
        let mut stage = Stage::new(&[], limits);
        stage.edge.listeners.clear();
        let network = Network::new(stage.state());
        network.apply(&vpc()).unwrap();
        let mut inside = Self { stage, network };
        inside.set(internet, hosts);
        inside.stage.start();
        inside
    }

    /// Tells the edge and makes the namespace as the agent would.
    fn set(&mut self, internet: bool, hosts: &[(Option<u16>, SocketAddr)]) {
        let host = |(port, to): &(_, _)| InternetHost { name: None, address: HOST, port: *port, to: *to };
        self.stage.edge.internet = internet;
        self.stage.edge.internet_hosts = hosts.iter().map(host).collect();
        let hosts = hosts.iter().map(|(port, _)| (HOST, *port)).collect();
        self.network.set_internet(Outside { hosts, internet, ..Outside::default() }).unwrap();
    }

    fn at<T: Send>(&self, interface: &str, work: impl FnOnce() -> T + Send) -> T {
        netns::within(&self.network.path(interface), work).unwrap()
    }

    fn connect(&self, interface: &str, address: Ipv4Addr, port: u16) -> TcpStream {
        let to = SocketAddr::from((address, port));
        patient(self.at(interface, || TcpStream::connect_timeout(&to, PATIENCE).unwrap()))
    }

    fn udp(&self, interface: &str, address: Ipv4Addr, port: u16) -> UdpSocket {
        let socket = self.at(interface, || UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.connect((address, port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Waits for as many visits; the newest first.
    fn visits(&self, count: usize) -> Vec<Visit> {
        let seen =
            |status: &EdgeStatus| status.internet_hosts.iter().map(|host| host.recent.len()).sum::<usize>();
        let status = self.stage.status(|status| seen(status) >= count);
        status.internet_hosts.into_iter().flat_map(|host| host.recent).collect()
    }
}

fn loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers each datagram with its own text and the number of its sender's port.
fn echo() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let answering = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((length, from)) = answering.recv_from(&mut buffer) {
            if &buffer[..length] == b"end" {
                return;
            }
            let _ = answering.send_to(&buffer[..length], from);
        }
    });
    (socket, address)
}

#[test]
fn a_task_reaches_a_pretend_host_and_is_seen_by_the_address_it_has_outside() {
    let (listener, to) = loopback();
    let inside = Inside::new(Limits::default(), false, &[(Some(443), to)]);
    for (interface, seen) in [(PRIVATE_TASK, NAT_PUBLIC), (PUBLIC_TASK, OWN_PUBLIC)] {
        let serving = serve_one(listener.try_clone().unwrap(), "welcome");
        // It ends its sending before it is answered: each direction ends by itself.
        assert_eq!(exchange(inside.connect(interface, HOST, 443), "who am I?"), "welcome");
        let (peer, request) = serving.join().unwrap();
        assert_eq!((peer.ip().is_loopback(), request.as_str()), (true, "who am I?"));
        let visits = inside.visits(if interface == PRIVATE_TASK { 1 } else { 2 });
        assert_eq!((*visits[0].source.ip(), visits[0].port, visits[0].tcp), (seen, 443, true));
        assert_eq!(visits[0].error, None);
    }
}

#[test]
fn a_pretend_host_that_nothing_listens_for_resets_the_connection_and_the_visit_says_so() {
    let (listener, to) = loopback();
    drop(listener);
    let inside = Inside::new(Limits::default(), false, &[(None, to)]);
    let connected = inside.at(PRIVATE_TASK, || TcpStream::connect((HOST, 8_080)));
    let error = connected.and_then(|stream| patient(stream).read(&mut [0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = inside.visits(1)[0].error.clone().unwrap();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn datagrams_of_many_flows_are_answered_by_the_address_they_were_sent_to() {
    let (stub, to) = echo();
    let inside = Inside::new(Limits::default(), false, &[(Some(53), to)]);
    let flows: Vec<(UdpSocket, String)> =
        (0..100).map(|number| (inside.udp(PRIVATE_TASK, HOST, 53), format!("flow {number}"))).collect();
    // Twice: the first datagram makes the flow's socket, the second one meets it.
    for _ in 0..2 {
        for (flow, text) in &flows {
            flow.send(text.as_bytes()).unwrap();
        }
        for (flow, text) in &flows {
            let mut buffer = [0; 100];
            let length = flow.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text.as_bytes());
        }
    }
    let status = inside.stage.status(|status| status.internet_hosts.iter().any(|host| host.visits == 100));
    assert!(
        status.internet_hosts[0].recent.iter().all(|visit| *visit.source.ip() == NAT_PUBLIC && !visit.tcp)
    );
    stub.send_to(b"end", to).unwrap();
}

#[test]
fn a_datagram_that_nobody_takes_is_noted_and_the_flow_begins_anew_when_somebody_does() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = gone.local_addr().unwrap();
    drop(gone);
    let inside = Inside::new(Limits::default(), false, &[(Some(53), to)]);
    let flow = inside.udp(PUBLIC_TASK, HOST, 53);
    flow.send(b"anybody?").unwrap();
    inside.stage.status(|status| {
        status.internet_hosts.iter().any(|host| host.recent.iter().any(|visit| visit.error.is_some()))
    });
    let stub = UdpSocket::bind(to).unwrap();
    flow.send(b"again").unwrap();
    stub.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 10];
    let (length, from) = stub.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"again");
    stub.send_to(b"yes", from).unwrap();
    assert_eq!(flow.recv(&mut buffer).unwrap(), 3);
}

#[test]
fn with_the_internet_on_a_public_address_is_dialled_and_a_private_one_never() {
    static DIALLED: AtomicUsize = AtomicUsize::new(0);
    fn dial(to: SocketAddrV4) -> SocketAddr {
        assert_eq!(*to.ip(), REAL);
        DIALLED.fetch_add(1, Ordering::SeqCst);
        (Ipv4Addr::LOCALHOST, to.port()).into()
    }
    let (listener, to) = loopback();
    let (stub, udp) = echo();
    let inside = Inside::new(Limits { dial, ..Limits::default() }, true, &[]);
    for address in [[10, 9, 9, 9], [192, 168, 1, 1], [192, 0, 2, 1], [169, 254, 169, 254], [198, 19, 200, 1]]
    {
        inside.udp(PUBLIC_TASK, address.into(), udp.port()).send(b"lost").unwrap();
    }
    let serving = serve_one(listener, "the real one");
    assert_eq!(exchange(inside.connect(PRIVATE_TASK, REAL, to.port()), "hello"), "the real one");
    serving.join().unwrap();
    let flow = inside.udp(PRIVATE_TASK, REAL, udp.port());
    flow.send(b"hello").unwrap();
    assert_eq!(flow.recv(&mut [0; 10]).unwrap(), 5);
    assert_eq!(DIALLED.load(Ordering::SeqCst), 2);
    stub.send_to(b"end", udp).unwrap();
}

#[test]
fn with_the_internet_off_nothing_is_dialled_and_what_is_open_is_cut() {
    static OFF: AtomicUsize = AtomicUsize::new(0);
    fn dial(to: SocketAddrV4) -> SocketAddr {
        OFF.fetch_add(1, Ordering::SeqCst);
        (Ipv4Addr::LOCALHOST, to.port()).into()
    }
    let (listener, to) = loopback();
    let mut inside = Inside::new(Limits { dial, ..Limits::default() }, true, &[]);
    let mut stream = inside.connect(PRIVATE_TASK, REAL, to.port());
    stream.write_all(b"hello").unwrap();
    let (mut outside, _) = listener.accept().unwrap();
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
    outside.read_exact(&mut [0; 5]).unwrap();
    let (host, mapped) = loopback();
    inside.set(false, &[(Some(80), mapped)]);
    inside.stage.apply();
    let error = outside.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // What is sent to a real address before what is sent to a pretend host is gone when the latter has arrived.
    let refused = SocketAddr::from((REAL, to.port()));
    let short = Duration::from_millis(50);
    let silence = inside.at(PUBLIC_TASK, || TcpStream::connect_timeout(&refused, short)).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::TimedOut);
    inside.udp(PUBLIC_TASK, REAL, 53).send(b"lost").unwrap();
    let serving = serve_one(host, "still here");
    assert_eq!(exchange(inside.connect(PUBLIC_TASK, HOST, 80), ""), "still here");
    serving.join().unwrap();
    assert_eq!(OFF.load(Ordering::SeqCst), 1);
}

#[test]
fn a_new_edge_carries_on_by_its_folder_alone() {
    let (listener, to) = loopback();
    let mut inside = Inside::new(Limits::default(), false, &[(None, to)]);
    inside.stage.stop();
    inside.stage.start();
    let serving = serve_one(listener, "hello again");
    assert_eq!(exchange(inside.connect(PRIVATE_TASK, HOST, 1), ""), "hello again");
    serving.join().unwrap();
}
