//! nf_tables in a namespace of the test's own. `nft`, where it is installed, is only looked at by people.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use sys::netlink::Netlink;
use sys::nft::{
    Base, Chain, CommitError, Expression as E, Field, Hook, Kind, Operator, Set, State, Table, Type, Value,
    Verdict, commit, counters, diff, generation, interface_counters, replace,
};
use sys::{conntrack, netns};

struct Folder(PathBuf, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = netns::delete_all(&self.0);
    }
}

fn in_a_namespace(work: impl FnOnce() + Send) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder(temp.path().join("netns"), temp);
    let path = folder.0.join("one");
    netns::create(&path).unwrap();
    netns::within(&path, || {
        Netlink::open().unwrap().set_up("lo").unwrap();
        work();
    })
    .unwrap();
}

/// A table in which every expression, type and kind of chain occurs.
fn everything() -> Table {
    let text = str::to_owned;
    let base = |kind, hook, priority| Some(Base { kind, hook, priority, accept: true });
    let fields = vec![Field::InputInterface, Field::Source];
    let mut table = Table { name: text("t"), counters: ["sg-1/in".to_owned()].into(), ..Table::default() };
    let mut pairs = Set::new(&[Type::Interface, Type::Ipv4]);
    let mut verdicts = Set::map(&[Type::Mark], Type::Verdict);
    let mut marks = Set::map(&[Type::Interface], Type::Mark);
    let mut addresses = Set::map(&[Type::Ipv4], Type::Ipv4);
    for n in 0..3000_u32 {
        let (name, ip) = (Value::Interface(format!("e{n}")), Value::Ipv4(Ipv4Addr::from(0x0a00_0000 + n)));
        pairs.elements.insert(vec![name.clone(), ip.clone()], None);
        verdicts.elements.insert(vec![Value::Mark(n)], Some(Value::Verdict(Verdict::Jump(text("plain")))));
        marks.elements.insert(vec![name], Some(Value::Mark(n)));
        addresses.elements.insert(vec![ip.clone()], Some(ip));
    }
    let ranges = (0..1000_u32).map(|n| (Ipv4Addr::from(n << 20), Ipv4Addr::from((n << 20) + 9)));
    let ranges = Set::intervals(ranges.chain([(Ipv4Addr::new(224, 0, 0, 0), Ipv4Addr::BROADCAST)]));
    let counts = Set::counters(Type::Interface);
    for (name, set) in [
        ("pairs", pairs),
        ("verdicts", verdicts),
        ("marks", marks),
        ("addresses", addresses),
        ("ranges", ranges),
        ("counts", counts),
    ] {
        table.sets.insert(text(name), set);
    }
    let udp = || E::Protocol(17);
    let plain = vec![
        vec![udp(), E::Ports { destination: true, from: 53, to: 54 }, E::Count(text("sg-1/in"))],
        vec![E::Protocol(1), E::IcmpType(8), E::IcmpCode(0), E::Verdict(Verdict::Return)],
        vec![
            E::Lookup { fields: fields.clone(), operator: Operator::IsNot, set: text("pairs") },
            E::SetMark(7),
        ],
        vec![E::SetMarkFrom { fields: vec![Field::OutputInterface], map: text("marks") }],
        vec![E::Log { group: 1, prefix: text("denied/here") }, E::Verdict(Verdict::Return)],
        vec![E::State(vec![State::Established, State::Related]), E::Original(true), E::FlowMark(1)],
        vec![E::DestinationTranslated(false), E::SetFlowMark(2), E::Verdict(Verdict::Goto(text("end")))],
        vec![E::Within(Field::Destination, Operator::IsNot, "10.0.0.0/8".parse().unwrap())],
        vec![E::Interface(Field::InputInterface, Operator::Is, text("lo")), E::Verdict(Verdict::Accept)],
        vec![
            E::Lookup { fields: vec![Field::Source], operator: Operator::Is, set: text("ranges") },
            E::CountBy { field: Field::InputInterface, set: text("counts") },
        ],
        vec![E::Fragment, E::Protocol(6), E::Reset],
    ];
    let hand_to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 198);
    let chains = [
        (
            "hand",
            Chain {
                base: base(Kind::Filter, Hook::Prerouting, -150),
                rules: vec![vec![udp(), E::HandTo(hand_to), E::SetMark(1), E::Verdict(Verdict::Accept)]],
                unordered: false,
            },
        ),
        ("end", Chain::new(vec![vec![E::Verdict(Verdict::Drop)]])),
        ("plain", Chain::new(plain)),
        (
            "forward",
            Chain {
                base: base(Kind::Filter, Hook::Forward, -5),
                rules: vec![
                    vec![E::VerdictMap { fields: vec![Field::Mark], map: text("verdicts") }],
                    vec![E::Protocol(6), E::ClampSegment(1460)],
                ],
                unordered: false,
            },
        ),
        (
            "dnat",
            Chain {
                base: base(Kind::Nat, Hook::Prerouting, -100),
                rules: vec![vec![E::DestinationFrom { map: text("addresses") }]],
                unordered: false,
            },
        ),
        (
            "snat",
            Chain {
                base: base(Kind::Nat, Hook::Postrouting, 100),
                rules: vec![
                    vec![E::SourceFrom { map: text("addresses") }],
                    vec![udp(), E::SourceTo { address: Ipv4Addr::LOCALHOST, ports: Some((1024, 65535)) }],
                    vec![E::SourceTo { address: Ipv4Addr::LOCALHOST, ports: None }],
                ],
                unordered: false,
            },
        ),
    ];
    table.chains.extend(chains.map(|(name, chain)| (text(name), chain)));
    table
}

#[test]
fn every_expression_is_taken_and_a_table_replaces_another_or_itself() {
    in_a_namespace(|| {
        let table = everything();
        replace(&table).unwrap();
        replace(&table).unwrap();
        assert_eq!(counters("t").unwrap(), [("sg-1/in".to_owned(), 0)].into());
        let empty = Table { name: "t".to_owned(), ..Table::default() };
        let before = generation().unwrap();
        commit("t", &diff(&table, &empty), Some(before)).unwrap();
        assert_eq!(generation().unwrap(), before + 1);
        assert!(counters("t").unwrap().is_empty());
        commit("t", &diff(&empty, &table), None).unwrap();
    });
}

#[test]
fn a_transaction_with_one_wrong_message_changes_nothing_and_names_it() {
    in_a_namespace(|| {
        let empty = Table { name: "t".to_owned(), ..Table::default() };
        replace(&empty).unwrap();
        let mut wrong = empty.clone();
        wrong.counters.insert("ghost".to_owned());
        wrong.chains.insert(
            "chain".to_owned(),
            Chain::new(vec![vec![E::Verdict(Verdict::Jump("nowhere".to_owned()))]]),
        );
        let before = generation().unwrap();
        let error = commit("t", &diff(&empty, &wrong), None).unwrap_err().to_string();
        assert!(error.contains("the chain chain the rule jump nowhere"), "{error}");
        assert!(counters("t").unwrap().is_empty());
        assert_eq!(generation().unwrap(), before);
    });
}

#[test]
fn a_change_for_an_older_generation_is_stale() {
    in_a_namespace(|| {
        let (empty, full) = (Table { name: "t".to_owned(), ..Table::default() }, everything());
        replace(&empty).unwrap();
        let before = generation().unwrap();
        replace(&empty).unwrap();
        let error = commit("t", &diff(&empty, &full), Some(before)).unwrap_err();
        assert!(matches!(error, CommitError::Stale), "{error}");
    });
}

#[test]
fn packets_are_counted_and_flows_are_listed_and_forgotten() {
    in_a_namespace(|| {
        let rule = vec![
            E::Protocol(17),
            E::Ports { destination: true, from: 9, to: 9 },
            E::State(vec![State::New]),
            E::Count("discard".to_owned()),
            E::Verdict(Verdict::Drop),
        ];
        let base = Some(Base { kind: Kind::Filter, hook: Hook::Input, priority: 0, accept: true });
        let table = Table {
            name: "t".to_owned(),
            counters: ["discard".to_owned()].into(),
            chains: [("input".to_owned(), Chain { base, ..Chain::new(vec![rule]) })].into(),
            ..Table::default()
        };
        replace(&table).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(b"x", "127.0.0.1:9").unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        socket.recv(&mut [0; 8]).unwrap();
        assert_eq!(counters("t").unwrap()["discard"], 1);
        let loopback = |flow: &conntrack::Flow| flow.addresses() == [Ipv4Addr::LOCALHOST; 4];
        assert_eq!(conntrack::flows().unwrap().iter().filter(|flow| loopback(flow)).count(), 2);
        assert_eq!(conntrack::forget(loopback).unwrap(), 2);
        assert_eq!(conntrack::flows().unwrap().len(), 0);
    });
}

#[test]
fn intervals_grow_and_shrink_and_packets_are_counted_by_interface() {
    in_a_namespace(|| {
        let address = |last: [u8; 2]| Ipv4Addr::new(127, 0, last[0], last[1]);
        let table = |ranges: &[([u8; 2], [u8; 2])]| {
            let ranges = ranges.iter().map(|(first, last)| (address(*first), address(*last)));
            let rule = vec![
                E::Lookup { fields: vec![Field::Destination], operator: Operator::Is, set: "in".to_owned() },
                E::CountBy { field: Field::InputInterface, set: "by".to_owned() },
                E::Verdict(Verdict::Drop),
            ];
            let base = Some(Base { kind: Kind::Filter, hook: Hook::Input, priority: 0, accept: true });
            Table {
                name: "t".to_owned(),
                sets: [
                    ("in".to_owned(), Set::intervals(ranges)),
                    ("by".to_owned(), Set::counters(Type::Interface)),
                ]
                .into(),
                chains: [("input".to_owned(), Chain { base, ..Chain::new(vec![rule]) })].into(),
                ..Table::default()
            }
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let hits = |to: &[[u8; 2]]| {
            let before = interface_counters("t", "by").unwrap().get("lo").copied().unwrap_or(0);
            for last in to {
                socket.send_to(b"x", (address(*last), 9)).unwrap();
            }
            interface_counters("t", "by").unwrap().get("lo").copied().unwrap_or(0) - before
        };
        let (one, two) = (([1, 0], [1, 255]), ([3, 5], [3, 9]));
        let steps: [&[([u8; 2], [u8; 2])]; 5] =
            [&[one, two], &[([1, 0], [3, 9])], &[([1, 10], [1, 19]), two], &[([3, 4], [3, 10])], &[]];
        let mut last = table(&[]);
        replace(&last).unwrap();
        assert!(interface_counters("t", "by").unwrap().is_empty());
        let mut found = Vec::new();
        for step in steps {
            let next = table(step);
            commit("t", &diff(&last, &next), Some(generation().unwrap())).unwrap();
            last = next;
            let ends = [
                [0, 255],
                [1, 0],
                [1, 10],
                [1, 19],
                [1, 20],
                [1, 255],
                [2, 0],
                [3, 4],
                [3, 5],
                [3, 9],
                [3, 10],
            ];
            found.push(ends.map(|end| hits(&[end])));
        }
        assert_eq!(
            found,
            [
                [0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0],
                [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0],
                [0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0],
                [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
                [0; 11],
            ]
        );
    });
}
