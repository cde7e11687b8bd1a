//! Internet gateways.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, InternetGatewayId, PartId, Region, VpcId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::{Nothing, Resource, answer, has_dependencies, vpc};

/// An internet gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InternetGateway {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: InternetGatewayId,
    /// The VPC that it is attached to.
    pub vpc_id: Option<VpcId>,
}

super::row!(InternetGateway, "ec2_internet_gateway", |gateway| gateway
    .vpc_id
    .iter()
    .cloned()
    .map(PartId::Vpc)
    .collect());

impl Resource for InternetGateway {
    const TYPE: &'static str = "internet-gateway";
    const PREFIX: &'static str = InternetGatewayId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidInternetGatewayID.NotFound",
            format!("The internetGateway ID '{id}' does not exist"),
        )
    }
}

/// The most internet gateways of a region. Source: "Amazon VPC quotas".
const MOST: usize = 5;

/// The internet gateway that is attached to a VPC.
pub fn attached(rows: &Snapshot, context: &Context, vpc_id: &VpcId) -> Option<Arc<InternetGateway>> {
    rows.scan::<InternetGateway>(&context.prefix()).find(|gateway| gateway.vpc_id.as_ref() == Some(vpc_id))
}

/// Whether a VPC has an internet gateway.
pub fn is_attached(rows: &Snapshot, context: &Context, vpc_id: &str) -> bool {
    attached(rows, context, &VpcId::from(vpc_id)).is_some()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateInternetGateway {
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateInternetGatewayResponse {
    internet_gateway: InternetGatewayDescription,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateInternetGateway,
) -> Result<CreateInternetGatewayResponse, ApiError> {
    if rows.scan::<InternetGateway>(&context.prefix()).count() >= MOST {
        return Err(ApiError::new(
            "InternetGatewayLimitExceeded",
            "The maximum number of internet gateways has been reached.",
        ));
    }
    let gateway = rows.put(InternetGateway {
        account: context.account.clone(),
        region: context.region.clone(),
        id: InternetGatewayId::mint(),
        vpc_id: None,
    });
    tag::specify::<InternetGateway>(rows, context, &gateway.id, &request.tag_specification)?;
    let internet_gateway = InternetGatewayDescription::new(rows, context, &gateway);
    answer(request.dry_run, CreateInternetGatewayResponse { internet_gateway })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attachment {
    internet_gateway_id: String,
    vpc_id: String,
    dry_run: Option<bool>,
}

pub(super) fn attach(rows: &mut Tx, context: &Context, request: Attachment) -> Result<Nothing, ApiError> {
    let gateway = super::get::<InternetGateway>(rows, context, &request.internet_gateway_id)?;
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    if let Some(other) = &gateway.vpc_id {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {} is already attached to network {other}", gateway.id),
        ));
    }
    if attached(rows, context, &vpc.id).is_some() {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Network {} already has an internet gateway attached", vpc.id),
        ));
    }
    rows.put(InternetGateway { vpc_id: Some(vpc.id.clone()), ..(*gateway).clone() });
    answer(request.dry_run, Nothing {})
}

pub(super) fn detach(rows: &mut Tx, context: &Context, request: Attachment) -> Result<Nothing, ApiError> {
    let gateway = super::get::<InternetGateway>(rows, context, &request.internet_gateway_id)?;
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    if gateway.vpc_id.as_ref() != Some(&vpc.id) {
        return Err(ApiError::new(
            "Gateway.NotAttached",
            format!("resource {} is not attached to network {}", gateway.id, vpc.id),
        ));
    }
    let mapped = rows
        .scan::<NetworkInterface>(&context.prefix())
        .any(|interface| interface.vpc_id == vpc.id && interface.public_address.is_some());
    if mapped {
        return Err(ApiError::new(
            "DependencyViolation",
            format!(
                "Network {} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
                vpc.id
            ),
        ));
    }
    rows.put(InternetGateway { vpc_id: None, ..(*gateway).clone() });
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteInternetGateway {
    internet_gateway_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteInternetGateway,
) -> Result<Nothing, ApiError> {
    let gateway = super::get::<InternetGateway>(rows, context, &request.internet_gateway_id)?;
    if gateway.vpc_id.is_some() {
        return Err(has_dependencies("internetGateway", &gateway.id));
    }
    tag::forget(rows, context, &gateway.id);
    rows.delete::<InternetGateway>(&context.key(&gateway.id));
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeInternetGateways {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    internet_gateway_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeInternetGatewaysResponse {
    internet_gateway_set: Vec<InternetGatewayDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InternetGatewayDescription {
    internet_gateway_id: String,
    owner_id: String,
    attachment_set: Vec<AttachmentDescription>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentDescription {
    state: &'static str,
    vpc_id: String,
}

impl InternetGatewayDescription {
    fn new(rows: &Snapshot, context: &Context, gateway: &InternetGateway) -> Self {
        // EC2 says "available" here where its model's enumeration has "attached".
        let attachment =
            |vpc_id: &VpcId| AttachmentDescription { state: "available", vpc_id: vpc_id.to_string() };
        Self {
            internet_gateway_id: gateway.id.to_string(),
            owner_id: gateway.account.to_string(),
            attachment_set: gateway.vpc_id.iter().map(attachment).collect(),
            tag_set: tag::of(rows, context, &gateway.id),
        }
    }
}

impl Item for InternetGatewayDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("attachment.state", |gateway| {
            gateway.attachment_set.iter().map(|one| one.state.to_owned()).collect()
        }),
        ("attachment.vpc-id", |gateway| {
            gateway.attachment_set.iter().map(|one| one.vpc_id.clone()).collect()
        }),
        ("internet-gateway-id", |gateway| vec![gateway.internet_gateway_id.clone()]),
        ("owner-id", |gateway| vec![gateway.owner_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.internet_gateway_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        InternetGateway::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeInternetGateways,
) -> Result<DescribeInternetGatewaysResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.internet_gateway_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(
        rows.scan::<InternetGateway>(&prefix)
            .map(|gateway| InternetGatewayDescription::new(rows, context, &gateway)),
    )?;
    answer(
        request.dry_run,
        DescribeInternetGatewaysResponse { internet_gateway_set: page.items, next_token: page.next_token },
    )
}
