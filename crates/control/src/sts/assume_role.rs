//! AssumeRole.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{ApiError, Empty, OnlyDefault};

use super::session::{mint, trust};
use crate::context::{Context, Principal};
use crate::iam::policy::{Caller, Request, Trust};
use crate::iam::{self, Asker, Role};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<u32>,
    external_id: Option<String>,
    #[serde(default, rename = "Policy")]
    _policy: OnlyDefault<Empty>,
    #[serde(default, rename = "PolicyArns")]
    _policy_arns: OnlyDefault<Empty>,
    #[serde(default, rename = "Tags")]
    _tags: OnlyDefault<Empty>,
    #[serde(default, rename = "TransitiveTagKeys")]
    _transitive_tag_keys: OnlyDefault<Empty>,
    #[serde(default, rename = "SerialNumber")]
    _serial_number: OnlyDefault<Empty>,
    #[serde(default, rename = "TokenCode")]
    _token_code: OnlyDefault<Empty>,
    #[serde(default, rename = "SourceIdentity")]
    _source_identity: OnlyDefault<Empty>,
    #[serde(default, rename = "ProvidedContexts")]
    _provided_contexts: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    assumed_role_id: String,
    arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumedRole {
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// AWS says the same whether the role does not exist or does not trust the caller.
fn denied(context: &Context, role_arn: &str) -> ApiError {
    let user = context.principal.arn(&context.account);
    let message =
        format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
    ApiError::new("AccessDenied", message).with_status(StatusCode::FORBIDDEN)
}

/// Gives a session of a role that trusts the caller. The account's root user may assume a role that trusts its account;
/// on AWS it may not ("Roles may not be assumed by root accounts"), but here it stands for the account's administrator
/// until there are IAM users.
pub(super) fn assume_role(
    rows: &mut Tx,
    context: &Context,
    request: AssumeRole,
) -> Result<AssumedRole, ApiError> {
    if request.role_arn.parse::<types::Arn>().is_err() {
        return Err(invalid(format!("{} is invalid", request.role_arn)));
    }
    iam::check_name("roleSessionName", &request.role_session_name, 64)?;
    if request.role_session_name.len() < 2 {
        return Err(invalid(format!(
            "1 validation error detected: Value '{}' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2",
            request.role_session_name
        )));
    }
    let Some(role) = iam::find_by_arn(rows, &request.role_arn) else {
        return Err(denied(context, &request.role_arn));
    };
    allowed(rows, context, &role, &request)?;
    let seconds = request.duration_seconds.unwrap_or(3600);
    // "Role chaining limits your … role session to a maximum of one hour."
    let chained = matches!(context.principal, Principal::Session { .. });
    if seconds < 900 {
        return Err(invalid(format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"
        )));
    }
    if chained && seconds > 3600 {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if seconds > role.max_session_duration {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let duration = Duration::from_secs(u64::from(seconds));
    let session = mint(rows, &role, &request.role_session_name, duration, context.now);
    Ok(AssumedRole {
        assumed_role_user: AssumedRoleUser {
            assumed_role_id: format!("{}:{}", session.role_id, session.session),
            arn: session.principal().arn(&session.account).to_string(),
        },
        credentials: Credentials {
            expiration: session.expires_at.iso(),
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
        },
    })
}

fn allowed(rows: &Tx, context: &Context, role: &Role, request: &AssumeRole) -> Result<(), ApiError> {
    let account = context.account.as_str();
    let session_arn = context.principal.arn(&context.account).to_string();
    let caller_role = match &context.principal {
        Principal::Root => None,
        Principal::Session { role, role_id, .. } => {
            let found = iam::find(rows, &context.account, role).filter(|found| found.id == *role_id);
            // A session of a role that is gone may do nothing.
            Some(found.ok_or_else(|| denied(context, &request.role_arn))?.arn().to_string())
        }
    };
    let caller = match &caller_role {
        None => Caller::Root { account },
        Some(role) => Caller::Session { account, role, session: &session_arn },
    };
    let asker = Asker::of(context);
    let mut keys = iam::keys(rows, asker).with("sts:RoleSessionName", &*request.role_session_name);
    if let Some(external_id) = &request.external_id {
        keys = keys.with("sts:ExternalId", &**external_id);
    }
    let action = "sts:AssumeRole";
    let asked = Request { action, resource: &request.role_arn, keys: &keys };
    iam::check_endpoint(rows, asker, asked).map_err(|denied| denied.api_error())?;
    let own =
        || iam::check_identity(rows, asker, action, &request.role_arn).map_err(|denied| denied.api_error());
    match trust(role, caller, &keys) {
        // In its own account a role that names the caller grants by itself; an explicit deny of the caller's counts.
        Trust::Direct if role.account == context.account => match own() {
            Err(error) if error.message.contains("explicit deny") => Err(error),
            _ => Ok(()),
        },
        Trust::Direct | Trust::Account => own(),
        Trust::ImplicitDeny | Trust::ExplicitDeny => Err(denied(context, &request.role_arn)),
    }
}
