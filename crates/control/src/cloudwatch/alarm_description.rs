//! `DescribeAlarms` and `DescribeAlarmsForMetric`.

use metrics::Statistic;
use metrics::alarm::{Comparison, State};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::{ApiError, OnlyDefault, Time};

use super::alarm::{AlarmSource, MetricAlarm};
use super::metric::{Dimension, Unit, take_dimensions};
use super::query::MetricDataQuery;
use super::{invalid_token, validation};
use crate::Context;
use crate::page::page;

/// `DescribeAlarms`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeAlarms {
    #[serde(default)]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_types: Vec<AlarmType>,
    #[serde(default, rename = "ChildrenOfAlarmName")]
    _children_of_alarm_name: OnlyDefault<wire::Empty>,
    #[serde(default, rename = "ParentsOfAlarmName")]
    _parents_of_alarm_name: OnlyDefault<wire::Empty>,
    state_value: Option<State>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// Which kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum AlarmType {
    /// There are none.
    CompositeAlarm,
    /// All there are.
    MetricAlarm,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Alarms {
    composite_alarms: Vec<String>,
    metric_alarms: Vec<AlarmView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// An alarm as responses print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmView {
    alarm_name: String,
    alarm_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_description: Option<String>,
    alarm_configuration_updated_timestamp: Time,
    actions_enabled: bool,
    #[serde(rename = "OKActions")]
    ok_actions: Vec<String>,
    alarm_actions: Vec<String>,
    insufficient_data_actions: Vec<String>,
    state_value: &'static str,
    state_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_data: Option<String>,
    state_updated_timestamp: Time,
    state_transitioned_timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<String>,
    dimensions: Vec<Dimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    evaluation_periods: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<i64>,
    threshold: f64,
    comparison_operator: Comparison,
    #[serde(skip_serializing_if = "Option::is_none")]
    treat_missing_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluate_low_sample_count_percentile: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricDataQuery>,
}

impl MetricAlarm {
    fn print(&self) -> AlarmView {
        let mut view = AlarmView {
            alarm_name: self.name.clone(),
            alarm_arn: self.arn(),
            alarm_description: self.description.clone(),
            alarm_configuration_updated_timestamp: self.configuration_updated_at.into(),
            actions_enabled: self.actions_enabled,
            ok_actions: self.ok_actions.clone(),
            alarm_actions: self.alarm_actions.clone(),
            insufficient_data_actions: self.insufficient_data_actions.clone(),
            state_value: self.state.name(),
            state_reason: self.state_reason.clone(),
            state_reason_data: self.state_reason_data.clone(),
            state_updated_timestamp: self.state_updated_at.into(),
            state_transitioned_timestamp: self.state_transitioned_at.into(),
            metric_name: None,
            namespace: None,
            statistic: None,
            extended_statistic: None,
            dimensions: Vec::new(),
            period: None,
            unit: None,
            evaluation_periods: self.rule.evaluation_periods,
            datapoints_to_alarm: self.datapoints_to_alarm,
            threshold: self.rule.threshold,
            comparison_operator: self.rule.comparison,
            treat_missing_data: self.treat_missing_data.clone(),
            evaluate_low_sample_count_percentile: self.evaluate_low_sample_count_percentile.clone(),
            metrics: Vec::new(),
        };
        match &self.source {
            AlarmSource::Metric { metric, statistic, unit } => {
                view.metric_name = Some(metric.name.clone());
                view.namespace = Some(metric.namespace.clone());
                view.dimensions = metric.print_dimensions();
                view.period = Some(self.rule.period);
                view.unit = *unit;
                if matches!(statistic.parse(), Ok(Statistic::Percentile(_))) {
                    view.extended_statistic = Some(statistic.clone());
                } else {
                    view.statistic = Some(statistic.clone());
                }
            }
            AlarmSource::Queries(queries) => view.metrics = queries.clone(),
        }
        view
    }
}

/// Lists alarms.
pub fn describe(rows: &Snapshot, context: &Context, request: DescribeAlarms) -> Result<Alarms, ApiError> {
    if !request.alarm_names.is_empty() && request.alarm_name_prefix.is_some() {
        return Err(validation("AlarmNames and AlarmNamePrefix must not both be set."));
    }
    if let Some(most) = request.max_records.filter(|most| !(1..=100).contains(most)) {
        return Err(validation(format!(
            "Value '{most}' at 'maxRecords' is not valid: it is between 1 and 100."
        )));
    }
    // Without a type AWS lists metric alarms.
    let wanted = request.alarm_types.is_empty() || request.alarm_types.contains(&AlarmType::MetricAlarm);
    let begins =
        |prefix: &Option<String>, text: &str| prefix.as_deref().is_none_or(|prefix| text.starts_with(prefix));
    let fits = |alarm: &MetricAlarm| {
        wanted
            && (request.alarm_names.is_empty() || request.alarm_names.contains(&alarm.name))
            && begins(&request.alarm_name_prefix, &alarm.name)
            && request.state_value.is_none_or(|state| state == alarm.state)
            && (request.action_prefix.is_none()
                || alarm.all_actions().any(|action| begins(&request.action_prefix, action)))
    };
    let prefix = context.prefix();
    let all = rows.scan::<MetricAlarm>(&prefix).filter(|alarm| fits(alarm));
    let most = request.max_records.unwrap_or(50);
    let page = page(all, |alarm| alarm.key(), Some(most), request.next_token.as_deref())
        .map_err(|_| invalid_token())?;
    let metric_alarms = page.items.iter().map(|alarm| alarm.print()).collect();
    Ok(Alarms { composite_alarms: Vec::new(), metric_alarms, next_token: page.next_token })
}

/// `DescribeAlarmsForMetric`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeAlarmsForMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<Unit>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AlarmsForMetric {
    metric_alarms: Vec<AlarmView>,
}

/// Lists the alarms on one metric; those on expressions are not among them.
pub fn describe_for_metric(
    rows: &Snapshot,
    context: &Context,
    request: DescribeAlarmsForMetric,
) -> Result<AlarmsForMetric, ApiError> {
    let dimensions = take_dimensions(request.dimensions, "Dimensions")?;
    let wanted = request.statistic.or(request.extended_statistic);
    let fits = |alarm: &MetricAlarm| {
        let AlarmSource::Metric { metric, statistic, unit } = &alarm.source else { return false };
        metric.name == request.metric_name
            && metric.namespace == request.namespace
            && metric.dimensions == dimensions
            && wanted.as_ref().is_none_or(|wanted| wanted == statistic)
            && request.period.is_none_or(|period| period == alarm.rule.period)
            && (request.unit.is_none() || request.unit == *unit)
    };
    let prefix = context.prefix();
    let alarms = rows.scan::<MetricAlarm>(&prefix).filter(|alarm| fits(alarm));
    Ok(AlarmsForMetric { metric_alarms: alarms.map(|alarm| alarm.print()).collect() })
}
