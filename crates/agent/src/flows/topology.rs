//! Which interface an address or a link is, and where a packet goes from there.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use desired::{RouteTarget, Vpc};
use ipnet::Ipv4Net;
use sys::conntrack::Tuple;
use types::{NetworkInterfaceId, SubnetId, VpcId};

use crate::network::leg_link;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) interface: NetworkInterfaceId,
    pub(super) subnet: SubnetId,
    pub(super) address: Ipv4Addr,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way<'a> {
    Local,
    Internet,
    Through(&'a Place),
    Peering,
    Endpoint,
    Nowhere,
}

impl Way<'_> {
    /// AWS's number for `traffic-path`.
    pub(super) fn number(self) -> Option<u8> {
        match self {
            Way::Local | Way::Through(_) => Some(1),
            Way::Peering => Some(4),
            Way::Endpoint => Some(7),
            Way::Internet => Some(8),
            Way::Nowhere => None,
        }
    }
}

/// What of a VPC a record needs.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) vpc: VpcId,
    places: Vec<Place>,
    by_link: HashMap<String, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
    ranges: Vec<Ipv4Net>,
    routes: HashMap<SubnetId, Vec<(Ipv4Net, RouteTarget)>>,
    internet: bool,
    /// The DNS server's address, and the router's in each subnet.
    quiet: BTreeSet<Ipv4Addr>,
}

impl Topology {
    pub(super) fn new(vpc: &Vpc) -> Self {
        let place = |interface: &desired::Interface| Place {
            interface: interface.id.clone(),
            subnet: interface.subnet.clone(),
            address: interface.address,
        };
        let places: Vec<Place> = vpc.interfaces.iter().map(place).collect();
        let host = |range: &Ipv4Net, number| Ipv4Addr::from(u32::from(range.network()).wrapping_add(number));
        let routes = vpc.subnets.iter().filter_map(|subnet| {
            let table = vpc.route_tables.iter().find(|table| table.id == subnet.route_table)?;
            let routes = table.routes.iter().map(|route| (route.destination, route.target.clone()));
            Some((subnet.id.clone(), routes.collect()))
        });
        Self {
            vpc: vpc.id.clone(),
            by_link: places.iter().enumerate().map(|(n, place)| (leg_link(&place.interface), n)).collect(),
            by_address: places.iter().enumerate().map(|(n, place)| (place.address, n)).collect(),
            places,
            ranges: vpc.cidr_blocks.clone(),
            routes: routes.collect(),
            internet: vpc.internet_gateway,
            quiet: (vpc.subnets.iter().map(|subnet| host(&subnet.cidr_block, 1)))
                .chain(vpc.cidr_blocks.first().map(|range| host(range, 2)))
                .collect(),
        }
    }

    /// The interface that has a private address.
    pub(super) fn at(&self, address: Ipv4Addr) -> Option<&Place> {
        self.places.get(*self.by_address.get(&address)?)
    }

    /// The interface behind a link of the router.
    pub(super) fn behind(&self, link: &str) -> Option<&Place> {
        self.places.get(*self.by_link.get(link)?)
    }

    /// Where a packet to an address goes from an interface: the longest prefix wins, the VPC's own range before others
    /// of its length.
    pub(super) fn way(&self, from: &Place, to: Ipv4Addr) -> Way<'_> {
        let local = self.ranges.iter().filter(|range| range.contains(&to)).map(Ipv4Net::prefix_len);
        let routes = self.routes.get(&from.subnet).map(Vec::as_slice).unwrap_or_default();
        let route = routes.iter().filter(|(range, _)| range.contains(&to));
        let route = route.max_by_key(|(range, _)| range.prefix_len());
        match (local.max(), route) {
            (Some(local), route) if route.is_none_or(|(range, _)| range.prefix_len() <= local) => Way::Local,
            (_, Some((_, target))) => match target {
                RouteTarget::InternetGateway if self.internet => Way::Internet,
                RouteTarget::Interface(id) => {
                    self.places.iter().find(|place| place.interface == *id).map_or(Way::Nowhere, Way::Through)
                }
                RouteTarget::Peering(_) => Way::Peering,
                RouteTarget::Endpoint(_) => Way::Endpoint,
                RouteTarget::InternetGateway | RouteTarget::Blackhole => Way::Nowhere,
            },
            _ => Way::Nowhere,
        }
    }

    /// Whether AWS logs such packets. It does not log those to and from its DNS server, the instance's metadata, the
    /// time server, DHCP's, and those to the router's reserved address.
    pub(super) fn is_logged(&self, tuple: &Tuple) -> bool {
        const DHCP: [u16; 2] = [67, 68];
        let quiet = |address: Ipv4Addr| address.is_link_local() || self.quiet.contains(&address);
        let dhcp = tuple.protocol == 17
            && [tuple.source_port, tuple.destination_port].iter().all(|port| DHCP.contains(port));
        !quiet(tuple.source) && !quiet(tuple.destination) && !dhcp
    }
}
