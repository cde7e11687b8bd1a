//! Authorizing and revoking: the calls that add and take away a group's rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::permission::IpPermission;
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::security_group_rule::{
    RuleDescription, SecurityGroupRule, check_count, duplicate, expand, of_group, of_this_group, put,
};
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{answer, security_group};

/// Authorizes and revokes rules of a group: by permissions, by the short form of one, or (to revoke) by rule ids.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authorize {
    group_id: Option<String>,
    group_name: Option<String>,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ip: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizeResponse {
    r#return: bool,
    security_group_rule_set: Vec<RuleDescription>,
}

pub(super) fn authorize_ingress(
    rows: &mut Tx,
    context: &Context,
    request: Authorize,
) -> Result<AuthorizeResponse, ApiError> {
    authorize(rows, context, request, false)
}

pub(super) fn authorize_egress(
    rows: &mut Tx,
    context: &Context,
    request: Authorize,
) -> Result<AuthorizeResponse, ApiError> {
    authorize(rows, context, request, true)
}

/// The group whose rules change. Its name instead of its id is taken for ingress alone, as AWS has it.
fn group(
    rows: &Snapshot,
    context: &Context,
    id: Option<&str>,
    name: Option<&str>,
    egress: bool,
) -> Result<Arc<SecurityGroup>, ApiError> {
    if egress && name.is_some() {
        return Err(ApiError::new("UnknownParameter", "The parameter GroupName is not recognized"));
    }
    security_group::of_id_or_name(rows, context, id, name)
}

fn authorize(
    rows: &mut Tx,
    context: &Context,
    request: Authorize,
    egress: bool,
) -> Result<AuthorizeResponse, ApiError> {
    let group = group(rows, context, request.group_id.as_deref(), request.group_name.as_deref(), egress)?;
    let short = IpPermission::short(request.ip_protocol, request.from_port, request.to_port, request.cidr_ip);
    let permissions: Vec<IpPermission> = request.ip_permissions.into_iter().chain(short).collect();
    if permissions.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter ipPermissions",
        ));
    }
    let wanted = expand(rows, context, &group, &permissions)?;
    let there: Vec<_> =
        of_group(rows, context, &group.id).into_iter().filter(|rule| rule.egress == egress).collect();
    if let Some((double, _)) =
        wanted.iter().find(|(permission, _)| there.iter().any(|rule| rule.permission == *permission))
    {
        return Err(duplicate(double));
    }
    let after =
        there.iter().map(|rule| &rule.permission).chain(wanted.iter().map(|(permission, _)| permission));
    check_count(rows, context, after)?;
    let mut shown = Vec::with_capacity(wanted.len());
    for (permission, description) in wanted {
        let rule = put(rows, &group, egress, permission, description);
        tag::specify::<SecurityGroupRule>(rows, context, &rule.id, &request.tag_specification)?;
        shown.push(RuleDescription::new(rows, context, &rule));
    }
    answer(request.dry_run, AuthorizeResponse { r#return: true, security_group_rule_set: shown })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Revoke {
    group_id: Option<String>,
    group_name: Option<String>,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ip: Option<String>,
    #[serde(default)]
    security_group_rule_id: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevokeResponse {
    r#return: bool,
    revoked_security_group_rule_set: Vec<RevokedRule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RevokedRule {
    security_group_rule_id: String,
    group_id: String,
    is_egress: bool,
    ip_protocol: String,
    from_port: i32,
    to_port: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_list_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referenced_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

pub(super) fn revoke_ingress(
    rows: &mut Tx,
    context: &Context,
    request: Revoke,
) -> Result<RevokeResponse, ApiError> {
    revoke(rows, context, request, false)
}

pub(super) fn revoke_egress(
    rows: &mut Tx,
    context: &Context,
    request: Revoke,
) -> Result<RevokeResponse, ApiError> {
    revoke(rows, context, request, true)
}

fn revoke(
    rows: &mut Tx,
    context: &Context,
    request: Revoke,
    egress: bool,
) -> Result<RevokeResponse, ApiError> {
    let group = group(rows, context, request.group_id.as_deref(), request.group_name.as_deref(), egress)?;
    let short = IpPermission::short(request.ip_protocol, request.from_port, request.to_port, request.cidr_ip);
    let permissions: Vec<IpPermission> = request.ip_permissions.into_iter().chain(short).collect();
    if permissions.is_empty() && request.security_group_rule_id.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter ipPermissions or securityGroupRuleIds",
        ));
    }
    let mut gone: Vec<Arc<SecurityGroupRule>> = Vec::new();
    for id in &request.security_group_rule_id {
        gone.push(of_this_group(rows, context, &group, id, egress)?);
    }
    let there = of_group(rows, context, &group.id);
    for (permission, _) in expand(rows, context, &group, &permissions)? {
        let Some(rule) = there.iter().find(|rule| rule.egress == egress && rule.permission == permission)
        else {
            return Err(ApiError::new(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            ));
        };
        gone.push(rule.clone());
    }
    let mut shown = Vec::with_capacity(gone.len());
    for rule in gone {
        tag::forget(rows, context, &rule.id);
        rows.delete::<SecurityGroupRule>(&rule.key());
        let all = RuleDescription::new(rows, context, &rule);
        shown.push(RevokedRule {
            security_group_rule_id: all.security_group_rule_id,
            group_id: all.group_id,
            is_egress: all.is_egress,
            ip_protocol: all.ip_protocol,
            from_port: all.from_port,
            to_port: all.to_port,
            cidr_ipv4: all.cidr_ipv4,
            cidr_ipv6: all.cidr_ipv6,
            prefix_list_id: all.prefix_list_id,
            referenced_group_id: all.referenced_group_info.map(|group| group.group_id),
            description: all.description,
        });
    }
    answer(request.dry_run, RevokeResponse { r#return: true, revoked_security_group_rule_set: shown })
}
