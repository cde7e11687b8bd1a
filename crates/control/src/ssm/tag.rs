//! Tags of parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::parameter::{Parameter, named};
use super::{Done, Tag, invalid, name};
use crate::context::Context;
use crate::iam::Resource;

/// The most tags of a parameter.
const TAGS: usize = 50;

/// Sets tags in `all`: at most fifty in the end, no key twice in the request, none of AWS's own.
pub(super) fn set_tags(all: &mut BTreeMap<String, String>, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut given = BTreeSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("A tag's key has 1 to 128 characters and its value at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys that begin with 'aws:' are reserved for AWS."));
        }
        if !given.insert(key.clone()) {
            return Err(invalid(format!("Duplicate tag key: {key}.")));
        }
        all.insert(key, value);
    }
    if all.len() > TAGS {
        return Err(ApiError::new(
            "TooManyTagsError",
            "The Targets parameter includes too many tags. Remove one or more tags and try the command again.",
        ));
    }
    Ok(())
}

/// The parameter that a request names as a resource.
fn resource(rows: &Snapshot, context: &Context, kind: &str, id: &str) -> Result<Arc<Parameter>, ApiError> {
    if kind != "Parameter" {
        return Err(ApiError::new(
            "InvalidResourceType",
            format!(
                "The ResourceType {kind} is not supported by Landfall, which tags parameters (Parameter)."
            ),
        ));
    }
    named(rows, context, id).map_err(|_| {
        ApiError::new(
            "InvalidResourceId",
            "The resource ID is not valid. Verify that you entered the correct ID and try again.",
        )
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct AddTagsToResource {
    resource_type: String,
    resource_id: String,
    tags: Vec<Tag>,
}

pub(super) fn of_add(_: &Snapshot, context: &Context, request: &AddTagsToResource) -> Vec<Resource> {
    vec![name::resource(context, &request.resource_id)]
}

pub(super) fn add_tags_to_resource(
    rows: &mut Tx,
    context: &Context,
    request: AddTagsToResource,
) -> Result<Done, ApiError> {
    let found = resource(rows, context, &request.resource_type, &request.resource_id)?;
    let mut parameter = (*found).clone();
    set_tags(&mut parameter.tags, request.tags)?;
    rows.put(parameter);
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RemoveTagsFromResource {
    resource_type: String,
    resource_id: String,
    tag_keys: Vec<String>,
}

pub(super) fn of_remove(_: &Snapshot, context: &Context, request: &RemoveTagsFromResource) -> Vec<Resource> {
    vec![name::resource(context, &request.resource_id)]
}

pub(super) fn remove_tags_from_resource(
    rows: &mut Tx,
    context: &Context,
    request: RemoveTagsFromResource,
) -> Result<Done, ApiError> {
    let found = resource(rows, context, &request.resource_type, &request.resource_id)?;
    let mut parameter = (*found).clone();
    parameter.tags.retain(|key, _| !request.tag_keys.contains(key));
    rows.put(parameter);
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListTagsForResource {
    resource_type: String,
    resource_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tags {
    tag_list: Vec<Tag>,
}

pub(super) fn of_list(_: &Snapshot, context: &Context, request: &ListTagsForResource) -> Vec<Resource> {
    vec![name::resource(context, &request.resource_id)]
}

pub(super) fn list_tags_for_resource(
    rows: &Snapshot,
    context: &Context,
    request: ListTagsForResource,
) -> Result<Tags, ApiError> {
    let parameter = resource(rows, context, &request.resource_type, &request.resource_id)?;
    let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
    Ok(Tags { tag_list: parameter.tags.iter().map(tag).collect() })
}
