//! Scaling policies: `PutScalingPolicy`, `DeleteScalingPolicy`.

use std::sync::Arc;

use metrics::scaling::{AdjustmentType, Past, StepAdjustment};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{Arn, Timestamp};
use wire::{ApiError, OnlyDefault};

use super::place::{Place, ScalableDimension, ServiceNamespace};
use super::tracking::{self, TargetTracking};
use super::{Empty, id, not_found, target, validation};
use crate::Context;
use crate::cloudwatch::{MetricAlarm, alarm};

/// ECS's cooldown when a policy names none, in seconds.
const COOLDOWN: i64 = 300;
/// "Quotas for Application Auto Scaling": policies a target, steps a policy.
const MOST_POLICIES: usize = 50;
/// See [`MOST_POLICIES`].
const MOST_STEPS: usize = 20;

/// A scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// What it scales.
    pub place: Place,
    /// Its name, unique among the target's.
    pub name: String,
    /// The unique part of its ARN.
    pub id: String,
    /// What it does.
    pub kind: Kind,
    /// The names of the alarms that target tracking has made.
    pub alarms: Vec<String>,
    /// When it was put first.
    pub created_at: Timestamp,
    /// What it did before, for cooldowns.
    pub past: Past,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// It keeps a metric at a value.
    TargetTracking(TargetTracking),
    /// It changes the count by steps when an alarm that somebody else has made tells it to.
    Step(StepScaling),
}

/// Step scaling, as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StepScaling {
    /// How a step changes the count.
    pub adjustment_type: AdjustmentType,
    /// The steps.
    pub step_adjustments: Vec<StepAdjustment>,
    /// The least change by percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_adjustment_magnitude: Option<i64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<i64>,
    /// Which statistic of the alarm's metric chooses the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_aggregation_type: Option<AggregationType>,
}

/// A statistic of the alarm's metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each says it")]
pub enum AggregationType {
    Average,
    Minimum,
    Maximum,
}

impl Row for ScalingPolicy {
    const TABLE: &'static str = "autoscaling_policy";

    fn key(&self) -> String {
        format!("{}/{}", self.place.key(), self.name)
    }
}

impl ScalingPolicy {
    /// Its ARN, of the service `autoscaling`.
    pub fn arn(&self) -> String {
        let resource = format!(
            "scalingPolicy:{}:resource/ecs/{}:policyName/{}",
            self.id,
            self.place.resource_id(),
            self.name
        );
        Arn::new("autoscaling", self.place.region.as_str(), self.place.account.as_str(), resource).to_string()
    }

    /// Its cooldowns, out and in, in seconds.
    pub fn cooldowns(&self) -> (i64, i64) {
        match &self.kind {
            Kind::TargetTracking(config) => {
                (config.scale_out_cooldown.unwrap_or(COOLDOWN), config.scale_in_cooldown.unwrap_or(COOLDOWN))
            }
            Kind::Step(config) => {
                let cooldown = config.cooldown.unwrap_or(COOLDOWN);
                (cooldown, cooldown)
            }
        }
    }
}

/// The policy of an ARN, anywhere in an account.
pub fn by_arn(rows: &Snapshot, arn: &str) -> Option<Arc<ScalingPolicy>> {
    let parsed: Arn = arn.parse().ok()?;
    let prefix = format!("{}/{}/", parsed.account, parsed.region);
    rows.scan::<ScalingPolicy>(&prefix).find(|row| row.arn() == arn)
}

/// `PutScalingPolicy`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutScalingPolicy {
    policy_name: String,
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
    policy_type: Option<PolicyType>,
    step_scaling_policy_configuration: Option<StepScaling>,
    target_tracking_scaling_policy_configuration: Option<TargetTracking>,
    #[serde(default, rename = "PredictiveScalingPolicyConfiguration")]
    _predictive: OnlyDefault<wire::Empty>,
}

/// How a policy scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PolicyType {
    /// By the steps of an alarm.
    StepScaling,
    /// To keep a metric at a value.
    TargetTrackingScaling,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct PutPolicy {
    #[serde(rename = "PolicyARN")]
    policy_arn: String,
    #[serde(rename = "Alarms")]
    alarms: Vec<AlarmView>,
}

/// An alarm of a policy.
#[derive(Debug, Serialize)]
pub(super) struct AlarmView {
    #[serde(rename = "AlarmName")]
    alarm_name: String,
    #[serde(rename = "AlarmARN")]
    alarm_arn: String,
}

/// Makes a policy, or puts it in the place of the one that has its name.
pub fn put(rows: &mut Tx, context: &Context, request: PutScalingPolicy) -> Result<PutPolicy, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    target::get(rows, &place)?;
    let plain = |c: char| !c.is_control() && !matches!(c, '|' | ':' | '/');
    if request.policy_name.is_empty()
        || request.policy_name.len() > 256
        || !request.policy_name.chars().all(plain)
    {
        return Err(validation(format!("The policy name '{}' is invalid.", request.policy_name)));
    }
    let key = format!("{}/{}", place.key(), request.policy_name);
    let known = rows.get::<ScalingPolicy>(&key);
    let prefix = format!("{}/", place.key());
    if known.is_none() && rows.scan::<ScalingPolicy>(&prefix).count() >= MOST_POLICIES {
        return Err(ApiError::new(
            "LimitExceededException",
            format!("A scalable target has at most {MOST_POLICIES} scaling policies."),
        ));
    }
    let kind = kind(
        context,
        &place,
        request.policy_type,
        known.as_deref(),
        (request.step_scaling_policy_configuration, request.target_tracking_scaling_policy_configuration),
    )?;
    if let Kind::TargetTracking(config) = &kind {
        let mut others =
            rows.scan::<ScalingPolicy>(&prefix).filter(|other| other.name != request.policy_name);
        let same = |other: Arc<ScalingPolicy>| match &other.kind {
            Kind::TargetTracking(other) => tracking::is_same_metric(context, &place, config, other),
            Kind::Step(_) => false,
        };
        if others.any(same) {
            return Err(validation(
                "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
            ));
        }
    }
    let mut policy = ScalingPolicy {
        id: known.as_ref().map_or_else(|| id(&[8, 4, 4, 4, 12]), |known| known.id.clone()),
        name: request.policy_name,
        kind,
        alarms: known.as_ref().map_or_else(Vec::new, |known| known.alarms.clone()),
        created_at: known.as_ref().map_or(context.now, |known| known.created_at),
        past: known.as_ref().map_or_else(Past::default, |known| known.past),
        place,
    };
    if let Kind::TargetTracking(config) = policy.kind.clone() {
        tracking::put_alarms(rows, context, &mut policy, &config)?;
    }
    let alarms = alarms(rows, &policy);
    let policy = rows.put(policy);
    Ok(PutPolicy { policy_arn: policy.arn(), alarms })
}

fn kind(
    context: &Context,
    place: &Place,
    wanted: Option<PolicyType>,
    known: Option<&ScalingPolicy>,
    configurations: (Option<StepScaling>, Option<TargetTracking>),
) -> Result<Kind, ApiError> {
    let of_known = known.map(|known| match known.kind {
        Kind::TargetTracking(_) => PolicyType::TargetTrackingScaling,
        Kind::Step(_) => PolicyType::StepScaling,
    });
    // "If you are creating a policy and omit it, StepScaling".
    let wanted = wanted.or(of_known).unwrap_or(PolicyType::StepScaling);
    if of_known.is_some_and(|known| known != wanted) {
        return Err(validation("The type of an existing scaling policy cannot be changed."));
    }
    match (wanted, configurations) {
        (PolicyType::StepScaling, (Some(config), None)) => {
            check_steps(&config)?;
            Ok(Kind::Step(config))
        }
        (PolicyType::TargetTrackingScaling, (None, Some(config))) => {
            tracking::check(context, place, &config)?;
            Ok(Kind::TargetTracking(config))
        }
        (PolicyType::StepScaling, _) => Err(validation(
            "StepScalingPolicyConfiguration, and no other, must be specified for the policy type StepScaling.",
        )),
        (PolicyType::TargetTrackingScaling, _) => Err(validation(
            "TargetTrackingScalingPolicyConfiguration, and no other, must be specified for the policy type \
             TargetTrackingScaling.",
        )),
    }
}

fn check_steps(config: &StepScaling) -> Result<(), ApiError> {
    if config.step_adjustments.is_empty() || config.step_adjustments.len() > MOST_STEPS {
        return Err(validation(format!("StepAdjustments must have between 1 and {MOST_STEPS} steps.")));
    }
    if config.min_adjustment_magnitude.is_some()
        && config.adjustment_type != AdjustmentType::PercentChangeInCapacity
    {
        return Err(validation("MinAdjustmentMagnitude is only supported with PercentChangeInCapacity."));
    }
    if config.min_adjustment_magnitude.is_some_and(|least| least < 1)
        || config.cooldown.is_some_and(|c| c < 0)
    {
        return Err(validation("MinAdjustmentMagnitude must be positive, and Cooldown not negative."));
    }
    check_intervals(&config.step_adjustments)
}

/// The rules of "API_StepAdjustment", each in Auto Scaling's words.
fn check_intervals(steps: &[StepAdjustment]) -> Result<(), ApiError> {
    let lower: Vec<f64> = steps.iter().filter_map(|step| step.metric_interval_lower_bound).collect();
    let upper: Vec<f64> = steps.iter().filter_map(|step| step.metric_interval_upper_bound).collect();
    if steps
        .iter()
        .any(|step| step.metric_interval_lower_bound.is_none() && step.metric_interval_upper_bound.is_none())
    {
        return Err(validation(
            "Both lower and upper bounds of a step adjustment cannot be left unspecified",
        ));
    }
    for (which, given) in [("lower", &lower), ("upper", &upper)] {
        if given.len() + 1 < steps.len() {
            return Err(validation(format!(
                "At most one StepAdjustment may have an unspecified {which} bound"
            )));
        }
    }
    if lower.len() == steps.len() && lower.iter().any(|bound| *bound < 0.0) {
        return Err(validation(
            "There must be a StepAdjustment with an unspecified lower bound (i.e., lower bound is null) when one \
             StepAdjustment has a negative lower bound",
        ));
    }
    if upper.len() == steps.len() && upper.iter().any(|bound| *bound > 0.0) {
        return Err(validation(
            "There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one \
             StepAdjustment has a positive upper bound",
        ));
    }
    let bounds = |step: &StepAdjustment| {
        let lower = step.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
        (lower, step.metric_interval_upper_bound.unwrap_or(f64::INFINITY))
    };
    let mut steps: Vec<(f64, f64)> = steps.iter().map(bounds).collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    if steps.iter().any(|(lower, upper)| lower >= upper) {
        return Err(validation("The upper bound of a step must be greater than its lower bound."));
    }
    for pair in steps.windows(2) {
        if pair[0].1 > pair[1].0 {
            return Err(validation("StepAdjustment intervals cannot overlap"));
        }
        if pair[0].1 < pair[1].0 {
            return Err(validation("StepAdjustment intervals cannot have gaps between them"));
        }
    }
    Ok(())
}

/// The alarms of a policy: its own, and for step scaling those whose actions name it.
pub(super) fn alarms(rows: &Snapshot, policy: &ScalingPolicy) -> Vec<AlarmView> {
    let arn = policy.arn();
    let prefix = format!("{}/{}/", policy.place.account, policy.place.region);
    let of = |alarm: &Arc<MetricAlarm>| {
        policy.alarms.contains(&alarm.name) || alarm.all_actions().any(|action| *action == arn)
    };
    let view = |alarm: Arc<MetricAlarm>| AlarmView { alarm_arn: alarm.arn(), alarm_name: alarm.name.clone() };
    rows.scan::<MetricAlarm>(&prefix).filter(of).map(view).collect()
}

/// `DeleteScalingPolicy`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteScalingPolicy {
    policy_name: String,
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
}

/// Deletes a policy, and the alarms that it has made.
pub fn delete(rows: &mut Tx, context: &Context, request: DeleteScalingPolicy) -> Result<Empty, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    let known = rows.get::<ScalingPolicy>(&format!("{}/{}", place.key(), request.policy_name));
    let missing = || not_found("No scaling policy", &place, Some(("policy name", &request.policy_name)));
    forget(rows, &*known.ok_or_else(missing)?);
    Ok(Empty {})
}

/// Deletes a policy's row and its alarms.
pub fn forget(rows: &mut Tx, policy: &ScalingPolicy) {
    for name in &policy.alarms {
        alarm::forget(rows, &format!("{}/{}/{name}", policy.place.account, policy.place.region));
    }
    rows.delete::<ScalingPolicy>(&policy.key());
}
