//! Subnets.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, PartId, Region, SubnetId, VpcId};
use wire::{ApiError, Empty, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::vpc::{overlap, parse_cidr};
use crate::ec2::{
    Flag, Nothing, Off, Resource, answer, has_dependencies, invalid, network_acl, route_table_association,
    vpc,
};

/// A subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subnet {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: SubnetId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Its range; the gateway is at base + 1.
    pub cidr_block: Ipv4Net,
    /// The name of its zone.
    pub availability_zone: String,
    /// The id of its zone.
    pub availability_zone_id: String,
    /// Whether interfaces that are launched here get a public address if nothing else is said.
    pub map_public_ip_on_launch: bool,
    /// Its packet mark, unique in the VPC.
    pub number: u32,
}

super::row!(Subnet, "ec2_subnet", |subnet| vec![PartId::Vpc(subnet.vpc_id.clone())]);

impl Resource for Subnet {
    const TYPE: &'static str = "subnet";
    const PREFIX: &'static str = SubnetId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
    }
}

/// The subnet of this id in the caller's account and region.
///
/// # Errors
/// InvalidSubnetID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<Subnet>, ApiError> {
    super::get(rows, context, id)
}

/// The name of the zone that an address of a VPC is in; None when no subnet has it.
pub fn zone_of(rows: &Snapshot, context: &Context, vpc_id: &str, address: Ipv4Addr) -> Option<String> {
    rows.scan::<Subnet>(&context.prefix())
        .find(|subnet| subnet.vpc_id.as_str() == vpc_id && subnet.cidr_block.contains(&address))
        .map(|subnet| subnet.availability_zone.clone())
}

impl Subnet {
    /// The addresses that interfaces may have: all but the first four and the last one.
    /// Source: "Subnet CIDR blocks" in the VPC user guide (network, router, DNS, reserved, broadcast).
    pub(super) fn assignable(&self) -> impl Iterator<Item = Ipv4Addr> + Clone + use<> {
        let first = u32::from(self.cidr_block.network()) + 4;
        let last = u32::from(self.cidr_block.broadcast());
        (first..last).map(Ipv4Addr::from)
    }

    /// How many addresses are free.
    pub fn available_addresses(&self, rows: &Snapshot) -> usize {
        let prefix = format!("{}/{}/", self.account, self.region);
        let taken: usize = rows
            .scan::<NetworkInterface>(&prefix)
            .filter(|interface| interface.subnet_id == self.id)
            .map(|interface| interface.private_addresses().count())
            .sum();
        let all = (1_usize << (32 - self.cidr_block.prefix_len())) - 5;
        all.saturating_sub(taken)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateSubnet {
    vpc_id: String,
    cidr_block: Option<String>,
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ipv6_native: OnlyDefault<False>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ipv6_cidr_block: OnlyDefault<Empty>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateSubnetResponse {
    subnet: SubnetDescription,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateSubnet,
) -> Result<CreateSubnetResponse, ApiError> {
    let mut vpc = (*vpc::get(rows, context, &request.vpc_id)?).clone();
    let Some(cidr_block) = request.cidr_block else {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter cidrBlock"));
    };
    let cidr_block = parse_cidr(&cidr_block, "cidrBlock")?;
    if !(16..=28).contains(&cidr_block.prefix_len()) || !vpc.cidr_block.contains(&cidr_block) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr_block}' is invalid.")));
    }
    let conflict = rows
        .scan::<Subnet>(&context.prefix())
        .any(|subnet| subnet.vpc_id == vpc.id && overlap(subnet.cidr_block, cidr_block));
    if conflict {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr_block}' conflicts with another subnet"),
        ));
    }
    let zones = context.region.zones();
    let zone = zones.iter().find(|zone| {
        request.availability_zone.as_ref().is_none_or(|name| *name == zone.name)
            && request.availability_zone_id.as_ref().is_none_or(|id| *id == zone.id)
    });
    let Some(zone) = zone else {
        let (given, parameter) = match (&request.availability_zone, &request.availability_zone_id) {
            (Some(name), _) => (name.as_str(), "availabilityZone"),
            (None, id) => (id.as_deref().unwrap_or_default(), "availabilityZoneId"),
        };
        let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
        return Err(invalid(
            given,
            parameter,
            &format!(
                "Subnets can currently only be created in the following availability zones: {}.",
                names.join(", ")
            ),
        ));
    };
    let id = SubnetId::mint();
    let number = vpc.next_subnet_number;
    vpc.next_subnet_number += 1;
    network_acl::associate(rows, context, &vpc.default_network_acl, &id);
    let subnet = rows.put(Subnet {
        account: context.account.clone(),
        region: context.region.clone(),
        id: id.clone(),
        vpc_id: vpc.id.clone(),
        cidr_block,
        availability_zone: zone.name.clone(),
        availability_zone_id: zone.id.clone(),
        map_public_ip_on_launch: false,
        number,
    });
    rows.put(vpc);
    tag::specify::<Subnet>(rows, context, &id, &request.tag_specification)?;
    answer(request.dry_run, CreateSubnetResponse { subnet: SubnetDescription::new(rows, context, &subnet) })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteSubnet {
    subnet_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteSubnet) -> Result<Nothing, ApiError> {
    let subnet = get(rows, context, &request.subnet_id)?;
    let prefix = context.prefix();
    if rows.scan::<NetworkInterface>(&prefix).any(|interface| interface.subnet_id == subnet.id) {
        return Err(has_dependencies("subnet", &subnet.id));
    }
    route_table_association::forget_subnet(rows, context, &subnet.id);
    network_acl::forget_subnet(rows, context, &subnet.id);
    tag::forget(rows, context, &subnet.id);
    rows.delete::<Subnet>(&context.key(&subnet.id));
    answer(request.dry_run, Nothing {})
}

wire::documented_default!(
    /// Names of instances are made from their addresses.
    IpName = "ip-name"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "decoding a default is its check")]
pub(super) struct ModifySubnetAttribute {
    subnet_id: String,
    map_public_ip_on_launch: Option<Flag>,
    #[serde(default)]
    assign_ipv6_address_on_creation: Off,
    #[serde(default)]
    map_customer_owned_ip_on_launch: Off,
    #[serde(default)]
    enable_dns64: Off,
    #[serde(default)]
    enable_resource_name_dns_a_record_on_launch: Off,
    #[serde(default, rename = "enableResourceNameDnsAAAARecordOnLaunch")]
    enable_resource_name_dns_aaaa_record_on_launch: Off,
    #[serde(default)]
    private_dns_hostname_type_on_launch: OnlyDefault<IpName>,
}

pub(super) fn modify_attribute(
    rows: &mut Tx,
    context: &Context,
    request: ModifySubnetAttribute,
) -> Result<Nothing, ApiError> {
    let mut subnet = (*get(rows, context, &request.subnet_id)?).clone();
    if let Some(flag) = request.map_public_ip_on_launch {
        subnet.map_public_ip_on_launch = flag.value;
    }
    rows.put(subnet);
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeSubnets {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    subnet_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSubnetsResponse {
    subnet_set: Vec<SubnetDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubnetDescription {
    subnet_id: String,
    subnet_arn: String,
    owner_id: String,
    vpc_id: String,
    state: &'static str,
    cidr_block: String,
    availability_zone: String,
    availability_zone_id: String,
    available_ip_address_count: usize,
    default_for_az: bool,
    map_public_ip_on_launch: bool,
    map_customer_owned_ip_on_launch: bool,
    assign_ipv6_address_on_creation: bool,
    ipv6_cidr_block_association_set: Vec<String>,
    enable_dns64: bool,
    ipv6_native: bool,
    private_dns_name_options_on_launch: PrivateDnsNameOptions,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateDnsNameOptions {
    hostname_type: &'static str,
    enable_resource_name_dns_a_record: bool,
    #[serde(rename = "enableResourceNameDnsAAAARecord")]
    enable_resource_name_dns_aaaa_record: bool,
}

impl SubnetDescription {
    fn new(rows: &Snapshot, context: &Context, subnet: &Subnet) -> Self {
        Self {
            subnet_id: subnet.id.to_string(),
            subnet_arn: context.arn("ec2", format!("subnet/{}", subnet.id)).to_string(),
            owner_id: subnet.account.to_string(),
            vpc_id: subnet.vpc_id.to_string(),
            state: "available",
            cidr_block: subnet.cidr_block.to_string(),
            availability_zone: subnet.availability_zone.clone(),
            availability_zone_id: subnet.availability_zone_id.clone(),
            available_ip_address_count: subnet.available_addresses(rows),
            default_for_az: false,
            map_public_ip_on_launch: subnet.map_public_ip_on_launch,
            map_customer_owned_ip_on_launch: false,
            assign_ipv6_address_on_creation: false,
            ipv6_cidr_block_association_set: Vec::new(),
            enable_dns64: false,
            ipv6_native: false,
            private_dns_name_options_on_launch: PrivateDnsNameOptions {
                hostname_type: "ip-name",
                enable_resource_name_dns_a_record: false,
                enable_resource_name_dns_aaaa_record: false,
            },
            tag_set: tag::of(rows, context, &subnet.id),
        }
    }
}

impl Item for SubnetDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("availability-zone", |subnet| vec![subnet.availability_zone.clone()]),
        ("availabilityZone", |subnet| vec![subnet.availability_zone.clone()]),
        ("availability-zone-id", |subnet| vec![subnet.availability_zone_id.clone()]),
        ("availabilityZoneId", |subnet| vec![subnet.availability_zone_id.clone()]),
        ("available-ip-address-count", |subnet| vec![subnet.available_ip_address_count.to_string()]),
        ("cidr", |subnet| vec![subnet.cidr_block.clone()]),
        ("cidr-block", |subnet| vec![subnet.cidr_block.clone()]),
        ("cidrBlock", |subnet| vec![subnet.cidr_block.clone()]),
        ("default-for-az", |subnet| vec![subnet.default_for_az.to_string()]),
        ("defaultForAz", |subnet| vec![subnet.default_for_az.to_string()]),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |_| Vec::new()),
        ("ipv6-cidr-block-association.association-id", |_| Vec::new()),
        ("ipv6-cidr-block-association.state", |_| Vec::new()),
        ("ipv6-native", |subnet| vec![subnet.ipv6_native.to_string()]),
        ("map-public-ip-on-launch", |subnet| vec![subnet.map_public_ip_on_launch.to_string()]),
        ("outpost-arn", |_| Vec::new()),
        ("owner-id", |subnet| vec![subnet.owner_id.clone()]),
        ("state", |subnet| vec![subnet.state.to_owned()]),
        ("subnet-arn", |subnet| vec![subnet.subnet_arn.clone()]),
        ("subnet-id", |subnet| vec![subnet.subnet_id.clone()]),
        ("vpc-id", |subnet| vec![subnet.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.subnet_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        Subnet::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeSubnets,
) -> Result<DescribeSubnetsResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.subnet_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<Subnet>(&prefix).map(|subnet| SubnetDescription::new(rows, context, &subnet)))?;
    answer(request.dry_run, DescribeSubnetsResponse { subnet_set: page.items, next_token: page.next_token })
}
