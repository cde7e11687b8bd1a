//! Versions of managed policies.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::aws_managed;
use super::managed_policy::{MOST, Version, changed, not_found, own};
use super::policy::Kind;
use super::validate::{document, page_size, url_encoded};
use super::{Nothing, authorize_on, conflict, no_such_entity};
use crate::context::Context;

/// "Versions of a managed policy that can be stored".
const MOST_VERSIONS: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreatePolicyVersion {
    policy_arn: String,
    policy_document: String,
    #[serde(default)]
    set_as_default: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    version_id: String,
    is_default_version: bool,
    create_date: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneVersion {
    policy_version: VersionShape,
}

pub(super) fn create_policy_version(
    rows: &mut Tx,
    context: &Context,
    request: CreatePolicyVersion,
) -> Result<OneVersion, ApiError> {
    let mut policy = changed(rows, context, "iam:CreatePolicyVersion", &request.policy_arn)?;
    document(&request.policy_document, Kind::Identity, "PolicySize", MOST)?;
    if policy.versions.len() >= MOST_VERSIONS {
        return Err(conflict(
            "LimitExceeded",
            format!(
                "A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must \
                 delete an existing version."
            ),
        ));
    }
    let number = policy.next_version;
    policy.next_version += 1;
    policy.updated_at = context.now;
    if request.set_as_default {
        policy.default_version = number;
    }
    policy.versions.insert(number, Version { document: request.policy_document, created_at: context.now });
    rows.put(policy);
    Ok(OneVersion {
        policy_version: VersionShape {
            document: None,
            version_id: format!("v{number}"),
            is_default_version: request.set_as_default,
            create_date: context.now.iso(),
        },
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ByVersion {
    policy_arn: String,
    version_id: String,
}

fn no_version(request: &ByVersion) -> ApiError {
    no_such_entity(format!(
        "Policy {} version {} does not exist or is not attachable.",
        request.policy_arn, request.version_id
    ))
}

pub(super) fn delete_policy_version(
    rows: &mut Tx,
    context: &Context,
    request: ByVersion,
) -> Result<Nothing, ApiError> {
    let mut policy = changed(rows, context, "iam:DeletePolicyVersion", &request.policy_arn)?;
    let number = request.version_id.strip_prefix('v').and_then(|number| number.parse().ok());
    let number =
        number.filter(|number| policy.versions.contains_key(number)).ok_or_else(|| no_version(&request))?;
    if number == policy.default_version {
        return Err(conflict("DeleteConflict", "Cannot delete the default version of a policy."));
    }
    policy.versions.remove(&number);
    rows.put(policy);
    Ok(None)
}

pub(super) fn get_policy_version(
    rows: &Snapshot,
    context: &Context,
    request: ByVersion,
) -> Result<OneVersion, ApiError> {
    authorize_on(rows, context, "iam:GetPolicyVersion", &request.policy_arn)?;
    let versions = versions(rows, context, &request.policy_arn)?;
    let found = versions.into_iter().find(|version| version.version_id == request.version_id);
    Ok(OneVersion { policy_version: found.ok_or_else(|| no_version(&request))? })
}

/// All versions with their documents, the newest first.
fn versions(rows: &Snapshot, context: &Context, arn: &str) -> Result<Vec<VersionShape>, ApiError> {
    if let Some(policy) = own(rows, &context.account, arn) {
        let shape = |(number, version): (&u32, &Version)| VersionShape {
            document: Some(url_encoded(&version.document)),
            version_id: format!("v{number}"),
            is_default_version: *number == policy.default_version,
            create_date: version.created_at.iso(),
        };
        return Ok(policy.versions.iter().rev().map(shape).collect());
    }
    // Of AWS's policies only the version in force is known here.
    let found = aws_managed::find(arn).ok_or_else(|| not_found(arn))?;
    Ok(vec![VersionShape {
        document: Some(url_encoded(&found.document)),
        version_id: found.version,
        is_default_version: true,
        create_date: found.updated,
    }])
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListPolicyVersions {
    policy_arn: String,
    #[serde(rename = "Marker")]
    _marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Versions {
    versions: Vec<VersionShape>,
    is_truncated: bool,
}

pub(super) fn list_policy_versions(
    rows: &Snapshot,
    context: &Context,
    request: ListPolicyVersions,
) -> Result<Versions, ApiError> {
    authorize_on(rows, context, "iam:ListPolicyVersions", &request.policy_arn)?;
    page_size(request.max_items)?;
    // Five at most: always one page.
    let bare = |version: VersionShape| VersionShape { document: None, ..version };
    let versions = versions(rows, context, &request.policy_arn)?.into_iter().map(bare).collect();
    Ok(Versions { versions, is_truncated: false })
}
