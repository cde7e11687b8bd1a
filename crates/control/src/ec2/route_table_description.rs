//! Route tables as they are shown: the local routes first.

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::route_table::{Association, Destination, Route, RouteTable, Target};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer, route_target, vpc, vpc_endpoint};

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
pub(super) struct RouteTableDescription {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_cidr_block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_prefix_list_id: Option<String>,
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
    pub(super) fn new(rows: &Snapshot, context: &Context, table: &RouteTable) -> Self {
        let ranges = vpc::get(rows, context, table.vpc_id.as_str())
            .map_or_else(|_| Vec::new(), |vpc| vpc.cidr_blocks());
        let is_local =
            |route: &Route| matches!(&route.destination, Destination::Cidr(range) if ranges.contains(range));
        let show = |route: &Route| {
            let mut shown = RouteDescription {
                origin: if is_local(route) { "CreateRouteTable" } else { "CreateRoute" },
                state: "active",
                ..RouteDescription::default()
            };
            match &route.destination {
                Destination::Cidr(range) => shown.destination_cidr_block = Some(range.to_string()),
                Destination::PrefixList(id) => shown.destination_prefix_list_id = Some(id.to_string()),
            }
            match &route.target {
                Target::InternetGateway(id) => shown.gateway_id = Some(id.to_string()),
                Target::NatGateway(id) => shown.nat_gateway_id = Some(id.to_string()),
                Target::NetworkInterface(id) => shown.network_interface_id = Some(id.to_string()),
                Target::Peering(id) => shown.vpc_peering_connection_id = Some(id.to_string()),
            }
            let resolved =
                route_target::resolve(rows, &table.account, &table.region, &table.vpc_id, &route.target);
            if resolved == desired::RouteTarget::Blackhole {
                shown.state = "blackhole";
            }
            shown
        };
        // A local route leads elsewhere when it was given another target.
        let local = |range: &Ipv4Net| {
            let replaced = table.routes.iter().find(|route| route.destination == Destination::Cidr(*range));
            replaced.map_or_else(
                || RouteDescription {
                    destination_cidr_block: Some(range.to_string()),
                    gateway_id: Some("local".to_owned()),
                    origin: "CreateRouteTable",
                    state: "active",
                    ..RouteDescription::default()
                },
                show,
            )
        };
        // The routes of gateway endpoints are the endpoints' own.
        let of_endpoints =
            vpc_endpoint::of_route_table(rows, table).into_iter().map(|(endpoint, list)| RouteDescription {
                destination_prefix_list_id: Some(list.to_string()),
                gateway_id: Some(endpoint.id.to_string()),
                origin: "CreateRoute",
                state: "active",
                ..RouteDescription::default()
            });
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
            route_set: ranges
                .iter()
                .map(local)
                .chain(table.routes.iter().filter(|route| !is_local(route)).map(show))
                .chain(of_endpoints)
                .collect(),
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
            table.of_routes(|route| route.destination_cidr_block.as_deref())
        }),
        ("route.destination-ipv6-cidr-block", |_| Vec::new()),
        ("route.destination-prefix-list-id", |table| {
            table.of_routes(|route| route.destination_prefix_list_id.as_deref())
        }),
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
        ("route.vpc-peering-connection-id", |table| {
            table.of_routes(|route| route.vpc_peering_connection_id.as_deref())
        }),
        ("vpc-id", |table| vec![table.vpc_id.clone()]),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 5..=100;

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
