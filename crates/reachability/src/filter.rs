//! What security groups and network ACLs say of a packet.

use std::net::Ipv4Addr;

use desired::{Interface, NetworkAclEntry, Peer, Peering, Ports, Protocol, Rule, SecurityGroup, Vpc};
use types::SecurityGroupId;

use crate::{AclDecision, Direction, Header, PortRange, Transport};

impl Transport {
    /// The protocol's number.
    fn number(self) -> u8 {
        match self {
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
            Transport::Icmp { .. } => 1,
        }
    }

    /// The ports at which the packet arrives; None where there are none.
    pub(crate) fn destination(self) -> Option<PortRange> {
        match self {
            Transport::Tcp { destination, .. } | Transport::Udp { destination, .. } => Some(destination),
            Transport::Icmp { .. } => None,
        }
    }
}

impl Header {
    /// The other end's address, seen from the side where `direction` is asked.
    fn other(&self, direction: Direction) -> Ipv4Addr {
        match direction {
            Direction::Ingress => self.source,
            Direction::Egress => self.destination,
        }
    }
}

/// Those destination ports of a packet that a rule speaks of. None: the rule does not fit at all.
fn matched(protocol: Protocol, ports: Option<Ports>, transport: Transport) -> Option<PortRange> {
    let all = PortRange { from: 0, to: u16::MAX };
    match (protocol, transport) {
        (Protocol::All, _) => Some(transport.destination().unwrap_or(all)),
        (Protocol::Number(number), _) if number == transport.number() => {
            Some(transport.destination().unwrap_or(all))
        }
        (Protocol::Tcp, Transport::Tcp { destination, .. })
        | (Protocol::Udp, Transport::Udp { destination, .. }) => intersection(destination, range(ports)?),
        (Protocol::Icmp, Transport::Icmp { kind, code }) => {
            let Some(Ports { from, to }) = ports else { return Some(all) };
            let fits = from < 0 || (from == i32::from(kind) && (to < 0 || to == i32::from(code)));
            fits.then_some(all)
        }
        _ => None,
    }
}

/// The ports of a TCP or UDP rule; -1 stands for all. None: none.
fn range(ports: Option<Ports>) -> Option<PortRange> {
    let Some(Ports { from, to }) = ports else { return Some(PortRange { from: 0, to: u16::MAX }) };
    let from = u16::try_from(from.max(0)).ok()?;
    let to = if to < 0 { u16::MAX } else { u16::try_from(to).unwrap_or(u16::MAX) };
    (from <= to).then_some(PortRange { from, to })
}

fn intersection(a: PortRange, b: PortRange) -> Option<PortRange> {
    let range = PortRange { from: a.from.max(b.from), to: a.to.min(b.to) };
    (range.from <= range.to).then_some(range)
}

/// What is left of some ranges without another one.
fn without(ranges: &[PortRange], gone: PortRange) -> Vec<PortRange> {
    let mut left = Vec::new();
    for range in ranges {
        let Some(cut) = intersection(*range, gone) else {
            left.push(*range);
            continue;
        };
        if range.from < cut.from {
            left.push(PortRange { from: range.from, to: cut.from - 1 });
        }
        if cut.to < range.to {
            left.push(PortRange { from: cut.to + 1, to: range.to });
        }
    }
    left
}

/// The groups of an interface that the VPC has, by id: they hold together, and order means nothing.
pub(crate) fn groups<'a>(vpc: &'a Vpc, interface: &Interface) -> Vec<&'a SecurityGroup> {
    let mut groups: Vec<&SecurityGroup> =
        vpc.security_groups.iter().filter(|group| interface.security_groups.contains(&group.id)).collect();
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    groups
}

/// The rules of an interface's groups that let a flow's first packet through: one is enough.
pub(crate) fn ask_groups<'a>(
    vpc: &'a Vpc,
    interface: &Interface,
    direction: Direction,
    header: &Header,
    peering: Option<&Peering>,
) -> Vec<(&'a SecurityGroup, &'a Rule)> {
    let mut found = Vec::new();
    for group in groups(vpc, interface) {
        let rules = match direction {
            Direction::Ingress => &group.ingress,
            Direction::Egress => &group.egress,
        };
        let fitting = rules.iter().filter(|rule| allows(vpc, rule, direction, header, peering));
        found.extend(fitting.map(|rule| (group, rule)));
    }
    found
}

fn allows(vpc: &Vpc, rule: &Rule, direction: Direction, header: &Header, peering: Option<&Peering>) -> bool {
    let wanted = header.transport.destination();
    let ports = matched(rule.protocol, rule.ports, header.transport);
    ports.is_some_and(|found| wanted.is_none_or(|wanted| found == wanted))
        && is_peer(vpc, &rule.peer, header.other(direction), peering)
}

fn is_peer(vpc: &Vpc, peer: &Peer, address: Ipv4Addr, peering: Option<&Peering>) -> bool {
    match peer {
        Peer::Cidr(range) => range.contains(&address),
        Peer::Group(id) => is_member(vpc, id, address, peering),
        Peer::PrefixList(id) => vpc
            .prefix_lists
            .iter()
            .any(|list| list.id == *id && list.entries.iter().any(|range| range.contains(&address))),
    }
}

/// Whether an address is the private one of an interface that wears a group, here or in the VPC behind the peering
/// connection that the packet goes through: two peers may have the same address.
fn is_member(vpc: &Vpc, group: &SecurityGroupId, address: Ipv4Addr, peering: Option<&Peering>) -> bool {
    let own = vpc
        .interfaces
        .iter()
        .any(|interface| interface.address == address && interface.security_groups.contains(group));
    let mut peered = peering.iter().flat_map(|peering| &peering.security_groups);
    own || peered.any(|known| known.id == *group && known.members.contains(&address))
}

/// What a network ACL says of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AclAnswer {
    pub(crate) decision: AclDecision,
    pub(crate) allowed: bool,
    /// Some of the packet's possible ports are allowed, others denied.
    pub(crate) partial: bool,
}

/// Asks a network ACL's entries of one direction: for each port the one with the lowest number that fits decides.
pub(crate) fn ask_acl(entries: &[NetworkAclEntry], direction: Direction, header: &Header) -> AclAnswer {
    let mut entries: Vec<&NetworkAclEntry> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.number);
    let all = PortRange { from: 0, to: u16::MAX };
    let mut open = vec![header.transport.destination().unwrap_or(all)];
    let (mut allows, mut denies) = (None, None);
    for entry in entries {
        if !entry.cidr_block.contains(&header.other(direction)) {
            continue;
        }
        let Some(ports) = matched(entry.protocol, entry.ports, header.transport) else { continue };
        let left = without(&open, ports);
        if left == open {
            continue;
        }
        open = left;
        let first = if entry.allow { &mut allows } else { &mut denies };
        first.get_or_insert(entry);
        if open.is_empty() {
            break;
        }
    }
    let decided = |entry: &NetworkAclEntry| AclDecision::Entry { entry: entry.clone() };
    match (allows, denies) {
        (Some(entry), None) if open.is_empty() => {
            AclAnswer { decision: decided(entry), allowed: true, partial: false }
        }
        (allow, Some(entry)) => {
            AclAnswer { decision: decided(entry), allowed: false, partial: allow.is_some() }
        }
        (allow, None) => {
            AclAnswer { decision: AclDecision::Default, allowed: false, partial: allow.is_some() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(port: PortRange) -> Header {
        Header {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 1, 1].into(),
            transport: Transport::Tcp { source: port, destination: port },
        }
    }

    fn entry(number: u16, allow: bool, from: i32, to: i32) -> NetworkAclEntry {
        NetworkAclEntry {
            number,
            allow,
            protocol: Protocol::Tcp,
            ports: Some(Ports { from, to }),
            cidr_block: "0.0.0.0/0".parse().unwrap(),
        }
    }

    #[test]
    fn each_port_of_a_range_is_decided_by_its_own_first_entry() {
        let some = PortRange { from: 32768, to: 60999 };
        for (entries, allowed, partial) in [
            (vec![entry(1, true, 1024, 65535)], true, false),
            (vec![entry(1, true, 32768, 50000), entry(2, true, 50001, 60999)], true, false),
            (vec![entry(1, true, 32768, 50000)], false, true),
            (vec![entry(1, false, 40000, 40000), entry(2, true, 0, 65535)], false, true),
            (vec![entry(2, false, 40000, 40000), entry(1, true, 0, 65535)], true, false),
            (vec![entry(1, true, 80, 80)], false, false),
            (vec![], false, false),
        ] {
            let answer = ask_acl(&entries, Direction::Ingress, &header(some));
            assert_eq!((answer.allowed, answer.partial), (allowed, partial), "{entries:?}");
        }
    }
}
