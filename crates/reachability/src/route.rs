//! Where a route table leads a packet.

use std::net::Ipv4Addr;

use desired::{GatewayEndpoint, Interface, Peering, RouteTable, RouteTarget, Subnet, Vpc};
use types::RouteTableId;

use crate::RouteDecision;

/// An interface with its subnet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) subnet: &'a Subnet,
}

/// Where a packet enters a VPC's router, or leaves it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gate<'a> {
    Interface(Leg<'a>),
    InternetGateway,
    Peering(&'a Peering),
    Endpoint(&'a GatewayEndpoint),
}

impl Gate<'_> {
    pub(crate) fn is(&self, other: &Gate<'_>) -> bool {
        match (self, other) {
            (Gate::Interface(a), Gate::Interface(b)) => a.interface.id == b.interface.id,
            (Gate::InternetGateway, Gate::InternetGateway) => true,
            (Gate::Peering(a), Gate::Peering(b)) => a.id == b.id,
            (Gate::Endpoint(a), Gate::Endpoint(b)) => a.id == b.id,
            _ => false,
        }
    }
}

/// The leg of an interface.
pub(crate) fn leg<'a>(vpc: &'a Vpc, is: impl Fn(&Interface) -> bool) -> Option<Leg<'a>> {
    let interface = vpc.interfaces.iter().find(|interface| is(interface))?;
    let subnet = vpc.subnets.iter().find(|subnet| subnet.id == interface.subnet)?;
    Some(Leg { interface, subnet })
}

/// The interface that has a private address.
pub(crate) fn local(vpc: &Vpc, address: Ipv4Addr) -> Option<Leg<'_>> {
    leg(vpc, |interface| interface.address == address)
}

/// Whether an address is in one of a VPC's ranges.
pub(crate) fn is_inside(vpc: &Vpc, address: Ipv4Addr) -> bool {
    vpc.cidr_blocks.iter().any(|range| range.contains(&address))
}

/// A route table of a VPC.
pub(crate) fn table<'a>(vpc: &'a Vpc, id: &RouteTableId) -> Option<&'a RouteTable> {
    vpc.route_tables.iter().find(|table| table.id == *id)
}

/// What a route table says of a destination: the longest prefix among its routes and the VPC's local ones. A route for a
/// range of the VPC's own stands in the place of the local one.
pub(crate) fn look_up(vpc: &Vpc, table: &RouteTable, destination: Ipv4Addr) -> RouteDecision {
    let local = vpc.cidr_blocks.iter().filter(|range| range.contains(&destination));
    let local = local.max_by_key(|range| range.prefix_len());
    let routes = table.routes.iter().filter(|route| route.destination.contains(&destination));
    let best = routes.max_by_key(|route| {
        // Of two routes for one range the one that names it wins over the one by a prefix list.
        (route.destination.prefix_len(), route.prefix_list.is_none())
    });
    match (local, best) {
        (Some(range), Some(route)) if route.destination.prefix_len() < range.prefix_len() => {
            RouteDecision::Local { range: *range }
        }
        (_, Some(route)) => {
            RouteDecision::Route { route: route.clone(), active: gate(vpc, &route.target).is_some() }
        }
        (Some(range), None) => RouteDecision::Local { range: *range },
        (None, None) => RouteDecision::NoRoute,
    }
}

/// What a route's target is now; None for a black hole.
pub(crate) fn gate<'a>(vpc: &'a Vpc, target: &RouteTarget) -> Option<Gate<'a>> {
    match target {
        RouteTarget::InternetGateway => vpc.internet_gateway.then_some(Gate::InternetGateway),
        RouteTarget::Interface(id) => leg(vpc, |interface| interface.id == *id).map(Gate::Interface),
        RouteTarget::Peering(id) => vpc.peerings.iter().find(|peering| peering.id == *id).map(Gate::Peering),
        RouteTarget::Endpoint(id) => {
            vpc.gateway_endpoints.iter().find(|endpoint| endpoint.id == *id).map(Gate::Endpoint)
        }
        RouteTarget::Blackhole => None,
    }
}
