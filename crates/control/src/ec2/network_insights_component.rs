//! The hops of a way in AWS's form: path components and explanations.

use std::net::Ipv4Addr;

use reachability::{
    AclDecision, Block, Component, Direction, GroupDecision, Header, Hop, PortRange, RouteDecision, Transport,
};
use serde::Serialize;
use store::Snapshot;
use types::{NetworkInterfaceId, VpcId};

use crate::context::Context;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::nat_gateway::NatGateway;
use crate::ec2::permission::protocol_number;
use crate::ec2::tag;

#[derive(Debug, Clone, Serialize)]
pub(super) struct AnalysisComponent {
    id: String,
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Ports {
    from: i32,
    to: i32,
}

impl From<PortRange> for Ports {
    fn from(range: PortRange) -> Self {
        Self { from: range.from.into(), to: range.to.into() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PacketHeader {
    destination_address_set: Vec<Ipv4Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destination_port_range_set: Vec<Ports>,
    protocol: &'static str,
    source_address_set: Vec<Ipv4Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    source_port_range_set: Vec<Ports>,
}

impl PacketHeader {
    fn new(header: &Header) -> Self {
        let (protocol, ports) = match header.transport {
            Transport::Tcp { source, destination } => ("6", Some((source, destination))),
            Transport::Udp { source, destination } => ("17", Some((source, destination))),
            Transport::Icmp { .. } => ("1", None),
        };
        Self {
            destination_address_set: vec![header.destination],
            destination_port_range_set: ports
                .map(|(_, destination)| destination.into())
                .into_iter()
                .collect(),
            protocol,
            source_address_set: vec![header.source],
            source_port_range_set: ports.map(|(source, _)| source.into()).into_iter().collect(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AclRule {
    cidr: String,
    egress: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_range: Option<Ports>,
    protocol: String,
    rule_action: &'static str,
    rule_number: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr: Option<String>,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_range: Option<Ports>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_list_id: Option<String>,
    protocol: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct TableRoute {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_cidr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_prefix_list_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_gateway_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_peering_connection_id: Option<String>,
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PathComponent {
    sequence_number: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_rule: Option<AclRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached_to: Option<AnalysisComponent>,
    component: AnalysisComponent,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_vpc: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound_header: Option<PacketHeader>,
    inbound_header: PacketHeader,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_table_route: Option<TableRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_group_rule: Option<GroupRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_vpc: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc: Option<AnalysisComponent>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    #[serde(skip_serializing_if = "Option::is_none")]
    acl: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_rule: Option<AclRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    explanation_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    internet_gateway: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_gateway: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_peering_connection: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_table_route: Option<TableRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_table: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_group_set: Vec<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc: Option<AnalysisComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint: Option<AnalysisComponent>,
}

impl Explanation {
    /// Of a code alone.
    pub(super) fn of_code(explanation_code: String) -> Self {
        Self { explanation_code, ..Self::default() }
    }
}

/// Puts hops into AWS's form, with the names that their resources' tags give.
pub(super) struct Shown<'a> {
    rows: &'a Snapshot,
    context: &'a Context,
}

/// The internet gateway of a VPC.
fn gateway_of(rows: &Snapshot, prefix: &str, vpc: &VpcId) -> Option<String> {
    let mut gateways = rows.scan::<InternetGateway>(prefix);
    gateways.find(|gateway| gateway.vpc_id.as_ref() == Some(vpc)).map(|gateway| gateway.id.to_string())
}

/// The NAT gateway of an interface.
fn nat_of(rows: &Snapshot, prefix: &str, interface: &NetworkInterfaceId) -> Option<String> {
    let mut gateways = rows.scan::<NatGateway>(prefix);
    gateways
        .find(|gateway| gateway.interface_id.as_ref() == Some(interface))
        .map(|gateway| gateway.id.to_string())
}

/// What AWS calls a hop: the kind of resource, as in ARNs, and the id. None for what is no resource.
fn identity(rows: &Snapshot, prefix: &str, hop: &Hop) -> Option<(&'static str, String)> {
    match &hop.component {
        Component::Interface { id, .. } => Some(("network-interface", id.to_string())),
        Component::SecurityGroups { groups, decision, .. } => {
            let group = match decision {
                GroupDecision::Rule { group, .. } => Some(group),
                GroupDecision::Answer | GroupDecision::NoRule => groups.first(),
            };
            group.map(|group| ("security-group", group.to_string()))
        }
        Component::NetworkAcl { id, .. } => Some(("network-acl", id.to_string())),
        Component::RouteTable { id, .. } => Some(("route-table", id.to_string())),
        Component::InternetGateway { .. } => {
            gateway_of(rows, prefix, hop.vpc.as_ref()?).map(|id| ("internet-gateway", id))
        }
        Component::NatGateway { interface } => nat_of(rows, prefix, interface).map(|id| ("natgateway", id)),
        Component::Peering { id, .. } => Some(("vpc-peering-connection", id.to_string())),
        Component::GatewayEndpoint { id } => Some(("vpc-endpoint", id.to_string())),
        Component::Router { .. } | Component::Internet { .. } => None,
    }
}

/// The ids of all resources that a hop touches.
pub(super) fn ids(rows: &Snapshot, prefix: &str, hop: &Hop) -> Vec<String> {
    let own = identity(rows, prefix, hop).map(|(_, id)| id);
    let around = [hop.vpc.as_ref().map(ToString::to_string), hop.subnet.as_ref().map(ToString::to_string)];
    own.into_iter().chain(around.into_iter().flatten()).collect()
}

impl<'a> Shown<'a> {
    pub(super) fn new(rows: &'a Snapshot, context: &'a Context) -> Self {
        Self { rows, context }
    }

    fn named(&self, kind: &str, id: impl ToString) -> AnalysisComponent {
        let id = id.to_string();
        let tags = tag::of(self.rows, self.context, &id);
        let name = tags.into_iter().find(|tag| tag.key == "Name").map(|tag| tag.value);
        AnalysisComponent { arn: self.context.arn("ec2", format!("{kind}/{id}")).to_string(), id, name }
    }

    fn identity(&self, hop: &Hop) -> Option<AnalysisComponent> {
        let (kind, id) = identity(self.rows, &self.context.prefix(), hop)?;
        Some(self.named(kind, id))
    }

    fn route(&self, hop: &Hop) -> Option<TableRoute> {
        let Component::RouteTable { decision, .. } = &hop.component else { return None };
        let prefix = self.context.prefix();
        match decision {
            RouteDecision::Local { range } => Some(TableRoute {
                destination_cidr: Some(range.to_string()),
                gateway_id: Some("local".to_owned()),
                state: "active",
                ..TableRoute::default()
            }),
            RouteDecision::Route { route, active } => {
                let list = route.prefix_list.as_ref().map(ToString::to_string);
                let mut shown = TableRoute {
                    destination_cidr: list.is_none().then(|| route.destination.to_string()),
                    destination_prefix_list_id: list,
                    state: if *active { "active" } else { "blackhole" },
                    ..TableRoute::default()
                };
                match &route.target {
                    desired::RouteTarget::InternetGateway => {
                        shown.gateway_id =
                            hop.vpc.as_ref().and_then(|vpc| gateway_of(self.rows, &prefix, vpc));
                    }
                    desired::RouteTarget::Interface(id) => match nat_of(self.rows, &prefix, id) {
                        Some(nat) => shown.nat_gateway_id = Some(nat),
                        None => shown.network_interface_id = Some(id.to_string()),
                    },
                    desired::RouteTarget::Peering(id) => {
                        shown.vpc_peering_connection_id = Some(id.to_string());
                    }
                    desired::RouteTarget::Endpoint(id) => shown.gateway_id = Some(id.to_string()),
                    desired::RouteTarget::Blackhole => (),
                }
                Some(shown)
            }
            RouteDecision::NoRoute => None,
        }
    }

    fn acl_rule(hop: &Hop) -> Option<AclRule> {
        let Component::NetworkAcl { direction, decision, .. } = &hop.component else { return None };
        let egress = *direction == Direction::Egress;
        Some(match decision {
            AclDecision::Entry { entry } => AclRule {
                cidr: entry.cidr_block.to_string(),
                egress,
                port_range: entry.ports.map(|ports| Ports { from: ports.from, to: ports.to }),
                protocol: protocol_number(entry.protocol),
                rule_action: if entry.allow { "allow" } else { "deny" },
                rule_number: entry.number,
            },
            AclDecision::Default => AclRule {
                cidr: "0.0.0.0/0".to_owned(),
                egress,
                port_range: None,
                protocol: "-1".to_owned(),
                rule_action: "deny",
                rule_number: 32767,
            },
        })
    }

    fn group_rule(hop: &Hop) -> Option<GroupRule> {
        let Component::SecurityGroups { direction, decision: GroupDecision::Rule { rule, .. }, .. } =
            &hop.component
        else {
            return None;
        };
        let mut shown = GroupRule {
            cidr: None,
            direction: direction.name(),
            security_group_id: None,
            port_range: rule.ports.map(|ports| Ports { from: ports.from, to: ports.to }),
            prefix_list_id: None,
            protocol: protocol_number(rule.protocol),
        };
        match &rule.peer {
            desired::Peer::Cidr(range) => shown.cidr = Some(range.to_string()),
            desired::Peer::Group(id) => shown.security_group_id = Some(id.to_string()),
            desired::Peer::PrefixList(id) => shown.prefix_list_id = Some(id.to_string()),
        }
        Some(shown)
    }

    /// The hops of a way up to the one that blocks.
    pub(super) fn components(&self, hops: &[Hop]) -> Vec<PathComponent> {
        let end = hops.iter().position(|hop| hop.block.is_some()).map_or(hops.len(), |at| at + 1);
        let shown = hops[..end].iter().filter_map(|hop| Some((hop, self.identity(hop)?)));
        let numbered = shown.enumerate().map(|(at, (hop, component))| {
            let vpc = hop.vpc.as_ref().map(|id| self.named("vpc", id));
            let (mut source_vpc, mut destination_vpc, mut attached_to) = (None, None, None);
            match &hop.component {
                Component::Peering { to, .. } => {
                    source_vpc.clone_from(&vpc);
                    destination_vpc = Some(self.named("vpc", to));
                }
                Component::SecurityGroups { interface, .. } => {
                    attached_to = Some(self.named("network-interface", interface));
                }
                _ => (),
            }
            let passes = hop.block.is_none();
            PathComponent {
                sequence_number: at + 1,
                acl_rule: Self::acl_rule(hop),
                attached_to,
                component,
                destination_vpc,
                outbound_header: passes
                    .then(|| PacketHeader::new(hop.translated.as_ref().unwrap_or(&hop.header))),
                inbound_header: PacketHeader::new(&hop.header),
                route_table_route: self.route(hop),
                security_group_rule: Self::group_rule(hop),
                source_vpc,
                subnet: hop.subnet.as_ref().map(|id| self.named("subnet", id)),
                vpc,
            }
        });
        numbered.collect()
    }

    /// Why a hop blocks.
    pub(super) fn explanation(&self, hop: &Hop, block: &Block) -> Explanation {
        let mut shown = Explanation {
            explanation_code: block.code.to_string(),
            component: self.identity(hop),
            subnet: hop.subnet.as_ref().map(|id| self.named("subnet", id)),
            vpc: hop.vpc.as_ref().map(|id| self.named("vpc", id)),
            ..Explanation::default()
        };
        match &hop.component {
            Component::Interface { .. } => shown.network_interface = self.identity(hop),
            Component::SecurityGroups { interface, groups, direction, .. } => {
                shown.network_interface = Some(self.named("network-interface", interface));
                shown.security_group_set =
                    groups.iter().map(|group| self.named("security-group", group)).collect();
                shown.direction = Some(direction.name());
            }
            Component::NetworkAcl { direction, .. } => {
                shown.acl = self.identity(hop);
                shown.acl_rule = Self::acl_rule(hop);
                shown.direction = Some(direction.name());
            }
            Component::RouteTable { .. } => {
                shown.route_table = self.identity(hop);
                shown.route_table_route = self.route(hop);
                shown.address = Some(hop.header.destination);
            }
            Component::InternetGateway { outwards } => {
                shown.internet_gateway = self.identity(hop);
                shown.address = Some(if *outwards { hop.header.source } else { hop.header.destination });
                shown.direction = Some(if *outwards { "egress" } else { "ingress" });
            }
            Component::NatGateway { .. } => shown.nat_gateway = self.identity(hop),
            Component::Peering { .. } => {
                shown.vpc_peering_connection = self.identity(hop);
                shown.address = Some(hop.header.destination);
            }
            Component::GatewayEndpoint { .. } => shown.vpc_endpoint = self.identity(hop),
            Component::Router { .. } | Component::Internet { .. } => {
                shown.address = Some(hop.header.destination);
            }
        }
        shown
    }
}
