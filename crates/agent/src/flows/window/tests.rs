use std::net::Ipv4Addr;

use desired::{Interface, InterfaceKind, Route, RouteTable, RouteTarget, Subnet, Vpc};
use expect_test::{Expect, expect};

use super::*;
use crate::network::INGRESS_DENIED;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const LINK_A: &str = "e0000000000000a";
const LINK_B: &str = "e0000000000000b";

fn topology() -> Topology {
    let interface = |id: &str, subnet: &str, address| Interface {
        id: id.into(),
        subnet: subnet.into(),
        address,
        mac: [0; 6],
        public_address: None,
        security_groups: Vec::new(),
        source_dest_check: true,
        kind: InterfaceKind::Task,
    };
    let subnet = |id: &str, number, range: &str| Subnet {
        id: id.into(),
        number,
        cidr_block: range.parse().unwrap(),
        route_table: "rtb-1".into(),
        network_acl: "acl-1".into(),
    };
    let route =
        |range: &str, target| Route { destination: range.parse().unwrap(), target, prefix_list: None };
    let routes = vec![
        route("0.0.0.0/0", RouteTarget::InternetGateway),
        route("10.1.0.0/16", RouteTarget::Peering("pcx-1".into())),
        route("198.19.0.12/32", RouteTarget::Endpoint("vpce-1".into())),
        route("203.0.113.0/24", RouteTarget::Blackhole),
    ];
    Topology::new(&Vpc {
        id: "vpc-1".into(),
        cidr_blocks: vec!["10.0.0.0/16".parse().unwrap()],
        internet_gateway: true,
        subnets: vec![subnet("subnet-a", 1, "10.0.0.0/24"), subnet("subnet-b", 2, "10.0.1.0/24")],
        route_tables: vec![RouteTable { id: "rtb-1".into(), number: 1, routes }],
        network_acls: Vec::new(),
        security_groups: Vec::new(),
        interfaces: vec![
            interface("eni-00000000000000a", "subnet-a", A),
            interface("eni-00000000000000b", "subnet-b", B),
        ],
        prefix_lists: Vec::new(),
        peerings: Vec::new(),
        gateway_endpoints: Vec::new(),
    })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn tuple(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Tuple {
    Tuple { source: from.0, destination: to.0, protocol: TCP, source_port: from.1, destination_port: to.1 }
}

/// A to B, as conntrack tells it.
fn entry(began: i64, sent: u64, answered: u64, tcp: TcpState) -> Entry {
    let carried = |packets| Some(Carried { packets, bytes: packets * 100 });
    Entry {
        id: 7,
        original: tuple((A, 4000), (B, 80)),
        reply: tuple((B, 80), (A, 4000)),
        sent: carried(sent),
        answered: carried(answered),
        began: Some(u64::try_from(at(began).as_millis()).unwrap() * 1_000_000),
        tcp: Some(tcp),
    }
}

/// A packet of A to B.
fn packet() -> Packet {
    Packet { tuple: tuple((A, 4000), (B, 80)), bytes: 100, tcp_flags: SYN }
}

const BETWEEN: (Option<&str>, Option<&str>) = (Some(LINK_A), Some(LINK_B));

fn print(records: &[FlowRecord]) -> String {
    let line = |record: &FlowRecord| {
        let seconds = |time: Timestamp| (time.as_millis() - at(0).as_millis()) / 1000;
        let times = format!("{}-{}", seconds(record.start), seconds(record.end));
        match &record.seen {
            Seen::Skipped { packets } => format!("{times} skipped {packets}"),
            Seen::Flow(flow) => format!(
                "{times} {} {} {:?} {}>{} {} packets {} bytes flags {}{}",
                flow.interface.as_str().chars().last().unwrap(),
                flow.direction.name(),
                flow.action,
                flow.source_port,
                flow.destination_port,
                flow.packets,
                flow.bytes,
                flow.tcp_flags,
                flow.reason.iter().map(|reason| format!(" {reason}")).collect::<String>()
            ),
        }
    };
    let mut lines: Vec<String> = records.iter().map(line).collect();
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn check(records: &[FlowRecord], expected: &Expect) {
    expected.assert_eq(&print(records));
}

#[test]
fn a_flow_that_goes_on_has_one_record_a_window_and_a_last_one_at_its_end() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    let mut look = |second, sent, answered, state, force| {
        window.collect(&topology, at(second), &[entry(1, sent, answered, state)], force)
    };
    check(
        &look(2, 2, 1, TcpState::Established, false),
        &expect![[r#"
        1-2 a egress Accept 4000>80 2 packets 200 bytes flags 2
        1-2 a ingress Accept 80>4000 1 packets 100 bytes flags 18
        1-2 b egress Accept 80>4000 1 packets 100 bytes flags 18
        1-2 b ingress Accept 4000>80 2 packets 200 bytes flags 2"#]],
    );
    check(&look(5, 9, 1, TcpState::Established, false), &expect![""]);
    check(
        &look(6, 10, 1, TcpState::Established, true),
        &expect![[r#"
        2-6 a egress Accept 4000>80 8 packets 800 bytes flags 0
        2-6 b ingress Accept 4000>80 8 packets 800 bytes flags 0"#]],
    );
    check(&look(15, 12, 1, TcpState::Established, false), &expect![""]);
    check(
        &look(16, 12, 2, TcpState::Established, false),
        &expect![[r#"
        6-16 a egress Accept 4000>80 2 packets 200 bytes flags 0
        6-16 a ingress Accept 80>4000 1 packets 100 bytes flags 0
        6-16 b egress Accept 80>4000 1 packets 100 bytes flags 0
        6-16 b ingress Accept 4000>80 2 packets 200 bytes flags 0"#]],
    );
    check(
        &look(17, 13, 3, TcpState::Closed, false),
        &expect![[r#"
        16-17 a egress Accept 4000>80 1 packets 100 bytes flags 1
        16-17 a ingress Accept 80>4000 1 packets 100 bytes flags 1
        16-17 b egress Accept 80>4000 1 packets 100 bytes flags 1
        16-17 b ingress Accept 4000>80 1 packets 100 bytes flags 1"#]],
    );
    check(&look(30, 13, 3, TcpState::Closed, true), &expect![""]);
}

#[test]
fn a_flow_that_ends_between_two_looks_is_recorded_from_its_end() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    window.end(&topology, at(3), &entry(1, 1, 1, TcpState::Reset));
    check(
        &window.collect(&topology, at(9), &[], false),
        &expect![[r#"
        1-3 a egress Accept 4000>80 1 packets 100 bytes flags 2
        1-3 a ingress Accept 80>4000 1 packets 100 bytes flags 4
        1-3 b egress Accept 80>4000 1 packets 100 bytes flags 4
        1-3 b ingress Accept 4000>80 1 packets 100 bytes flags 2"#]],
    );
}

#[test]
fn a_flow_from_before_is_recorded_from_now_on() {
    let (topology, mut window) =
        (topology(), Window::new(at(0), &[entry(-90, 500, 400, TcpState::Established)]));
    let now = entry(-90, 501, 400, TcpState::Established);
    check(
        &window.collect(&topology, at(4), &[now], true),
        &expect![[r#"
        0-4 a egress Accept 4000>80 1 packets 100 bytes flags 0
        0-4 b ingress Accept 4000>80 1 packets 100 bytes flags 0"#]],
    );
}

#[test]
fn a_first_packet_that_the_receiver_refuses_was_accepted_at_the_sender() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    for second in [1, 2] {
        window.refuse(&topology, &packet(), INGRESS_DENIED, BETWEEN, at(second));
    }
    check(
        &window.collect(&topology, at(10), &[], false),
        &expect![[r#"
        1-2 a egress Accept 4000>80 2 packets 200 bytes flags 2
        1-2 b ingress Reject 4000>80 2 packets 200 bytes flags 2 denied/security-group-ingress"#]],
    );
}

#[test]
fn a_refused_first_packet_is_not_taken_off_the_flow_that_the_next_one_begins() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    window.refuse(&topology, &packet(), EGRESS_DENIED, BETWEEN, at(1));
    let flow = entry(2, 1, 0, TcpState::Opening);
    check(
        &window.collect(&topology, at(3), &[flow], false),
        &expect![[r#"
        1-1 a egress Reject 4000>80 1 packets 100 bytes flags 2 denied/security-group-egress
        2-3 a egress Accept 4000>80 1 packets 100 bytes flags 2
        2-3 b ingress Accept 4000>80 1 packets 100 bytes flags 2"#]],
    );
}

#[test]
fn what_is_refused_within_a_flow_is_taken_off_where_it_did_not_pass() {
    // Counted: 5 there, 3 back. Refused: one there at the receiver, two back on their way out.
    for ended in [false, true] {
        let (topology, mut window) = (topology(), Window::new(at(0), &[]));
        window.refuse(&topology, &packet(), "acl-1/ingress/default", BETWEEN, at(2));
        let answer = Packet { tuple: tuple((B, 80), (A, 4000)), bytes: 100, tcp_flags: 0 };
        for _ in 0..2 {
            window.refuse(&topology, &answer, "acl-1/egress/90", (Some(LINK_B), Some(LINK_A)), at(3));
        }
        let flow = entry(1, 5, 3, TcpState::Established);
        if ended {
            window.end(&topology, at(4), &flow);
        }
        let flows = if ended { Vec::new() } else { vec![flow] };
        check(
            &window.collect(&topology, at(4), &flows, false),
            &expect![[r#"
            1-4 a egress Accept 4000>80 5 packets 500 bytes flags 2
            1-4 a ingress Accept 80>4000 1 packets 100 bytes flags 18
            1-4 b egress Accept 80>4000 1 packets 100 bytes flags 18
            1-4 b ingress Accept 4000>80 4 packets 400 bytes flags 2
            2-2 b ingress Reject 4000>80 1 packets 100 bytes flags 2 acl-1/ingress/default
            3-3 b egress Reject 80>4000 2 packets 200 bytes flags 0 acl-1/egress/90"#]],
        );
    }
}

#[test]
fn a_refusal_that_is_told_late_is_taken_off_the_next_record() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    let mut flow = entry(1, 3, 0, TcpState::Opening);
    assert_eq!(window.collect(&topology, at(2), std::slice::from_ref(&flow), true).len(), 2);
    window.refuse(&topology, &packet(), EGRESS_DENIED, BETWEEN, at(2));
    flow.sent = Some(Carried { packets: 5, bytes: 500 });
    check(
        &window.collect(&topology, at(3), &[flow], true),
        &expect![[r#"
        2-2 a egress Reject 4000>80 1 packets 100 bytes flags 2 denied/security-group-egress
        2-3 a egress Accept 4000>80 1 packets 100 bytes flags 0
        2-3 b ingress Accept 4000>80 1 packets 100 bytes flags 0"#]],
    );
}

#[test]
fn who_refuses_is_known_by_the_reason() {
    let check = |reason: &str, links, expected: Option<&str>| {
        let (topology, mut window) = (topology(), Window::new(at(0), &[]));
        window.refuse(&topology, &packet(), reason, links, at(1));
        let records = window.collect(&topology, at(2), &[], false);
        let refusal = records.iter().find_map(|record| match &record.seen {
            Seen::Flow(flow) if flow.action == Action::Reject => Some(flow),
            _ => None,
        });
        let place = refusal.map(|flow| {
            format!("{} {}", flow.interface.as_str().chars().last().unwrap(), flow.direction.name())
        });
        assert_eq!(place.as_deref(), expected, "{reason} {links:?}");
    };
    for reason in [SPOOFED, EGRESS_DENIED, NO_PUBLIC_ADDRESS, INVALID, "acl-1/egress/default"] {
        check(reason, BETWEEN, Some("a egress"));
        check(reason, (Some(LINK_A), Some("igw0")), Some("a egress"));
    }
    for reason in [INGRESS_DENIED, crate::network::MISDIRECTED, "acl-1/ingress/32766"] {
        check(reason, BETWEEN, Some("b ingress"));
        check(reason, (Some("igw0"), Some(LINK_B)), Some("b ingress"));
        check(reason, (Some(LINK_A), Some("igw0")), None);
    }
    check(INVALID, (Some("igw0"), Some(LINK_B)), Some("b ingress"));
    check(SPOOFED, (Some(LINK_A), None), Some("a egress"));
}

#[test]
fn what_is_too_much_is_counted_as_skipped_and_memory_is_bounded() {
    let (topology, mut window) = (topology(), Window::new(at(0), &[]));
    for port in 0..=u16::MAX {
        let packet = Packet { tuple: tuple((A, 4000), (B, port)), bytes: 40, tcp_flags: SYN };
        window.refuse(&topology, &packet, EGRESS_DENIED, BETWEEN, at(1));
    }
    window.skip(5);
    let records = window.collect(&topology, at(2), &[], false);
    assert_eq!(records.len(), REFUSALS + 1);
    let skipped = (1 << 16) - u64::try_from(REFUSALS).unwrap() + 5;
    assert_eq!(records.last().unwrap().seen, Seen::Skipped { packets: skipped });
    let flows: Vec<Entry> = (0..=u16::MAX)
        .map(|port| {
            let mut entry = entry(3, 1, 0, TcpState::Opening);
            (entry.original.source_port, entry.reply.destination_port) = (port, port);
            entry
        })
        .collect();
    let records = window.collect(&topology, at(4), &flows, false);
    assert_eq!(records.len(), FLOWS * 2 + 1);
    assert_eq!(records.last().unwrap().seen, Seen::Skipped { packets: (1 << 16) - FLOWS as u64 });
    assert!(window.collect(&topology, at(5), &flows, true).is_empty(), "told once");
    window.collect(&topology, at(6), &[], false);
    window.collect(&topology, at(7), &[], false);
    assert!(
        window.flows.is_empty(),
        "flows that are gone are forgotten, also when nothing told of their end"
    );
}

#[test]
fn what_aws_does_not_log_is_not_recorded() {
    let topology = topology();
    let udp = |source, destination, from, to| {
        let tuple = Tuple { source, destination, protocol: 17, source_port: from, destination_port: to };
        topology.is_logged(&tuple)
    };
    for (to, logged) in [
        ([10, 0, 0, 2], false),
        ([169, 254, 169, 253], false),
        ([169, 254, 169, 254], false),
        ([169, 254, 169, 123], false),
        ([10, 0, 0, 1], false),
        ([10, 0, 1, 1], false),
        ([10, 0, 1, 2], true),
        ([10, 0, 2, 1], true),
        ([8, 8, 8, 8], true),
    ] {
        assert_eq!(udp(A, to.into(), 5000, 53), logged, "{to:?}");
        assert_eq!(udp(to.into(), A, 53, 5000), logged, "{to:?}");
    }
    assert!(!udp(A, [255; 4].into(), 68, 67));
    assert!(udp(A, B, 68, 53));
}

#[test]
fn the_path_is_the_longest_routes() {
    let topology = topology();
    let from = topology.at(A).unwrap();
    for (to, path) in [
        ([10, 0, 1, 10], Some(1)),
        ([10, 1, 0, 1], Some(4)),
        ([198, 19, 0, 12], Some(7)),
        ([198, 19, 0, 10], Some(8)),
        ([203, 0, 113, 1], None),
    ] {
        assert_eq!(topology.way(from, to.into()).number(), path, "{to:?}");
    }
}
