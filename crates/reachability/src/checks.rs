//! What holds at an interface and at its subnet: security groups, network ACL, route table.

use std::net::Ipv4Addr;

use desired::{InterfaceKind, Vpc};

use crate::counter::{self, Reason, denied, of};
use crate::filter::{ask_acl, ask_groups, groups};
use crate::route::{self, Gate, Leg};
use crate::walk::{Walk, hop, stop};
use crate::{
    Block, Code, Component, Direction, End, GroupDecision, Header, Hop, PortRange, RouteDecision,
    RouterService, Transport,
};

/// What an interface's groups are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked<'a> {
    /// A flow's first packet, with the other gate of the crossing, if it is known.
    First(Option<Gate<'a>>),
    /// A packet of a flow that was let through.
    Answer,
}

impl<'a> Walk<'a> {
    /// Out of an interface's subnet: its network ACL, unless the packet stays inside, and its route table. Gives the
    /// exit, and whether the local route leads there. For an answer `back` is the only exit that is right.
    pub(crate) fn leave_subnet(
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
        let reason = if local { Reason::NoInterface } else { Reason::NoRoute };
        if !goes_on {
            hop.counters = match exit {
                None => denied(&vpc.id, reason, Some(&leg.interface.id)),
                // It comes to somebody who has no use of it.
                Some(Gate::Interface(to)) if to.interface.kind == InterfaceKind::NatGateway => {
                    denied(&vpc.id, Reason::NatGateway, Some(&to.interface.id))
                }
                Some(Gate::Interface(to)) if to.interface.source_dest_check => {
                    denied(&vpc.id, Reason::DestinationCheck, Some(&to.interface.id))
                }
                Some(_) => Vec::new(),
            };
        }
        self.hops.push(hop);
        exit.filter(|_| goes_on).map(|exit| (exit, local))
    }

    /// Into the subnet of an interface: its network ACL, unless the packet comes from inside, and the interface's groups.
    pub(crate) fn enter_subnet(
        &mut self,
        vpc: &Vpc,
        entry: Gate<'_>,
        leg: Leg<'_>,
        header: &Header,
        answer: bool,
    ) {
        let inside = matches!(entry, Gate::Interface(from) if from.subnet.id == leg.subnet.id);
        if !inside {
            self.acl(vpc, leg, Direction::Ingress, header, answer);
        }
        let asked = if answer { Asked::Answer } else { Asked::First(Some(entry)) };
        self.groups(vpc, leg, Direction::Ingress, header, asked);
    }

    pub(crate) fn interface_hop(&self, vpc: &Vpc, leg: Leg<'_>, header: &Header) -> Hop {
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
    pub(crate) fn groups(
        &mut self,
        vpc: &Vpc,
        leg: Leg<'_>,
        direction: Direction,
        header: &Header,
        asked: Asked<'_>,
    ) {
        let interface = leg.interface;
        if interface.kind == InterfaceKind::NatGateway {
            return;
        }
        let found = match asked {
            Asked::Answer => Vec::new(),
            Asked::First(other) => {
                let peering = match other {
                    Some(Gate::Peering(peering)) => Some(peering),
                    _ => None,
                };
                ask_groups(vpc, interface, direction, header, peering)
            }
        };
        // The kernel counts with one of those that fit.
        let counted =
            found.iter().flat_map(|(group, rule)| of(&vpc.id, counter::rule(&group.id, direction, rule)));
        let (decision, counters, block) = match (asked, found.first()) {
            (Asked::Answer, _) => (GroupDecision::Answer, Vec::new(), None),
            (_, Some((group, rule))) => {
                let (group, rule) = (group.id.clone(), (*rule).clone());
                (GroupDecision::Rule { group, rule }, counted.collect(), None)
            }
            (_, None) => {
                let suggestion = self.suggest.group_rule(vpc, leg, direction, header);
                let reason = Reason::SecurityGroup(direction);
                let counters = denied(&vpc.id, reason, Some(&interface.id));
                (GroupDecision::NoRule, counters, stop(Code::EniSgRulesMismatch, suggestion))
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
    pub(crate) fn acl(
        &mut self,
        vpc: &Vpc,
        leg: Leg<'_>,
        direction: Direction,
        header: &Header,
        answer: bool,
    ) {
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
        let mut counters = of(&vpc.id, counter::entry(&acl.id, direction, &said.decision));
        if !said.allowed {
            let reason = Reason::NetworkAcl(direction);
            counters.extend(denied(&vpc.id, reason, Some(&leg.interface.id)));
        }
        let component = Component::NetworkAcl { id: acl.id.clone(), direction, decision: said.decision };
        let subnet = Some(leg.subnet.id.clone());
        self.hops.push(Hop { subnet, counters, block, ..hop(Some(&vpc.id), header, component) });
    }
}

/// The router's own service that a packet is for; None when it is for somebody else.
pub(crate) fn router_service(vpc: &Vpc, header: &Header) -> Option<RouterService> {
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
