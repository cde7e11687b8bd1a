//! The resolver as a whole: real datagrams and connections in network namespaces of the test's own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use desired::role::{Reply, Request, RoleDir, RoleError};
use desired::{Body, Names, NamesStatus, Observation, Part, Record, VpcNames};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};
use sys::netlink::{Address, Netlink};
use sys::netns;
use tempfile::TempDir;
use types::{PartId, VpcId};

const PATIENCE: Duration = Duration::from_secs(20);
const BASE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

struct Stage {
    folder: TempDir,
    role: RoleDir,
    names: Names,
    generation: u64,
    playing: Option<JoinHandle<Result<(), resolver::Error>>>,
}

fn record(name: &str, addresses: impl IntoIterator<Item = u8>) -> Record {
    let addresses = addresses.into_iter().map(|last| Ipv4Addr::new(198, 18, 0, last)).collect();
    Record { name: name.to_owned(), addresses, ttl: 60 }
}

impl Stage {
    /// VPCs with the same addresses, each with the name `own.internal` of its own; none has a namespace yet.
    fn new(vpcs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vpc = |(index, vpc): (usize, &&str)| VpcNames {
            vpc: VpcId::from(*vpc),
            servers: vec![BASE, LINK_LOCAL],
            enabled: true,
            records: vec![record("own.internal", [u8::try_from(index).unwrap()])],
            zones: Vec::new(),
            discovered: Vec::new(),
        };
        let names = Names {
            vpcs: vpcs.iter().enumerate().map(vpc).collect(),
            public: vec![record("*.dkr.ecr.r.amazonaws.com", [10]), record("many.example", 0..100)],
            internet: false,
            api: None,
        };
        let role = RoleDir::new(folder.path().join("resolver"));
        Self { folder, role, names, generation: 1, playing: None }
    }

    fn part(&self) -> Part {
        Part { id: PartId::Names, generation: self.generation, body: Some(Body::Names(self.names.clone())) }
    }

    fn start(&mut self) {
        // The socket of one that was stopped is answered until the new one takes its place: in a test they are one
        // process. The generation tells them apart.
        self.generation += 1;
        self.role.write_config(&self.part()).unwrap();
        let (dir, state) = (self.role.path().to_owned(), self.folder.path().to_owned());
        self.playing = Some(std::thread::spawn(move || resolver::run(&dir, &state)));
        self.settled();
    }

    fn stop(&mut self) {
        if let Some(playing) = self.playing.take() {
            let _ = self.role.ask(&Request::Stop, PATIENCE);
            let _ = playing.join();
        }
    }

    fn apply(&mut self) {
        self.generation += 1;
        assert_eq!(self.role.ask(&Request::Apply(self.part()), PATIENCE).unwrap(), Reply::Done);
        self.settled();
    }

    fn settled(&self) {
        let generation = self.generation;
        self.observation(|seen| *seen == Observation::Names(NamesStatus { generation, error: None }));
    }

    fn observation(&self, wanted: impl Fn(&Observation) -> bool) -> Observation {
        let (deadline, mut after, mut last) = (Instant::now() + PATIENCE, 0, None);
        while Instant::now() < deadline {
            let request = Request::Observe { after, timeout: Duration::from_millis(500) };
            if let Ok(Reply::Observed(observed)) = self.role.ask(&request, PATIENCE) {
                after = observed.next;
                for observation in observed.observations {
                    if wanted(&observation) {
                        return observation;
                    }
                    if let Observation::Names(status) = &observation
                        && status.generation < self.generation
                    {
                        // Of a resolver that was stopped: the next one's news have numbers of their own.
                        after = 0;
                    }
                    last = Some(observation);
                }
            }
            std::thread::yield_now();
        }
        panic!("the resolver never said so; at last: {last:?}");
    }

    fn namespace(&self, vpc: &str) -> PathBuf {
        self.folder.path().join("netns").join(vpc)
    }

    /// Makes a VPC's namespace as the agent does: the servers' addresses are on its loopback.
    fn network(&self, vpc: &str) {
        self.bare_network(vpc);
        self.addresses(vpc);
    }

    fn addresses(&self, vpc: &str) {
        let path = self.namespace(vpc);
        let work = || {
            let mut netlink = Netlink::open().unwrap();
            netlink.set_up("lo").unwrap();
            for address in [BASE, LINK_LOCAL] {
                netlink.add_address(&Address { link: "lo".to_owned(), address: address.into() }).unwrap();
            }
        };
        netns::within(&path, work).unwrap();
    }

    /// Makes a VPC's namespace without an address.
    fn bare_network(&self, vpc: &str) {
        netns::create(&self.namespace(vpc)).unwrap();
    }

    fn udp(&self, vpc: &str, server: Ipv4Addr) -> UdpSocket {
        let make = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect((server, 53)).unwrap();
            socket
        };
        netns::within(&self.namespace(vpc), make).unwrap()
    }

    fn tcp(&self, vpc: &str, server: Ipv4Addr) -> std::io::Result<TcpStream> {
        let stream = netns::within(&self.namespace(vpc), || TcpStream::connect((server, 53))).unwrap()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Asks over UDP until there is an answer, as a resolver library does.
    fn ask(&self, vpc: &str, server: Ipv4Addr, name: &str) -> Vec<u8> {
        let socket = self.udp(vpc, server);
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2048];
        while Instant::now() < deadline {
            // Either fails while nobody listens.
            if socket.send(&query(name)).is_ok()
                && let Ok(length) = socket.recv(&mut buffer)
            {
                return buffer[..length].to_vec();
            }
        }
        panic!("{vpc}: nobody answers at {server}");
    }

    /// Waits until nobody listens any more.
    fn silent(&self, vpc: &str, server: Ipv4Addr) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.tcp(vpc, server) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                _ => std::thread::yield_now(),
            }
        }
        panic!("{vpc}: somebody listens at {server}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
        let _ = netns::delete_all(&self.folder.path().join("netns"));
    }
}

fn query(name: &str) -> Vec<u8> {
    let mut packet = Packet::new_query(99);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new_unchecked(name);
    packet.questions.push(Question::new(name, TYPE::A.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().unwrap()
}

fn addresses(response: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(response).unwrap();
    let last = |record: &simple_dns::ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => a.address.to_be_bytes()[3],
        other => panic!("{other:?}"),
    };
    packet.answers.iter().map(last).collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn unframed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

#[test]
fn every_vpc_resolves_its_own_and_public_names_at_both_addresses() {
    let mut stage = Stage::new(&["vpc-a", "vpc-b"]);
    stage.network("vpc-a");
    stage.network("vpc-b");
    stage.start();
    for (vpc, own) in [("vpc-a", 0), ("vpc-b", 1)] {
        for server in [BASE, LINK_LOCAL] {
            assert_eq!(addresses(&stage.ask(vpc, server, "own.internal")), [own]);
            assert_eq!(addresses(&stage.ask(vpc, server, "123.dkr.ecr.r.amazonaws.com")), [10]);
            let unknown = stage.ask(vpc, server, "nginx.example");
            assert_eq!(Packet::parse(&unknown).unwrap().rcode(), RCODE::NameError);
        }
    }
}

#[test]
fn what_udp_cuts_tcp_gives_whole_and_a_connection_takes_several_queries() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.network("vpc-a");
    stage.start();
    let cut = stage.ask("vpc-a", BASE, "many.example");
    assert!(Packet::parse(&cut).unwrap().has_flags(PacketFlag::TRUNCATION));
    let mut stream = stage.tcp("vpc-a", BASE).unwrap();
    let both = [framed(&query("many.example")), framed(&query("own.internal"))].concat();
    // In two pieces that end inside a length and a message.
    for piece in [&both[..1], &both[1..40], &both[40..]] {
        stream.write_all(piece).unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(addresses(&unframed(&mut stream)).len(), 100);
    assert_eq!(addresses(&unframed(&mut stream)), [0]);
    // A message that is no query ends the connection; the server goes on.
    stream.write_all(&framed(&[1, 2, 3])).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
}

#[test]
fn noise_gets_no_answer_and_does_no_harm() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.network("vpc-a");
    stage.start();
    let socket = stage.udp("vpc-a", BASE);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = query("own.internal");
    answer[2] |= 0x80;
    for noise in [&[][..], &[7; 11], &answer] {
        socket.send(noise).unwrap();
    }
    socket.send(&query("own.internal")).unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap();
    // The first answer is the query's: nothing before it was answered.
    assert_eq!(addresses(&buffer[..length]), [0]);
}

#[test]
fn a_namespace_that_comes_later_is_served_and_one_made_anew_is_served_anew() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.start();
    stage.network("vpc-a");
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
    netns::delete(&stage.namespace("vpc-a")).unwrap();
    stage.network("vpc-a");
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
}

#[test]
fn addresses_that_come_after_the_namespace_are_answered_from() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.bare_network("vpc-a");
    stage.start();
    // The resolver has looked at the namespace by then.
    stage.apply();
    stage.apply();
    stage.addresses("vpc-a");
    for server in [BASE, LINK_LOCAL] {
        assert_eq!(addresses(&stage.ask("vpc-a", server, "own.internal")), [0]);
    }
}

#[test]
fn names_change_without_a_gap_and_a_vpc_without_dns_support_is_not_answered() {
    let mut stage = Stage::new(&["vpc-a", "vpc-b"]);
    stage.network("vpc-a");
    stage.network("vpc-b");
    stage.start();
    let mut open = stage.tcp("vpc-a", BASE).unwrap();
    open.write_all(&framed(&query("new.example"))).unwrap();
    assert_eq!(Packet::parse(&unframed(&mut open)).unwrap().rcode(), RCODE::NameError);
    stage.names.public.push(record("new.example", [77]));
    stage.apply();
    open.write_all(&framed(&query("new.example"))).unwrap();
    assert_eq!(addresses(&unframed(&mut open)), [77]);

    stage.names.vpcs[0].enabled = false;
    stage.names.vpcs[1].servers.pop();
    stage.apply();
    stage.silent("vpc-a", BASE);
    stage.silent("vpc-b", LINK_LOCAL);
    // A connection that was open is closed too: it would keep the namespace alive.
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(addresses(&stage.ask("vpc-b", BASE, "own.internal")), [1]);
    stage.names.vpcs[0].enabled = true;
    stage.apply();
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
}

#[test]
fn a_port_that_is_taken_is_reported_with_its_vpc_and_used_when_it_is_free() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.network("vpc-a");
    let other = netns::within(&stage.namespace("vpc-a"), || UdpSocket::bind((BASE, 53))).unwrap().unwrap();
    stage.names.vpcs.clear();
    stage.start();
    stage.names = Stage::new(&["vpc-a"]).names.clone();
    stage.generation += 1;
    stage.role.ask(&Request::Apply(stage.part()), PATIENCE).unwrap();
    let seen =
        stage.observation(|seen| matches!(seen, Observation::Names(NamesStatus { error: Some(_), .. })));
    let Observation::Names(NamesStatus { error: Some(error), .. }) = seen else { panic!("{seen:?}") };
    assert!(error.starts_with("vpc-a: nothing answers at 10.0.0.2:53: "), "{error}");
    assert_eq!(addresses(&stage.ask("vpc-a", LINK_LOCAL, "own.internal")), [0]);
    drop(other);
    stage.settled();
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
}

#[test]
fn it_starts_again_by_its_folder_and_refuses_what_is_stale_or_another_s() {
    let mut stage = Stage::new(&["vpc-a"]);
    stage.network("vpc-a");
    stage.generation = 5;
    stage.start();
    stage.stop();
    stage.start();
    assert_eq!(addresses(&stage.ask("vpc-a", BASE, "own.internal")), [0]);
    for part in [Part { generation: 4, ..stage.part() }, Part { id: PartId::Edge, ..stage.part() }] {
        let refused = stage.role.ask(&Request::Apply(part), PATIENCE);
        assert!(matches!(refused, Err(RoleError::Refused(_))), "{refused:?}");
    }
    let gone = Part { generation: stage.generation + 1, body: None, ..stage.part() };
    stage.role.ask(&Request::Apply(gone), PATIENCE).unwrap();
    stage.observation(|seen| *seen == Observation::Removed { part: PartId::Names });
    stage.silent("vpc-a", BASE);
}
