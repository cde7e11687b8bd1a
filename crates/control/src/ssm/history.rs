//! `GetParameterHistory`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::ApiError;

use super::parameter::{ParameterVersion, named, versions};
use super::{invalid_token, name, page_size};
use crate::context::Context;
use crate::iam::Resource;
use crate::page::page;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetParameterHistory {
    name: String,
    #[serde(default)]
    with_decryption: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// A version of a parameter with all that is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterHistory {
    name: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'static str>,
    last_modified_date: f64,
    last_modified_user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_pattern: Option<String>,
    version: u64,
    labels: Vec<String>,
    tier: &'static str,
    policies: [(); 0],
    data_type: &'static str,
}

impl ParameterHistory {
    fn of(context: &Context, version: &ParameterVersion, with_decryption: bool) -> Result<Self, ApiError> {
        Ok(Self {
            name: version.name.clone(),
            r#type: version.kind.name(),
            key_id: version.key_id(),
            last_modified_date: version.modified_at.epoch_seconds(),
            last_modified_user: version.modified_by.clone(),
            description: version.description.clone(),
            value: version.shown(context, with_decryption)?,
            allowed_pattern: version.allowed_pattern.clone(),
            version: version.version,
            labels: version.labels.iter().cloned().collect(),
            tier: version.tier.name(),
            policies: [],
            data_type: "text",
        })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct History {
    parameters: Vec<ParameterHistory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn of_history(_: &Snapshot, context: &Context, request: &GetParameterHistory) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

pub(super) fn get_parameter_history(
    rows: &Snapshot,
    context: &Context,
    request: GetParameterHistory,
) -> Result<History, ApiError> {
    let parameter = named(rows, context, &request.name)?;
    let size = page_size(request.max_results, 50)?;
    let all = versions(rows, context, &parameter.name);
    let page =
        page(all, |row| row.key(), Some(size), request.next_token.as_deref()).map_err(invalid_token)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    let shape = |version: &std::sync::Arc<_>| ParameterHistory::of(context, version, decrypt);
    Ok(History {
        parameters: page.items.iter().map(shape).collect::<Result<_, _>>()?,
        next_token: page.next_token,
    })
}
