//! A NAT gateway: a namespace with one interface that translates what it is sent to its own private address.
//!
//! The packet then crosses the router again, under the route table of the gateway's own subnet, and gets its public
//! address from the internet gateway: a NAT gateway whose subnet lost its internet route is useless with no code for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sys::nft::{Base, Chain, Expression as E, Field, Hook, Kind, Operator, State, Table, Verdict};

use super::plan::{INTERFACE, router_sysctls};

/// Packets that a NAT gateway refuses: unsolicited ones, and protocols that it does not translate.
pub const UNSOLICITED: &str = "denied/nat-gateway";
/// The table's name in the gateway's namespace.
pub(super) const TABLE: &str = "nat_gateway";

/// ICMP, TCP and UDP: what a NAT gateway translates ("NAT gateway basics").
const PROTOCOLS: [u8; 3] = [1, 6, 17];

/// It forwards; and it forgets a connection that is silent for 350 seconds ("NAT gateway basics").
pub(super) fn sysctls() -> BTreeMap<String, String> {
    let mut sysctls = router_sysctls();
    for key in ["tcp_timeout_established", "udp_timeout", "udp_timeout_stream", "icmp_timeout"] {
        sysctls.insert(format!("net/netfilter/nf_conntrack_{key}"), "350".to_owned());
    }
    sysctls
}

/// What it has begun for the VPC goes on; what begins elsewhere, or is no protocol of its, is dropped and counted. Packets
/// to the VPC itself are translated too: a route more specific than the local one may lead here.
pub(super) fn table(address: Ipv4Addr, cidr_blocks: &[Ipv4Net]) -> Table {
    let chain = |kind, hook, priority, accept, rules| Chain::at(Base { kind, hook, priority, accept }, rules);
    let accept = || E::Verdict(Verdict::Accept);
    let drop = || E::Verdict(Verdict::Drop);
    let own = |operator| E::Within(Field::Source, operator, address.into());
    let foreign = || {
        vec![E::Interface(Field::OutputInterface, Operator::Is, INTERFACE.to_owned()), own(Operator::IsNot)]
    };
    let mut translate = Vec::new();
    for protocol in [6, 17] {
        // The ports that AWS's gateways use ("NAT gateway basics").
        let to = E::SourceTo { address, ports: Some((1024, 65535)) };
        translate.push([foreign(), vec![E::Protocol(protocol), to]].concat());
    }
    translate.push([foreign(), vec![E::SourceTo { address, ports: None }]].concat());

    let answers = || vec![E::State(vec![State::Established, State::Related]), accept()];
    let refused = || vec![E::Count(UNSOLICITED.to_owned())];
    // What it has sent must not come back to be sent again.
    let mut forward = vec![answers(), vec![own(Operator::Is), drop()]];
    for range in cidr_blocks {
        let source = || E::Within(Field::Source, Operator::Is, *range);
        // Who goes on with a connection that it forgot is told so ("Compare NAT gateways and NAT instances").
        forward.push(vec![E::State(vec![State::Invalid]), source(), E::Protocol(6), E::Reset]);
        forward.extend(
            PROTOCOLS
                .map(|protocol| vec![E::State(vec![State::New]), source(), E::Protocol(protocol), accept()]),
        );
    }
    forward.push(refused());
    // Before conntrack puts them together: pieces of UDP alone are taken ("NAT gateway basics").
    let pieces = [1, 6].map(|protocol| vec![E::Protocol(protocol), E::Fragment, drop()]);
    Table {
        name: TABLE.to_owned(),
        counters: [UNSOLICITED.to_owned()].into(),
        chains: BTreeMap::from([
            ("pieces".to_owned(), chain(Kind::Filter, Hook::Prerouting, -450, true, pieces.into())),
            ("translate".to_owned(), chain(Kind::Nat, Hook::Postrouting, 100, true, translate)),
            ("forward".to_owned(), chain(Kind::Filter, Hook::Forward, 0, false, forward)),
            ("input".to_owned(), chain(Kind::Filter, Hook::Input, 0, false, vec![answers(), refused()])),
        ]),
        ..Table::default()
    }
}
