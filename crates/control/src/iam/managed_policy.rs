//! Managed policies: the account's own, with their versions, and AWS's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Arn, Timestamp};
use wire::ApiError;

use super::aws_managed;
use super::policy::Kind;
use super::role::Role;
use super::validate::{
    description, document, invalid_marker, listed_tags, name, page_size, path, set_tags, unique_id,
};
use super::{Nothing, Tag, authorize_on, conflict, no_such_entity};
use crate::context::Context;
use crate::page::page;

/// "Managed policy size", white space aside.
pub(super) const MOST: usize = 6144;

/// A managed policy of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// The account.
    pub account: AccountId,
    /// Its name; unique in the account without regard to case.
    pub name: String,
    /// `/` or `/team/`.
    pub path: String,
    /// `ANPA…`
    pub id: String,
    /// Free text.
    pub description: Option<String>,
    /// Its documents by version number.
    pub versions: BTreeMap<u32, Version>,
    /// The version in force.
    pub default_version: u32,
    /// The number of the next version.
    pub next_version: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a version was made last.
    pub updated_at: Timestamp,
}

/// A version of a managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// The document as it was written.
    pub document: String,
    /// When.
    pub created_at: Timestamp,
}

impl ManagedPolicy {
    fn arn(&self) -> String {
        format!("arn:aws:iam::{}:policy{}{}", self.account, self.path, self.name)
    }
}

fn key(account: &AccountId, name: &str) -> String {
    format!("{account}/{}", name.to_ascii_lowercase())
}

impl Row for ManagedPolicy {
    const TABLE: &'static str = "iam_policy";

    fn key(&self) -> String {
        key(&self.account, &self.name)
    }
}

/// The account's own policy of an ARN.
pub(super) fn own(rows: &Snapshot, account: &AccountId, arn: &str) -> Option<ManagedPolicy> {
    let name = arn.rsplit('/').next()?;
    rows.get::<ManagedPolicy>(&key(account, name))
        .filter(|policy| policy.arn() == arn)
        .map(|row| (*row).clone())
}

/// The policy of an ARN, the account's or AWS's, with its document in force.
pub(super) fn lookup(rows: &Snapshot, account: &AccountId, arn: &str) -> Option<Found> {
    own(rows, account, arn).map(Found::from).or_else(|| aws_managed::find(arn))
}

/// A managed policy, whoever made it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) version: String,
    pub(super) document: String,
    pub(super) created: String,
    pub(super) updated: String,
    pub(super) tags: BTreeMap<String, String>,
}

impl From<ManagedPolicy> for Found {
    fn from(policy: ManagedPolicy) -> Self {
        let document = policy.versions.get(&policy.default_version).map(|version| version.document.clone());
        Self {
            arn: policy.arn(),
            name: policy.name,
            path: policy.path,
            id: policy.id,
            description: policy.description,
            version: format!("v{}", policy.default_version),
            document: document.unwrap_or_default(),
            created: policy.created_at.iso(),
            updated: policy.updated_at.iso(),
            tags: policy.tags,
        }
    }
}

fn attachments<'a>(rows: &'a Snapshot, account: &AccountId, arn: &'a str) -> usize {
    let prefix = format!("{account}/");
    rows.scan::<Role>(&prefix).filter(|role| role.attached.contains(arn)).count()
}

pub(super) fn not_found(arn: &str) -> ApiError {
    no_such_entity(format!("Policy {arn} was not found."))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyShape {
    policy_name: String,
    policy_id: String,
    arn: String,
    path: String,
    default_version_id: String,
    attachment_count: usize,
    permissions_boundary_usage_count: usize,
    is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    create_date: String,
    update_date: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

impl PolicyShape {
    fn of(rows: &Snapshot, account: &AccountId, policy: Found) -> Self {
        Self {
            attachment_count: attachments(rows, account, &policy.arn),
            permissions_boundary_usage_count: 0,
            is_attachable: true,
            policy_name: policy.name,
            policy_id: policy.id,
            path: policy.path,
            default_version_id: policy.version,
            description: policy.description,
            create_date: policy.created,
            update_date: policy.updated,
            tags: listed_tags(&policy.tags),
            arn: policy.arn,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OnePolicy {
    policy: PolicyShape,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreatePolicy {
    policy_name: String,
    policy_document: String,
    path: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn create_policy(
    rows: &mut Tx,
    context: &Context,
    request: CreatePolicy,
) -> Result<OnePolicy, ApiError> {
    let path = path(request.path)?;
    let arn = Arn::new("iam", "", context.account.as_str(), format!("policy{path}{}", request.policy_name));
    authorize_on(rows, context, "iam:CreatePolicy", &arn.to_string())?;
    name("policyName", &request.policy_name, 128)?;
    document(&request.policy_document, Kind::Identity, "PolicySize", MOST)?;
    if rows.get::<ManagedPolicy>(&key(&context.account, &request.policy_name)).is_some() {
        let message = format!(
            "A policy called {} already exists. Duplicate names are not allowed.",
            request.policy_name
        );
        return Err(conflict("EntityAlreadyExists", message));
    }
    let mut tags = BTreeMap::new();
    set_tags(&mut tags, request.tags)?;
    let version = Version { document: request.policy_document, created_at: context.now };
    let policy = ManagedPolicy {
        account: context.account.clone(),
        name: request.policy_name,
        path,
        id: unique_id("ANPA", 17),
        description: description(request.description)?.filter(|text| !text.is_empty()),
        versions: BTreeMap::from([(1, version)]),
        default_version: 1,
        next_version: 2,
        tags,
        created_at: context.now,
        updated_at: context.now,
    };
    rows.put(policy.clone());
    Ok(OnePolicy { policy: PolicyShape::of(rows, &context.account, Found::from(policy)) })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ByArn {
    policy_arn: String,
}

pub(super) fn get_policy(rows: &Snapshot, context: &Context, request: ByArn) -> Result<OnePolicy, ApiError> {
    authorize_on(rows, context, "iam:GetPolicy", &request.policy_arn)?;
    let found = lookup(rows, &context.account, &request.policy_arn);
    let found = found.ok_or_else(|| not_found(&request.policy_arn))?;
    Ok(OnePolicy { policy: PolicyShape::of(rows, &context.account, found) })
}

/// The account's own policy that a changing request names.
pub(super) fn changed(
    rows: &Tx,
    context: &Context,
    action: &str,
    arn: &str,
) -> Result<ManagedPolicy, ApiError> {
    authorize_on(rows, context, action, arn)?;
    if aws_managed::find(arn).is_some() {
        return Err(ApiError::new(
            "AccessDenied",
            format!("Policy {arn} is managed by AWS and cannot be changed."),
        )
        .with_status(http::StatusCode::FORBIDDEN));
    }
    own(rows, &context.account, arn).ok_or_else(|| not_found(arn))
}

pub(super) fn delete_policy(rows: &mut Tx, context: &Context, request: ByArn) -> Result<Nothing, ApiError> {
    let policy = changed(rows, context, "iam:DeletePolicy", &request.policy_arn)?;
    if attachments(rows, &context.account, &request.policy_arn) > 0 {
        return Err(conflict("DeleteConflict", "Cannot delete a policy attached to entities."));
    }
    if policy.versions.len() > 1 {
        return Err(conflict(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy.",
        ));
    }
    rows.delete::<ManagedPolicy>(&policy.key());
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
enum PolicyScope {
    #[default]
    All,
    #[serde(rename = "AWS")]
    Aws,
    Local,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListPolicies {
    #[serde(default)]
    scope: PolicyScope,
    #[serde(default)]
    only_attached: bool,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Policies {
    policies: Vec<PolicyShape>,
    is_truncated: bool,
    marker: Option<String>,
}

pub(super) fn list_policies(
    rows: &Snapshot,
    context: &Context,
    request: ListPolicies,
) -> Result<Policies, ApiError> {
    let prefix = request.path_prefix.unwrap_or_else(|| "/".to_owned());
    let resource = format!("arn:aws:iam::{}:policy{prefix}", context.account);
    authorize_on(rows, context, "iam:ListPolicies", &resource)?;
    let account = format!("{}/", context.account);
    let mut found = Vec::new();
    if request.scope != PolicyScope::Aws {
        found.extend(rows.scan::<ManagedPolicy>(&account).map(|policy| Found::from((*policy).clone())));
    }
    if request.scope != PolicyScope::Local {
        found.extend(aws_managed::all());
    }
    found.retain(|policy| {
        policy.path.starts_with(&prefix)
            && (!request.only_attached || attachments(rows, &context.account, &policy.arn) > 0)
    });
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    let most = page_size(request.max_items)?;
    let page = page(found, |policy| policy.arn.clone(), Some(most), request.marker.as_deref());
    let page = page.map_err(invalid_marker)?;
    // "ListPolicies … does not return … Description and Tags": as on AWS.
    let shape = |policy: Found| PolicyShape {
        description: None,
        tags: Vec::new(),
        ..PolicyShape::of(rows, &context.account, policy)
    };
    Ok(Policies {
        policies: page.items.into_iter().map(shape).collect(),
        is_truncated: page.next_token.is_some(),
        marker: page.next_token,
    })
}
