//! What would open the way.

use desired::{Ports, Protocol, RouteTarget};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use types::{NetworkAclId, NetworkInterfaceId, RouteTableId, SecurityGroupId, SubnetId, VpcId};

use crate::Direction;

/// One change that would let the packet pass the hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Suggestion {
    /// A rule for a security group.
    AddSecurityGroupRule {
        /// The group.
        group: SecurityGroupId,
        /// Which of its rules.
        direction: Direction,
        /// The protocol.
        protocol: Protocol,
        /// The ports, or ICMP's type and code.
        ports: Option<Ports>,
        /// The other end: its group where it has one in the same or a peered VPC, else its address.
        peer: SuggestedPeer,
    },
    /// An entry for a network ACL.
    AddNetworkAclEntry {
        /// The ACL.
        acl: NetworkAclId,
        /// Which of its entries.
        direction: Direction,
        /// A number that is free and comes before the entry that denies.
        number: Option<u16>,
        /// The protocol.
        protocol: Protocol,
        /// The ports, or ICMP's type and code.
        ports: Option<Ports>,
        /// The other end.
        cidr_block: Ipv4Net,
    },
    /// A route for a route table.
    AddRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: Ipv4Net,
        /// The target; None where there is none yet: a NAT gateway in a public subnet.
        target: Option<RouteTarget>,
        /// Whether the table has a route to this destination, which has to be replaced.
        replace: bool,
    },
    /// Another route table for a subnet: the VPC has one that leads there.
    AssociateRouteTable {
        /// The table.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// An internet gateway for a VPC.
    AttachInternetGateway {
        /// The VPC.
        vpc: VpcId,
    },
    /// A peering connection, with a route on both sides: the destination is another VPC's.
    PeerVpcs {
        /// The VPC that asks.
        vpc: VpcId,
        /// The VPC that has the address.
        peer: VpcId,
    },
    /// A public address for an interface.
    GivePublicAddress {
        /// The interface.
        interface: NetworkInterfaceId,
        /// It wants to get out, for which a NAT gateway would do as well.
        outwards: bool,
    },
    /// An interface that may have to do with other addresses than its own.
    DisableSourceDestCheck {
        /// The interface.
        interface: NetworkInterfaceId,
    },
}

/// The other end of a suggested security group rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuggestedPeer {
    /// A group that the other end wears.
    Group(SecurityGroupId),
    /// Its address.
    Cidr(Ipv4Net),
}

impl Suggestion {
    /// The resource to change: Terraform's kind of it, and its AWS id.
    pub fn resource(&self) -> (&'static str, &str) {
        match self {
            Suggestion::AddSecurityGroupRule { group, .. } => ("aws_security_group", group.as_str()),
            Suggestion::AddNetworkAclEntry { acl, .. } => ("aws_network_acl", acl.as_str()),
            Suggestion::AddRoute { table, .. } => ("aws_route_table", table.as_str()),
            Suggestion::AssociateRouteTable { subnet, .. } => ("aws_subnet", subnet.as_str()),
            Suggestion::AttachInternetGateway { vpc } | Suggestion::PeerVpcs { vpc, .. } => {
                ("aws_vpc", vpc.as_str())
            }
            Suggestion::GivePublicAddress { interface, .. }
            | Suggestion::DisableSourceDestCheck { interface } => {
                ("aws_network_interface", interface.as_str())
            }
        }
    }

    /// The suggestion in one sentence. `name` says how an AWS id is called: by a Terraform address where there is one,
    /// else by the id.
    pub fn sentence(&self, name: &dyn Fn(&str) -> String) -> String {
        match self {
            Suggestion::AddSecurityGroupRule { group, direction, protocol, ports, peer } => {
                let (end, peer) = match (direction, peer) {
                    (Direction::Ingress, SuggestedPeer::Group(id)) => ("from", name(id.as_str())),
                    (Direction::Egress, SuggestedPeer::Group(id)) => ("to", name(id.as_str())),
                    (Direction::Ingress, SuggestedPeer::Cidr(range)) => ("from", range.to_string()),
                    (Direction::Egress, SuggestedPeer::Cidr(range)) => ("to", range.to_string()),
                };
                let (group, direction) = (name(group.as_str()), direction.name());
                let what = traffic(*protocol, *ports);
                format!("Add to {group} an {direction} rule that allows {what} {end} {peer}.")
            }
            Suggestion::AddNetworkAclEntry { acl, direction, number, protocol, ports, cidr_block } => {
                let end = if *direction == Direction::Ingress { "from" } else { "to" };
                let (acl, direction) = (name(acl.as_str()), direction.name());
                let number = number.map(|number| format!(" with number {number}")).unwrap_or_default();
                let what = traffic(*protocol, *ports);
                format!("Add to {acl} an {direction} entry{number} that allows {what} {end} {cidr_block}.")
            }
            Suggestion::AddRoute { table, destination, target, replace } => {
                let table = name(table.as_str());
                let target = match target {
                    Some(RouteTarget::InternetGateway) => "the internet gateway".to_owned(),
                    Some(RouteTarget::Interface(id)) => format!("the NAT gateway at {}", name(id.as_str())),
                    Some(RouteTarget::Peering(id)) => name(id.as_str()),
                    Some(RouteTarget::Endpoint(id)) => name(id.as_str()),
                    Some(RouteTarget::Blackhole) | None => "a NAT gateway in a public subnet".to_owned(),
                };
                if *replace {
                    format!("Replace the route of {table} to {destination} by one to {target}.")
                } else {
                    format!("Add to {table} a route to {destination} by {target}.")
                }
            }
            Suggestion::AssociateRouteTable { table, subnet } => {
                format!("Associate {} with {}.", name(table.as_str()), name(subnet.as_str()))
            }
            Suggestion::AttachInternetGateway { vpc } => {
                format!("Attach an internet gateway to {}.", name(vpc.as_str()))
            }
            Suggestion::PeerVpcs { vpc, peer } => {
                let (vpc, peer) = (name(vpc.as_str()), name(peer.as_str()));
                format!("Connect {vpc} and {peer} by a peering connection, with a route to it on both sides.")
            }
            Suggestion::GivePublicAddress { interface, outwards } => {
                let or = if *outwards { ", or a route by a NAT gateway" } else { "" };
                format!("Give {} a public address{or}.", name(interface.as_str()))
            }
            Suggestion::DisableSourceDestCheck { interface } => {
                format!("Switch the source/destination check of {} off.", name(interface.as_str()))
            }
        }
    }
}

/// `tcp 443`, `udp 32768-60999`, `icmp type 8`, `all traffic`.
fn traffic(protocol: Protocol, ports: Option<Ports>) -> String {
    let ports_of = |name: &str| match ports {
        None => format!("all {name}"),
        Some(Ports { from, to }) if from == to => format!("{name} {from}"),
        Some(Ports { from, to }) => format!("{name} {from}-{to}"),
    };
    match protocol {
        Protocol::All => "all traffic".to_owned(),
        Protocol::Tcp => ports_of("tcp"),
        Protocol::Udp => ports_of("udp"),
        Protocol::Icmp => match ports {
            Some(Ports { from, .. }) if from >= 0 => format!("icmp type {from}"),
            _ => "all icmp".to_owned(),
        },
        Protocol::Number(number) => format!("protocol {number}"),
    }
}

impl std::fmt::Display for Suggestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence(&|id| id.to_owned()))
    }
}
