//! Tags, and the three actions that every taggable resource of the service shares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::Arn;
use wire::ApiError;

use super::cluster::Cluster;
use super::service::Service;
use super::task::Task;
use super::task_definition::TaskDefinition;
use super::{Empty, client, invalid};
use crate::Context;

/// The most tags a resource may have ("Amazon ECS tag restrictions").
const MOST: usize = 50;

/// A resource's tags by key.
pub type Tags = BTreeMap<String, String>;

/// A tag as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value; may be absent.
    #[serde(default)]
    pub value: String,
}

/// Takes a request's tags.
///
/// # Errors
/// By the "tag restrictions" page: lengths, the reserved prefix, the number.
pub fn take(tags: Option<Vec<Tag>>) -> Result<Tags, ApiError> {
    let mut taken = Tags::new();
    for Tag { key, value } in tags.unwrap_or_default() {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!(
                "The tag '{key}' is invalid: a key has 1 to 128 characters, a value at most 256."
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("System tags cannot be added/updated by requester."));
        }
        if taken.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Duplicate tag keys found: {key}")));
        }
    }
    few(&taken)?;
    Ok(taken)
}

fn few(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > MOST {
        return Err(invalid(format!("The maximum number of tags is {MOST}.")));
    }
    Ok(())
}

/// Tags as a response writes them.
pub fn print(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// `ListTagsForResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTagsForResource {
    resource_arn: String,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct TagList {
    tags: Vec<Tag>,
}

/// The tags of a cluster, service, task or task definition.
pub fn list(rows: &Snapshot, context: &Context, request: ListTagsForResource) -> Result<TagList, ApiError> {
    let tags = match find(rows, context, &request.resource_arn)? {
        Tagged::Cluster(row) => print(&row.tags),
        Tagged::Service(row) => print(&row.tags),
        Tagged::Task(row) => print(&row.tags),
        Tagged::TaskDefinition(row) => print(&row.tags),
    };
    Ok(TagList { tags })
}

/// `TagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

/// Adds tags, in the place of those with the same keys.
pub fn add(rows: &mut Tx, context: &Context, request: TagResource) -> Result<Empty, ApiError> {
    let added = take(Some(request.tags))?;
    change(rows, context, &request.resource_arn, |tags| tags.extend(added))
}

/// `UntagResource`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

/// Takes tags away.
pub fn remove(rows: &mut Tx, context: &Context, request: UntagResource) -> Result<Empty, ApiError> {
    change(rows, context, &request.resource_arn, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))
}

/// A row that has tags.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Tagged {
    Cluster(Cluster),
    Service(Service),
    Task(Task),
    TaskDefinition(TaskDefinition),
}

fn find(rows: &Snapshot, context: &Context, arn: &str) -> Result<Tagged, ApiError> {
    let parsed: Arn = arn.parse().map_err(|_| invalid(format!("Invalid resource ARN: {arn}")))?;
    let own = parsed.service == "ecs"
        && parsed.region == context.region.as_str()
        && parsed.account == context.account.as_str();
    let (kind, name) = parsed.resource.split_once('/').unwrap_or_default();
    let key = context.key(name);
    let found = match kind {
        _ if !own => None,
        "cluster" => rows.get::<Cluster>(&key).map(|row| Tagged::Cluster((*row).clone())),
        "service" => rows.get::<Service>(&key).map(|row| Tagged::Service((*row).clone())),
        "task" => rows.get::<Task>(&key).map(|row| Tagged::Task((*row).clone())),
        "task-definition" => {
            super::task_definition::find(rows, context, arn).map(|row| Tagged::TaskDefinition((*row).clone()))
        }
        _ => return Err(invalid(format!("Invalid resource ARN: {arn}"))),
    };
    // The service says so of clusters in a code of its own; for the others it is a client's error.
    found.ok_or_else(|| match kind {
        "cluster" => super::cluster::not_found(),
        _ => client("The specified resource was not found."),
    })
}

fn change(
    rows: &mut Tx,
    context: &Context,
    arn: &str,
    change: impl FnOnce(&mut Tags),
) -> Result<Empty, ApiError> {
    let mut found = find(rows, context, arn)?;
    let tags = match &mut found {
        Tagged::Cluster(row) => &mut row.tags,
        Tagged::Service(row) => &mut row.tags,
        Tagged::Task(row) => &mut row.tags,
        Tagged::TaskDefinition(row) => &mut row.tags,
    };
    change(tags);
    few(tags)?;
    match found {
        Tagged::Cluster(row) => drop(rows.put(row)),
        Tagged::Service(row) => drop(rows.put(row)),
        Tagged::Task(row) => drop(rows.put(row)),
        Tagged::TaskDefinition(row) => drop(rows.put(row)),
    }
    Ok(Empty {})
}
