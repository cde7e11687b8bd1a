//! What alarms and schedules make of desired counts, again and again, by the reconcile loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::alarm::State;
use metrics::scaling::{proportional, settle as settle_count, step};
use serde_json::Value;
use store::Tx;
use types::Timestamp;

use super::activity::{self, NotScaledCode, NotScaledReason};
use super::place::Place;
use super::policy::{self, Kind, ScalingPolicy};
use super::scheduled_action::ScheduledAction;
use super::target::{self, ScalableTarget};
use crate::cloudwatch::{MetricAlarm, alarm_history, evaluate};
use crate::ecs::service::{RolloutState, Service};

/// Carries out what is due: scheduled actions, and the policies whose alarms ask for them. Targets whose services are
/// gone are forgotten.
pub fn settle(rows: &mut Tx, now: Timestamp) {
    let targets: Vec<Arc<ScalableTarget>> = rows.scan::<ScalableTarget>("").collect();
    for one in targets {
        if one.place.service(rows).is_none() {
            target::forget(rows, &one.place);
        }
    }
    let due: Vec<Arc<ScheduledAction>> = rows
        .scan::<ScheduledAction>("")
        .filter(|action| action.next_at.is_some_and(|at| at <= now))
        .collect();
    for action in due {
        carry_out(rows, &action, now);
    }
    let mut asked = BTreeMap::new();
    // While an alarm stays in ALARM it asks again and again; of the other states it tells when they begin.
    let asks = |alarm: &Arc<MetricAlarm>| {
        let told = alarm.state == State::Alarm || alarm.state_transitioned_at == now;
        told && alarm.actions_enabled && !alarm.actions(alarm.state).is_empty()
    };
    let alarms: Vec<Arc<MetricAlarm>> = rows.scan::<MetricAlarm>("").filter(asks).collect();
    for alarm in alarms {
        let metric = newest(rows, &alarm, now.as_millis().div_euclid(1000));
        let told = metric.map(|metric| Told { metric, threshold: alarm.rule.threshold, by_hand: false });
        ask(rows, &alarm, told, &mut asked, now);
    }
    scale_all(rows, asked, now);
}

/// Carries out what an alarm asks for that somebody has brought into another state. "The Auto Scaling policy uses the
/// information in [StateReasonData] to take the correct action" ("SetAlarmState").
pub fn invoke(rows: &mut Tx, alarm: &Arc<MetricAlarm>, now: Timestamp) {
    if !alarm.actions_enabled {
        return;
    }
    let data = alarm.state_reason_data.as_deref().and_then(|data| serde_json::from_str::<Value>(data).ok());
    let newest = data.as_ref().and_then(|data| data["recentDatapoints"].as_array()?.last()?.as_f64());
    let threshold = data.as_ref().and_then(|data| data["threshold"].as_f64());
    let threshold = threshold.unwrap_or(alarm.rule.threshold);
    let mut asked = BTreeMap::new();
    ask(rows, alarm, newest.map(|metric| Told { metric, threshold, by_hand: true }), &mut asked, now);
    scale_all(rows, asked, now);
}

/// Finds the policies that an alarm asks in its state. When the state is new its history says so, as CloudWatch does.
fn ask(
    rows: &mut Tx,
    alarm: &Arc<MetricAlarm>,
    told: Option<Told>,
    asked: &mut BTreeMap<Place, Vec<Asked>>,
    now: Timestamp,
) {
    for action in alarm.actions(alarm.state) {
        let Some(policy) = policy::by_arn(rows, action) else { continue };
        if alarm.state_transitioned_at == now {
            alarm_history::note_action(rows, alarm, action, told.is_some(), now);
        }
        if let Some(told) = told {
            let place = policy.place.clone();
            asked.entry(place).or_default().push(Asked { policy, alarm: alarm.clone(), told });
        }
    }
}

fn scale_all(rows: &mut Tx, asked: BTreeMap<Place, Vec<Asked>>, now: Timestamp) {
    for (place, asked) in asked {
        let found = rows.get::<ScalableTarget>(&place.key()).zip(place.service(rows));
        if let Some((target, service)) = found {
            scale(rows, &target, &service, &asked, now);
        }
    }
}

/// A policy, the alarm that asks it, and what it tells.
struct Asked {
    policy: Arc<ScalingPolicy>,
    alarm: Arc<MetricAlarm>,
    told: Told,
}

/// What an alarm tells the policies that it asks.
#[derive(Clone, Copy)]
struct Told {
    metric: f64,
    threshold: f64,
    /// Whether somebody has set its state.
    by_hand: bool,
}

/// What a policy that was asked wants.
struct Wish {
    policy: Arc<ScalingPolicy>,
    alarm: Arc<MetricAlarm>,
    count: i64,
}

/// Among what policies want, the largest count is taken ("Multiple scaling policies").
fn scale(rows: &mut Tx, target: &ScalableTarget, service: &Service, asked: &[Asked], now: Timestamp) {
    let (second, current) = (now.as_millis().div_euclid(1000), i64::from(service.desired_count));
    let mut wishes = Vec::new();
    for Asked { policy, alarm, told } in asked {
        let wants = |capacity: i64| wanted(policy, capacity, *told);
        // Once a period: the metric does not tell anything new before.
        if !told.by_hand && policy.past.last_at + alarm.rule.period > second {
            continue;
        }
        match settle_count(current, wants, target.bounds, policy.past, second) {
            Some(count) => wishes.push(Wish { policy: policy.clone(), alarm: alarm.clone(), count }),
            None => not_scaled(rows, target, policy, alarm, (current, wants(current)), second, now),
        }
    }
    let out = wishes.iter().filter(|wish| wish.count > current).max_by_key(|wish| wish.count);
    if let Some(wish) = out {
        if !target.suspended.dynamic_scaling_out_suspended {
            change(rows, &target.place, wish, current, now);
        }
        return;
    }
    let Some(wish) = wishes.iter().max_by_key(|wish| wish.count) else { return };
    if target.suspended.dynamic_scaling_in_suspended || !all_agree(rows, target, wish) {
        return;
    }
    // "Application Auto Scaling turns off scale-in processes while Amazon ECS deployments are in progress."
    if service.deployments.len() > 1
        || service.primary().is_none_or(|one| one.rollout_state == RolloutState::InProgress)
    {
        let reason = NotScaledReason {
            code: NotScaledCode::TargetServicePutResourceAsUnscalable,
            max_capacity: None,
            min_capacity: None,
            current_capacity: current,
        };
        tell_not_scaled(rows, &target.place, &wish.policy, &wish.alarm, reason, now);
        return;
    }
    change(rows, &target.place, wish, current, now);
}

/// The newest of the points that an alarm was decided by.
fn newest(rows: &Tx, alarm: &MetricAlarm, second: i64) -> Option<f64> {
    let points = evaluate::points(rows, alarm, second);
    points.last_key_value().map(|(_, value)| *value)
}

fn wanted(policy: &ScalingPolicy, capacity: i64, told: Told) -> Option<i64> {
    let metric = told.metric;
    match &policy.kind {
        Kind::TargetTracking(config) => {
            let count = proportional(capacity, metric, config.target_value);
            let out = metric > config.target_value;
            // The alarm has its direction; rounding never turns it round.
            Some(if out { count.max(capacity) } else { count.min(capacity) })
        }
        Kind::Step(config) => step(
            config.adjustment_type,
            &config.step_adjustments,
            config.min_adjustment_magnitude.unwrap_or(1),
            capacity,
            metric,
            told.threshold,
        ),
    }
}

/// "Scale in only if all of the target tracking policies (with the scale-in portion turned on) are ready to scale in."
fn all_agree(rows: &Tx, target: &ScalableTarget, wish: &Wish) -> bool {
    if !matches!(wish.policy.kind, Kind::TargetTracking(_)) {
        return true;
    }
    let prefix = format!("{}/", target.place.key());
    let account = format!("{}/{}", target.place.account, target.place.region);
    rows.scan::<ScalingPolicy>(&prefix).all(|policy| match &policy.kind {
        Kind::TargetTracking(config) if config.disable_scale_in != Some(true) => {
            policy.alarms.iter().filter(|name| name.contains("-AlarmLow-")).all(|name| {
                let alarm = rows.get::<MetricAlarm>(&format!("{account}/{name}"));
                alarm.is_some_and(|alarm| alarm.state == State::Alarm)
            })
        }
        _ => true,
    })
}

fn cause(alarm: &MetricAlarm, policy: &ScalingPolicy) -> String {
    format!("monitor alarm {} in state {} triggered policy {}", alarm.name, alarm.state.name(), policy.name)
}

fn change(rows: &mut Tx, place: &Place, wish: &Wish, current: i64, now: Timestamp) {
    set(rows, place, wish.count, cause(&wish.alarm, &wish.policy), now);
    let mut policy = (*wish.policy).clone();
    let (out, back) = policy.cooldowns();
    policy.past.note(current, wish.count, out, back, now.as_millis().div_euclid(1000));
    rows.put(policy);
}

/// Sets a service's desired count, as UpdateService does, with an activity.
fn set(rows: &mut Tx, place: &Place, count: i64, cause: String, now: Timestamp) {
    let Some(service) = place.service(rows) else { return };
    let mut service = (*service).clone();
    service.want(u32::try_from(count).unwrap_or(0), now);
    rows.put(service);
    let words = (
        format!("Setting desired count to {count}."),
        cause,
        format!("Successfully set desired count to {count}. Change successfully fulfilled by ecs."),
    );
    activity::note(rows, place, words, None, now);
}

/// Why a policy that was asked changes nothing. In its cooldown that is no news.
fn not_scaled(
    rows: &mut Tx,
    target: &ScalableTarget,
    policy: &ScalingPolicy,
    alarm: &MetricAlarm,
    (current, wanted): (i64, Option<i64>),
    second: i64,
    now: Timestamp,
) {
    let Some(wanted) = wanted else { return };
    let limits = target.bounds;
    let (code, max_capacity, min_capacity) = if wanted > current && current >= limits.maximum {
        (NotScaledCode::AlreadyAtMaxCapacity, Some(limits.maximum), None)
    } else if wanted < current && current <= limits.minimum {
        (NotScaledCode::AlreadyAtMinCapacity, None, Some(limits.minimum))
    } else if wanted == current && second >= policy.past.out_until.max(policy.past.in_until) {
        (NotScaledCode::AlreadyAtDesiredCapacity, None, None)
    } else {
        return;
    };
    let reason = NotScaledReason { code, max_capacity, min_capacity, current_capacity: current };
    tell_not_scaled(rows, &target.place, policy, alarm, reason, now);
}

fn tell_not_scaled(
    rows: &mut Tx,
    place: &Place,
    policy: &ScalingPolicy,
    alarm: &MetricAlarm,
    reason: NotScaledReason,
    now: Timestamp,
) {
    let words = (
        "Attempting to scale due to alarm triggered".to_owned(),
        cause(alarm, policy),
        "Unable to scale: see NotScaledReasons".to_owned(),
    );
    activity::note(rows, place, words, Some(reason), now);
}

/// Does a scheduled action, and plans its next time.
fn carry_out(rows: &mut Tx, action: &ScheduledAction, now: Timestamp) {
    let mut row = action.clone();
    row.plan(now);
    rows.put(row);
    let Some(known) = rows.get::<ScalableTarget>(&action.place.key()) else { return };
    if known.suspended.scheduled_scaling_suspended {
        return;
    }
    let mut target = (*known).clone();
    let (minimum, maximum) = (action.action.min_capacity, action.action.max_capacity);
    target.bounds.minimum = minimum.unwrap_or_else(|| target.bounds.minimum.min(maximum.unwrap_or(i64::MAX)));
    target.bounds.maximum = maximum.unwrap_or_else(|| target.bounds.maximum.max(target.bounds.minimum));
    let told = [("min", "minimum", minimum), ("max", "maximum", maximum)];
    let told: Vec<_> =
        told.iter().filter_map(|(short, long, count)| Some((*short, *long, (*count)?))).collect();
    let short: Vec<String> =
        told.iter().map(|(name, _, count)| format!("{name} capacity to {count}")).collect();
    let long: Vec<String> =
        told.iter().map(|(_, name, count)| format!("{name} capacity to {count}")).collect();
    let words = (
        format!("Setting {}", short.join(" and ")),
        format!("scheduled action name {} was triggered", action.name),
        format!("Successfully set {}", long.join(" and ")),
    );
    activity::note(rows, &target.place, words, None, now);
    let target = rows.put(target);
    keep_bounds(rows, &target, now);
}

/// Brings a count that is out of its bounds into them.
pub fn keep_bounds(rows: &mut Tx, target: &ScalableTarget, now: Timestamp) {
    let Some(service) = target.place.service(rows) else { return };
    let current = i64::from(service.desired_count);
    let count = target.bounds.limit(current);
    if count != current {
        let which = if count > current { "minimum" } else { "maximum" };
        set(rows, &target.place, count, format!("{which} capacity was set to {count}"), now);
    }
}
