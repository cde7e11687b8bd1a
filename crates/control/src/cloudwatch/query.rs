//! Queries of GetMetricData and of alarms: metrics and expressions over them.

use std::collections::BTreeMap;

use metrics::expression::{Environment, Expression, Value, evaluate, parse};
use metrics::{Series, Statistic};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{AccountId, Region};
use wire::ApiError;

use super::metric::{
    Dimension, Metric, Unit, check_name, check_namespace, print_dimensions, take_dimensions,
};
use super::{is_period, series, unsupported, validation};

/// A metric or an expression, as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricDataQuery {
    /// Its name in expressions.
    pub id: String,
    /// The metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    /// The expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// How a result is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is a result; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
    /// Seconds a period of an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
    /// Whose metric it is: one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// A statistic of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricStat {
    /// The metric.
    pub metric: MetricName,
    /// Seconds a period.
    pub period: i64,
    /// The statistic.
    pub stat: String,
    /// Only what was measured in this unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// A metric as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricName {
    /// See [`Metric::namespace`].
    pub namespace: String,
    /// See [`Metric::name`].
    pub metric_name: String,
    /// See [`Metric::dimensions`].
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
}

impl From<&Metric> for MetricName {
    fn from(metric: &Metric) -> Self {
        Self {
            namespace: metric.namespace.clone(),
            metric_name: metric.name.clone(),
            dimensions: print_dimensions(&metric.dimensions),
        }
    }
}

impl MetricName {
    fn metric(&self, at: &str) -> Result<Metric, ApiError> {
        check_namespace(&self.namespace, &format!("{at}.Namespace"))?;
        check_name(&self.metric_name, &format!("{at}.MetricName"))?;
        let dimensions = take_dimensions(self.dimensions.clone(), &format!("{at}.Dimensions"))?;
        Ok(Metric { namespace: self.namespace.clone(), name: self.metric_name.clone(), dimensions })
    }
}

/// A statistic that a request names.
///
/// # Errors
/// When it is not one of those that are known here.
pub fn statistic(name: &str) -> Result<Statistic, ApiError> {
    name.parse().map_err(unsupported)
}

/// Queries that were checked.
#[derive(Debug)]
pub struct Plan {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    label: String,
    returned: bool,
    period: i64,
    what: What,
}

#[derive(Debug)]
enum What {
    Metric { metric: Metric, statistic: Statistic, unit: Option<Unit> },
    Expression(Expression),
}

/// One result of a plan.
#[derive(Debug)]
pub struct Found {
    /// The query's id.
    pub id: String,
    /// Its label.
    pub label: String,
    /// The numbers.
    pub value: Value,
}

impl Plan {
    /// Checks queries; `parameter` is how the request calls their list.
    ///
    /// # Errors
    /// AWS's validation errors; what is not done here is refused by name.
    pub fn new(queries: &[MetricDataQuery], account: &AccountId, parameter: &str) -> Result<Self, ApiError> {
        let mut entries: Vec<Entry> = Vec::new();
        for (number, query) in (1..).zip(queries) {
            let at = format!("{parameter}.member.{number}");
            let small = query.id.starts_with(|c: char| c.is_ascii_lowercase());
            if !small
                || !query.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                || query.id.len() > 255
            {
                return Err(validation(format!(
                    "The value {} for parameter {at}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                    query.id
                )));
            }
            if entries.iter().any(|entry| entry.id == query.id) {
                return Err(validation(format!(
                    "The values for parameter Id in {parameter} are not unique."
                )));
            }
            if query.account_id.as_deref().is_some_and(|id| id != account.as_str()) {
                return Err(unsupported(format!("{at}.AccountId: metrics of another account")));
            }
            if query.label.as_deref().is_some_and(|label| label.contains("${")) {
                return Err(unsupported(format!("{at}.Label with dynamic parts")));
            }
            if let Some(period) = query.period.filter(|period| !is_period(*period)) {
                return Err(bad_period(period, &format!("{at}.Period")));
            }
            let (what, period, label) = match (&query.metric_stat, &query.expression) {
                (Some(stat), None) => {
                    if query.period.is_some() {
                        return Err(validation(format!(
                            "Period must not be set for MetricStat in {at}: it stands in MetricStat."
                        )));
                    }
                    if !is_period(stat.period) {
                        return Err(bad_period(stat.period, &format!("{at}.MetricStat.Period")));
                    }
                    let metric = stat.metric.metric(&format!("{at}.MetricStat.Metric"))?;
                    let name = metric.name.clone();
                    let statistic = statistic(&stat.stat)?;
                    (What::Metric { metric, statistic, unit: stat.unit }, stat.period, name)
                }
                (None, Some(text)) => {
                    let expression = parse(text).map_err(|error| {
                        validation(format!("Error in expression '{}': {error}", query.id))
                    })?;
                    (What::Expression(expression), query.period.unwrap_or(0), query.id.clone())
                }
                _ => {
                    return Err(validation(format!(
                        "Exactly one of MetricStat and Expression must be specified in {at}."
                    )));
                }
            };
            entries.push(Entry {
                id: query.id.clone(),
                label: query.label.clone().filter(|label| !label.is_empty()).unwrap_or(label),
                returned: query.return_data.unwrap_or(true),
                period,
                what,
            });
        }
        let mut plan = Self { entries };
        plan.order()?;
        Ok(plan)
    }

    /// Brings expressions behind what they refer to, and gives them their periods.
    fn order(&mut self) -> Result<(), ApiError> {
        let (metrics, mut waiting): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| matches!(entry.what, What::Metric { .. }));
        let longest = metrics.iter().map(|entry| entry.period).max();
        self.entries = metrics;
        while !waiting.is_empty() {
            let known: BTreeMap<&str, i64> =
                self.entries.iter().map(|entry| (entry.id.as_str(), entry.period)).collect();
            let ready = |entry: &Entry| match &entry.what {
                What::Expression(expression) => {
                    expression.names().iter().all(|name| expression.takes_all() || known.contains_key(name))
                }
                What::Metric { .. } => true,
            };
            let Some(at) = waiting.iter().position(ready) else {
                let names: Vec<&str> = waiting.iter().map(|entry| entry.id.as_str()).collect();
                return Err(validation(format!(
                    "Error in expression '{}': it refers to an Id that no query has, or to itself.",
                    names.join("', '")
                )));
            };
            let period = match &waiting[at].what {
                What::Expression(expression) if !expression.takes_all() => {
                    expression.names().iter().filter_map(|name| known.get(name).copied()).max()
                }
                _ => longest,
            };
            let mut entry = waiting.remove(at);
            if entry.period == 0 {
                entry.period = period.unwrap_or(60);
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The ids of the results.
    pub fn returned(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.returned).map(|entry| entry.id.as_str())
    }

    /// The longest period among the queries.
    pub fn period(&self) -> i64 {
        self.entries.iter().map(|entry| entry.period).max().unwrap_or(60)
    }

    /// The results, from `start` on and before `end`.
    ///
    /// # Errors
    /// When an expression gets something else than it takes.
    pub fn evaluate(
        &self,
        rows: &Snapshot,
        account: &AccountId,
        region: &Region,
        (start, end): (i64, i64),
    ) -> Result<Vec<Found>, ApiError> {
        let is_metric = |entry: &&Entry| matches!(entry.what, What::Metric { .. });
        let metrics: Vec<String> =
            self.entries.iter().filter(is_metric).map(|entry| entry.id.clone()).collect();
        let mut values = BTreeMap::new();
        for entry in &self.entries {
            let value = match &entry.what {
                What::Metric { metric, statistic, unit } => {
                    let all = series::find(rows, account, region, metric, *unit);
                    Value::Series(series::statistic(rows, &all, (start, end), entry.period, *statistic))
                }
                What::Expression(expression) => {
                    let environment =
                        Environment { values: &values, metrics: &metrics, start, end, period: entry.period };
                    evaluate(expression, &environment)
                        .map_err(|error| validation(format!("Error in expression '{}': {error}", entry.id)))?
                }
            };
            values.insert(entry.id.clone(), value);
        }
        let returned = self.entries.iter().filter(|entry| entry.returned);
        Ok(returned
            .filter_map(|entry| {
                let value = values.remove(&entry.id)?;
                Some(Found { id: entry.id.clone(), label: entry.label.clone(), value })
            })
            .collect())
    }
}

impl Found {
    /// The series. Empty: it is a number or several series.
    pub fn into_series(self) -> Series {
        match self.value {
            Value::Series(series) => series,
            Value::Scalar(_) | Value::List(_) => Series::new(),
        }
    }
}

fn bad_period(period: i64, at: &str) -> ApiError {
    validation(format!(
        "The value {period} for parameter {at} is invalid: a period is 1, 5, 10, 20, 30 or a multiple of 60 seconds."
    ))
}
