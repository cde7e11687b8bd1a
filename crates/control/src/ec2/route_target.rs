//! Where routes lead: the targets that requests name, and what has become of them.

use store::Snapshot;
use types::{AccountId, Region, VpcId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::Resource;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::nat_gateway::{self, NatGateway};
use crate::ec2::route_table::{RouteTable, Target};
use crate::ec2::vpc_peering::{self, VpcPeeringConnection};

/// Where a route's packets go now: a target that is gone, detached or not active is a black hole.
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
            .filter(|interface| interface.vpc_id == *vpc_id && interface.is_attached())
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
        Target::Peering(id) => vpc_peering::of_vpc(rows, account, vpc_id)
            .into_iter()
            .find(|peering| peering.id == *id && peering.is_active())
            .map(|peering| desired::RouteTarget::Peering(peering.id.clone())),
    };
    found.unwrap_or(desired::RouteTarget::Blackhole)
}

/// The targets of a request that makes or changes a route.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) gateway_id: Option<&'a str>,
    pub(super) nat_gateway_id: Option<&'a str>,
    pub(super) network_interface_id: Option<&'a str>,
    pub(super) vpc_peering_connection_id: Option<&'a str>,
}

fn different_networks(table: &RouteTable, kind: &str, id: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterValue",
        format!("route table {} and {kind} {id} belong to different networks", table.id),
    )
}

impl Named<'_> {
    /// The target; exactly one must be named, be there, and be of the table's VPC.
    pub(super) fn target(
        &self,
        rows: &Snapshot,
        context: &Context,
        table: &RouteTable,
    ) -> Result<Target, ApiError> {
        let given =
            (self.gateway_id, self.nat_gateway_id, self.network_interface_id, self.vpc_peering_connection_id);
        let needed = "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId";
        match given {
            (Some("local"), None, None, None) => Err(ApiError::new(
                "InvalidParameterValue",
                "The target 'local' is the table's own; a route to it cannot be made.",
            )),
            (Some(id), None, None, None) => gateway(rows, context, table, id),
            (None, Some(id), None, None) => {
                let gateway = nat_gateway::get(rows, context, id)?;
                if gateway.vpc_id != table.vpc_id {
                    return Err(different_networks(table, "nat gateway", id));
                }
                Ok(Target::NatGateway(gateway.id.clone()))
            }
            (None, None, Some(id), None) => {
                let interface = super::get::<NetworkInterface>(rows, context, id)?;
                if interface.vpc_id != table.vpc_id {
                    return Err(different_networks(table, "interface", id));
                }
                Ok(Target::NetworkInterface(interface.id.clone()))
            }
            (None, None, None, Some(id)) => {
                let peering = vpc_peering::get(rows, context, id)?;
                // "You can add a route for a VPC peering connection that's in the pending-acceptance state; it is a
                // black hole until the connection is active" (VPC peering guide).
                if !matches!(peering.code(context.now), "active" | "pending-acceptance") {
                    return Err(VpcPeeringConnection::not_found(id));
                }
                if peering.side(&table.vpc_id).is_none() {
                    return Err(different_networks(table, "vpc peering connection", id));
                }
                Ok(Target::Peering(peering.id.clone()))
            }
            (None, None, None, None) => Err(ApiError::new("MissingParameter", needed)),
            _ => Err(ApiError::new("InvalidParameterCombination", needed)),
        }
    }
}

fn gateway(rows: &Snapshot, context: &Context, table: &RouteTable, id: &str) -> Result<Target, ApiError> {
    if id.starts_with("vgw-") {
        return Err(ApiError::unsupported(format_args!("routes to virtual private gateways ({id})")));
    }
    if id.starts_with("vpce-") {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "A route to the gateway endpoint {id} comes with the endpoint's route tables (ModifyVpcEndpoint)."
            ),
        ));
    }
    let gateway = super::get::<InternetGateway>(rows, context, id)?;
    if gateway.vpc_id.as_ref() != Some(&table.vpc_id) {
        return Err(different_networks(table, "network gateway", id));
    }
    Ok(Target::InternetGateway(gateway.id.clone()))
}
