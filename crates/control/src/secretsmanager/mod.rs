//! The service `secretsmanager`: secrets, their versions and stages.
//!
//! There is no KMS: a secret is encrypted in the database ([`crate::sealed`]) under what AWS calls
//! `aws/secretsmanager`. Rotation and replication are not here; their actions are refused as unknown.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod batch;
mod create;
mod delete;
mod describe;
mod list;
mod policy;
mod random;
mod secret;
mod stage;
mod tag;
#[cfg(test)]
mod tests;
mod update;
mod value;
mod version;

use serde::{Deserialize, Serialize};
use store::{TableDef, table};
use wire::{ApiError, documented_default};

pub use delete::forget_deleted;
pub use secret::Secret;
pub use version::SecretVersion;

use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    read!(SecretsManager, BatchGetSecretValue, batch::batch_get_secret_value, on batch::of_batch),
    write!(SecretsManager, CreateSecret, create::create_secret, on create::of_create),
    write!(SecretsManager, DeleteResourcePolicy, policy::delete_resource_policy, on policy::of_delete),
    write!(SecretsManager, DeleteSecret, delete::delete_secret, on delete::of_delete),
    read!(SecretsManager, DescribeSecret, describe::describe_secret, on describe::of_describe),
    read!(SecretsManager, GetRandomPassword, random::get_random_password),
    read!(SecretsManager, GetResourcePolicy, policy::get_resource_policy, on policy::of_get),
    read!(SecretsManager, GetSecretValue, value::get_secret_value, on value::of_get),
    read!(SecretsManager, ListSecretVersionIds, list::list_secret_version_ids, on list::of_versions),
    read!(SecretsManager, ListSecrets, list::list_secrets),
    write!(SecretsManager, PutResourcePolicy, policy::put_resource_policy, on policy::of_put),
    write!(SecretsManager, PutSecretValue, value::put_secret_value, on value::of_put),
    write!(SecretsManager, RestoreSecret, delete::restore_secret, on delete::of_restore),
    write!(SecretsManager, TagResource, tag::tag_resource, on tag::of_tag),
    write!(SecretsManager, UntagResource, tag::untag_resource, on tag::of_untag),
    write!(SecretsManager, UpdateSecret, update::update_secret, on update::of_update),
    write!(SecretsManager, UpdateSecretVersionStage, stage::update_secret_version_stage, on stage::of_stage),
    read!(SecretsManager, ValidateResourcePolicy, policy::validate_resource_policy, on policy::of_validate),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[table::<Secret>(), table::<SecretVersion>()];

documented_default!(
    /// The key of AWS's own that a secret is encrypted with by default.
    OwnKey = "alias/aws/secretsmanager"
);

/// A tag of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// An empty document.
#[derive(Debug, Serialize)]
struct Done {}

/// The answer to many calls: which secret it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
}

fn invalid_parameter(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn invalid_request(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

/// How many items a page has: the most, or what the request says.
fn page_size(max_results: Option<i64>, most: usize) -> Result<usize, ApiError> {
    let Some(asked) = max_results else { return Ok(most) };
    usize::try_from(asked).ok().filter(|size| (1..=most).contains(size)).ok_or_else(|| {
        ApiError::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value '{asked}' at 'maxResults' failed to satisfy constraint: Member must \
                 have value between 1 and {most}"
            ),
        )
    })
}

fn invalid_token(_: crate::page::InvalidToken) -> ApiError {
    ApiError::new("InvalidNextTokenException", "The NextToken value is invalid.")
}
