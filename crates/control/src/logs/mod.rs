//! The service `logs`: CloudWatch Logs. Groups and streams are rows; the events are the crate `logs`'s, which knows a
//! stream by its row's id.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod deliver;
mod filter;
mod get;
mod group;
mod metric_filter;
mod put;
mod stream;
mod sweep;
mod tags;
mod test_metric_filter;
#[cfg(test)]
mod tests;

use ::logs::{Error, PatternError, Position};
use serde::Serialize;
use store::{Snapshot, TableDef, table};
use wire::ApiError;

pub use deliver::{DeliverError, deliver};
pub use group::LogGroup;
pub use metric_filter::{MetricFilter, MetricTransformation};
pub use stream::LogStream;
pub use sweep::sweep;

use crate::context::Context;
use crate::operation::{Operation, disk, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Logs, CreateLogGroup, group::create_log_group),
    write!(Logs, CreateLogStream, stream::create_log_stream),
    write!(Logs, DeleteLogGroup, group::delete_log_group),
    write!(Logs, DeleteLogStream, stream::delete_log_stream),
    write!(Logs, DeleteMetricFilter, metric_filter::delete_metric_filter),
    write!(Logs, DeleteRetentionPolicy, group::delete_retention_policy),
    disk!(Logs, DescribeLogGroups, group::describe_log_groups),
    disk!(Logs, DescribeLogStreams, stream::describe_log_streams),
    read!(Logs, DescribeMetricFilters, metric_filter::describe_metric_filters),
    disk!(Logs, FilterLogEvents, filter::filter_log_events),
    disk!(Logs, GetLogEvents, get::get_log_events),
    read!(Logs, ListTagsForResource, tags::list_tags_for_resource),
    read!(Logs, ListTagsLogGroup, tags::list_tags_log_group),
    disk!(Logs, PutLogEvents, put::put_log_events),
    write!(Logs, PutMetricFilter, metric_filter::put_metric_filter),
    write!(Logs, PutRetentionPolicy, group::put_retention_policy),
    write!(Logs, TagLogGroup, tags::tag_log_group),
    write!(Logs, TagResource, tags::tag_resource),
    read!(Logs, TestMetricFilter, test_metric_filter::test_metric_filter),
    write!(Logs, UntagLogGroup, tags::untag_log_group),
    write!(Logs, UntagResource, tags::untag_resource),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[table::<LogGroup>(), table::<LogStream>(), table::<MetricFilter>()];

/// The bytes that an event counts besides its message ("PutLogEvents").
const EVENT_OVERHEAD: u64 = 26;
/// How many events a page of events has at most.
const LONGEST_PAGE: usize = 10_000;
/// How many bytes a page of events has at most.
const LARGEST_PAGE: u64 = 1 << 20;

/// An answer without members.
#[derive(Debug, Serialize)]
struct Done {}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// AWS's words for a value that a member's constraint refuses.
fn violated(value: impl std::fmt::Display, member: &str, constraint: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

fn bad_pattern(error: PatternError) -> ApiError {
    invalid(error.to_string())
}

fn disk_failed(error: Error) -> ApiError {
    ApiError::new("ServiceUnavailableException", error.to_string())
        .with_status(http::StatusCode::SERVICE_UNAVAILABLE)
}

fn group_missing() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn stream_missing() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

/// Whether the caller may do `logs:<action>` on a group, or in it. A group stands in policies as
/// `arn:…:log-group:<name>:*`, so that this asks about `…:log-stream:`, as AWS's refusals print it.
fn allowed(rows: &Snapshot, context: &Context, action: &str, group: &str) -> Result<(), ApiError> {
    allowed_on_stream(rows, context, action, group, "")
}

/// Whether the caller may do `logs:<action>` on a stream.
fn allowed_on_stream(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    group: &str,
    stream: &str,
) -> Result<(), ApiError> {
    let arn = context.arn("logs", format!("log-group:{group}:log-stream:{stream}"));
    crate::iam::authorize_on(rows, context, &format!("logs:{action}"), &arn.to_string())
}

/// A limit of a listing: from 1 to `most`.
fn limit(given: Option<i64>, most: usize) -> Result<usize, ApiError> {
    let Some(limit) = given else { return Ok(most) };
    if limit < 1 {
        return Err(violated(limit, "limit", "Member must have value greater than or equal to 1"));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit > most {
        let constraint = format!("Member must have value less than or equal to {most}");
        return Err(violated(limit, "limit", &constraint));
    }
    Ok(limit)
}

/// The events between two times in milliseconds, the second one not included, that retention has not taken.
fn time_range(
    group: &LogGroup,
    context: &Context,
    start: Option<i64>,
    end: Option<i64>,
) -> Result<std::ops::Range<Position>, ApiError> {
    for (value, member) in [(start, "startTime"), (end, "endTime")] {
        if let Some(value) = value.filter(|value| *value < 0) {
            return Err(violated(value, member, "Member must have value greater than or equal to 0"));
        }
    }
    let start = start.unwrap_or(0).max(group.kept_since(context.now).unwrap_or(0));
    Ok(Position::at(start)..Position::at(end.unwrap_or(i64::MAX)))
}
