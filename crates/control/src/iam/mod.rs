//! The service `iam`: roles and what they may do. Users come later; the account's root key pair calls until then.
//!
//! `policy` decides, `access` asks it for a caller; the other files are a resource each.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod access;
mod attachment;
mod aws_managed;
mod inline_policy;
mod instance_profile;
mod managed_policy;
pub mod policy;
mod policy_tags;
mod policy_version;
mod role;
mod role_tags;
pub mod service_linked_role;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod user;
mod validate;
#[cfg(test)]
mod vpc_endpoint_tests;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{TableDef, table};
use wire::ApiError;

pub(crate) use access::keys;
pub use access::{
    Asker, Denied, Resource, authorize, authorize_each, authorize_on, check, check_endpoint, check_identity,
    check_resource, endpoint_allows_object,
};
pub use managed_policy::ManagedPolicy;
pub use role::{Role, find, find_by_arn};
pub(crate) use validate::{name as check_name, unique_id};

use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Iam, AttachRolePolicy, attachment::attach_role_policy),
    write!(Iam, CreateAccessKey, user::create_access_key),
    write!(Iam, CreatePolicy, managed_policy::create_policy),
    write!(Iam, CreatePolicyVersion, policy_version::create_policy_version),
    write!(Iam, CreateRole, role::create_role),
    write!(Iam, CreateServiceLinkedRole, service_linked_role::create_service_linked_role),
    write!(Iam, CreateUser, user::create_user),
    write!(Iam, DeletePolicy, managed_policy::delete_policy),
    write!(Iam, DeletePolicyVersion, policy_version::delete_policy_version),
    write!(Iam, DeleteRole, role::delete_role),
    write!(Iam, DeleteRolePolicy, inline_policy::delete_role_policy),
    write!(Iam, DetachRolePolicy, attachment::detach_role_policy),
    read!(Iam, GetPolicy, managed_policy::get_policy),
    read!(Iam, GetPolicyVersion, policy_version::get_policy_version),
    read!(Iam, GetRole, role::get_role),
    read!(Iam, GetRolePolicy, inline_policy::get_role_policy),
    read!(Iam, ListAttachedRolePolicies, attachment::list_attached_role_policies),
    read!(Iam, ListInstanceProfilesForRole, instance_profile::list_instance_profiles_for_role),
    read!(Iam, ListPolicies, managed_policy::list_policies),
    read!(Iam, ListPolicyVersions, policy_version::list_policy_versions),
    read!(Iam, ListRolePolicies, inline_policy::list_role_policies),
    read!(Iam, ListRoles, role::list_roles),
    read!(Iam, ListRoleTags, role_tags::list_role_tags),
    write!(Iam, PutRolePolicy, inline_policy::put_role_policy),
    write!(Iam, TagPolicy, policy_tags::tag_policy),
    write!(Iam, TagRole, role_tags::tag_role),
    write!(Iam, UntagPolicy, policy_tags::untag_policy),
    write!(Iam, UntagRole, role_tags::untag_role),
    write!(Iam, UpdateAssumeRolePolicy, role::update_assume_role_policy),
    write!(Iam, UpdateRole, role::update_role),
    write!(Iam, UpdateRoleDescription, role::update_role_description),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[table::<Role>(), table::<ManagedPolicy>()];

/// The response of an action that answers with nothing but its request id.
type Nothing = Option<()>;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    #[serde(default)]
    pub value: String,
}

fn no_such_entity(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntity", message).with_status(StatusCode::NOT_FOUND)
}

fn conflict(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message).with_status(StatusCode::CONFLICT)
}
