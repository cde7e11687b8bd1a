//! Security group rules: one row a rule, whichever call made it.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, PartId, PrefixListId, Region, SecurityGroupId, SecurityGroupRuleId, VpcId,
    VpcPeeringConnectionId,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::permission::{IpPermission, RuleRequest, check_description, protocol_name};
use crate::ec2::prefix_list::{self, Family};
use crate::ec2::security_group::{self, SecurityGroup};
use crate::ec2::security_group_reference;
use crate::ec2::tag::{self, Tag};
use crate::ec2::{DONE, Done, Resource, answer};

pub use crate::ec2::permission::{Peer, Permission};

/// A rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: SecurityGroupRuleId,
    /// Its group.
    pub group_id: SecurityGroupId,
    /// The group's VPC.
    pub vpc_id: VpcId,
    /// Whether it speaks of what goes out.
    pub egress: bool,
    /// What it allows.
    pub permission: Permission,
    /// Words of the user's.
    pub description: Option<String>,
    /// Where the group that it refers to is, when that is a peered VPC.
    #[serde(default)]
    pub peered: Option<PeeredGroup>,
}

/// Where a group of a peered VPC was when a rule came to refer to it. It may be gone since: the rule is stale then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeeredGroup {
    /// The group's VPC.
    pub vpc_id: VpcId,
    /// The connection to it.
    pub peering_id: VpcPeeringConnectionId,
}

super::row!(SecurityGroupRule, "ec2_security_group_rule", |rule| vec![PartId::Vpc(rule.vpc_id.clone())]);

impl Resource for SecurityGroupRule {
    const TYPE: &'static str = "security-group-rule";
    const PREFIX: &'static str = SecurityGroupRuleId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{id}' does not exist"),
        )
    }
}

/// The most rules of a group in one direction, for IPv4 and for IPv6 each. Source: "Amazon VPC quotas".
const MOST: usize = 60;

/// What rules count: each for the addresses that it speaks of, a group for both, a prefix list what it may grow to.
/// Source: "Amazon VPC quotas".
fn count<'a>(
    rows: &Snapshot,
    context: &Context,
    permissions: impl Iterator<Item = &'a Permission>,
) -> Result<[usize; 2], ApiError> {
    let (mut ipv4, mut ipv6) = (0, 0);
    for permission in permissions {
        match &permission.peer {
            Peer::Ipv4(_) => ipv4 += 1,
            Peer::Ipv6(_) => ipv6 += 1,
            Peer::Group(_) => (ipv4, ipv6) = (ipv4 + 1, ipv6 + 1),
            Peer::PrefixList(id) => match prefix_list::weight(rows, context, id.as_str())? {
                (weight, Family::IPv4) => ipv4 += weight,
                (weight, Family::IPv6) => ipv6 += weight,
            },
        }
    }
    Ok([ipv4, ipv6])
}

/// Refuses rules that are more than a group may have in one direction.
pub(super) fn check_count<'a>(
    rows: &Snapshot,
    context: &Context,
    permissions: impl Iterator<Item = &'a Permission>,
) -> Result<(), ApiError> {
    if count(rows, context, permissions)?.into_iter().all(|count| count <= MOST) {
        return Ok(());
    }
    Err(ApiError::new(
        "RulesPerSecurityGroupLimitExceeded",
        "The maximum number of rules per security group has been reached.",
    ))
}

/// Whether a group has room for `more` entries of a prefix list in each of its rules that name the list.
pub(super) fn has_room(
    rows: &Snapshot,
    context: &Context,
    group: &SecurityGroupId,
    list: &PrefixListId,
    more: usize,
) -> Result<bool, ApiError> {
    let (_, family) = prefix_list::weight(rows, context, list.as_str())?;
    let all = of_group(rows, context, group);
    for egress in [false, true] {
        let side = || all.iter().filter(move |rule| rule.egress == egress).map(|rule| &rule.permission);
        let times = side().filter(|one| one.peer == Peer::PrefixList(list.clone())).count();
        let [ipv4, ipv6] = count(rows, context, side())?;
        let now = if family == Family::IPv4 { ipv4 } else { ipv6 };
        if times > 0 && now + times * more > MOST {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A group's rules, by id.
pub fn of_group(rows: &Snapshot, context: &Context, id: &SecurityGroupId) -> Vec<Arc<SecurityGroupRule>> {
    rows.scan::<SecurityGroupRule>(&context.prefix()).filter(|rule| rule.group_id == *id).collect()
}

pub(super) fn put(
    rows: &mut Tx,
    group: &SecurityGroup,
    egress: bool,
    permission: Permission,
    description: Option<String>,
) -> Arc<SecurityGroupRule> {
    rows.put(SecurityGroupRule {
        account: group.account.clone(),
        region: group.region.clone(),
        id: SecurityGroupRuleId::mint(),
        group_id: group.id.clone(),
        vpc_id: group.vpc_id.clone(),
        egress,
        peered: security_group_reference::peered(rows, group, &permission.peer),
        permission,
        description,
    })
}

fn everything(peer: Peer) -> Permission {
    Permission { protocol: desired::Protocol::All, ports: None, peer }
}

/// The rule that every new group has.
pub(super) fn allow_all_egress(rows: &mut Tx, group: &SecurityGroup) {
    put(rows, group, true, everything(Peer::Ipv4(Ipv4Net::default())), None);
}

/// The rule that a VPC's default group has.
pub(super) fn allow_own_ingress(rows: &mut Tx, group: &SecurityGroup) {
    put(rows, group, false, everything(Peer::Group(group.id.clone())), None);
}

/// A rule in the words of AWS's errors: `peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW`.
fn in_words(permission: &Permission) -> String {
    let name = protocol_name(permission.protocol).to_ascii_uppercase();
    let what = match (permission.protocol, permission.ports) {
        (desired::Protocol::All, _) => "ALL".to_owned(),
        (desired::Protocol::Tcp | desired::Protocol::Udp, Some(ports)) => {
            format!("{name}, from port: {}, to port: {}", ports.from, ports.to)
        }
        (_, Some(ports)) => format!("{name}, type: {}, code: {}", ports.from, ports.to),
        (_, None) => name,
    };
    format!("peer: {}, {what}, ALLOW", permission.peer)
}

pub(super) fn duplicate(permission: &Permission) -> ApiError {
    ApiError::new(
        "InvalidPermission.Duplicate",
        format!("the specified rule \"{}\" already exists", in_words(permission)),
    )
}

/// The rules that a list of permissions stands for.
pub(super) fn expand(
    rows: &Snapshot,
    context: &Context,
    group: &SecurityGroup,
    permissions: &[IpPermission],
) -> Result<Vec<(Permission, Option<String>)>, ApiError> {
    let mut all: Vec<(Permission, Option<String>)> = Vec::new();
    for permission in permissions {
        for rule in permission.rules(rows, context, group)? {
            if all.iter().any(|(earlier, _)| *earlier == rule.0) {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    "The same permission must not appear multiple times",
                ));
            }
            all.push(rule);
        }
    }
    Ok(all)
}

/// The rule of this id, which must be one of this group's in this direction.
pub(super) fn of_this_group(
    rows: &Snapshot,
    context: &Context,
    group: &SecurityGroup,
    id: &str,
    egress: bool,
) -> Result<Arc<SecurityGroupRule>, ApiError> {
    super::get::<SecurityGroupRule>(rows, context, id)
        .ok()
        .filter(|rule| rule.group_id == group.id && rule.egress == egress)
        .ok_or_else(|| SecurityGroupRule::not_found(id))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifySecurityGroupRules {
    group_id: String,
    security_group_rule: Vec<RuleUpdate>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleUpdate {
    security_group_rule_id: String,
    security_group_rule: RuleRequest,
}

pub(super) fn modify(
    rows: &mut Tx,
    context: &Context,
    request: ModifySecurityGroupRules,
) -> Result<Done, ApiError> {
    let group = security_group::get(rows, context, &request.group_id)?;
    for update in request.security_group_rule {
        let old = super::get::<SecurityGroupRule>(rows, context, &update.security_group_rule_id)?;
        if old.group_id != group.id {
            return Err(SecurityGroupRule::not_found(&update.security_group_rule_id));
        }
        let permission = update.security_group_rule.permission(rows, context, &group)?;
        let double = of_group(rows, context, &group.id)
            .into_iter()
            .any(|rule| rule.id != old.id && rule.egress == old.egress && rule.permission == permission);
        if double {
            return Err(duplicate(&permission));
        }
        let description = update.security_group_rule.description.filter(|text| !text.is_empty());
        let siblings: Vec<_> = of_group(rows, context, &group.id)
            .into_iter()
            .filter(|rule| rule.id != old.id && rule.egress == old.egress)
            .collect();
        let after = siblings.iter().map(|rule| &rule.permission).chain([&permission]);
        check_count(rows, context, after)?;
        let peered = security_group_reference::peered(rows, &group, &permission.peer);
        rows.put(SecurityGroupRule { permission, description, peered, ..(*old).clone() });
    }
    answer(request.dry_run, DONE)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateDescriptions {
    group_id: Option<String>,
    group_name: Option<String>,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    #[serde(default)]
    security_group_rule_description: Vec<RuleDescriptionUpdate>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleDescriptionUpdate {
    security_group_rule_id: String,
    description: Option<String>,
}

pub(super) fn update_ingress_descriptions(
    rows: &mut Tx,
    context: &Context,
    request: UpdateDescriptions,
) -> Result<Done, ApiError> {
    update_descriptions(rows, context, request, false)
}

pub(super) fn update_egress_descriptions(
    rows: &mut Tx,
    context: &Context,
    request: UpdateDescriptions,
) -> Result<Done, ApiError> {
    update_descriptions(rows, context, request, true)
}

fn update_descriptions(
    rows: &mut Tx,
    context: &Context,
    request: UpdateDescriptions,
    egress: bool,
) -> Result<Done, ApiError> {
    let group = security_group::of_id_or_name(
        rows,
        context,
        request.group_id.as_deref(),
        request.group_name.as_deref(),
    )?;
    if request.ip_permissions.is_empty() && request.security_group_rule_description.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter ipPermissions or securityGroupRuleDescriptions",
        ));
    }
    let there = of_group(rows, context, &group.id);
    let mut changes: Vec<(Arc<SecurityGroupRule>, Option<String>)> = Vec::new();
    for (permission, description) in expand(rows, context, &group, &request.ip_permissions)? {
        let found = there.iter().find(|rule| rule.egress == egress && rule.permission == permission);
        let Some(rule) = found else {
            return Err(ApiError::new(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            ));
        };
        changes.push((rule.clone(), description));
    }
    for update in request.security_group_rule_description {
        let rule = of_this_group(rows, context, &group, &update.security_group_rule_id, egress)?;
        check_description(update.description.as_deref())?;
        changes.push((rule, update.description.filter(|text| !text.is_empty())));
    }
    for (rule, description) in changes {
        rows.put(SecurityGroupRule { description, ..(*rule).clone() });
    }
    answer(request.dry_run, DONE)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeSecurityGroupRules {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    security_group_rule_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupRulesResponse {
    security_group_rule_set: Vec<RuleDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleDescription {
    pub(super) security_group_rule_id: String,
    pub(super) security_group_rule_arn: String,
    pub(super) group_id: String,
    pub(super) group_owner_id: String,
    pub(super) is_egress: bool,
    pub(super) ip_protocol: String,
    pub(super) from_port: i32,
    pub(super) to_port: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cidr_ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cidr_ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefix_list_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) referenced_group_info: Option<ReferencedGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferencedGroup {
    pub(super) group_id: String,
    pub(super) user_id: String,
    pub(super) vpc_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vpc_peering_connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peering_status: Option<&'static str>,
}

impl RuleDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, rule: &SecurityGroupRule) -> Self {
        let Permission { protocol, ports, peer } = &rule.permission;
        let mut shown = Self {
            security_group_rule_id: rule.id.to_string(),
            security_group_rule_arn: context
                .arn("ec2", format!("security-group-rule/{}", rule.id))
                .to_string(),
            group_id: rule.group_id.to_string(),
            group_owner_id: rule.account.to_string(),
            is_egress: rule.egress,
            ip_protocol: protocol_name(*protocol),
            from_port: ports.map_or(-1, |ports| ports.from),
            to_port: ports.map_or(-1, |ports| ports.to),
            cidr_ipv4: None,
            cidr_ipv6: None,
            prefix_list_id: None,
            referenced_group_info: None,
            description: rule.description.clone(),
            tag_set: tag::of(rows, context, &rule.id),
        };
        match peer {
            Peer::Ipv4(net) => shown.cidr_ipv4 = Some(net.to_string()),
            Peer::Ipv6(net) => shown.cidr_ipv6 = Some(net.to_string()),
            Peer::PrefixList(id) => shown.prefix_list_id = Some(id.to_string()),
            Peer::Group(id) => {
                let peered = rule.peered.as_ref();
                shown.referenced_group_info = Some(ReferencedGroup {
                    group_id: id.to_string(),
                    user_id: rule.account.to_string(),
                    vpc_id: peered.map_or(&rule.vpc_id, |peered| &peered.vpc_id).to_string(),
                    vpc_peering_connection_id: peered.map(|peered| peered.peering_id.to_string()),
                    peering_status: security_group_reference::status(rows, context, rule),
                });
            }
        }
        shown
    }
}

impl Item for RuleDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("group-id", |rule| vec![rule.group_id.clone()]),
        ("security-group-rule-id", |rule| vec![rule.security_group_rule_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.security_group_rule_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        SecurityGroupRule::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeSecurityGroupRules,
) -> Result<DescribeSecurityGroupRulesResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.security_group_rule_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<SecurityGroupRule>(&prefix).map(|rule| RuleDescription::new(rows, context, &rule)))?;
    answer(
        request.dry_run,
        DescribeSecurityGroupRulesResponse {
            security_group_rule_set: page.items,
            next_token: page.next_token,
        },
    )
}
