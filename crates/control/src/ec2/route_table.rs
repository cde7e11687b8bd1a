//! Route tables and what they are associated with.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, InternetGatewayId, NatGatewayId, NetworkInterfaceId, PartId, PrefixListId, Region,
    RouteTableAssociationId, RouteTableId, SubnetId, VpcId, VpcPeeringConnectionId,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::route_table_description::RouteTableDescription;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{Nothing, Resource, answer, has_dependencies, vpc, vpc_endpoint};

/// A route table. Its local routes are not kept: they are the VPC's ranges.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: RouteTableId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Its number, unique in the VPC.
    pub number: u32,
    /// Its routes but the local ones and those of gateway endpoints, which follow from the endpoints' rows; a local one
    /// that was given another target is here.
    pub routes: Vec<Route>,
    /// What uses it.
    pub associations: Vec<Association>,
    /// The token that its CreateRouteTable call gave.
    pub client_token: Option<String>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where the packets are to that it is for.
    pub destination: Destination,
    /// Where it leads.
    pub target: Target,
}

/// What a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Destination {
    /// A range. One of the VPC's own: the local route was given another target.
    Cidr(Ipv4Net),
    /// The entries of a prefix list.
    PrefixList(PrefixListId),
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Destination::Cidr(range) => range.fmt(f),
            Destination::PrefixList(id) => id.fmt(f),
        }
    }
}

/// Where a route leads. The target may be gone: the route is a black hole then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// An internet gateway.
    InternetGateway(InternetGatewayId),
    /// A NAT gateway.
    NatGateway(NatGatewayId),
    /// An interface.
    NetworkInterface(NetworkInterfaceId),
    /// A VPC peering connection.
    Peering(VpcPeeringConnectionId),
}

/// The use of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// Its id.
    pub id: RouteTableAssociationId,
    /// The subnet; None: the table is the VPC's main one.
    pub subnet_id: Option<SubnetId>,
}

super::row!(RouteTable, "ec2_route_table", |table| vec![PartId::Vpc(table.vpc_id.clone())]);

impl Resource for RouteTable {
    const TYPE: &'static str = "route-table";
    const PREFIX: &'static str = RouteTableId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist"))
    }
}

impl RouteTable {
    /// Whether subnets without a table of their own use it.
    pub fn is_main(&self) -> bool {
        self.associations.iter().any(|association| association.subnet_id.is_none())
    }
}

/// The route table of this id in the caller's account and region.
///
/// # Errors
/// InvalidRouteTableID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<RouteTable>, ApiError> {
    super::get(rows, context, id)
}

/// The most route tables of a VPC. Source: "Amazon VPC quotas".
const MOST: usize = 200;

/// Makes a new VPC's main route table.
pub(super) fn create_main(rows: &mut Tx, context: &Context, vpc_id: &VpcId) {
    rows.put(RouteTable {
        account: context.account.clone(),
        region: context.region.clone(),
        id: RouteTableId::mint(),
        vpc_id: vpc_id.clone(),
        number: 1,
        routes: Vec::new(),
        associations: vec![Association { id: RouteTableAssociationId::mint(), subnet_id: None }],
        client_token: None,
    });
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateRouteTable {
    vpc_id: String,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRouteTableResponse {
    route_table: RouteTableDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateRouteTable,
) -> Result<CreateRouteTableResponse, ApiError> {
    let mut vpc = (*vpc::get(rows, context, &request.vpc_id)?).clone();
    let token = request.client_token.filter(|token| !token.is_empty());
    let earlier = token.as_ref().and_then(|token| {
        rows.scan::<RouteTable>(&context.prefix()).find(|table| table.client_token.as_ref() == Some(token))
    });
    let table = match earlier {
        Some(table) if table.vpc_id != vpc.id => {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        Some(table) => table,
        None => {
            let prefix = context.prefix();
            if rows.scan::<RouteTable>(&prefix).filter(|table| table.vpc_id == vpc.id).count() >= MOST {
                return Err(ApiError::new(
                    "RouteTableLimitExceeded",
                    "The maximum number of route tables has been reached.",
                ));
            }
            let number = vpc.next_route_table_number;
            vpc.next_route_table_number += 1;
            let table = rows.put(RouteTable {
                account: context.account.clone(),
                region: context.region.clone(),
                id: RouteTableId::mint(),
                vpc_id: vpc.id.clone(),
                number,
                routes: Vec::new(),
                associations: Vec::new(),
                client_token: token.clone(),
            });
            rows.put(vpc);
            tag::specify::<RouteTable>(rows, context, &table.id, &request.tag_specification)?;
            table
        }
    };
    let route_table = RouteTableDescription::new(rows, context, &table);
    answer(request.dry_run, CreateRouteTableResponse { route_table, client_token: token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteRouteTable {
    route_table_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteRouteTable,
) -> Result<Nothing, ApiError> {
    let table = get(rows, context, &request.route_table_id)?;
    if !table.associations.is_empty() {
        return Err(has_dependencies("routeTable", &table.id));
    }
    vpc_endpoint::forget_route_table(rows, &table);
    tag::forget(rows, context, &table.id);
    rows.delete::<RouteTable>(&context.key(&table.id));
    answer(request.dry_run, Nothing {})
}
