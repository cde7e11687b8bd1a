//! A small random topology, and random questions about it.

use std::net::Ipv4Addr;

use desired::{
    GatewayEndpoint, Interface, InterfaceKind, NetworkAcl, NetworkAclEntry, Peer, PeerGroup, Peering, Ports,
    PrefixList, Protocol, Route, RouteTable, RouteTarget, Rule, SecurityGroup, Subnet, Vpc,
};
use ipnet::Ipv4Net;
use reachability::{End, Internet, Query, Service, Topology, Traffic};

use super::dice::Dice;

pub const HOST: Ipv4Addr = agent::network::HOST;
/// Services of AWS on the internet; the second one is also behind gateway endpoints.
pub const SERVICES: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 19, 0, 10), Ipv4Addr::new(198, 19, 0, 12)];
/// The ports at which everybody listens.
pub const PORTS: [u16; 4] = [80, 443, 3000, 5353];

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

/// A topology's ids are its seed's: several may stand side by side.
struct Ids {
    seed: u64,
    vpc: usize,
}

impl Ids {
    fn id(&self, prefix: &str, number: usize) -> String {
        format!("{prefix}-{:09x}{:04x}{:04x}", self.seed & 0xf_ffff_ffff, self.vpc, number)
    }
}

pub fn topology(seed: u64, dice: &mut Dice) -> Topology {
    let count = *dice.one(&[1, 2, 2, 3]);
    let mut vpcs: Vec<Vpc> = Vec::new();
    for number in 0..count {
        // The third one may have the first one's addresses.
        let second = if number == 2 && dice.percent(40) { 0 } else { number };
        vpcs.push(vpc(&Ids { seed, vpc: number }, second, dice));
    }
    for a in 0..count {
        for b in a + 1..count {
            let apart = vpcs[a].cidr_blocks[0] != vpcs[b].cidr_blocks[0];
            if apart && dice.percent(70) {
                peer(&Ids { seed, vpc: a }.id("pcx", b), &mut vpcs, a, b, dice);
            }
        }
    }
    let service = |name: &str, address| Service { name: name.to_owned(), address };
    Topology {
        vpcs,
        internet: Internet {
            host: HOST,
            services: vec![service("ecr.api", SERVICES[0]), service("s3", SERVICES[1])],
            hosts: Vec::new(),
            on: false,
        },
    }
}

fn peer(id: &str, vpcs: &mut [Vpc], a: usize, b: usize, dice: &mut Dice) {
    for (own, other) in [(a, b), (b, a)] {
        let far = vpcs[other].clone();
        let members = |group: &SecurityGroup| PeerGroup {
            id: group.id.clone(),
            members: far
                .interfaces
                .iter()
                .filter(|interface| interface.security_groups.contains(&group.id))
                .map(|interface| interface.address)
                .collect(),
        };
        let vpc = &mut vpcs[own];
        // Two peers with the same ranges: only one of them can be routed to.
        let known = vpc.peerings.iter().any(|peering| peering.cidr_blocks == far.cidr_blocks);
        vpc.peerings.push(Peering {
            id: id.into(),
            peer: far.id.clone(),
            between_regions: false,
            cidr_blocks: far.cidr_blocks.clone(),
            security_groups: far.security_groups.iter().map(members).collect(),
        });
        for table in &mut vpc.route_tables {
            for range in &far.cidr_blocks {
                if !known && dice.percent(80) {
                    let target = RouteTarget::Peering(id.into());
                    table.routes.push(Route { destination: *range, target, prefix_list: None });
                }
            }
            if dice.percent(3) && !table.routes.iter().any(|route| route.destination.prefix_len() == 0) {
                let target = RouteTarget::Peering(id.into());
                table.routes.push(Route { destination: Ipv4Net::default(), target, prefix_list: None });
            }
        }
        for group in &mut vpc.security_groups {
            for rules in [&mut group.ingress, &mut group.egress] {
                if dice.percent(40) {
                    let peer = if dice.percent(60) {
                        Peer::Group(dice.one(&far.security_groups).id.clone())
                    } else {
                        Peer::Cidr(far.cidr_blocks[0])
                    };
                    let (protocol, ports) = traffic(dice);
                    push(rules, Rule { protocol, ports, peer });
                }
            }
        }
    }
}

/// A group has no rule twice.
fn push(rules: &mut Vec<Rule>, rule: Rule) {
    if !rules.contains(&rule) {
        rules.push(rule);
    }
}

fn vpc(ids: &Ids, second: usize, dice: &mut Dice) -> Vpc {
    let octet = 20 + second;
    let mut cidr_blocks = vec![net(&format!("10.{octet}.0.0/16"))];
    if dice.percent(25) && ids.vpc == second {
        cidr_blocks.push(net(&format!("10.{}.0.0/16", 120 + second)));
    }
    let subnet_count = 2 + dice.below(2);
    let table_count = 2 + dice.below(2);
    let acl_count = 1 + dice.below(3);
    let subnets: Vec<Subnet> = (0..subnet_count)
        .map(|at| {
            let range = if at == 2 && cidr_blocks.len() == 2 {
                format!("10.{}.0.0/24", 120 + second)
            } else {
                format!("10.{octet}.{at}.0/24")
            };
            Subnet {
                id: ids.id("subnet", at).into(),
                number: u32::try_from(at + 1).unwrap(),
                cidr_block: net(&range),
                route_table: ids.id("rtb", if dice.percent(70) { at % table_count } else { 0 }).into(),
                network_acl: ids.id("acl", if dice.percent(60) { 0 } else { dice.below(acl_count) }).into(),
            }
        })
        .collect();
    let mut vpc = Vpc {
        id: ids.id("vpc", 0).into(),
        cidr_blocks,
        internet_gateway: dice.percent(85),
        subnets,
        route_tables: Vec::new(),
        network_acls: Vec::new(),
        security_groups: Vec::new(),
        interfaces: Vec::new(),
        prefix_lists: Vec::new(),
        peerings: Vec::new(),
        gateway_endpoints: Vec::new(),
    };
    interfaces(ids, &mut vpc, dice);
    let entries = [net("10.0.0.0/8"), net("10.20.0.0/16"), net("198.18.0.0/16"), net("198.19.0.0/28")];
    vpc.prefix_lists = vec![PrefixList {
        id: ids.id("pl", 0).into(),
        entries: entries.into_iter().filter(|_| dice.percent(50)).collect(),
    }];
    vpc.security_groups = (0..3).map(|at| group(ids, at, &vpc, dice)).collect();
    vpc.network_acls = (0..acl_count).map(|at| acl(ids, at, &vpc, dice)).collect();
    if dice.percent(40) {
        let (id, addresses) = (ids.id("vpce", 0).into(), vec![SERVICES[1]]);
        vpc.gateway_endpoints.push(GatewayEndpoint { id, addresses });
    }
    vpc.route_tables = (0..table_count).map(|at| table(ids, at, &vpc, dice)).collect();
    vpc
}

fn interfaces(ids: &Ids, vpc: &mut Vpc, dice: &mut Dice) {
    let subnets = vpc.subnets.len();
    let public = |at: u8| Ipv4Addr::new(198, 18, u8::try_from(ids.vpc).unwrap(), at);
    let mut add = |kind: InterfaceKind, subnet: usize, dice: &mut Dice| {
        let at = u8::try_from(vpc.interfaces.len() + 10).unwrap();
        let subnet = &vpc.subnets[subnet];
        let [a, b, c, _] = subnet.cidr_block.network().octets();
        let nat = kind == InterfaceKind::NatGateway;
        let mut security_groups = Vec::new();
        for group in 0..3 {
            if !nat && dice.percent(45) {
                security_groups.push(ids.id("sg", group).into());
            }
        }
        if !nat && security_groups.is_empty() {
            security_groups.push(ids.id("sg", 0).into());
        }
        let has_public = match kind {
            InterfaceKind::NatGateway => dice.percent(85),
            InterfaceKind::Endpoint => false,
            InterfaceKind::Task | InterfaceKind::LoadBalancer => dice.percent(45),
        };
        vpc.interfaces.push(Interface {
            id: ids.id("eni", at.into()).into(),
            subnet: subnet.id.clone(),
            address: [a, b, c, at].into(),
            mac: [0x0a, 1, a, b, c, at],
            public_address: has_public.then(|| public(at)),
            security_groups,
            source_dest_check: !nat && dice.percent(85),
            kind,
        });
    };
    for _ in 0..3 + dice.below(3) {
        let kind = *dice.one(&[InterfaceKind::Task, InterfaceKind::Task, InterfaceKind::LoadBalancer]);
        add(kind, dice.below(subnets), dice);
    }
    if dice.percent(70) {
        add(InterfaceKind::NatGateway, 0, dice);
    }
    if dice.percent(20) {
        add(InterfaceKind::NatGateway, 1, dice);
    }
    if dice.percent(30) {
        add(InterfaceKind::Endpoint, 1, dice);
    }
}

fn traffic(dice: &mut Dice) -> (Protocol, Option<Ports>) {
    let port = i32::from(*dice.one(&PORTS));
    let range = |from, to| Some(Ports { from, to });
    let ports = match dice.below(5) {
        0 => range(port, port),
        1 => range(0, 65535),
        2 => range(1, 3000),
        3 => range(1024, 65535),
        _ => None,
    };
    match dice.below(10) {
        0..=3 => (Protocol::Tcp, ports),
        4..=5 => (Protocol::Udp, ports),
        6 => (Protocol::Icmp, *dice.one(&[None, range(-1, -1), range(8, -1), range(8, 0), range(0, 0)])),
        _ => (Protocol::All, None),
    }
}

fn range(vpc: &Vpc, dice: &mut Dice) -> Ipv4Net {
    match dice.below(8) {
        0..=2 => Ipv4Net::default(),
        3 => *dice.one(&vpc.cidr_blocks),
        4 => dice.one(&vpc.subnets).cidr_block,
        5 => dice.one(&vpc.interfaces).address.into(),
        6 => *dice.one(&["198.19.0.0/24", "198.18.0.0/16", "198.19.0.1/32", "198.19.0.12/32"].map(net)),
        _ => net("10.0.0.0/8"),
    }
}

fn group(ids: &Ids, at: usize, vpc: &Vpc, dice: &mut Dice) -> SecurityGroup {
    let mut rules = |open: usize| {
        let mut rules = Vec::new();
        if dice.percent(open) {
            let peer = Peer::Cidr(Ipv4Net::default());
            rules.push(Rule { protocol: Protocol::All, ports: None, peer });
        }
        for _ in 0..dice.below(4) {
            let (protocol, ports) = traffic(dice);
            let peer = match dice.below(10) {
                0..=2 => Peer::Group(ids.id("sg", dice.below(3)).into()),
                3 => Peer::PrefixList(ids.id("pl", 0).into()),
                // A group that is gone.
                4 if dice.percent(20) => Peer::Group("sg-0dead00000000dead".into()),
                _ => Peer::Cidr(range(vpc, dice)),
            };
            push(&mut rules, Rule { protocol, ports, peer });
        }
        rules
    };
    SecurityGroup { id: ids.id("sg", at).into(), ingress: rules(25), egress: rules(55) }
}

fn acl(ids: &Ids, at: usize, vpc: &Vpc, dice: &mut Dice) -> NetworkAcl {
    let all = |number| NetworkAclEntry {
        number,
        allow: true,
        protocol: Protocol::All,
        ports: None,
        cidr_block: Ipv4Net::default(),
    };
    let mut entries = || {
        if at == 0 && dice.percent(80) {
            return vec![all(100)];
        }
        let mut entries = Vec::new();
        for number in 1..=u16::from(dice.byte(5)) {
            let (protocol, ports) = traffic(dice);
            let allow = dice.percent(65);
            entries.push(NetworkAclEntry {
                number: number * 10,
                allow,
                protocol,
                ports,
                cidr_block: range(vpc, dice),
            });
        }
        if dice.percent(60) {
            entries.push(all(200));
        }
        entries
    };
    NetworkAcl { id: ids.id("acl", at).into(), ingress: entries(), egress: entries() }
}

fn table(ids: &Ids, at: usize, vpc: &Vpc, dice: &mut Dice) -> RouteTable {
    let mut routes: Vec<Route> = Vec::new();
    let mut add = |destination: Ipv4Net, target: RouteTarget, list: bool| {
        let prefix_list = list.then(|| ids.id("pl", 1).into());
        routes.push(Route { destination, target, prefix_list });
    };
    let nats: Vec<_> = vpc.interfaces.iter().filter(|one| one.kind == InterfaceKind::NatGateway).collect();
    let out = match dice.below(10) {
        // The first table is mostly a public one, the others private ones.
        0..=5 if at == 0 || nats.is_empty() => Some(RouteTarget::InternetGateway),
        0..=7 if !nats.is_empty() => Some(RouteTarget::Interface(dice.one(&nats).id.clone())),
        8 => Some(RouteTarget::Blackhole),
        _ => None,
    };
    if let Some(out) = out {
        add(Ipv4Net::default(), out, false);
    }
    if let Some(endpoint) = vpc.gateway_endpoints.first()
        && dice.percent(70)
    {
        add(SERVICES[1].into(), RouteTarget::Endpoint(endpoint.id.clone()), true);
    }
    if dice.percent(15) {
        add(net("198.19.0.0/28"), RouteTarget::Blackhole, dice.percent(50));
    }
    if dice.percent(10) {
        add(net("198.18.0.0/17"), RouteTarget::InternetGateway, false);
    }
    if dice.percent(8) {
        // More specific than the local route.
        let to = dice.one(&vpc.interfaces).id.clone();
        add(dice.one(&vpc.subnets).cidr_block, RouteTarget::Interface(to), false);
    }
    RouteTable { id: ids.id("rtb", at).into(), number: u32::try_from(at + 1).unwrap(), routes }
}

/// An address that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(198, 18, 250, 250);

pub fn query(topology: &Topology, port: u16, dice: &mut Dice) -> Query {
    let all: Vec<(&Vpc, &Interface)> =
        topology.vpcs.iter().flat_map(|vpc| vpc.interfaces.iter().map(move |one| (vpc, one))).collect();
    let senders: Vec<_> = all
        .iter()
        .copied()
        .filter(|(_, one)| matches!(one.kind, InterfaceKind::Task | InterfaceKind::LoadBalancer))
        .collect();
    let outside = dice.percent(20);
    let (home, sender) = *dice.one(&senders);
    let from = if outside {
        End::Address(*dice.one(&[HOST, HOST, SERVICES[0]]))
    } else {
        End::Interface(sender.id.clone())
    };
    let publics: Vec<Ipv4Addr> = all.iter().filter_map(|(_, one)| one.public_address).collect();
    let near: Vec<_> = home.interfaces.iter().collect();
    let (_, anybody) = *dice.one(&all);
    let to = match dice.below(20) {
        _ if outside && dice.percent(85) && !publics.is_empty() => End::Address(*dice.one(&publics)),
        _ if outside => End::Address(*dice.one(&[anybody.address, NOBODY])),
        0..=6 => End::Address(dice.one(&near).address),
        7..=11 => End::Address(anybody.address),
        12 => End::Interface(anybody.id.clone()),
        13..=14 if !publics.is_empty() => End::Address(*dice.one(&publics)),
        15 => End::Address(SERVICES[1]),
        16..=17 => End::Address(*dice.one(&[HOST, SERVICES[0], SERVICES[1]])),
        18 => {
            let base = dice.one(&topology.vpcs).cidr_blocks[0].network().octets();
            End::Address([base[0], base[1], base[2], *dice.one(&[2, 2, 77])].into())
        }
        _ => End::Address(*dice.one(&[Ipv4Addr::new(169, 254, 169, 253), NOBODY])),
    };
    let mut destination = *dice.one(&PORTS);
    if matches!(&to, End::Address(address) if address.octets()[3] == 2 || address.octets()[0] == 169)
        && dice.percent(80)
    {
        destination = 53;
    }
    let (source_port, destination_port) = (Some(port), Some(destination));
    let traffic = match dice.below(10) {
        0..=4 => Traffic::Tcp { source_port, destination_port },
        5..=8 => Traffic::Udp { source_port, destination_port },
        _ => Traffic::Icmp { kind: 8, code: 0 },
    };
    // Every interface has a second address, which is not its own for AWS.
    let source_address = (!outside && dice.percent(4)).then(|| borrowed(sender.address));
    Query { from, to, traffic, source_address }
}

/// The address that an interface uses without having it.
pub fn borrowed(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = address.octets();
    [a, b, c, d + 100].into()
}
