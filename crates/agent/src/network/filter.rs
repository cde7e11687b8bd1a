//! A VPC's packet filter: who sent a packet, which subnet it is in, the internet gateway, and the chains in which
//! network ACLs and security groups stand.
//!
//! A packet through the router meets, in this order: `classify` (source check, subnet mark), the route lookup by the
//! mark, `guard`, `nacl`, `sg_egress`, `sg_ingress`. Each is a base chain of its own, because `accept` ends only the base
//! chain that it stands in; and each costs every packet something.

use std::net::Ipv4Addr;

use desired::Vpc;
use ipnet::Ipv4Net;
use sys::nft::{
    Base, Chain, Expression as E, Field, Hook, Kind, Operator, Rule, Set, State, Table, Type, Value, Verdict,
};

use super::plan::{DNS, INTERNET_GATEWAY, Leg, NOWHERE, TASK_METADATA, endpoint_link, peering_link};
use super::{network_acl, security_group};

/// The table's name in the VPC's namespace.
pub const TABLE: &str = "vpc";
/// Packets whose source is not their interface's own.
pub const SPOOFED: &str = "denied/source-check";
/// Packets for an interface that has another address.
pub const MISDIRECTED: &str = "denied/destination-check";
/// Packets that belong to no flow and cannot begin one.
pub const INVALID: &str = "denied/invalid";
/// Packets to the internet from an interface without a public address.
pub const NO_PUBLIC_ADDRESS: &str = "denied/no-public-address";
/// Packets from the internet to something that is no public address of the VPC.
pub const NOT_ADDRESSED: &str = "denied/not-addressed";
/// Packets that no egress rule allows.
pub const EGRESS_DENIED: &str = "denied/security-group-egress";
/// Packets that no ingress rule allows.
pub const INGRESS_DENIED: &str = "denied/security-group-ingress";
/// Packets to the router itself for which there is no service.
pub const NO_SERVICE: &str = "denied/router";
/// The group of the log that refused packets are handed to.
pub const LOG_GROUP: u16 = 1;
/// Packets that an entry of their subnet's network ACL, or its `*`, does not let out.
pub const NOT_LET_OUT: &str = "denied/network-acl-egress";
/// Packets that an entry of a subnet's network ACL, or its `*`, does not let in.
pub const NOT_LET_IN: &str = "denied/network-acl-ingress";
/// Packets for which the subnet's route table has no route, or one whose target is gone.
pub const NO_ROUTE: &str = "denied/no-route";
/// Packets to an address of the VPC that no interface has.
pub const NO_INTERFACE: &str = "denied/no-interface";

/// Why a packet is dropped, and by which field its interface is known: the sender's, or the receiver's where its side
/// decides.
pub(super) const REASONS: [(&str, Field); 12] = [
    (SPOOFED, Field::InputInterface),
    (MISDIRECTED, Field::OutputInterface),
    (INVALID, Field::InputInterface),
    (NO_PUBLIC_ADDRESS, Field::InputInterface),
    (NOT_ADDRESSED, Field::InputInterface),
    (EGRESS_DENIED, Field::InputInterface),
    (INGRESS_DENIED, Field::OutputInterface),
    (NO_SERVICE, Field::InputInterface),
    (NOT_LET_OUT, Field::InputInterface),
    (NOT_LET_IN, Field::OutputInterface),
    (NO_ROUTE, Field::InputInterface),
    (NO_INTERFACE, Field::InputInterface),
];

/// The reasons that are in no flow record, or are logged where they are found.
const UNLOGGED: [&str; 6] = [NOT_ADDRESSED, NO_SERVICE, NOT_LET_OUT, NOT_LET_IN, NO_ROUTE, NO_INTERFACE];

/// TCP through an internet gateway: 1500 bytes less the IP and TCP headers.
const INTERNET_SEGMENT: u16 = 1460;

/// Writes a table.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) table: Table,
}

impl Writer {
    /// Counts in a counter, which is made.
    pub(super) fn count(&mut self, name: &str) -> E {
        self.table.counters.insert(name.to_owned());
        E::Count(name.to_owned())
    }

    pub(super) fn set(&mut self, name: &str, set: Set) {
        self.table.sets.insert(name.to_owned(), set);
    }

    /// Puts a key without a value into a set that was made.
    pub(super) fn element(&mut self, set: &str, key: Vec<Value>, value: Option<Value>) {
        if let Some(set) = self.table.sets.get_mut(set) {
            set.elements.insert(key, value);
        }
    }

    pub(super) fn chain(&mut self, name: &str, rules: Vec<Rule>) {
        self.table.chains.insert(name.to_owned(), Chain::new(rules));
    }

    /// A chain in which the order of rules means nothing.
    pub(super) fn unordered(&mut self, name: &str, rules: Vec<Rule>) {
        self.table.chains.insert(name.to_owned(), Chain::unordered(rules));
    }

    fn base(&mut self, name: &str, base: Base, rules: Vec<Rule>) {
        self.table.chains.insert(name.to_owned(), Chain::at(base, rules));
    }
}

/// Hands a packet that is refused to who collects flow records. The name is the counter's: it is the reason.
pub(super) fn log(name: &str) -> E {
    E::Log { group: LOG_GROUP, prefix: name.to_owned() }
}

fn filter(hook: Hook, priority: i32, accept: bool) -> Base {
    Base { kind: Kind::Filter, hook, priority, accept }
}

pub(super) fn accept() -> E {
    E::Verdict(Verdict::Accept)
}

/// Drops and counts, for the reason and for the interface.
pub(super) fn deny(reason: &str) -> E {
    E::Verdict(Verdict::Goto(reason.to_owned()))
}

pub(super) fn link(name: &str) -> Value {
    Value::Interface(name.to_owned())
}

pub(super) fn is_in(fields: &[Field], set: &str) -> E {
    E::Lookup { fields: fields.to_vec(), operator: Operator::Is, set: set.to_owned() }
}

pub(super) fn is_not_in(fields: &[Field], set: &str) -> E {
    E::Lookup { fields: fields.to_vec(), operator: Operator::IsNot, set: set.to_owned() }
}

pub(super) fn verdict_of(field: Field, map: &str) -> E {
    E::VerdictMap { fields: vec![field], map: map.to_owned() }
}

fn from(name: &str) -> E {
    E::Interface(Field::InputInterface, Operator::Is, name.to_owned())
}

fn to(name: &str) -> E {
    E::Interface(Field::OutputInterface, Operator::Is, name.to_owned())
}

/// The table of a VPC.
pub(super) fn table(vpc: &Vpc, legs: &[Leg<'_>], dns: Ipv4Addr) -> Table {
    let table = Table { name: TABLE.to_owned(), ..Table::default() };
    let mut writer = Writer { table };
    denials(&mut writer);
    facts(&mut writer, vpc, legs);
    peerings(&mut writer, vpc);
    classify(&mut writer);
    internet_gateway(&mut writer);
    guard(&mut writer, vpc);
    network_acl::write(&mut writer, vpc);
    security_group::write(&mut writer, vpc, legs);
    input(&mut writer, dns);
    writer.table
}

/// A chain a reason. What it counts by interface costs nothing until a packet is dropped. A network ACL logs by itself,
/// with the entry's name; what has found no interface of the VPC, or no way to one, is in no flow record.
fn denials(writer: &mut Writer) {
    for (reason, field) in REASONS {
        writer.set(reason, Set::counters(Type::Interface));
        let total = writer.count(reason);
        let own = E::CountBy { field, set: reason.to_owned() };
        let mut last = vec![E::Verdict(Verdict::Drop)];
        if !UNLOGGED.contains(&reason) {
            last.insert(0, log(reason));
        }
        writer.chain(reason, vec![vec![total], vec![own], last]);
    }
}

/// One element an interface, a public address or a subnet: what changes most often changes least.
fn facts(writer: &mut Writer, vpc: &Vpc, legs: &[Leg<'_>]) {
    for (name, set) in [
        ("eni_subnet", Set::map(&[Type::Interface], Type::Mark)),
        ("eni_source", Set::map(&[Type::Interface, Type::Ipv4], Type::Mark)),
        ("eni_address", Set::new(&[Type::Interface, Type::Ipv4])),
        ("eni_unchecked", Set::new(&[Type::Interface])),
        ("subnet_eni", Set::new(&[Type::Mark, Type::Interface])),
        ("any_destination", Set::new(&[Type::Interface])),
        ("no_services", Set::new(&[Type::Interface])),
        ("public_to_private", Set::map(&[Type::Ipv4], Type::Ipv4)),
        ("private_to_public", Set::map(&[Type::Ipv4], Type::Ipv4)),
        ("has_public", Set::new(&[Type::Ipv4])),
    ] {
        writer.set(name, set);
    }
    for leg in legs {
        let (name, address) = (link(&leg.link()), Value::Ipv4(leg.interface.address));
        let mark = Value::Mark(leg.subnet.number);
        writer.element("eni_subnet", vec![name.clone()], Some(mark.clone()));
        writer.element("eni_source", vec![name.clone(), address.clone()], Some(mark.clone()));
        writer.element("subnet_eni", vec![mark, name.clone()], None);
        writer.element("eni_address", vec![name.clone(), address.clone()], None);
        if !leg.interface.source_dest_check || leg.is_nat_gateway() {
            writer.element("eni_unchecked", vec![name.clone()], None);
            writer.element("any_destination", vec![name], None);
        }
        if let Some(public) = leg.interface.public_address.filter(|_| vpc.internet_gateway) {
            let public = Value::Ipv4(public);
            writer.element("public_to_private", vec![public.clone()], Some(address.clone()));
            writer.element("private_to_public", vec![address.clone()], Some(public));
            writer.element("has_public", vec![address], None);
        }
    }
    for name in ["any_destination", "no_services"] {
        writer.element(name, vec![link(INTERNET_GATEWAY)], None);
    }
    // A gateway endpoint sends from the service's addresses alone, under no subnet's table and ACL.
    for endpoint in &vpc.gateway_endpoints {
        let name = link(&endpoint_link(&endpoint.id));
        writer.element("eni_subnet", vec![name.clone()], Some(Value::Mark(0)));
        for address in &endpoint.addresses {
            let key = vec![name.clone(), Value::Ipv4(*address)];
            writer.element("eni_source", key.clone(), Some(Value::Mark(0)));
            writer.element("eni_address", key, None);
        }
        writer.element("no_services", vec![name], None);
    }
}

/// From a peered VPC only its own addresses come, and they find interfaces alone: no table and no gateway of this VPC.
fn peerings(writer: &mut Writer, vpc: &Vpc) {
    writer.set("peered", Set::map(&[Type::Interface], Type::Verdict));
    for peering in &vpc.peerings {
        let (name, chain) = (link(&peering_link(&peering.id)), format!("{}/source", peering.id));
        let own = |range: &Ipv4Net| {
            vec![E::Within(Field::Source, Operator::Is, range.trunc()), E::SetMark(0), accept()]
        };
        writer.chain(&chain, peering.cidr_blocks.iter().map(own).collect());
        let to = Value::Verdict(Verdict::Jump(chain));
        writer.element("peered", vec![name.clone()], Some(to));
        writer.element("any_destination", vec![name.clone()], None);
        writer.element("no_services", vec![name], None);
    }
}

/// Who sent it, and which subnet's route table holds. A packet to an interface that has another address is dropped
/// too: both are the source/destination check.
fn classify(writer: &mut Writer) {
    use Field::{InputInterface, Source};
    let mark = |fields: &[Field], map: &str| E::SetMarkFrom { fields: fields.to_vec(), map: map.to_owned() };
    let rules = vec![
        vec![mark(&[InputInterface, Source], "eni_source"), accept()],
        vec![is_in(&[InputInterface], "eni_unchecked"), mark(&[InputInterface], "eni_subnet"), accept()],
        vec![from("lo"), accept()],
        vec![from(INTERNET_GATEWAY), E::SetMark(0), accept()],
        vec![verdict_of(InputInterface, "peered")],
        vec![deny(SPOOFED)],
    ];
    // Before conntrack, so that a spoofed packet leaves no flow behind.
    writer.base("classify", filter(Hook::Prerouting, -300, false), rules);
}

/// 1:1 translation between public and private addresses, hairpins included.
fn internet_gateway(writer: &mut Writer) {
    let nat = |hook, priority| Base { kind: Kind::Nat, hook, priority, accept: true };
    let rule = vec![from(INTERNET_GATEWAY), E::DestinationFrom { map: "public_to_private".to_owned() }];
    writer.base("igw_in", nat(Hook::Prerouting, -100), vec![rule]);
    let rule = vec![to(INTERNET_GATEWAY), E::SourceFrom { map: "private_to_public".to_owned() }];
    writer.base("igw_out", nat(Hook::Postrouting, 100), vec![rule]);
    let clamp = || vec![E::Protocol(6), E::ClampSegment(INTERNET_SEGMENT)];
    let unaddressed = vec![E::Original(true), E::DestinationTranslated(false), deny(NOT_ADDRESSED)];
    writer.chain("from_internet", vec![unaddressed, clamp()]);
    let private = vec![E::Original(true), is_not_in(&[Field::Source], "has_public"), deny(NO_PUBLIC_ADDRESS)];
    writer.chain("to_internet", vec![private, clamp()]);
}

/// What may not go on whatever groups and ACLs say: no flow, no route, no such interface, no public address.
fn guard(writer: &mut Writer, vpc: &Vpc) {
    use Field::{Destination, OutputInterface};
    let jump = |chain: &str| E::Verdict(Verdict::Jump(chain.to_owned()));
    let mut rules = vec![
        // Such a packet would not be translated.
        vec![E::State(vec![State::Invalid]), deny(INVALID)],
        vec![from(INTERNET_GATEWAY), jump("from_internet")],
        vec![is_in(&[OutputInterface, Destination], "eni_address"), accept()],
        vec![to(INTERNET_GATEWAY), jump("to_internet")],
        vec![is_in(&[OutputInterface], "any_destination"), accept()],
    ];
    for range in &vpc.cidr_blocks {
        rules.push(vec![to(NOWHERE), E::Within(Destination, Operator::Is, *range), deny(NO_INTERFACE)]);
    }
    rules.extend([vec![to(NOWHERE), deny(NO_ROUTE)], vec![deny(MISDIRECTED)]]);
    writer.base("guard", filter(Hook::Forward, -40, false), rules);
}

/// The base chain of network ACLs. Packets inside one subnet never meet them; all others meet the one of the subnet that
/// they leave, then the one of the subnet that they enter. What an ACL allows returns from its chain.
pub(super) fn network_acl_base(writer: &mut Writer) {
    let destination = E::SetMarkFrom { fields: vec![Field::OutputInterface], map: "eni_subnet".to_owned() };
    let rules = vec![
        vec![is_in(&[Field::Mark, Field::OutputInterface], "subnet_eni"), accept()],
        vec![verdict_of(Field::Mark, "nacl_out")],
        vec![E::SetMark(0)],
        vec![destination],
        vec![verdict_of(Field::Mark, "nacl_in")],
    ];
    writer.base("nacl", filter(Hook::Forward, -20, true), rules);
}

/// The base chains of security groups. A tracked flow goes on whatever becomes of its rule: bit 1 of its mark says
/// that the sender's side tracks it, bit 2 that the receiver's does. What is not tracked is looked up again and again. The
/// maps have a verdict for every link that no group is asked about.
pub(super) fn security_group_bases(writer: &mut Writer) {
    let tracked = |original, bit| {
        vec![E::State(vec![State::Established]), E::Original(original), E::FlowMark(bit), accept()]
    };
    let related = || vec![E::State(vec![State::Related]), accept()];
    // What most packets are: of a flow that both sides track.
    let both = || {
        let bits = security_group::SENDER | security_group::RECEIVER;
        vec![E::State(vec![State::Established]), E::FlowMark(bits), accept()]
    };
    let rules = vec![
        both(),
        related(),
        tracked(true, security_group::SENDER),
        tracked(false, security_group::RECEIVER),
        // `jump`, not `goto`, in the map: else the counter behind it would never count.
        vec![verdict_of(Field::InputInterface, "sg_out")],
        vec![deny(EGRESS_DENIED)],
    ];
    writer.base("sg_egress", filter(Hook::Forward, 0, false), rules);
    let rules = vec![
        both(),
        related(),
        tracked(true, security_group::RECEIVER),
        tracked(false, security_group::SENDER),
        vec![verdict_of(Field::OutputInterface, "sg_in")],
        vec![deny(INGRESS_DENIED)],
    ];
    writer.base("sg_ingress", filter(Hook::Forward, 10, false), rules);
}

/// The router's own services: security groups and network ACLs do not apply to them, as on AWS.
fn input(writer: &mut Writer, dns: Ipv4Addr) {
    let at = |address: Ipv4Addr, protocol, port| {
        vec![
            E::Within(Field::Destination, Operator::Is, Ipv4Net::from(address)),
            E::Protocol(protocol),
            E::Ports { destination: true, from: port, to: port },
            accept(),
        ]
    };
    let mut rules = vec![
        vec![from("lo"), accept()],
        vec![is_in(&[Field::InputInterface], "no_services"), deny(NO_SERVICE)],
        vec![E::State(vec![State::Established, State::Related]), accept()],
    ];
    for address in [dns, DNS] {
        rules.extend([at(address, 17, 53), at(address, 6, 53)]);
    }
    rules.push(at(TASK_METADATA, 6, 80));
    rules.push(vec![deny(NO_SERVICE)]);
    writer.base("input", filter(Hook::Input, 0, false), rules);
}
