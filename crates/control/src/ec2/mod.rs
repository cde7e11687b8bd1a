//! Elastic Compute Cloud: its VPC part. One file a resource.
//!
//! Rows are keyed by account, region and id, and name their VPC, so that a changed row knows which network it shows
//! in. Tags are rows of their own ([`tag::TagSet`]): naming a resource changes no network.
//!
//! Other services use [`interface::create`], [`interface::delete`] and the `get` functions of the resources.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub(crate) mod absent;
pub mod address;
mod address_association;
pub(crate) mod default_vpc;
pub mod dhcp_options;
mod filter;
pub mod flow_log;
mod flow_log_description;
pub mod flow_log_format;
pub mod interface;
mod interface_address;
mod interface_attachment;
mod interface_attribute;
mod interface_create;
mod interface_description;
pub mod internet_gateway;
mod ip_permission;
pub mod nat_gateway;
mod nat_gateway_description;
pub mod network_acl;
mod network_acl_description;
pub mod network_acl_entry;
pub mod network_insights_analysis;
mod network_insights_component;
mod network_insights_description;
pub mod network_insights_end;
pub mod network_insights_path;
pub mod permission;
pub mod prefix_list;
mod prefix_list_description;
mod prefix_list_use;
mod prefix_list_version;
mod public_address;
mod route;
pub mod route_table;
mod route_table_association;
mod route_table_description;
pub(crate) mod route_target;
pub mod security_group;
mod security_group_permission;
mod security_group_reference;
pub mod security_group_rule;
pub mod subnet;
mod subnet_attribute;
mod subnet_description;
pub mod tag;
pub mod vpc;
mod vpc_attribute;
mod vpc_cidr_block;
mod vpc_description;
pub mod vpc_endpoint;
mod vpc_endpoint_create;
mod vpc_endpoint_description;
mod vpc_endpoint_modify;
mod vpc_endpoint_policy;
pub mod vpc_endpoint_service;
pub mod vpc_peering;
mod vpc_peering_description;
mod zone;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, TableDef, table};
use wire::ApiError;

use crate::context::Context;
use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Ec2, AcceptVpcPeeringConnection, vpc_peering::accept),
    write!(Ec2, AllocateAddress, address::allocate),
    write!(Ec2, AssignPrivateIpAddresses, interface_address::assign),
    write!(Ec2, AssociateAddress, address_association::associate),
    write!(Ec2, AssociateDhcpOptions, dhcp_options::associate),
    write!(Ec2, AssociateRouteTable, route_table_association::associate),
    write!(Ec2, AssociateVpcCidrBlock, vpc_cidr_block::associate),
    write!(Ec2, AttachInternetGateway, internet_gateway::attach),
    write!(Ec2, AttachNetworkInterface, interface_attachment::attach),
    write!(Ec2, AuthorizeSecurityGroupEgress, security_group_permission::authorize_egress),
    write!(Ec2, AuthorizeSecurityGroupIngress, security_group_permission::authorize_ingress),
    write!(Ec2, CreateDefaultSubnet, default_vpc::create_subnet),
    write!(Ec2, CreateDefaultVpc, default_vpc::create),
    write!(Ec2, CreateDhcpOptions, dhcp_options::create),
    write!(Ec2, CreateInternetGateway, internet_gateway::create),
    write!(Ec2, CreateFlowLogs, flow_log::create),
    write!(Ec2, CreateManagedPrefixList, prefix_list::create),
    write!(Ec2, CreateNatGateway, nat_gateway::create),
    write!(Ec2, CreateNetworkAcl, network_acl::create),
    write!(Ec2, CreateNetworkAclEntry, network_acl_entry::create),
    write!(Ec2, CreateNetworkInsightsPath, network_insights_path::create),
    write!(Ec2, CreateNetworkInterface, interface_create::create),
    write!(Ec2, CreateRoute, route::create),
    write!(Ec2, CreateRouteTable, route_table::create),
    write!(Ec2, CreateSecurityGroup, security_group::create),
    write!(Ec2, CreateSubnet, subnet::create),
    write!(Ec2, CreateTags, tag::create_tags),
    write!(Ec2, CreateVpc, vpc::create),
    write!(Ec2, CreateVpcEndpoint, vpc_endpoint_create::create),
    write!(Ec2, CreateVpcPeeringConnection, vpc_peering::create),
    write!(Ec2, DeleteDhcpOptions, dhcp_options::delete),
    write!(Ec2, DeleteInternetGateway, internet_gateway::delete),
    write!(Ec2, DeleteFlowLogs, flow_log::delete),
    write!(Ec2, DeleteManagedPrefixList, prefix_list::delete),
    write!(Ec2, DeleteNatGateway, nat_gateway::delete),
    write!(Ec2, DeleteNetworkAcl, network_acl::delete),
    write!(Ec2, DeleteNetworkAclEntry, network_acl_entry::delete),
    write!(Ec2, DeleteNetworkInsightsAnalysis, network_insights_analysis::delete),
    write!(Ec2, DeleteNetworkInsightsPath, network_insights_path::delete),
    write!(Ec2, DeleteNetworkInterface, interface_create::delete),
    write!(Ec2, DeleteRoute, route::delete),
    write!(Ec2, DeleteRouteTable, route_table::delete),
    write!(Ec2, DeleteSecurityGroup, security_group::delete),
    write!(Ec2, DeleteSubnet, subnet::delete),
    write!(Ec2, DeleteTags, tag::delete_tags),
    write!(Ec2, DeleteVpc, vpc::delete),
    write!(Ec2, DeleteVpcEndpoints, vpc_endpoint::delete),
    write!(Ec2, DeleteVpcPeeringConnection, vpc_peering::delete),
    read!(Ec2, DescribeAccountAttributes, zone::describe_account_attributes),
    read!(Ec2, DescribeAddresses, address::describe),
    read!(Ec2, DescribeAddressesAttribute, address::describe_attribute),
    read!(Ec2, DescribeAvailabilityZones, zone::describe_availability_zones),
    read!(Ec2, DescribeCarrierGateways, absent::describe_carrier_gateways),
    read!(Ec2, DescribeCustomerGateways, absent::describe_customer_gateways),
    read!(Ec2, DescribeDhcpOptions, dhcp_options::describe),
    read!(Ec2, DescribeEgressOnlyInternetGateways, absent::describe_egress_only_internet_gateways),
    read!(Ec2, DescribeFlowLogs, flow_log_description::describe),
    read!(Ec2, DescribeInstanceConnectEndpoints, absent::describe_instance_connect_endpoints),
    read!(Ec2, DescribeInstances, absent::describe_instances),
    read!(Ec2, DescribeInternetGateways, internet_gateway::describe),
    read!(Ec2, DescribeManagedPrefixLists, prefix_list_description::describe),
    read!(Ec2, DescribeNatGateways, nat_gateway_description::describe),
    read!(Ec2, DescribeNetworkAcls, network_acl_description::describe),
    read!(Ec2, DescribeNetworkInsightsAnalyses, network_insights_description::describe),
    read!(Ec2, DescribeNetworkInsightsPaths, network_insights_path::describe),
    read!(Ec2, DescribeNetworkInterfaceAttribute, interface_attribute::describe),
    read!(Ec2, DescribeNetworkInterfacePermissions, absent::describe_network_interface_permissions),
    read!(Ec2, DescribeNetworkInterfaces, interface_description::describe),
    read!(Ec2, DescribePrefixLists, prefix_list_description::describe_services),
    read!(Ec2, DescribeRegions, zone::describe_regions),
    read!(Ec2, DescribeRouteTables, route_table_description::describe),
    read!(Ec2, DescribeSecurityGroupReferences, security_group_reference::describe_references),
    read!(Ec2, DescribeSecurityGroupRules, security_group_rule::describe),
    read!(Ec2, DescribeSecurityGroupVpcAssociations, absent::describe_security_group_vpc_associations),
    read!(Ec2, DescribeSecurityGroups, security_group::describe),
    read!(Ec2, DescribeStaleSecurityGroups, security_group_reference::describe_stale),
    read!(Ec2, DescribeSubnets, subnet_description::describe),
    read!(Ec2, DescribeTags, tag::describe),
    read!(Ec2, DescribeTransitGatewayAttachments, absent::describe_transit_gateway_attachments),
    read!(Ec2, DescribeTransitGatewayRouteTables, absent::describe_transit_gateway_route_tables),
    read!(Ec2, DescribeTransitGatewayVpcAttachments, absent::describe_transit_gateway_vpc_attachments),
    read!(Ec2, DescribeTransitGateways, absent::describe_transit_gateways),
    read!(Ec2, DescribeVpcAttribute, vpc_attribute::describe_attribute),
    read!(Ec2, DescribeVpcEndpointAssociations, absent::describe_vpc_endpoint_associations),
    read!(Ec2, DescribeVpcEndpointConnections, absent::describe_vpc_endpoint_connections),
    read!(
        Ec2,
        DescribeVpcEndpointServiceConfigurations,
        absent::describe_vpc_endpoint_service_configurations
    ),
    read!(Ec2, DescribeVpcEndpointServices, vpc_endpoint_service::describe),
    read!(Ec2, DescribeVpcEndpoints, vpc_endpoint_description::describe),
    read!(Ec2, DescribeVpcPeeringConnections, vpc_peering_description::describe),
    read!(Ec2, DescribeVpcs, vpc_description::describe),
    read!(Ec2, DescribeVpnConnections, absent::describe_vpn_connections),
    read!(Ec2, DescribeVpnGateways, absent::describe_vpn_gateways),
    write!(Ec2, DetachInternetGateway, internet_gateway::detach),
    write!(Ec2, DetachNetworkInterface, interface_attachment::detach),
    write!(Ec2, DisassociateAddress, address_association::disassociate),
    write!(Ec2, DisassociateRouteTable, route_table_association::disassociate),
    write!(Ec2, DisassociateVpcCidrBlock, vpc_cidr_block::disassociate),
    read!(Ec2, GetManagedPrefixListAssociations, prefix_list_description::associations),
    read!(Ec2, GetManagedPrefixListEntries, prefix_list_description::entries),
    read!(Ec2, GetSecurityGroupsForVpc, security_group_reference::for_vpc),
    write!(Ec2, ModifyManagedPrefixList, prefix_list_version::modify),
    write!(Ec2, ModifyNetworkInterfaceAttribute, interface_attribute::modify),
    write!(Ec2, ModifySecurityGroupRules, security_group_rule::modify),
    write!(Ec2, ModifySubnetAttribute, subnet_attribute::modify_attribute),
    write!(Ec2, ModifyVpcAttribute, vpc_attribute::modify_attribute),
    write!(Ec2, ModifyVpcEndpoint, vpc_endpoint_modify::modify),
    write!(Ec2, ModifyVpcPeeringConnectionOptions, vpc_peering_description::modify_options),
    write!(Ec2, ModifyVpcTenancy, vpc_attribute::modify_tenancy),
    write!(Ec2, RejectVpcPeeringConnection, vpc_peering::reject),
    write!(Ec2, ReleaseAddress, address::release),
    write!(Ec2, ReplaceNetworkAclAssociation, network_acl::replace_association),
    write!(Ec2, ReplaceNetworkAclEntry, network_acl_entry::replace),
    write!(Ec2, ReplaceRoute, route::replace),
    write!(Ec2, ReplaceRouteTableAssociation, route_table_association::replace_association),
    write!(Ec2, RestoreManagedPrefixListVersion, prefix_list_version::restore),
    write!(Ec2, ResetNetworkInterfaceAttribute, interface_attribute::reset),
    write!(Ec2, RevokeSecurityGroupEgress, security_group_permission::revoke_egress),
    write!(Ec2, RevokeSecurityGroupIngress, security_group_permission::revoke_ingress),
    write!(Ec2, StartNetworkInsightsAnalysis, network_insights_analysis::start),
    write!(Ec2, UnassignPrivateIpAddresses, interface_address::unassign),
    write!(Ec2, UpdateSecurityGroupRuleDescriptionsEgress, security_group_rule::update_egress_descriptions),
    write!(Ec2, UpdateSecurityGroupRuleDescriptionsIngress, security_group_rule::update_ingress_descriptions),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[
    table::<address::Address>(),
    table::<default_vpc::FurnishedRegion>(),
    table::<dhcp_options::DhcpOptions>(),
    table::<interface::NetworkInterface>(),
    table::<internet_gateway::InternetGateway>(),
    table::<nat_gateway::NatGateway>(),
    table::<network_acl::NetworkAcl>(),
    table::<network_insights_analysis::NetworkInsightsAnalysis>(),
    table::<network_insights_path::NetworkInsightsPath>(),
    table::<flow_log::FlowLog>(),
    table::<flow_log::Delivered>(),
    table::<prefix_list::PrefixList>(),
    table::<public_address::PublicAddress>(),
    table::<route_table::RouteTable>(),
    table::<security_group::SecurityGroup>(),
    table::<security_group_rule::SecurityGroupRule>(),
    table::<subnet::Subnet>(),
    table::<tag::TagSet>(),
    table::<vpc::Vpc>(),
    table::<vpc_endpoint::VpcEndpoint>(),
    table::<vpc_peering::VpcPeeringConnection>(),
];

/// A row that AWS names by an id.
pub(crate) trait Resource: Row {
    /// What tags and their specifications call it, `route-table`.
    const TYPE: &'static str;
    /// What its ids begin with.
    const PREFIX: &'static str;
    /// The error for an id that names none.
    fn not_found(id: &str) -> ApiError;
}

/// The resource of this id in the caller's account and region.
///
/// # Errors
/// The resource's own not-found error.
pub(crate) fn get<R: Resource>(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<R>, ApiError> {
    rows.get::<R>(&context.key(id)).ok_or_else(|| R::not_found(id))
}

/// Makes a struct a row keyed by its account, region and id. The third argument gives the parts that it shows in, the
/// fourth the further keys that it is found by.
macro_rules! row {
    ($row:ty, $table:literal, $parts:expr) => {
        super::row!($row, $table, $parts, |_| Vec::new());
    };
    ($row:ty, $table:literal, $parts:expr, $found_by:expr) => {
        impl store::Row for $row {
            const TABLE: &'static str = $table;

            fn key(&self) -> String {
                format!("{}/{}/{}", self.account, self.region, self.id)
            }

            fn parts(&self) -> Vec<types::PartId> {
                let parts: fn(&$row) -> Vec<types::PartId> = $parts;
                parts(self)
            }

            fn found_by(&self) -> Vec<String> {
                let found_by: fn(&$row) -> Vec<String> = $found_by;
                found_by(self)
            }
        }
    };
}
pub(crate) use row;

/// Ends a handler: a call with DryRun changes nothing and says that it would have succeeded.
fn answer<T>(dry_run: Option<bool>, response: T) -> Result<T, ApiError> {
    if dry_run == Some(true) {
        return Err(ApiError::new(
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        )
        .with_status(StatusCode::PRECONDITION_FAILED));
    }
    Ok(response)
}

/// A response without members.
#[derive(Debug, Serialize)]
struct Nothing {}

/// A response that says yes.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(rename = "return")]
    done: bool,
}

const DONE: Done = Done { done: true };

/// A boolean attribute as the Modify calls spell it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flag {
    value: bool,
}

/// A boolean attribute that is taken with AWS's default `false` alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    value: wire::OnlyDefault<wire::False>,
}

/// The answer for a parameter whose value is out of AWS's range.
fn invalid(value: impl std::fmt::Display, parameter: &str, why: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterValue",
        format!("Value ({value}) for parameter {parameter} is invalid. {why}"),
    )
}

/// Something still hangs on what was to be deleted.
fn has_dependencies(kind: &str, id: impl std::fmt::Display) -> ApiError {
    ApiError::new("DependencyViolation", format!("The {kind} '{id}' has dependencies and cannot be deleted."))
}
