//! `DeleteParameter` and `DeleteParameters`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use wire::ApiError;

use super::get::check_names;
use super::parameter::{Parameter, ParameterVersion, named, versions};
use super::{Done, name};
use crate::context::Context;
use crate::iam::Resource;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteParameter {
    name: String,
}

pub(super) fn of_one(_: &Snapshot, context: &Context, request: &DeleteParameter) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

pub(super) fn delete_parameter(
    rows: &mut Tx,
    context: &Context,
    request: DeleteParameter,
) -> Result<Done, ApiError> {
    delete(rows, context, &request.name)?;
    Ok(Done {})
}

fn delete(rows: &mut Tx, context: &Context, text: &str) -> Result<(), ApiError> {
    let parameter = named(rows, context, text)?;
    for version in versions(rows, context, &parameter.name) {
        rows.delete::<ParameterVersion>(&version.key());
    }
    rows.delete::<Parameter>(&parameter.key());
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteParameters {
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deleted {
    deleted_parameters: Vec<String>,
    invalid_parameters: Vec<String>,
}

pub(super) fn of_many(_: &Snapshot, context: &Context, request: &DeleteParameters) -> Vec<Resource> {
    request.names.iter().map(|name| name::resource(context, name)).collect()
}

pub(super) fn delete_parameters(
    rows: &mut Tx,
    context: &Context,
    request: DeleteParameters,
) -> Result<Deleted, ApiError> {
    check_names(&request.names)?;
    let (deleted_parameters, invalid_parameters) =
        request.names.into_iter().partition(|name| delete(rows, context, name).is_ok());
    Ok(Deleted { deleted_parameters, invalid_parameters })
}
