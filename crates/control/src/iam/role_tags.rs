//! A role's tags.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::role::{change, named};
use super::validate::{invalid_marker, listed_tags, page_size, set_tags};
use super::{Nothing, Tag};
use crate::context::Context;
use crate::page::page;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TagRole {
    role_name: String,
    tags: Vec<Tag>,
}

pub(super) fn tag_role(rows: &mut Tx, context: &Context, request: TagRole) -> Result<Nothing, ApiError> {
    change(rows, context, "iam:TagRole", &request.role_name, |role| set_tags(&mut role.tags, request.tags))?;
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UntagRole {
    role_name: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_role(rows: &mut Tx, context: &Context, request: UntagRole) -> Result<Nothing, ApiError> {
    change(rows, context, "iam:UntagRole", &request.role_name, |role| {
        role.tags.retain(|key, _| !request.tag_keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
        Ok(())
    })?;
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListRoleTags {
    role_name: String,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RoleTags {
    tags: Vec<Tag>,
    is_truncated: bool,
    marker: Option<String>,
}

pub(super) fn list_role_tags(
    rows: &Snapshot,
    context: &Context,
    request: ListRoleTags,
) -> Result<RoleTags, ApiError> {
    let role = named(rows, context, "iam:ListRoleTags", &request.role_name)?;
    let most = page_size(request.max_items)?;
    let page = page(listed_tags(&role.tags), |tag| tag.key.clone(), Some(most), request.marker.as_deref());
    let page = page.map_err(invalid_marker)?;
    Ok(RoleTags { tags: page.items, is_truncated: page.next_token.is_some(), marker: page.next_token })
}
