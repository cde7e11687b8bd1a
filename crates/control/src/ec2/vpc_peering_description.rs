//! VPC peering connections as they are shown, and their options.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::{ApiError, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag};
use crate::ec2::vpc_peering::{PeeringState, Side, VpcPeeringConnection, get, seen};
use crate::ec2::{Resource, answer};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VpcPeeringConnectionDescription {
    accepter_vpc_info: VpcInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
    requester_vpc_info: VpcInfo,
    status: Status,
    tag_set: Vec<Tag>,
    vpc_peering_connection_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VpcInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_block: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cidr_block_set: Vec<CidrBlock>,
    owner_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peering_options: Option<Options>,
    vpc_id: String,
    region: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CidrBlock {
    cidr_block: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    allow_dns_resolution_from_remote_vpc: bool,
    allow_egress_from_local_classic_link_to_remote_vpc: bool,
    allow_egress_from_local_vpc_to_remote_classic_link: bool,
}

impl Options {
    fn of(side: &Side) -> Self {
        Self {
            allow_dns_resolution_from_remote_vpc: side.allow_dns_resolution_from_remote_vpc,
            allow_egress_from_local_classic_link_to_remote_vpc: false,
            allow_egress_from_local_vpc_to_remote_classic_link: false,
        }
    }
}

#[derive(Debug, Serialize)]
struct Status {
    code: &'static str,
    message: String,
}

impl VpcPeeringConnectionDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, peering: &VpcPeeringConnection) -> Self {
        let code = peering.code(context.now);
        let account = &peering.account;
        let message = match code {
            "expired" => "Expired".to_owned(),
            "pending-acceptance" => format!("Pending Acceptance by {account}"),
            "active" => "Active".to_owned(),
            "rejected" => format!("Rejected by {account}"),
            "failed" => "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned(),
            _ => format!("Deleted by {account}"),
        };
        // The accepter's ranges are told once it has accepted; what is over says nothing of either.
        let requester = matches!(code, "active" | "pending-acceptance" | "failed");
        Self {
            accepter_vpc_info: VpcInfo::new(rows, peering, &peering.accepter, code == "active"),
            expiration_time: (peering.state == PeeringState::PendingAcceptance)
                .then(|| peering.expires_at().iso()),
            requester_vpc_info: VpcInfo::new(rows, peering, &peering.requester, requester),
            status: Status { code, message },
            tag_set: tag::of(rows, context, &peering.id),
            vpc_peering_connection_id: peering.id.to_string(),
        }
    }

    /// As the call that asks for it shows it, whatever becomes of it.
    pub(super) fn initiating(rows: &Snapshot, context: &Context, peering: &VpcPeeringConnection) -> Self {
        let message = format!("Initiating Request to {}", peering.account);
        Self {
            expiration_time: Some(peering.expires_at().iso()),
            status: Status { code: "initiating-request", message },
            ..Self::new(rows, context, peering)
        }
    }

    /// As the call that accepts it shows it.
    pub(super) fn provisioning(rows: &Snapshot, context: &Context, peering: &VpcPeeringConnection) -> Self {
        Self {
            status: Status { code: "provisioning", message: "Provisioning".to_owned() },
            ..Self::new(rows, context, peering)
        }
    }
}

impl VpcInfo {
    fn new(rows: &Snapshot, peering: &VpcPeeringConnection, side: &Side, told: bool) -> Self {
        let ranges = peering.vpc(rows, side).filter(|_| told).map_or_else(Vec::new, |vpc| vpc.cidr_blocks());
        Self {
            cidr_block: ranges.first().map(ToString::to_string),
            cidr_block_set: ranges.iter().map(|range| CidrBlock { cidr_block: range.to_string() }).collect(),
            owner_id: peering.account.to_string(),
            peering_options: told.then(|| Options::of(side)),
            vpc_id: side.vpc_id.to_string(),
            region: side.region.to_string(),
        }
    }
}

impl Item for VpcPeeringConnectionDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("accepter-vpc-info.cidr-block", |one| one.accepter_vpc_info.cidr_block.iter().cloned().collect()),
        ("accepter-vpc-info.owner-id", |one| vec![one.accepter_vpc_info.owner_id.clone()]),
        ("accepter-vpc-info.vpc-id", |one| vec![one.accepter_vpc_info.vpc_id.clone()]),
        ("expiration-time", |one| one.expiration_time.iter().cloned().collect()),
        ("requester-vpc-info.cidr-block", |one| one.requester_vpc_info.cidr_block.iter().cloned().collect()),
        ("requester-vpc-info.owner-id", |one| vec![one.requester_vpc_info.owner_id.clone()]),
        ("requester-vpc-info.vpc-id", |one| vec![one.requester_vpc_info.vpc_id.clone()]),
        ("status-code", |one| vec![one.status.code.to_owned()]),
        ("status-message", |one| vec![one.status.message.clone()]),
        ("vpc-peering-connection-id", |one| vec![one.vpc_peering_connection_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.vpc_peering_connection_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        VpcPeeringConnection::not_found(id)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcPeeringConnections {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    vpc_peering_connection_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcPeeringConnectionsResponse {
    vpc_peering_connection_set: Vec<VpcPeeringConnectionDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcPeeringConnections,
) -> Result<DescribeVpcPeeringConnectionsResponse, ApiError> {
    let all = seen(rows, context);
    let page = Ask {
        ids: &request.vpc_peering_connection_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(all.iter().map(|peering| VpcPeeringConnectionDescription::new(rows, context, peering)))?;
    answer(
        request.dry_run,
        DescribeVpcPeeringConnectionsResponse {
            vpc_peering_connection_set: page.items,
            next_token: page.next_token,
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyVpcPeeringConnectionOptions {
    vpc_peering_connection_id: String,
    accepter_peering_connection_options: Option<OptionsRequest>,
    requester_peering_connection_options: Option<OptionsRequest>,
    dry_run: Option<bool>,
}

/// ClassicLink is no more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OptionsRequest {
    allow_dns_resolution_from_remote_vpc: Option<bool>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    allow_egress_from_local_classic_link_to_remote_vpc: OnlyDefault<False>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    allow_egress_from_local_vpc_to_remote_classic_link: OnlyDefault<False>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModifyVpcPeeringConnectionOptionsResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    accepter_peering_connection_options: Option<Options>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requester_peering_connection_options: Option<Options>,
}

pub(super) fn modify_options(
    rows: &mut Tx,
    context: &Context,
    request: ModifyVpcPeeringConnectionOptions,
) -> Result<ModifyVpcPeeringConnectionOptionsResponse, ApiError> {
    let mut peering = (*get(rows, context, &request.vpc_peering_connection_id)?).clone();
    if !peering.is_active() {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "Peering {} is not active. Peering options can be added only to active peerings.",
                peering.id
            ),
        ));
    }
    let (accepter, requester) =
        (request.accepter_peering_connection_options, request.requester_peering_connection_options);
    if accepter.is_none() && requester.is_none() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain accepterPeeringConnectionOptions or requesterPeeringConnectionOptions",
        ));
    }
    // Each side's options are changed in its own region.
    let set = |side: &mut Side, options: Option<OptionsRequest>, who: &str| match options {
        None => Ok(None),
        Some(_) if side.region != context.region => Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "The {who} peering options of {} can be modified only in region {}.",
                request.vpc_peering_connection_id, side.region
            ),
        )),
        Some(options) => {
            if let Some(allow) = options.allow_dns_resolution_from_remote_vpc {
                side.allow_dns_resolution_from_remote_vpc = allow;
            }
            Ok(Some(Options::of(side)))
        }
    };
    let response = ModifyVpcPeeringConnectionOptionsResponse {
        accepter_peering_connection_options: set(&mut peering.accepter, accepter, "accepter")?,
        requester_peering_connection_options: set(&mut peering.requester, requester, "requester")?,
    };
    rows.put(peering);
    answer(request.dry_run, response)
}
