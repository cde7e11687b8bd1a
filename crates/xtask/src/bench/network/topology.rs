//! The places between which packets are sent: two interfaces of a VPC with rules, and a plain pair of links.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use agent::network::Network;
use desired::{
    Interface, InterfaceKind, NetworkAcl, NetworkAclEntry, Peer, Ports, Protocol, RouteTable, Rule,
    SecurityGroup, Subnet, Vpc,
};
use ipnet::Ipv4Net;
use sys::netlink::{Address, Hop, Neighbour, Netlink, Route, VethEnd};
use sys::netns;
use types::NetworkInterfaceId;

use crate::Error;

/// Rules that packets pass in vain before the one that lets them through.
const GROUPS: usize = 10;
const MTU: u32 = 9001;

/// Two ends between which packets are sent.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) client: PathBuf,
    pub(super) server: PathBuf,
    pub(super) address: Ipv4Addr,
}

/// A VPC's network. Nothing is left when it is dropped.
pub(super) struct Place {
    network: Network,
    ends: Ends,
    _state: tempfile::TempDir,
}

impl Place {
    pub(super) fn make(interfaces: usize, rules: usize) -> Result<Self, Error> {
        let state = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
        let network = Network::new(state.path());
        let vpc = vpc(interfaces, rules)?;
        let path = |index: usize| network.path(vpc.interfaces[index].id.as_str());
        let ends = Ends { client: path(0), server: path(1), address: vpc.interfaces[1].address };
        let made = network.apply(&vpc);
        let place = Self { network, ends, _state: state };
        made?;
        Ok(place)
    }

    pub(super) fn ends(&self) -> Ends {
        self.ends.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = self.network.remove_all() {
            println!("the bench's own network could not be removed: {error}");
        }
    }
}

fn vpc(interfaces: usize, rules: usize) -> Result<Vpc, Error> {
    let rule = |port: usize, peer: &str| -> Result<Rule, Error> {
        let port = i32::try_from(port)?;
        let ports = Some(Ports { from: port, to: port });
        Ok(Rule { protocol: Protocol::Tcp, ports, peer: Peer::Cidr(peer.parse()?) })
    };
    let every = |port: usize| -> Result<Vec<Rule>, Error> {
        // Half of a group's rules are of each direction; the last one lets everything of the VPC through.
        let mut rules: Vec<Rule> =
            (1..rules / GROUPS / 2).map(|n| rule(port + n, "10.9.0.0/16")).collect::<Result<_, _>>()?;
        rules.push(Rule { protocol: Protocol::All, ports: None, peer: Peer::Cidr("10.0.0.0/16".parse()?) });
        Ok(rules)
    };
    let group = |n: usize| -> Result<SecurityGroup, Error> {
        Ok(SecurityGroup {
            id: format!("sg-{n:017x}").into(),
            ingress: every(10_000)?,
            egress: every(20_000)?,
        })
    };
    let all = |number| NetworkAclEntry {
        number,
        allow: true,
        protocol: Protocol::All,
        ports: None,
        cidr_block: Ipv4Net::default(),
    };
    let subnets: Vec<Subnet> = (0..2_u8)
        .map(|n| Subnet {
            id: format!("subnet-{n:017x}").into(),
            number: u32::from(n) + 1,
            cidr_block: Ipv4Net::new_assert(Ipv4Addr::new(10, 0, n * 16, 0), 20),
            route_table: "rtb-00000000000000001".into(),
            network_acl: "acl-00000000000000001".into(),
        })
        .collect();
    let interface = |n: usize| -> Result<Interface, Error> {
        let own = u16::try_from(n)?;
        let subnet = &subnets[n % 2];
        let [high, low] = own.to_be_bytes();
        let address = Ipv4Addr::from(u32::from(subnet.cidr_block.network()) + 10 + u32::from(own));
        Ok(Interface {
            id: NetworkInterfaceId::from(format!("eni-{n:017x}")),
            subnet: subnet.id.clone(),
            address,
            mac: [0x0a, 1, 0, 0, high, low],
            public_address: None,
            security_groups: vec![format!("sg-{:017x}", n % GROUPS).into()],
            source_dest_check: true,
            kind: InterfaceKind::Task,
        })
    };
    Ok(Vpc {
        id: "vpc-0be0000000000bec4".into(),
        cidr_blocks: vec!["10.0.0.0/16".parse()?],
        internet_gateway: false,
        interfaces: (0..interfaces).map(interface).collect::<Result<_, _>>()?,
        subnets,
        route_tables: vec![RouteTable { id: "rtb-00000000000000001".into(), number: 1, routes: Vec::new() }],
        network_acls: vec![NetworkAcl {
            id: "acl-00000000000000001".into(),
            ingress: vec![all(100)],
            egress: vec![all(100)],
        }],
        security_groups: (0..GROUPS).map(group).collect::<Result<_, _>>()?,
        prefix_lists: Vec::new(),
        peerings: Vec::new(),
        gateway_endpoints: Vec::new(),
    })
}

/// Two namespaces with a link between them and nothing else.
pub(super) struct Plain {
    folder: PathBuf,
    _state: tempfile::TempDir,
}

impl Plain {
    pub(super) fn make() -> Result<Self, Error> {
        let state = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
        let plain = Self { folder: state.path().join("netns"), _state: state };
        let ends = [("a", 1_u8), ("b", 2)].map(|(name, n)| (plain.folder.join(name), n));
        for (path, _) in &ends {
            netns::create(path)?;
        }
        let end = |n: u8| VethEnd { name: "eth0", mac: [0x0a, 2, 0, 0, 0, n], mtu: MTU, gso_ipv4_max: None };
        let far = netns::open(&ends[1].0)?;
        netns::within(&ends[0].0, || {
            Netlink::open()?.add_veth(&end(1), &end(2), std::os::fd::AsFd::as_fd(&far))
        })??;
        for (path, n) in ends {
            let (own, other) = (Ipv4Addr::new(10, 1, 0, n), Ipv4Addr::new(10, 1, 0, 3 - n));
            let link = || "eth0".to_owned();
            netns::within(&path, || -> sys::Result<()> {
                let mut netlink = Netlink::open()?;
                netlink.set_up("lo")?;
                netlink.set_up("eth0")?;
                netlink.add_address(&Address { link: link(), address: own.into() })?;
                let mac = [0x0a, 2, 0, 0, 0, 3 - n];
                netlink.add_neighbour(&Neighbour { link: link(), address: other, mac })?;
                let hop = Hop::Link(link());
                netlink.add_route(&Route { table: Route::MAIN, destination: other.into(), hop })
            })??;
        }
        Ok(plain)
    }

    pub(super) fn ends(&self) -> Ends {
        Ends {
            client: self.folder.join("a"),
            server: self.folder.join("b"),
            address: Ipv4Addr::new(10, 1, 0, 2),
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Err(error) = netns::delete_all(&self.folder) {
            println!("the bench's own namespaces could not be removed: {error}");
        }
    }
}
