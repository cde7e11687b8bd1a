//! Managed policies attached to roles.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::role::{change, named};
use super::validate::{invalid_marker, page_size};
use super::{Nothing, conflict, managed_policy, no_such_entity};
use crate::context::Context;
use crate::page::page;

/// "Managed policies attached to an IAM role": ten, unless AWS raised the quota.
const MOST: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RoleAndPolicy {
    role_name: String,
    policy_arn: String,
}

pub(super) fn attach_role_policy(
    rows: &mut Tx,
    context: &Context,
    request: RoleAndPolicy,
) -> Result<Nothing, ApiError> {
    let known = managed_policy::lookup(rows, &context.account, &request.policy_arn).is_some();
    let attachable = known && !request.policy_arn.contains(":policy/aws-service-role/");
    change(rows, context, "iam:AttachRolePolicy", &request.role_name, |role| {
        if !attachable {
            let hint = if !known && request.policy_arn.starts_with("arn:aws:iam::aws:") {
                " Landfall has the AWS managed policies that ListPolicies with Scope=AWS lists; write this one as a \
                 policy of your own."
            } else {
                ""
            };
            return Err(no_such_entity(format!(
                "Policy {} does not exist or is not attachable.{hint}",
                request.policy_arn
            )));
        }
        role.attached.insert(request.policy_arn);
        if role.attached.len() > MOST {
            return Err(conflict(
                "LimitExceeded",
                format!("Cannot exceed quota for PoliciesPerRole: {MOST}"),
            ));
        }
        Ok(())
    })?;
    Ok(None)
}

pub(super) fn detach_role_policy(
    rows: &mut Tx,
    context: &Context,
    request: RoleAndPolicy,
) -> Result<Nothing, ApiError> {
    change(rows, context, "iam:DetachRolePolicy", &request.role_name, |role| {
        if role.attached.remove(&request.policy_arn) {
            Ok(())
        } else {
            Err(no_such_entity(format!("Policy {} was not found.", request.policy_arn)))
        }
    })?;
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListAttachedRolePolicies {
    role_name: String,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttachedPolicy {
    policy_name: String,
    policy_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttachedPolicies {
    attached_policies: Vec<AttachedPolicy>,
    is_truncated: bool,
    marker: Option<String>,
}

pub(super) fn list_attached_role_policies(
    rows: &Snapshot,
    context: &Context,
    request: ListAttachedRolePolicies,
) -> Result<AttachedPolicies, ApiError> {
    let role = named(rows, context, "iam:ListAttachedRolePolicies", &request.role_name)?;
    let prefix = format!(":policy{}", request.path_prefix.as_deref().unwrap_or("/"));
    let found = role.attached.iter().filter(|arn| arn.contains(&prefix)).cloned();
    let most = page_size(request.max_items)?;
    let page = page(found, Clone::clone, Some(most), request.marker.as_deref()).map_err(invalid_marker)?;
    let shape = |arn: String| AttachedPolicy {
        policy_name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        policy_arn: arn,
    };
    Ok(AttachedPolicies {
        attached_policies: page.items.into_iter().map(shape).collect(),
        is_truncated: page.next_token.is_some(),
        marker: page.next_token,
    })
}
