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

/// Of reading and of deleting one.
pub(super) fn no_lifecycle_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    named(rows, context, "GetLifecyclePolicy", &request.repository_name)?;
    request.registry_id.check(context)?;
    Err(ApiError::new(
        "LifecyclePolicyNotFoundException",
        format!(
            "Lifecycle policy does not exist for the repository with name '{}' in the registry with id '{}'",
            request.repository_name, context.account
        ),
    ))
}

/// Of reading and of deleting one.
pub(super) fn no_repository_policy(
    rows: &Snapshot,
    context: &Context,
    request: ByName,
) -> Result<Done, ApiError> {
    named(rows, context, "GetRepositoryPolicy", &request.repository_name)?;
    request.registry_id.check(context)?;
    Err(ApiError::new(
        "RepositoryPolicyNotFoundException",
        format!(
            "Repository policy does not exist for the repository with name '{}' in the registry with id '{}'",
            request.repository_name, context.account
        ),
    ))
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
    Err(ApiError::unsupported("lifecycle policies of repositories (ecr:PutLifecyclePolicy): images would not expire"))
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
