//! A VPC as kernel state: plain data, made from [`desired::Vpc`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use desired::{GatewayEndpoint, Interface, InterfaceKind, RouteTarget, Subnet, Vpc};
use ipnet::Ipv4Net;
use sys::netlink::{Address, Hop, Mac, Neighbour, Route, Rule, RuleAction};
use sys::nft;
use types::{NetworkInterfaceId, VpcEndpointId, VpcId, VpcPeeringConnectionId};

use super::{filter, nat_gateway};

/// The router's end of every leg has this address: one pinned neighbour an interface, no ARP.
pub(super) const GATEWAY_MAC: Mac = [0x0a, 0, 0, 0, 0, 1];
/// The internet's end of a VPC's internet gateway.
pub(super) const INTERNET_MAC: Mac = [0x0a, 0, 0, 0, 0xff, 1];
/// The VPC's end of its internet gateway.
pub(super) const INTERNET_GATEWAY_MAC: Mac = [0x0a, 0, 0, 0, 0xff, 2];
/// Both ends of a peering connection.
pub(super) const PEERING_MAC: Mac = [0x0a, 0, 0, 0, 0xfe, 1];
/// A gateway endpoint's end of its leg.
const ENDPOINT_MAC: Mac = [0x0a, 0, 0, 0, 0xfd, 1];
/// What is behind an internet gateway, a peering connection or a gateway endpoint; no interface has the address, a
/// pinned neighbour stands for it.
pub(super) const FAR_SIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 255, 1);
/// The VPC's end of an internet gateway or a gateway endpoint, likewise.
pub(super) const VPC_SIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 255, 2);
/// Where packets that no route leads on are sent, in the router: the filter drops and counts what leaves by it. A route
/// of type blackhole would drop them uncounted.
pub(super) const NOWHERE: &str = "lo";
/// The internet gateway in a VPC's namespace.
pub(super) const INTERNET_GATEWAY: &str = "igw0";
/// An interface in its own namespace.
pub(super) const INTERFACE: &str = "eth0";
/// Inside a VPC and through a peering connection within a region packets may be this long ("Network MTU for your EC2 instance").
pub(super) const VPC_MTU: u32 = 9001;
/// How much TCP crosses a link in one piece: each router asks its rules once for all of it, which carries half as much
/// again in the same time as the kernel's 64 KiB. More gains nothing.
pub(super) const GSO_IPV4_MAX: u32 = 128 << 10;
/// To a NAT gateway ("NAT gateways") and a VPC endpoint ("AWS PrivateLink quotas") they may be this long.
pub(super) const GATEWAY_MTU: u32 = 8500;
/// Through an internet gateway they may not.
pub(super) const INTERNET_MTU: u32 = 1500;
/// Where the resolver answers besides base + 2.
pub(super) const DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
/// Where a task's metadata and credentials are.
pub(super) const TASK_METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The table of the VPC's own range: one route an interface.
pub(super) const LOCAL_TABLE: u32 = 500;
/// Added to a route table's number.
pub(super) const FIRST_TABLE: u32 = 1000;

/// Why a VPC contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{user} names {missing}, which is not in the VPC")]
pub struct PlanError {
    /// Who.
    pub user: String,
    /// What.
    pub missing: String,
}

/// What one namespace should hold beside its links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamespacePlan {
    /// Below `/proc/sys`.
    pub sysctls: BTreeMap<String, String>,
    /// Addresses.
    pub addresses: BTreeSet<Address>,
    /// Pinned neighbours.
    pub neighbours: BTreeSet<Neighbour>,
    /// Routes.
    pub routes: BTreeSet<Route>,
    /// Rules. None: those that every namespace has.
    pub rules: Option<BTreeSet<Rule>>,
    /// The packet filter.
    pub table: Option<nft::Table>,
}

/// An interface or a gateway endpoint: a link in the router, and a namespace with the link's other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegPlan {
    /// The link's name in the router.
    pub link: String,
    /// The MAC address of `eth0`.
    pub mac: Mac,
    /// The MTU of both ends, in bytes.
    pub mtu: u32,
    /// Its private address. None for a gateway endpoint.
    pub address: Option<Ipv4Addr>,
    /// Its public address.
    pub public: Option<Ipv4Addr>,
    /// Whether its namespace translates for others.
    pub nat_gateway: bool,
    /// What is in its namespace.
    pub inside: NamespacePlan,
}

/// A VPC's internet gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternetPlan {
    /// The link's name in the `internet` namespace.
    pub link: String,
    /// The public addresses that lead to it.
    pub addresses: BTreeSet<Ipv4Addr>,
}

/// A peering connection: a link between two routers. Which of the two VPCs makes it does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeeringPlan {
    /// The link's name in both routers.
    pub link: String,
    /// The other VPC.
    pub peer: VpcId,
    /// The other VPC's ranges.
    pub cidr_blocks: Vec<Ipv4Net>,
    /// The MTU of both ends, in bytes.
    pub mtu: u32,
}

/// A VPC's whole network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcPlan {
    /// The VPC; names the router's namespace.
    pub vpc: VpcId,
    /// Its ranges.
    pub cidr_blocks: Vec<Ipv4Net>,
    /// The DNS server's address in the primary range.
    pub dns: Ipv4Addr,
    /// The router's namespace.
    pub router: NamespacePlan,
    /// Its interfaces and gateway endpoints, by the name of their namespace. None: the VPC has no namespace.
    pub legs: BTreeMap<String, LegPlan>,
    /// Its peering connections.
    pub peerings: Vec<PeeringPlan>,
    /// Its internet gateway, if one is attached.
    pub internet: Option<InternetPlan>,
}

/// An interface with what holds for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg<'a> {
    pub(super) interface: &'a Interface,
    pub(super) subnet: &'a Subnet,
}

impl Leg<'_> {
    pub(super) fn link(&self) -> String {
        leg_link(&self.interface.id)
    }

    pub(super) fn is_nat_gateway(&self) -> bool {
        self.interface.kind == InterfaceKind::NatGateway
    }

    /// Whether every flow through it is tracked, whatever the rules are ("Automatically tracked connections" of the page
    /// "Amazon EC2 security group connection tracking").
    pub(super) fn is_always_tracked(&self) -> bool {
        matches!(self.interface.kind, InterfaceKind::NatGateway | InterfaceKind::Endpoint)
    }

    fn mtu(&self) -> u32 {
        match self.interface.kind {
            InterfaceKind::Task | InterfaceKind::LoadBalancer => VPC_MTU,
            InterfaceKind::NatGateway | InterfaceKind::Endpoint => GATEWAY_MTU,
        }
    }
}

/// The name of an interface's link in the router: a letter and the id's last 14 digits, as 15 bytes are all there is.
pub fn leg_link(interface: &NetworkInterfaceId) -> String {
    link_name('e', interface.as_str())
}

/// The name of a peering connection's link in both routers.
pub fn peering_link(peering: &VpcPeeringConnectionId) -> String {
    link_name('p', peering.as_str())
}

/// The name of a gateway endpoint's link in the router.
pub fn endpoint_link(endpoint: &VpcEndpointId) -> String {
    link_name('g', endpoint.as_str())
}

/// The name of a VPC's link in the `internet` namespace.
pub fn internet_link(vpc: &VpcId) -> String {
    link_name('v', vpc.as_str())
}

fn link_name(kind: char, id: &str) -> String {
    let start = id.char_indices().rev().nth(13).map_or(0, |(index, _)| index);
    format!("{kind}{}", &id[start..])
}

/// The address `number` places behind a range's first.
fn host(range: Ipv4Net, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()).wrapping_add(number))
}

/// Makes a VPC's plan.
///
/// # Errors
/// When something in the VPC names what is not in it.
pub fn compile(vpc: &Vpc) -> Result<VpcPlan, PlanError> {
    let missing = |user: &dyn ToString, missing: &dyn ToString| PlanError {
        user: user.to_string(),
        missing: missing.to_string(),
    };
    let dns = vpc.cidr_blocks.first().map(|primary| host(*primary, 2));
    let dns = dns.ok_or_else(|| missing(&vpc.id, &"a CIDR block"))?;
    let subnets: BTreeMap<_, _> = vpc.subnets.iter().map(|subnet| (&subnet.id, subnet)).collect();
    let groups: BTreeSet<_> = vpc.security_groups.iter().map(|group| &group.id).collect();
    let mut legs = Vec::new();
    for interface in &vpc.interfaces {
        let subnet = subnets.get(&interface.subnet).copied();
        let subnet = subnet.ok_or_else(|| missing(&interface.id, &interface.subnet))?;
        for group in &interface.security_groups {
            if !groups.contains(group) {
                return Err(missing(&interface.id, group));
            }
        }
        legs.push(Leg { interface, subnet });
    }
    for subnet in &vpc.subnets {
        if !vpc.route_tables.iter().any(|table| table.id == subnet.route_table) {
            return Err(missing(&subnet.id, &subnet.route_table));
        }
        if !vpc.network_acls.iter().any(|acl| acl.id == subnet.network_acl) {
            return Err(missing(&subnet.id, &subnet.network_acl));
        }
    }
    Ok(VpcPlan {
        vpc: vpc.id.clone(),
        cidr_blocks: vpc.cidr_blocks.clone(),
        dns,
        router: router(vpc, &legs, dns),
        legs: leg_plans(vpc, &legs),
        peerings: vpc
            .peerings
            .iter()
            .map(|peering| PeeringPlan {
                link: peering_link(&peering.id),
                peer: peering.peer.clone(),
                mtu: if peering.between_regions { GATEWAY_MTU } else { VPC_MTU },
                cidr_blocks: peering.cidr_blocks.clone(),
            })
            .collect(),
        internet: vpc.internet_gateway.then(|| InternetPlan {
            link: internet_link(&vpc.id),
            addresses: vpc.interfaces.iter().filter_map(|interface| interface.public_address).collect(),
        }),
    })
}

/// What every namespace that forwards has. Links copy `default` when they are made, so that these come first.
pub(super) fn router_sysctls() -> BTreeMap<String, String> {
    let mut sysctls = end_sysctls();
    sysctls.insert("net/ipv4/ip_forward".to_owned(), "1".to_owned());
    for scope in ["all", "default"] {
        sysctls.insert(format!("net/ipv4/conf/{scope}/send_redirects"), "0".to_owned());
    }
    sysctls.insert("net/ipv4/conf/default/arp_ignore".to_owned(), "1".to_owned());
    // A packet from the middle of a flow that was forgotten does not bring it back; one that is out of its flow's window
    // is its receiver's business, as on AWS.
    sysctls.insert("net/netfilter/nf_conntrack_tcp_loose".to_owned(), "0".to_owned());
    sysctls.insert("net/netfilter/nf_conntrack_tcp_be_liberal".to_owned(), "1".to_owned());
    sysctls
}

fn end_sysctls() -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for scope in ["all", "default"] {
        sysctls.insert(format!("net/ipv6/conf/{scope}/disable_ipv6"), "1".to_owned());
        sysctls.insert(format!("net/ipv4/conf/{scope}/rp_filter"), "0".to_owned());
        sysctls.insert(format!("net/ipv4/conf/{scope}/accept_redirects"), "0".to_owned());
    }
    sysctls
}

fn router(vpc: &Vpc, legs: &[Leg<'_>], dns: Ipv4Addr) -> NamespacePlan {
    let mut plan = NamespacePlan { sysctls: router_sysctls(), ..NamespacePlan::default() };
    // What the router itself says by ICMP (a packet is too long) comes back through a NAT gateway to whom it is for. The
    // filter lets no other interface use the router's addresses.
    plan.sysctls.insert("net/ipv4/conf/all/accept_local".to_owned(), "1".to_owned());
    // "Amazon EC2 security group connection tracking": 180 seconds once there was more than a question and an answer.
    plan.sysctls.insert("net/netfilter/nf_conntrack_udp_timeout_stream".to_owned(), "180".to_owned());
    for address in [dns, DNS, TASK_METADATA] {
        plan.addresses.insert(Address { link: "lo".to_owned(), address: Ipv4Net::from(address) });
    }
    let route = |table, destination, hop| Route { table, destination, hop };
    for leg in legs {
        let (link, address) = (leg.link(), leg.interface.address);
        plan.neighbours.insert(Neighbour { link: link.clone(), address, mac: leg.interface.mac });
        plan.routes.insert(route(LOCAL_TABLE, Ipv4Net::from(address), Hop::Link(link)));
    }
    let far = |link, mac| Neighbour { link, address: FAR_SIDE, mac };
    if vpc.internet_gateway {
        plan.neighbours.insert(far(INTERNET_GATEWAY.to_owned(), INTERNET_MAC));
    }
    plan.neighbours.extend(vpc.peerings.iter().map(|peering| far(peering_link(&peering.id), PEERING_MAC)));
    let endpoints = vpc.gateway_endpoints.iter();
    plan.neighbours.extend(endpoints.map(|endpoint| far(endpoint_link(&endpoint.id), ENDPOINT_MAC)));
    // The range without an interface leads nowhere, as AWS answers nothing; and so does all that no table has.
    let nowhere = || Hop::Link(NOWHERE.to_owned());
    plan.routes.extend(vpc.cidr_blocks.iter().map(|range| route(LOCAL_TABLE, *range, nowhere())));
    plan.routes.insert(route(LOCAL_TABLE, Ipv4Net::default(), nowhere()));
    for table in &vpc.route_tables {
        let number = FIRST_TABLE + table.number;
        // `throw` is the local route: the lookup goes on in the table of interfaces, and the longest prefix wins.
        // A table may lead the range elsewhere instead (a middlebox).
        let replaced = |range: &Ipv4Net| table.routes.iter().any(|entry| entry.destination == *range);
        let local = vpc.cidr_blocks.iter().filter(|range| !replaced(range));
        plan.routes.extend(local.map(|range| route(number, *range, Hop::Throw)));
        // "Route priority": a route by its own range comes before one by a prefix list.
        let mut routes = BTreeMap::new();
        for entry in table.routes.iter().filter(|entry| entry.prefix_list.is_some()) {
            routes.entry(entry.destination.trunc()).or_insert(&entry.target);
        }
        let own = table.routes.iter().filter(|entry| entry.prefix_list.is_none());
        routes.extend(own.map(|entry| (entry.destination.trunc(), &entry.target)));
        plan.routes.extend(
            routes
                .into_iter()
                .map(|(destination, target)| route(number, destination, hop(vpc, legs, target))),
        );
    }
    let mut rules = BTreeSet::from([
        Rule { priority: 200, mark: None, action: RuleAction::Table(LOCAL_TABLE) },
        // While the tables are not written yet.
        Rule { priority: 300, mark: None, action: RuleAction::Blackhole },
    ]);
    for subnet in &vpc.subnets {
        let table = vpc.route_tables.iter().find(|table| table.id == subnet.route_table);
        let Some(table) = table else { continue };
        let action = RuleAction::Table(FIRST_TABLE + table.number);
        rules.insert(Rule { priority: 100, mark: Some(subnet.number), action });
    }
    plan.rules = Some(rules);
    plan.table = Some(filter::table(vpc, legs, dns));
    plan
}

fn hop(vpc: &Vpc, legs: &[Leg<'_>], target: &RouteTarget) -> Hop {
    let far = |link| Hop::Gateway { link, address: FAR_SIDE };
    let found = match target {
        RouteTarget::InternetGateway => vpc.internet_gateway.then(|| far(INTERNET_GATEWAY.to_owned())),
        RouteTarget::Interface(id) => legs
            .iter()
            .find(|leg| leg.interface.id == *id)
            .map(|leg| Hop::Gateway { link: leg.link(), address: leg.interface.address }),
        RouteTarget::Peering(id) => {
            vpc.peerings.iter().any(|known| known.id == *id).then(|| far(peering_link(id)))
        }
        RouteTarget::Endpoint(id) => {
            vpc.gateway_endpoints.iter().any(|known| known.id == *id).then(|| far(endpoint_link(id)))
        }
        RouteTarget::Blackhole => None,
    };
    found.unwrap_or_else(|| Hop::Link(NOWHERE.to_owned()))
}

fn leg_plans(vpc: &Vpc, legs: &[Leg<'_>]) -> BTreeMap<String, LegPlan> {
    let interfaces = legs.iter().map(|leg| (leg.interface.id.to_string(), leg_plan(vpc, leg)));
    let mut plans: BTreeMap<String, LegPlan> = interfaces.collect();
    if !plans.is_empty() {
        let endpoints = vpc.gateway_endpoints.iter();
        plans.extend(endpoints.map(|endpoint| (endpoint.id.to_string(), endpoint_plan(endpoint))));
    }
    plans
}

/// A gateway endpoint's namespace has the service's addresses, and nothing but the VPC is to be reached from it.
fn endpoint_plan(endpoint: &GatewayEndpoint) -> LegPlan {
    let link = || INTERFACE.to_owned();
    let address = |ip: &Ipv4Addr| Address { link: link(), address: Ipv4Net::from(*ip) };
    let back = Hop::Gateway { link: link(), address: VPC_SIDE };
    LegPlan {
        link: endpoint_link(&endpoint.id),
        mac: ENDPOINT_MAC,
        mtu: GATEWAY_MTU,
        address: None,
        public: None,
        nat_gateway: false,
        inside: NamespacePlan {
            sysctls: end_sysctls(),
            addresses: endpoint.addresses.iter().map(address).collect(),
            neighbours: [Neighbour { link: link(), address: VPC_SIDE, mac: GATEWAY_MAC }].into(),
            routes: [Route { table: Route::MAIN, destination: Ipv4Net::default(), hop: back }].into(),
            rules: None,
            table: None,
        },
    }
}

fn leg_plan(vpc: &Vpc, leg: &Leg<'_>) -> LegPlan {
    let interface = leg.interface;
    let gateway = host(leg.subnet.cidr_block, 1);
    let link = || INTERFACE.to_owned();
    let range = leg.subnet.cidr_block;
    // The address looks as on AWS, but nothing is on the link except the gateway.
    let address = Ipv4Net::new(interface.address, range.prefix_len()).unwrap_or(interface.address.into());
    let route = |destination, hop| Route { table: Route::MAIN, destination, hop };
    let mut inside = NamespacePlan {
        sysctls: end_sysctls(),
        addresses: [Address { link: link(), address }].into(),
        neighbours: [Neighbour { link: link(), address: gateway, mac: GATEWAY_MAC }].into(),
        routes: [
            route(gateway.into(), Hop::Link(link())),
            route(Ipv4Net::default(), Hop::Gateway { link: link(), address: gateway }),
        ]
        .into(),
        rules: None,
        table: None,
    };
    if leg.is_nat_gateway() {
        inside.sysctls.extend(nat_gateway::sysctls());
        inside.table = Some(nat_gateway::table(interface.address, &vpc.cidr_blocks));
    }
    LegPlan {
        link: leg.link(),
        mac: interface.mac,
        mtu: leg.mtu(),
        address: Some(interface.address),
        public: interface.public_address,
        nat_gateway: leg.is_nat_gateway(),
        inside,
    }
}
