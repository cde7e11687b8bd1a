//! `LabelParameterVersion` and `UnlabelParameterVersion`.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::parameter::{ParameterVersion, named, version, version_not_found, versions};
use super::{failed, name};
use crate::context::Context;
use crate::iam::Resource;

/// The most labels of a version, and of a request.
const LABELS: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct LabelParameterVersion {
    name: String,
    parameter_version: Option<u64>,
    labels: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Labelled {
    invalid_labels: Vec<String>,
    parameter_version: u64,
}

pub(super) fn of_label(_: &Snapshot, context: &Context, request: &LabelParameterVersion) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

/// Letters, numbers, periods, hyphens and underscores; not a number, `aws` or `ssm` in front.
fn is_valid(label: &str) -> bool {
    let small = label.to_ascii_lowercase();
    label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !small.starts_with("aws")
        && !small.starts_with("ssm")
}

fn check(labels: &[String]) -> Result<(), ApiError> {
    let said = format!("[{}]", labels.join(", "));
    if labels.is_empty() || labels.iter().any(String::is_empty) {
        return Err(failed("labels", &said, "Member must have length greater than or equal to 1"));
    }
    if labels.len() > LABELS {
        return Err(failed("labels", &said, "Member must have length less than or equal to 10"));
    }
    if labels.iter().any(|label| label.len() > 100) {
        return Err(failed("labels", &said, "Member must have length less than or equal to 100"));
    }
    Ok(())
}

pub(super) fn label_parameter_version(
    rows: &mut Tx,
    context: &Context,
    request: LabelParameterVersion,
) -> Result<Labelled, ApiError> {
    check(&request.labels)?;
    let parameter = named(rows, context, &request.name)?;
    let number = request.parameter_version.filter(|number| *number > 0).unwrap_or(parameter.latest);
    let chosen = version(rows, context, &parameter.name, number)
        .ok_or_else(|| version_not_found(&parameter.name, &format!("version {number}")))?;
    let (labels, invalid_labels): (Vec<String>, Vec<String>) =
        request.labels.into_iter().partition(|label| is_valid(label));
    let mut chosen = (*chosen).clone();
    chosen.labels.extend(labels.iter().cloned());
    if chosen.labels.len() > LABELS {
        return Err(ApiError::new(
            "ParameterVersionLabelLimitExceeded",
            "A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.",
        ));
    }
    // A label is on one version alone: it moves.
    for other in versions(rows, context, &parameter.name) {
        if other.version != number && other.labels.iter().any(|label| labels.contains(label)) {
            let mut other = (*other).clone();
            other.labels.retain(|label| !labels.contains(label));
            rows.put(other);
        }
    }
    rows.put(chosen);
    Ok(Labelled { invalid_labels, parameter_version: number })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UnlabelParameterVersion {
    name: String,
    parameter_version: u64,
    labels: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Unlabelled {
    removed_labels: Vec<String>,
    invalid_labels: Vec<String>,
}

pub(super) fn of_unlabel(
    _: &Snapshot,
    context: &Context,
    request: &UnlabelParameterVersion,
) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

pub(super) fn unlabel_parameter_version(
    rows: &mut Tx,
    context: &Context,
    request: UnlabelParameterVersion,
) -> Result<Unlabelled, ApiError> {
    check(&request.labels)?;
    let parameter = named(rows, context, &request.name)?;
    let number = request.parameter_version;
    let chosen = version(rows, context, &parameter.name, number)
        .ok_or_else(|| version_not_found(&parameter.name, &format!("version {number}")))?;
    let mut chosen: ParameterVersion = (*chosen).clone();
    let (removed_labels, invalid_labels) =
        request.labels.into_iter().partition(|label| chosen.labels.remove(label));
    rows.put(chosen);
    Ok(Unlabelled { removed_labels, invalid_labels })
}
