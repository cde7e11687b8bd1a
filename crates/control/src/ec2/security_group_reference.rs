//! Security groups that rules refer to, also over peering connections: which may be named, which are stale.
//!
//! Source: "Update your security groups to reference peer security groups" in the VPC peering guide: both VPCs are in one
//! region and the connection is active. A rule whose group or connection is gone stays, is stale, and matches nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{SecurityGroupId, VpcId, VpcPeeringConnectionId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::ip_permission::{StaleIpPermission, grouped};
use crate::ec2::permission::Peer;
use crate::ec2::security_group::{self, SecurityGroup};
use crate::ec2::security_group_rule::{PeeredGroup, SecurityGroupRule, of_group};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer, vpc, vpc_peering};

/// The group of this id in the region of `of`.
fn group(rows: &Snapshot, of: &SecurityGroup, id: &SecurityGroupId) -> Option<std::sync::Arc<SecurityGroup>> {
    rows.get::<SecurityGroup>(&format!("{}/{}/{id}", of.account, of.region))
}

/// Where a peer of a rule of `of` is, when it is a group of a peered VPC.
pub(super) fn peered(rows: &Snapshot, of: &SecurityGroup, peer: &Peer) -> Option<PeeredGroup> {
    let Peer::Group(id) = peer else { return None };
    let group = group(rows, of, id).filter(|group| group.vpc_id != of.vpc_id)?;
    let peering = vpc_peering::between(rows, &of.account, &of.vpc_id, &group.vpc_id)?;
    Some(PeeredGroup { vpc_id: group.vpc_id.clone(), peering_id: peering.id.clone() })
}

/// Whether a new rule of `of` may refer to a group.
pub(super) fn may_refer(rows: &Snapshot, of: &SecurityGroup, id: &SecurityGroupId) -> bool {
    group(rows, of, id).is_some_and(|group| group.vpc_id == of.vpc_id)
        || peered(rows, of, &Peer::Group(id.clone())).is_some()
}

/// The rule of `of` that refers to a group, if one does.
fn referring(
    rows: &Snapshot,
    context: &Context,
    of: &SecurityGroup,
    id: &SecurityGroupId,
) -> Option<std::sync::Arc<SecurityGroupRule>> {
    let mut rules = of_group(rows, context, &of.id).into_iter();
    rules.find(|rule| rule.permission.peer == Peer::Group(id.clone()))
}

/// Whether `of` refers to a group already, be it there or not.
pub(super) fn refers(rows: &Snapshot, context: &Context, of: &SecurityGroup, id: &SecurityGroupId) -> bool {
    referring(rows, context, of, id).is_some()
}

/// The VPC of a group that `of` may refer to or does, and the connection to it if it is another one.
pub(super) fn place(
    rows: &Snapshot,
    context: &Context,
    of: &SecurityGroup,
    id: &SecurityGroupId,
) -> (VpcId, Option<VpcPeeringConnectionId>) {
    let known = referring(rows, context, of, id).and_then(|rule| rule.peered.clone());
    match peered(rows, of, &Peer::Group(id.clone())).or(known) {
        Some(PeeredGroup { vpc_id, peering_id }) => (vpc_id, Some(peering_id)),
        None => (of.vpc_id.clone(), None),
    }
}

/// The state of the connection over which a rule refers to a group.
pub(super) fn status(rows: &Snapshot, context: &Context, rule: &SecurityGroupRule) -> Option<&'static str> {
    let peered = rule.peered.as_ref()?;
    let connection = vpc_peering::of_vpc(rows, &rule.account, &rule.vpc_id)
        .into_iter()
        .find(|peering| peering.id == peered.peering_id);
    // One that is no longer shown was deleted.
    Some(connection.map_or("deleted", |peering| peering.code(context.now)))
}

/// Whether the group or the connection of a rule is gone.
fn is_stale(rows: &Snapshot, context: &Context, rule: &SecurityGroupRule) -> bool {
    let Peer::Group(id) = &rule.permission.peer else { return false };
    rule.peered.is_some()
        && (status(rows, context, rule) != Some("active")
            || rows.get::<SecurityGroup>(&context.key(id)).is_none())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeStaleSecurityGroups {
    vpc_id: String,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeStaleSecurityGroupsResponse {
    stale_security_group_set: Vec<StaleSecurityGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StaleSecurityGroup {
    description: String,
    group_id: String,
    group_name: String,
    stale_ip_permissions: Vec<StaleIpPermission>,
    stale_ip_permissions_egress: Vec<StaleIpPermission>,
    vpc_id: String,
}

impl Item for StaleSecurityGroup {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[];
    const PAGE_SIZES: RangeInclusive<i32> = 5..=255;

    fn id(&self) -> &str {
        &self.group_id
    }

    fn tags(&self) -> &[Tag] {
        &[]
    }

    fn not_found(id: &str) -> ApiError {
        SecurityGroup::not_found(id)
    }
}

pub(super) fn describe_stale(
    rows: &Snapshot,
    context: &Context,
    request: DescribeStaleSecurityGroups,
) -> Result<DescribeStaleSecurityGroupsResponse, ApiError> {
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let prefix = context.prefix();
    let stale: Vec<_> = rows
        .scan::<SecurityGroupRule>(&prefix)
        .filter(|rule| rule.vpc_id == vpc.id && is_stale(rows, context, rule))
        .collect();
    let items =
        rows.scan::<SecurityGroup>(&prefix).filter(|group| group.vpc_id == vpc.id).filter_map(|group| {
            let side = |egress: bool| {
                let rules = stale.iter().filter(|rule| rule.group_id == group.id && rule.egress == egress);
                let permissions = grouped(rows, context, rules.map(|rule| &**rule));
                permissions.into_iter().map(StaleIpPermission::from).collect::<Vec<_>>()
            };
            let (ingress, egress) = (side(false), side(true));
            (!ingress.is_empty() || !egress.is_empty()).then(|| StaleSecurityGroup {
                description: group.description.clone(),
                group_id: group.id.to_string(),
                group_name: group.name.clone(),
                stale_ip_permissions: ingress,
                stale_ip_permissions_egress: egress,
                vpc_id: group.vpc_id.to_string(),
            })
        });
    let page =
        Ask { max_results: request.max_results, next_token: request.next_token.as_deref(), ..Ask::default() }
            .page(items)?;
    answer(
        request.dry_run,
        DescribeStaleSecurityGroupsResponse {
            stale_security_group_set: page.items,
            next_token: page.next_token,
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeSecurityGroupReferences {
    group_id: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupReferencesResponse {
    security_group_reference_set: Vec<Reference>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    group_id: String,
    referencing_vpc_id: String,
    vpc_peering_connection_id: String,
}

/// The VPCs on the other side of peering connections whose rules refer to these groups.
pub(super) fn describe_references(
    rows: &Snapshot,
    context: &Context,
    request: DescribeSecurityGroupReferences,
) -> Result<DescribeSecurityGroupReferencesResponse, ApiError> {
    let prefix = context.prefix();
    let mut references = BTreeSet::new();
    for id in &request.group_id {
        let group = security_group::get(rows, context, id)?;
        let peer = Peer::Group(group.id.clone());
        for rule in rows.scan::<SecurityGroupRule>(&prefix).filter(|rule| rule.permission.peer == peer) {
            if let Some(peered) = rule.peered.as_ref().filter(|_| !is_stale(rows, context, &rule)) {
                references.insert(Reference {
                    group_id: group.id.to_string(),
                    referencing_vpc_id: rule.vpc_id.to_string(),
                    vpc_peering_connection_id: peered.peering_id.to_string(),
                });
            }
        }
    }
    answer(
        request.dry_run,
        DescribeSecurityGroupReferencesResponse {
            security_group_reference_set: references.into_iter().collect(),
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetSecurityGroupsForVpc {
    vpc_id: String,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetSecurityGroupsForVpcResponse {
    security_group_for_vpc_set: Vec<GroupForVpc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupForVpc {
    description: String,
    group_id: String,
    group_name: String,
    owner_id: String,
    primary_vpc_id: String,
    tag_set: Vec<Tag>,
}

impl Item for GroupForVpc {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("description", |group| vec![group.description.clone()]),
        ("group-id", |group| vec![group.group_id.clone()]),
        ("group-name", |group| vec![group.group_name.clone()]),
        ("owner-id", |group| vec![group.owner_id.clone()]),
        ("primary-vpc-id", |group| vec![group.primary_vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.group_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        SecurityGroup::not_found(id)
    }
}

pub(super) fn for_vpc(
    rows: &Snapshot,
    context: &Context,
    request: GetSecurityGroupsForVpc,
) -> Result<GetSecurityGroupsForVpcResponse, ApiError> {
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let prefix = context.prefix();
    let groups = rows.scan::<SecurityGroup>(&prefix).filter(|group| group.vpc_id == vpc.id);
    let page = Ask {
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
        ..Ask::default()
    }
    .page(groups.map(|group| GroupForVpc {
        description: group.description.clone(),
        group_id: group.id.to_string(),
        group_name: group.name.clone(),
        owner_id: group.account.to_string(),
        primary_vpc_id: group.vpc_id.to_string(),
        tag_set: tag::of(rows, context, &group.id),
    }))?;
    answer(
        request.dry_run,
        GetSecurityGroupsForVpcResponse {
            security_group_for_vpc_set: page.items,
            next_token: page.next_token,
        },
    )
}
