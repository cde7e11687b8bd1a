//! ModifyVpcEndpoint.

use serde::Deserialize;
use store::{Snapshot, Tx};
use types::RouteTableId;
use wire::{ApiError, OnlyDefault};

use crate::context::Context;
use crate::ec2::vpc_endpoint::{EndpointState, Interfaces, VpcEndpoint, Way, get};
use crate::ec2::vpc_endpoint_create::{
    DnsOptions, Ipv4, SubnetConfiguration, add_nodes, check_private_dns, invalid, only_inbound_of,
    refuse_inbound_for_gateways, route_tables_of,
};
use crate::ec2::{DONE, Done, answer, interface, vpc, vpc_endpoint_policy};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyVpcEndpoint {
    vpc_endpoint_id: String,
    reset_policy: Option<bool>,
    policy_document: Option<String>,
    #[serde(default)]
    add_route_table_id: Vec<String>,
    #[serde(default)]
    remove_route_table_id: Vec<String>,
    #[serde(default)]
    add_subnet_id: Vec<String>,
    #[serde(default)]
    remove_subnet_id: Vec<String>,
    #[serde(default)]
    subnet_configuration: Vec<SubnetConfiguration>,
    #[serde(default)]
    add_security_group_id: Vec<String>,
    #[serde(default)]
    remove_security_group_id: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ip_address_type: OnlyDefault<Ipv4>,
    #[serde(default)]
    dns_options: DnsOptions,
    private_dns_enabled: Option<bool>,
    dry_run: Option<bool>,
}

pub(super) fn modify(rows: &mut Tx, context: &Context, request: ModifyVpcEndpoint) -> Result<Done, ApiError> {
    let mut endpoint = (*get(rows, context, &request.vpc_endpoint_id)?).clone();
    let document = request.policy_document.as_deref().filter(|document| !document.is_empty());
    if request.reset_policy == Some(true) {
        if document.is_some() {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "ResetPolicy and PolicyDocument cannot be specified together.",
            ));
        }
        endpoint.policy = None;
    } else if document.is_some() {
        endpoint.policy = vpc_endpoint_policy::check(document)?;
    }
    match endpoint.way.clone() {
        Way::Gateway { route_tables } => {
            let route_tables = modify_gateway(rows, context, &endpoint, route_tables, &request)?;
            endpoint.way = Way::Gateway { route_tables };
        }
        Way::Interface(interfaces) => {
            let before = interfaces.nodes.clone();
            let interfaces = modify_interfaces(rows, context, &endpoint, interfaces, &request)?;
            if interfaces.nodes.is_empty() {
                endpoint.state = EndpointState::Available;
            } else if interfaces.nodes != before {
                endpoint.state = EndpointState::Pending { sequence: rows.next_sequence(), at: context.now };
            }
            endpoint.way = Way::Interface(interfaces);
        }
    }
    rows.put(endpoint);
    answer(request.dry_run, DONE)
}

fn modify_gateway(
    rows: &Snapshot,
    context: &Context,
    endpoint: &VpcEndpoint,
    mut route_tables: Vec<RouteTableId>,
    request: &ModifyVpcEndpoint,
) -> Result<Vec<RouteTableId>, ApiError> {
    let of_interfaces = [
        &request.add_subnet_id,
        &request.remove_subnet_id,
        &request.add_security_group_id,
        &request.remove_security_group_id,
    ];
    if of_interfaces.iter().any(|ids| !ids.is_empty())
        || !request.subnet_configuration.is_empty()
        || request.private_dns_enabled == Some(true)
    {
        return Err(invalid(
            "Subnets, security groups and private DNS are only supported for Interface type VPC Endpoints.",
        ));
    }
    refuse_inbound_for_gateways(&request.dns_options)?;
    for id in &request.remove_route_table_id {
        let Some(at) = route_tables.iter().position(|table| table.as_str() == id) else {
            return Err(invalid(format!("Route table {id} is not associated with {}", endpoint.id)));
        };
        route_tables.remove(at);
    }
    route_tables.extend(route_tables_of(rows, context, endpoint, &request.add_route_table_id)?);
    Ok(route_tables)
}

fn modify_interfaces(
    rows: &mut Tx,
    context: &Context,
    endpoint: &VpcEndpoint,
    mut interfaces: Interfaces,
    request: &ModifyVpcEndpoint,
) -> Result<Interfaces, ApiError> {
    if !request.add_route_table_id.is_empty() || !request.remove_route_table_id.is_empty() {
        return Err(invalid("Route table IDs are only supported for Gateway type VPC endpoints."));
    }
    modify_groups(rows, context, endpoint, &mut interfaces, request)?;
    for id in &request.remove_subnet_id {
        let Some(at) = interfaces.nodes.iter().position(|node| node.subnet_id.as_str() == id) else {
            return Err(invalid(format!("The subnet {id} is not associated with {}", endpoint.id)));
        };
        let node = interfaces.nodes.remove(at);
        interface::delete(rows, context, node.interface_id.as_str());
    }
    // A subnet that stays may be named again with the address that it has.
    let mut configurations = request.subnet_configuration.clone();
    for node in &interfaces.nodes {
        let Some(at) = configurations.iter().position(|one| one.subnet_id == node.subnet_id.as_str()) else {
            continue;
        };
        if request.add_subnet_id.contains(&configurations[at].subnet_id) {
            continue;
        }
        let configuration = configurations.remove(at);
        if configuration.ipv4.is_some_and(|address| address != node.address) {
            return Err(ApiError::unsupported(format_args!(
                "another address in the subnet {} of an endpoint (SubnetConfiguration): remove the subnet and add it again",
                node.subnet_id
            )));
        }
    }
    add_nodes(rows, context, endpoint, &mut interfaces, &request.add_subnet_id, &configurations)?;
    let private_dns = request.private_dns_enabled.unwrap_or(interfaces.private_dns);
    let asked = request.dns_options.private_dns_only_for_inbound_resolver_endpoint;
    if !private_dns {
        interfaces.only_inbound = false;
    } else if !interfaces.private_dns || asked.is_some() {
        let vpc = vpc::get(rows, context, endpoint.vpc_id.as_str())?;
        if !interfaces.private_dns {
            check_private_dns(rows, context, &vpc, endpoint)?;
        }
        interfaces.only_inbound = only_inbound_of(rows, context, endpoint, asked)?;
    }
    interfaces.private_dns = private_dns;
    Ok(interfaces)
}

fn modify_groups(
    rows: &mut Tx,
    context: &Context,
    endpoint: &VpcEndpoint,
    interfaces: &mut Interfaces,
    request: &ModifyVpcEndpoint,
) -> Result<(), ApiError> {
    for id in &request.remove_security_group_id {
        if !interfaces.security_groups.iter().any(|group| group.as_str() == id) {
            return Err(invalid(format!("Security group {id} is not associated with {}", endpoint.id)));
        }
    }
    let kept = interfaces.security_groups.iter().map(ToString::to_string);
    let ids: Vec<String> = kept
        .filter(|id| !request.remove_security_group_id.contains(id))
        .chain(request.add_security_group_id.iter().cloned())
        .collect();
    if ids.is_empty() {
        return Err(invalid(format!(
            "The VPC endpoint {} must have at least one security group.",
            endpoint.id
        )));
    }
    let groups =
        interface::groups_of(rows, context, &endpoint.vpc_id, &ids, &format!("VPC {}", endpoint.vpc_id))?;
    if groups == interfaces.security_groups {
        return Ok(());
    }
    interfaces.security_groups = groups;
    for node in &interfaces.nodes {
        interface::set_security_groups(rows, context, node.interface_id.as_str(), &ids)?;
    }
    Ok(())
}
