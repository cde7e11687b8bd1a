//! Security groups: two chains a group and direction, first what need not be tracked, then what is; an interface in several
//! groups jumps to each. Within a chain the order means nothing, so that a rule that comes is one rule more.
//!
//! What is tracked follows the page "Amazon EC2 security group connection tracking": a TCP or UDP flow is not tracked
//! when a rule lets it in (or out) for all addresses and the interface's rules of the other direction let all answers
//! through on every port to all addresses; unless it runs through a NAT gateway or an interface endpoint. ICMP always is.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use desired::{InterfaceKind, Peer, Protocol, Rule as GroupRule, SecurityGroup, Vpc};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use sys::nft::{Expression as E, Field, Operator, Rule, Set, State, Type, Value, Verdict};
use types::{PrefixListId, SecurityGroupId};

use super::filter::{Writer, accept, is_in, is_not_in, link, security_group_bases};
use super::matches;
use super::plan::{INTERNET_GATEWAY, Leg, endpoint_link, peering_link};

/// The flow mark's bit of the side that sent the first packet.
pub(super) const SENDER: u32 = 1;
/// The flow mark's bit of the side that received it.
pub(super) const RECEIVER: u32 = 2;

/// The two directions of a security group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the interface.
    Ingress,
    /// From the interface.
    Egress,
}

impl Direction {
    /// Its name in chains and counters.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    fn rules(self, group: &SecurityGroup) -> &[GroupRule] {
        match self {
            Direction::Ingress => &group.ingress,
            Direction::Egress => &group.egress,
        }
    }

    fn other(self) -> Self {
        match self {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        }
    }

    /// The interface whose group it is, the other interface, and the other end's address.
    fn fields(self) -> (Field, Field, Field) {
        match self {
            Direction::Ingress => (Field::OutputInterface, Field::InputInterface, Field::Source),
            Direction::Egress => (Field::InputInterface, Field::OutputInterface, Field::Destination),
        }
    }

    fn map(self) -> &'static str {
        match self {
            Direction::Ingress => "sg_in",
            Direction::Egress => "sg_out",
        }
    }

    fn track(self) -> &'static str {
        match self {
            Direction::Ingress => "track_receiver",
            Direction::Egress => "track_sender",
        }
    }

    /// The set of the interfaces whose rules of this direction let everything of a protocol through.
    fn open(self, protocol: Protocol) -> String {
        let protocol = if protocol == Protocol::Tcp { "tcp" } else { "udp" };
        format!("open_{}_{protocol}", self.name())
    }
}

/// The name of the counter of a rule: it is made of what the rule says, as rules have no order.
pub fn rule_counter(group: &SecurityGroupId, direction: Direction, rule: &GroupRule) -> String {
    let protocol = match rule.protocol {
        Protocol::All => "all".to_owned(),
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Number(number) => number.to_string(),
    };
    let ports = rule.ports.map_or("all".to_owned(), |ports| format!("{}-{}", ports.from, ports.to));
    let peer = match &rule.peer {
        Peer::Cidr(range) => range.to_string(),
        Peer::Group(peer) => peer.to_string(),
        Peer::PrefixList(list) => list.to_string(),
    };
    format!("{group}/{}/{protocol}/{ports}/{peer}", direction.name())
}

/// The links of [`Leg::is_always_tracked`].
const ALWAYS_TRACKED: &str = "always_tracked";
/// The chain of what may only answer.
const ANSWERS: &str = "answers";

/// The set of the private addresses of a group's interfaces.
fn members(group: &SecurityGroupId) -> String {
    format!("{group}/members")
}

pub(super) fn write(writer: &mut Writer, vpc: &Vpc, legs: &[Leg<'_>]) {
    for direction in [Direction::Ingress, Direction::Egress] {
        writer.set(direction.map(), Set::map(&[Type::Interface], Type::Verdict));
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            writer.set(&direction.open(protocol), Set::new(&[Type::Interface]));
        }
    }
    for group in &vpc.security_groups {
        writer.set(&members(&group.id), Set::new(&[Type::Ipv4]));
    }
    for list in &vpc.prefix_lists {
        writer.set(&entries(&list.id), Set::intervals(merged(&list.entries)));
    }
    peers(writer, vpc);
    outside(writer, vpc);
    writer.set(ALWAYS_TRACKED, Set::new(&[Type::Interface]));
    for leg in legs {
        if leg.is_always_tracked() {
            writer.element(ALWAYS_TRACKED, vec![link(&leg.link())], None);
        }
        if leg.is_nat_gateway() {
            pass(writer, &leg.link(), Verdict::Accept, Verdict::Accept);
        } else {
            interface(writer, vpc, leg);
        }
    }
    // Only a flow's first packets decide whether it is tracked: a rule that is changed later does not catch it.
    for (chain, bit) in [("track_sender", SENDER), ("track_receiver", RECEIVER)] {
        writer.chain(chain, vec![vec![E::State(vec![State::New]), E::SetFlowMark(bit)], vec![accept()]]);
    }
    for group in &vpc.security_groups {
        chains(writer, vpc, group);
    }
    security_group_bases(writer);
}

/// The chains of a group, and the counters of its rules.
pub(super) fn chains(writer: &mut Writer, vpc: &Vpc, group: &SecurityGroup) {
    for direction in [Direction::Ingress, Direction::Egress] {
        let (name, untracked) = (chain(&group.id, direction), untracked(&group.id, direction));
        let mut first: Vec<Rule> = Vec::new();
        let mut then = vec![vec![E::Verdict(Verdict::Jump(untracked.clone()))]];
        for rule in direction.rules(group) {
            group_rule(writer, vpc, group, direction, rule, &mut first, &mut then);
        }
        writer.unordered(&untracked, first);
        writer.unordered(&name, then);
    }
}

/// Which of a group's directions let everything of TCP or UDP through: other chains than its own depend on that.
pub(super) fn openings(group: &SecurityGroup) -> Vec<(Direction, Protocol)> {
    let mut openings = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let opens = |rule: &GroupRule| opens(rule, protocol) && matches::every_port(rule.ports);
            if direction.rules(group).iter().any(opens) {
                openings.push((direction, protocol));
            }
        }
    }
    openings
}

fn chain(group: &SecurityGroupId, direction: Direction) -> String {
    format!("{group}/{}", direction.name())
}

fn untracked(group: &SecurityGroupId, direction: Direction) -> String {
    format!("{group}/{}/untracked", direction.name())
}

/// The set of a prefix list's ranges.
fn entries(list: &PrefixListId) -> String {
    format!("{list}/entries")
}

/// Ranges as the kernel keeps them: in order, and none that overlaps or touches another.
fn merged(entries: &[Ipv4Net]) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut ends: Vec<_> = entries.iter().map(|range| (range.network(), range.broadcast())).collect();
    ends.sort_unstable();
    let mut ranges: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for (first, last) in ends {
        match ranges.last_mut() {
            Some((_, end)) if u32::from(first) <= u32::from(*end).saturating_add(1) => *end = last.max(*end),
            _ => ranges.push((first, last)),
        }
    }
    ranges
}

/// The groups of peered VPCs. Their members are known by link and address: another peer may have the same address.
fn peers(writer: &mut Writer, vpc: &Vpc) {
    for peering in &vpc.peerings {
        let name = link(&peering_link(&peering.id));
        let own = |id: &SecurityGroupId| vpc.security_groups.iter().any(|known| known.id == *id);
        for group in peering.security_groups.iter().filter(|group| !own(&group.id)) {
            let set = members(&group.id);
            writer.set(&set, Set::new(&[Type::Interface, Type::Ipv4]));
            for address in &group.members {
                writer.element(&set, vec![name.clone(), Value::Ipv4(*address)], None);
            }
        }
    }
}

/// A link that no group is asked about: what may come from it, what may go to it.
fn pass(writer: &mut Writer, name: &str, out: Verdict, into: Verdict) {
    writer.element(Direction::Egress.map(), vec![link(name)], Some(Value::Verdict(out)));
    writer.element(Direction::Ingress.map(), vec![link(name)], Some(Value::Verdict(into)));
}

/// What is behind these links has been asked elsewhere, or has no groups. A gateway endpoint begins nothing.
fn outside(writer: &mut Writer, vpc: &Vpc) {
    writer.chain(ANSWERS, vec![vec![E::Original(false), accept()]]);
    pass(writer, INTERNET_GATEWAY, Verdict::Accept, Verdict::Accept);
    for peering in &vpc.peerings {
        pass(writer, &peering_link(&peering.id), Verdict::Accept, Verdict::Accept);
    }
    for endpoint in &vpc.gateway_endpoints {
        pass(writer, &endpoint_link(&endpoint.id), Verdict::Jump(ANSWERS.to_owned()), Verdict::Accept);
    }
}

fn interface(writer: &mut Writer, vpc: &Vpc, leg: &Leg<'_>) {
    let name = link(&leg.link());
    let ids: BTreeSet<&SecurityGroupId> = leg.interface.security_groups.iter().collect();
    for id in &ids {
        writer.element(&members(id), vec![Value::Ipv4(leg.interface.address)], None);
    }
    let groups: Vec<&SecurityGroup> =
        vpc.security_groups.iter().filter(|group| ids.contains(&group.id)).collect();
    if leg.interface.kind != InterfaceKind::Endpoint {
        for (direction, protocol) in groups.iter().flat_map(|group| openings(group)) {
            writer.element(&direction.open(protocol), vec![name.clone()], None);
        }
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let chains: Vec<String> = ids.iter().map(|id| chain(id, direction)).collect();
        let to = match chains.as_slice() {
            [] => continue,
            [only] => only.clone(),
            several => {
                let name = several.join("+");
                let jump = |chain: String| vec![E::Verdict(Verdict::Jump(chain))];
                let first = ids.iter().map(|id| jump(untracked(id, direction)));
                writer.chain(&name, first.chain(several.iter().cloned().map(jump)).collect());
                name
            }
        };
        writer.element(direction.map(), vec![name.clone()], Some(Value::Verdict(Verdict::Jump(to))));
    }
}

/// Whether a group is a peered VPC's.
fn is_peers(vpc: &Vpc, id: &SecurityGroupId) -> bool {
    vpc.peerings.iter().any(|peering| peering.security_groups.iter().any(|group| group.id == *id))
}

/// Whether a rule lets TCP or UDP through for all addresses.
fn opens(rule: &GroupRule, protocol: Protocol) -> bool {
    let everyone = matches!(rule.peer, Peer::Cidr(range) if range.prefix_len() == 0);
    everyone && (rule.protocol == Protocol::All || rule.protocol == protocol)
}

/// Adds a rule's part of what need not be tracked to `first`, and the rule to `then`.
fn group_rule(
    writer: &mut Writer,
    vpc: &Vpc,
    group: &SecurityGroup,
    direction: Direction,
    rule: &GroupRule,
    first: &mut Vec<Rule>,
    then: &mut Vec<Rule>,
) {
    let (own, other, address) = direction.fields();
    let peer = match &rule.peer {
        Peer::Cidr(range) if range.prefix_len() == 0 => Vec::new(),
        Peer::Cidr(range) => vec![E::Within(address, Operator::Is, *range)],
        Peer::Group(id) if vpc.security_groups.iter().any(|known| known.id == *id) => {
            vec![is_in(&[address], &members(id))]
        }
        Peer::Group(id) if is_peers(vpc, id) => vec![is_in(&[other, address], &members(id))],
        Peer::PrefixList(id) if vpc.prefix_lists.iter().any(|known| known.id == *id) => {
            vec![is_in(&[address], &entries(id))]
        }
        // A stale rule: the group is gone, so that nothing is in it.
        Peer::Group(_) | Peer::PrefixList(_) => return,
    };
    let Some(protocol) = matches::protocol(rule.protocol, rule.ports) else { return };
    let count = writer.count(&rule_counter(&group.id, direction, rule));
    for transport in [Protocol::Tcp, Protocol::Udp] {
        let ports = rule.ports.filter(|_| rule.protocol != Protocol::All);
        let Some(mut untracked) = matches::protocol(transport, ports) else { continue };
        if opens(rule, transport) {
            untracked.extend([
                is_in(&[own], &direction.other().open(transport)),
                is_not_in(&[other], ALWAYS_TRACKED),
                count.clone(),
                accept(),
            ]);
            first.push(untracked);
        }
    }
    let track = E::Verdict(Verdict::Goto(direction.track().to_owned()));
    then.push([protocol, peer, vec![count, track]].concat());
}
