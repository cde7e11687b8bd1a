//! Routes: what a route table says besides "local".

use ipnet::Ipv4Net;
use serde::Deserialize;
use store::{Snapshot, Tx};
use types::{AccountId, Region, VpcId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::nat_gateway::{self, NatGateway};
use crate::ec2::route_table::{self, Route, RouteTable, Target};
use crate::ec2::vpc::{self, parse_cidr};
use crate::ec2::{DONE, Done, Nothing, answer};

/// The most routes of a table. Source: "Amazon VPC quotas" (its local route counts).
const MOST: usize = 500;

/// Where a route's packets go now: a target that is gone or detached is a black hole.
pub(crate) fn resolve(
    rows: &Snapshot,
    account: &AccountId,
    region: &Region,
    vpc_id: &VpcId,
    target: &Target,
) -> desired::RouteTarget {
    let key = |id: &dyn std::fmt::Display| format!("{account}/{region}/{id}");
    let interface = |id: &types::NetworkInterfaceId| {
        rows.get::<NetworkInterface>(&key(id))
            .filter(|interface| interface.vpc_id == *vpc_id)
            .map(|interface| desired::RouteTarget::Interface(interface.id.clone()))
    };
    let found = match target {
        Target::InternetGateway(id) => rows
            .get::<InternetGateway>(&key(id))
            .filter(|gateway| gateway.vpc_id.as_ref() == Some(vpc_id))
            .map(|_| desired::RouteTarget::InternetGateway),
        Target::NatGateway(id) => rows
            .get::<NatGateway>(&key(id))
            .filter(|gateway| gateway.is_live())
            .and_then(|gateway| gateway.interface_id.as_ref().and_then(interface)),
        Target::NetworkInterface(id) => interface(id),
        Target::Peering(_) | Target::Endpoint(_) => None,
    };
    found.unwrap_or(desired::RouteTarget::Blackhole)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteRequest {
    route_table_id: String,
    destination_cidr_block: String,
    gateway_id: Option<String>,
    nat_gateway_id: Option<String>,
    network_interface_id: Option<String>,
    dry_run: Option<bool>,
}

fn different_networks(table: &RouteTable, kind: &str, id: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterValue",
        format!("route table {} and {kind} {id} belong to different networks", table.id),
    )
}

/// The target that a request names; it must be there, and be of the table's VPC.
fn target(
    rows: &Snapshot,
    context: &Context,
    table: &RouteTable,
    request: &RouteRequest,
) -> Result<Target, ApiError> {
    match (&request.gateway_id, &request.nat_gateway_id, &request.network_interface_id) {
        (Some(id), None, None) if id == "local" => Err(ApiError::new(
            "InvalidParameterValue",
            "The target 'local' is the table's own; a route to it cannot be made.",
        )),
        (Some(id), None, None) if id.starts_with("vgw-") => {
            Err(ApiError::unsupported(format_args!("routes to virtual private gateways ({id})")))
        }
        (Some(id), None, None) => {
            let gateway = super::get::<InternetGateway>(rows, context, id)?;
            if gateway.vpc_id.as_ref() != Some(&table.vpc_id) {
                return Err(different_networks(table, "network gateway", id));
            }
            Ok(Target::InternetGateway(gateway.id.clone()))
        }
        (None, Some(id), None) => {
            let gateway = nat_gateway::get(rows, context, id)?;
            if gateway.vpc_id != table.vpc_id {
                return Err(different_networks(table, "nat gateway", id));
            }
            Ok(Target::NatGateway(gateway.id.clone()))
        }
        (None, None, Some(id)) => {
            let interface = super::get::<NetworkInterface>(rows, context, id)?;
            if interface.vpc_id != table.vpc_id {
                return Err(different_networks(table, "interface", id));
            }
            Ok(Target::NetworkInterface(interface.id.clone()))
        }
        (None, None, None) => Err(ApiError::new(
            "MissingParameter",
            "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId",
        )),
        _ => Err(ApiError::new(
            "InvalidParameterCombination",
            "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId",
        )),
    }
}

/// Refuses what would shadow the local route. Source: "Local route" in the VPC user guide: a route that is more
/// specific than the local one leads to a NAT gateway or an interface.
fn check_destination(
    rows: &Snapshot,
    context: &Context,
    table: &RouteTable,
    destination: Ipv4Net,
    target: &Target,
) -> Result<(), ApiError> {
    let vpc = vpc::get(rows, context, table.vpc_id.as_str())?;
    if destination == vpc.cidr_block {
        return Err(already_exists(destination));
    }
    if vpc.cidr_block.contains(&destination) && matches!(target, Target::InternetGateway(_)) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance."
            ),
        ));
    }
    Ok(())
}

fn already_exists(destination: Ipv4Net) -> ApiError {
    ApiError::new("RouteAlreadyExists", format!("The route identified by {destination} already exists."))
}

pub(super) fn create(rows: &mut Tx, context: &Context, request: RouteRequest) -> Result<Done, ApiError> {
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = parse_cidr(&request.destination_cidr_block, "destinationCidrBlock")?;
    let target = target(rows, context, &table, &request)?;
    check_destination(rows, context, &table, destination, &target)?;
    if table.routes.iter().any(|route| route.destination == destination) {
        return Err(already_exists(destination));
    }
    if table.routes.len() + 1 >= MOST {
        return Err(ApiError::new("RouteLimitExceeded", "The maximum number of routes has been reached."));
    }
    table.routes.push(Route { destination, target });
    rows.put(table);
    answer(request.dry_run, DONE)
}

pub(super) fn replace(rows: &mut Tx, context: &Context, request: RouteRequest) -> Result<Nothing, ApiError> {
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = parse_cidr(&request.destination_cidr_block, "destinationCidrBlock")?;
    let target = target(rows, context, &table, &request)?;
    check_destination(rows, context, &table, destination, &target)?;
    let Some(route) = table.routes.iter_mut().find(|route| route.destination == destination) else {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
            ),
        ));
    };
    route.target = target;
    rows.put(table);
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteRoute {
    route_table_id: String,
    destination_cidr_block: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteRoute) -> Result<Nothing, ApiError> {
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = parse_cidr(&request.destination_cidr_block, "destinationCidrBlock")?;
    if vpc::get(rows, context, table.vpc_id.as_str())?.cidr_block == destination {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("cannot remove local route {destination} in route table {}", table.id),
        ));
    }
    let before = table.routes.len();
    table.routes.retain(|route| route.destination != destination);
    if table.routes.len() == before {
        return Err(ApiError::new(
            "InvalidRoute.NotFound",
            format!("no route with destination-cidr-block {destination} in route table {}", table.id),
        ));
    }
    rows.put(table);
    answer(request.dry_run, Nothing {})
}
