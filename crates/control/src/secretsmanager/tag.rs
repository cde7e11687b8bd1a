//! `TagResource` and `UntagResource`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use store::{Snapshot, Tx};
use wire::ApiError;

use super::{Done, Tag, invalid_parameter, secret};
use crate::context::Context;
use crate::iam::Resource;

/// Sets tags in `all`: at most fifty in the end, no key twice in the request, none of AWS's own.
pub(super) fn set_tags(all: &mut BTreeMap<String, String>, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut given = BTreeSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid_parameter("A tag's key has 1 to 128 characters and its value at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_parameter("Tag keys that begin with 'aws:' are reserved for AWS."));
        }
        if !given.insert(key.clone()) {
            return Err(invalid_parameter(format!("The request has the tag key {key} twice.")));
        }
        all.insert(key, value);
    }
    if all.len() > 50 {
        return Err(invalid_parameter("A secret can have at most 50 tags."));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TagResource {
    secret_id: String,
    tags: Vec<Tag>,
}

pub(super) fn of_tag(rows: &Snapshot, context: &Context, request: &TagResource) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn tag_resource(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Done, ApiError> {
    let mut found = (*secret::live(rows, context, &request.secret_id)?).clone();
    set_tags(&mut found.tags, request.tags)?;
    found.changed_at = context.now;
    rows.put(found);
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UntagResource {
    secret_id: String,
    tag_keys: Vec<String>,
}

pub(super) fn of_untag(rows: &Snapshot, context: &Context, request: &UntagResource) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn untag_resource(
    rows: &mut Tx,
    context: &Context,
    request: UntagResource,
) -> Result<Done, ApiError> {
    let mut found = (*secret::live(rows, context, &request.secret_id)?).clone();
    found.tags.retain(|key, _| !request.tag_keys.contains(key));
    found.changed_at = context.now;
    rows.put(found);
    Ok(Done {})
}
