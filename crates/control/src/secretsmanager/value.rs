//! `PutSecretValue` and `GetSecretValue`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::{ApiError, Empty, OnlyDefault};

use super::secret::{self, Secret};
use super::version::{self, CURRENT, SecretVersion, Value};
use super::{invalid_parameter, invalid_request, not_found};
use crate::context::Context;
use crate::iam::Resource;

/// The most stages of a version.
const STAGES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_binary: Option<String>,
    secret_string: Option<String>,
    version_stages: Option<Vec<String>>,
    #[serde(default, rename = "RotationToken")]
    _rotation_token: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutValue {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    version_stages: BTreeSet<String>,
}

pub(super) fn of_put(rows: &Snapshot, context: &Context, request: &PutSecretValue) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn put_secret_value(
    rows: &mut Tx,
    context: &Context,
    request: PutSecretValue,
) -> Result<PutValue, ApiError> {
    let Some(value) = Value::take(request.secret_string, request.secret_binary)? else {
        return Err(invalid_parameter("You must provide either SecretString or SecretBinary."));
    };
    let token = version::token(request.client_request_token)?;
    let stages = request.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
    if stages.is_empty() || stages.len() > STAGES || stages.iter().any(|s| s.is_empty() || s.len() > 256) {
        return Err(ApiError::new(
            "ValidationException",
            "1 validation error detected: Value at 'versionStages' failed to satisfy constraint: Member must have 1 to 20 \
             stages, each of 1 to 256 characters",
        ));
    }
    let found = secret::live(rows, context, &request.secret_id)?;
    version::add(rows, context, &found, &token, &value, &stages)?;
    rows.put(Secret { changed_at: context.now, ..(*found).clone() });
    let version_stages =
        version::by_id(rows, &found, &token).map(|version| version.stages.clone()).unwrap_or_default();
    Ok(PutValue { arn: found.arn(), name: found.name.clone(), version_id: token, version_stages })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

/// A value as responses show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ValueShape {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<String>,
    version_stages: BTreeSet<String>,
    created_date: f64,
}

impl ValueShape {
    pub(super) fn of(context: &Context, secret: &Secret, version: &SecretVersion) -> Result<Self, ApiError> {
        let (secret_string, secret_binary) = version.shown(context, secret)?;
        Ok(Self {
            arn: secret.arn(),
            name: secret.name.clone(),
            version_id: version.id.clone(),
            secret_binary,
            secret_string,
            version_stages: version.stages.clone(),
            created_date: version.created_at.epoch_seconds(),
        })
    }
}

pub(super) fn of_get(rows: &Snapshot, context: &Context, request: &GetSecretValue) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn get_secret_value(
    rows: &Snapshot,
    context: &Context,
    request: GetSecretValue,
) -> Result<ValueShape, ApiError> {
    let secret = secret::live(rows, context, &request.secret_id)?;
    let version = match (&request.version_id, &request.version_stage) {
        (Some(id), stage) => {
            let version = version::by_id(rows, &secret, id).ok_or_else(|| {
                not_found(format!(
                    "Secrets Manager can't find the specified secret value for VersionId: {id}"
                ))
            })?;
            if stage.as_ref().is_some_and(|stage| !version.stages.contains(stage)) {
                return Err(invalid_request(
                    "You provided a VersionStage that is not associated to the provided VersionId.",
                ));
            }
            version
        }
        (None, stage) => {
            let stage = stage.as_deref().unwrap_or(CURRENT);
            version::by_stage(rows, &secret, stage).ok_or_else(|| {
                not_found(format!(
                    "Secrets Manager can't find the specified secret value for staging label: {stage}"
                ))
            })?
        }
    };
    ValueShape::of(context, &secret, &version)
}
