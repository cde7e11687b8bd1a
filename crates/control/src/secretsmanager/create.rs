//! `CreateSecret`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::{ApiError, Empty, False, OnlyDefault};

use super::delete::purge;
use super::secret::{self, Secret};
use super::tag::set_tags;
use super::version::{self, CURRENT, Value};
use super::{OwnKey, Tag, invalid_request};
use crate::context::Context;
use crate::iam::Resource;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateSecret {
    name: String,
    client_request_token: Option<String>,
    description: Option<String>,
    #[serde(default, rename = "KmsKeyId")]
    _kms_key_id: OnlyDefault<OwnKey>,
    secret_binary: Option<String>,
    secret_string: Option<String>,
    tags: Option<Vec<Tag>>,
    #[serde(default, rename = "AddReplicaRegions")]
    _add_replica_regions: OnlyDefault<Empty>,
    #[serde(default, rename = "ForceOverwriteReplicaSecret")]
    _force_overwrite_replica_secret: OnlyDefault<False>,
    #[serde(default, rename = "Type")]
    _type: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Changed {
    #[serde(rename = "ARN")]
    pub(super) arn: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<String>,
}

pub(super) fn of_create(_: &Snapshot, context: &Context, request: &CreateSecret) -> Vec<Resource> {
    vec![secret::to_be(context, &request.name)]
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&b);
    if name.is_empty() || name.len() > 512 || !name.bytes().all(fits) {
        return Err(ApiError::new(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        ));
    }
    Ok(())
}

/// A description of at most 2048 characters; an empty one is none.
pub(super) fn description(text: Option<String>) -> Result<Option<String>, ApiError> {
    match text {
        Some(long) if long.chars().count() > 2048 => Err(ApiError::new(
            "ValidationException",
            "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length \
             less than or equal to 2048",
        )),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

pub(super) fn create_secret(
    rows: &mut Tx,
    context: &Context,
    request: CreateSecret,
) -> Result<Changed, ApiError> {
    check_name(&request.name)?;
    let value = Value::take(request.secret_string, request.secret_binary)?;
    let token = version::token(request.client_request_token)?;
    let description = description(request.description)?;
    let mut tags = BTreeMap::new();
    set_tags(&mut tags, request.tags.unwrap_or_default())?;
    if let Some(before) = rows.get::<Secret>(&context.key(&request.name)) {
        if before.is_over(context.now) {
            purge(rows, &before);
        } else if before.delete_at.is_some() {
            return Err(invalid_request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        } else if let Some(value) = value.as_ref().filter(|_| version::by_id(rows, &before, &token).is_some())
        {
            // The same request again: it is answered as it was.
            version::add(rows, context, &before, &token, value, &[])?;
            return Ok(Changed { arn: before.arn(), name: request.name, version_id: Some(token) });
        } else {
            return Err(ApiError::new(
                "ResourceExistsException",
                format!("The operation failed because the secret {} already exists.", request.name),
            ));
        }
    }
    let made = rows.put(Secret {
        account: context.account.clone(),
        region: context.region.clone(),
        name: request.name,
        suffix: secret::suffix(),
        description,
        tags,
        policy: None,
        created_at: context.now,
        changed_at: context.now,
        delete_at: None,
    });
    let version_id = value.is_some().then(|| token.clone());
    if let Some(value) = value {
        version::add(rows, context, &made, &token, &value, &[CURRENT.to_owned()])?;
    }
    Ok(Changed { arn: made.arn(), name: made.name.clone(), version_id })
}
