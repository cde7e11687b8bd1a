//! The article's network as a fixture: two public and two private subnets, an internet gateway, a NAT gateway, a load
//! balancer's nodes, tasks. Everything is made in a temporary state folder and is gone when the fixture is dropped.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod traffic;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use agent::network::{INTERNET, Network};
use desired::{
    Interface, InterfaceKind, NetworkAcl, NetworkAclEntry, Peer, PeerGroup, Peering, Ports, Protocol, Route,
    RouteTable, RouteTarget, Rule, SecurityGroup, Subnet, Vpc,
};
use ipnet::Ipv4Net;
use types::{NetworkInterfaceId, SecurityGroupId, VpcId};

pub const VPC: &str = "vpc-0a0000000000000a1";
pub const LB0: &str = "eni-0000000000000a010";
pub const LB1: &str = "eni-0000000000000a110";
pub const NAT: &str = "eni-0000000000000a020";
pub const TASK0: &str = "eni-00000000000a10010";
pub const TASK1: &str = "eni-00000000000a10110";
pub const D0: &str = "eni-00000000000a10030";
pub const D1: &str = "eni-00000000000a10031";
pub const SG_LB: &str = "sg-000000000000000b1";
pub const SG_ECS: &str = "sg-000000000000000ec5";
pub const SG_DEFAULT: &str = "sg-000000000000000d0";
pub const ACL: &str = "acl-0000000000000000a";
pub const PUBLIC_TABLE: &str = "rtb-00000000000000001";
pub const PRIVATE_TABLE: &str = "rtb-00000000000000002";

pub const LB0_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 0, 10);
pub const LB1_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 1, 10);
pub const NAT_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 0, 20);
pub const TASK0_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 100, 10);
pub const TASK1_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 101, 10);
pub const D0_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 100, 30);
pub const D1_IP: Ipv4Addr = Ipv4Addr::new(10, 194, 100, 31);
pub const LB0_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);
pub const LB1_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 11);
pub const NAT_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 20);
/// The host as it is seen from inside.
pub const HOST: Ipv4Addr = agent::network::HOST;
/// Something in the internet: the address of an AWS endpoint.
pub const WEB: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 10);

/// A state folder with networks in it.
pub struct World {
    pub network: Network,
    pub state: tempfile::TempDir,
}

impl World {
    /// Without any network but the internet's.
    pub fn empty() -> Self {
        let state = tempfile::Builder::new().prefix("landfall-agent-").tempdir_in("/tmp").unwrap();
        let world = Self { network: Network::new(state.path()), state };
        world.network.set_internet([WEB].into()).unwrap();
        world
    }

    /// With the article's network.
    pub fn article() -> (Self, Vpc) {
        let (world, vpc) = (Self::empty(), article(VPC));
        world.network.apply(&vpc).unwrap();
        (world, vpc)
    }

    /// Another reconciler on the same state, as after a restart of the agent.
    pub fn restart(&mut self) {
        self.network = Network::new(self.state.path());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.network.path(name)
    }

    pub fn internet(&self) -> PathBuf {
        self.path(INTERNET)
    }

    /// Applies VPCs, each as often as another's network was connected to its own.
    pub fn apply(&self, vpcs: &[&Vpc]) {
        let mut waiting: Vec<&Vpc> = vpcs.to_vec();
        while let Some(vpc) = waiting.pop() {
            let joined = self.network.apply(vpc).unwrap();
            waiting.extend(vpcs.iter().filter(|other| joined.contains(&other.id)));
        }
    }

    /// What a counter of the VPC has counted.
    pub fn count(&self, counter: &str) -> u64 {
        self.count_in(VPC, counter)
    }

    /// What a counter of a VPC has counted.
    pub fn count_in(&self, vpc: &str, counter: &str) -> u64 {
        let counters = self.network.counters(&VpcId::from(vpc)).unwrap().unwrap();
        *counters.get(counter).unwrap_or_else(|| panic!("no counter {counter} in {counters:#?}"))
    }

    /// What was refused for a reason because of an interface.
    pub fn refused(&self, reason: &str, interface: &str) -> u64 {
        let counters = self.network.counters(&VpcId::from(VPC)).unwrap().unwrap();
        counters.get(&format!("{reason}/{interface}")).copied().unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let removed = self.network.remove_all();
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

pub fn all(peer: &str) -> Rule {
    Rule { protocol: Protocol::All, ports: None, peer: Peer::Cidr(peer.parse().unwrap()) }
}

pub fn tcp(port: u16, peer: Peer) -> Rule {
    Rule { protocol: Protocol::Tcp, ports: Some(Ports { from: port.into(), to: port.into() }), peer }
}

pub fn cidr(range: &str) -> Peer {
    Peer::Cidr(range.parse().unwrap())
}

pub fn group(id: &str) -> Peer {
    Peer::Group(SecurityGroupId::from(id))
}

pub fn entry(number: u16, allow: bool, range: &str, ports: Option<(i32, i32)>) -> NetworkAclEntry {
    NetworkAclEntry {
        number,
        allow,
        protocol: if ports.is_some() { Protocol::Tcp } else { Protocol::All },
        ports: ports.map(|(from, to)| Ports { from, to }),
        cidr_block: range.parse().unwrap(),
    }
}

pub fn interface(id: &str, subnet: &str, address: Ipv4Addr, groups: &[&str]) -> Interface {
    let [_, _, c, d] = address.octets();
    Interface {
        id: NetworkInterfaceId::from(id),
        subnet: subnet.into(),
        address,
        mac: [0x0a, 1, 0, 0, c, d],
        public_address: None,
        security_groups: groups.iter().map(|group| SecurityGroupId::from(*group)).collect(),
        source_dest_check: true,
        kind: InterfaceKind::Task,
    }
}

/// The article's VPC. Ids of interfaces depend on the VPC's, so that two can stand side by side.
pub fn article(id: &str) -> Vpc {
    let subnet = |name: &str, number, range: &str, table: &str| Subnet {
        id: name.into(),
        number,
        cidr_block: range.parse().unwrap(),
        route_table: table.into(),
        network_acl: ACL.into(),
    };
    let table = |id: &str, number, target| RouteTable {
        id: id.into(),
        number,
        routes: vec![Route { destination: "0.0.0.0/0".parse().unwrap(), target, prefix_list: None }],
    };
    let sg =
        |id: &str, ingress: Vec<Rule>, egress: Vec<Rule>| SecurityGroup { id: id.into(), ingress, egress };
    let eni = |name: &str, subnet, address, groups: &[&str]| {
        let suffix = if id == VPC { name.to_owned() } else { name.replace("0a", "0b").replace("a1", "b1") };
        interface(&suffix, subnet, address, groups)
    };
    let mut interfaces = vec![
        eni(LB0, "subnet-public0", LB0_IP, &[SG_LB]),
        eni(LB1, "subnet-public1", LB1_IP, &[SG_LB]),
        eni(NAT, "subnet-public0", NAT_IP, &[]),
        eni(TASK0, "subnet-private0", TASK0_IP, &[SG_ECS]),
        eni(TASK1, "subnet-private1", TASK1_IP, &[SG_ECS]),
        eni(D0, "subnet-private0", D0_IP, &[SG_DEFAULT]),
        eni(D1, "subnet-private0", D1_IP, &[SG_DEFAULT]),
    ];
    let nat = interfaces[2].id.clone();
    for (index, public) in [(0, LB0_PUBLIC), (1, LB1_PUBLIC), (2, NAT_PUBLIC)] {
        interfaces[index].public_address = Some(public);
        interfaces[index].kind = InterfaceKind::LoadBalancer;
    }
    interfaces[2].kind = InterfaceKind::NatGateway;
    interfaces[2].source_dest_check = false;
    Vpc {
        id: VpcId::from(id),
        cidr_blocks: vec!["10.194.0.0/16".parse().unwrap()],
        internet_gateway: true,
        subnets: vec![
            subnet("subnet-public0", 1, "10.194.0.0/24", PUBLIC_TABLE),
            subnet("subnet-public1", 2, "10.194.1.0/24", PUBLIC_TABLE),
            subnet("subnet-private0", 3, "10.194.100.0/24", PRIVATE_TABLE),
            subnet("subnet-private1", 4, "10.194.101.0/24", PRIVATE_TABLE),
        ],
        route_tables: vec![
            table(PUBLIC_TABLE, 1, RouteTarget::InternetGateway),
            table(PRIVATE_TABLE, 2, RouteTarget::Interface(nat)),
        ],
        network_acls: vec![NetworkAcl {
            id: ACL.into(),
            ingress: vec![entry(100, true, "0.0.0.0/0", None)],
            egress: vec![entry(100, true, "0.0.0.0/0", None)],
        }],
        security_groups: vec![
            sg(SG_LB, vec![tcp(80, cidr("0.0.0.0/0"))], vec![tcp(3000, group(SG_ECS))]),
            sg(SG_ECS, vec![tcp(3000, group(SG_LB))], vec![all("0.0.0.0/0")]),
            sg(
                SG_DEFAULT,
                vec![Rule { protocol: Protocol::All, ports: None, peer: group(SG_DEFAULT) }],
                vec![all("0.0.0.0/0")],
            ),
        ],
        interfaces,
        prefix_lists: Vec::new(),
        peerings: Vec::new(),
        gateway_endpoints: Vec::new(),
    }
}

/// A VPC in another range: all its addresses have another second byte, and its public ones another last byte.
pub fn moved(mut vpc: Vpc, second: u8) -> Vpc {
    let range = |range: Ipv4Net| {
        let [a, b, c, d] = range.addr().octets();
        Ipv4Net::new([a, if b == 194 { second } else { b }, c, d].into(), range.prefix_len()).unwrap()
    };
    vpc.cidr_blocks = vpc.cidr_blocks.into_iter().map(range).collect();
    for subnet in &mut vpc.subnets {
        subnet.cidr_block = range(subnet.cidr_block);
    }
    for interface in &mut vpc.interfaces {
        interface.address = range(interface.address.into()).addr();
        interface.public_address = interface.public_address.map(|public| {
            let [a, b, c, d] = public.octets();
            [a, b, c, d + 10 * (second - 185)].into()
        });
    }
    vpc
}

/// Peers two VPCs, with a route from every table of one to the other's range, both ways.
pub fn peer(a: &mut Vpc, b: &mut Vpc, id: &str) {
    let (first, second) = (a.clone(), b.clone());
    for (own, other) in [(a, second), (b, first)] {
        let members = |group: &SecurityGroup| PeerGroup {
            id: group.id.clone(),
            members: other
                .interfaces
                .iter()
                .filter(|interface| interface.security_groups.contains(&group.id))
                .map(|interface| interface.address)
                .collect(),
        };
        own.peerings.push(Peering {
            id: id.into(),
            peer: other.id.clone(),
            between_regions: false,
            cidr_blocks: other.cidr_blocks.clone(),
            security_groups: other.security_groups.iter().map(members).collect(),
        });
        for table in &mut own.route_tables {
            table.routes.extend(other.cidr_blocks.iter().map(|range| Route {
                destination: *range,
                target: RouteTarget::Peering(id.into()),
                prefix_list: None,
            }));
        }
    }
}

/// A security group of a VPC.
pub fn sg<'a>(vpc: &'a mut Vpc, id: &str) -> &'a mut SecurityGroup {
    vpc.security_groups.iter_mut().find(|group| group.id.as_str() == id).unwrap()
}

/// A route table of a VPC.
pub fn routes<'a>(vpc: &'a mut Vpc, id: &str) -> &'a mut Vec<Route> {
    &mut vpc.route_tables.iter_mut().find(|table| table.id.as_str() == id).unwrap().routes
}

/// An interface of a VPC.
pub fn eni<'a>(vpc: &'a mut Vpc, id: &str) -> &'a mut Interface {
    vpc.interfaces.iter_mut().find(|interface| interface.id.as_str() == id).unwrap()
}
