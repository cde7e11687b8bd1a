//! A VPC's packet filter: who sent a packet, which subnet it is in, the internet gateway, and the chains in which
//! network ACLs and security groups stand.
//!
//! A packet through the router meets, in this order: `classify` (source check, subnet mark), the route lookup by the
//! mark, `check_destination`, `igw_guard`, `nacl_leave`, `nacl_enter`, `sg_egress`, `sg_ingress`. Each is a base chain
//! of its own, because `accept` ends only the base chain that it stands in.

use std::net::Ipv4Addr;

use desired::Vpc;
use ipnet::Ipv4Net;
use sys::nft::{
    Base, Chain, Expression as E, Field, Hook, Kind, Operator, Rule, Set, State, Table, Type, Value, Verdict,
};

use super::plan::{DNS, INTERNET_GATEWAY, Leg, TASK_METADATA};
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

/// TCP through an internet gateway: 1500 bytes less the IP and TCP headers.
const INTERNET_SEGMENT: u16 = 1460;

/// Writes a table.
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
        self.table.chains.insert(name.to_owned(), Chain { base: None, rules });
    }

    fn base(&mut self, name: &str, base: Base, rules: Vec<Rule>) {
        self.table.chains.insert(name.to_owned(), Chain { base: Some(base), rules });
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

pub(super) fn drop() -> E {
    E::Verdict(Verdict::Drop)
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
    facts(&mut writer, vpc, legs);
    classify(&mut writer);
    internet_gateway(&mut writer);
    network_acl::write(&mut writer, vpc);
    security_group::write(&mut writer, vpc, legs);
    input(&mut writer, dns);
    writer.table
}

/// One element an interface, a public address or a subnet: what changes most often changes least.
fn facts(writer: &mut Writer, vpc: &Vpc, legs: &[Leg<'_>]) {
    for (name, set) in [
        ("eni_subnet", Set::map(&[Type::Interface], Type::Mark)),
        ("eni_address", Set::new(&[Type::Interface, Type::Ipv4])),
        ("eni_unchecked", Set::new(&[Type::Interface])),
        ("subnet_eni", Set::new(&[Type::Mark, Type::Interface])),
        ("nat_gateways", Set::new(&[Type::Interface])),
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
        writer.element("subnet_eni", vec![mark, name.clone()], None);
        writer.element("eni_address", vec![name.clone(), address.clone()], None);
        if !leg.interface.source_dest_check || leg.is_nat_gateway() {
            writer.element("eni_unchecked", vec![name.clone()], None);
        }
        if leg.is_nat_gateway() {
            writer.element("nat_gateways", vec![name], None);
        }
        if let Some(public) = leg.interface.public_address.filter(|_| vpc.internet_gateway) {
            let public = Value::Ipv4(public);
            writer.element("public_to_private", vec![public.clone()], Some(address.clone()));
            writer.element("private_to_public", vec![address.clone()], Some(public));
            writer.element("has_public", vec![address], None);
        }
    }
}

/// Who sent it, and which subnet's route table holds. A packet to an interface that has another address is dropped
/// too: both are the source/destination check.
fn classify(writer: &mut Writer) {
    use Field::{Destination, InputInterface, OutputInterface, Source};
    let mark = || E::SetMarkFrom { fields: vec![InputInterface], map: "eni_subnet".to_owned() };
    let rules = vec![
        vec![from("lo"), accept()],
        vec![from(INTERNET_GATEWAY), E::SetMark(0), accept()],
        vec![is_in(&[InputInterface, Source], "eni_address"), mark(), accept()],
        vec![is_in(&[InputInterface], "eni_unchecked"), mark(), accept()],
        vec![writer.count(SPOOFED), log(SPOOFED)],
    ];
    // Before conntrack, so that a spoofed packet leaves no flow behind.
    writer.base("classify", filter(Hook::Prerouting, -300, false), rules);
    let rules = vec![
        vec![to(INTERNET_GATEWAY), accept()],
        vec![is_in(&[OutputInterface, Destination], "eni_address"), accept()],
        vec![is_in(&[OutputInterface], "eni_unchecked"), accept()],
        vec![writer.count(MISDIRECTED), log(MISDIRECTED)],
    ];
    writer.base("check_destination", filter(Hook::Forward, -40, false), rules);
}

/// 1:1 translation between public and private addresses, hairpins included.
fn internet_gateway(writer: &mut Writer) {
    let nat = |hook, priority| Base { kind: Kind::Nat, hook, priority, accept: true };
    let rule = vec![from(INTERNET_GATEWAY), E::DestinationFrom { map: "public_to_private".to_owned() }];
    writer.base("igw_in", nat(Hook::Prerouting, -100), vec![rule]);
    let rule = vec![to(INTERNET_GATEWAY), E::SourceFrom { map: "private_to_public".to_owned() }];
    writer.base("igw_out", nat(Hook::Postrouting, 100), vec![rule]);
    let rules = vec![
        // Such a packet would not be translated.
        vec![E::State(vec![State::Invalid]), writer.count(INVALID), log(INVALID), drop()],
        vec![
            to(INTERNET_GATEWAY),
            E::Original(true),
            is_not_in(&[Field::Source], "has_public"),
            writer.count(NO_PUBLIC_ADDRESS),
            log(NO_PUBLIC_ADDRESS),
            drop(),
        ],
        vec![
            from(INTERNET_GATEWAY),
            E::Original(true),
            E::DestinationTranslated(false),
            writer.count(NOT_ADDRESSED),
            drop(),
        ],
    ];
    writer.base("igw_guard", filter(Hook::Forward, -30, true), rules);
    let clamp = |end| vec![end, E::Protocol(6), E::ClampSegment(INTERNET_SEGMENT)];
    let rules = vec![clamp(from(INTERNET_GATEWAY)), clamp(to(INTERNET_GATEWAY))];
    writer.base("igw_clamp", filter(Hook::Forward, -150, true), rules);
}

/// The base chains of network ACLs. Packets inside one subnet never meet them.
pub(super) fn network_acl_bases(writer: &mut Writer) {
    let inside = || vec![is_in(&[Field::Mark, Field::OutputInterface], "subnet_eni"), accept()];
    let rules = vec![inside(), vec![verdict_of(Field::Mark, "nacl_out")]];
    writer.base("nacl_leave", filter(Hook::Forward, -20, true), rules);
    let destination = E::SetMarkFrom { fields: vec![Field::OutputInterface], map: "eni_subnet".to_owned() };
    let rules =
        vec![inside(), vec![E::SetMark(0)], vec![destination], vec![verdict_of(Field::Mark, "nacl_in")]];
    writer.base("nacl_enter", filter(Hook::Forward, -15, true), rules);
}

/// The base chains of security groups. A tracked flow goes on whatever becomes of its rule: bit 1 of its mark says
/// that the sender's side tracks it, bit 2 that the receiver's does. What is not tracked is looked up again and again.
pub(super) fn security_group_bases(writer: &mut Writer) {
    let tracked = |original, bit| {
        vec![E::State(vec![State::Established]), E::Original(original), E::FlowMark(bit), accept()]
    };
    let related = || vec![E::State(vec![State::Related]), accept()];
    let rules = vec![
        vec![from(INTERNET_GATEWAY), accept()],
        vec![is_in(&[Field::InputInterface], "nat_gateways"), accept()],
        related(),
        tracked(true, security_group::SENDER),
        tracked(false, security_group::RECEIVER),
        // `jump`, not `goto`, in the map: else the counter behind it would never count.
        vec![verdict_of(Field::InputInterface, "sg_out")],
        vec![writer.count(EGRESS_DENIED), log(EGRESS_DENIED)],
    ];
    writer.base("sg_egress", filter(Hook::Forward, 0, false), rules);
    let rules = vec![
        vec![to(INTERNET_GATEWAY), accept()],
        vec![is_in(&[Field::OutputInterface], "nat_gateways"), accept()],
        related(),
        tracked(true, security_group::RECEIVER),
        tracked(false, security_group::SENDER),
        vec![verdict_of(Field::OutputInterface, "sg_in")],
        vec![writer.count(INGRESS_DENIED), log(INGRESS_DENIED)],
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
        vec![from(INTERNET_GATEWAY), writer.count(NO_SERVICE), drop()],
        vec![E::State(vec![State::Established, State::Related]), accept()],
    ];
    for address in [dns, DNS] {
        rules.extend([at(address, 17, 53), at(address, 6, 53)]);
    }
    rules.push(at(TASK_METADATA, 6, 80));
    rules.push(vec![writer.count(NO_SERVICE)]);
    writer.base("input", filter(Hook::Input, 0, false), rules);
}
