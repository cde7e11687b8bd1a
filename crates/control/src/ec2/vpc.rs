//! VPCs.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, DhcpOptionsId, NetworkAclId, PartId, Region, SecurityGroupId, VpcCidrAssociationId, VpcId,
};
use wire::{ApiError, Empty, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::nat_gateway::NatGateway;
use crate::ec2::network_acl::{self, NetworkAcl};
use crate::ec2::route_table::{self, RouteTable};
use crate::ec2::security_group::{self, SecurityGroup};
use crate::ec2::subnet::Subnet;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::vpc_cidr_block::CidrBlock;
use crate::ec2::vpc_description::VpcDescription;
use crate::ec2::{
    Nothing, Resource, answer, dhcp_options, has_dependencies, internet_gateway, invalid, vpc_cidr_block,
    vpc_endpoint, vpc_peering,
};

/// A VPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Vpc {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: VpcId,
    /// Whether it is the region's default VPC.
    #[serde(default)]
    pub is_default: bool,
    /// Its primary range; the DNS server is at base + 2.
    pub cidr_block: Ipv4Net,
    /// The id of the primary range's association.
    pub cidr_association_id: VpcCidrAssociationId,
    /// Its secondary ranges, the oldest first.
    #[serde(default)]
    pub secondary_cidr_blocks: Vec<CidrBlock>,
    /// Its DHCP options.
    pub dhcp_options_id: DhcpOptionsId,
    /// The ACL of subnets that were given no other.
    pub default_network_acl: NetworkAclId,
    /// The group of interfaces that were given none.
    pub default_security_group: SecurityGroupId,
    /// Whether the DNS server answers.
    pub enable_dns_support: bool,
    /// Whether public addresses have public names.
    pub enable_dns_hostnames: bool,
    /// Whether AWS counts the addresses in use: a number on a bill, nothing in the network.
    pub enable_network_address_usage_metrics: bool,
    /// The number that its next subnet gets. Numbers are never reused: packet marks outlive a subnet for a moment.
    pub next_subnet_number: u32,
    /// The number that its next route table gets.
    pub next_route_table_number: u32,
}

super::row!(Vpc, "ec2_vpc", |vpc| vec![PartId::Vpc(vpc.id.clone()), PartId::Names]);

impl Resource for Vpc {
    const TYPE: &'static str = "vpc";
    const PREFIX: &'static str = VpcId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
    }
}

impl Vpc {
    /// Its ranges, the primary one first.
    pub fn cidr_blocks(&self) -> Vec<Ipv4Net> {
        let secondary = self.secondary_cidr_blocks.iter().map(|block| block.cidr_block);
        std::iter::once(self.cidr_block).chain(secondary).collect()
    }

    /// Whether a range lies in one of its ranges.
    pub fn contains(&self, range: Ipv4Net) -> bool {
        self.cidr_blocks().iter().any(|block| block.contains(&range))
    }

    /// Its DNS server's address: the primary range's base + 2.
    pub fn dns_server(&self) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::from(u32::from(self.cidr_block.network()) + 2)
    }
}

/// The VPC of this id in the caller's account and region.
///
/// # Errors
/// InvalidVpcID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<Vpc>, ApiError> {
    super::get(rows, context, id)
}

wire::documented_default!(
    /// The only tenancy: a host is not bought.
    SharedTenancy = "default"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateVpc {
    cidr_block: Option<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    instance_tenancy: OnlyDefault<SharedTenancy>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    amazon_provided_ipv6_cidr_block: OnlyDefault<False>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ipv6_cidr_block: OnlyDefault<Empty>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateVpcResponse {
    pub(super) vpc: VpcDescription,
}

/// Reads a range; its host bits become zero, as AWS documents for VPCs, subnets, routes and rules.
pub(super) fn parse_cidr(text: &str, parameter: &str) -> Result<Ipv4Net, ApiError> {
    text.parse::<Ipv4Net>()
        .map(|net| net.trunc())
        .map_err(|_| invalid(text, parameter, "This is not a valid CIDR block."))
}

/// Whether two ranges share addresses.
pub(super) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateVpc,
) -> Result<CreateVpcResponse, ApiError> {
    let Some(cidr_block) = request.cidr_block else {
        return Err(ApiError::new(
            "MissingParameter",
            "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.",
        ));
    };
    let cidr_block = parse_cidr(&cidr_block, "cidrBlock")?;
    vpc_cidr_block::check_range(cidr_block)?;
    let vpc = make(rows, context, cidr_block, false)?;
    tag::specify::<Vpc>(rows, context, &vpc.id, &request.tag_specification)?;
    answer(request.dry_run, CreateVpcResponse { vpc: VpcDescription::new(rows, context, &vpc) })
}

/// The most VPCs of a region. Source: "Amazon VPC quotas".
const MOST: usize = 5;

/// Makes a VPC and what comes with it: its main route table, its default ACL, its default group.
///
/// # Errors
/// VpcLimitExceeded
pub(super) fn make(
    rows: &mut Tx,
    context: &Context,
    cidr_block: Ipv4Net,
    is_default: bool,
) -> Result<Arc<Vpc>, ApiError> {
    if rows.scan::<Vpc>(&context.prefix()).count() >= MOST {
        return Err(ApiError::new("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    let id = VpcId::mint();
    let dhcp_options_id = dhcp_options::of_region(rows, context);
    let default_network_acl = network_acl::create_default(rows, context, &id);
    let default_security_group = security_group::create_default(rows, context, &id);
    route_table::create_main(rows, context, &id);
    Ok(rows.put(Vpc {
        account: context.account.clone(),
        region: context.region.clone(),
        id,
        is_default,
        cidr_block,
        cidr_association_id: VpcCidrAssociationId::mint(),
        secondary_cidr_blocks: Vec::new(),
        dhcp_options_id,
        default_network_acl,
        default_security_group,
        enable_dns_support: true,
        // Source: "Default VPC components" in the VPC user guide.
        enable_dns_hostnames: is_default,
        enable_network_address_usage_metrics: false,
        next_subnet_number: 1,
        // The main route table has the first one.
        next_route_table_number: 2,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteVpc {
    vpc_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteVpc) -> Result<Nothing, ApiError> {
    let vpc = get(rows, context, &request.vpc_id)?;
    let id = &vpc.id;
    let prefix = context.prefix();
    let tables: Vec<_> = rows.scan::<RouteTable>(&prefix).filter(|table| table.vpc_id == *id).collect();
    let groups: Vec<_> = rows.scan::<SecurityGroup>(&prefix).filter(|group| group.vpc_id == *id).collect();
    let acls: Vec<_> = rows.scan::<NetworkAcl>(&prefix).filter(|acl| acl.vpc_id == *id).collect();
    let in_use = rows.scan::<Subnet>(&prefix).any(|subnet| subnet.vpc_id == *id)
        || rows.scan::<NetworkInterface>(&prefix).any(|interface| interface.vpc_id == *id)
        || rows.scan::<NatGateway>(&prefix).any(|gateway| gateway.vpc_id == *id && gateway.is_live())
        || vpc_endpoint::of_vpc(rows, &prefix, id).next().is_some()
        || internet_gateway::attached(rows, context, id).is_some()
        || tables.iter().any(|table| !table.is_main())
        || groups.iter().any(|group| group.id != vpc.default_security_group)
        || acls.iter().any(|acl| !acl.is_default);
    if in_use {
        return Err(has_dependencies("vpc", id));
    }
    for table in tables {
        tag::forget(rows, context, &table.id);
        rows.delete::<RouteTable>(&context.key(&table.id));
    }
    for acl in acls {
        tag::forget(rows, context, &acl.id);
        rows.delete::<NetworkAcl>(&context.key(&acl.id));
    }
    for group in groups {
        security_group::remove(rows, context, &group.id);
    }
    vpc_peering::forget_vpc(rows, context, id);
    tag::forget(rows, context, id);
    rows.delete::<Vpc>(&context.key(id));
    answer(request.dry_run, Nothing {})
}
