//! What to add.

use std::net::Ipv4Addr;

use desired::{InterfaceKind, NetworkAcl, NetworkAclEntry, Ports, Protocol, RouteTable, RouteTarget, Vpc};
use ipnet::Ipv4Net;

use crate::internet::{is_private, is_shared};
use crate::route::{self, Gate, Leg, is_inside};
use crate::{
    AclDecision, Direction, End, Header, Query, RouteDecision, SuggestedPeer, Suggestion, Topology, Transport,
};

/// Knows what was asked.
pub(crate) struct Suggest<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) query: &'a Query,
}

/// The protocol and ports that a rule for a packet names. An answer's port is the client's, which may be any.
fn subject(transport: Transport, answer: bool) -> (Protocol, Option<Ports>) {
    match transport {
        Transport::Icmp { kind, .. } => (Protocol::Icmp, Some(Ports { from: i32::from(kind), to: -1 })),
        Transport::Tcp { destination, .. } | Transport::Udp { destination, .. } => {
            let ports = if answer {
                Ports { from: 1024, to: 65535 }
            } else {
                Ports { from: i32::from(destination.from), to: i32::from(destination.to) }
            };
            let tcp = matches!(transport, Transport::Tcp { .. });
            (if tcp { Protocol::Tcp } else { Protocol::Udp }, Some(ports))
        }
    }
}

impl Suggest<'_> {
    /// Whether an address stands for all the internet.
    fn is_anybody(&self, address: Ipv4Addr) -> bool {
        let internet = self.query.from == End::Internet || self.query.to == End::Internet;
        internet && !self.topology.vpcs.iter().any(|vpc| route::local(vpc, address).is_some())
    }

    /// The VPC of the interface that was asked for.
    fn asked_vpc(&self) -> Option<&Vpc> {
        match &self.query.to {
            End::Interface(id) => self.topology.interface(id).map(|(vpc, _)| vpc),
            _ => None,
        }
    }

    /// A rule that lets the packet through. The other end is named by its group, if it is in the VPC or a peered one.
    pub(crate) fn group_rule(
        &self,
        vpc: &Vpc,
        leg: Leg<'_>,
        direction: Direction,
        header: &Header,
    ) -> Option<Suggestion> {
        let group = leg.interface.security_groups.iter().min()?.clone();
        let address = match direction {
            Direction::Ingress => header.source,
            Direction::Egress => header.destination,
        };
        let own = route::local(vpc, address);
        let peered = || {
            let peering = vpc
                .peerings
                .iter()
                .find(|peering| peering.cidr_blocks.iter().any(|range| range.contains(&address)))?;
            route::local(self.topology.vpcs.iter().find(|other| other.id == peering.peer)?, address)
        };
        let worn = own.or_else(peered).and_then(|leg| leg.interface.security_groups.iter().min());
        let peer = match worn {
            Some(group) => SuggestedPeer::Group(group.clone()),
            None if self.is_anybody(address) => SuggestedPeer::Cidr(Ipv4Net::default()),
            None => SuggestedPeer::Cidr(address.into()),
        };
        let (protocol, ports) = subject(header.transport, false);
        Some(Suggestion::AddSecurityGroupRule { group, direction, protocol, ports, peer })
    }

    /// An entry that lets the packet through, before the one that denies it.
    pub(crate) fn acl_entry(
        &self,
        vpc: &Vpc,
        acl: &NetworkAcl,
        direction: Direction,
        decision: &AclDecision,
        header: &Header,
        answer: bool,
    ) -> Option<Suggestion> {
        let (entries, address): (&[NetworkAclEntry], _) = match direction {
            Direction::Ingress => (&acl.ingress, header.source),
            Direction::Egress => (&acl.egress, header.destination),
        };
        let is_free = |number: &u16| !entries.iter().any(|entry| entry.number == *number);
        let number = match decision {
            AclDecision::Entry { entry } => (1..entry.number).rev().find(is_free),
            AclDecision::Default => {
                let last = entries.iter().map(|entry| entry.number).max().unwrap_or(0);
                (last / 10 * 10 + 10..32767).find(is_free)
            }
        };
        let subnet = vpc.subnets.iter().find(|subnet| subnet.cidr_block.contains(&address));
        let cidr_block = match subnet {
            Some(subnet) => subnet.cidr_block,
            None if self.is_anybody(address) => Ipv4Net::default(),
            None => address.into(),
        };
        let (protocol, ports) = subject(header.transport, answer);
        let acl = acl.id.clone();
        Some(Suggestion::AddNetworkAclEntry { acl, direction, number, protocol, ports, cidr_block })
    }

    /// A route that leads on; for an answer, the way that the packet came.
    pub(crate) fn route(
        &self,
        vpc: &Vpc,
        leg: Leg<'_>,
        table: &RouteTable,
        decision: &RouteDecision,
        header: &Header,
        back: Option<Gate<'_>>,
    ) -> Option<Suggestion> {
        let to = header.destination;
        let covering = |ranges: &[Ipv4Net]| ranges.iter().find(|range| range.contains(&to)).copied();
        let mut destination = Ipv4Net::default();
        let covers = |peering: &&desired::Peering| covering(&peering.cidr_blocks).is_some();
        // Two peers may have the same range.
        let asked = |peering: &&desired::Peering| self.asked_vpc().is_some_and(|vpc| vpc.id == peering.peer);
        let peering = vpc.peerings.iter().filter(covers).find(asked);
        let peering = peering.or_else(|| vpc.peerings.iter().find(covers));
        let endpoint = match &self.query.to {
            End::GatewayEndpoint(id) if back.is_none() => Some(RouteTarget::Endpoint(id.clone())),
            _ => None,
        };
        let target = match (back, peering, endpoint) {
            (_, _, Some(endpoint)) => {
                destination = to.into();
                Some(endpoint)
            }
            (Some(Gate::Peering(peering)), ..) | (None, Some(peering), _) => {
                destination = covering(&peering.cidr_blocks)?;
                Some(RouteTarget::Peering(peering.id.clone()))
            }
            (Some(Gate::InternetGateway), ..) => Some(RouteTarget::InternetGateway),
            // A more specific route leads an answer away from the VPC's own range: there is nothing to add.
            (Some(Gate::Interface(_) | Gate::Endpoint(_)), ..) => return None,
            (None, None, None) if is_inside(vpc, to) => return None,
            // No gateway leads to a private address outside.
            (None, None, None) if is_private(to) || is_shared(to) => return self.peering(vpc, to),
            (None, None, None) => way_out(vpc, leg),
        };
        if target == Some(RouteTarget::InternetGateway) && !vpc.internet_gateway {
            return Some(Suggestion::AttachInternetGateway { vpc: vpc.id.clone() });
        }
        if let Some(other) = unused_table(vpc, to, target.as_ref()) {
            let (table, subnet) = (other.id.clone(), leg.subnet.id.clone());
            return Some(Suggestion::AssociateRouteTable { table, subnet });
        }
        if let RouteDecision::Route { route, .. } = decision {
            // A route that is there and as close gives way; a wider one may stay.
            if route.destination.prefix_len() >= destination.prefix_len() {
                destination = route.destination;
            }
        }
        let replace = table.routes.iter().any(|route| route.destination == destination);
        Some(Suggestion::AddRoute { table: table.id.clone(), destination, target, replace })
    }

    /// For an address of another VPC to which nothing leads: the two can be peered unless their ranges overlap.
    pub(crate) fn peering(&self, vpc: &Vpc, to: Ipv4Addr) -> Option<Suggestion> {
        let asked = self.asked_vpc();
        let overlap = |other: &Vpc| {
            let own = |range: &Ipv4Net| {
                vpc.cidr_blocks.iter().any(|own| own.contains(range) || range.contains(own))
            };
            other.cidr_blocks.iter().any(own)
        };
        let mut others = self.topology.vpcs.iter().filter(|other| {
            other.id != vpc.id
                && is_inside(other, to)
                && !overlap(other)
                && asked.is_none_or(|asked| asked.id == other.id)
        });
        let peer = others.next()?;
        // Of two with the same range nobody knows which is meant.
        let one = others.next().is_none();
        one.then(|| Suggestion::PeerVpcs { vpc: vpc.id.clone(), peer: peer.id.clone() })
    }

    /// For an interface without a public address whose route leads to the internet gateway.
    pub(crate) fn public_address(&self, vpc: &Vpc, leg: Leg<'_>, header: &Header) -> Option<Suggestion> {
        let nat = way_out(vpc, leg).filter(|target| matches!(target, RouteTarget::Interface(_)));
        if let Some(other) = nat.as_ref().and_then(|nat| unused_table(vpc, header.destination, Some(nat))) {
            let (table, subnet) = (other.id.clone(), leg.subnet.id.clone());
            return Some(Suggestion::AssociateRouteTable { table, subnet });
        }
        Some(Suggestion::GivePublicAddress { interface: leg.interface.id.clone(), outwards: true })
    }
}

/// How an interface gets to the internet: by the internet gateway if it has a public address, else by a public NAT
/// gateway of the VPC. None: there is none.
fn way_out(vpc: &Vpc, leg: Leg<'_>) -> Option<RouteTarget> {
    if leg.interface.public_address.is_some() || leg.interface.kind == InterfaceKind::NatGateway {
        return Some(RouteTarget::InternetGateway);
    }
    let is_way = |interface: &&desired::Interface| {
        interface.kind == InterfaceKind::NatGateway && interface.public_address.is_some()
    };
    vpc.interfaces.iter().find(is_way).map(|nat| RouteTarget::Interface(nat.id.clone()))
}

/// A route table that leads there and that no subnet uses: it was forgotten.
fn unused_table<'a>(vpc: &'a Vpc, to: Ipv4Addr, target: Option<&RouteTarget>) -> Option<&'a RouteTable> {
    let leads = |table: &RouteTable| match route::look_up(vpc, table, to) {
        RouteDecision::Route { route, active } => {
            active && target.is_some_and(|target| *target == route.target)
        }
        RouteDecision::Local { .. } | RouteDecision::NoRoute => false,
    };
    let is_unused = |table: &RouteTable| !vpc.subnets.iter().any(|subnet| subnet.route_table == table.id);
    vpc.route_tables.iter().find(|table| is_unused(table) && leads(table))
}
