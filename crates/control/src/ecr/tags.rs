//! A repository's tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::Tag;
use super::repository::{named, not_found};
use crate::context::Context;

/// Sets tags in `all`: at most fifty in the end, no key twice in the request, none of AWS's own.
pub(super) fn set_tags(all: &mut BTreeMap<String, String>, tags: Vec<Tag>) -> Result<(), ApiError> {
    let refused = |message: &str| Err(ApiError::new("InvalidTagParameterException", message));
    let mut given = std::collections::BTreeSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return refused("A tag's key has 1 to 128 characters and its value at most 256.");
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return refused("Tag keys that begin with 'aws:' are reserved for AWS.");
        }
        if !given.insert(key.clone()) {
            return refused("The request has a tag key twice.");
        }
        all.insert(key, value);
    }
    if all.len() > 50 {
        return Err(ApiError::new("TooManyTagsException", "A repository can have at most 50 tags."));
    }
    Ok(())
}

/// The name of the repository of an ARN in the caller's account and region.
fn name_of(context: &Context, arn: &str) -> Result<String, ApiError> {
    let parsed: Result<types::Arn, _> = arn.parse();
    let name = parsed.ok().filter(|arn| arn.service == "ecr").and_then(|arn| {
        let name = arn.resource.strip_prefix("repository/")?.to_owned();
        Some((name, arn))
    });
    match name {
        None => Err(ApiError::new(
            "InvalidParameterException",
            format!("Invalid parameter at 'resourceArn': '{arn}'"),
        )),
        Some((name, arn))
            if arn.account == context.account.as_str() && arn.region == context.region.as_str() =>
        {
            Ok(name)
        }
        Some((name, _)) => Err(not_found(context, &name)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListTagsForResource {
    resource_arn: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Tags {
    tags: Vec<Tag>,
}

pub(super) fn list_tags_for_resource(
    rows: &Snapshot,
    context: &Context,
    request: ListTagsForResource,
) -> Result<Tags, ApiError> {
    let name = name_of(context, &request.resource_arn)?;
    let repository = named(rows, context, "ListTagsForResource", &name)?;
    let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
    Ok(Tags { tags: repository.tags.iter().map(tag).collect() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

/// An empty document.
#[derive(Debug, Serialize)]
pub(super) struct Done {}

pub(super) fn tag_resource(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Done, ApiError> {
    let name = name_of(context, &request.resource_arn)?;
    let mut repository = (*named(rows, context, "TagResource", &name)?).clone();
    set_tags(&mut repository.tags, request.tags)?;
    rows.put(repository);
    Ok(Done {})
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
    let name = name_of(context, &request.resource_arn)?;
    let mut repository = (*named(rows, context, "UntagResource", &name)?).clone();
    repository.tags.retain(|key, _| !request.tag_keys.contains(key));
    rows.put(repository);
    Ok(Done {})
}
