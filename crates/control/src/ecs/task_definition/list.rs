//! `ListTaskDefinitions` and `ListTaskDefinitionFamilies`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::{Status, TaskDefinition};
use crate::Context;

/// `ListTaskDefinitions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTaskDefinitions {
    family_prefix: Option<String>,
    status: Option<Status>,
    #[serde(default)]
    sort: Sort,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Sort {
    #[default]
    Asc,
    Desc,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionArns {
    task_definition_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARNs of the revisions of a status, ACTIVE unless said otherwise. `familyPrefix` is a whole family's name.
pub fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListTaskDefinitions,
) -> Result<TaskDefinitionArns, ApiError> {
    let prefix = match request.family_prefix.as_deref().filter(|family| !family.is_empty()) {
        Some(family) => context.key(format_args!("{family}/")),
        None => context.prefix(),
    };
    let status = request.status.unwrap_or(Status::Active);
    let mut found: Vec<_> = rows.scan::<TaskDefinition>(&prefix).filter(|row| row.status == status).collect();
    if request.sort == Sort::Desc {
        found.reverse();
    }
    // A token names an item by its place, so that a listing from the end pages as one from the start.
    let rank = |index: usize| format!("{index:010}");
    let most = crate::ecs::page(Vec::new(), request.max_results, 100, None)
        .map(|_| request.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(100))?;
    let page = crate::page::page(
        found.iter().enumerate(),
        |(index, _)| rank(*index),
        Some(most),
        request.next_token.as_deref(),
    )
    .map_err(|_| crate::ecs::invalid("Invalid token in the request"))?;
    Ok(TaskDefinitionArns {
        task_definition_arns: page.items.into_iter().map(|(_, row)| row.arn()).collect(),
        next_token: page.next_token,
    })
}

/// `ListTaskDefinitionFamilies`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTaskDefinitionFamilies {
    family_prefix: Option<String>,
    status: Option<FamilyStatus>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum FamilyStatus {
    Active,
    Inactive,
    All,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Families {
    families: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The families with an active revision; INACTIVE gives those without one. Without a status all, as on AWS.
pub fn list_families(
    rows: &Snapshot,
    context: &Context,
    request: ListTaskDefinitionFamilies,
) -> Result<Families, ApiError> {
    let prefix = context.key(request.family_prefix.unwrap_or_default());
    let (mut all, mut active) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.scan::<TaskDefinition>(&prefix) {
        all.insert(row.family.clone());
        if row.status == Status::Active {
            active.insert(row.family.clone());
        }
    }
    let chosen: Vec<String> = match request.status.unwrap_or(FamilyStatus::All) {
        FamilyStatus::All => all.into_iter().collect(),
        FamilyStatus::Active => active.into_iter().collect(),
        FamilyStatus::Inactive => all.difference(&active).cloned().collect(),
    };
    let page = crate::ecs::page(chosen, request.max_results, 100, request.next_token.as_deref())?;
    Ok(Families { families: page.items, next_token: page.next_token })
}
