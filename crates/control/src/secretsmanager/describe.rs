//! `DescribeSecret`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::secret::{self, Secret};
use super::{Tag, version};
use crate::context::Context;
use crate::iam::Resource;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DescribeSecret {
    secret_id: String,
}

/// A secret without its values.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretShape {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_changed_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<f64>,
    tags: Vec<Tag>,
    created_date: f64,
}

/// The versions that have stages, by their ids.
pub(super) type Stages = BTreeMap<String, BTreeSet<String>>;

pub(super) fn stages(rows: &Snapshot, secret: &Secret) -> Stages {
    let all = version::all(rows, secret);
    let staged = all.iter().filter(|version| !version.stages.is_empty());
    staged.map(|version| (version.id.clone(), version.stages.clone())).collect()
}

impl SecretShape {
    pub(super) fn of(secret: &Secret) -> Self {
        let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
        Self {
            arn: secret.arn(),
            name: secret.name.clone(),
            description: secret.description.clone(),
            last_changed_date: secret.changed_at.epoch_seconds(),
            deleted_date: secret.delete_at.map(types::Timestamp::epoch_seconds),
            tags: secret.tags.iter().map(tag).collect(),
            created_date: secret.created_at.epoch_seconds(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Described {
    #[serde(flatten)]
    secret: SecretShape,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    version_ids_to_stages: Stages,
}

pub(super) fn of_describe(rows: &Snapshot, context: &Context, request: &DescribeSecret) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn describe_secret(
    rows: &Snapshot,
    context: &Context,
    request: DescribeSecret,
) -> Result<Described, ApiError> {
    let found = secret::any(rows, context, &request.secret_id)?;
    Ok(Described { secret: SecretShape::of(&found), version_ids_to_stages: stages(rows, &found) })
}
