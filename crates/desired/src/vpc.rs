//! One VPC's network: a namespace that is its implicit router, with a leg for every network interface.
//!
//! A VPC with no interface needs no namespace. How each part becomes kernel state stands in ARCHITECTURE.md.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use types::{
    NetworkAclId, NetworkInterfaceId, PrefixListId, RouteTableId, SecurityGroupId, SubnetId, VpcEndpointId,
    VpcId, VpcPeeringConnectionId,
};

/// One VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its id; it names the namespace.
    pub id: VpcId,
    /// Its ranges, the primary one first, then the secondary ones. The DNS server is at the primary's base + 2.
    pub cidr_blocks: Vec<Ipv4Net>,
    /// Whether an internet gateway is attached.
    pub internet_gateway: bool,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its route tables, in use or not.
    pub route_tables: Vec<RouteTable>,
    /// Its network ACLs.
    pub network_acls: Vec<NetworkAcl>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroup>,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// The prefix lists that its security group rules name.
    #[serde(default)]
    pub prefix_lists: Vec<PrefixList>,
    /// Its active peering connections.
    #[serde(default)]
    pub peerings: Vec<Peering>,
    /// Its gateway endpoints.
    #[serde(default)]
    pub gateway_endpoints: Vec<GatewayEndpoint>,
}

/// A prefix list: ranges under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    /// Its id.
    pub id: PrefixListId,
    /// Its ranges.
    pub entries: Vec<Ipv4Net>,
}

/// An active peering connection, as one of its two VPCs sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peering {
    /// Its id: the same in both VPCs.
    pub id: VpcPeeringConnectionId,
    /// The VPC on the other side.
    pub peer: VpcId,
    /// Whether that is in another region, where packets may be no longer than 8500 bytes.
    #[serde(default)]
    pub between_regions: bool,
    /// The other VPC's ranges: only from these may a packet come through the connection.
    pub cidr_blocks: Vec<Ipv4Net>,
    /// The other VPC's groups that this VPC's rules name ([`Peer::Group`]).
    pub security_groups: Vec<PeerGroup>,
}

/// A security group of a peered VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// The private addresses of its interfaces.
    pub members: Vec<Ipv4Addr>,
}

/// A gateway endpoint: a namespace, named by the endpoint's id, that has a service's addresses and no interface. Routes
/// lead to it ([`RouteTarget::Endpoint`]); what comes from it passes no security group on that side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEndpoint {
    /// Its id; it names the namespace.
    pub id: VpcEndpointId,
    /// The service's addresses, on which the edge listens in the endpoint's namespace.
    pub addresses: Vec<Ipv4Addr>,
}

/// A subnet, with the table and the ACL that hold for it (its own or the VPC's main and default ones).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its packet mark: unique in the VPC, at least 1, never reused while the VPC lives.
    pub number: u32,
    /// Its range; the gateway is at base + 1.
    pub cidr_block: Ipv4Net,
    /// The route table that holds for it.
    pub route_table: RouteTableId,
    /// The network ACL that holds for it.
    pub network_acl: NetworkAclId,
}

/// A route table without its implicit local route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its id.
    pub id: RouteTableId,
    /// Its number: unique in the VPC, at least 1; the kernel table is 1000 + number.
    pub number: u32,
    /// Its routes, each range once; one for a range of the VPC's own stands in the place of the local route.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination range.
    pub destination: Ipv4Net,
    /// Where it leads.
    pub target: RouteTarget,
    /// The prefix list that the range is an entry of, for a route that names a list: a route an entry.
    #[serde(default)]
    pub prefix_list: Option<PrefixListId>,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteTarget {
    /// The VPC's internet gateway. With none attached the route is a black hole.
    InternetGateway,
    /// The interface of a NAT gateway, or any interface.
    Interface(NetworkInterfaceId),
    /// A peering connection of [`Vpc::peerings`].
    Peering(VpcPeeringConnectionId),
    /// A gateway endpoint of [`Vpc::gateway_endpoints`].
    Endpoint(VpcEndpointId),
    /// The target is gone: packets are dropped without a word.
    Blackhole,
}

/// An IP protocol in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Every protocol; ports mean nothing.
    All,
    /// TCP, 6.
    Tcp,
    /// UDP, 17.
    Udp,
    /// ICMP, 1: the ports are type and code.
    Icmp,
    /// Any other, by number; ports mean nothing.
    Number(u8),
}

/// An inclusive port range; for ICMP, type and code (-1: any).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The first port, or the ICMP type.
    pub from: i32,
    /// The last port, or the ICMP code.
    pub to: i32,
}

/// A security group. Rules are many to one chain; order means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// What may come in.
    pub ingress: Vec<Rule>,
    /// What may go out.
    pub egress: Vec<Rule>,
}

/// A security group rule: it only ever allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The protocol.
    pub protocol: Protocol,
    /// None with a protocol that has no ports, or for all of them.
    pub ports: Option<Ports>,
    /// The other end.
    pub peer: Peer,
}

/// The other end that a security group rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Addresses.
    Cidr(Ipv4Net),
    /// The private addresses of a group's interfaces: one of the VPC's own groups, or one of a peered VPC's.
    Group(SecurityGroupId),
    /// The ranges of a list of [`Vpc::prefix_lists`].
    PrefixList(PrefixListId),
}

/// A network ACL: stateless and ordered; what no entry matches is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Its id.
    pub id: NetworkAclId,
    /// For packets that enter the subnet, by number.
    pub ingress: Vec<NetworkAclEntry>,
    /// For packets that leave the subnet, by number.
    pub egress: Vec<NetworkAclEntry>,
}

/// An entry of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclEntry {
    /// Its number: entries are tried in ascending order.
    pub number: u16,
    /// Whether it allows or denies.
    pub allow: bool,
    /// The protocol.
    pub protocol: Protocol,
    /// The ports, as in [`Rule::ports`].
    pub ports: Option<Ports>,
    /// The source (ingress) or the destination (egress).
    pub cidr_block: Ipv4Net,
}

/// What a network interface belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// A task's: its namespace is the containers' own.
    Task,
    /// A load balancer node's.
    LoadBalancer,
    /// A NAT gateway's: its namespace masquerades, no security group applies.
    NatGateway,
    /// An interface endpoint's: the edge listens in its namespace.
    Endpoint,
}

/// A network interface (ENI): a namespace of its own, `eth0` in it, and a leg in the VPC's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id; it names the namespace.
    pub id: NetworkInterfaceId,
    /// Its subnet.
    pub subnet: SubnetId,
    /// Its private address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its public address, elastic or automatic, reachable through an internet gateway alone.
    pub public_address: Option<Ipv4Addr>,
    /// Its security groups, one to five; none for a NAT gateway.
    pub security_groups: Vec<SecurityGroupId>,
    /// Whether packets from or to other addresses are dropped.
    pub source_dest_check: bool,
    /// What it belongs to.
    pub kind: InterfaceKind,
}
