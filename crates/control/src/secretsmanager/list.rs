//! `ListSecrets` and `ListSecretVersionIds`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::ApiError;

use super::describe::{SecretShape, Stages, stages};
use super::secret::{self, Secret};
use super::{invalid_parameter, invalid_token, page_size, version};
use crate::context::Context;
use crate::iam::Resource;
use crate::page::page;

/// A filter ("Filter", AWS Secrets Manager API reference).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Filter {
    key: FilterKey,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FilterKey {
    Description,
    Name,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
}

pub(super) fn check(filters: &[Filter]) -> Result<(), ApiError> {
    if filters.len() > 10 || filters.iter().any(|filter| !(1..=10).contains(&filter.values.len())) {
        return Err(invalid_parameter("There can be at most 10 filters, each with 1 to 10 values."));
    }
    Ok(())
}

/// Whether a text begins with another.
fn begins(text: &str, wanted: &str) -> bool {
    text.starts_with(wanted)
}

/// Whether a word of a text begins with another, without regard to case.
fn word(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    let parts = text.split(|c: char| !c.is_alphanumeric());
    text.starts_with(&wanted) || parts.into_iter().any(|part| part.starts_with(&wanted))
}

impl FilterKey {
    fn finds(self, secret: &Secret, wanted: &str) -> bool {
        let description = secret.description.as_deref().unwrap_or_default();
        match self {
            FilterKey::Description => word(description, wanted),
            FilterKey::Name => begins(&secret.name, wanted),
            FilterKey::TagKey => secret.tags.keys().any(|key| begins(key, wanted)),
            FilterKey::TagValue => secret.tags.values().any(|value| begins(value, wanted)),
            // No secret here is a replica, or another service's.
            FilterKey::PrimaryRegion | FilterKey::OwningService => false,
            FilterKey::All => wanted.split_whitespace().all(|wanted| {
                word(&secret.name, wanted)
                    || word(description, wanted)
                    || secret.tags.iter().any(|(key, value)| word(key, wanted) || word(value, wanted))
            }),
        }
    }
}

impl Filter {
    /// One of the values has to be found; none of those with a `!` in front.
    fn passes(&self, secret: &Secret) -> bool {
        let (not, wanted): (Vec<&str>, Vec<&str>) =
            self.values.iter().map(String::as_str).partition(|value| value.starts_with('!'));
        (wanted.is_empty() || wanted.iter().any(|wanted| self.key.finds(secret, wanted)))
            && !not.iter().any(|value| self.key.finds(secret, &value[1..]))
    }
}

/// The secrets that pass all filters, in the order of their names; those that were deleted too, if they are asked for.
pub(super) fn found(
    rows: &Snapshot,
    context: &Context,
    filters: &[Filter],
    deleted: bool,
) -> Vec<Arc<Secret>> {
    let prefix = context.prefix();
    rows.scan::<Secret>(&prefix)
        .filter(|secret| !secret.is_over(context.now) && (deleted || secret.delete_at.is_none()))
        .filter(|secret| filters.iter().all(|filter| filter.passes(secret)))
        .collect()
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    #[default]
    Asc,
    Desc,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SortBy {
    #[default]
    CreatedDate,
    LastChangedDate,
    Name,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListSecrets {
    #[serde(default)]
    include_planned_deletion: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
    filters: Option<Vec<Filter>>,
    #[serde(default)]
    sort_order: Option<SortOrder>,
    #[serde(default)]
    sort_by: Option<SortBy>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretListEntry {
    #[serde(flatten)]
    secret: SecretShape,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secret_versions_to_stages: Stages,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Secrets {
    secret_list: Vec<SecretListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A text by which secrets sort as they are asked for.
fn sort_key(secret: &Secret, by: SortBy, order: SortOrder) -> String {
    let plain = match by {
        SortBy::CreatedDate => format!("{:020}/{}", secret.created_at.as_millis(), secret.name),
        SortBy::LastChangedDate => format!("{:020}/{}", secret.changed_at.as_millis(), secret.name),
        SortBy::Name => secret.name.clone(),
    };
    match order {
        SortOrder::Asc => plain,
        // Each byte's complement, and a last one that is above all: `ab` comes before `a`.
        SortOrder::Desc => plain.bytes().map(|byte| format!("{:02x}", 255 - byte)).collect::<String>() + "ff",
    }
}

pub(super) fn list_secrets(
    rows: &Snapshot,
    context: &Context,
    request: ListSecrets,
) -> Result<Secrets, ApiError> {
    let filters = request.filters.unwrap_or_default();
    check(&filters)?;
    let size = page_size(request.max_results, 100)?;
    let (by, order) = (request.sort_by.unwrap_or_default(), request.sort_order.unwrap_or_default());
    let mut all = found(rows, context, &filters, request.include_planned_deletion.unwrap_or(false));
    all.sort_by_cached_key(|secret| sort_key(secret, by, order));
    let page = page(all, |secret| sort_key(secret, by, order), Some(size), request.next_token.as_deref())
        .map_err(invalid_token)?;
    let entry = |secret: &Arc<Secret>| SecretListEntry {
        secret: SecretShape::of(secret),
        secret_versions_to_stages: stages(rows, secret),
    };
    Ok(Secrets { secret_list: page.items.iter().map(entry).collect(), next_token: page.next_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListSecretVersionIds {
    secret_id: String,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    include_deprecated: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretVersionsListEntry {
    version_id: String,
    version_stages: BTreeSet<String>,
    created_date: f64,
    kms_key_ids: [&'static str; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Versions {
    versions: Vec<SecretVersionsListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
}

pub(super) fn of_versions(
    rows: &Snapshot,
    context: &Context,
    request: &ListSecretVersionIds,
) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn list_secret_version_ids(
    rows: &Snapshot,
    context: &Context,
    request: ListSecretVersionIds,
) -> Result<Versions, ApiError> {
    let found = secret::any(rows, context, &request.secret_id)?;
    let size = page_size(request.max_results, 100)?;
    let deprecated = request.include_deprecated.unwrap_or(false);
    let all = version::all(rows, &found).into_iter();
    let shown = all.filter(|version| deprecated || !version.stages.is_empty());
    let page = page(shown, |version| version.key(), Some(size), request.next_token.as_deref())
        .map_err(invalid_token)?;
    let entry = |version: &Arc<version::SecretVersion>| SecretVersionsListEntry {
        version_id: version.id.clone(),
        version_stages: version.stages.clone(),
        created_date: version.created_at.epoch_seconds(),
        kms_key_ids: ["DefaultEncryptionKey"],
    };
    Ok(Versions {
        versions: page.items.iter().map(entry).collect(),
        next_token: page.next_token,
        arn: found.arn(),
        name: found.name.clone(),
    })
}
