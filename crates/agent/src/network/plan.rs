//! A VPC as kernel state: plain data, made from [`desired::Vpc`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use desired::{Interface, InterfaceKind, RouteTarget, Subnet, Vpc};
use ipnet::Ipv4Net;
use sys::netlink::{Address, Hop, Mac, Neighbour, Route, Rule, RuleAction};
use sys::nft;
use types::{NetworkInterfaceId, VpcId};

use super::{filter, nat_gateway};

/// The router's end of every leg has this address: one pinned neighbour an interface, no ARP.
pub(super) const GATEWAY_MAC: Mac = [0x0a, 0, 0, 0, 0, 1];
/// The internet's end of a VPC's internet gateway.
pub(super) const INTERNET_MAC: Mac = [0x0a, 0, 0, 0, 0xff, 1];
/// The VPC's end of its internet gateway.
pub(super) const INTERNET_GATEWAY_MAC: Mac = [0x0a, 0, 0, 0, 0xff, 2];
/// The internet's end of an internet gateway; no interface has the address, a pinned neighbour stands for it.
pub(super) const INTERNET_SIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 255, 1);
/// The VPC's end of an internet gateway, likewise.
pub(super) const VPC_SIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 255, 2);
/// The internet gateway in a VPC's namespace.
pub(super) const INTERNET_GATEWAY: &str = "igw0";
/// An interface in its own namespace.
pub(super) const INTERFACE: &str = "eth0";
/// Inside a VPC packets may be this long, as on AWS.
pub(super) const VPC_MTU: u32 = 9001;
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

/// An interface: a link in the router, and a namespace with the link's other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegPlan {
    /// The link's name in the router.
    pub link: String,
    /// The MAC address of `eth0`.
    pub mac: Mac,
    /// Its private address.
    pub address: Ipv4Addr,
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
    /// Its interfaces. None: the VPC has no namespace.
    pub legs: BTreeMap<NetworkInterfaceId, LegPlan>,
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
}

/// The name of an interface's link in the router: a letter and the id's last 14 digits, as 15 bytes are all there is.
pub fn leg_link(interface: &NetworkInterfaceId) -> String {
    link_name('e', interface.as_str())
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
    let mut legs = Vec::new();
    for interface in &vpc.interfaces {
        let subnet = vpc.subnets.iter().find(|subnet| subnet.id == interface.subnet);
        let subnet = subnet.ok_or_else(|| missing(&interface.id, &interface.subnet))?;
        for group in &interface.security_groups {
            if !vpc.security_groups.iter().any(|known| known.id == *group) {
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
        legs: legs.iter().map(|leg| (leg.interface.id.clone(), leg_plan(vpc, leg))).collect(),
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
    // A packet from the middle of a flow that was forgotten does not bring it back.
    sysctls.insert("net/netfilter/nf_conntrack_tcp_loose".to_owned(), "0".to_owned());
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
    for address in [dns, DNS, TASK_METADATA] {
        plan.addresses.insert(Address { link: "lo".to_owned(), address: Ipv4Net::from(address) });
    }
    let route = |table, destination, hop| Route { table, destination, hop };
    for leg in legs {
        let (link, address) = (leg.link(), leg.interface.address);
        plan.neighbours.insert(Neighbour { link: link.clone(), address, mac: leg.interface.mac });
        plan.routes.insert(route(LOCAL_TABLE, Ipv4Net::from(address), Hop::Link(link)));
    }
    if vpc.internet_gateway {
        let link = INTERNET_GATEWAY.to_owned();
        plan.neighbours.insert(Neighbour { link, address: INTERNET_SIDE, mac: INTERNET_MAC });
    }
    // The range without an interface: a black hole, as AWS answers nothing.
    plan.routes.extend(vpc.cidr_blocks.iter().map(|range| route(LOCAL_TABLE, *range, Hop::Blackhole)));
    for table in &vpc.route_tables {
        let number = FIRST_TABLE + table.number;
        // `throw` is the local route: the lookup goes on in the table of interfaces, and the longest prefix wins.
        // A table may lead the range elsewhere instead (a middlebox).
        let replaced = |range: &Ipv4Net| table.routes.iter().any(|entry| entry.destination == *range);
        let local = vpc.cidr_blocks.iter().filter(|range| !replaced(range));
        plan.routes.extend(local.map(|range| route(number, *range, Hop::Throw)));
        for entry in &table.routes {
            plan.routes.insert(route(number, entry.destination.trunc(), hop(vpc, legs, &entry.target)));
        }
    }
    let mut rules = BTreeSet::from([
        Rule { priority: 200, mark: None, action: RuleAction::Table(LOCAL_TABLE) },
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
    match target {
        RouteTarget::InternetGateway if vpc.internet_gateway => {
            Hop::Gateway { link: INTERNET_GATEWAY.to_owned(), address: INTERNET_SIDE }
        }
        RouteTarget::Interface(id) => legs
            .iter()
            .find(|leg| leg.interface.id == *id)
            .map_or(Hop::Blackhole, |leg| Hop::Gateway { link: leg.link(), address: leg.interface.address }),
        RouteTarget::InternetGateway
        | RouteTarget::Peering(_)
        | RouteTarget::Endpoint(_)
        | RouteTarget::Blackhole => Hop::Blackhole,
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
        address: interface.address,
        public: interface.public_address,
        nat_gateway: leg.is_nat_gateway(),
        inside,
    }
}
