//! `DeleteSecret` and `RestoreSecret`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::Timestamp;
use wire::ApiError;

use super::secret::{self, Secret};
use super::version::{self, SecretVersion};
use super::{Named, invalid_parameter, invalid_request};
use crate::context::Context;
use crate::iam::Resource;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteSecret {
    secret_id: String,
    recovery_window_in_days: Option<i64>,
    #[serde(default)]
    force_delete_without_recovery: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deleted {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    deletion_date: f64,
}

pub(super) fn of_delete(rows: &Snapshot, context: &Context, request: &DeleteSecret) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn delete_secret(
    rows: &mut Tx,
    context: &Context,
    request: DeleteSecret,
) -> Result<Deleted, ApiError> {
    let force = request.force_delete_without_recovery.unwrap_or(false);
    if force && request.recovery_window_in_days.is_some() {
        return Err(invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = request.recovery_window_in_days.unwrap_or(30);
    let Some(days) = u32::try_from(days).ok().filter(|days| (7..=30).contains(days)) else {
        return Err(invalid_parameter(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    };
    let found = match secret::any(rows, context, &request.secret_id) {
        // Whoever forces it wants it gone, and it is.
        Err(_) if force => {
            let name = request.secret_id.rsplit(":secret:").next().unwrap_or_default().to_owned();
            let arn = if request.secret_id.starts_with("arn:") {
                request.secret_id
            } else {
                context.arn("secretsmanager", format!("secret:{name}-{}", secret::suffix())).to_string()
            };
            return Ok(Deleted { arn, name, deletion_date: context.now.epoch_seconds() });
        }
        found => found?,
    };
    let Named { arn, name } = found.named();
    if force {
        purge(rows, &found);
        return Ok(Deleted { arn, name, deletion_date: context.now.epoch_seconds() });
    }
    if found.delete_at.is_some() {
        return Err(invalid_request(
            "You tried to perform the operation on a secret that's currently marked deleted.",
        ));
    }
    let at = context.now.plus(DAY * days);
    rows.put(Secret { delete_at: Some(at), changed_at: context.now, ..(*found).clone() });
    Ok(Deleted { arn, name, deletion_date: at.epoch_seconds() })
}

/// Deletes a secret with all its versions.
pub(super) fn purge(rows: &mut Tx, secret: &Secret) {
    for version in version::all(rows, secret) {
        rows.delete::<SecretVersion>(&version.key());
    }
    rows.delete::<Secret>(&secret.key());
}

/// Deletes the secrets whose recovery window is over.
pub fn forget_deleted(rows: &mut Tx, now: Timestamp) {
    let over: Vec<_> = rows.scan::<Secret>("").filter(|secret| secret.is_over(now)).collect();
    for secret in over {
        purge(rows, &secret);
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RestoreSecret {
    secret_id: String,
}

pub(super) fn of_restore(rows: &Snapshot, context: &Context, request: &RestoreSecret) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn restore_secret(
    rows: &mut Tx,
    context: &Context,
    request: RestoreSecret,
) -> Result<Named, ApiError> {
    let found = secret::any(rows, context, &request.secret_id)?;
    let restored = rows.put(Secret { delete_at: None, changed_at: context.now, ..(*found).clone() });
    Ok(restored.named())
}
