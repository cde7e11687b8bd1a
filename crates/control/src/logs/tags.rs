//! Tags of log groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::group::{self, LogGroup};
use super::{Done, group_missing, invalid};
use crate::context::Context;

/// Sets tags in `all`: at most fifty in the end, none of AWS's own.
pub(super) fn set(
    all: &mut BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
) -> Result<(), ApiError> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("A tag's key has 1 to 128 characters and its value at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys that begin with 'aws:' are reserved for AWS."));
        }
        all.insert(key, value);
    }
    if all.len() > 50 {
        return Err(ApiError::new("TooManyTagsException", "A log group can have at most 50 tags."));
    }
    Ok(())
}

/// The group of an ARN, with or without `:*` behind it; whether the caller may do `logs:<action>` on it is asked before.
fn of_arn(rows: &Snapshot, context: &Context, action: &str, arn: &str) -> Result<Arc<LogGroup>, ApiError> {
    let own = context.arn("logs", "log-group:").to_string();
    let bare = arn.strip_suffix(":*").unwrap_or(arn);
    // Policies for tags name the group without `:*`.
    crate::iam::authorize_on(rows, context, &format!("logs:{action}"), bare)?;
    if !arn.starts_with("arn:") || !arn.contains(":log-group:") {
        return Err(invalid(format!("The ARN '{arn}' is not that of a log group.")));
    }
    group::get(rows, context, bare.strip_prefix(&own).ok_or_else(group_missing)?)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListTagsForResource {
    resource_arn: String,
}

#[derive(Debug, Serialize)]
pub(super) struct TagsOf {
    tags: BTreeMap<String, String>,
}

pub(super) fn list_tags_for_resource(
    rows: &Snapshot,
    context: &Context,
    request: ListTagsForResource,
) -> Result<TagsOf, ApiError> {
    let group = of_arn(rows, context, "ListTagsForResource", &request.resource_arn)?;
    Ok(TagsOf { tags: group.tags.clone() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TagResource {
    resource_arn: String,
    tags: BTreeMap<String, String>,
}

pub(super) fn tag_resource(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Done, ApiError> {
    let group = of_arn(rows, context, "TagResource", &request.resource_arn)?;
    tag(rows, &group, request.tags)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_resource(
    rows: &mut Tx,
    context: &Context,
    request: UntagResource,
) -> Result<Done, ApiError> {
    let group = of_arn(rows, context, "UntagResource", &request.resource_arn)?;
    Ok(untag(rows, &group, &request.tag_keys))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListTagsLogGroup {
    log_group_name: String,
}

pub(super) fn list_tags_log_group(
    rows: &Snapshot,
    context: &Context,
    request: ListTagsLogGroup,
) -> Result<TagsOf, ApiError> {
    let group = of_name(rows, context, "ListTagsLogGroup", &request.log_group_name)?;
    Ok(TagsOf { tags: group.tags.clone() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TagLogGroup {
    log_group_name: String,
    tags: BTreeMap<String, String>,
}

pub(super) fn tag_log_group(
    rows: &mut Tx,
    context: &Context,
    request: TagLogGroup,
) -> Result<Done, ApiError> {
    let group = of_name(rows, context, "TagLogGroup", &request.log_group_name)?;
    tag(rows, &group, request.tags)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UntagLogGroup {
    log_group_name: String,
    tags: Vec<String>,
}

pub(super) fn untag_log_group(
    rows: &mut Tx,
    context: &Context,
    request: UntagLogGroup,
) -> Result<Done, ApiError> {
    let group = of_name(rows, context, "UntagLogGroup", &request.log_group_name)?;
    Ok(untag(rows, &group, &request.tags))
}

fn of_name(rows: &Snapshot, context: &Context, action: &str, name: &str) -> Result<Arc<LogGroup>, ApiError> {
    super::allowed(rows, context, action, name)?;
    group::get(rows, context, name)
}

fn tag(rows: &mut Tx, group: &LogGroup, tags: BTreeMap<String, String>) -> Result<Done, ApiError> {
    let mut changed = group.clone();
    set(&mut changed.tags, tags)?;
    rows.put(changed);
    Ok(Done {})
}

fn untag(rows: &mut Tx, group: &LogGroup, keys: &[String]) -> Done {
    let mut changed = group.clone();
    changed.tags.retain(|key, _| !keys.contains(key));
    rows.put(changed);
    Done {}
}
