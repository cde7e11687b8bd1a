//! CreateVpcEndpoint.

use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::InterfaceKind;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{RouteTableId, VpcEndpointId, random_hex};
use wire::{ApiError, OnlyDefault};

use crate::context::Context;
use crate::ec2::interface::{self, NewInterface, Wanted};
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::vpc::{self, Vpc};
use crate::ec2::vpc_endpoint::{EndpointState, Interfaces, Node, VpcEndpoint, Way, of_vpc};
use crate::ec2::vpc_endpoint_description::EndpointDescription;
use crate::ec2::vpc_endpoint_service::{EndpointService, EndpointType, prefix_list};
use crate::ec2::{answer, route_table, subnet, vpc_endpoint_policy};

/// The most gateway endpoints of a region, and the most interface endpoints of a VPC. Source: "AWS PrivateLink quotas".
const MOST_GATEWAYS: usize = 20;
const MOST_OF_VPC: usize = 50;

wire::documented_default!(
    /// The only kind of address: there is no IPv6.
    Ipv4 = "ipv4"
);

/// How an endpoint's names are answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DnsOptions {
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    dns_record_ip_type: OnlyDefault<Ipv4>,
    pub(super) private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
}

/// A subnet with the address that the endpoint shall have in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SubnetConfiguration {
    pub(super) subnet_id: String,
    pub(super) ipv4: Option<Ipv4Addr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateVpcEndpoint {
    vpc_endpoint_type: Option<String>,
    vpc_id: String,
    service_name: Option<String>,
    service_region: Option<String>,
    policy_document: Option<String>,
    #[serde(default)]
    route_table_id: Vec<String>,
    #[serde(default)]
    subnet_id: Vec<String>,
    #[serde(default)]
    subnet_configuration: Vec<SubnetConfiguration>,
    #[serde(default)]
    security_group_id: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ip_address_type: OnlyDefault<Ipv4>,
    #[serde(default)]
    dns_options: DnsOptions,
    private_dns_enabled: Option<bool>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateVpcEndpointResponse {
    vpc_endpoint: EndpointDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

/// A parameter that does not fit the endpoint.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameter", message)
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateVpcEndpoint,
) -> Result<CreateVpcEndpointResponse, ApiError> {
    let kind = match request.vpc_endpoint_type.as_deref() {
        None | Some("" | "Gateway") => EndpointType::Gateway,
        Some("Interface") => EndpointType::Interface,
        Some(other @ ("GatewayLoadBalancer" | "Resource" | "ServiceNetwork")) => {
            return Err(ApiError::unsupported(format_args!("VPC endpoints of the type {other}")));
        }
        Some(other) => return Err(super::invalid(other, "VpcEndpointType", "It is not one of AWS's.")),
    };
    if let Some(other) = request.service_region.as_deref().filter(|name| *name != context.region.as_str()) {
        return Err(ApiError::unsupported(format_args!(
            "VPC endpoints for services of another region ({other})"
        )));
    }
    let Some(name) = request.service_name.as_deref().filter(|name| !name.is_empty()) else {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter ServiceName"));
    };
    let service = EndpointService::find(name, &context.region)?;
    if !service.types().contains(&kind) {
        let types: Vec<&str> = service.types().iter().map(|kind| kind.name()).collect();
        return Err(invalid(format!(
            "Endpoint type ({}) does not match available service types ([{}]).",
            kind.name(),
            types.join(", ")
        )));
    }
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let token = request.client_token.clone().filter(|token| !token.is_empty());
    let earlier = token.as_ref().and_then(|token| {
        rows.scan::<VpcEndpoint>(&context.prefix()).find(|one| one.client_token.as_ref() == Some(token))
    });
    let endpoint = match earlier {
        Some(one) if one.vpc_id != vpc.id || one.service != service || one.kind() != kind => {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        Some(one) => one,
        None => {
            let one = make(rows, context, &vpc, service, kind, &request)?;
            tag::specify::<VpcEndpoint>(rows, context, &one.id, &request.tag_specification)?;
            one
        }
    };
    let vpc_endpoint = EndpointDescription::new(rows, context, &endpoint);
    answer(request.dry_run, CreateVpcEndpointResponse { vpc_endpoint, client_token: token })
}

fn make(
    rows: &mut Tx,
    context: &Context,
    vpc: &Vpc,
    service: EndpointService,
    kind: EndpointType,
    request: &CreateVpcEndpoint,
) -> Result<Arc<VpcEndpoint>, ApiError> {
    let policy = vpc_endpoint_policy::check(request.policy_document.as_deref())?;
    check_quota(rows, context, vpc, kind)?;
    let mut endpoint = VpcEndpoint {
        account: context.account.clone(),
        region: context.region.clone(),
        id: VpcEndpointId::mint(),
        vpc_id: vpc.id.clone(),
        service,
        way: Way::Gateway { route_tables: Vec::new() },
        policy,
        state: EndpointState::Available,
        created_at: context.now,
        client_token: request.client_token.clone().filter(|token| !token.is_empty()),
    };
    match kind {
        EndpointType::Gateway => {
            refuse_for_gateways(request)?;
            let route_tables = route_tables_of(rows, context, &endpoint, &request.route_table_id)?;
            endpoint.way = Way::Gateway { route_tables };
        }
        EndpointType::Interface => {
            if !request.route_table_id.is_empty() {
                return Err(invalid("Route table IDs are only supported for Gateway type VPC endpoints."));
            }
            let private_dns = request.private_dns_enabled.unwrap_or(true);
            let only_inbound =
                request.dns_options.private_dns_only_for_inbound_resolver_endpoint.filter(|_| private_dns);
            let mut security_groups = interface::groups_of(
                rows,
                context,
                &vpc.id,
                &request.security_group_id,
                &format!("VPC {}", vpc.id),
            )?;
            if security_groups.is_empty() {
                security_groups.push(vpc.default_security_group.clone());
            }
            let mut interfaces = Interfaces {
                nodes: Vec::new(),
                security_groups,
                private_dns,
                only_inbound: false,
                dns_suffix: random_hex(8),
            };
            if private_dns {
                check_private_dns(rows, context, vpc, &endpoint)?;
                interfaces.only_inbound = only_inbound_of(rows, context, &endpoint, only_inbound)?;
            }
            add_nodes(
                rows,
                context,
                &endpoint,
                &mut interfaces,
                &request.subnet_id,
                &request.subnet_configuration,
            )?;
            if !interfaces.nodes.is_empty() {
                endpoint.state = EndpointState::Pending { sequence: rows.next_sequence(), at: context.now };
            }
            endpoint.way = Way::Interface(interfaces);
        }
    }
    Ok(rows.put(endpoint))
}

fn refuse_for_gateways(request: &CreateVpcEndpoint) -> Result<(), ApiError> {
    let only = |what: &str| Err(invalid(format!("{what} only supported for Interface type VPC Endpoints.")));
    if !request.subnet_id.is_empty() || !request.subnet_configuration.is_empty() {
        return only("Subnet IDs are");
    }
    if !request.security_group_id.is_empty() {
        return only("Security groups are");
    }
    if request.private_dns_enabled == Some(true) {
        return only("Private DNS is");
    }
    refuse_inbound_for_gateways(&request.dns_options)
}

/// A gateway endpoint has no names that could be answered for anybody.
pub(super) fn refuse_inbound_for_gateways(options: &DnsOptions) -> Result<(), ApiError> {
    if options.private_dns_only_for_inbound_resolver_endpoint == Some(true) {
        return Err(invalid(
            "DnsOptions PrivateDnsOnlyForInboundResolverEndpoint is applicable only to Interface VPC Endpoints.",
        ));
    }
    Ok(())
}

fn check_quota(rows: &Snapshot, context: &Context, vpc: &Vpc, kind: EndpointType) -> Result<(), ApiError> {
    let count = |counts: &dyn Fn(&VpcEndpoint) -> bool| {
        let prefix = context.prefix();
        rows.scan::<VpcEndpoint>(&prefix)
            .filter(|one| one.is_live() && one.kind() == kind && counts(one))
            .count()
    };
    let full = match kind {
        EndpointType::Gateway => count(&|_| true) >= MOST_GATEWAYS,
        EndpointType::Interface => count(&|one| one.vpc_id == vpc.id) >= MOST_OF_VPC,
    };
    if full {
        return Err(ApiError::new(
            "VpcEndpointLimitExceeded",
            "The maximum number of VPC endpoints has been reached.",
        ));
    }
    Ok(())
}

/// The route tables of these ids, each once. None of them may have a route to the service already.
pub(super) fn route_tables_of(
    rows: &Snapshot,
    context: &Context,
    endpoint: &VpcEndpoint,
    ids: &[String],
) -> Result<Vec<RouteTableId>, ApiError> {
    let prefix = context.prefix();
    let mut found: Vec<RouteTableId> = Vec::new();
    for id in ids {
        let table = route_table::get(rows, context, id).map_err(|_| {
            ApiError::new("InvalidRouteTableId.NotFound", format!("The routeTable ID '{id}' does not exist"))
        })?;
        if table.vpc_id != endpoint.vpc_id {
            return Err(invalid(format!("Route table {id} does not belong to VPC {}", endpoint.vpc_id)));
        }
        if found.contains(&table.id) {
            continue;
        }
        let taken = of_vpc(rows, &prefix, &endpoint.vpc_id)
            .any(|other| other.service == endpoint.service && other.route_tables().contains(&table.id));
        if taken {
            let list = prefix_list(endpoint.service, &endpoint.region)
                .map_or_else(String::new, |list| list.to_string());
            return Err(ApiError::new(
                "RouteAlreadyExists",
                format!("route table {id} already has a route with destination-prefix-list-id {list}"),
            ));
        }
        found.push(table.id.clone());
    }
    Ok(found)
}

/// Whether the service's own names may lead to an endpoint. Source: "Access an AWS service using an interface VPC
/// endpoint" in the PrivateLink guide: the VPC's DNS attributes are both on, and no other endpoint has the names.
pub(super) fn check_private_dns(
    rows: &Snapshot,
    context: &Context,
    vpc: &Vpc,
    endpoint: &VpcEndpoint,
) -> Result<(), ApiError> {
    if !vpc.enable_dns_support || !vpc.enable_dns_hostnames {
        return Err(invalid(format!(
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for {}",
            vpc.id
        )));
    }
    let prefix = context.prefix();
    let taken = of_vpc(rows, &prefix, &vpc.id).any(|other| {
        other.id != endpoint.id
            && other.service == endpoint.service
            && matches!(&other.way, Way::Interface(interfaces) if interfaces.private_dns)
    });
    if taken {
        let names = endpoint.service.private_dns_names(&endpoint.region);
        let name = names.first().map_or("", |name| name.trim_start_matches("*."));
        return Err(invalid(format!(
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain for {name} in the VPC {}",
            vpc.id
        )));
    }
    Ok(())
}

/// Whether private DNS shall hold for inbound Resolver endpoints alone. AWS's default is yes for a service that has
/// gateway endpoints as well, and yes asks for one in the VPC.
pub(super) fn only_inbound_of(
    rows: &Snapshot,
    context: &Context,
    endpoint: &VpcEndpoint,
    asked: Option<bool>,
) -> Result<bool, ApiError> {
    let possible = endpoint.service.types().contains(&EndpointType::Gateway);
    if !possible && asked == Some(true) {
        return Err(invalid(format!(
            "PrivateDnsOnlyForInboundResolverEndpoint is not supported for the service {}.",
            endpoint.service.name(&endpoint.region)
        )));
    }
    let only_inbound = possible && asked.unwrap_or(true);
    let prefix = context.prefix();
    let has_gateway = of_vpc(rows, &prefix, &endpoint.vpc_id)
        .any(|other| other.service == endpoint.service && other.kind() == EndpointType::Gateway);
    if only_inbound && !has_gateway {
        return Err(invalid(format!(
            "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC {} must have a Gateway endpoint for the service.",
            endpoint.vpc_id
        )));
    }
    Ok(only_inbound)
}

/// Makes an interface in each subnet. A subnet may be named alone, with an address, or both ways.
pub(super) fn add_nodes(
    rows: &mut Tx,
    context: &Context,
    endpoint: &VpcEndpoint,
    interfaces: &mut Interfaces,
    subnets: &[String],
    configurations: &[SubnetConfiguration],
) -> Result<(), ApiError> {
    let mut ids: Vec<&str> = Vec::new();
    for id in subnets.iter().chain(configurations.iter().map(|one| &one.subnet_id)) {
        if !ids.contains(&id.as_str()) {
            ids.push(id);
        }
    }
    let groups: Vec<String> = interfaces.security_groups.iter().map(ToString::to_string).collect();
    for id in ids {
        let subnet = subnet::get(rows, context, id)?;
        if subnet.vpc_id != endpoint.vpc_id {
            return Err(invalid(format!("The subnet {id} does not belong to VPC {}", endpoint.vpc_id)));
        }
        if interfaces.nodes.iter().any(|node| node.zone == subnet.availability_zone) {
            return Err(ApiError::new(
                "DuplicateSubnetsInSameZone",
                format!("Found another VPC endpoint subnet in the availability zone of {id}"),
            ));
        }
        let primary = configurations.iter().find(|one| one.subnet_id == id).and_then(|one| one.ipv4);
        let new = NewInterface {
            subnet: id,
            security_groups: &groups,
            description: format!("VPC Endpoint Interface {}", endpoint.id),
            kind: InterfaceKind::Endpoint,
            public_address: false,
            requester: "amazon-aws",
        };
        let made = interface::create_at(rows, context, new, &Wanted { primary, ..Wanted::default() })?;
        interfaces.nodes.push(Node {
            subnet_id: subnet.id.clone(),
            zone: subnet.availability_zone.clone(),
            interface_id: made.id.clone(),
            address: made.private_address,
        });
    }
    Ok(())
}
