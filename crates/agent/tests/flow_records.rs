//! Flow records of real packets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use agent::flows::{Flows, KEPT};
use agent::network::{Direction, EGRESS_DENIED, INGRESS_DENIED, SPOOFED};
use agent::{Action, Flow, FlowRecord, Seen};
use desired::Vpc;
use sys::netlink::{Address, Netlink};
use sys::netns;
use topology::traffic::*;
use topology::*;
use types::VpcId;

const PATIENCE: Duration = Duration::from_secs(20);

/// A network whose flows are recorded.
struct Recorded {
    flows: Flows,
    world: World,
    vpc: Vpc,
    generation: u64,
}

impl Recorded {
    fn article() -> Self {
        let (world, vpc) = World::article();
        let flows = Flows::default();
        flows.keep(&world.network, &vpc, 1).unwrap();
        Self { flows, world, vpc, generation: 1 }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vpc)) {
        change(&mut self.vpc);
        self.generation += 1;
        self.world.network.apply(&self.vpc).unwrap();
        self.flows.keep(&self.world.network, &self.vpc, self.generation).unwrap();
    }

    fn records(&self) -> Vec<FlowRecord> {
        let mut report = self.flows.report(None, Duration::ZERO);
        let mut records = std::mem::take(&mut report.records);
        while report.more {
            report = self.flows.report(Some(report.next), Duration::ZERO);
            records.append(&mut report.records);
        }
        assert_eq!(report.problems, Vec::<String>::new());
        records
    }

    /// What is recorded between two addresses: windows of one flow are summed up.
    fn seen(&self) -> Vec<String> {
        let mut sums: Vec<Flow> = Vec::new();
        for record in self.records() {
            assert!(record.start <= record.end, "{record:?}");
            let Seen::Flow(flow) = record.seen else { continue };
            let same = |sum: &&mut Flow| {
                let zero = |flow: &Flow| Flow { packets: 0, bytes: 0, tcp_flags: 0, ..flow.clone() };
                zero(sum) == zero(&flow)
            };
            match sums.iter_mut().find(same) {
                Some(sum) => {
                    sum.packets += flow.packets;
                    sum.bytes += flow.bytes;
                    sum.tcp_flags |= flow.tcp_flags;
                }
                None => sums.push(*flow),
            }
        }
        let mut lines: Vec<String> = sums.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen();
            if condition(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "never: {what}; seen: {seen:#?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// A record without what differs from run to run: a client's port.
fn line(flow: &Flow) -> String {
    let name = match flow.interface.as_str() {
        LB0 => "lb0",
        NAT => "nat",
        TASK0 => "task0",
        TASK1 => "task1",
        D0 => "d0",
        D1 => "d1",
        other => other,
    };
    let port = |port: u16| {
        if port >= 1024 && port != 3000 && port != 9000 { "*".to_owned() } else { port.to_string() }
    };
    let action = match flow.action {
        Action::Accept => "ACCEPT",
        Action::Reject => "REJECT",
    };
    let mut line = format!(
        "{name} {} {action} {}:{} > {}:{} {}: {} packets {} bytes",
        flow.direction.name(),
        flow.source,
        port(flow.source_port),
        flow.destination,
        port(flow.destination_port),
        flow.protocol,
        flow.packets,
        flow.bytes
    );
    if flow.packet_source != flow.source {
        line += &format!(" from {}", flow.packet_source);
    }
    if flow.packet_destination != flow.destination {
        line += &format!(" to {}", flow.packet_destination);
    }
    if flow.tcp_flags != 0 {
        line += &format!(" flags {}", flow.tcp_flags);
    }
    if let Some(path) = flow.path {
        line += &format!(" path {path}");
    }
    if let Some(reason) = &flow.reason {
        line += &format!(" by {reason}");
    }
    line
}

/// UDP there and back, so that packets and bytes are the test's own.
fn exchange(world: &World, from: &str, to: &str, questions: &[usize], answers: &[usize]) {
    let address = |id: &str| if id == D0 { D0_IP } else { D1_IP };
    let server = netns::within(&world.path(to), || UdpSocket::bind((address(to), 9000)).unwrap()).unwrap();
    let client =
        netns::within(&world.path(from), || UdpSocket::bind((address(from), 9000)).unwrap()).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    for (own, other, sizes) in [(&client, &server, questions), (&server, &client, answers)] {
        for size in sizes {
            own.send_to(&vec![0; *size], other.local_addr().unwrap()).unwrap();
            assert_eq!(other.recv(&mut [0; 2000]).unwrap(), *size);
        }
    }
}

#[test]
fn an_accepted_flow_is_recorded_at_both_interfaces_both_ways_with_exact_counts() {
    let recorded = Recorded::article();
    exchange(&recorded.world, D0, D1, &[72, 472, 10], &[172]);
    let expected = [
        "d0 egress ACCEPT 10.194.100.30:9000 > 10.194.100.31:9000 17: 3 packets 638 bytes path 1",
        "d0 ingress ACCEPT 10.194.100.31:9000 > 10.194.100.30:9000 17: 1 packets 200 bytes",
        "d1 egress ACCEPT 10.194.100.31:9000 > 10.194.100.30:9000 17: 1 packets 200 bytes path 1",
        "d1 ingress ACCEPT 10.194.100.30:9000 > 10.194.100.31:9000 17: 3 packets 638 bytes",
    ];
    assert_eq!(recorded.seen(), expected);
    assert_eq!(recorded.seen(), expected, "nothing is counted twice");
    // The flow goes on: what comes is recorded, what was is not again.
    exchange(&recorded.world, D0, D1, &[22], &[]);
    assert_eq!(recorded.seen()[0], expected[0].replace("3 packets 638", "4 packets 688"));
}

#[test]
fn what_a_security_group_refuses_is_recorded_with_the_reason_at_the_interface_that_refuses() {
    let recorded = Recorded::article();
    let lb0 = recorded.world.path(LB0);
    silent(&lb0, TASK0_IP, 22);
    silent(&recorded.world.path(TASK0), TASK1_IP, 3000);
    let seen = recorded.until("both refusals", |seen| seen.len() >= 3);
    let expected = [
        "lb0 egress REJECT 10.194.0.10:* > 10.194.100.10:22 6: 1 packets 60 bytes flags 2 path 1 by denied/security-group-egress",
        "task0 egress ACCEPT 10.194.100.10:* > 10.194.101.10:3000 6: 1 packets 60 bytes flags 2 path 1",
        "task1 ingress REJECT 10.194.100.10:* > 10.194.101.10:3000 6: 1 packets 60 bytes flags 2 by denied/security-group-ingress",
    ];
    assert_eq!(seen, expected);
    assert_eq!(recorded.world.count(EGRESS_DENIED), 1);
    assert_eq!(recorded.world.count(INGRESS_DENIED), 1);
}

#[test]
fn a_network_acl_that_refuses_the_answer_leaves_an_accepted_question_and_a_refused_answer() {
    let mut recorded = Recorded::article();
    recorded.change(|vpc| {
        let mut acl = vpc.network_acls[0].clone();
        acl.id = "acl-0000000000000000b".into();
        acl.egress = vec![entry(90, false, "10.194.0.0/24", None), entry(100, true, "0.0.0.0/0", None)];
        vpc.network_acls.push(acl);
        vpc.subnets[2].network_acl = "acl-0000000000000000b".into();
    });
    let _server = Server::start(&recorded.world.path(TASK0), TASK0_IP, 3000, "task0");
    silent(&recorded.world.path(LB0), TASK0_IP, 3000);
    let seen = recorded.until("the refused answer", |seen| seen.iter().any(|line| line.contains("REJECT")));
    // The answer is sent again after a second: it is as many as there were, and no interface took one.
    let without_counts: Vec<&str> = seen.iter().map(|line| line.split(" 6: ").next().unwrap()).collect();
    assert_eq!(
        without_counts,
        [
            "lb0 egress ACCEPT 10.194.0.10:* > 10.194.100.10:3000",
            "task0 egress REJECT 10.194.100.10:3000 > 10.194.0.10:*",
            "task0 ingress ACCEPT 10.194.0.10:* > 10.194.100.10:3000",
        ],
        "{seen:#?}"
    );
    assert!(seen[1].ends_with("flags 18 path 1 by acl-0000000000000000b/egress/90"), "{seen:#?}");
}

#[test]
fn a_flow_through_the_nat_gateway_is_recorded_at_its_interface_too() {
    let recorded = Recorded::article();
    let _server = Server::start(&recorded.world.internet(), WEB, 443, "web");
    let mut connection = open(&recorded.world.path(TASK0), WEB, 443);
    assert_eq!(connection.say(), "web saw 198.18.0.20");
    let seen = recorded.until("all six", |seen| seen.len() >= 6);
    let short: Vec<String> = seen
        .iter()
        .map(|line| {
            let (head, tail) = line.split_once(" 6: ").unwrap();
            let rest = tail.split_once(" bytes").unwrap().1;
            format!("{head}{rest}")
        })
        .collect();
    assert_eq!(
        short,
        [
            "nat egress ACCEPT 10.194.0.20:* > 198.19.0.10:443 flags 2 path 8",
            "nat egress ACCEPT 10.194.0.20:443 > 10.194.100.10:* from 198.19.0.10 flags 18 path 1",
            "nat ingress ACCEPT 10.194.100.10:* > 10.194.0.20:443 to 198.19.0.10 flags 2",
            "nat ingress ACCEPT 198.19.0.10:443 > 10.194.0.20:* flags 18",
            "task0 egress ACCEPT 10.194.100.10:* > 198.19.0.10:443 flags 2 path 1",
            "task0 ingress ACCEPT 198.19.0.10:443 > 10.194.100.10:* flags 18",
        ],
        "{seen:#?}"
    );
}

#[test]
fn a_public_address_is_recorded_as_the_interfaces_private_one() {
    let recorded = Recorded::article();
    let _server = Server::start(&recorded.world.path(LB0), LB0_IP, 80, "lb0");
    let mut connection = open_from(&recorded.world.internet(), Some(HOST), LB0_PUBLIC, 80);
    connection.say();
    let seen = recorded.until("both ways", |seen| seen.len() >= 2);
    assert!(seen[0].starts_with("lb0 egress ACCEPT 10.194.0.10:80 > 198.19.0.1:* 6: "), "{seen:#?}");
    assert!(seen[0].ends_with("flags 18 path 8"), "{seen:#?}");
    assert!(seen[1].starts_with("lb0 ingress ACCEPT 198.19.0.1:* > 10.194.0.10:80 6: "), "{seen:#?}");
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_borrowed_source_is_recorded_beside_the_interfaces_own() {
    let recorded = Recorded::article();
    let task0 = recorded.world.path(TASK0);
    let borrowed = Address { link: "eth0".to_owned(), address: "10.194.100.30/32".parse().unwrap() };
    netns::within(&task0, || Netlink::open().unwrap().add_address(&borrowed).unwrap()).unwrap();
    silent_from(&task0, Some(D0_IP), D1_IP, 9000);
    let seen = recorded.until("the refusal", |seen| !seen.is_empty());
    let expected = format!(
        "task0 egress REJECT 10.194.100.10:* > 10.194.100.31:9000 6: 1 packets 60 bytes from 10.194.100.30 flags 2 path 1 by {SPOOFED}"
    );
    assert_eq!(seen, [expected]);
}

#[test]
fn a_ping_and_dns_are_recorded_as_aws_does() {
    let recorded = Recorded::article();
    answer_udp(&recorded.world.path(VPC), [10, 194, 0, 2].into(), 53, "dns", 1);
    assert_eq!(ask_udp(&recorded.world.path(D0), [10, 194, 0, 2].into(), 53), "dns saw 10.194.100.30");
    assert!(ping(&recorded.world.path(D0), D1_IP, A_REPLY));
    let seen = recorded.until("the ping", |seen| seen.len() >= 4);
    assert_eq!(seen.len(), 4, "Amazon's DNS server is not logged: {seen:#?}");
    assert_eq!(seen[0], "d0 egress ACCEPT 10.194.100.30:0 > 10.194.100.31:0 1: 1 packets 28 bytes path 1");
}

#[test]
fn a_flood_of_refused_packets_is_counted_and_not_kept() {
    let recorded = Recorded::article();
    let socket = netns::within(&recorded.world.path(LB0), || UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    let sent = 10_000_u64;
    for number in 0..sent {
        let port = u16::try_from(number).unwrap() + 1;
        socket.send_to(b"x", (TASK0_IP, port)).unwrap();
        // The machine has one backlog for all namespaces: other tests' packets must not be lost.
        while number % 200 == 199 && recorded.world.count(EGRESS_DENIED) <= number {
            std::thread::yield_now();
        }
    }
    assert_eq!(recorded.world.count(EGRESS_DENIED), sent);
    let told = || {
        let (mut refused, mut skipped) = (0, 0);
        for record in recorded.records() {
            match record.seen {
                Seen::Flow(flow) => {
                    assert_eq!((flow.action, flow.direction), (Action::Reject, Direction::Egress));
                    refused += flow.packets;
                }
                Seen::Skipped { packets } => skipped += packets,
            }
        }
        (refused, skipped)
    };
    let deadline = Instant::now() + PATIENCE;
    // The number of the next packet that gets through tells how many were lost before it.
    let (refused, skipped) = loop {
        socket.send_to(b"x", (TASK0_IP, 1)).unwrap();
        let (refused, skipped) = told();
        if refused + skipped >= sent {
            break (refused, skipped);
        }
        assert!(Instant::now() < deadline, "refused {refused}, skipped {skipped}");
        std::thread::park_timeout(Duration::from_millis(50));
    };
    assert!(skipped > sent / 4 && refused > 0, "refused {refused}, skipped {skipped}");
    assert!(recorded.records().len() <= KEPT);
}

#[test]
fn an_interface_that_goes_takes_its_last_packets_into_the_records() {
    let mut recorded = Recorded::article();
    exchange(&recorded.world, D0, D1, &[72], &[]);
    recorded.change(|vpc| vpc.interfaces.retain(|interface| interface.id.as_str() != D1));
    let seen = recorded.seen();
    assert_eq!(
        seen,
        [
            "d0 egress ACCEPT 10.194.100.30:9000 > 10.194.100.31:9000 17: 1 packets 100 bytes path 1",
            "d1 ingress ACCEPT 10.194.100.30:9000 > 10.194.100.31:9000 17: 1 packets 100 bytes",
        ]
    );
}

#[test]
fn a_vpc_that_goes_leaves_records_and_neither_sockets_nor_threads() {
    let recorded = Recorded::article();
    exchange(&recorded.world, D0, D1, &[72], &[]);
    let namespace = netns::open(&recorded.world.path(VPC)).unwrap();
    // Netlink sockets of the namespace that are not the kernel's own: those of the filter's log, of flows that end, of
    // the list of flows and of links.
    let sockets = || {
        std::thread::scope(|scope| {
            let look = scope.spawn(|| {
                netns::enter(&namespace).unwrap();
                let list = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
                list.lines().skip(1).filter(|line| line.split_whitespace().nth(2) != Some("0")).count()
            });
            look.join().unwrap()
        })
    };
    assert_eq!(sockets(), 4);
    recorded.flows.forget(&VpcId::from(VPC));
    assert_eq!(sockets(), 0);
    recorded.world.network.remove(&VpcId::from(VPC)).unwrap();
    assert_eq!(recorded.seen().len(), 2, "what was not recorded yet is");
    // A namespace that comes again is another one, and its flows are recorded as well.
    recorded.world.network.apply(&recorded.vpc).unwrap();
    recorded.flows.keep(&recorded.world.network, &recorded.vpc, 1).unwrap();
    exchange(&recorded.world, D0, D1, &[72], &[]);
    assert!(
        recorded.seen().iter().any(|line| line.contains("2 packets 200 bytes")),
        "{:#?}",
        recorded.seen()
    );
}

#[test]
fn who_waits_is_told_when_something_comes() {
    let recorded = Recorded::article();
    let next = recorded.flows.report(None, Duration::ZERO).next;
    let report = std::thread::scope(|scope| {
        let waits = scope.spawn(|| recorded.flows.report(Some(next), PATIENCE));
        exchange(&recorded.world, D0, D1, &[72], &[]);
        waits.join().unwrap()
    });
    assert!(!report.records.is_empty());
    assert_eq!(report.next, next + report.records.len() as u64);
    let before = Instant::now();
    assert!(recorded.flows.report(Some(report.next), Duration::from_millis(10)).records.is_empty());
    assert!(before.elapsed() < PATIENCE);
    assert_eq!(
        recorded.flows.report(Some(u64::MAX), Duration::ZERO).next,
        report.next,
        "a clock that was ahead"
    );
}
