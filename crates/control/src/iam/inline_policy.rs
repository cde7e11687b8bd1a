//! Policies that are part of a role.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::policy::Kind;
use super::role::{change, named};
use super::validate::{document, invalid_marker, name, page_size, size, url_encoded};
use super::{Nothing, conflict, no_such_entity};
use crate::context::Context;
use crate::page::page;

/// "Role inline policy size": of all of a role's inline policies together, white space aside.
const MOST: usize = 10_240;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PutRolePolicy {
    role_name: String,
    policy_name: String,
    policy_document: String,
}

pub(super) fn put_role_policy(
    rows: &mut Tx,
    context: &Context,
    request: PutRolePolicy,
) -> Result<Nothing, ApiError> {
    change(rows, context, "iam:PutRolePolicy", &request.role_name, |role| {
        name("policyName", &request.policy_name, 128)?;
        document(&request.policy_document, Kind::Identity, "PolicySize", MOST)?;
        role.inline.insert(request.policy_name, request.policy_document);
        if role.inline.values().map(|document| size(document)).sum::<usize>() > MOST {
            let message = format!("Maximum policy size of {MOST} bytes exceeded for role {}", role.name);
            return Err(conflict("LimitExceeded", message));
        }
        Ok(())
    })?;
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RoleAndName {
    role_name: String,
    policy_name: String,
}

fn not_found(policy: &str) -> ApiError {
    no_such_entity(format!("The role policy with name {policy} cannot be found."))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RolePolicy {
    role_name: String,
    policy_name: String,
    policy_document: String,
}

pub(super) fn get_role_policy(
    rows: &Snapshot,
    context: &Context,
    request: RoleAndName,
) -> Result<RolePolicy, ApiError> {
    let role = named(rows, context, "iam:GetRolePolicy", &request.role_name)?;
    let document = role.inline.get(&request.policy_name).ok_or_else(|| not_found(&request.policy_name))?;
    Ok(RolePolicy {
        role_name: role.name.clone(),
        policy_document: url_encoded(document),
        policy_name: request.policy_name,
    })
}

pub(super) fn delete_role_policy(
    rows: &mut Tx,
    context: &Context,
    request: RoleAndName,
) -> Result<Nothing, ApiError> {
    change(rows, context, "iam:DeleteRolePolicy", &request.role_name, |role| {
        let gone = role.inline.remove(&request.policy_name);
        gone.map(drop).ok_or_else(|| not_found(&request.policy_name))
    })?;
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListRolePolicies {
    role_name: String,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PolicyNames {
    policy_names: Vec<String>,
    is_truncated: bool,
    marker: Option<String>,
}

pub(super) fn list_role_policies(
    rows: &Snapshot,
    context: &Context,
    request: ListRolePolicies,
) -> Result<PolicyNames, ApiError> {
    let role = named(rows, context, "iam:ListRolePolicies", &request.role_name)?;
    let most = page_size(request.max_items)?;
    let page = page(role.inline.keys().cloned(), Clone::clone, Some(most), request.marker.as_deref());
    let page = page.map_err(invalid_marker)?;
    Ok(PolicyNames {
        policy_names: page.items,
        is_truncated: page.next_token.is_some(),
        marker: page.next_token,
    })
}
