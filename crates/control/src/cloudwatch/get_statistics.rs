//! `GetMetricStatistics`.

use std::collections::BTreeMap;

use metrics::Statistic;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::Timestamp;
use wire::{ApiError, Entries, Time};

use super::metric::{Dimension, Metric, Unit, take_dimensions};
use super::{combination, invalid, is_period, missing, query, seconds, series};
use crate::Context;

/// The most points of an answer.
const MOST: i64 = 1440;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetMetricStatistics {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    start_time: Time,
    end_time: Time,
    period: i64,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
    unit: Option<Unit>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statistics {
    label: String,
    datapoints: Vec<Datapoint>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datapoint {
    timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<f64>,
    unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistics: Option<Entries<f64>>,
}

/// Gives the statistics of one metric, each unit by itself.
pub fn get(rows: &Snapshot, context: &Context, request: GetMetricStatistics) -> Result<Statistics, ApiError> {
    let (start, end) = (seconds(request.start_time.0), seconds(request.end_time.0));
    if request.start_time >= request.end_time {
        return Err(combination("The parameter StartTime must be less than the parameter EndTime."));
    }
    if !is_period(request.period) {
        return Err(invalid(format!(
            "The value {} for parameter Period is invalid: a period is 1, 5, 10, 20, 30 or a multiple of 60 seconds.",
            request.period
        )));
    }
    match (request.statistics.is_empty(), request.extended_statistics.is_empty()) {
        (true, true) => return Err(missing("Statistics")),
        (false, false) => {
            return Err(combination(
                "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.",
            ));
        }
        _ => {}
    }
    let points = (end - start + request.period - 1) / request.period;
    if points > MOST {
        return Err(combination(format!(
            "You have requested up to {points} datapoints, which exceeds the limit of {MOST}. You may reduce the \
             datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    let wanted = |name: &String| {
        let statistic = query::statistic(name)?;
        let extended = matches!(statistic, Statistic::Percentile(_));
        if extended == request.statistics.is_empty() {
            return Ok(statistic);
        }
        let parameter = if extended { "Statistics" } else { "ExtendedStatistics" };
        Err(invalid(format!("The value {name} for parameter {parameter} is invalid.")))
    };
    let plain = request.statistics.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
    let extended = request.extended_statistics.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
    let metric = Metric {
        namespace: request.namespace,
        name: request.metric_name,
        dimensions: take_dimensions(request.dimensions, "Dimensions")?,
    };
    let mut datapoints = Vec::new();
    for one in series::find(rows, &context.account, &context.region, &metric, request.unit) {
        for (at, point) in series::periods(rows, &one, (start, end), request.period) {
            let of =
                |statistic: Statistic| plain.contains(&statistic).then(|| statistic.of(&point)).flatten();
            let percentiles: BTreeMap<String, f64> = extended
                .iter()
                .filter_map(|statistic| Some((statistic.to_string(), statistic.of(&point)?)))
                .collect();
            if plain.is_empty() && percentiles.is_empty() {
                continue;
            }
            datapoints.push(Datapoint {
                timestamp: Timestamp::from_millis(at * 1000).into(),
                sample_count: of(Statistic::SampleCount),
                average: of(Statistic::Average),
                sum: of(Statistic::Sum),
                minimum: of(Statistic::Minimum),
                maximum: of(Statistic::Maximum),
                unit: one.unit,
                extended_statistics: (!percentiles.is_empty()).then_some(Entries(percentiles)),
            });
        }
    }
    Ok(Statistics { label: metric.name, datapoints })
}
