//! From a question to the packets that may be meant, and to the answer.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use desired::{Ports, Vpc};
use ipnet::Ipv4Net;
use types::{NetworkInterfaceId, VpcEndpointId};

use crate::internet::{connected, is_private, is_shared};
use crate::route::{self, Leg};
use crate::walk::{Start, Ways, walk};
use crate::{Analysis, EPHEMERAL, End, Header, PortRange, Query, Topology, Traffic, Transport};

/// Somebody in the internet, where nobody in particular is meant (TEST-NET-3 of RFC 5737).
const ANYBODY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// So many addresses, and so many ports, are tried where any is good enough.
const MOST_CANDIDATES: usize = 64;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No VPC has the interface.
    #[error("{0} has no network: nothing is attached to it")]
    UnknownInterface(NetworkInterfaceId),
    /// No VPC has the gateway endpoint.
    #[error("no VPC has a gateway endpoint {0}")]
    UnknownEndpoint(VpcEndpointId),
    /// Several VPCs have interfaces with the address.
    #[error("several VPCs have an interface with the address {0}: name the interface")]
    AmbiguousAddress(Ipv4Addr),
    /// No interface has the private address, so that nobody can send from it.
    #[error("no network interface has the address {0}")]
    UnknownSource(Ipv4Addr),
    /// A gateway endpoint only answers.
    #[error("a gateway endpoint sends nothing by itself")]
    EndpointAsSource,
    /// The way would not touch any VPC.
    #[error("neither end is in a VPC")]
    NoVpc,
}

/// Whether a packet gets from one end to the other, and its answer back.
///
/// Where the question leaves something open (all the internet, any port) several packets are tried, and the first one
/// that gets through is shown; when none does, the one that gets furthest.
///
/// # Errors
/// When an end is not in the topology, or the question makes no sense.
pub fn analyse(topology: &Topology, query: &Query) -> Result<Analysis, QueryError> {
    let (start, sources) = start(topology, query)?;
    let destinations = destinations(topology, query, start)?;
    let mut furthest: Option<(usize, Analysis)> = None;
    for destination in destinations {
        for source in &sources {
            for transport in transports(topology, query.traffic) {
                let header = Header { source: *source, destination, transport };
                let analysis = analysis(query, walk(topology, query, start, &header));
                if analysis.reachable {
                    return Ok(analysis);
                }
                let far = analysis.forward.iter().chain(&analysis.back).take_while(|hop| hop.block.is_none());
                let far = far.count();
                if furthest.as_ref().is_none_or(|(most, _)| far > *most) {
                    furthest = Some((far, analysis));
                }
            }
        }
    }
    furthest.map(|(_, analysis)| analysis).ok_or(QueryError::NoVpc)
}

fn analysis(query: &Query, ways: Ways) -> Analysis {
    let Ways { forward, back } = ways;
    let reachable = forward.iter().chain(&back).all(|hop| hop.block.is_none());
    Analysis { query: query.clone(), reachable, forward, back }
}

/// Who sends, and from which addresses.
fn start<'a>(topology: &'a Topology, query: &Query) -> Result<(Start<'a>, Vec<Ipv4Addr>), QueryError> {
    let begin = |vpc: &'a Vpc, leg: Leg<'a>| {
        let source = query.source_address.unwrap_or(leg.interface.address);
        (Start::Interface(vpc, leg), vec![source])
    };
    match &query.from {
        End::Interface(id) => {
            let found = topology.interface(id);
            let (vpc, leg) = found.ok_or_else(|| QueryError::UnknownInterface(id.clone()))?;
            Ok(begin(vpc, leg))
        }
        End::Address(address) => {
            let has = |vpc| Some((vpc, route::local(vpc, *address)?));
            let mut private = topology.vpcs.iter().filter_map(has);
            if let Some((vpc, leg)) = private.next() {
                let only = private.next().is_none();
                return if only { Ok(begin(vpc, leg)) } else { Err(QueryError::AmbiguousAddress(*address)) };
            }
            if let Some((vpc, leg)) = topology.internet.interface(topology, *address) {
                return Ok(begin(vpc, leg));
            }
            if is_private(*address) || is_shared(*address) {
                return Err(QueryError::UnknownSource(*address));
            }
            Ok((Start::Internet, vec![*address]))
        }
        End::Internet => Ok((Start::Internet, outside_addresses(topology, topology.internet.host))),
        End::GatewayEndpoint(_) => Err(QueryError::EndpointAsSource),
    }
}

/// The addresses that may stand in the packet as its destination.
fn destinations(topology: &Topology, query: &Query, start: Start<'_>) -> Result<Vec<Ipv4Addr>, QueryError> {
    match &query.to {
        End::Interface(id) => {
            let found = topology.interface(id);
            let (vpc, leg) = found.ok_or_else(|| QueryError::UnknownInterface(id.clone()))?;
            let private = match start {
                Start::Interface(from, _) => connected(from, vpc),
                Start::Internet => false,
            };
            let public = leg.interface.public_address.filter(|_| !private);
            Ok(vec![public.unwrap_or(leg.interface.address)])
        }
        End::Address(address) => Ok(vec![*address]),
        End::Internet => match start {
            Start::Interface(..) => Ok(outside_addresses(topology, ANYBODY)),
            Start::Internet => Err(QueryError::NoVpc),
        },
        End::GatewayEndpoint(id) => {
            let endpoints = topology.vpcs.iter().flat_map(|vpc| &vpc.gateway_endpoints);
            let found = { endpoints }.find(|endpoint| endpoint.id == *id);
            let endpoint = found.ok_or_else(|| QueryError::UnknownEndpoint(id.clone()))?;
            if matches!(start, Start::Internet) {
                return Err(QueryError::NoVpc);
            }
            Ok(endpoint.addresses.clone())
        }
    }
}

/// The ranges that rules, entries and routes speak of.
fn ranges(vpc: &Vpc) -> impl Iterator<Item = Ipv4Net> {
    let groups = vpc.security_groups.iter().flat_map(|group| group.ingress.iter().chain(&group.egress));
    let rules = groups.filter_map(|rule| match &rule.peer {
        desired::Peer::Cidr(range) => Some(*range),
        desired::Peer::Group(_) | desired::Peer::PrefixList(_) => None,
    });
    let lists = vpc.prefix_lists.iter().flat_map(|list| list.entries.iter().copied());
    let acls = vpc.network_acls.iter().flat_map(|acl| acl.ingress.iter().chain(&acl.egress));
    let routes = vpc.route_tables.iter().flat_map(|table| table.routes.iter().map(|route| route.destination));
    rules.chain(lists).chain(acls.map(|entry| entry.cidr_block)).chain(routes)
}

/// Addresses of the internet, one for each way in which a rule may tell them apart. `first` is preferred.
fn outside_addresses(topology: &Topology, first: Ipv4Addr) -> Vec<Ipv4Addr> {
    let internet = &topology.internet;
    let known = [first, ANYBODY, internet.host].into_iter();
    let known = known.chain(internet.services.iter().map(|service| service.address));
    let known = known.chain(internet.hosts.iter().map(|host| host.address));
    let ranges = topology.vpcs.iter().flat_map(ranges);
    let named = ranges.filter_map(|range| range.hosts().next().filter(|_| range.prefix_len() > 0));
    let mut seen = BTreeSet::new();
    known
        .chain(named)
        .filter(|address| !is_private(*address) && !is_shared(*address) && !address.is_link_local())
        .filter(|address| seen.insert(*address))
        .take(MOST_CANDIDATES)
        .collect()
}

/// What may stand in the packet behind the addresses.
fn transports(topology: &Topology, traffic: Traffic) -> Vec<Transport> {
    let one = |port: u16| PortRange { from: port, to: port };
    let source = |port: Option<u16>| port.map_or(EPHEMERAL, one);
    let ports = |port: Option<u16>| port.map_or_else(|| open_ports(topology), |port| vec![port]);
    match traffic {
        Traffic::Tcp { source_port, destination_port } => {
            let source = source(source_port);
            let transport = |port| Transport::Tcp { source, destination: one(port) };
            ports(destination_port).into_iter().map(transport).collect()
        }
        Traffic::Udp { source_port, destination_port } => {
            let source = source(source_port);
            let transport = |port| Transport::Udp { source, destination: one(port) };
            ports(destination_port).into_iter().map(transport).collect()
        }
        Traffic::Icmp { kind, code } => vec![Transport::Icmp { kind, code }],
    }
}

/// Ports, one for each way in which a rule may tell them apart.
fn open_ports(topology: &Topology) -> Vec<u16> {
    let all = topology.vpcs.iter().flat_map(|vpc| {
        let groups = vpc.security_groups.iter().flat_map(|group| group.ingress.iter().chain(&group.egress));
        let acls = vpc.network_acls.iter().flat_map(|acl| acl.ingress.iter().chain(&acl.egress));
        groups.map(|rule| rule.ports).chain(acls.map(|entry| entry.ports))
    });
    // Where a rule begins, and behind its end.
    let edges = all.flatten().flat_map(|Ports { from, to }| [from, to.saturating_add(1)]);
    let edges = edges.filter_map(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let mut seen = BTreeSet::new();
    [443, 80].into_iter().chain(edges).filter(|port| seen.insert(*port)).take(MOST_CANDIDATES).collect()
}
