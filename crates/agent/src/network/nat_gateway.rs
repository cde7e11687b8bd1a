//! A NAT gateway: a namespace with one interface that translates what it is sent to its own private address.
//!
//! The packet then crosses the router again, under the route table of the gateway's own subnet, and gets its public
//! address from the internet gateway: a NAT gateway whose subnet lost its internet route is useless with no code for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sys::nft::{Base, Chain, Expression as E, Field, Hook, Kind, Operator, State, Table, Verdict};

use super::plan::{INTERFACE, router_sysctls};

/// It forwards; and it forgets a TCP connection that is silent for 350 seconds ("NAT gateway basics").
pub(super) fn sysctls() -> BTreeMap<String, String> {
    let mut sysctls = router_sysctls();
    sysctls.insert("net/netfilter/nf_conntrack_tcp_timeout_established".to_owned(), "350".to_owned());
    sysctls
}

pub(super) fn table(address: Ipv4Addr, cidr_blocks: &[Ipv4Net]) -> Table {
    let chain = |kind, hook, priority, accept, rules| Chain {
        base: Some(Base { kind, hook, priority, accept }),
        rules,
    };
    let foreign = || {
        vec![
            E::Interface(Field::OutputInterface, Operator::Is, INTERFACE.to_owned()),
            E::Within(Field::Source, Operator::IsNot, address.into()),
        ]
    };
    let mut translate = Vec::new();
    for protocol in [6, 17] {
        // The ports that AWS's gateways use ("NAT gateway basics").
        let to = E::SourceTo { address, ports: Some((1024, 65535)) };
        translate.push([foreign(), vec![E::Protocol(protocol), to]].concat());
    }
    translate.push([foreign(), vec![E::SourceTo { address, ports: None }]].concat());

    let answers = || vec![E::State(vec![State::Established, State::Related]), E::Verdict(Verdict::Accept)];
    // From the VPC to what is outside of it, nothing else.
    let mut forward = vec![answers()];
    for range in cidr_blocks {
        forward.push(vec![E::Within(Field::Destination, Operator::Is, *range), E::Verdict(Verdict::Drop)]);
    }
    for range in cidr_blocks {
        let begins = vec![E::State(vec![State::New]), E::Within(Field::Source, Operator::Is, *range)];
        forward.push([begins, vec![E::Verdict(Verdict::Accept)]].concat());
    }
    Table {
        name: "nat_gateway".to_owned(),
        chains: BTreeMap::from([
            ("translate".to_owned(), chain(Kind::Nat, Hook::Postrouting, 100, true, translate)),
            ("forward".to_owned(), chain(Kind::Filter, Hook::Forward, 0, false, forward)),
            ("input".to_owned(), chain(Kind::Filter, Hook::Input, 0, false, vec![answers()])),
        ]),
        ..Table::default()
    }
}
