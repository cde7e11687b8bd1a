//! Target tracking: its configuration, and the two alarms that it makes ("Target tracking scaling policies").

use metrics::alarm::{Comparison, Missing, Rule, State};
use metrics::scaling::SCALE_IN_PART;
use serde::{Deserialize, Serialize};
use store::{Row, Tx};
use wire::ApiError;

use super::place::Place;
use super::policy::ScalingPolicy;
use super::{id, validation};
use crate::Context;
use crate::cloudwatch::alarm::AlarmSource;
use crate::cloudwatch::metric::{Dimension, Metric, Unit, take_dimensions};
use crate::cloudwatch::query::{MetricDataQuery, MetricName, MetricStat, Plan};
use crate::cloudwatch::{MetricAlarm, alarm};

/// How many periods the metric has to be above the target, and below its part for scaling in, as AWS's alarms have it.
const HIGH_PERIODS: i64 = 3;
/// See [`HIGH_PERIODS`].
const LOW_PERIODS: i64 = 15;

/// The configuration, as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetTracking {
    /// Where the metric is kept.
    pub target_value: f64,
    /// A metric of AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predefined_metric_specification: Option<Predefined>,
    /// A metric of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customized_metric_specification: Option<Customized>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_out_cooldown: Option<i64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in_cooldown: Option<i64>,
    /// Whether it only scales out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_scale_in: Option<bool>,
}

/// A metric of AWS's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Predefined {
    /// Which.
    pub predefined_metric_type: PredefinedType,
    /// For requests: `app/<load balancer>/<id>/targetgroup/<target group>/<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_label: Option<String>,
}

/// The metrics that ECS services are scaled on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredefinedType {
    /// Percent of the processors that the tasks were given.
    #[serde(rename = "ECSServiceAverageCPUUtilization")]
    Cpu,
    /// Percent of the memory that the tasks were given.
    #[serde(rename = "ECSServiceAverageMemoryUtilization")]
    Memory,
    /// Requests a target and minute.
    #[serde(rename = "ALBRequestCountPerTarget")]
    Requests,
}

/// A metric of one's own, or an expression over several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Customized {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dimensions: Vec<Dimension>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<TrackingQuery>,
}

/// A query without a period: it is a minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TrackingQuery {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric_stat: Option<TrackingStat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_data: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TrackingStat {
    metric: MetricName,
    stat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
}

/// Checks a configuration.
///
/// # Errors
/// AWS's validation errors.
pub fn check(context: &Context, place: &Place, config: &TargetTracking) -> Result<(), ApiError> {
    if !(config.target_value > 0.0 && config.target_value.is_finite()) {
        return Err(validation("TargetValue must be greater than 0."));
    }
    if [config.scale_out_cooldown, config.scale_in_cooldown].into_iter().flatten().any(|seconds| seconds < 0)
    {
        return Err(validation("Cooldowns must be greater than or equal to 0."));
    }
    source(context, place, config, 60).map(drop)
}

/// Whether two checked configurations track one metric, whatever the targets are that they keep it at.
pub fn is_same_metric(
    context: &Context,
    place: &Place,
    one: &TargetTracking,
    other: &TargetTracking,
) -> bool {
    let of = |config: &TargetTracking| source(context, place, config, 60).ok();
    let predefined = |config: &TargetTracking| config.predefined_metric_specification.is_some();
    predefined(one) == predefined(other) && of(one) == of(other)
}

/// What the alarms look at, in periods of so many seconds.
fn source(
    context: &Context,
    place: &Place,
    config: &TargetTracking,
    period: i64,
) -> Result<AlarmSource, ApiError> {
    match (&config.predefined_metric_specification, &config.customized_metric_specification) {
        (Some(predefined), None) => predefined_source(place, predefined),
        (None, Some(customized)) => customized_source(context, customized, period),
        _ => Err(validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.",
        )),
    }
}

fn predefined_source(place: &Place, predefined: &Predefined) -> Result<AlarmSource, ApiError> {
    let ecs = |name: &str| {
        let dimensions = [("ClusterName", place.cluster.as_str()), ("ServiceName", place.service.as_str())];
        (Metric::of("AWS/ECS", name, &dimensions), "Average")
    };
    let (metric, statistic) = match (predefined.predefined_metric_type, &predefined.resource_label) {
        (PredefinedType::Cpu, None) => ecs("CPUUtilization"),
        (PredefinedType::Memory, None) => ecs("MemoryUtilization"),
        (PredefinedType::Cpu | PredefinedType::Memory, Some(_)) => {
            return Err(validation("ResourceLabel is only supported for ALBRequestCountPerTarget."));
        }
        (PredefinedType::Requests, label) => {
            let parts = label.as_deref().and_then(|label| label.split_once("/targetgroup/"));
            let whole = |(balancer, group): &(&str, &str)| {
                balancer.starts_with("app/")
                    && balancer.split('/').count() == 3
                    && group.split('/').count() == 2
            };
            let Some((balancer, group)) = parts.filter(whole) else {
                return Err(validation(
                    "ResourceLabel must be specified for ALBRequestCountPerTarget, in the form \
                     app/load-balancer-name/load-balancer-id/targetgroup/target-group-name/target-group-id.",
                ));
            };
            let group = format!("targetgroup/{group}");
            let dimensions = [("LoadBalancer", balancer), ("TargetGroup", group.as_str())];
            (Metric::of("AWS/ApplicationELB", "RequestCountPerTarget", &dimensions), "Sum")
        }
    };
    Ok(AlarmSource::Metric { metric, statistic: statistic.to_owned(), unit: None })
}

fn customized_source(context: &Context, config: &Customized, period: i64) -> Result<AlarmSource, ApiError> {
    if config.metrics.is_empty() {
        let (Some(name), Some(namespace), Some(statistic)) =
            (&config.metric_name, &config.namespace, &config.statistic)
        else {
            return Err(validation(
                "MetricName, Namespace and Statistic, or Metrics, must be specified in CustomizedMetricSpecification.",
            ));
        };
        if !matches!(statistic.as_str(), "Average" | "Minimum" | "Maximum" | "SampleCount" | "Sum") {
            return Err(validation(format!("Value '{statistic}' at 'statistic' is not valid.")));
        }
        let dimensions =
            take_dimensions(config.dimensions.clone(), "Dimensions").map_err(|e| validation(e.message))?;
        let metric = Metric { namespace: namespace.clone(), name: name.clone(), dimensions };
        return Ok(AlarmSource::Metric { metric, statistic: statistic.clone(), unit: config.unit });
    }
    if config.metric_name.is_some() || config.namespace.is_some() || config.statistic.is_some() {
        return Err(validation(
            "Metrics cannot be specified together with MetricName, Namespace or Statistic.",
        ));
    }
    let queries: Vec<MetricDataQuery> = config
        .metrics
        .iter()
        .map(|query| MetricDataQuery {
            id: query.id.clone(),
            metric_stat: query.metric_stat.as_ref().map(|stat| MetricStat {
                metric: stat.metric.clone(),
                period,
                stat: stat.stat.clone(),
                unit: stat.unit,
            }),
            expression: query.expression.clone(),
            label: query.label.clone(),
            return_data: query.return_data,
            period: None,
            account_id: None,
        })
        .collect();
    let plan = Plan::new(&queries, &context.account, "Metrics").map_err(|error| validation(error.message))?;
    if plan.returned().count() != 1 {
        return Err(validation("Exactly one element of Metrics must return data."));
    }
    Ok(AlarmSource::Queries(queries))
}

/// Makes the policy's alarms, or brings them to its configuration.
///
/// # Errors
/// As [`check`].
pub fn put_alarms(
    rows: &mut Tx,
    context: &Context,
    policy: &mut ScalingPolicy,
    config: &TargetTracking,
) -> Result<(), ApiError> {
    // A metric of one's own is measured by the minute; those of the platform as often as Landfall was told to.
    let period = match config.predefined_metric_specification {
        Some(_) => context.settings.metric_period_seconds(),
        None => 60,
    };
    let source = source(context, &policy.place, config, period)?;
    let name = |kind: &str| {
        format!("TargetTracking-{}-{kind}-{}", policy.place.resource_id(), id(&[8, 4, 4, 4, 12]))
    };
    let known = |kind: &str| policy.alarms.iter().find(|name| name.contains(kind)).cloned();
    let high = known("-AlarmHigh-").unwrap_or_else(|| name("AlarmHigh"));
    let mut wanted = vec![(high, Comparison::GreaterThanThreshold, config.target_value, HIGH_PERIODS)];
    let low = known("-AlarmLow-");
    if config.disable_scale_in == Some(true) {
        if let Some(low) = low {
            alarm::forget(rows, &context.key(low));
        }
    } else {
        let low = low.unwrap_or_else(|| name("AlarmLow"));
        wanted.push((low, Comparison::LessThanThreshold, config.target_value * SCALE_IN_PART, LOW_PERIODS));
    }
    policy.alarms = wanted.iter().map(|(name, ..)| name.clone()).collect();
    for (name, comparison, threshold, periods) in wanted {
        let rule = Rule {
            comparison,
            threshold,
            period,
            evaluation_periods: periods,
            datapoints_to_alarm: periods,
            missing: Missing::Missing,
        };
        let mut alarm = MetricAlarm {
            account: context.account.clone(),
            region: context.region.clone(),
            name,
            description: Some(format!(
                "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.",
                policy.arn()
            )),
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: vec![policy.arn()],
            insufficient_data_actions: Vec::new(),
            source: source.clone(),
            rule,
            datapoints_to_alarm: None,
            treat_missing_data: None,
            evaluate_low_sample_count_percentile: None,
            state: State::InsufficientData,
            state_reason: "Unchecked: Initial alarm creation".to_owned(),
            state_reason_data: None,
            state_updated_at: context.now,
            state_transitioned_at: context.now,
            configuration_updated_at: context.now,
            tags: Default::default(),
        };
        if let Some(known) = rows.get::<MetricAlarm>(&alarm.key()) {
            let (reason, data) = (known.state_reason.clone(), known.state_reason_data.clone());
            (alarm.state, alarm.state_reason, alarm.state_reason_data) = (known.state, reason, data);
            alarm.tags = known.tags.clone();
        }
        rows.put(alarm);
    }
    Ok(())
}
