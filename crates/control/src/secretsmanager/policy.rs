//! The policies that secrets have themselves. A policy that would not be honoured whole is refused.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::secret::{self, Secret};
use super::{Named, invalid_parameter};
use crate::context::{Context, Principal};
use crate::iam::policy::{Kind, Malformed, Policy};
use crate::iam::{self, Resource};

/// The longest document, in characters.
const LONGEST: usize = 20_480;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct BySecret {
    secret_id: String,
}

/// The secret whose policy is spoken of. The root user is not held by that policy: a policy that denies everything can be
/// taken away again.
fn resource(rows: &Snapshot, context: &Context, id: &str) -> Resource {
    let mut resource = secret::resource(rows, context, id);
    if context.principal == Principal::Root {
        resource.policy = None;
    }
    resource
}

pub(super) fn of_get(rows: &Snapshot, context: &Context, request: &BySecret) -> Vec<Resource> {
    vec![resource(rows, context, &request.secret_id)]
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourcePolicy {
    #[serde(flatten)]
    secret: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy: Option<String>,
}

pub(super) fn get_resource_policy(
    rows: &Snapshot,
    context: &Context,
    request: BySecret,
) -> Result<ResourcePolicy, ApiError> {
    let found = secret::live(rows, context, &request.secret_id)?;
    Ok(ResourcePolicy { secret: found.named(), resource_policy: found.policy.clone() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PutResourcePolicy {
    secret_id: String,
    resource_policy: String,
    #[serde(default)]
    block_public_policy: Option<bool>,
}

pub(super) fn of_put(rows: &Snapshot, context: &Context, request: &PutResourcePolicy) -> Vec<Resource> {
    vec![resource(rows, context, &request.secret_id)]
}

/// Reads a document.
fn read(rows: &Snapshot, document: &str) -> Result<Policy, ApiError> {
    if document.is_empty() || document.chars().count() > LONGEST {
        return Err(invalid_parameter("A resource policy has 1 to 20480 characters."));
    }
    let malformed = |message: String| ApiError::new("MalformedPolicyDocumentException", message);
    let policy = Policy::parse(document, Kind::Resource).map_err(|Malformed(message)| malformed(message))?;
    let is_role = |arn: &str| arn.starts_with("arn:aws:iam:");
    if policy.named_arns().any(|arn| is_role(arn) && iam::find_by_arn(rows, arn).is_none()) {
        return Err(malformed("This resource policy contains an unsupported principal.".to_owned()));
    }
    Ok(policy)
}

pub(super) fn put_resource_policy(
    rows: &mut Tx,
    context: &Context,
    request: PutResourcePolicy,
) -> Result<Named, ApiError> {
    let found = secret::live(rows, context, &request.secret_id)?;
    let policy = read(rows, &request.resource_policy)?;
    if request.block_public_policy.unwrap_or(false) && policy.is_public() {
        return Err(ApiError::new(
            "PublicPolicyException",
            "The resource policy was blocked because it allows broad access to the secret.",
        ));
    }
    let policy = Some(request.resource_policy);
    rows.put(Secret { policy, changed_at: context.now, ..(*found).clone() });
    Ok(found.named())
}

pub(super) fn of_delete(rows: &Snapshot, context: &Context, request: &BySecret) -> Vec<Resource> {
    vec![resource(rows, context, &request.secret_id)]
}

pub(super) fn delete_resource_policy(
    rows: &mut Tx,
    context: &Context,
    request: BySecret,
) -> Result<Named, ApiError> {
    let found = secret::live(rows, context, &request.secret_id)?;
    rows.put(Secret { policy: None, changed_at: context.now, ..(*found).clone() });
    Ok(found.named())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ValidateResourcePolicy {
    secret_id: Option<String>,
    resource_policy: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ValidationError {
    check_name: &'static str,
    error_message: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Validated {
    policy_validation_passed: bool,
    validation_errors: Vec<ValidationError>,
}

pub(super) fn of_validate(
    rows: &Snapshot,
    context: &Context,
    request: &ValidateResourcePolicy,
) -> Vec<Resource> {
    match &request.secret_id {
        Some(id) => vec![resource(rows, context, id)],
        None => vec![Resource::of("*")],
    }
}

pub(super) fn validate_resource_policy(
    rows: &Snapshot,
    context: &Context,
    request: ValidateResourcePolicy,
) -> Result<Validated, ApiError> {
    if let Some(id) = &request.secret_id {
        secret::live(rows, context, id)?;
    }
    let policy = read(rows, &request.resource_policy)?;
    let public = policy.is_public().then_some(ValidationError {
        check_name: "BlockPublicPolicy",
        error_message: "The resource policy allows broad access to the secret.",
    });
    let validation_errors: Vec<ValidationError> = public.into_iter().collect();
    Ok(Validated { policy_validation_passed: validation_errors.is_empty(), validation_errors })
}
