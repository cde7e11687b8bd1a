//! One packet's way, and its answer's.
//!
//! A way is a row of *crossings*: a crossing is the way through one VPC's router, from a gate to a gate. A NAT gateway
//! makes a second crossing of the same router; an internet gateway or a peering connection leads to another's. The
//! answer makes the same crossings backwards, or it does not come to whom it is for.

use desired::{GatewayEndpoint, InterfaceKind, Vpc};
use types::VpcId;

use crate::checks::{Asked, router_service};
use crate::counter::{Reason, denied};
use crate::internet::{is_private, is_shared};
use crate::route::{self, Gate, Leg, is_inside};
use crate::suggest::Suggest;
use crate::{
    Block, Code, Component, Direction, End, Header, Hop, NAT_GATEWAY_PORTS, Owner, Query, RouteDecision,
    RouterService, Suggestion, Topology, Transport,
};

/// Where a way begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    Interface(&'a Vpc, Leg<'a>),
    Internet,
}

/// The way through one router. `header` is the packet inside the VPC: with private addresses.
#[derive(Debug, Clone)]
pub(crate) struct Crossing<'a> {
    pub(crate) vpc: &'a Vpc,
    pub(crate) entry: Gate<'a>,
    pub(crate) exit: Gate<'a>,
    pub(crate) header: Header,
}

/// Where a packet is between two crossings.
enum At<'a> {
    /// Before a router.
    Gate(&'a Vpc, Gate<'a>, Header),
    /// In the internet.
    Internet(Header),
    /// Where it was to go; whether an answer has to come all the way back.
    Arrived { answered: bool },
    /// Nothing leads on.
    Lost,
}

/// A way in the making.
pub(crate) struct Walk<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) query: &'a Query,
    pub(crate) hops: Vec<Hop>,
    pub(crate) crossings: Vec<Crossing<'a>>,
    pub(crate) suggest: Suggest<'a>,
}

/// Both ways.
pub(crate) struct Ways {
    pub(crate) forward: Vec<Hop>,
    pub(crate) back: Vec<Hop>,
}

/// Walks a packet's way and, if the packet comes to an end that answers, its answer's.
pub(crate) fn walk(topology: &Topology, query: &Query, start: Start<'_>, header: &Header) -> Ways {
    let suggest = Suggest { topology, query };
    let mut walk = Walk { topology, query, hops: Vec::new(), crossings: Vec::new(), suggest };
    let answered = walk.forward(start, header.clone()) && answer_of(header).is_some();
    let forward = std::mem::take(&mut walk.hops);
    if answered {
        walk.back(header);
    }
    Ways { forward, back: walk.hops }
}

/// The answer's head; None for a message that wants no answer.
pub(crate) fn answer_of(header: &Header) -> Option<Header> {
    let transport = match header.transport {
        Transport::Tcp { source, destination } => Transport::Tcp { source: destination, destination: source },
        Transport::Udp { source, destination } => Transport::Udp { source: destination, destination: source },
        Transport::Icmp { kind: 8, code: 0 } => Transport::Icmp { kind: 0, code: 0 },
        Transport::Icmp { .. } => return None,
    };
    Some(Header { source: header.destination, destination: header.source, transport })
}

pub(crate) fn stop(code: Code, suggestion: Option<Suggestion>) -> Option<Block> {
    Some(Block { code, partial: false, suggestion })
}

pub(crate) fn hop(vpc: Option<&VpcId>, header: &Header, component: Component) -> Hop {
    Hop {
        vpc: vpc.cloned(),
        subnet: None,
        component,
        header: header.clone(),
        translated: None,
        counters: Vec::new(),
        block: None,
    }
}

impl<'a> Walk<'a> {
    /// Whether the packet came to an end from which an answer has to find back.
    fn forward(&mut self, start: Start<'a>, header: Header) -> bool {
        let mut at = match start {
            Start::Internet => {
                let owner = self.topology.internet.owner(self.topology, header.source, header.transport);
                self.hops.push(hop(None, &header, Component::Internet { owner }));
                self.towards_vpc(header)
            }
            Start::Interface(vpc, leg) => {
                if let Some(at) = self.begins(vpc, leg, &header) {
                    at
                } else {
                    At::Gate(vpc, Gate::Interface(leg), header)
                }
            }
        };
        loop {
            at = match at {
                At::Gate(vpc, entry, header) => self.cross(vpc, entry, &header),
                At::Internet(header) => self.internet(header),
                At::Arrived { answered } => return answered,
                At::Lost => return false,
            };
        }
    }

    /// What is special about a packet's beginning. None: it goes into the router.
    fn begins(&mut self, vpc: &'a Vpc, leg: Leg<'a>, header: &Header) -> Option<At<'a>> {
        if self.query.disconnected(self.topology, vpc) {
            let mut hop = self.interface_hop(vpc, leg, header);
            hop.block = stop(Code::DisconnectedVpcs, self.suggest.peering(vpc, header.destination));
            self.hops.push(hop);
            return Some(At::Lost);
        }
        if leg.interface.kind == InterfaceKind::Endpoint {
            let mut hop = self.interface_hop(vpc, leg, header);
            hop.block = stop(Code::VpceIntraVpcTraffic, None);
            self.hops.push(hop);
            return Some(At::Lost);
        }
        if header.destination == leg.interface.address {
            // To itself: it never leaves the interface.
            let hop = self.interface_hop(vpc, leg, header);
            self.hops.push(hop);
            return Some(At::Arrived { answered: false });
        }
        None
    }

    /// From the internet to the VPC that the destination belongs to.
    fn towards_vpc(&mut self, header: Header) -> At<'a> {
        let topology = self.topology;
        if let Some((vpc, _)) = topology.internet.interface(topology, header.destination) {
            return At::Gate(vpc, Gate::InternetGateway, header);
        }
        // The interface that was asked for has no public address, or its VPC no internet gateway.
        if let End::Interface(id) = &self.query.to
            && let Some((vpc, leg)) = topology.interface(id)
        {
            let mut hop = hop(Some(&vpc.id), &header, Component::InternetGateway { outwards: false });
            hop.block = if vpc.internet_gateway {
                stop(
                    Code::IgwPrivateIpAssociationForIngress,
                    Some(Suggestion::GivePublicAddress {
                        interface: leg.interface.id.clone(),
                        outwards: false,
                    }),
                )
            } else {
                stop(Code::NoPath, Some(Suggestion::AttachInternetGateway { vpc: vpc.id.clone() }))
            };
            self.hops.push(hop);
            return At::Lost;
        }
        let mut hop = hop(None, &header, Component::Internet { owner: Owner::Nobody });
        hop.block = stop(Code::NoPossibleDestination, None);
        self.hops.push(hop);
        At::Lost
    }

    /// One packet in the internet.
    fn internet(&mut self, header: Header) -> At<'a> {
        let internet = &self.topology.internet;
        let owner = internet.owner(self.topology, header.destination, header.transport);
        let mut hop = hop(None, &header, Component::Internet { owner: owner.clone() });
        match owner {
            Owner::Interface { .. } => {
                self.hops.push(hop);
                self.towards_vpc(header)
            }
            Owner::Nobody if self.query.to != End::Internet => {
                hop.block = stop(Code::NoPossibleDestination, None);
                self.hops.push(hop);
                At::Lost
            }
            _ => {
                self.hops.push(hop);
                At::Arrived { answered: true }
            }
        }
    }

    /// Through a VPC's router.
    fn cross(&mut self, vpc: &'a Vpc, entry: Gate<'a>, header: &Header) -> At<'a> {
        let is_again = |known: &Crossing<'_>| known.vpc.id == vpc.id && known.entry.is(&entry);
        if self.crossings.iter().any(is_again) {
            // In a circle: NAT gateways whose subnets' routes lead to each other.
            if let Some(last) = self.hops.last_mut() {
                last.block = stop(Code::NoPossibleDestination, None);
            }
            return At::Lost;
        }
        let header = match self.enter(vpc, entry, header) {
            Some(header) => header,
            None => return At::Lost,
        };
        if let Some(service) = router_service(vpc, &header) {
            return self.router(vpc, entry, &header, service);
        }
        if let Gate::Interface(leg) = entry {
            let table = route::table(vpc, &leg.subnet.route_table);
            let exit = table.and_then(|table| match route::look_up(vpc, table, header.destination) {
                RouteDecision::Route { route, .. } => route::gate(vpc, &route.target),
                RouteDecision::Local { .. } | RouteDecision::NoRoute => None,
            });
            self.groups(vpc, leg, Direction::Egress, &header, Asked::First(exit));
        }
        let (exit, local) = match entry {
            Gate::Interface(leg) => match self.leave_subnet(vpc, leg, &header, None) {
                Some(found) => found,
                None => return At::Lost,
            },
            // What comes through a gateway is for the VPC itself: it is never led on.
            _ => match route::local(vpc, header.destination) {
                Some(leg) => (Gate::Interface(leg), true),
                None => {
                    if let Some(last) = self.hops.last_mut() {
                        last.block = stop(Code::NoPossibleDestination, None);
                        last.counters = denied(&vpc.id, Reason::NoInterface, None);
                    }
                    return At::Lost;
                }
            },
        };
        self.crossings.push(Crossing { vpc, entry, exit, header: header.clone() });
        match exit {
            Gate::Interface(leg) => self.deliver(vpc, entry, leg, &header, local),
            Gate::InternetGateway => self.leave_vpc(vpc, &header),
            Gate::Peering(peering) => self.peer(vpc, peering, &header),
            Gate::Endpoint(endpoint) => self.endpoint(vpc, endpoint, &header),
        }
    }

    /// At the gate where a packet comes into a router. The packet as it is inside; None if there is no way in.
    fn enter(&mut self, vpc: &'a Vpc, entry: Gate<'a>, header: &Header) -> Option<Header> {
        match entry {
            Gate::Interface(leg) if leg.interface.kind == InterfaceKind::NatGateway => Some(header.clone()),
            Gate::Interface(leg) => {
                let mut hop = self.interface_hop(vpc, leg, header);
                if leg.interface.source_dest_check && header.source != leg.interface.address {
                    let interface = leg.interface.id.clone();
                    hop.block = stop(
                        Code::EniSourceDestCheckRestriction,
                        Some(Suggestion::DisableSourceDestCheck { interface }),
                    );
                    hop.counters = denied(&vpc.id, Reason::SourceCheck, Some(&leg.interface.id));
                }
                self.hops.push(hop);
                Some(header.clone())
            }
            Gate::InternetGateway => {
                let mut hop = hop(Some(&vpc.id), header, Component::InternetGateway { outwards: false });
                let public =
                    |interface: &desired::Interface| interface.public_address == Some(header.destination);
                let leg = route::leg(vpc, public)?;
                let inside = Header { destination: leg.interface.address, ..header.clone() };
                hop.translated = Some(inside.clone());
                self.hops.push(hop);
                Some(inside)
            }
            Gate::Peering(_) | Gate::Endpoint(_) => Some(header.clone()),
        }
    }

    /// The router's own services.
    fn router(&mut self, vpc: &Vpc, entry: Gate<'_>, header: &Header, service: RouterService) -> At<'a> {
        let mut hop = hop(Some(&vpc.id), header, Component::Router { service });
        if service == RouterService::None || !matches!(entry, Gate::Interface(_)) {
            hop.block = stop(Code::ProtocolRestriction, None);
            let interface = match entry {
                Gate::Interface(leg) => Some(&leg.interface.id),
                _ => None,
            };
            hop.counters = denied(&vpc.id, Reason::Router, interface);
        }
        self.hops.push(hop);
        At::Arrived { answered: false }
    }

    /// To an interface of the VPC.
    fn deliver(
        &mut self,
        vpc: &'a Vpc,
        entry: Gate<'a>,
        leg: Leg<'a>,
        header: &Header,
        local: bool,
    ) -> At<'a> {
        self.enter_subnet(vpc, entry, leg, header, false);
        if leg.interface.kind == InterfaceKind::NatGateway {
            return self.nat_gateway(vpc, leg, header, local);
        }
        let mut hop = self.interface_hop(vpc, leg, header);
        if header.destination == leg.interface.address {
            self.hops.push(hop);
            return At::Arrived { answered: true };
        }
        if leg.interface.source_dest_check {
            let interface = leg.interface.id.clone();
            hop.block = stop(
                Code::EniSourceDestCheckRestriction,
                Some(Suggestion::DisableSourceDestCheck { interface }),
            );
            hop.counters = denied(&vpc.id, Reason::DestinationCheck, Some(&leg.interface.id));
        } else {
            hop.block = stop(Code::NoPossibleDestination, None);
        }
        self.hops.push(hop);
        At::Lost
    }

    /// A NAT gateway sends the packet on as its own.
    fn nat_gateway(&mut self, vpc: &'a Vpc, leg: Leg<'a>, header: &Header, local: bool) -> At<'a> {
        let interface = leg.interface.id.clone();
        let mut hop = hop(Some(&vpc.id), header, Component::NatGateway { interface });
        hop.subnet = Some(leg.subnet.id.clone());
        // Nobody can begin a flow with the gateway itself.
        if local {
            hop.block = stop(Code::NoPossibleDestination, None);
            hop.counters = denied(&vpc.id, Reason::NatGateway, Some(&leg.interface.id));
            self.hops.push(hop);
            return At::Lost;
        }
        if !is_inside(vpc, header.source) {
            hop.block = stop(Code::NgwRequiresSourceInVpc, None);
            hop.counters = denied(&vpc.id, Reason::NatGateway, Some(&leg.interface.id));
            self.hops.push(hop);
            return At::Lost;
        }
        let source = NAT_GATEWAY_PORTS;
        let transport = match header.transport {
            Transport::Tcp { destination, .. } => Transport::Tcp { source, destination },
            Transport::Udp { destination, .. } => Transport::Udp { source, destination },
            icmp @ Transport::Icmp { .. } => icmp,
        };
        let translated = Header { source: leg.interface.address, transport, ..header.clone() };
        hop.translated = Some(translated.clone());
        self.hops.push(hop);
        At::Gate(vpc, Gate::Interface(leg), translated)
    }

    /// Through the internet gateway into the internet.
    fn leave_vpc(&mut self, vpc: &'a Vpc, header: &Header) -> At<'a> {
        let mut hop = hop(Some(&vpc.id), header, Component::InternetGateway { outwards: true });
        let sender = route::local(vpc, header.source);
        let public = sender.and_then(|leg| leg.interface.public_address);
        let outwards = !is_private(header.destination) && !is_shared(header.destination);
        if let (Some(public), true) = (public, outwards) {
            let outside = Header { source: public, ..header.clone() };
            hop.translated = Some(outside.clone());
            self.hops.push(hop);
            return At::Internet(outside);
        }
        let code = if public.is_none() {
            hop.counters = denied(&vpc.id, Reason::NoPublicAddress, sender.map(|leg| &leg.interface.id));
            Code::IgwPublicIpAssociationForEgress
        } else if is_private(header.destination) {
            Code::IgwDestinationAddressNotInRfc1918Egress
        } else {
            Code::IgwDestinationAddressNotInRfc6598Egress
        };
        let suggestion = match (sender, public) {
            (Some(leg), None) if outwards => self.suggest.public_address(vpc, leg, header),
            _ => self.missing_peering(header),
        };
        hop.block = stop(code, suggestion);
        self.hops.push(hop);
        At::Lost
    }

    /// For a private address that went by the default route: it may be a peered VPC's, or one's that could be.
    fn missing_peering(&self, header: &Header) -> Option<Suggestion> {
        let Crossing { vpc, entry: Gate::Interface(leg), .. } = self.crossings.first()? else { return None };
        let peered = vpc.peerings.iter().flat_map(|peering| &peering.cidr_blocks);
        let table = route::table(vpc, &leg.subnet.route_table)?;
        let decision = route::look_up(vpc, table, header.destination);
        let mut peered = peered.filter(|range| range.contains(&header.destination));
        match peered.next() {
            Some(_) => self.suggest.route(vpc, *leg, table, &decision, header, None),
            None => self.suggest.peering(vpc, header.destination),
        }
    }

    /// Through a peering connection into the other VPC.
    fn peer(&mut self, vpc: &'a Vpc, peering: &'a desired::Peering, header: &Header) -> At<'a> {
        let to = peering.peer.clone();
        let mut hop = hop(Some(&vpc.id), header, Component::Peering { id: peering.id.clone(), to });
        let other = self.topology.vpcs.iter().find(|other| other.id == peering.peer);
        let far = other.and_then(|other| other.peerings.iter().find(|far| far.id == peering.id));
        let covers = |ranges: &[ipnet::Ipv4Net], address| ranges.iter().any(|range| range.contains(&address));
        let refused = match far {
            // The other VPC has no interface at all.
            None => Some((Code::NoPossibleDestination, &vpc.id, Reason::NoRoute)),
            Some(far) if !covers(&far.cidr_blocks, header.source) => {
                Some((Code::PcxRequiresAddressInVpcCidr, &peering.peer, Reason::SourceCheck))
            }
            Some(_) if !covers(&peering.cidr_blocks, header.destination) => {
                Some((Code::PcxRequiresAddressInVpcCidr, &peering.peer, Reason::NoRoute))
            }
            Some(_) => None,
        };
        if let Some((code, counted, reason)) = refused {
            hop.block = stop(code, None);
            hop.counters = denied(counted, reason, None);
        }
        let goes_on = hop.block.is_none();
        self.hops.push(hop);
        match (other, far) {
            (Some(other), Some(far)) if goes_on => At::Gate(other, Gate::Peering(far), header.clone()),
            _ => At::Lost,
        }
    }

    /// Into a gateway endpoint.
    fn endpoint(&mut self, vpc: &Vpc, endpoint: &GatewayEndpoint, header: &Header) -> At<'a> {
        let mut hop = hop(Some(&vpc.id), header, Component::GatewayEndpoint { id: endpoint.id.clone() });
        let taken = match header.transport {
            Transport::Tcp { .. } | Transport::Icmp { kind: 8, .. } => true,
            Transport::Udp { .. } | Transport::Icmp { .. } => false,
        };
        hop.block = if !taken {
            stop(Code::VpceGatewayProtocolRestriction, None)
        } else if !endpoint.addresses.contains(&header.destination) {
            stop(Code::NoPossibleDestination, None)
        } else {
            None
        };
        let goes_on = hop.block.is_none();
        self.hops.push(hop);
        if goes_on { At::Arrived { answered: true } } else { At::Lost }
    }
}
