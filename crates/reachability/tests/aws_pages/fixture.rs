//! Three VPCs: A with all that a VPC may have, B peered with A and with C, C peered with B alone.

use std::net::Ipv4Addr;

use desired::{
    GatewayEndpoint, Interface, InterfaceKind, InternetHost, NetworkAcl, NetworkAclEntry, Peer, PeerGroup,
    Peering, Ports, PrefixList, Protocol, Route, RouteTable, RouteTarget, Rule, SecurityGroup, Subnet, Vpc,
};
use reachability::{Component, Direction, End, Internet, Query, Service, Topology, Traffic, Way, analyse};

/// A rule of AWS's in one sentence, the page that it comes from, and what follows from it here.
pub struct Case {
    pub rule: &'static str,
    pub page: &'static str,
    /// What is other than in [`topology`].
    pub change: fn(&mut Topology),
    pub from: &'static str,
    pub to: &'static str,
    pub traffic: &'static str,
    /// `yes`, or the way, AWS's code and the hop that blocks first.
    pub expected: &'static str,
}

/// Asks, and compares.
pub fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let mut topology = topology();
        (case.change)(&mut topology);
        let query = query(case.from, case.to, case.traffic);
        let found = match analyse(&topology, &query) {
            Ok(analysis) => match analysis.blocker() {
                None => {
                    assert!(analysis.reachable);
                    "yes".to_owned()
                }
                Some((way, hop, block)) => {
                    let way = if way == Way::Forward { "forward" } else { "back" };
                    let partial = if block.partial { " for some ports" } else { "" };
                    format!("{way} {} {}{partial}", block.code, label(&hop.component))
                }
            },
            Err(error) => format!("error: {error}"),
        };
        if found != case.expected {
            wrong.push(format!(
                "{}\n  ({})\n  {} → {}, {}: {found}, expected {}",
                case.rule, case.page, case.from, case.to, case.traffic, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub fn query(from: &str, to: &str, traffic: &str) -> Query {
    let end = |text: &str| match text.split_once('-') {
        Some(("eni", _)) => End::Interface(text.into()),
        Some(("vpce", _)) => End::GatewayEndpoint(text.into()),
        _ if text == "internet" => End::Internet,
        _ => End::Address(text.parse().unwrap()),
    };
    let (from, source_address) = match from.split_once(" as ") {
        Some((from, source)) => (from, Some(source.parse().unwrap())),
        None => (from, None),
    };
    let words: Vec<&str> = traffic.split(' ').collect();
    let number = |at: usize| words.get(at).map(|word| word.parse::<u16>().unwrap());
    let traffic = match words[0] {
        "tcp" => Traffic::Tcp { source_port: number(2), destination_port: number(1) },
        "udp" => Traffic::Udp { source_port: number(2), destination_port: number(1) },
        _ => Traffic::Icmp { kind: u8::try_from(number(1).unwrap()).unwrap(), code: 0 },
    };
    Query { from: end(from), to: end(to), traffic, source_address }
}

fn label(component: &Component) -> String {
    match component {
        Component::Interface { id, .. } => id.to_string(),
        Component::SecurityGroups { interface, direction, .. } => {
            format!("groups of {interface} {}", direction.name())
        }
        Component::NetworkAcl { id, direction, decision } => {
            let number = match decision {
                reachability::AclDecision::Entry { entry } => entry.number.to_string(),
                reachability::AclDecision::Default => "*".to_owned(),
            };
            format!("{id} {} {number}", direction.name())
        }
        Component::RouteTable { id, .. } => id.to_string(),
        Component::InternetGateway { .. } => "igw".to_owned(),
        Component::NatGateway { interface } => format!("NAT {interface}"),
        Component::Peering { id, .. } => id.to_string(),
        Component::GatewayEndpoint { id } => id.to_string(),
        Component::Router { .. } => "router".to_owned(),
        Component::Internet { .. } => "internet".to_owned(),
    }
}

pub fn all(peer: &str) -> Rule {
    Rule { protocol: Protocol::All, ports: None, peer: peer_of(peer) }
}

pub fn tcp(from: i32, to: i32, peer: &str) -> Rule {
    Rule { protocol: Protocol::Tcp, ports: Some(Ports { from, to }), peer: peer_of(peer) }
}

pub fn udp(port: i32, peer: &str) -> Rule {
    Rule { protocol: Protocol::Udp, ports: Some(Ports { from: port, to: port }), peer: peer_of(peer) }
}

pub fn icmp(kind: i32, code: i32, peer: &str) -> Rule {
    Rule { protocol: Protocol::Icmp, ports: Some(Ports { from: kind, to: code }), peer: peer_of(peer) }
}

fn peer_of(text: &str) -> Peer {
    match text.split_once('-') {
        Some(("sg", _)) => Peer::Group(text.into()),
        Some(("pl", _)) => Peer::PrefixList(text.into()),
        _ => Peer::Cidr(text.parse().unwrap()),
    }
}

pub fn entry(number: u16, allow: bool, rule: Rule) -> NetworkAclEntry {
    let Rule { protocol, ports, peer: Peer::Cidr(cidr_block) } = rule else {
        panic!("an ACL knows ranges only")
    };
    NetworkAclEntry { number, allow, protocol, ports, cidr_block }
}

pub fn route(destination: &str, target: &str) -> Route {
    let target = match target.split_once('-') {
        Some(("igw", _)) => RouteTarget::InternetGateway,
        Some(("eni", _)) => RouteTarget::Interface(target.into()),
        Some(("pcx", _)) => RouteTarget::Peering(target.into()),
        Some(("vpce", _)) => RouteTarget::Endpoint(target.into()),
        _ => RouteTarget::Blackhole,
    };
    Route { destination: destination.parse().unwrap(), target, prefix_list: None }
}

pub trait Change {
    fn vpc(&mut self, id: &str) -> &mut Vpc;

    fn group(&mut self, id: &str) -> &mut SecurityGroup {
        let vpc = self.vpc(if id.ends_with("-b") { "vpc-b" } else { "vpc-a" });
        vpc.security_groups.iter_mut().find(|group| group.id.as_str() == id).unwrap()
    }

    fn routes(&mut self, id: &str) -> &mut Vec<Route> {
        let vpc = self.vpc(&format!("vpc-{}", if id.len() == 5 { &id[4..] } else { "a" }));
        &mut vpc.route_tables.iter_mut().find(|table| table.id.as_str() == id).unwrap().routes
    }

    fn eni(&mut self, id: &str) -> &mut Interface {
        let vpc = self.vpc(if id == "eni-b" { "vpc-b" } else { "vpc-a" });
        vpc.interfaces.iter_mut().find(|interface| interface.id.as_str() == id).unwrap()
    }

    /// Gives the private subnet of A (eni-task, eni-db) an ACL of its own, `acl-own`.
    fn acl(&mut self, direction: Direction, entries: &[NetworkAclEntry]) {
        let open = vec![entry(100, true, all("0.0.0.0/0"))];
        let vpc = self.vpc("vpc-a");
        if vpc.network_acls.len() == 1 {
            let acl = NetworkAcl { id: "acl-own".into(), ingress: open.clone(), egress: open };
            vpc.network_acls.push(acl);
            vpc.subnets[1].network_acl = "acl-own".into();
        }
        match direction {
            Direction::Ingress => vpc.network_acls[1].ingress = entries.to_vec(),
            Direction::Egress => vpc.network_acls[1].egress = entries.to_vec(),
        }
    }
}

impl Change for Topology {
    fn vpc(&mut self, id: &str) -> &mut Vpc {
        self.vpcs.iter_mut().find(|vpc| vpc.id.as_str() == id).unwrap()
    }
}

pub fn interface(id: &str, subnet: &str, address: [u8; 4], group: &str, kind: InterfaceKind) -> Interface {
    Interface {
        id: id.into(),
        subnet: subnet.into(),
        address: address.into(),
        mac: [0; 6],
        public_address: None,
        security_groups: [group].into_iter().filter(|group| !group.is_empty()).map(Into::into).collect(),
        source_dest_check: kind != InterfaceKind::NatGateway,
        kind,
    }
}

fn subnet(id: &str, number: u32, range: &str, table: &str, acl: &str) -> Subnet {
    Subnet {
        id: id.into(),
        number,
        cidr_block: range.parse().unwrap(),
        route_table: table.into(),
        network_acl: acl.into(),
    }
}

fn table(id: &str, number: u32, routes: Vec<Route>) -> RouteTable {
    RouteTable { id: id.into(), number, routes }
}

fn group(id: &str, ingress: Vec<Rule>, egress: Vec<Rule>) -> SecurityGroup {
    SecurityGroup { id: id.into(), ingress, egress }
}

fn peering(id: &str, peer: &str, range: &str, groups: &[(&str, [u8; 4])]) -> Peering {
    let member = |(id, member): &(&str, [u8; 4])| PeerGroup {
        id: (*id).into(),
        members: vec![Ipv4Addr::from(*member)],
    };
    Peering {
        id: id.into(),
        peer: peer.into(),
        between_regions: false,
        cidr_blocks: vec![range.parse().unwrap()],
        security_groups: groups.iter().map(member).collect(),
    }
}

fn acl(id: &str) -> NetworkAcl {
    let open = vec![entry(100, true, all("0.0.0.0/0"))];
    NetworkAcl { id: id.into(), ingress: open.clone(), egress: open }
}

fn vpc_a() -> Vpc {
    use InterfaceKind::{Endpoint, LoadBalancer, NatGateway, Task};
    let mut lb = interface("eni-lb", "subnet-public", [10, 0, 0, 10], "sg-lb", LoadBalancer);
    lb.public_address = Some([198, 18, 0, 10].into());
    let mut nat = interface("eni-nat", "subnet-public", [10, 0, 0, 20], "", NatGateway);
    nat.public_address = Some([198, 18, 0, 20].into());
    let mut to_s3 = route("198.19.0.12/32", "vpce-s3");
    to_s3.prefix_list = Some("pl-s3".into());
    Vpc {
        id: "vpc-a".into(),
        cidr_blocks: vec!["10.0.0.0/16".parse().unwrap(), "10.9.0.0/16".parse().unwrap()],
        internet_gateway: true,
        subnets: vec![
            subnet("subnet-public", 1, "10.0.0.0/24", "rtb-public", "acl-a"),
            subnet("subnet-private", 2, "10.0.10.0/24", "rtb-private", "acl-a"),
            subnet("subnet-other", 3, "10.0.11.0/24", "rtb-private", "acl-a"),
            subnet("subnet-second", 4, "10.9.0.0/24", "rtb-private", "acl-a"),
        ],
        route_tables: vec![
            table("rtb-public", 1, vec![route("0.0.0.0/0", "igw-"), route("10.1.0.0/16", "pcx-ab")]),
            table(
                "rtb-private",
                2,
                vec![route("0.0.0.0/0", "eni-nat"), route("10.1.0.0/16", "pcx-ab"), to_s3],
            ),
        ],
        network_acls: vec![acl("acl-a")],
        security_groups: vec![
            group("sg-lb", vec![tcp(80, 80, "0.0.0.0/0")], vec![tcp(3000, 3000, "sg-task")]),
            group("sg-task", vec![tcp(3000, 3000, "sg-lb")], vec![all("0.0.0.0/0")]),
            group("sg-db", vec![tcp(5432, 5432, "sg-task")], vec![]),
            group("sg-endpoint", vec![tcp(443, 443, "10.0.0.0/16")], vec![all("0.0.0.0/0")]),
        ],
        interfaces: vec![
            lb,
            nat,
            interface("eni-task", "subnet-private", [10, 0, 10, 10], "sg-task", Task),
            interface("eni-task2", "subnet-other", [10, 0, 11, 10], "sg-task", Task),
            interface("eni-db", "subnet-private", [10, 0, 10, 30], "sg-db", Task),
            interface("eni-endpoint", "subnet-other", [10, 0, 11, 40], "sg-endpoint", Endpoint),
            interface("eni-second", "subnet-second", [10, 9, 0, 10], "sg-task", Task),
        ],
        prefix_lists: vec![PrefixList {
            id: "pl-s3".into(),
            entries: vec!["198.19.0.12/32".parse().unwrap()],
        }],
        peerings: vec![peering("pcx-ab", "vpc-b", "10.1.0.0/16", &[("sg-b", [10, 1, 0, 10])])],
        gateway_endpoints: vec![GatewayEndpoint {
            id: "vpce-s3".into(),
            addresses: vec![[198, 19, 0, 12].into()],
        }],
    }
}

fn small_vpc(
    letter: char,
    number: u8,
    routes: Vec<Route>,
    ingress: Vec<Rule>,
    peerings: Vec<Peering>,
) -> Vpc {
    let [subnet_id, table_id, acl_id, group_id, eni] =
        ["subnet", "rtb", "acl", "sg", "eni"].map(|kind| format!("{kind}-{letter}"));
    let range = format!("10.{number}.0.0/24");
    Vpc {
        id: format!("vpc-{letter}").into(),
        cidr_blocks: vec![format!("10.{number}.0.0/16").parse().unwrap()],
        internet_gateway: false,
        subnets: vec![subnet(&subnet_id, 1, &range, &table_id, &acl_id)],
        route_tables: vec![table(&table_id, 1, routes)],
        network_acls: vec![acl(&acl_id)],
        security_groups: vec![group(&group_id, ingress, vec![all("0.0.0.0/0")])],
        interfaces: vec![interface(&eni, &subnet_id, [10, number, 0, 10], &group_id, InterfaceKind::Task)],
        prefix_lists: Vec::new(),
        peerings,
        gateway_endpoints: Vec::new(),
    }
}

pub fn topology() -> Topology {
    let routes_b = vec![route("10.0.0.0/16", "pcx-ab"), route("10.2.0.0/16", "pcx-bc")];
    let from_a = [("sg-task", [10, 0, 10, 10])];
    let peerings_b = vec![
        peering("pcx-ab", "vpc-a", "10.0.0.0/16", &from_a),
        peering("pcx-bc", "vpc-c", "10.2.0.0/16", &[]),
    ];
    let routes_c = vec![route("10.1.0.0/16", "pcx-bc"), route("10.0.0.0/16", "pcx-bc")];
    let peerings_c = vec![peering("pcx-bc", "vpc-b", "10.1.0.0/16", &[])];
    let service = |name: &str, last| Service { name: name.to_owned(), address: [198, 19, 0, last].into() };
    Topology {
        vpcs: vec![
            vpc_a(),
            small_vpc('b', 1, routes_b, vec![tcp(8080, 8080, "sg-task")], peerings_b),
            small_vpc('c', 2, routes_c, vec![all("0.0.0.0/0")], peerings_c),
        ],
        internet: Internet {
            host: [198, 19, 0, 1].into(),
            services: vec![service("ecr.api", 10), service("ecr.dkr", 11), service("s3", 12)],
            hosts: vec![InternetHost {
                name: Some("api.example.com".to_owned()),
                address: [203, 0, 113, 50].into(),
                port: Some(443),
                to: "127.0.0.1:9443".parse().unwrap(),
            }],
            on: false,
        },
    }
}
