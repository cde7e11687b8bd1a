//! VPCs as they are listed and shown.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag};
use crate::ec2::vpc::Vpc;
use crate::ec2::vpc_cidr_block::CidrBlockAssociation;
use crate::ec2::{Resource, answer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcs {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    vpc_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcsResponse {
    vpc_set: Vec<VpcDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VpcDescription {
    vpc_id: String,
    owner_id: String,
    state: &'static str,
    cidr_block: String,
    cidr_block_association_set: Vec<CidrBlockAssociation>,
    dhcp_options_id: String,
    instance_tenancy: &'static str,
    is_default: bool,
    tag_set: Vec<Tag>,
}

impl VpcDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, vpc: &Vpc) -> Self {
        Self {
            vpc_id: vpc.id.to_string(),
            owner_id: vpc.account.to_string(),
            state: "available",
            cidr_block: vpc.cidr_block.to_string(),
            cidr_block_association_set: CidrBlockAssociation::of(vpc),
            dhcp_options_id: vpc.dhcp_options_id.to_string(),
            instance_tenancy: "default",
            is_default: vpc.is_default,
            tag_set: tag::of(rows, context, &vpc.id),
        }
    }
}

impl Item for VpcDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("cidr", |vpc| vec![vpc.cidr_block.clone()]),
        ("cidr-block", |vpc| vec![vpc.cidr_block.clone()]),
        ("cidr-block-association.association-id", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.association_id().to_owned()).collect()
        }),
        ("cidr-block-association.cidr-block", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.cidr_block().to_owned()).collect()
        }),
        ("cidr-block-association.state", |vpc| {
            vpc.cidr_block_association_set.iter().map(|one| one.state().to_owned()).collect()
        }),
        ("dhcp-options-id", |vpc| vec![vpc.dhcp_options_id.clone()]),
        ("ipv6-cidr-block-association.association-id", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-pool", |_| Vec::new()),
        ("ipv6-cidr-block-association.state", |_| Vec::new()),
        ("is-default", |vpc| vec![vpc.is_default.to_string()]),
        ("isDefault", |vpc| vec![vpc.is_default.to_string()]),
        ("owner-id", |vpc| vec![vpc.owner_id.clone()]),
        ("state", |vpc| vec![vpc.state.to_owned()]),
        ("vpc-id", |vpc| vec![vpc.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.vpc_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        Vpc::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcs,
) -> Result<DescribeVpcsResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.vpc_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<Vpc>(&prefix).map(|vpc| VpcDescription::new(rows, context, &vpc)))?;
    answer(request.dry_run, DescribeVpcsResponse { vpc_set: page.items, next_token: page.next_token })
}
