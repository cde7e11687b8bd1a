//! The service `monitoring`: CloudWatch's metrics and alarms. What is computed from them is the crate `metrics`.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod absent;
pub mod alarm;
mod alarm_description;
pub mod alarm_history;
mod alarm_request;
mod alarm_state;
pub mod evaluate;
mod get_data;
mod get_statistics;
mod list;
pub mod metric;
pub mod platform;
mod put_data;
pub mod query;
pub mod series;
mod tag;
#[cfg(test)]
mod tests;

use serde::Serialize;
use store::{TableDef, table};
use types::Timestamp;
use wire::ApiError;

use crate::Context;
use crate::iam::Resource;
use crate::operation::{Operation, read, write};

pub(crate) use absent::REASONS;
pub use alarm::MetricAlarm;
pub use alarm_history::AlarmHistoryItem;
pub use series::{MetricBlock, MetricSeries};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(CloudWatch, DeleteAlarms, alarm::delete, on alarm::of_delete),
    read!(CloudWatch, DescribeAlarmHistory, alarm_history::describe),
    read!(CloudWatch, DescribeAlarms, alarm_description::describe),
    read!(CloudWatch, DescribeAlarmsForMetric, alarm_description::describe_for_metric),
    write!(CloudWatch, DisableAlarmActions, alarm_state::disable_actions, on alarm_state::of_names),
    write!(CloudWatch, EnableAlarmActions, alarm_state::enable_actions, on alarm_state::of_names),
    read!(CloudWatch, GetMetricData, get_data::get),
    read!(CloudWatch, GetMetricStatistics, get_statistics::get),
    read!(CloudWatch, ListMetrics, list::list),
    read!(CloudWatch, ListTagsForResource, tag::list, on tag::of_list),
    write!(CloudWatch, PutMetricAlarm, alarm_request::put, on alarm_request::of_put),
    write!(CloudWatch, PutMetricData, put_data::put),
    write!(CloudWatch, SetAlarmState, alarm_state::set, on alarm_state::of_set),
    write!(CloudWatch, TagResource, tag::add, on tag::of_add),
    write!(CloudWatch, UntagResource, tag::remove, on tag::of_remove),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] =
    &[table::<MetricSeries>(), table::<MetricBlock>(), table::<MetricAlarm>(), table::<AlarmHistoryItem>()];

/// The alarm of a name, as IAM's policies name it.
fn alarm_resource(context: &Context, name: &str) -> Resource {
    Resource::of(context.arn("cloudwatch", format!("alarm:{name}")))
}

/// An answer that says nothing.
#[derive(Debug, Serialize)]
pub struct Empty {}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message).with_shape("InvalidParameterValueException")
}

fn combination(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterCombination", message).with_shape("InvalidParameterCombinationException")
}

fn missing(parameter: &str) -> ApiError {
    ApiError::new("MissingParameter", format!("The parameter {parameter} is required."))
        .with_shape("MissingRequiredParameterException")
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// What AWS takes and is not done here, by its name.
fn unsupported(what: impl std::fmt::Display) -> ApiError {
    validation(format!("Landfall does not support {what}."))
}

fn invalid_token() -> ApiError {
    ApiError::new("InvalidNextToken", "The next token specified is invalid.")
}

/// Whether seconds are a period: "1, 5, 10, 20, 30, or any multiple of 60".
fn is_period(seconds: i64) -> bool {
    matches!(seconds, 1 | 5 | 10 | 20 | 30) || (seconds > 0 && seconds % 60 == 0)
}
