//! `GetParametersByPath`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::ApiError;

use super::filter::{self, ParameterStringFilter, is_below};
use super::get::{NAMES, ParameterShape};
use super::parameter::{Parameter, latest, versions};
use super::{invalid, invalid_token, page_size};
use crate::context::Context;
use crate::iam::Resource;
use crate::page::page;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetParametersByPath {
    path: String,
    #[serde(default)]
    recursive: Option<bool>,
    #[serde(default)]
    parameter_filters: Vec<ParameterStringFilter>,
    #[serde(default)]
    with_decryption: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByPath {
    parameters: Vec<ParameterShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Who may read a path may read all below it.
pub(super) fn of_path(_: &Snapshot, context: &Context, request: &GetParametersByPath) -> Vec<Resource> {
    let path = request.path.strip_prefix('/').unwrap_or(&request.path);
    vec![Resource::of(context.arn("ssm", format!("parameter/{path}")))]
}

pub(super) fn get_parameters_by_path(
    rows: &Snapshot,
    context: &Context,
    request: GetParametersByPath,
) -> Result<ByPath, ApiError> {
    if !request.path.starts_with('/') {
        return Err(invalid(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward \
             slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, \
             numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not \
             allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: \
             /get/parameters2-/by1./path0_.",
        ));
    }
    filter::check(&request.parameter_filters, filter::BY_PATH)?;
    let size = page_size(request.max_results, NAMES)?;
    let recursive = request.recursive.unwrap_or(false);
    let by_label = request.parameter_filters.iter().any(ParameterStringFilter::is_of_labels);
    let prefix = context.prefix();
    let below = rows.scan::<Parameter>(&prefix).filter(|row| is_below(&row.name, &request.path, recursive));
    // With a label it is the version that has it, and otherwise the latest.
    let found = below.filter_map(|parameter| {
        let version = if by_label {
            let mut all = versions(rows, context, &parameter.name).into_iter();
            all.find(|version| filter::passes(&request.parameter_filters, &parameter, version))
        } else {
            let latest = latest(rows, context, &parameter).ok();
            latest.filter(|version| filter::passes(&request.parameter_filters, &parameter, version))
        };
        version.map(|version| (parameter, version))
    });
    let page = page(found, |(row, _)| row.key(), Some(size), request.next_token.as_deref())
        .map_err(invalid_token)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    let shape = |(_, version): &(_, std::sync::Arc<_>)| ParameterShape::of(context, version, None, decrypt);
    Ok(ByPath {
        parameters: page.items.iter().map(shape).collect::<Result<_, _>>()?,
        next_token: page.next_token,
    })
}
