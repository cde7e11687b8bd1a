//! Roles: who may assume them, and what they bear.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Arn, Timestamp};
use wire::{ApiError, Empty, OnlyDefault};

use super::policy::{Kind, Policy};
use super::validate::{
    description, document, invalid_marker, listed_tags, name, page_size, path, session_duration, set_tags,
    unique_id, url_encoded,
};
use super::{Nothing, Tag, authorize_on, conflict, no_such_entity};
use crate::context::Context;
use crate::page::page;

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// The account.
    pub account: AccountId,
    /// Its name; unique in the account without regard to case.
    pub name: String,
    /// `/` or `/team/`.
    pub path: String,
    /// `AROA…`: another one when a role of the same name is made anew.
    pub id: String,
    /// The trust policy as it was written.
    pub trust: String,
    /// Free text.
    pub description: Option<String>,
    /// The longest session that AssumeRole gives, in seconds.
    pub max_session_duration: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Inline policies, by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of the attached managed policies.
    pub attached: BTreeSet<String>,
    /// The service that it is linked to; users cannot change such a role.
    pub service: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Role {
    /// Its ARN.
    pub fn arn(&self) -> Arn {
        Arn::new("iam", "", self.account.as_str(), format!("role{}{}", self.path, self.name))
    }

    /// A user's request to change it.
    pub(super) fn check_modifiable(&self) -> Result<(), ApiError> {
        match self.service {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                "UnmodifiableEntity",
                format!(
                    "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
                    self.name
                ),
            )),
        }
    }
}

pub(super) fn key(account: &AccountId, name: &str) -> String {
    format!("{account}/{}", name.to_ascii_lowercase())
}

impl Row for Role {
    const TABLE: &'static str = "iam_role";

    fn key(&self) -> String {
        key(&self.account, &self.name)
    }
}

/// The role of a name, if there is one.
pub fn find(rows: &Snapshot, account: &AccountId, name: &str) -> Option<std::sync::Arc<Role>> {
    rows.get::<Role>(&key(account, name)).filter(|role| role.name == name)
}

/// The role of an ARN, if there is one.
pub fn find_by_arn(rows: &Snapshot, arn: &str) -> Option<std::sync::Arc<Role>> {
    let parsed: Arn = arn.parse().ok()?;
    let name = parsed.resource.strip_prefix("role/")?.rsplit('/').next()?;
    find(rows, &AccountId::new(&parsed.account).ok()?, name).filter(|role| role.arn() == parsed)
}

/// The role that a request names: it must exist and the caller be allowed to do `action` on it.
pub(super) fn named(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    role_name: &str,
) -> Result<std::sync::Arc<Role>, ApiError> {
    let found = find(rows, &context.account, role_name);
    let arn = found.as_ref().map_or_else(
        || Arn::new("iam", "", context.account.as_str(), format!("role/{role_name}")),
        |role| role.arn(),
    );
    authorize_on(rows, context, action, &arn.to_string())?;
    name("roleName", role_name, 64)?;
    found.ok_or_else(|| no_such_entity(format!("The role with name {role_name} cannot be found.")))
}

/// Changes a role that a request names, unless it is a service's.
pub(super) fn change(
    rows: &mut Tx,
    context: &Context,
    action: &str,
    role_name: &str,
    with: impl FnOnce(&mut Role) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let mut role = (*named(rows, context, action, role_name)?).clone();
    role.check_modifiable()?;
    with(&mut role)?;
    rows.put(role);
    Ok(())
}

/// A trust policy whose principals exist.
fn trust(rows: &Snapshot, context: &Context, text: &str) -> Result<(), ApiError> {
    let policy: Policy = document(text, Kind::Trust, "ACLSizePerRole", 2048)?;
    for arn in policy.named_arns() {
        let ours = arn.parse::<Arn>().is_ok_and(|arn| arn.account == context.account.as_str());
        if ours && arn.contains(":role/") && find_by_arn(rows, arn).is_none() {
            return Err(ApiError::new(
                "MalformedPolicyDocument",
                format!("Invalid principal in policy: \"AWS\":\"{arn}\""),
            ));
        }
    }
    Ok(())
}

/// A role as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RoleShape {
    path: String,
    role_name: String,
    role_id: String,
    arn: String,
    create_date: String,
    assume_role_policy_document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    max_session_duration: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
    role_last_used: LastUsed,
}

/// Empty: Landfall does not note when a role was used.
#[derive(Debug, Serialize)]
struct LastUsed {}

impl From<&Role> for RoleShape {
    fn from(role: &Role) -> Self {
        Self {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn().to_string(),
            create_date: role.created_at.iso(),
            assume_role_policy_document: url_encoded(&role.trust),
            description: role.description.clone(),
            max_session_duration: role.max_session_duration,
            tags: listed_tags(&role.tags),
            role_last_used: LastUsed {},
        }
    }
}

/// A response with one role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneRole {
    pub(super) role: RoleShape,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateRole {
    role_name: String,
    assume_role_policy_document: String,
    path: Option<String>,
    description: Option<String>,
    max_session_duration: Option<u32>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "PermissionsBoundary")]
    _permissions_boundary: OnlyDefault<Empty>,
}

pub(super) fn create_role(
    rows: &mut Tx,
    context: &Context,
    request: CreateRole,
) -> Result<OneRole, ApiError> {
    let path = path(request.path)?;
    let arn = Arn::new("iam", "", context.account.as_str(), format!("role{path}{}", request.role_name));
    authorize_on(rows, context, "iam:CreateRole", &arn.to_string())?;
    name("roleName", &request.role_name, 64)?;
    if path.starts_with("/aws-service-role/") {
        return Err(ApiError::new(
            "ValidationError",
            "Path /aws-service-role/ is reserved for service-linked roles; use CreateServiceLinkedRole.",
        ));
    }
    trust(rows, context, &request.assume_role_policy_document)?;
    if rows.get::<Role>(&key(&context.account, &request.role_name)).is_some() {
        let message = format!("Role with name {} already exists.", request.role_name);
        return Err(conflict("EntityAlreadyExists", message));
    }
    let mut tags = BTreeMap::new();
    set_tags(&mut tags, request.tags)?;
    let role = rows.put(Role {
        account: context.account.clone(),
        name: request.role_name,
        path,
        id: unique_id("AROA", 17),
        trust: request.assume_role_policy_document,
        description: description(request.description)?.filter(|text| !text.is_empty()),
        max_session_duration: session_duration(request.max_session_duration)?,
        tags,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        service: None,
        created_at: context.now,
    });
    Ok(OneRole { role: RoleShape::from(&*role) })
}

/// A request that names a role.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ByName {
    role_name: String,
}

pub(super) fn get_role(rows: &Snapshot, context: &Context, request: ByName) -> Result<OneRole, ApiError> {
    let role = named(rows, context, "iam:GetRole", &request.role_name)?;
    Ok(OneRole { role: RoleShape::from(&*role) })
}

pub(super) fn delete_role(rows: &mut Tx, context: &Context, request: ByName) -> Result<Nothing, ApiError> {
    let role = named(rows, context, "iam:DeleteRole", &request.role_name)?;
    role.check_modifiable()?;
    if !role.attached.is_empty() {
        return Err(conflict("DeleteConflict", "Cannot delete entity, must detach all policies first."));
    }
    if !role.inline.is_empty() {
        return Err(conflict("DeleteConflict", "Cannot delete entity, must delete policies first."));
    }
    rows.delete::<Role>(&role.key());
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListRoles {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Roles {
    roles: Vec<RoleShape>,
    is_truncated: bool,
    marker: Option<String>,
}

pub(super) fn list_roles(rows: &Snapshot, context: &Context, request: ListRoles) -> Result<Roles, ApiError> {
    let prefix = request.path_prefix.unwrap_or_else(|| "/".to_owned());
    let resource = Arn::new("iam", "", context.account.as_str(), format!("role{prefix}"));
    authorize_on(rows, context, "iam:ListRoles", &resource.to_string())?;
    let account = format!("{}/", context.account);
    let found = rows.scan::<Role>(&account).filter(|role| role.path.starts_with(&prefix));
    let most = page_size(request.max_items)?;
    let page =
        page(found, |role| role.key(), Some(most), request.marker.as_deref()).map_err(invalid_marker)?;
    // "ListRoles … does not return … Tags": as on AWS, and neither the last use.
    let shape = |role: &std::sync::Arc<Role>| RoleShape { tags: Vec::new(), ..RoleShape::from(&**role) };
    Ok(Roles {
        roles: page.items.iter().map(shape).collect(),
        is_truncated: page.next_token.is_some(),
        marker: page.next_token,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateRole {
    role_name: String,
    description: Option<String>,
    max_session_duration: Option<u32>,
}

/// An empty result element, which this action has.
#[derive(Debug, Serialize)]
pub(super) struct Updated {}

pub(super) fn update_role(
    rows: &mut Tx,
    context: &Context,
    request: UpdateRole,
) -> Result<Updated, ApiError> {
    change(rows, context, "iam:UpdateRole", &request.role_name, |role| {
        if let Some(text) = description(request.description)? {
            role.description = Some(text).filter(|text| !text.is_empty());
        }
        if request.max_session_duration.is_some() {
            role.max_session_duration = session_duration(request.max_session_duration)?;
        }
        Ok(())
    })?;
    Ok(Updated {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateRoleDescription {
    role_name: String,
    description: String,
}

pub(super) fn update_role_description(
    rows: &mut Tx,
    context: &Context,
    request: UpdateRoleDescription,
) -> Result<OneRole, ApiError> {
    change(rows, context, "iam:UpdateRoleDescription", &request.role_name, |role| {
        role.description = description(Some(request.description))?.filter(|text| !text.is_empty());
        Ok(())
    })?;
    let role = named(rows, context, "iam:UpdateRoleDescription", &request.role_name)?;
    Ok(OneRole { role: RoleShape::from(&*role) })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateAssumeRolePolicy {
    role_name: String,
    policy_document: String,
}

pub(super) fn update_assume_role_policy(
    rows: &mut Tx,
    context: &Context,
    request: UpdateAssumeRolePolicy,
) -> Result<Nothing, ApiError> {
    let snapshot: &Snapshot = rows;
    named(snapshot, context, "iam:UpdateAssumeRolePolicy", &request.role_name)?;
    trust(snapshot, context, &request.policy_document)?;
    change(rows, context, "iam:UpdateAssumeRolePolicy", &request.role_name, |role| {
        role.trust = request.policy_document;
        Ok(())
    })?;
    Ok(None)
}
