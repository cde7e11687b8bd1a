//! The names of the kernel's counters, as the agent gives them.

use desired::{Peer, Protocol, Rule};
use types::{NetworkAclId, NetworkInterfaceId, SecurityGroupId, VpcId};

use crate::{AclDecision, Counter, Direction};

/// Why the kernel drops a packet: the agent counts each reason in all, and by interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    SourceCheck,
    DestinationCheck,
    NoPublicAddress,
    Router,
    NoRoute,
    NoInterface,
    NatGateway,
    SecurityGroup(Direction),
    NetworkAcl(Direction),
}

impl Reason {
    fn name(self) -> &'static str {
        use Direction::{Egress, Ingress};
        match self {
            Reason::SourceCheck => "source-check",
            Reason::DestinationCheck => "destination-check",
            Reason::NoPublicAddress => "no-public-address",
            Reason::Router => "router",
            Reason::NoRoute => "no-route",
            Reason::NoInterface => "no-interface",
            Reason::NatGateway => "nat-gateway",
            Reason::SecurityGroup(Egress) => "security-group-egress",
            Reason::SecurityGroup(Ingress) => "security-group-ingress",
            Reason::NetworkAcl(Egress) => "network-acl-egress",
            Reason::NetworkAcl(Ingress) => "network-acl-ingress",
        }
    }
}

/// The counters of a refusal: the interface's own, where it has one, and that of all of the VPC.
pub(crate) fn denied(vpc: &VpcId, reason: Reason, interface: Option<&NetworkInterfaceId>) -> Vec<Counter> {
    let all = format!("denied/{}", reason.name());
    let own = interface.map(|interface| format!("{all}/{interface}"));
    own.into_iter().chain([all]).map(|name| Counter { vpc: vpc.clone(), name }).collect()
}

/// A security group rule's: made of what the rule says.
pub(crate) fn rule(group: &SecurityGroupId, direction: Direction, rule: &Rule) -> String {
    let protocol = match rule.protocol {
        Protocol::All => "all".to_owned(),
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Number(number) => number.to_string(),
    };
    let ports = match rule.ports {
        Some(ports) => format!("{}-{}", ports.from, ports.to),
        None => "all".to_owned(),
    };
    let peer = match &rule.peer {
        Peer::Cidr(range) => range.to_string(),
        Peer::Group(id) => id.to_string(),
        Peer::PrefixList(id) => id.to_string(),
    };
    format!("{group}/{}/{protocol}/{ports}/{peer}", direction.name())
}

/// A network ACL entry's.
pub(crate) fn entry(acl: &NetworkAclId, direction: Direction, decision: &AclDecision) -> String {
    let direction = direction.name();
    match decision {
        AclDecision::Entry { entry } => format!("{acl}/{direction}/{}", entry.number),
        AclDecision::Default => format!("{acl}/{direction}/default"),
    }
}

/// A counter of a VPC.
pub(crate) fn of(vpc: &VpcId, name: impl Into<String>) -> Vec<Counter> {
    vec![Counter { vpc: vpc.clone(), name: name.into() }]
}
