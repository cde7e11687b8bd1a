//! `GetMetricData`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::expression::Value;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::Timestamp;
use wire::{ApiError, OnlyDefault, Time};

use super::query::{MetricDataQuery, Plan};
use super::{invalid_token, missing, seconds, validation};
use crate::Context;

/// The most queries of one call, and the most points of one answer ("GetMetricData").
const MOST_QUERIES: usize = 500;
/// See [`MOST_QUERIES`].
const MOST_POINTS: usize = 100_800;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetMetricData {
    #[serde(default)]
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: Time,
    end_time: Time,
    next_token: Option<String>,
    #[serde(default)]
    scan_by: ScanBy,
    max_datapoints: Option<usize>,
    #[serde(default, rename = "LabelOptions")]
    _label_options: OnlyDefault<wire::Empty>,
}

/// Which points come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum ScanBy {
    #[default]
    TimestampDescending,
    TimestampAscending,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricData {
    metric_data_results: Vec<MetricDataResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    messages: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult {
    id: String,
    label: String,
    timestamps: Vec<Time>,
    values: Vec<f64>,
    status_code: &'static str,
}

/// Gives the points of metrics and of expressions over them, over several pages when there are many.
pub fn get(rows: &Snapshot, context: &Context, request: GetMetricData) -> Result<MetricData, ApiError> {
    if request.metric_data_queries.is_empty() {
        return Err(missing("MetricDataQueries"));
    }
    if request.metric_data_queries.len() > MOST_QUERIES {
        return Err(validation(format!(
            "The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}."
        )));
    }
    let range = range(request.start_time, request.end_time)?;
    let most = request.max_datapoints.unwrap_or(MOST_POINTS).clamp(1, MOST_POINTS);
    let before = read_token(request.next_token.as_deref())?;
    let plan = Plan::new(&request.metric_data_queries, &context.account, "MetricDataQueries")?;
    if plan.returned().next().is_none() {
        return Err(validation("At least one query must return data: ReturnData is false in all of them."));
    }
    let mut skip = before;
    let mut room = most;
    let mut results = Vec::new();
    let mut more = false;
    for found in plan.evaluate(rows, &context.account, &context.region, range)? {
        let (id, label) = (found.id, found.label);
        let series = match found.value {
            Value::Series(series) => vec![series],
            Value::List(list) => list,
            Value::Scalar(_) => {
                return Err(validation(format!(
                    "Error in expression '{id}': its result is a number, and not a metric."
                )));
            }
        };
        for series in series {
            let mut points: Vec<(i64, f64)> = series.into_iter().collect();
            if request.scan_by == ScanBy::TimestampDescending {
                points.reverse();
            }
            let (all, left) = (points.len(), points.len().saturating_sub(skip));
            // What earlier pages gave whole is not named again.
            if skip > 0 && left == 0 {
                skip -= all;
                continue;
            }
            let here: Vec<(i64, f64)> = points.into_iter().skip(skip).take(room).collect();
            skip = 0;
            let complete = here.len() == left;
            more |= !complete;
            room -= here.len();
            results.push(MetricDataResult {
                id: id.clone(),
                label: label.clone(),
                timestamps: here.iter().map(|(at, _)| Timestamp::from_millis(at * 1000).into()).collect(),
                values: here.into_iter().map(|(_, value)| value).collect(),
                status_code: if complete { "Complete" } else { "PartialData" },
            });
        }
    }
    let next_token = more.then(|| URL_SAFE_NO_PAD.encode(format!("points:{}", before + most)));
    Ok(MetricData { metric_data_results: results, next_token, messages: Vec::new() })
}

fn read_token(token: Option<&str>) -> Result<usize, ApiError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(0) };
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let number = text.as_deref().and_then(|text| text.strip_prefix("points:")?.parse().ok());
    number.ok_or_else(invalid_token)
}

/// The times of a request, in seconds.
pub(super) fn range(start: Time, end: Time) -> Result<(i64, i64), ApiError> {
    // A part of a second counts whole at the end.
    let (from, to) = (seconds(start.0), (end.0.as_millis() + 999).div_euclid(1000));
    if start >= end {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok((from, to))
}
