//! Tags of namespaces and services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::{DiscoveryService, Done, Namespace, invalid};
use crate::Context;

/// The most tags of a resource.
const MOST: usize = 50;

/// A resource's tags by key.
pub type Tags = BTreeMap<String, String>;

/// A tag as requests and responses write it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    value: String,
}

/// Takes a request's tags.
///
/// # Errors
/// What AWS does not take as a tag, and too many.
pub(super) fn take(tags: Option<Vec<Tag>>) -> Result<Tags, ApiError> {
    let mut taken = Tags::new();
    for Tag { key, value } in tags.unwrap_or_default() {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("A tag's key has 1 to 128 characters and its value at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys that begin with 'aws:' are reserved for AWS."));
        }
        taken.insert(key, value);
    }
    few(&taken)?;
    Ok(taken)
}

fn few(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > MOST {
        return Err(ApiError::new(
            "TooManyTagsException",
            format!("The list of tags on the resource is over the quota of {MOST}."),
        ));
    }
    Ok(())
}

/// Changes the tags of a resource; none of such an ARN is an error.
fn change(
    rows: &mut Tx,
    context: &Context,
    arn: &str,
    change: impl FnOnce(&mut Tags),
) -> Result<Done, ApiError> {
    let missing = || not_found(arn);
    if let Some(mut namespace) = namespace(rows, context, arn) {
        change(&mut namespace.tags);
        few(&namespace.tags)?;
        rows.put(namespace);
        return Ok(Done {});
    }
    let mut service = service(rows, context, arn).ok_or_else(missing)?;
    change(&mut service.tags);
    few(&service.tags)?;
    rows.put(service);
    Ok(Done {})
}

fn not_found(arn: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("The resource {arn} can't be found."))
}

fn namespace(rows: &Snapshot, context: &Context, arn: &str) -> Option<Namespace> {
    let row = rows.get::<Namespace>(&context.key(super::id(arn, "namespace")))?;
    (row.arn() == arn).then(|| (*row).clone())
}

fn service(rows: &Snapshot, context: &Context, arn: &str) -> Option<DiscoveryService> {
    let row = rows.get::<DiscoveryService>(&context.key(super::id(arn, "service")))?;
    (row.arn() == arn).then(|| (*row).clone())
}

/// `TagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn add(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Done, ApiError> {
    let added = take(Some(request.tags))?;
    change(rows, context, &request.resource_arn, |tags| tags.extend(added))
}

/// `UntagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn remove(rows: &mut Tx, context: &Context, request: UntagResource) -> Result<Done, ApiError> {
    change(rows, context, &request.resource_arn, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))
}

/// `ListTagsForResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListTagsForResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagList {
    tags: Vec<Tag>,
}

pub(super) fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListTagsForResource,
) -> Result<TagList, ApiError> {
    let arn = request.resource_arn.as_str();
    let tags = namespace(rows, context, arn).map(|row| row.tags);
    let tags =
        tags.or_else(|| service(rows, context, arn).map(|row| row.tags)).ok_or_else(|| not_found(arn))?;
    Ok(TagList { tags: tags.into_iter().map(|(key, value)| Tag { key, value }).collect() })
}
