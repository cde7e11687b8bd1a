//! Route tables and what they are associated with.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, InternetGatewayId, NatGatewayId, NetworkInterfaceId, PartId, Region, RouteTableAssociationId,
    RouteTableId, SubnetId, VpcEndpointId, VpcId, VpcPeeringConnectionId,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::{Nothing, Resource, answer, has_dependencies, route, vpc};

/// A route table. Its local route is not kept: it is the VPC's range.
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
    /// Its routes but the local one.
    pub routes: Vec<Route>,
    /// What uses it.
    pub associations: Vec<Association>,
    /// The token that its CreateRouteTable call gave.
    pub client_token: Option<String>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination range.
    pub destination: Ipv4Net,
    /// Where it leads.
    pub target: Target,
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
    /// A gateway endpoint: the route is the endpoint's own and comes and goes with its association.
    Endpoint(VpcEndpointId),
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
    tag::forget(rows, context, &table.id);
    rows.delete::<RouteTable>(&context.key(&table.id));
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeRouteTables {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    route_table_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeRouteTablesResponse {
    route_table_set: Vec<RouteTableDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RouteTableDescription {
    route_table_id: String,
    vpc_id: String,
    owner_id: String,
    route_set: Vec<RouteDescription>,
    association_set: Vec<AssociationDescription>,
    propagating_vgw_set: Vec<String>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RouteDescription {
    destination_cidr_block: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_gateway_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_peering_connection_id: Option<String>,
    origin: &'static str,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct State {
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AssociationDescription {
    route_table_association_id: String,
    route_table_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet_id: Option<String>,
    main: bool,
    association_state: State,
}

impl RouteTableDescription {
    fn new(rows: &Snapshot, context: &Context, table: &RouteTable) -> Self {
        let local = vpc::get(rows, context, table.vpc_id.as_str()).ok().map(|vpc| RouteDescription {
            destination_cidr_block: vpc.cidr_block.to_string(),
            gateway_id: Some("local".to_owned()),
            origin: "CreateRouteTable",
            state: "active",
            ..RouteDescription::default()
        });
        let show = |route: &Route| {
            let mut shown = RouteDescription {
                destination_cidr_block: route.destination.to_string(),
                origin: "CreateRoute",
                state: "active",
                ..RouteDescription::default()
            };
            match &route.target {
                Target::InternetGateway(id) => shown.gateway_id = Some(id.to_string()),
                Target::NatGateway(id) => shown.nat_gateway_id = Some(id.to_string()),
                Target::NetworkInterface(id) => shown.network_interface_id = Some(id.to_string()),
                Target::Peering(id) => shown.vpc_peering_connection_id = Some(id.to_string()),
                Target::Endpoint(id) => shown.gateway_id = Some(id.to_string()),
            }
            let resolved = route::resolve(rows, &table.account, &table.region, &table.vpc_id, &route.target);
            if resolved == desired::RouteTarget::Blackhole {
                shown.state = "blackhole";
            }
            shown
        };
        let association = |one: &Association| AssociationDescription {
            route_table_association_id: one.id.to_string(),
            route_table_id: table.id.to_string(),
            subnet_id: one.subnet_id.as_ref().map(ToString::to_string),
            main: one.subnet_id.is_none(),
            association_state: State { state: "associated" },
        };
        Self {
            route_table_id: table.id.to_string(),
            vpc_id: table.vpc_id.to_string(),
            owner_id: table.account.to_string(),
            route_set: local.into_iter().chain(table.routes.iter().map(show)).collect(),
            association_set: table.associations.iter().map(association).collect(),
            propagating_vgw_set: Vec::new(),
            tag_set: tag::of(rows, context, &table.id),
        }
    }

    fn of_routes(&self, value: impl Fn(&RouteDescription) -> Option<&str>) -> Vec<String> {
        self.route_set.iter().filter_map(|route| value(route).map(str::to_owned)).collect()
    }
}

impl Item for RouteTableDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("association.gateway-id", |_| Vec::new()),
        ("association.main", |table| table.association_set.iter().map(|one| one.main.to_string()).collect()),
        ("association.route-table-association-id", |table| {
            table.association_set.iter().map(|one| one.route_table_association_id.clone()).collect()
        }),
        ("association.route-table-id", |table| {
            table.association_set.iter().map(|one| one.route_table_id.clone()).collect()
        }),
        ("association.state", |table| {
            table.association_set.iter().map(|one| one.association_state.state.to_owned()).collect()
        }),
        ("association.subnet-id", |table| {
            table.association_set.iter().filter_map(|one| one.subnet_id.clone()).collect()
        }),
        ("owner-id", |table| vec![table.owner_id.clone()]),
        ("route-table-id", |table| vec![table.route_table_id.clone()]),
        ("route.destination-cidr-block", |table| {
            table.of_routes(|route| Some(&route.destination_cidr_block))
        }),
        ("route.destination-ipv6-cidr-block", |_| Vec::new()),
        ("route.destination-prefix-list-id", |_| Vec::new()),
        ("route.egress-only-internet-gateway-id", |_| Vec::new()),
        ("route.gateway-id", |table| table.of_routes(|route| route.gateway_id.as_deref())),
        ("route.instance-id", |_| Vec::new()),
        ("route.nat-gateway-id", |table| table.of_routes(|route| route.nat_gateway_id.as_deref())),
        ("route.network-interface-id", |table| {
            table.of_routes(|route| route.network_interface_id.as_deref())
        }),
        ("route.origin", |table| table.of_routes(|route| Some(route.origin))),
        ("route.state", |table| table.of_routes(|route| Some(route.state))),
        ("route.transit-gateway-id", |_| Vec::new()),
        ("route.vpc-peering-connection-id", |_| Vec::new()),
        ("vpc-id", |table| vec![table.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.route_table_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        RouteTable::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRouteTables,
) -> Result<DescribeRouteTablesResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.route_table_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<RouteTable>(&prefix).map(|table| RouteTableDescription::new(rows, context, &table)))?;
    answer(
        request.dry_run,
        DescribeRouteTablesResponse { route_table_set: page.items, next_token: page.next_token },
    )
}
