//! `GetParameter` and `GetParameters`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::name::{self, Asked};
use super::parameter::{
    ParameterVersion, find_asked, latest, not_found, version, version_not_found, versions,
};
use crate::context::Context;
use crate::iam::Resource;

/// The most names of one request.
pub(super) const NAMES: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetParameter {
    name: String,
    #[serde(default)]
    with_decryption: Option<bool>,
}

/// A parameter with its value, as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterShape {
    name: String,
    r#type: &'static str,
    value: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    last_modified_date: f64,
    #[serde(rename = "ARN")]
    arn: String,
    data_type: &'static str,
}

impl ParameterShape {
    pub(super) fn of(
        context: &Context,
        version: &ParameterVersion,
        selector: Option<String>,
        with_decryption: bool,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            name: version.name.clone(),
            r#type: version.kind.name(),
            value: version.shown(context, with_decryption)?,
            version: version.version,
            selector,
            last_modified_date: version.modified_at.epoch_seconds(),
            arn: name::arn(context, &version.name),
            data_type: "text",
        })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneParameter {
    parameter: ParameterShape,
}

/// The version that a request asks for.
fn selected(rows: &Snapshot, context: &Context, asked: &Asked) -> Result<Arc<ParameterVersion>, ApiError> {
    let parameter = find_asked(rows, context, asked).ok_or_else(not_found)?;
    let Some(selector) = asked.selector.as_deref().map(|selector| selector.trim_start_matches(':')) else {
        return latest(rows, context, &parameter);
    };
    let name = &parameter.name;
    if let Ok(number) = selector.parse() {
        return version(rows, context, name, number)
            .ok_or_else(|| version_not_found(name, &format!("version {number}")));
    }
    let mut all = versions(rows, context, name).into_iter();
    all.find(|version| version.labels.contains(selector))
        .ok_or_else(|| version_not_found(name, &format!("label {selector}")))
}

pub(super) fn of_one(_: &Snapshot, context: &Context, request: &GetParameter) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

pub(super) fn get_parameter(
    rows: &Snapshot,
    context: &Context,
    request: GetParameter,
) -> Result<OneParameter, ApiError> {
    let asked = name::asked(context, &request.name);
    let version = selected(rows, context, &asked)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    Ok(OneParameter { parameter: ParameterShape::of(context, &version, asked.selector, decrypt)? })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetParameters {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameters {
    parameters: Vec<ParameterShape>,
    invalid_parameters: Vec<String>,
}

/// One to ten names, none twice.
pub(super) fn check_names(names: &[String]) -> Result<(), ApiError> {
    let said = format!("[{}]", names.join(", "));
    if names.is_empty() {
        return Err(super::failed("names", &said, "Member must have length greater than or equal to 1"));
    }
    if names.len() > NAMES {
        let constraint = format!("Member must have length less than or equal to {NAMES}");
        return Err(super::failed("names", &said, &constraint));
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(super::invalid("Duplicate parameter names are not allowed in the request."));
    }
    Ok(())
}

pub(super) fn of_many(_: &Snapshot, context: &Context, request: &GetParameters) -> Vec<Resource> {
    request.names.iter().map(|name| name::resource(context, name)).collect()
}

pub(super) fn get_parameters(
    rows: &Snapshot,
    context: &Context,
    request: GetParameters,
) -> Result<Parameters, ApiError> {
    check_names(&request.names)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    let (mut parameters, mut invalid_parameters) = (Vec::new(), Vec::new());
    for name in request.names {
        let asked = name::asked(context, &name);
        match selected(rows, context, &asked) {
            Ok(version) => {
                parameters.push(ParameterShape::of(context, &version, asked.selector, decrypt)?);
            }
            Err(_) => invalid_parameters.push(name),
        }
    }
    Ok(Parameters { parameters, invalid_parameters })
}
