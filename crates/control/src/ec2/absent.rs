//! Listings of what no account here can have: they are asked for all the same, and are empty.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::answer;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::Tag;

/// An egress-only internet gateway. There can be none: no VPC has IPv6.
#[derive(Debug, Serialize)]
enum EgressOnlyInternetGateway {}

impl Item for EgressOnlyInternetGateway {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[];
    const PAGE_SIZES: RangeInclusive<i32> = 5..=255;

    fn id(&self) -> &str {
        match *self {}
    }

    fn tags(&self) -> &[Tag] {
        match *self {}
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidGatewayID.NotFound",
            format!("The egress only internet gateway ID '{id}' does not exist"),
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeEgressOnlyInternetGateways {
    #[serde(default)]
    egress_only_internet_gateway_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeEgressOnlyInternetGatewaysResponse {
    egress_only_internet_gateway_set: Vec<EgressOnlyInternetGateway>,
}

pub(super) fn describe_egress_only_internet_gateways(
    _: &Snapshot,
    _: &Context,
    request: DescribeEgressOnlyInternetGateways,
) -> Result<DescribeEgressOnlyInternetGatewaysResponse, ApiError> {
    let page = Ask {
        ids: &request.egress_only_internet_gateway_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(std::iter::empty())?;
    answer(
        request.dry_run,
        DescribeEgressOnlyInternetGatewaysResponse { egress_only_internet_gateway_set: page.items },
    )
}

/// A virtual private gateway. There can be none: no VPN leads here.
#[derive(Debug, Serialize)]
enum VpnGateway {}

impl Item for VpnGateway {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("amazon-side-asn", |gateway| match *gateway {}),
        ("attachment.state", |gateway| match *gateway {}),
        ("attachment.vpc-id", |gateway| match *gateway {}),
        ("availability-zone", |gateway| match *gateway {}),
        ("state", |gateway| match *gateway {}),
        ("type", |gateway| match *gateway {}),
        ("vpn-gateway-id", |gateway| match *gateway {}),
    ];

    fn id(&self) -> &str {
        match *self {}
    }

    fn tags(&self) -> &[Tag] {
        match *self {}
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidVpnGatewayID.NotFound", format!("The vpnGateway ID '{id}' does not exist"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpnGateways {
    #[serde(default)]
    vpn_gateway_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpnGatewaysResponse {
    vpn_gateway_set: Vec<VpnGateway>,
}

pub(super) fn describe_vpn_gateways(
    _: &Snapshot,
    _: &Context,
    request: DescribeVpnGateways,
) -> Result<DescribeVpnGatewaysResponse, ApiError> {
    let page = Ask { ids: &request.vpn_gateway_id, filters: &request.filter, ..Ask::default() }
        .page(std::iter::empty())?;
    answer(request.dry_run, DescribeVpnGatewaysResponse { vpn_gateway_set: page.items })
}

/// Why some actions are refused that a stack may well ask for.
pub(crate) const REASONS: &[(&str, &str)] = &[
    ("CreateEgressOnlyInternetGateway", "No VPC has IPv6."),
    ("AssociateSubnetCidrBlock", "No VPC has IPv6."),
    ("CreateVpnGateway", "No VPN leads to a VPC here."),
    ("AttachVpnGateway", "No VPN leads to a VPC here."),
    ("CreateCustomerGateway", "No VPN leads to a VPC here."),
];
