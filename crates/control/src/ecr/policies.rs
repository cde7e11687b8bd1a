//! Lifecycle and repository policies: no repository has one. They would have to expire images and let other accounts
//! in; until they do, writing one is refused.

use serde::Deserialize;
use store::Snapshot;
use wire::ApiError;

use super::RegistryId;
use super::repository::named;
use super::tags::Done;
use crate::context::Context;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ByName {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
}

/// The answer to reading and to deleting a policy that no repository has.
fn none(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    request: &ByName,
    (code, kind): (&'static str, &str),
) -> Result<Done, ApiError> {
    named(rows, context, action, &request.repository_name)?;
    request.registry_id.check(context)?;
    Err(ApiError::new(
        code,
        format!(
            "{kind} policy does not exist for the repository with name '{}' in the registry with id '{}'",
            request.repository_name, context.account
        ),
    ))
}

const LIFECYCLE: (&str, &str) = ("LifecyclePolicyNotFoundException", "Lifecycle");
const REPOSITORY: (&str, &str) = ("RepositoryPolicyNotFoundException", "Repository");

pub(super) fn get_lifecycle_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    none(rows, context, "GetLifecyclePolicy", &request, LIFECYCLE)
}

pub(super) fn delete_lifecycle_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    none(rows, context, "DeleteLifecyclePolicy", &request, LIFECYCLE)
}

pub(super) fn get_repository_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    none(rows, context, "GetRepositoryPolicy", &request, REPOSITORY)
}

pub(super) fn delete_repository_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    none(rows, context, "DeleteRepositoryPolicy", &request, REPOSITORY)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutLifecyclePolicy {
    #[serde(default, rename = "registryId")]
    _registry_id: RegistryId,
    repository_name: String,
    #[serde(rename = "lifecyclePolicyText")]
    _text: String,
}

pub(super) fn put_lifecycle_policy(
    rows: &Snapshot,
    context: &Context,
    request: PutLifecyclePolicy,
) -> Result<Done, ApiError> {
    named(rows, context, "PutLifecyclePolicy", &request.repository_name)?;
    Err(ApiError::unsupported(
        "lifecycle policies of repositories (ecr:PutLifecyclePolicy): images would not expire",
    ))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetRepositoryPolicy {
    #[serde(default, rename = "registryId")]
    _registry_id: RegistryId,
    repository_name: String,
    #[serde(rename = "policyText")]
    _text: String,
    #[serde(default, rename = "force")]
    _force: bool,
}

pub(super) fn set_repository_policy(
    rows: &Snapshot,
    context: &Context,
    request: SetRepositoryPolicy,
) -> Result<Done, ApiError> {
    named(rows, context, "SetRepositoryPolicy", &request.repository_name)?;
    Err(ApiError::unsupported(
        "policies of repositories (ecr:SetRepositoryPolicy): attach a policy to the role that pulls",
    ))
}
