//! The service `ssm`: Systems Manager's Parameter Store.
//!
//! There is no KMS: a SecureString is shown under AWS's own key, `alias/aws/ssm`, and every value is encrypted in the
//! database ([`crate::sealed`]).

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod delete;
mod describe;
mod filter;
mod get;
mod history;
mod label;
mod name;
mod parameter;
mod path;
mod put;
mod tag;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use store::{TableDef, table};
use wire::ApiError;

pub use parameter::{Parameter, ParameterVersion};

use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Ssm, AddTagsToResource, tag::add_tags_to_resource, on tag::of_add),
    write!(Ssm, DeleteParameter, delete::delete_parameter, on delete::of_one),
    write!(Ssm, DeleteParameters, delete::delete_parameters, on delete::of_many),
    read!(Ssm, DescribeParameters, describe::describe_parameters, on describe::of_all),
    read!(Ssm, GetParameter, get::get_parameter, on get::of_one),
    read!(Ssm, GetParameterHistory, history::get_parameter_history, on history::of_history),
    read!(Ssm, GetParameters, get::get_parameters, on get::of_many),
    read!(Ssm, GetParametersByPath, path::get_parameters_by_path, on path::of_path),
    write!(Ssm, LabelParameterVersion, label::label_parameter_version, on label::of_label),
    read!(Ssm, ListTagsForResource, tag::list_tags_for_resource, on tag::of_list),
    write!(Ssm, PutParameter, put::put_parameter, on put::of_put),
    write!(Ssm, RemoveTagsFromResource, tag::remove_tags_from_resource, on tag::of_remove),
    write!(Ssm, UnlabelParameterVersion, label::unlabel_parameter_version, on label::of_unlabel),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[table::<Parameter>(), table::<ParameterVersion>()];

/// A tag of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// An empty document.
#[derive(Debug, Serialize)]
struct Done {}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

/// One member's value that does not fit.
fn failed(member: &str, value: &str, constraint: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// How many items a page has: the most, or what the request says.
fn page_size(max_results: Option<i64>, most: usize) -> Result<usize, ApiError> {
    let Some(asked) = max_results else { return Ok(most) };
    usize::try_from(asked).ok().filter(|size| (1..=most).contains(size)).ok_or_else(|| {
        let bound = if asked < 1 {
            "greater than or equal to 1".to_owned()
        } else {
            format!("less than or equal to {most}")
        };
        failed("maxResults", &asked.to_string(), &format!("Member must have value {bound}"))
    })
}

fn invalid_token(_: crate::page::InvalidToken) -> ApiError {
    ApiError::new("InvalidNextToken", "The specified token is not valid.")
}
