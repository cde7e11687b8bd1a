//! DescribeNatGateways.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::nat_gateway::{NatGateway, NatGatewayState};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNatGateways {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    nat_gateway_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNatGatewaysResponse {
    nat_gateway_set: Vec<NatGatewayDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NatGatewayDescription {
    nat_gateway_id: String,
    vpc_id: String,
    subnet_id: String,
    state: &'static str,
    connectivity_type: &'static str,
    create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_message: Option<String>,
    nat_gateway_address_set: Vec<AddressDescription>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AddressDescription {
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    association_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ip: Option<String>,
    is_primary: bool,
    status: &'static str,
}

impl NatGatewayDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, gateway: &NatGateway) -> Self {
        let (state, failure) = gateway.shown(&context.machine.reports(), context.now);
        let (failure_code, failure_message) = failure.unzip();
        let elastic = gateway.elastic.as_ref();
        Self {
            nat_gateway_id: gateway.id.to_string(),
            vpc_id: gateway.vpc_id.to_string(),
            subnet_id: gateway.subnet_id.to_string(),
            state,
            connectivity_type: if gateway.public { "public" } else { "private" },
            create_time: gateway.created_at.iso(),
            delete_time: match &gateway.state {
                NatGatewayState::Deleted { at, .. } => Some(at.iso()),
                _ => None,
            },
            failure_code,
            failure_message,
            nat_gateway_address_set: vec![AddressDescription {
                allocation_id: elastic.map(|elastic| elastic.allocation_id.to_string()),
                association_id: elastic
                    .and_then(|elastic| elastic.association_id.as_ref())
                    .map(ToString::to_string),
                network_interface_id: gateway.interface_id.as_ref().map(ToString::to_string),
                private_ip: gateway.private_address.map(|address| address.to_string()),
                public_ip: elastic.map(|elastic| elastic.public_address.to_string()),
                is_primary: true,
                status: if gateway.interface_id.is_some() { "succeeded" } else { "failed" },
            }],
            tag_set: tag::of(rows, context, &gateway.id),
        }
    }
}

impl Item for NatGatewayDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("nat-gateway-id", |gateway| vec![gateway.nat_gateway_id.clone()]),
        ("state", |gateway| vec![gateway.state.to_owned()]),
        ("subnet-id", |gateway| vec![gateway.subnet_id.clone()]),
        ("vpc-id", |gateway| vec![gateway.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.nat_gateway_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        NatGateway::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNatGateways,
) -> Result<DescribeNatGatewaysResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows
        .scan::<NatGateway>(&prefix)
        .filter(|gateway| !gateway.is_forgotten(context.now))
        .map(|gateway| NatGatewayDescription::new(rows, context, &gateway));
    let page = Ask {
        ids: &request.nat_gateway_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeNatGatewaysResponse { nat_gateway_set: page.items, next_token: page.next_token },
    )
}
