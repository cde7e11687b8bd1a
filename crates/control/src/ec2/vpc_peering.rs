//! VPC peering connections: a request of one VPC, accepted by another. Both are of one account, in any two regions.
//!
//! The row is the requester's: it is kept under the requester's region and seen in both. What time does to a request
//! that nobody answers is worked out when it is looked at.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, PartId, Region, Timestamp, VpcId, VpcPeeringConnectionId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::tag::{self, TagSet, TagSpecification};
use crate::ec2::vpc::{self, Vpc, overlap};
use crate::ec2::vpc_peering_description::VpcPeeringConnectionDescription;
use crate::ec2::{DONE, Done, Resource, answer, invalid};

/// A VPC peering connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcPeeringConnection {
    /// The account of both VPCs.
    pub account: AccountId,
    /// The requester's region.
    pub region: Region,
    /// Its id.
    pub id: VpcPeeringConnectionId,
    /// The VPC that asked for it.
    pub requester: Side,
    /// The VPC that was asked.
    pub accepter: Side,
    /// How far it is.
    pub state: PeeringState,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// One end of a peering connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The VPC's region.
    pub region: Region,
    /// The VPC.
    pub vpc_id: VpcId,
    /// Whether the other end resolves the public names of this VPC's interfaces to their private addresses.
    pub allow_dns_resolution_from_remote_vpc: bool,
}

/// How far a peering connection is, as far as rows know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeeringState {
    /// It waits for its accepter, but no longer than seven days.
    PendingAcceptance,
    /// Packets may pass.
    Active,
    /// The accepter does not want it.
    Rejected(Timestamp),
    /// It cannot be: the VPCs' ranges overlap, or there is no such VPC.
    Failed(Timestamp),
    /// It is over.
    Deleted(Timestamp),
}

super::row!(VpcPeeringConnection, "ec2_vpc_peering_connection", |peering| vec![
    PartId::Vpc(peering.requester.vpc_id.clone()),
    PartId::Vpc(peering.accepter.vpc_id.clone()),
    PartId::Names,
]);

impl Resource for VpcPeeringConnection {
    const TYPE: &'static str = "vpc-peering-connection";
    const PREFIX: &'static str = VpcPeeringConnectionId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidVpcPeeringConnectionID.NotFound",
            format!("The vpcPeeringConnection ID '{id}' does not exist"),
        )
    }
}

// Source of these: "VPC peering connection lifecycle" in the VPC peering guide, for VPCs of one account.
/// How long a request waits.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an expired one is shown.
const SHOWN_AFTER_EXPIRY: Duration = Duration::from_secs(2 * 24 * 3600);
/// How long one that failed, or was rejected or deleted, is shown.
const SHOWN_AFTER_END: Duration = Duration::from_secs(2 * 3600);

impl VpcPeeringConnection {
    /// When its request expires.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.created_at.plus(PATIENCE)
    }

    /// Whether packets may pass.
    pub fn is_active(&self) -> bool {
        self.state == PeeringState::Active
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.state == PeeringState::PendingAcceptance && now >= self.expires_at()
    }

    /// AWS's code of its state.
    pub(super) fn code(&self, now: Timestamp) -> &'static str {
        match self.state {
            PeeringState::PendingAcceptance if self.is_expired(now) => "expired",
            PeeringState::PendingAcceptance => "pending-acceptance",
            PeeringState::Active => "active",
            PeeringState::Rejected(_) => "rejected",
            PeeringState::Failed(_) => "failed",
            PeeringState::Deleted(_) => "deleted",
        }
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        match self.state {
            PeeringState::Active => false,
            PeeringState::PendingAcceptance => now > self.expires_at().plus(SHOWN_AFTER_EXPIRY),
            PeeringState::Rejected(at) | PeeringState::Failed(at) | PeeringState::Deleted(at) => {
                now > at.plus(SHOWN_AFTER_END)
            }
        }
    }

    /// Its two ends.
    pub fn sides(&self) -> [&Side; 2] {
        [&self.requester, &self.accepter]
    }

    /// The end that is this VPC.
    pub fn side(&self, vpc_id: &VpcId) -> Option<&Side> {
        self.sides().into_iter().find(|side| side.vpc_id == *vpc_id)
    }

    /// The end that is not this VPC. None when this VPC is neither.
    pub fn peer(&self, vpc_id: &VpcId) -> Option<&Side> {
        let [requester, accepter] = self.sides();
        match (requester.vpc_id == *vpc_id, accepter.vpc_id == *vpc_id) {
            (true, _) => Some(accepter),
            (_, true) => Some(requester),
            _ => None,
        }
    }

    /// The row of the VPC at an end.
    pub fn vpc(&self, rows: &Snapshot, side: &Side) -> Option<Arc<Vpc>> {
        rows.get::<Vpc>(&format!("{}/{}/{}", self.account, side.region, side.vpc_id))
    }
}

/// All connections of an account that a VPC is an end of, over and done or not, by id.
pub fn of_vpc(rows: &Snapshot, account: &AccountId, vpc_id: &VpcId) -> Vec<Arc<VpcPeeringConnection>> {
    let mut all: Vec<_> = rows
        .scan::<VpcPeeringConnection>(&format!("{account}/"))
        .filter(|peering| peering.side(vpc_id).is_some())
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// The active connection between two VPCs.
pub fn between(
    rows: &Snapshot,
    account: &AccountId,
    a: &VpcId,
    b: &VpcId,
) -> Option<Arc<VpcPeeringConnection>> {
    of_vpc(rows, account, a)
        .into_iter()
        .find(|peering| peering.is_active() && peering.peer(a).is_some_and(|side| side.vpc_id == *b))
}

/// All that the caller sees in its region, by id.
pub(super) fn seen(rows: &Snapshot, context: &Context) -> Vec<Arc<VpcPeeringConnection>> {
    let here = |peering: &VpcPeeringConnection| {
        peering.sides().into_iter().any(|side| side.region == context.region)
            && !peering.is_forgotten(context.now)
    };
    let mut all: Vec<_> = rows
        .scan::<VpcPeeringConnection>(&format!("{}/", context.account))
        .filter(|peering| here(peering))
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// The connection of this id, seen from the caller's region.
///
/// # Errors
/// InvalidVpcPeeringConnectionID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<VpcPeeringConnection>, ApiError> {
    seen(rows, context)
        .into_iter()
        .find(|peering| peering.id.as_str() == id)
        .ok_or_else(|| VpcPeeringConnection::not_found(id))
}

/// Whether a row key of the caller's region (account, region, id) names a connection that is seen there. For tags:
/// each region has its own.
pub(super) fn is_at(rows: &Snapshot, key: &str) -> bool {
    let mut parts = key.split('/');
    let (Some(account), Some(region), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    rows.scan::<VpcPeeringConnection>(&format!("{account}/")).any(|peering| {
        peering.id.as_str() == id && peering.sides().into_iter().any(|side| side.region.as_str() == region)
    })
}

/// The most active connections of a VPC, and the most requests that wait. Source: "Amazon VPC quotas".
const MOST_ACTIVE: usize = 50;
const MOST_WAITING: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateVpcPeeringConnection {
    vpc_id: String,
    peer_vpc_id: Option<String>,
    peer_owner_id: Option<String>,
    peer_region: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VpcPeeringConnectionResponse {
    vpc_peering_connection: VpcPeeringConnectionDescription,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateVpcPeeringConnection,
) -> Result<VpcPeeringConnectionResponse, ApiError> {
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let Some(peer_vpc_id) = request.peer_vpc_id.filter(|id| !id.is_empty()) else {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter peerVpcId"));
    };
    let other = request.peer_owner_id.filter(|owner| !owner.is_empty() && *owner != context.account.as_str());
    if let Some(owner) = other {
        let what = format_args!("peering connections with another account's VPC (PeerOwnerId {owner})");
        return Err(ApiError::unsupported(what));
    }
    let region = match request.peer_region.filter(|region| !region.is_empty()) {
        None => context.region.clone(),
        Some(name) => {
            Region::new(&name).map_err(|_| invalid(&name, "peerRegion", "There is no such region."))?
        }
    };
    let side = |region: &Region, vpc_id: VpcId| Side {
        region: region.clone(),
        vpc_id,
        allow_dns_resolution_from_remote_vpc: false,
    };
    let mut peering = VpcPeeringConnection {
        account: context.account.clone(),
        region: context.region.clone(),
        id: VpcPeeringConnectionId::mint(),
        requester: side(&context.region, vpc.id.clone()),
        accepter: side(&region, VpcId::from(peer_vpc_id)),
        state: PeeringState::PendingAcceptance,
        created_at: context.now,
    };
    let open: Vec<_> = of_vpc(rows, &context.account, &vpc.id)
        .into_iter()
        .filter(|one| matches!(one.code(context.now), "active" | "pending-acceptance"))
        .collect();
    // With another region named the VPC is another, which there is not.
    let same = |side: &Side| side.vpc_id == peering.accepter.vpc_id && side.region == peering.accepter.region;
    if open.iter().any(|one| one.peer(&vpc.id).is_some_and(same)) {
        return Err(ApiError::new(
            "VpcPeeringConnectionAlreadyExists",
            format!(
                "A VPC peering connection between {} and {} already exists.",
                vpc.id, peering.accepter.vpc_id
            ),
        ));
    }
    if open.iter().filter(|one| !one.is_active() && one.requester.vpc_id == vpc.id).count() >= MOST_WAITING {
        return Err(ApiError::new(
            "OutstandingVpcPeeringConnectionLimitExceeded",
            "You've reached the limit on the number of VPC peering connection requests that you've created for the specified VPC.",
        ));
    }
    if !can_be(&vpc, peering.vpc(rows, &peering.accepter).as_deref()) {
        peering.state = PeeringState::Failed(context.now);
    }
    let peering = rows.put(peering);
    tag::specify::<VpcPeeringConnection>(rows, context, &peering.id, &request.tag_specification)?;
    let description = VpcPeeringConnectionDescription::initiating(rows, context, &peering);
    answer(request.dry_run, VpcPeeringConnectionResponse { vpc_peering_connection: description })
}

/// Whether two VPCs may be peered: both are there, and no range of one overlaps one of the other.
fn can_be(vpc: &Vpc, peer: Option<&Vpc>) -> bool {
    peer.is_some_and(|peer| {
        let others = peer.cidr_blocks();
        !vpc.cidr_blocks().into_iter().any(|own| others.iter().any(|other| overlap(own, *other)))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneVpcPeeringConnection {
    vpc_peering_connection_id: String,
    dry_run: Option<bool>,
}

fn wrong_state(peering: &VpcPeeringConnection, now: Timestamp, wanted: &str) -> ApiError {
    ApiError::new(
        "InvalidStateTransition",
        format!(
            "Invalid state transition for {}, attempted to transition from {} to {wanted}",
            peering.id,
            peering.code(now)
        ),
    )
}

/// Accepting and rejecting is the accepter's, in its region.
fn check_accepter(context: &Context, peering: &VpcPeeringConnection, verb: &str) -> Result<(), ApiError> {
    if peering.accepter.region == context.region {
        return Ok(());
    }
    Err(ApiError::new(
        "OperationNotPermitted",
        format!(
            "User {} cannot {verb} peering {} in region {}. It is the accepter's, in region {}.",
            context.account, peering.id, context.region, peering.accepter.region
        ),
    ))
}

pub(super) fn accept(
    rows: &mut Tx,
    context: &Context,
    request: OneVpcPeeringConnection,
) -> Result<VpcPeeringConnectionResponse, ApiError> {
    let peering = get(rows, context, &request.vpc_peering_connection_id)?;
    check_accepter(context, &peering, "accept")?;
    if peering.code(context.now) != "pending-acceptance" {
        return Err(wrong_state(&peering, context.now, "provisioning"));
    }
    for side in peering.sides() {
        let active =
            of_vpc(rows, &context.account, &side.vpc_id).iter().filter(|one| one.is_active()).count();
        if active >= MOST_ACTIVE {
            return Err(ApiError::new(
                "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
                "You've reached the limit on the number of active VPC peering connections you can have for the specified VPC.",
            ));
        }
    }
    // A range that was added since the request may be in the way.
    let (requester, accepter) = (peering.vpc(rows, &peering.requester), peering.vpc(rows, &peering.accepter));
    let state = match requester {
        Some(requester) if can_be(&requester, accepter.as_deref()) => PeeringState::Active,
        _ => PeeringState::Failed(context.now),
    };
    let peering = rows.put(VpcPeeringConnection { state, ..(*peering).clone() });
    let description = VpcPeeringConnectionDescription::provisioning(rows, context, &peering);
    answer(request.dry_run, VpcPeeringConnectionResponse { vpc_peering_connection: description })
}

pub(super) fn reject(
    rows: &mut Tx,
    context: &Context,
    request: OneVpcPeeringConnection,
) -> Result<Done, ApiError> {
    let peering = get(rows, context, &request.vpc_peering_connection_id)?;
    check_accepter(context, &peering, "reject")?;
    if peering.code(context.now) != "pending-acceptance" {
        return Err(wrong_state(&peering, context.now, "rejected"));
    }
    rows.put(VpcPeeringConnection { state: PeeringState::Rejected(context.now), ..(*peering).clone() });
    answer(request.dry_run, DONE)
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: OneVpcPeeringConnection,
) -> Result<Done, ApiError> {
    let peering = get(rows, context, &request.vpc_peering_connection_id)?;
    if !matches!(peering.code(context.now), "active" | "pending-acceptance") {
        return Err(wrong_state(&peering, context.now, "deleting"));
    }
    rows.put(VpcPeeringConnection { state: PeeringState::Deleted(context.now), ..(*peering).clone() });
    answer(request.dry_run, DONE)
}

/// Ends the connections of a VPC that is deleted. Source: "Delete a VPC peering connection" in the VPC peering guide:
/// deleting a VPC deletes its active connections and its requests.
pub(super) fn forget_vpc(rows: &mut Tx, context: &Context, vpc_id: &VpcId) {
    for peering in of_vpc(rows, &context.account, vpc_id) {
        if matches!(peering.code(context.now), "active" | "pending-acceptance") {
            let state = PeeringState::Deleted(context.now);
            rows.put(VpcPeeringConnection { state, ..(*peering).clone() });
        }
    }
}

/// Forgets what is no longer shown.
pub fn forget_old(rows: &mut Tx, now: Timestamp) {
    let old: Vec<_> = rows.scan::<VpcPeeringConnection>("").filter(|one| one.is_forgotten(now)).collect();
    for peering in old {
        for side in peering.sides() {
            rows.delete::<TagSet>(&format!("{}/{}/{}", peering.account, side.region, peering.id));
        }
        rows.delete::<VpcPeeringConnection>(&peering.key());
    }
}
