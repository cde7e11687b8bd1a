//! Subnets.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, AvailabilityZone, PartId, Region, SubnetId, VpcId};
use wire::{ApiError, Empty, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::subnet_description::SubnetDescription;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::vpc::{Vpc, overlap, parse_cidr};
use crate::ec2::{
    Nothing, Resource, answer, has_dependencies, invalid, network_acl, route_table_association, vpc,
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
    /// Whether it is its zone's default subnet.
    #[serde(default)]
    pub default_for_az: bool,
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
    pub(super) subnet: SubnetDescription,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateSubnet,
) -> Result<CreateSubnetResponse, ApiError> {
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let Some(cidr_block) = request.cidr_block else {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter cidrBlock"));
    };
    let cidr_block = parse_cidr(&cidr_block, "cidrBlock")?;
    if !(16..=28).contains(&cidr_block.prefix_len()) || !vpc.contains(cidr_block) {
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
    let zone = zone(context, request.availability_zone.as_deref(), request.availability_zone_id.as_deref())?;
    let subnet = make(rows, context, &vpc, cidr_block, &zone)?;
    tag::specify::<Subnet>(rows, context, &subnet.id, &request.tag_specification)?;
    answer(request.dry_run, CreateSubnetResponse { subnet: SubnetDescription::new(rows, context, &subnet) })
}

/// The zone that a request names, by name or id; without either, the region's first.
///
/// # Errors
/// InvalidParameterValue
pub(super) fn zone(
    context: &Context,
    name: Option<&str>,
    id: Option<&str>,
) -> Result<AvailabilityZone, ApiError> {
    let zones = context.region.zones();
    let zone = zones
        .iter()
        .find(|zone| name.is_none_or(|name| name == zone.name) && id.is_none_or(|id| id == zone.id));
    zone.cloned().ok_or_else(|| {
        let (given, parameter) = match (name, id) {
            (Some(name), _) => (name, "availabilityZone"),
            (None, id) => (id.unwrap_or_default(), "availabilityZoneId"),
        };
        let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
        invalid(
            given,
            parameter,
            &format!(
                "Subnets can currently only be created in the following availability zones: {}.",
                names.join(", ")
            ),
        )
    })
}

/// The most subnets of a VPC. Source: "Amazon VPC quotas".
const MOST: usize = 200;

/// Makes a subnet of a range that is free, and gives it the VPC's default ACL. In a default VPC it is none of the
/// default subnets: those are marked by who makes them.
///
/// # Errors
/// SubnetLimitExceeded
pub(super) fn make(
    rows: &mut Tx,
    context: &Context,
    vpc: &Vpc,
    cidr_block: Ipv4Net,
    zone: &AvailabilityZone,
) -> Result<Arc<Subnet>, ApiError> {
    if rows.scan::<Subnet>(&context.prefix()).filter(|subnet| subnet.vpc_id == vpc.id).count() >= MOST {
        return Err(ApiError::new("SubnetLimitExceeded", "The maximum number of subnets has been reached."));
    }
    // The caller's copy may be older than the last subnet.
    let mut vpc = (*vpc::get(rows, context, vpc.id.as_str())?).clone();
    let id = SubnetId::mint();
    let number = vpc.next_subnet_number;
    vpc.next_subnet_number += 1;
    network_acl::associate(rows, context, &vpc.default_network_acl, &id);
    let subnet = rows.put(Subnet {
        account: context.account.clone(),
        region: context.region.clone(),
        id,
        vpc_id: vpc.id.clone(),
        cidr_block,
        availability_zone: zone.name.clone(),
        availability_zone_id: zone.id.clone(),
        default_for_az: false,
        map_public_ip_on_launch: false,
        number,
    });
    rows.put(vpc);
    Ok(subnet)
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
