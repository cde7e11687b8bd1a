//! Tags of scalable targets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::target::{self, ScalableTarget};
use super::{Empty, MOST_TAGS, Tags, check_tags};
use crate::Context;

fn find(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<ScalableTarget>, ApiError> {
    target::by_arn(rows, context, arn).ok_or_else(|| {
        ApiError::new("ResourceNotFoundException", format!("The resource {arn} was not found."))
    })
}

/// `ListTagsForResource`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListTagsForResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagList {
    tags: Tags,
}

/// The tags of a target.
pub fn list(rows: &Snapshot, context: &Context, request: ListTagsForResource) -> Result<TagList, ApiError> {
    Ok(TagList { tags: find(rows, context, &request.resource_arn)?.tags.clone() })
}

/// `TagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Tags,
}

/// Adds tags, in the place of those with the same keys.
pub fn add(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Empty, ApiError> {
    let mut target = (*find(rows, context, &request.resource_arn)?).clone();
    check_tags(&request.tags)?;
    target.tags.extend(request.tags);
    if target.tags.len() > MOST_TAGS {
        return Err(ApiError::new(
            "TooManyTagsException",
            format!("A resource has at most {MOST_TAGS} tags."),
        ));
    }
    rows.put(target);
    Ok(Empty {})
}

/// `UntagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tag_keys: Vec<String>,
}

/// Takes tags away.
pub fn remove(rows: &mut Tx, context: &Context, request: UntagResource) -> Result<Empty, ApiError> {
    let mut target = (*find(rows, context, &request.resource_arn)?).clone();
    target.tags.retain(|key, _| !request.tag_keys.contains(key));
    rows.put(target);
    Ok(Empty {})
}
