//! `DescribeParameters`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::{ApiError, False, OnlyDefault};

use super::filter::{self, ParameterStringFilter, ParametersFilter};
use super::parameter::{Parameter, ParameterVersion, latest};
use super::{invalid, invalid_token, name, page_size};
use crate::context::Context;
use crate::iam::Resource;
use crate::page::page;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DescribeParameters {
    #[serde(default)]
    filters: Vec<ParametersFilter>,
    #[serde(default)]
    parameter_filters: Vec<ParameterStringFilter>,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default, rename = "Shared")]
    _shared: OnlyDefault<False>,
}

/// A parameter without its value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterMetadata {
    name: String,
    #[serde(rename = "ARN")]
    arn: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'static str>,
    last_modified_date: f64,
    last_modified_user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_pattern: Option<String>,
    version: u64,
    tier: &'static str,
    policies: [(); 0],
    data_type: &'static str,
}

impl ParameterMetadata {
    fn of(context: &Context, version: &ParameterVersion) -> Self {
        Self {
            name: version.name.clone(),
            arn: name::arn(context, &version.name),
            r#type: version.kind.name(),
            key_id: version.key_id(),
            last_modified_date: version.modified_at.epoch_seconds(),
            last_modified_user: version.modified_by.clone(),
            description: version.description.clone(),
            allowed_pattern: version.allowed_pattern.clone(),
            version: version.version,
            tier: version.tier.name(),
            policies: [],
            data_type: "text",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Described {
    parameters: Vec<ParameterMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// It is asked of all parameters at once.
pub(super) fn of_all(_: &Snapshot, context: &Context, _: &DescribeParameters) -> Vec<Resource> {
    vec![Resource::of(context.arn("ssm", "*"))]
}

pub(super) fn describe_parameters(
    rows: &Snapshot,
    context: &Context,
    request: DescribeParameters,
) -> Result<Described, ApiError> {
    if !request.filters.is_empty() && !request.parameter_filters.is_empty() {
        return Err(invalid(
            "You can use either Filters or ParameterFilters in a single request, but not both.",
        ));
    }
    let mut filters = request.parameter_filters;
    filters.extend(request.filters.into_iter().map(ParameterStringFilter::from));
    filter::check(&filters, filter::DESCRIBE)?;
    let size = page_size(request.max_results, 50)?;
    let prefix = context.prefix();
    let found = rows.scan::<Parameter>(&prefix).filter_map(|parameter| {
        let version = latest(rows, context, &parameter).ok()?;
        filter::passes(&filters, &parameter, &version).then_some((parameter, version))
    });
    let page = page(found, |(row, _)| row.key(), Some(size), request.next_token.as_deref())
        .map_err(invalid_token)?;
    Ok(Described {
        parameters: page.items.iter().map(|(_, version)| ParameterMetadata::of(context, version)).collect(),
        next_token: page.next_token,
    })
}
