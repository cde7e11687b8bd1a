//! `PutMetricData`.

use metrics::{Point, Tier};
use serde::Deserialize;
use store::Tx;
use types::Timestamp;
use wire::{ApiError, OnlyDefault, Time};

use super::metric::{Dimension, Metric, Unit, check_name, check_namespace, take_dimensions};
use super::series::{self, MetricSeries};
use super::{Empty, combination, invalid, missing, seconds};
use crate::Context;

/// How many metrics one call carries at most ("PutMetricData").
const MOST: usize = 1000;
/// How many different values one metric carries at most.
const MOST_VALUES: usize = 150;
/// How old a value may be, in seconds, and how far ahead.
const OLDEST: i64 = 14 * 86_400;
/// See [`OLDEST`].
const FURTHEST: i64 = 2 * 3600;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutMetricData {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<MetricDatum>,
    #[serde(default, rename = "EntityMetricData")]
    _entity_metric_data: OnlyDefault<wire::Empty>,
    /// Of entities, which are refused: with none there is nothing to validate.
    #[serde(default, rename = "StrictEntityValidation")]
    _strict_entity_validation: OnlyDefault<wire::False>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricDatum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<Time>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
    unit: Option<Unit>,
    storage_resolution: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

/// Takes measurements of one's own.
pub fn put(rows: &mut Tx, context: &Context, request: PutMetricData) -> Result<Empty, ApiError> {
    check_namespace(&request.namespace, "Namespace")?;
    if request.namespace.starts_with("AWS/") {
        return Err(invalid(format!(
            "The value {} for parameter Namespace is invalid: names that begin with AWS/ are AWS's own.",
            request.namespace
        )));
    }
    if request.metric_data.is_empty() {
        return Err(missing("MetricData"));
    }
    if request.metric_data.len() > MOST {
        return Err(invalid(format!("The collection MetricData must not have a size greater than {MOST}.")));
    }
    for (number, datum) in (1..).zip(request.metric_data) {
        let at = format!("MetricData.member.{number}");
        check_name(&datum.metric_name, &format!("{at}.MetricName"))?;
        let point = datum.point(&at)?;
        let time = datum.time(context.now, &at)?;
        let tier = match datum.storage_resolution {
            Some(1) => Tier::Second,
            None | Some(60) => Tier::Minute,
            Some(other) => {
                return Err(invalid(format!(
                    "The value {other} for parameter {at}.StorageResolution is invalid: it is 1 or 60."
                )));
            }
        };
        let dimensions = take_dimensions(datum.dimensions, &format!("{at}.Dimensions"))?;
        let series = MetricSeries {
            account: context.account.clone(),
            region: context.region.clone(),
            metric: Metric { namespace: request.namespace.clone(), name: datum.metric_name, dimensions },
            unit: datum.unit.unwrap_or_default(),
        };
        if !series::record(rows, series, tier, time, &point) {
            return Err(ApiError::new(
                "LimitExceeded",
                format!("Landfall keeps at most {} metrics of a region.", series::MOST_METRICS),
            )
            .with_shape("LimitExceededFault"));
        }
    }
    Ok(Empty {})
}

impl MetricDatum {
    fn point(&self, at: &str) -> Result<Point, ApiError> {
        let refused = |what: &str, why: metrics::PointError| {
            invalid(format!("The value for parameter {at}.{what} is invalid: {why}."))
        };
        match (self.value, &self.statistic_values, self.values.is_empty()) {
            (Some(value), None, true) if self.counts.is_empty() => {
                Point::of(value, 1.0).map_err(|why| refused("Value", why))
            }
            (None, Some(set), true) if self.counts.is_empty() => {
                Point::set(set.sample_count, set.sum, set.minimum, set.maximum)
                    .map_err(|why| refused("StatisticValues", why))
            }
            (None, None, false) => {
                if self.values.len() > MOST_VALUES {
                    return Err(invalid(format!(
                        "The collection {at}.Values must not have a size greater than {MOST_VALUES}."
                    )));
                }
                if !self.counts.is_empty() && self.counts.len() != self.values.len() {
                    return Err(invalid(format!(
                        "The parameters {at}.Values and {at}.Counts must be of the same length."
                    )));
                }
                let counts = self.counts.iter().copied().chain(std::iter::repeat(1.0));
                let pairs: Vec<(f64, f64)> = self.values.iter().copied().zip(counts).collect();
                for (value, count) in &pairs {
                    Point::of(*value, *count).map_err(|why| refused("Values", why))?;
                }
                Point::all(pairs).ok_or_else(|| missing(&format!("{at}.Values")))
            }
            (None, None, true) => Err(missing(&format!("{at}.Value"))),
            _ => Err(combination(format!(
                "The parameters {at}.Value, {at}.StatisticValues and {at}.Values are mutually exclusive and you have \
                 specified more than one."
            ))),
        }
    }

    fn time(&self, now: Timestamp, at: &str) -> Result<i64, ApiError> {
        let (given, now) = (self.timestamp.map_or(now, |time| time.0), seconds(now));
        let refused = |why: &str| {
            invalid(format!("The value {} for parameter {at}.Timestamp is invalid. {why}", given.iso()))
        };
        let given = seconds(given);
        if given < now - OLDEST {
            return Err(refused("Timestamp must specify a time no more than two weeks in the past."));
        }
        if given > now + FURTHEST {
            return Err(refused("Timestamp must specify a time no more than two hours in the future."));
        }
        Ok(given)
    }
}
