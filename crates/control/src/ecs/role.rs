//! The roles that ECS works with: its own, and those it assumes for tasks.

use store::{Snapshot, Tx};
use wire::ApiError;

use super::client;
use crate::Context;
use crate::iam::service_linked_role::{self, LinkedService};
use crate::iam::{self, Asker};

/// Makes the service-linked role `AWSServiceRoleForECS` when the account uses the service for the first time.
pub(super) fn ensure_service_linked(rows: &mut Tx, context: &Context) {
    service_linked_role::ensure(rows, &context.account, LinkedService::Ecs, context.now);
}

/// A role that a task definition or a call names for a task; nothing when it is empty.
///
/// # Errors
/// When it is no role's ARN, or the caller may not pass it.
pub(crate) fn take(
    rows: &Snapshot,
    context: &Context,
    role_arn: Option<String>,
) -> Result<Option<String>, ApiError> {
    let Some(role_arn) = role_arn.filter(|arn| !arn.is_empty()) else { return Ok(None) };
    if !is_role_arn(&role_arn) {
        return Err(client("Role is not valid"));
    }
    may_pass(rows, context, &role_arn)?;
    Ok(Some(role_arn))
}

/// Whether a text has the form of a role's ARN.
pub(super) fn is_role_arn(text: &str) -> bool {
    text.parse::<types::Arn>()
        .is_ok_and(|arn| arn.service == "iam" && arn.account.len() == 12 && arn.resource.starts_with("role/"))
}

/// Whether the caller may hand a role to ECS ("Granting a user permissions to pass a role to an AWS service").
///
/// # Errors
/// AccessDeniedException, naming `iam:PassRole` and the role.
pub(super) fn may_pass(rows: &Snapshot, context: &Context, role_arn: &str) -> Result<(), ApiError> {
    // No call of IAM's is made: no endpoint's policy is asked.
    iam::check_identity(rows, Asker::of(context), "iam:PassRole", role_arn)
        .map_err(|denied| ApiError::new("AccessDeniedException", denied.to_string()))
}
