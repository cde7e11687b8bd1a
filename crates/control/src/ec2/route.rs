//! Routes: what a route table says besides "local".

use ipnet::Ipv4Net;
use serde::Deserialize;
use store::{Snapshot, Tx};
use types::{PrefixListId, VpcEndpointId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::route_table::{self, Destination, Route, RouteTable, Target};
use crate::ec2::route_target::Named;
use crate::ec2::subnet::Subnet;
use crate::ec2::vpc::{self, parse_cidr};
use crate::ec2::{DONE, Done, Nothing, answer, prefix_list, vpc_endpoint};

/// The most routes of a table, its local ones among them. Source: "Amazon VPC quotas".
pub(super) const MOST: usize = 500;

/// What a table's routes count against [`MOST`]: a prefix list counts what it may grow to.
pub(super) fn count(rows: &Snapshot, context: &Context, table: &RouteTable) -> Result<usize, ApiError> {
    let vpc = vpc::get(rows, context, table.vpc_id.as_str())?;
    let ranges = vpc.cidr_blocks();
    let mut sum = ranges.len() + vpc_endpoint::of_route_table(rows, table).len();
    for route in &table.routes {
        sum += match &route.destination {
            Destination::Cidr(range) if ranges.contains(range) => 0,
            Destination::Cidr(_) => 1,
            Destination::PrefixList(id) => prefix_list::weight(rows, context, id.as_str())?.0,
        };
    }
    Ok(sum)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteRequest {
    route_table_id: String,
    destination_cidr_block: Option<String>,
    destination_prefix_list_id: Option<String>,
    destination_ipv6_cidr_block: Option<String>,
    gateway_id: Option<String>,
    nat_gateway_id: Option<String>,
    network_interface_id: Option<String>,
    vpc_peering_connection_id: Option<String>,
    dry_run: Option<bool>,
}

impl RouteRequest {
    fn target(&self, rows: &Snapshot, context: &Context, table: &RouteTable) -> Result<Target, ApiError> {
        let named = Named {
            gateway_id: self.gateway_id.as_deref(),
            nat_gateway_id: self.nat_gateway_id.as_deref(),
            network_interface_id: self.network_interface_id.as_deref(),
            vpc_peering_connection_id: self.vpc_peering_connection_id.as_deref(),
        };
        named.target(rows, context, table)
    }

    fn destination(&self, rows: &Snapshot, context: &Context) -> Result<Destination, ApiError> {
        if let Some(id) = &self.destination_prefix_list_id {
            let (_, family) = prefix_list::weight(rows, context, id)?;
            if family == prefix_list::Family::IPv6 {
                return Err(ApiError::unsupported(format_args!("routes by an IPv6 prefix list ({id})")));
            }
        }
        destination(
            self.destination_cidr_block.as_deref(),
            self.destination_prefix_list_id.as_deref(),
            self.destination_ipv6_cidr_block.as_deref(),
        )
    }
}

/// The destination that a request names.
fn destination(
    cidr: Option<&str>,
    prefix_list_id: Option<&str>,
    ipv6_cidr: Option<&str>,
) -> Result<Destination, ApiError> {
    let needed = "The request must contain exactly one of destinationCidrBlock, destinationPrefixListId";
    match (cidr, prefix_list_id, ipv6_cidr) {
        (Some(cidr), None, None) => parse_cidr(cidr, "destinationCidrBlock").map(Destination::Cidr),
        (None, Some(id), None) => Ok(Destination::PrefixList(PrefixListId::from(id))),
        (None, None, Some(cidr)) => Err(ApiError::unsupported(format_args!("IPv6 routes ({cidr})"))),
        (None, None, None) => Err(ApiError::new("MissingParameter", needed)),
        _ => Err(ApiError::new("InvalidParameterCombination", needed)),
    }
}

/// No route goes there. Source: "Route tables" in the VPC user guide.
const RESERVED: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(169, 254, 168, 0), 22);

/// Refuses what would shadow the local route. Source: "Local route" and "Routing for a middlebox appliance" in the VPC
/// user guide: a route as specific as the local one or more leads to a NAT gateway or an interface; one that is more
/// specific is for a whole subnet.
fn check_destination(
    rows: &Snapshot,
    context: &Context,
    table: &RouteTable,
    destination: &Destination,
    target: &Target,
) -> Result<(), ApiError> {
    let Destination::Cidr(range) = destination else { return Ok(()) };
    if Ipv4Net::new(RESERVED.0, RESERVED.1).is_ok_and(|reserved| reserved.contains(range)) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("The destination CIDR block {range} is reserved for use by AWS services."),
        ));
    }
    let ranges = vpc::get(rows, context, table.vpc_id.as_str())?.cidr_blocks();
    if !ranges.iter().any(|own| own.contains(range)) {
        return Ok(());
    }
    if !matches!(target, Target::NatGateway(_) | Target::NetworkInterface(_)) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "The destination CIDR block {range} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance."
            ),
        ));
    }
    let is_subnet = |subnet: &Subnet| subnet.vpc_id == table.vpc_id && subnet.cidr_block == *range;
    if ranges.contains(range) || rows.scan::<Subnet>(&context.prefix()).any(|subnet| is_subnet(&subnet)) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidParameterValue",
        format!(
            "The destination CIDR block {range} is more specific than one of this VPC's CIDR blocks. It must match the entire IPv4 CIDR block of a subnet in the VPC."
        ),
    ))
}

/// Whether a destination is one of the table's local routes.
fn is_local(
    rows: &Snapshot,
    context: &Context,
    table: &RouteTable,
    destination: &Destination,
) -> Result<bool, ApiError> {
    let vpc = vpc::get(rows, context, table.vpc_id.as_str())?;
    Ok(vpc.cidr_blocks().into_iter().any(|range| *destination == Destination::Cidr(range)))
}

/// Refuses to change a gateway endpoint's route, which comes and goes with the endpoint.
fn check_not_an_endpoints(
    rows: &Snapshot,
    table: &RouteTable,
    destination: &Destination,
    verb: &str,
) -> Result<(), ApiError> {
    match endpoint_of(rows, table, destination) {
        Some(id) => Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "cannot {verb} VPC endpoint route {destination} in route table {}: it is managed by {id}",
                table.id
            ),
        )),
        None => Ok(()),
    }
}

/// The gateway endpoint whose route a destination of a table is.
fn endpoint_of(rows: &Snapshot, table: &RouteTable, destination: &Destination) -> Option<VpcEndpointId> {
    let of_table = vpc_endpoint::of_route_table(rows, table);
    let found = of_table.into_iter().find(|(_, list)| *destination == Destination::PrefixList(list.clone()));
    found.map(|(endpoint, _)| endpoint.id.clone())
}

pub(super) fn create(rows: &mut Tx, context: &Context, request: RouteRequest) -> Result<Done, ApiError> {
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = request.destination(rows, context)?;
    let target = request.target(rows, context, &table)?;
    if is_local(rows, context, &table, &destination)?
        || endpoint_of(rows, &table, &destination).is_some()
        || table.routes.iter().any(|route| route.destination == destination)
    {
        return Err(ApiError::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    check_destination(rows, context, &table, &destination, &target)?;
    table.routes.push(Route { destination, target });
    if count(rows, context, &table)? > MOST {
        return Err(ApiError::new("RouteLimitExceeded", "The maximum number of routes has been reached."));
    }
    rows.put(table);
    answer(request.dry_run, DONE)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplaceRoute {
    route_table_id: String,
    destination_cidr_block: Option<String>,
    destination_prefix_list_id: Option<String>,
    destination_ipv6_cidr_block: Option<String>,
    gateway_id: Option<String>,
    nat_gateway_id: Option<String>,
    network_interface_id: Option<String>,
    vpc_peering_connection_id: Option<String>,
    local_target: Option<bool>,
    dry_run: Option<bool>,
}

pub(super) fn replace(rows: &mut Tx, context: &Context, request: ReplaceRoute) -> Result<Nothing, ApiError> {
    let to_local = request.local_target == Some(true) || request.gateway_id.as_deref() == Some("local");
    let request = RouteRequest {
        route_table_id: request.route_table_id,
        destination_cidr_block: request.destination_cidr_block,
        destination_prefix_list_id: request.destination_prefix_list_id,
        destination_ipv6_cidr_block: request.destination_ipv6_cidr_block,
        gateway_id: request.gateway_id.filter(|id| id != "local"),
        nat_gateway_id: request.nat_gateway_id,
        network_interface_id: request.network_interface_id,
        vpc_peering_connection_id: request.vpc_peering_connection_id,
        dry_run: request.dry_run,
    };
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = request.destination(rows, context)?;
    let local = is_local(rows, context, &table, &destination)?;
    check_not_an_endpoints(rows, &table, &destination, "replace")?;
    let at = table.routes.iter().position(|route| route.destination == destination);
    if to_local {
        if !local {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("The route {destination} is no local route: its target cannot be local."),
            ));
        }
        at.map(|at| table.routes.remove(at));
        rows.put(table);
        return answer(request.dry_run, Nothing {});
    }
    let target = request.target(rows, context, &table)?;
    check_destination(rows, context, &table, &destination, &target)?;
    match at {
        Some(at) => {
            table.routes[at].target = target;
        }
        // The local route gets another target.
        None if local => table.routes.push(Route { destination, target }),
        None => {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!(
                    "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
                ),
            ));
        }
    }
    rows.put(table);
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteRoute {
    route_table_id: String,
    destination_cidr_block: Option<String>,
    destination_prefix_list_id: Option<String>,
    destination_ipv6_cidr_block: Option<String>,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteRoute) -> Result<Nothing, ApiError> {
    let mut table = (*route_table::get(rows, context, &request.route_table_id)?).clone();
    let destination = destination(
        request.destination_cidr_block.as_deref(),
        request.destination_prefix_list_id.as_deref(),
        request.destination_ipv6_cidr_block.as_deref(),
    )?;
    if is_local(rows, context, &table, &destination)? {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("cannot remove local route {destination} in route table {}", table.id),
        ));
    }
    check_not_an_endpoints(rows, &table, &destination, "remove")?;
    let Some(at) = table.routes.iter().position(|route| route.destination == destination) else {
        let what = match &destination {
            Destination::Cidr(_) => "destination-cidr-block",
            Destination::PrefixList(_) => "destination-prefix-list-id",
        };
        return Err(ApiError::new(
            "InvalidRoute.NotFound",
            format!("no route with {what} {destination} in route table {}", table.id),
        ));
    };
    table.routes.remove(at);
    rows.put(table);
    answer(request.dry_run, Nothing {})
}
