//! `PutMetricAlarm`.

use metrics::Statistic;
use metrics::alarm::{Comparison, Missing, Rule, State};
use serde::Deserialize;
use store::{Snapshot, Tx};
use wire::{ApiError, OnlyDefault, documented_default};

use super::alarm::{AlarmSource, MetricAlarm, check_action};
use super::alarm_history::{self, Kind};
use super::metric::{Dimension, Metric, Unit, check_name, check_namespace, take_dimensions};
use super::query::{self, MetricDataQuery, Plan};
use super::tag::{self, Tag};
use super::{Empty, alarm_resource, validation};
use crate::Context;
use crate::iam::Resource;

/// The most actions of a state.
const MOST_ACTIONS: usize = 5;
/// The longest time that an alarm looks at, in seconds, by its period ("PutMetricAlarm": a day below one hour's
/// periods, seven days from there on).
const DAY: i64 = 86_400;

documented_default!(
    /// Percentiles are evaluated however few samples there are.
    Evaluate = "evaluate"
);

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutMetricAlarm {
    alarm_name: String,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(default, rename = "OKActions")]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<Unit>,
    evaluation_periods: Option<i64>,
    datapoints_to_alarm: Option<i64>,
    threshold: Option<f64>,
    comparison_operator: Option<Comparison>,
    treat_missing_data: Option<String>,
    #[serde(default, rename = "EvaluateLowSampleCountPercentile")]
    _evaluate_low_sample_count_percentile: OnlyDefault<Evaluate>,
    #[serde(default)]
    metrics: Vec<MetricDataQuery>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "ThresholdMetricId")]
    _threshold_metric_id: OnlyDefault<wire::Empty>,
    #[serde(default, rename = "EvaluationCriteria")]
    _evaluation_criteria: OnlyDefault<wire::Empty>,
    #[serde(default, rename = "EvaluationInterval")]
    _evaluation_interval: OnlyDefault<wire::Empty>,
}

/// What [`put`] acts on.
pub(super) fn of_put(_: &Snapshot, context: &Context, request: &PutMetricAlarm) -> Vec<Resource> {
    vec![alarm_resource(context, &request.alarm_name)]
}

/// Makes an alarm, or changes one, whose state then stays as it is.
pub fn put(rows: &mut Tx, context: &Context, request: PutMetricAlarm) -> Result<Empty, ApiError> {
    check_name(&request.alarm_name, "AlarmName")?;
    if request.alarm_description.as_deref().is_some_and(|text| text.chars().count() > 1024) {
        return Err(validation("The parameter AlarmDescription must not be longer than 1024 characters."));
    }
    let enabled = request.actions_enabled.unwrap_or(true);
    for (name, actions) in [
        ("OKActions", &request.ok_actions),
        ("AlarmActions", &request.alarm_actions),
        ("InsufficientDataActions", &request.insufficient_data_actions),
    ] {
        if actions.len() > MOST_ACTIONS {
            return Err(validation(format!(
                "The collection {name} must not have a size greater than {MOST_ACTIONS}."
            )));
        }
        for action in actions.iter().filter(|_| enabled) {
            check_action(rows, action)?;
        }
    }
    let (source, period) = source(context, &request)?;
    let rule = rule(&request, period)?;
    let known = rows.get::<MetricAlarm>(&context.key(&request.alarm_name));
    let tags = match &known {
        Some(known) => known.tags.clone(),
        None => tag::take(request.tags)?,
    };
    let alarm = MetricAlarm {
        account: context.account.clone(),
        region: context.region.clone(),
        name: request.alarm_name,
        description: request.alarm_description.filter(|text| !text.is_empty()),
        actions_enabled: enabled,
        ok_actions: request.ok_actions,
        alarm_actions: request.alarm_actions,
        insufficient_data_actions: request.insufficient_data_actions,
        source,
        rule,
        datapoints_to_alarm: request.datapoints_to_alarm,
        treat_missing_data: request.treat_missing_data.filter(|text| !text.is_empty()),
        evaluate_low_sample_count_percentile: None,
        state: known.as_ref().map_or(State::InsufficientData, |known| known.state),
        state_reason: known.as_ref().map_or_else(
            || "Unchecked: Initial alarm creation".to_owned(),
            |known| known.state_reason.clone(),
        ),
        state_reason_data: known.as_ref().and_then(|known| known.state_reason_data.clone()),
        state_updated_at: known.as_ref().map_or(context.now, |known| known.state_updated_at),
        state_transitioned_at: known.as_ref().map_or(context.now, |known| known.state_transitioned_at),
        configuration_updated_at: context.now,
        tags,
    };
    let (verb, kind) = if known.is_some() { ("updated", "Update") } else { ("created", "Create") };
    let words = format!("Alarm \"{}\" {verb}", alarm.name);
    let data = serde_json::json!({ "version": "1.0", "type": kind }).to_string();
    alarm_history::note(rows, &alarm, Kind::ConfigurationUpdate, words, data, context.now);
    rows.put(alarm);
    Ok(Empty {})
}

/// What the alarm looks at, and its period.
fn source(context: &Context, request: &PutMetricAlarm) -> Result<(AlarmSource, i64), ApiError> {
    if !request.metrics.is_empty() {
        let both = [
            ("MetricName", request.metric_name.is_some()),
            ("Namespace", request.namespace.is_some()),
            ("Statistic", request.statistic.is_some()),
            ("ExtendedStatistic", request.extended_statistic.is_some()),
            ("Dimensions", !request.dimensions.is_empty()),
            ("Period", request.period.is_some()),
            ("Unit", request.unit.is_some()),
        ];
        if let Some((name, _)) = both.iter().find(|(_, given)| *given) {
            return Err(validation(format!("{name} must not be set if Metrics is set.")));
        }
        let plan = Plan::new(&request.metrics, &context.account, "Metrics")?;
        if plan.returned().count() != 1 {
            return Err(validation("Exactly one element of the metrics list should return data."));
        }
        if plan.period() < 10 {
            return Err(period_error());
        }
        return Ok((AlarmSource::Queries(request.metrics.clone()), plan.period()));
    }
    let needed = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| validation(format!("Either Metrics or {name} must be set.")))
    };
    let metric = Metric {
        namespace: needed(&request.namespace, "Namespace")?,
        name: needed(&request.metric_name, "MetricName")?,
        dimensions: take_dimensions(request.dimensions.clone(), "Dimensions")?,
    };
    check_namespace(&metric.namespace, "Namespace")?;
    check_name(&metric.name, "MetricName")?;
    let statistic = match (&request.statistic, &request.extended_statistic) {
        (Some(name), None) if !matches!(query::statistic(name)?, Statistic::Percentile(_)) => name,
        (None, Some(name)) if matches!(query::statistic(name)?, Statistic::Percentile(_)) => name,
        (Some(name), None) => {
            return Err(validation(format!(
                "Value '{name}' at 'statistic' is not valid: it is an ExtendedStatistic."
            )));
        }
        (None, Some(name)) => {
            return Err(validation(format!(
                "Value '{name}' at 'extendedStatistic' is not valid: it is a Statistic."
            )));
        }
        _ => return Err(validation("Exactly one of Statistic and ExtendedStatistic must be set.")),
    };
    let period = request.period.ok_or_else(|| validation("Period must be set if Metrics is not set."))?;
    if !(matches!(period, 10 | 20 | 30) || (period > 0 && period % 60 == 0)) {
        return Err(period_error());
    }
    Ok((AlarmSource::Metric { metric, statistic: statistic.clone(), unit: request.unit }, period))
}

fn period_error() -> ApiError {
    validation("Period must be 10, 20, 30 or a multiple of 60")
}

fn rule(request: &PutMetricAlarm, period: i64) -> Result<Rule, ApiError> {
    let needed = |name: &str| validation(format!("The parameter {name} is required."));
    let comparison = request.comparison_operator.ok_or_else(|| needed("ComparisonOperator"))?;
    let threshold = request.threshold.ok_or_else(|| needed("Threshold"))?;
    let evaluation_periods = request.evaluation_periods.ok_or_else(|| needed("EvaluationPeriods"))?;
    let datapoints_to_alarm = request.datapoints_to_alarm.unwrap_or(evaluation_periods);
    if evaluation_periods < 1 {
        return Err(validation("EvaluationPeriods must be greater than or equal to 1."));
    }
    let most = if period < 3600 { DAY } else { 7 * DAY };
    if evaluation_periods.checked_mul(period).is_none_or(|time| time > most) {
        return Err(validation(format!(
            "Metrics cannot be checked across more than {} (EvaluationPeriods * Period must be <= {most}).",
            if most == DAY { "a day" } else { "seven days" }
        )));
    }
    if !(1..=evaluation_periods).contains(&datapoints_to_alarm) {
        return Err(validation("DatapointsToAlarm must be between 1 and EvaluationPeriods."));
    }
    let missing = match request.treat_missing_data.as_deref().filter(|text| !text.is_empty()) {
        None | Some("missing") => Missing::Missing,
        Some("ignore") => Missing::Ignore,
        Some("breaching") => Missing::Breaching,
        Some("notBreaching") => Missing::NotBreaching,
        Some(other) => {
            return Err(validation(format!(
                "Value '{other}' at 'treatMissingData' is not valid: it is one of [breaching, notBreaching, ignore, missing]."
            )));
        }
    };
    Ok(Rule { comparison, threshold, period, evaluation_periods, datapoints_to_alarm, missing })
}
