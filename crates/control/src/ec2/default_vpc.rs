//! Default VPCs: every region comes with one, and a default subnet in each of its zones.
//!
//! Its rows are made by the first EC2 call in a region, so that a region that nobody uses costs nothing. Once made it is
//! a VPC like any other: who deletes it is without one until CreateDefaultVpc.
//! Source: "Default VPCs" in the VPC user guide.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, AvailabilityZone, InternetGatewayId, PartId, Region};
use wire::{ApiError, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::answer;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::route_table::{Destination, Route, RouteTable, Target};
use crate::ec2::subnet::{self, CreateSubnetResponse, Subnet};
use crate::ec2::subnet_description::SubnetDescription;
use crate::ec2::vpc::{self, CreateVpcResponse, Vpc, overlap};
use crate::ec2::vpc_description::VpcDescription;

/// That a region's default VPC was made once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FurnishedRegion {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

impl Row for FurnishedRegion {
    const TABLE: &'static str = "ec2_furnished_region";

    fn key(&self) -> String {
        format!("{}/{}/", self.account, self.region)
    }

    fn parts(&self) -> Vec<PartId> {
        Vec::new()
    }
}

/// Its range.
const RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 31, 0, 0), 16);
/// The length of its subnets' prefixes.
const SUBNET_LENGTH: u8 = 20;

/// Whether the caller's region has what it comes with.
pub(crate) fn is_furnished(rows: &Snapshot, context: &Context) -> bool {
    rows.get::<FurnishedRegion>(&context.prefix()).is_some()
}

/// Gives the caller's region what it comes with, at the first call there.
///
/// # Errors
/// None that a new region can meet; a VPC too many, in rows of before there were default VPCs, is no error.
pub(crate) fn furnish(rows: &mut Tx, context: &Context) -> Result<(), ApiError> {
    if is_furnished(rows, context) {
        return Ok(());
    }
    rows.put(FurnishedRegion { account: context.account.clone(), region: context.region.clone() });
    match make(rows, context) {
        Err(error) if error.code == "VpcLimitExceeded" => Ok(()),
        made => made.map(drop),
    }
}

/// The default VPC of the caller's region.
pub(super) fn of_region(rows: &Snapshot, context: &Context) -> Option<Arc<Vpc>> {
    rows.scan::<Vpc>(&context.prefix()).find(|vpc| vpc.is_default)
}

/// The VPC for a request that names none.
///
/// # Errors
/// VPCIdNotSpecified
pub(super) fn for_who_names_none(rows: &Snapshot, context: &Context) -> Result<Arc<Vpc>, ApiError> {
    of_region(rows, context).ok_or_else(|| ApiError::new("VPCIdNotSpecified", "No default VPC for this user"))
}

/// Makes the default VPC with its subnets, its internet gateway and the route there.
fn make(rows: &mut Tx, context: &Context) -> Result<Arc<Vpc>, ApiError> {
    let vpc = vpc::make(rows, context, RANGE, true)?;
    let gateway = rows.put(InternetGateway {
        account: context.account.clone(),
        region: context.region.clone(),
        id: InternetGatewayId::mint(),
        vpc_id: Some(vpc.id.clone()),
    });
    let main = rows.scan::<RouteTable>(&context.prefix()).find(|table| table.vpc_id == vpc.id);
    if let Some(main) = main {
        let mut main = (*main).clone();
        main.routes.push(Route {
            destination: Destination::Cidr(Ipv4Net::default()),
            target: Target::InternetGateway(gateway.id.clone()),
        });
        rows.put(main);
    }
    for zone in context.region.zones() {
        make_subnet(rows, context, &vpc, &zone)?;
    }
    vpc::get(rows, context, vpc.id.as_str())
}

/// Makes a zone's default subnet of the first range that is free.
fn make_subnet(
    rows: &mut Tx,
    context: &Context,
    vpc: &Vpc,
    zone: &AvailabilityZone,
) -> Result<Arc<Subnet>, ApiError> {
    let prefix = context.prefix();
    let taken: Vec<Ipv4Net> = rows
        .scan::<Subnet>(&prefix)
        .filter(|subnet| subnet.vpc_id == vpc.id)
        .map(|subnet| subnet.cidr_block)
        .collect();
    let free = vpc
        .cidr_block
        .subnets(SUBNET_LENGTH)
        .into_iter()
        .flatten()
        .find(|range| !taken.iter().any(|other| overlap(*other, *range)));
    let Some(free) = free else {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInVpc",
            format!("There are not enough free addresses in the VPC '{}' for a default subnet.", vpc.id),
        ));
    };
    let subnet = subnet::make(rows, context, vpc, free, zone)?;
    Ok(rows.put(Subnet { default_for_az: true, map_public_ip_on_launch: true, ..(*subnet).clone() }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateDefaultVpc {
    dry_run: Option<bool>,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateDefaultVpc,
) -> Result<CreateVpcResponse, ApiError> {
    if of_region(rows, context).is_some() {
        return Err(ApiError::new(
            "DefaultVpcAlreadyExists",
            "A Default VPC already exists for this account in this region.",
        ));
    }
    let vpc = make(rows, context)?;
    answer(request.dry_run, CreateVpcResponse { vpc: VpcDescription::new(rows, context, &vpc) })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateDefaultSubnet {
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ipv6_native: OnlyDefault<False>,
    dry_run: Option<bool>,
}

pub(super) fn create_subnet(
    rows: &mut Tx,
    context: &Context,
    request: CreateDefaultSubnet,
) -> Result<CreateSubnetResponse, ApiError> {
    let (name, id) = (request.availability_zone.as_deref(), request.availability_zone_id.as_deref());
    if name.is_none() && id.is_none() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter availabilityZone",
        ));
    }
    let zone = subnet::zone(context, name, id)?;
    let Some(vpc) = of_region(rows, context) else {
        return Err(ApiError::new(
            "DefaultVpcDoesNotExist",
            "No default VPC exists for this account in this region.",
        ));
    };
    let there = rows
        .scan::<Subnet>(&context.prefix())
        .find(|subnet| subnet.default_for_az && subnet.availability_zone == zone.name);
    if let Some(subnet) = there {
        return Err(ApiError::new(
            "DefaultSubnetAlreadyExistsInAvailabilityZone",
            format!("'{}' is already the default subnet in {}.", subnet.id, zone.name),
        ));
    }
    let subnet = make_subnet(rows, context, &vpc, &zone)?;
    answer(request.dry_run, CreateSubnetResponse { subnet: SubnetDescription::new(rows, context, &subnet) })
}
