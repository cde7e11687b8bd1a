//! The names of the kernel's counters, as the agent gives them.

use desired::{Peer, Protocol, Rule};
use types::{NetworkAclId, SecurityGroupId, VpcId};

use crate::{AclDecision, Counter, Direction};

pub(crate) const SOURCE_CHECK: &str = "denied/source-check";
pub(crate) const DESTINATION_CHECK: &str = "denied/destination-check";
pub(crate) const NO_PUBLIC_ADDRESS: &str = "denied/no-public-address";
pub(crate) const NOT_ADDRESSED: &str = "denied/not-addressed";
pub(crate) const ROUTER: &str = "denied/router";

/// The refusals of security groups.
pub(crate) fn no_rule(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "denied/security-group-ingress",
        Direction::Egress => "denied/security-group-egress",
    }
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
