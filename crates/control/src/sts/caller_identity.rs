//! GetCallerIdentity.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::{Context, Principal};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetCallerIdentity {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CallerIdentity {
    arn: String,
    user_id: String,
    account: String,
}

pub(super) fn get_caller_identity(
    _: &Snapshot,
    context: &Context,
    _: GetCallerIdentity,
) -> Result<CallerIdentity, ApiError> {
    let user_id = match &context.principal {
        Principal::Root => context.account.to_string(),
        Principal::Session { role_id, session, .. } => format!("{role_id}:{session}"),
    };
    let arn = context.principal.arn(&context.account).to_string();
    Ok(CallerIdentity { arn, user_id, account: context.account.to_string() })
}
