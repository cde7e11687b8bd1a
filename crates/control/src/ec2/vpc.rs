//! VPCs.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, DhcpOptionsId, NetworkAclId, PartId, Region, SecurityGroupId, VpcId, random_hex};
use wire::{ApiError, Empty, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::nat_gateway::NatGateway;
use crate::ec2::network_acl::{self, NetworkAcl};
use crate::ec2::route_table::{self, RouteTable};
use crate::ec2::security_group::{self, SecurityGroup};
use crate::ec2::subnet::Subnet;
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::{
    Flag, Nothing, Resource, answer, dhcp_options, has_dependencies, internet_gateway, invalid, vpc_endpoint,
    vpc_peering,
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
    /// Its range; the DNS server is at base + 2.
    pub cidr_block: Ipv4Net,
    /// The id of the range's association, `vpc-cidr-assoc-…`.
    pub cidr_association_id: String,
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
        vec![self.cidr_block]
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
    vpc: VpcDescription,
}

/// Ranges that AWS gives to no VPC: loopback, link-local (metadata lives there), multicast and beyond, "this network".
const RESERVED: [(std::net::Ipv4Addr, u8); 4] = [
    (std::net::Ipv4Addr::new(0, 0, 0, 0), 8),
    (std::net::Ipv4Addr::new(127, 0, 0, 0), 8),
    (std::net::Ipv4Addr::new(169, 254, 0, 0), 16),
    (std::net::Ipv4Addr::new(224, 0, 0, 0), 3),
];

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
    let reserved = RESERVED
        .into_iter()
        .any(|(base, length)| Ipv4Net::new(base, length).is_ok_and(|reserved| overlap(reserved, cidr_block)));
    if reserved || !(16..=28).contains(&cidr_block.prefix_len()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{cidr_block}' is invalid.")));
    }
    let id = VpcId::mint();
    let dhcp_options_id = dhcp_options::of_region(rows, context);
    let default_network_acl = network_acl::create_default(rows, context, &id);
    let default_security_group = security_group::create_default(rows, context, &id);
    route_table::create_main(rows, context, &id);
    let vpc = rows.put(Vpc {
        account: context.account.clone(),
        region: context.region.clone(),
        id: id.clone(),
        cidr_block,
        cidr_association_id: format!("vpc-cidr-assoc-{}", random_hex(17)),
        dhcp_options_id,
        default_network_acl,
        default_security_group,
        enable_dns_support: true,
        enable_dns_hostnames: false,
        enable_network_address_usage_metrics: false,
        next_subnet_number: 1,
        // The main route table has the first one.
        next_route_table_number: 2,
    });
    tag::specify::<Vpc>(rows, context, &id, &request.tag_specification)?;
    answer(request.dry_run, CreateVpcResponse { vpc: VpcDescription::new(rows, context, &vpc) })
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcs {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    vpc_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcsResponse {
    vpc_set: Vec<VpcDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VpcDescription {
    vpc_id: String,
    owner_id: String,
    state: &'static str,
    cidr_block: String,
    cidr_block_association_set: Vec<CidrBlockAssociation>,
    dhcp_options_id: String,
    instance_tenancy: &'static str,
    is_default: bool,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CidrBlockAssociation {
    association_id: String,
    cidr_block: String,
    cidr_block_state: State,
}

#[derive(Debug, Serialize)]
struct State {
    state: &'static str,
}

impl VpcDescription {
    fn new(rows: &Snapshot, context: &Context, vpc: &Vpc) -> Self {
        Self {
            vpc_id: vpc.id.to_string(),
            owner_id: vpc.account.to_string(),
            state: "available",
            cidr_block: vpc.cidr_block.to_string(),
            cidr_block_association_set: vec![CidrBlockAssociation {
                association_id: vpc.cidr_association_id.clone(),
                cidr_block: vpc.cidr_block.to_string(),
                cidr_block_state: State { state: "associated" },
            }],
            dhcp_options_id: vpc.dhcp_options_id.to_string(),
            instance_tenancy: "default",
            is_default: false,
            tag_set: tag::of(rows, context, &vpc.id),
        }
    }
}

impl Item for VpcDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("cidr", |vpc| vec![vpc.cidr_block.clone()]),
        ("cidr-block", |vpc| vec![vpc.cidr_block.clone()]),
        ("cidr-block-association.association-id", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.association_id.clone()).collect()
        }),
        ("cidr-block-association.cidr-block", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.cidr_block.clone()).collect()
        }),
        ("cidr-block-association.state", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.cidr_block_state.state.to_owned()).collect()
        }),
        ("dhcp-options-id", |vpc| vec![vpc.dhcp_options_id.clone()]),
        ("ipv6-cidr-block-association.association-id", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-pool", |_| Vec::new()),
        ("ipv6-cidr-block-association.state", |_| Vec::new()),
        ("is-default", |vpc| vec![vpc.is_default.to_string()]),
        ("isDefault", |vpc| vec![vpc.is_default.to_string()]),
        ("owner-id", |vpc| vec![vpc.owner_id.clone()]),
        ("state", |vpc| vec![vpc.state.to_owned()]),
        ("vpc-id", |vpc| vec![vpc.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.vpc_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        Vpc::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcs,
) -> Result<DescribeVpcsResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.vpc_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<Vpc>(&prefix).map(|vpc| VpcDescription::new(rows, context, &vpc)))?;
    answer(request.dry_run, DescribeVpcsResponse { vpc_set: page.items, next_token: page.next_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcAttribute {
    vpc_id: String,
    attribute: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcAttributeResponse {
    vpc_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_dns_support: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_dns_hostnames: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_network_address_usage_metrics: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    value: bool,
}

pub(super) fn describe_attribute(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcAttribute,
) -> Result<DescribeVpcAttributeResponse, ApiError> {
    let vpc = get(rows, context, &request.vpc_id)?;
    let mut response = DescribeVpcAttributeResponse {
        vpc_id: vpc.id.to_string(),
        ..DescribeVpcAttributeResponse::default()
    };
    match request.attribute.as_str() {
        "enableDnsSupport" => response.enable_dns_support = Some(Value { value: vpc.enable_dns_support }),
        "enableDnsHostnames" => {
            response.enable_dns_hostnames = Some(Value { value: vpc.enable_dns_hostnames });
        }
        "enableNetworkAddressUsageMetrics" => {
            response.enable_network_address_usage_metrics =
                Some(Value { value: vpc.enable_network_address_usage_metrics });
        }
        other => return Err(invalid(other, "attribute", "Unknown VPC attribute.")),
    }
    answer(request.dry_run, response)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyVpcAttribute {
    vpc_id: String,
    enable_dns_support: Option<Flag>,
    enable_dns_hostnames: Option<Flag>,
    enable_network_address_usage_metrics: Option<Flag>,
}

pub(super) fn modify_attribute(
    rows: &mut Tx,
    context: &Context,
    request: ModifyVpcAttribute,
) -> Result<Nothing, ApiError> {
    let mut vpc = (*get(rows, context, &request.vpc_id)?).clone();
    let given = [
        (&mut vpc.enable_dns_support, request.enable_dns_support),
        (&mut vpc.enable_dns_hostnames, request.enable_dns_hostnames),
        (&mut vpc.enable_network_address_usage_metrics, request.enable_network_address_usage_metrics),
    ];
    let mut count = 0;
    for (attribute, flag) in given {
        if let Some(flag) = flag {
            *attribute = flag.value;
            count += 1;
        }
    }
    // "You can't modify the DNS resolution and DNS hostnames attributes in the same request."
    if count != 1 {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "Exactly one attribute must be specified in a request to modify a VPC's attributes",
        ));
    }
    rows.put(vpc);
    Ok(Nothing {})
}
