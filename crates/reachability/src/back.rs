//! The answer's way: the packet's crossings backwards.

use desired::InterfaceKind;

use crate::checks::Asked;
use crate::counter::{Reason, denied};
use crate::route::{self, Gate, Leg};
use crate::walk::{Crossing, Walk, answer_of, hop, stop};
use crate::{Code, Component, Direction, End, Header, NAT_GATEWAY_PORTS, PortRange, Transport};

impl<'a> Walk<'a> {
    /// The answer's way: the crossings backwards. `asked` is the packet as the asked source sent it.
    pub(crate) fn back(&mut self, asked: &Header) {
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
                self.groups(vpc, *leg, Direction::Egress, &answer, Asked::Answer);
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
                let through_gateway = !matches!(exit, Gate::Interface(_));
                let found = route::local(vpc, answer.destination);
                if through_gateway && found.is_none_or(|found| found.interface.id != leg.interface.id) {
                    // To an address that the sender used without having it.
                    if let Some(last) = self.hops.last_mut() {
                        last.block = stop(Code::NoPossibleDestination, None);
                        last.counters = denied(&vpc.id, Reason::NoInterface, None);
                    }
                    return false;
                }
                self.enter_subnet(vpc, *exit, *leg, &answer, true);
                // A NAT gateway's next hop says so itself.
                if leg.interface.kind != InterfaceKind::NatGateway || self.is_asked(leg) {
                    let mut hop = self.interface_hop(vpc, *leg, &answer);
                    if leg.interface.source_dest_check && answer.destination != leg.interface.address {
                        hop.block = stop(Code::EniSourceDestCheckRestriction, None);
                        hop.counters = denied(&vpc.id, Reason::DestinationCheck, Some(&leg.interface.id));
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
}

fn with_destination(transport: Transport, destination: PortRange) -> Transport {
    match transport {
        Transport::Tcp { source, .. } => Transport::Tcp { source, destination },
        Transport::Udp { source, .. } => Transport::Udp { source, destination },
        icmp @ Transport::Icmp { .. } => icmp,
    }
}
