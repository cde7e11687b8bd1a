//! `UpdateSecret`.

use serde::Deserialize;
use store::{Snapshot, Tx};
use wire::{ApiError, Empty, OnlyDefault};

use super::OwnKey;
use super::create::{Changed, description};
use super::secret::{self, Secret};
use super::version::{self, CURRENT, Value};
use crate::context::Context;
use crate::iam::Resource;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    description: Option<String>,
    #[serde(default, rename = "KmsKeyId")]
    _kms_key_id: OnlyDefault<OwnKey>,
    secret_binary: Option<String>,
    secret_string: Option<String>,
    #[serde(default, rename = "Type")]
    _type: OnlyDefault<Empty>,
}

pub(super) fn of_update(rows: &Snapshot, context: &Context, request: &UpdateSecret) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn update_secret(
    rows: &mut Tx,
    context: &Context,
    request: UpdateSecret,
) -> Result<Changed, ApiError> {
    let value = Value::take(request.secret_string, request.secret_binary)?;
    let token = version::token(request.client_request_token)?;
    let found = secret::live(rows, context, &request.secret_id)?;
    let mut changed = Secret { changed_at: context.now, ..(*found).clone() };
    if request.description.is_some() {
        changed.description = description(request.description)?;
    }
    let changed = rows.put(changed);
    let version_id = value.is_some().then(|| token.clone());
    if let Some(value) = value {
        version::add(rows, context, &changed, &token, &value, &[CURRENT.to_owned()])?;
    }
    Ok(Changed { arn: changed.arn(), name: changed.name.clone(), version_id })
}
