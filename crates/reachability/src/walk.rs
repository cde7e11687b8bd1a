//! One packet's way, and its answer's.
//!
//! A way is a row of *crossings*: a crossing is the way through one VPC's router, from a gate to a gate. A NAT gateway
//! makes a second crossing of the same router; an internet gateway or a peering connection leads to another's. The
//! answer makes the same crossings backwards, or it does not come to whom it is for.

use std::net::Ipv4Addr;

use desired::{GatewayEndpoint, InterfaceKind, Vpc};
use types::VpcId;

use crate::counter::{self, of};
use crate::filter::{ask_acl, ask_groups, groups};
use crate::internet::{is_private, is_shared};
use crate::route::{self, Gate, Leg, is_inside};
use crate::suggest::Suggest;
use crate::{
    Block, Code, Component, Direction, End, GroupDecision, Header, Hop, NAT_GATEWAY_PORTS, Owner, PortRange,
    Query, RouteDecision, RouterService, Suggestion, Topology, Transport,
};

/// No way is longer: a packet that crosses so many routers goes in a circle.
const MOST_CROSSINGS: usize = 8;

/// Where a way begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    Interface(&'a Vpc, Leg<'a>),
    Internet,
}

/// The way through one router. `header` is the packet inside the VPC: with private addresses.
#[derive(Debug, Clone)]
struct Crossing<'a> {
    vpc: &'a Vpc,
    entry: Gate<'a>,
    exit: Gate<'a>,
    header: Header,
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
    topology: &'a Topology,
    query: &'a Query,
    hops: Vec<Hop>,
    crossings: Vec<Crossing<'a>>,
    suggest: Suggest<'a>,
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
fn answer_of(header: &Header) -> Option<Header> {
    let transport = match header.transport {
        Transport::Tcp { source, destination } => Transport::Tcp { source: destination, destination: source },
        Transport::Udp { source, destination } => Transport::Udp { source: destination, destination: source },
        Transport::Icmp { kind: 8, code: 0 } => Transport::Icmp { kind: 0, code: 0 },
        Transport::Icmp { .. } => return None,
    };
    Some(Header { source: header.destination, destination: header.source, transport })
}

fn stop(code: Code, suggestion: Option<Suggestion>) -> Option<Block> {
    Some(Block { code, partial: false, suggestion })
}

fn hop(vpc: Option<&VpcId>, header: &Header, component: Component) -> Hop {
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
            hop.block = stop(Code::DisconnectedVpcs, None);
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
                    Some(Suggestion::GivePublicAddress { interface: leg.interface.id.clone() }),
                )
            } else {
                stop(Code::NoPath, Some(Suggestion::AttachInternetGateway { vpc: vpc.id.clone() }))
            };
            hop.counters = of(&vpc.id, counter::NOT_ADDRESSED);
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
        if self.crossings.len() == MOST_CROSSINGS {
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
            self.groups(vpc, leg, Direction::Egress, &header, false);
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
                    hop.counters = of(&vpc.id, counter::SOURCE_CHECK);
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
            hop.counters = of(&vpc.id, counter::ROUTER);
        }
        self.hops.push(hop);
        At::Arrived { answered: false }
    }

    /// Out of an interface's subnet: its network ACL, unless the packet stays inside, and its route table. Gives the
    /// exit, and whether the local route leads there. For an answer `back` is the only exit that is right.
    fn leave_subnet(
        &mut self,
        vpc: &'a Vpc,
        leg: Leg<'a>,
        header: &Header,
        back: Option<Gate<'a>>,
    ) -> Option<(Gate<'a>, bool)> {
        let table = route::table(vpc, &leg.subnet.route_table)?;
        let decision = route::look_up(vpc, table, header.destination);
        let (exit, local) = match &decision {
            RouteDecision::Local { .. } => (route::local(vpc, header.destination).map(Gate::Interface), true),
            RouteDecision::Route { route, .. } => (route::gate(vpc, &route.target), false),
            RouteDecision::NoRoute => (None, false),
        };
        let stays = match exit {
            Some(Gate::Interface(to)) => to.subnet.id == leg.subnet.id,
            Some(_) => false,
            None => leg.subnet.cidr_block.contains(&header.destination),
        };
        if !stays {
            self.acl(vpc, leg, Direction::Egress, header, back.is_some());
        }
        let is_asked = |gate: &Gate<'_>| match (&back, &self.query.to) {
            (Some(back), _) => gate.is(back),
            (None, End::GatewayEndpoint(id)) => matches!(gate, Gate::Endpoint(found) if found.id == *id),
            // Behind an endpoint is one service, not the internet.
            (None, End::Internet) => !matches!(gate, Gate::Endpoint(_)),
            (None, _) => true,
        };
        let code = match (&decision, &exit) {
            (RouteDecision::NoRoute, _) => Some(Code::NoRouteToDestination),
            (RouteDecision::Route { .. }, None) => Some(Code::BadStateRoute),
            (RouteDecision::Local { .. }, None) => Some(Code::NoPossibleDestination),
            (_, Some(exit)) if !is_asked(exit) => Some(Code::NoRouteToDestination),
            // In a circle: a NAT gateway whose own subnet's route leads to it.
            (_, Some(Gate::Interface(to))) if to.interface.id == leg.interface.id => {
                Some(Code::NoPossibleDestination)
            }
            _ => None,
        };
        let mut hop = hop(
            Some(&vpc.id),
            header,
            Component::RouteTable { id: table.id.clone(), decision: decision.clone() },
        );
        hop.subnet = Some(leg.subnet.id.clone());
        hop.block = code.and_then(|code| {
            let suggestion = match code {
                Code::NoPossibleDestination => None,
                _ => self.suggest.route(vpc, leg, table, &decision, header, back),
            };
            stop(code, suggestion)
        });
        let goes_on = hop.block.is_none();
        self.hops.push(hop);
        exit.filter(|_| goes_on).map(|exit| (exit, local))
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
            hop.counters = of(&vpc.id, counter::DESTINATION_CHECK);
        } else {
            hop.block = stop(Code::NoPossibleDestination, None);
        }
        self.hops.push(hop);
        At::Lost
    }

    /// Into the subnet of an interface: its network ACL, unless the packet comes from inside, and the interface's groups.
    fn enter_subnet(&mut self, vpc: &Vpc, entry: Gate<'_>, leg: Leg<'_>, header: &Header, answer: bool) {
        let inside = matches!(entry, Gate::Interface(from) if from.subnet.id == leg.subnet.id);
        if !inside {
            self.acl(vpc, leg, Direction::Ingress, header, answer);
        }
        self.groups(vpc, leg, Direction::Ingress, header, answer);
    }

    /// A NAT gateway sends the packet on as its own.
    fn nat_gateway(&mut self, vpc: &'a Vpc, leg: Leg<'a>, header: &Header, local: bool) -> At<'a> {
        let interface = leg.interface.id.clone();
        let mut hop = hop(Some(&vpc.id), header, Component::NatGateway { interface });
        hop.subnet = Some(leg.subnet.id.clone());
        // Nobody can begin a flow with the gateway itself, and it leads nothing back into the VPC.
        if local || is_inside(vpc, header.destination) {
            hop.block = stop(Code::NoPossibleDestination, None);
            self.hops.push(hop);
            return At::Lost;
        }
        if !is_inside(vpc, header.source) {
            hop.block = stop(Code::NgwRequiresSourceInVpc, None);
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
        if let (Some(public), false) =
            (public, is_private(header.destination) || is_shared(header.destination))
        {
            let outside = Header { source: public, ..header.clone() };
            hop.translated = Some(outside.clone());
            self.hops.push(hop);
            return At::Internet(outside);
        }
        let code = if public.is_none() {
            hop.counters = of(&vpc.id, counter::NO_PUBLIC_ADDRESS);
            Code::IgwPublicIpAssociationForEgress
        } else if is_private(header.destination) {
            Code::IgwDestinationAddressNotInRfc1918Egress
        } else {
            Code::IgwDestinationAddressNotInRfc6598Egress
        };
        let suggestion = match (sender, public) {
            (Some(leg), None) => self.suggest.public_address(vpc, leg, header),
            _ => self.missing_peering_route(header),
        };
        hop.block = stop(code, suggestion);
        self.hops.push(hop);
        At::Lost
    }

    /// For a private address that went by the default route: it may be a peered VPC's.
    fn missing_peering_route(&self, header: &Header) -> Option<Suggestion> {
        let Crossing { vpc, entry: Gate::Interface(leg), .. } = self.crossings.first()? else { return None };
        let peered = vpc.peerings.iter().flat_map(|peering| &peering.cidr_blocks);
        let table = route::table(vpc, &leg.subnet.route_table)?;
        let decision = route::look_up(vpc, table, header.destination);
        let mut peered = peered.filter(|range| range.contains(&header.destination));
        peered.next().and_then(|_| self.suggest.route(vpc, *leg, table, &decision, header, None))
    }

    /// Through a peering connection into the other VPC.
    fn peer(&mut self, vpc: &'a Vpc, peering: &'a desired::Peering, header: &Header) -> At<'a> {
        let to = peering.peer.clone();
        let mut hop = hop(Some(&vpc.id), header, Component::Peering { id: peering.id.clone(), to });
        let other = self.topology.vpcs.iter().find(|other| other.id == peering.peer);
        let far = other.and_then(|other| other.peerings.iter().find(|far| far.id == peering.id));
        let covers = |ranges: &[ipnet::Ipv4Net], address| ranges.iter().any(|range| range.contains(&address));
        hop.block = match far {
            _ if !covers(&peering.cidr_blocks, header.destination) => {
                stop(Code::PcxRequiresAddressInVpcCidr, None)
            }
            Some(far) if !covers(&far.cidr_blocks, header.source) => {
                stop(Code::PcxRequiresAddressInVpcCidr, None)
            }
            Some(_) => None,
            // The other VPC has no interface at all.
            None => stop(Code::NoPossibleDestination, None),
        };
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

    /// The answer's way: the crossings backwards. `asked` is the packet as the asked source sent it.
    fn back(&mut self, asked: &Header) {
        let crossings = std::mem::take(&mut self.crossings);
        for crossing in crossings.iter().rev() {
            if !self.cross_back(crossing) {
                return;
            }
        }
        if let Some(Crossing { entry: Gate::InternetGateway, .. }) = crossings.first()
            && let Some(answer) = answer_of(asked)
        {
            let owner = self.topology.internet.owner(self.topology, answer.destination, answer.transport);
            self.hops.push(hop(None, &answer, Component::Internet { owner }));
        }
    }

    /// The answer's way through one router. Whether it comes through as far as routes are concerned.
    fn cross_back(&mut self, crossing: &Crossing<'a>) -> bool {
        let Crossing { vpc, entry, exit, .. } = crossing;
        let Some(answer) = answer_of(&crossing.header) else { return false };
        match exit {
            Gate::Interface(leg) => {
                if leg.interface.kind == InterfaceKind::NatGateway {
                    let interface = leg.interface.id.clone();
                    let mut hop = hop(Some(&vpc.id), &answer, Component::NatGateway { interface });
                    hop.subnet = Some(leg.subnet.id.clone());
                    // It arrives at the gateway's own address and port.
                    hop.header.destination = leg.interface.address;
                    hop.header.transport = with_destination(answer.transport, NAT_GATEWAY_PORTS);
                    hop.translated = Some(answer.clone());
                    self.hops.push(hop);
                } else {
                    let hop = self.interface_hop(vpc, *leg, &answer);
                    self.hops.push(hop);
                }
                self.groups(vpc, *leg, Direction::Egress, &answer, true);
                if self.leave_subnet(vpc, *leg, &answer, Some(*entry)).is_none() {
                    return false;
                }
            }
            Gate::InternetGateway => {
                let public =
                    route::local(vpc, answer.destination).and_then(|leg| leg.interface.public_address);
                let Some(destination) = public else { return false };
                let outside = Header { destination, ..answer.clone() };
                let owner = self.topology.internet.owner(self.topology, outside.source, outside.transport);
                self.hops.push(hop(None, &outside, Component::Internet { owner }));
                let mut hop = hop(Some(&vpc.id), &outside, Component::InternetGateway { outwards: false });
                hop.translated = Some(answer.clone());
                self.hops.push(hop);
            }
            Gate::Endpoint(endpoint) => {
                let id = endpoint.id.clone();
                self.hops.push(hop(Some(&vpc.id), &answer, Component::GatewayEndpoint { id }));
            }
            Gate::Peering(_) => (),
        }
        match entry {
            Gate::Interface(leg) => {
                self.enter_subnet(vpc, *exit, *leg, &answer, true);
                // A NAT gateway's next hop says so itself.
                if leg.interface.kind != InterfaceKind::NatGateway || self.is_asked(leg) {
                    let mut hop = self.interface_hop(vpc, *leg, &answer);
                    if leg.interface.source_dest_check && answer.destination != leg.interface.address {
                        hop.block = stop(Code::EniSourceDestCheckRestriction, None);
                        hop.counters = of(&vpc.id, counter::DESTINATION_CHECK);
                    }
                    self.hops.push(hop);
                }
            }
            Gate::InternetGateway => {
                let mut hop = hop(Some(&vpc.id), &answer, Component::InternetGateway { outwards: true });
                let public = route::local(vpc, answer.source).and_then(|leg| leg.interface.public_address);
                hop.translated = public.map(|source| Header { source, ..answer.clone() });
                self.hops.push(hop);
            }
            Gate::Peering(peering) => {
                let component = Component::Peering { id: peering.id.clone(), to: peering.peer.clone() };
                self.hops.push(hop(Some(&vpc.id), &answer, component));
            }
            Gate::Endpoint(_) => (),
        }
        true
    }

    fn is_asked(&self, leg: &Leg<'_>) -> bool {
        matches!(&self.query.from, End::Interface(id) if *id == leg.interface.id)
    }

    fn interface_hop(&self, vpc: &Vpc, leg: Leg<'_>, header: &Header) -> Hop {
        let interface = leg.interface;
        let component = Component::Interface {
            id: interface.id.clone(),
            of: interface.kind,
            address: interface.address,
            public_address: interface.public_address,
            source_dest_check: interface.source_dest_check,
        };
        Hop { subnet: Some(leg.subnet.id.clone()), ..hop(Some(&vpc.id), header, component) }
    }

    /// An interface's security groups; a NAT gateway has none.
    fn groups(&mut self, vpc: &Vpc, leg: Leg<'_>, direction: Direction, header: &Header, answer: bool) {
        let interface = leg.interface;
        if interface.kind == InterfaceKind::NatGateway {
            return;
        }
        let decision =
            if answer { GroupDecision::Answer } else { ask_groups(vpc, interface, direction, header) };
        let (counters, block) = match &decision {
            GroupDecision::Rule { group, rule } => (of(&vpc.id, counter::rule(group, direction, rule)), None),
            GroupDecision::Answer => (Vec::new(), None),
            GroupDecision::NoRule => {
                let suggestion = self.suggest.group_rule(vpc, leg, direction, header);
                (of(&vpc.id, counter::no_rule(direction)), stop(Code::EniSgRulesMismatch, suggestion))
            }
        };
        let component = Component::SecurityGroups {
            interface: interface.id.clone(),
            groups: groups(vpc, interface).into_iter().map(|group| group.id.clone()).collect(),
            direction,
            decision,
        };
        let subnet = Some(leg.subnet.id.clone());
        self.hops.push(Hop { subnet, counters, block, ..hop(Some(&vpc.id), header, component) });
    }

    /// The network ACL of an interface's subnet.
    fn acl(&mut self, vpc: &Vpc, leg: Leg<'_>, direction: Direction, header: &Header, answer: bool) {
        let Some(acl) = vpc.network_acls.iter().find(|acl| acl.id == leg.subnet.network_acl) else { return };
        let entries = match direction {
            Direction::Ingress => &acl.ingress,
            Direction::Egress => &acl.egress,
        };
        let said = ask_acl(entries, direction, header);
        let block = (!said.allowed).then(|| Block {
            code: Code::SubnetAclRestriction,
            partial: said.partial,
            suggestion: self.suggest.acl_entry(vpc, acl, direction, &said.decision, header, answer),
        });
        let counters = of(&vpc.id, counter::entry(&acl.id, direction, &said.decision));
        let component = Component::NetworkAcl { id: acl.id.clone(), direction, decision: said.decision };
        let subnet = Some(leg.subnet.id.clone());
        self.hops.push(Hop { subnet, counters, block, ..hop(Some(&vpc.id), header, component) });
    }
}

fn with_destination(transport: Transport, destination: PortRange) -> Transport {
    match transport {
        Transport::Tcp { source, .. } => Transport::Tcp { source, destination },
        Transport::Udp { source, .. } => Transport::Udp { source, destination },
        icmp @ Transport::Icmp { .. } => icmp,
    }
}

/// The router's own service that a packet is for; None when it is for somebody else.
fn router_service(vpc: &Vpc, header: &Header) -> Option<RouterService> {
    const DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
    const TASK_METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
    let base = vpc.cidr_blocks.first().map(|range| u32::from(range.network()));
    let to_dns = header.destination == DNS
        || base.and_then(|base| base.checked_add(2)) == Some(u32::from(header.destination));
    let port = |wanted| match header.transport {
        Transport::Tcp { destination, .. } | Transport::Udp { destination, .. } => {
            destination == PortRange { from: wanted, to: wanted }
        }
        Transport::Icmp { .. } => false,
    };
    let tcp = matches!(header.transport, Transport::Tcp { .. });
    match header.destination {
        _ if to_dns && port(53) => Some(RouterService::Dns),
        TASK_METADATA if tcp && port(80) => Some(RouterService::TaskMetadata),
        TASK_METADATA => Some(RouterService::None),
        _ if to_dns => Some(RouterService::None),
        _ => None,
    }
}
