//! Instance profiles: there are none, as there are no EC2 instances. Terraform asks before it deletes a role.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::role::named;
use super::validate::page_size;
use crate::context::Context;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListInstanceProfilesForRole {
    role_name: String,
    #[serde(rename = "Marker")]
    _marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstanceProfiles {
    instance_profiles: Vec<String>,
    is_truncated: bool,
}

pub(super) fn list_instance_profiles_for_role(
    rows: &Snapshot,
    context: &Context,
    request: ListInstanceProfilesForRole,
) -> Result<InstanceProfiles, ApiError> {
    named(rows, context, "iam:ListInstanceProfilesForRole", &request.role_name)?;
    page_size(request.max_items)?;
    Ok(InstanceProfiles { instance_profiles: Vec::new(), is_truncated: false })
}
