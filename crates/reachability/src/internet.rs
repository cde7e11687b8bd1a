//! Who has which address.

use std::net::Ipv4Addr;

use desired::Vpc;
use types::NetworkInterfaceId;

use crate::route::{self, Leg};
use crate::{End, Internet, Owner, Query, Topology, Transport};

/// Addresses that are nobody's in the internet (RFC 1918).
pub(crate) fn is_private(address: Ipv4Addr) -> bool {
    address.is_private()
}

/// Addresses between a carrier and its customers (RFC 6598).
pub(crate) fn is_shared(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 100 && (64..128).contains(&b)
}

impl Topology {
    /// An interface with its VPC.
    pub(crate) fn interface(&self, id: &NetworkInterfaceId) -> Option<(&Vpc, Leg<'_>)> {
        let with = |vpc| Some((vpc, route::leg(vpc, |interface| interface.id == *id)?));
        self.vpcs.iter().find_map(with)
    }
}

impl Internet {
    /// The interface that an address leads to from the internet.
    pub(crate) fn interface<'a>(
        &self,
        topology: &'a Topology,
        address: Ipv4Addr,
    ) -> Option<(&'a Vpc, Leg<'a>)> {
        let has = |vpc| Some((vpc, route::leg(vpc, |one| one.public_address == Some(address))?));
        topology.vpcs.iter().filter(|vpc| vpc.internet_gateway).find_map(has)
    }

    /// Who has an address.
    pub(crate) fn owner(&self, topology: &Topology, address: Ipv4Addr, transport: Transport) -> Owner {
        if let Some((vpc, leg)) = self.interface(topology, address) {
            return Owner::Interface { vpc: vpc.id.clone(), interface: leg.interface.id.clone() };
        }
        if address == self.host {
            return Owner::Host;
        }
        if let Some(service) = self.services.iter().find(|service| service.address == address) {
            return Owner::Service { name: service.name.clone() };
        }
        // Pretend hosts and the real network are reached by TCP and UDP alone.
        let Some(ports) = transport.destination() else { return Owner::Nobody };
        let fits = |port: Option<u16>| port.is_none_or(|port| (ports.from..=ports.to).contains(&port));
        if let Some(host) = self.hosts.iter().find(|host| host.address == address && fits(host.port)) {
            return Owner::Pretend { name: host.name.clone() };
        }
        if self.on && !is_private(address) && !is_shared(address) { Owner::World } else { Owner::Nobody }
    }
}

impl Query {
    /// Whether the destination is an interface, or an endpoint, of a VPC that this one has no connection to.
    pub(crate) fn disconnected(&self, topology: &Topology, from: &Vpc) -> bool {
        match &self.to {
            End::Interface(id) => topology
                .interface(id)
                .is_some_and(|(vpc, leg)| !connected(from, vpc) && leg.interface.public_address.is_none()),
            End::GatewayEndpoint(id) => !from.gateway_endpoints.iter().any(|endpoint| endpoint.id == *id),
            End::Address(_) | End::Internet => false,
        }
    }
}

/// Whether two VPCs are one, or peered.
pub(crate) fn connected(a: &Vpc, b: &Vpc) -> bool {
    a.id == b.id || a.peerings.iter().any(|peering| peering.peer == b.id)
}
