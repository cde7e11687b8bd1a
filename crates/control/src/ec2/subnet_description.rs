//! Subnets as they are listed and shown.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::subnet::Subnet;
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

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
pub(super) struct SubnetDescription {
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
    pub(super) fn new(rows: &Snapshot, context: &Context, subnet: &Subnet) -> Self {
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
            default_for_az: subnet.default_for_az,
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
        ("customer-owned-ipv4-pool", |_| Vec::new()),
        ("default-for-az", |subnet| vec![subnet.default_for_az.to_string()]),
        ("defaultForAz", |subnet| vec![subnet.default_for_az.to_string()]),
        ("enable-dns64", |subnet| vec![subnet.enable_dns64.to_string()]),
        ("enable-lni-at-device-index", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |_| Vec::new()),
        ("ipv6-cidr-block-association.association-id", |_| Vec::new()),
        ("ipv6-cidr-block-association.state", |_| Vec::new()),
        ("ipv6-native", |subnet| vec![subnet.ipv6_native.to_string()]),
        ("map-customer-owned-ip-on-launch", |subnet| {
            vec![subnet.map_customer_owned_ip_on_launch.to_string()]
        }),
        ("map-public-ip-on-launch", |subnet| vec![subnet.map_public_ip_on_launch.to_string()]),
        ("outpost-arn", |_| Vec::new()),
        ("owner-id", |subnet| vec![subnet.owner_id.clone()]),
        ("private-dns-name-options-on-launch.hostname-type", |subnet| {
            vec![subnet.private_dns_name_options_on_launch.hostname_type.to_owned()]
        }),
        ("private-dns-name-options-on-launch.enable-resource-name-dns-a-record", |subnet| {
            vec![subnet.private_dns_name_options_on_launch.enable_resource_name_dns_a_record.to_string()]
        }),
        ("private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record", |subnet| {
            vec![subnet.private_dns_name_options_on_launch.enable_resource_name_dns_aaaa_record.to_string()]
        }),
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
