//! The roles that ECS works with: its own, and those it assumes for tasks.

use store::Tx;

use crate::Context;
use crate::iam::service_linked_role::{self, LinkedService};

/// Makes the service-linked role `AWSServiceRoleForECS` when the account uses the service for the first time.
pub(super) fn ensure_service_linked(rows: &mut Tx, context: &Context) {
    service_linked_role::ensure(rows, &context.account, LinkedService::Ecs, context.now);
}

/// Whether a text has the form of a role's ARN.
pub(super) fn is_role_arn(text: &str) -> bool {
    text.parse::<types::Arn>()
        .is_ok_and(|arn| arn.service == "iam" && arn.account.len() == 12 && arn.resource.starts_with("role/"))
}
