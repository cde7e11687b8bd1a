//! Tags of alarms.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::alarm::MetricAlarm;
use super::{Empty, invalid};
use crate::Context;
use crate::iam::Resource;

/// The most tags of an alarm.
const MOST: usize = 50;

/// A resource's tags by key.
pub type Tags = BTreeMap<String, String>;

/// A tag as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    key: String,
    value: String,
}

/// Takes a request's tags.
///
/// # Errors
/// By the page "Tag": lengths, the reserved prefix, the number, one key twice.
pub fn take(tags: Vec<Tag>) -> Result<Tags, ApiError> {
    let mut taken = Tags::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!(
                "The tag {key} is invalid: a key has 1 to 128 characters, a value at most 256."
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
        }
        if taken.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Duplicate tag keys found: {key}")));
        }
    }
    few(&taken)?;
    Ok(taken)
}

fn few(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > MOST {
        return Err(invalid(format!("The number of tags exceeds the limit of {MOST}.")));
    }
    Ok(())
}

fn find(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<MetricAlarm>, ApiError> {
    let prefix = context.arn("cloudwatch", "alarm:").to_string();
    if !arn.starts_with("arn:") {
        return Err(invalid(format!("The value {arn} for parameter ResourceARN is invalid.")));
    }
    let name = arn.strip_prefix(&prefix);
    name.and_then(|name| rows.get::<MetricAlarm>(&context.key(name))).ok_or_else(|| {
        ApiError::new("ResourceNotFoundException", format!("Unknown resource: {arn}"))
            .with_status(http::StatusCode::NOT_FOUND)
    })
}

/// `ListTagsForResource`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListTagsForResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagList {
    tags: Vec<Tag>,
}

/// What [`list`] acts on.
pub(super) fn of_list(_: &Snapshot, _: &Context, request: &ListTagsForResource) -> Vec<Resource> {
    vec![Resource::of(&request.resource_arn)]
}

/// The tags of an alarm.
pub fn list(rows: &Snapshot, context: &Context, request: ListTagsForResource) -> Result<TagList, ApiError> {
    let alarm = find(rows, context, &request.resource_arn)?;
    let tags = alarm.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
    Ok(TagList { tags: tags.collect() })
}

/// `TagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// What [`add`] acts on.
pub(super) fn of_add(_: &Snapshot, _: &Context, request: &TagResource) -> Vec<Resource> {
    vec![Resource::of(&request.resource_arn)]
}

/// Adds tags, in the place of those with the same keys.
pub fn add(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Empty, ApiError> {
    let mut alarm = (*find(rows, context, &request.resource_arn)?).clone();
    alarm.tags.extend(take(request.tags)?);
    few(&alarm.tags)?;
    rows.put(alarm);
    Ok(Empty {})
}

/// `UntagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// What [`remove`] acts on.
pub(super) fn of_remove(_: &Snapshot, _: &Context, request: &UntagResource) -> Vec<Resource> {
    vec![Resource::of(&request.resource_arn)]
}

/// Takes tags away.
pub fn remove(rows: &mut Tx, context: &Context, request: UntagResource) -> Result<Empty, ApiError> {
    let mut alarm = (*find(rows, context, &request.resource_arn)?).clone();
    alarm.tags.retain(|key, _| !request.tag_keys.contains(key));
    rows.put(alarm);
    Ok(Empty {})
}
