//! Versions of secrets and their stages. Source: "What's in a Secrets Manager secret?", AWS Secrets Manager User Guide.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp, random_hex};
use wire::ApiError;

use super::invalid_parameter;
use super::secret::Secret;
use crate::context::Context;
use crate::sealed::Sealed;

/// The stage of the version that is read unless another is asked for.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// The stage of the version that was the current one before.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
/// The most versions that are kept; beyond, the oldest without a stage go.
const VERSIONS: usize = 100;
/// The longest value, in bytes.
const LONGEST: usize = 65_536;

/// A version of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretVersion {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The secret's name.
    pub secret: String,
    /// Its id: the request token that made it.
    pub id: String,
    /// Its value.
    pub value: Sealed,
    /// Whether the value is bytes rather than a text.
    pub binary: bool,
    /// Its stages. Without any it is deprecated.
    pub stages: BTreeSet<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Row for SecretVersion {
    const TABLE: &'static str = "secretsmanager_version";

    fn key(&self) -> String {
        // No name has a colon in it.
        format!("{}/{}/{}:{}", self.account, self.region, self.secret, self.id)
    }
}

/// A value as a request gives it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// Takes one of the two members; None when there is neither.
    pub(super) fn take(text: Option<String>, binary: Option<String>) -> Result<Option<Self>, ApiError> {
        let value = match (text, binary) {
            (Some(_), Some(_)) => {
                return Err(invalid_parameter(
                    "You can't specify both a binary secret value and a string secret value in the same secret.",
                ));
            }
            (Some(text), None) => Value::Text(text),
            (None, Some(binary)) => Value::Bytes(STANDARD.decode(binary).map_err(|_| {
                ApiError::new("SerializationException", "SecretBinary is not encoded in base64.")
            })?),
            (None, None) => return Ok(None),
        };
        let length = value.bytes().len();
        if length == 0 {
            return Err(invalid_parameter("You must provide either SecretString or SecretBinary."));
        }
        if length > LONGEST {
            return Err(ApiError::new(
                "ValidationException",
                format!(
                    "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must have length \
                     less than or equal to {LONGEST}",
                    if matches!(value, Value::Text(_)) { "secretString" } else { "secretBinary" }
                ),
            ));
        }
        Ok(Some(value))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        }
    }
}

/// The id of a new version: the request's token, or a new one.
pub(super) fn token(given: Option<String>) -> Result<String, ApiError> {
    match given {
        Some(token) if (32..=64).contains(&token.len()) && !token.contains(':') => Ok(token),
        Some(_) => Err(invalid_parameter("ClientRequestToken must be 32-64 characters long.")),
        None => {
            let hex = random_hex(32);
            Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
        }
    }
}

fn sealed_as(secret: &Secret, id: &str) -> String {
    format!("{}:{id}", secret.arn())
}

impl SecretVersion {
    /// Its value: `SecretString` and `SecretBinary` of responses, one of which is there.
    pub(super) fn shown(
        &self,
        context: &Context,
        secret: &Secret,
    ) -> Result<(Option<String>, Option<String>), ApiError> {
        let name = sealed_as(secret, &self.id);
        if self.binary {
            return Ok((None, Some(STANDARD.encode(self.value.open(&context.settings, &name)?))));
        }
        Ok((Some(self.value.open_text(&context.settings, &name)?), None))
    }
}

/// All versions of a secret.
pub(super) fn all(rows: &Snapshot, secret: &Secret) -> Vec<Arc<SecretVersion>> {
    rows.scan(&format!("{}:", secret.key())).collect()
}

/// The version with an id.
pub(super) fn by_id(rows: &Snapshot, secret: &Secret, id: &str) -> Option<Arc<SecretVersion>> {
    rows.get(&format!("{}:{id}", secret.key()))
}

/// The version with a stage.
pub(super) fn by_stage(rows: &Snapshot, secret: &Secret, stage: &str) -> Option<Arc<SecretVersion>> {
    all(rows, secret).into_iter().find(|version| version.stages.contains(stage))
}

/// Gives a stage to a version, which loses it elsewhere. Where AWSCURRENT leaves, AWSPREVIOUS comes.
pub(super) fn move_stage(rows: &mut Tx, secret: &Secret, stage: &str, to: &str) {
    let holder = by_stage(rows, secret, stage);
    if holder.as_ref().is_some_and(|holder| holder.id == to) {
        return;
    }
    if let Some(holder) = holder {
        let mut holder = (*holder).clone();
        holder.stages.remove(stage);
        let id = holder.id.clone();
        rows.put(holder);
        if stage == CURRENT {
            move_stage(rows, secret, PREVIOUS, &id);
        }
    }
    if let Some(version) = by_id(rows, secret, to) {
        let mut version = (*version).clone();
        version.stages.insert(stage.to_owned());
        // A version is not the current and the previous one.
        if stage == CURRENT {
            version.stages.remove(PREVIOUS);
        }
        rows.put(version);
    }
}

/// Makes a version with stages. A token that made a version before makes no other: with the same value nothing happens.
pub(super) fn add(
    rows: &mut Tx,
    context: &Context,
    secret: &Secret,
    id: &str,
    value: &Value,
    stages: &[String],
) -> Result<(), ApiError> {
    if let Some(before) = by_id(rows, secret, id) {
        let kept = before.value.open(&context.settings, &sealed_as(secret, id))?;
        if kept == value.bytes() && before.binary == matches!(value, Value::Bytes(_)) {
            return Ok(());
        }
        return Err(ApiError::new(
            "ResourceExistsException",
            format!(
                "You can't use ClientRequestToken {id} because that value is already in use for a version of secret {}.",
                secret.arn()
            ),
        ));
    }
    let first = all(rows, secret).is_empty();
    rows.put(SecretVersion {
        account: secret.account.clone(),
        region: secret.region.clone(),
        secret: secret.name.clone(),
        id: id.to_owned(),
        value: Sealed::seal(&context.settings, &sealed_as(secret, id), value.bytes())?,
        binary: matches!(value, Value::Bytes(_)),
        stages: BTreeSet::new(),
        created_at: context.now,
    });
    if first {
        move_stage(rows, secret, CURRENT, id);
    }
    for stage in stages {
        move_stage(rows, secret, stage, id);
    }
    let mut deprecated = all(rows, secret);
    let many = deprecated.len().saturating_sub(VERSIONS);
    deprecated.retain(|version| version.stages.is_empty());
    deprecated.sort_by_key(|version| version.created_at);
    for version in deprecated.into_iter().take(many) {
        rows.delete::<SecretVersion>(&version.key());
    }
    Ok(())
}
