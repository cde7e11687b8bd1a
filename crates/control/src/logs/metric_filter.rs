//! Metric filters: patterns that make measurements of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::logs::{NewEvent, Pattern};
use ::metrics::{Point, Tier};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Store, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Empty, False, OnlyDefault};

use super::group::{self, LogGroup};
use super::{Done, allowed, bad_pattern, invalid, limit, violated};
use crate::cloudwatch::metric::{Metric, Unit};
use crate::cloudwatch::series::{self, MetricSeries};
use crate::context::Context;
use crate::page::page;

/// How many filters a group may have.
const MOST: usize = 100;
/// How many filters of a group may have regular expressions.
const MOST_REGEXES: usize = 5;
/// How many dimensions a metric may have.
const MOST_DIMENSIONS: usize = 3;

/// A metric filter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// The group whose events it sees.
    pub group: String,
    /// Its name, unique in the group.
    pub name: String,
    /// Which events it takes.
    pub pattern: String,
    /// What it makes of them.
    pub transformation: MetricTransformation,
    /// When it was made or changed.
    pub created_at: Timestamp,
}

impl Row for MetricFilter {
    const TABLE: &'static str = "logs_metric_filter";

    fn key(&self) -> String {
        format!("{}/{}/{}:{}", self.account, self.region, self.group, self.name)
    }
}

/// What a metric filter makes of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricTransformation {
    /// The metric's name.
    pub metric_name: String,
    /// Its namespace.
    pub metric_namespace: String,
    /// A number, or a selector of the pattern's.
    pub metric_value: String,
    /// What a minute with events of which none matches has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value: Option<f64>,
    /// Dimensions: names and the selectors of their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// The metric's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

impl MetricTransformation {
    fn check(&self, pattern: &Pattern) -> Result<(), ApiError> {
        for (text, member) in [(&self.metric_name, "metricName"), (&self.metric_namespace, "metricNamespace")]
        {
            let member = format!("metricTransformations.1.member.{member}");
            if text.is_empty() || text.chars().count() > 255 || text.contains([':', '*', '$']) {
                let constraint = "Member must satisfy regular expression pattern: [^:*$]*";
                return Err(violated(text, &member, constraint));
            }
        }
        if self.metric_namespace.starts_with("AWS/") {
            return Err(invalid("Metric namespaces that begin with AWS/ are AWS's own."));
        }
        let value = &self.metric_value;
        if value.parse::<f64>().map_or(true, |value| !value.is_finite()) && !pattern.knows(value) {
            return Err(invalid(format!(
                "Invalid metric transformation: the metric value '{value}' is neither a number nor a field of the pattern"
            )));
        }
        if !self.dimensions.is_empty() && self.default_value.is_some() {
            return Err(invalid(
                "Invalid metric transformation: dimensions and default value are mutually exclusive properties.",
            ));
        }
        if self.dimensions.len() > MOST_DIMENSIONS {
            return Err(invalid(format!(
                "Invalid metric transformation: there may be at most {MOST_DIMENSIONS} dimensions."
            )));
        }
        match self.dimensions.iter().find(|(_, selector)| !pattern.knows(selector)) {
            Some((name, selector)) => Err(invalid(format!(
                "Invalid metric transformation: dimension '{name}' has the value '{selector}', which is no field of the \
                 pattern"
            ))),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutMetricFilter {
    log_group_name: String,
    filter_name: String,
    filter_pattern: String,
    metric_transformations: Vec<MetricTransformation>,
    #[serde(default, rename = "applyOnTransformedLogs")]
    _apply_on_transformed_logs: OnlyDefault<False>,
    #[serde(default, rename = "fieldSelectionCriteria")]
    _field_selection_criteria: OnlyDefault<Empty>,
    #[serde(default, rename = "emitSystemFieldDimensions")]
    _emit_system_field_dimensions: OnlyDefault<Empty>,
}

pub(super) fn put_metric_filter(
    rows: &mut Tx,
    context: &Context,
    request: PutMetricFilter,
) -> Result<Done, ApiError> {
    allowed(rows, context, "PutMetricFilter", &request.log_group_name)?;
    let group = group::get(rows, context, &request.log_group_name)?;
    let name = request.filter_name;
    if name.is_empty() || name.chars().count() > 512 || name.contains([':', '*']) {
        return Err(violated(name, "filterName", "Member must satisfy regular expression pattern: [^:*]*"));
    }
    let pattern = Pattern::parse(&request.filter_pattern).map_err(bad_pattern)?;
    let [transformation] = <[_; 1]>::try_from(request.metric_transformations).map_err(|given| {
        let bound = if given.is_empty() { "greater" } else { "less" };
        let constraint = format!("Member must have length {bound} than or equal to 1");
        violated("metric transformations", "metricTransformations", &constraint)
    })?;
    let transformation: MetricTransformation = transformation;
    transformation.check(&pattern)?;
    let prefix = group.prefix();
    let others: Vec<Arc<MetricFilter>> =
        rows.scan::<MetricFilter>(&prefix).filter(|filter| filter.name != name).collect();
    let has_regexes =
        |filter: &MetricFilter| Pattern::parse(&filter.pattern).is_ok_and(|pattern| pattern.regexes() > 0);
    let with_regexes = others.iter().filter(|filter| has_regexes(filter)).count();
    if others.len() >= MOST || (pattern.regexes() > 0 && with_regexes >= MOST_REGEXES) {
        return Err(ApiError::new("LimitExceededException", "Resource limit exceeded."));
    }
    rows.put(MetricFilter {
        account: context.account.clone(),
        region: context.region.clone(),
        group: group.name.clone(),
        name,
        pattern: request.filter_pattern,
        transformation,
        created_at: context.now,
    });
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteMetricFilter {
    log_group_name: String,
    filter_name: String,
}

pub(super) fn delete_metric_filter(
    rows: &mut Tx,
    context: &Context,
    request: DeleteMetricFilter,
) -> Result<Done, ApiError> {
    allowed(rows, context, "DeleteMetricFilter", &request.log_group_name)?;
    let group = group::get(rows, context, &request.log_group_name)?;
    let key = format!("{}{}", group.prefix(), request.filter_name);
    if rows.delete::<MetricFilter>(&key).is_none() {
        return Err(ApiError::new(
            "ResourceNotFoundException",
            "The specified metric filter does not exist.",
        ));
    }
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeMetricFilters {
    log_group_name: Option<String>,
    filter_name_prefix: Option<String>,
    metric_name: Option<String>,
    metric_namespace: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetricFilters {
    metric_filters: Vec<FilterView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FilterView {
    filter_name: String,
    filter_pattern: String,
    metric_transformations: [MetricTransformation; 1],
    creation_time: i64,
    log_group_name: String,
    apply_on_transformed_logs: bool,
}

pub(super) fn describe_metric_filters(
    rows: &Snapshot,
    context: &Context,
    request: DescribeMetricFilters,
) -> Result<MetricFilters, ApiError> {
    let name = request.log_group_name.filter(|name| !name.is_empty());
    allowed(rows, context, "DescribeMetricFilters", name.as_deref().unwrap_or_default())?;
    if request.metric_name.is_some() != request.metric_namespace.is_some() {
        return Err(invalid("metricName and metricNamespace must be given together."));
    }
    let most = limit(request.limit, 50)?;
    let prefix = match &name {
        Some(name) => group::get(rows, context, name)?.prefix(),
        None => context.prefix(),
    };
    let begins = request.filter_name_prefix.unwrap_or_default();
    let filters = rows.scan::<MetricFilter>(&prefix).filter(|filter| {
        let of = &filter.transformation;
        filter.name.starts_with(&begins)
            && request.metric_name.as_ref().is_none_or(|name| of.metric_name == *name)
            && request.metric_namespace.as_ref().is_none_or(|name| of.metric_namespace == *name)
    });
    let page = page(filters, |filter| filter.key(), Some(most), request.next_token.as_deref())
        .map_err(|_| invalid("The specified nextToken is invalid."))?;
    let view = |filter: Arc<MetricFilter>| FilterView {
        filter_name: filter.name.clone(),
        filter_pattern: filter.pattern.clone(),
        metric_transformations: [filter.transformation.clone()],
        creation_time: filter.created_at.as_millis(),
        log_group_name: filter.group.clone(),
        apply_on_transformed_logs: false,
    };
    Ok(MetricFilters {
        metric_filters: page.items.into_iter().map(view).collect(),
        next_token: page.next_token,
    })
}

/// What a group's filters make of events: measurements of a series in a minute (seconds since 1970).
pub(super) struct Measured {
    series: MetricSeries,
    minute: i64,
    /// Empty: the minute had events and none of them matched.
    values: Vec<f64>,
    default: Option<f64>,
}

/// Holds events against the filters of their group.
pub(super) fn measure(rows: &Snapshot, group: &LogGroup, batch: &[NewEvent]) -> Vec<Measured> {
    let mut all = Vec::new();
    for filter in rows.scan::<MetricFilter>(&group.prefix()) {
        let Ok(pattern) = Pattern::parse(&filter.pattern) else { continue };
        all.extend(filter.measure(&pattern, batch));
    }
    all
}

impl MetricFilter {
    fn measure(&self, pattern: &Pattern, batch: &[NewEvent]) -> Vec<Measured> {
        let of = &self.transformation;
        let mut found: BTreeMap<(i64, BTreeMap<String, String>), Vec<f64>> = BTreeMap::new();
        for event in batch {
            let minute = event.timestamp.div_euclid(60_000) * 60;
            if of.default_value.is_some() {
                found.entry((minute, BTreeMap::new())).or_default();
            }
            if !pattern.matches(&event.message) {
                continue;
            }
            let value = match of.metric_value.parse::<f64>() {
                Ok(value) => Some(value),
                Err(_) => pattern.select(&event.message, &of.metric_value).and_then(|text| text.parse().ok()),
            };
            let Some(value) = value.filter(|value: &f64| value.is_finite()) else { continue };
            let dimensions = of.dimensions.iter().map(|(name, selector)| {
                let text = pattern.select(&event.message, selector).filter(|text| !text.trim().is_empty());
                Some((name.clone(), text?.chars().take(1024).collect()))
            });
            // An event without a value for each dimension is left out.
            let Some(dimensions) = dimensions.collect::<Option<BTreeMap<String, String>>>() else { continue };
            found.entry((minute, dimensions)).or_default().push(value);
        }
        let measured = found.into_iter().map(|((minute, dimensions), values)| Measured {
            series: MetricSeries {
                account: self.account.clone(),
                region: self.region.clone(),
                metric: Metric {
                    namespace: of.metric_namespace.clone(),
                    name: of.metric_name.clone(),
                    dimensions,
                },
                unit: of.unit.unwrap_or_default(),
            },
            minute,
            values,
            default: of.default_value,
        });
        measured.collect()
    }
}

/// Takes measurements down. A metric beyond the most that are kept is left out, and so are all when the rows cannot be
/// written: the events are there already.
pub(super) fn publish(rows: &Store, measured: Vec<Measured>) {
    if measured.is_empty() {
        return;
    }
    let _ = rows.write(move |rows: &mut Tx| {
        for Measured { series, minute, values, default } in measured {
            let point = match (values.is_empty(), default) {
                (false, _) => Point::all(values.into_iter().map(|value| (value, 1.0))),
                // Only for a minute that has nothing yet.
                (true, Some(default)) if series.last_at(rows).is_none_or(|last| last < minute) => {
                    Point::of(default, 1.0).ok()
                }
                _ => None,
            };
            if let Some(point) = point {
                let _ = series::record(rows, series, Tier::Minute, minute, &point);
            }
        }
        Ok::<_, std::convert::Infallible>(())
    });
}
