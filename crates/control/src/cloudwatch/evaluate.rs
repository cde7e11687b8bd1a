//! The evaluation of alarms, again and again, by the reconcile loop.

use std::sync::Arc;

use metrics::Series;
use metrics::alarm::State;
use serde_json::json;
use store::{Snapshot, Tx};
use types::Timestamp;

use super::alarm::{AlarmSource, MetricAlarm};
use super::alarm_history::{self, Kind};
use super::query::Plan;
use super::{seconds, series};

/// Brings every alarm into the state that its metric is in.
pub fn settle(rows: &mut Tx, now: Timestamp) {
    let alarms: Vec<Arc<MetricAlarm>> = rows.scan::<MetricAlarm>("").collect();
    for alarm in alarms {
        let found = points(rows, &alarm, seconds(now));
        let Some(verdict) = alarm.rule.evaluate(&found, seconds(now)) else { continue };
        if verdict.state != alarm.state {
            let data = reason_data(&alarm, &verdict.points, now);
            change(rows, &alarm, verdict.state, verdict.reason, Some(data), now);
        }
    }
}

/// The points that an evaluation looks at.
pub fn points(rows: &Snapshot, alarm: &MetricAlarm, now: i64) -> Series {
    let range = alarm.rule.range(now);
    match &alarm.source {
        AlarmSource::Metric { metric, statistic, unit } => {
            let all = series::find(rows, &alarm.account, &alarm.region, metric, *unit);
            // It was parsed when the alarm was put.
            statistic.parse().map_or_else(
                |_| Series::new(),
                |statistic| series::statistic(rows, &all, range, alarm.rule.period, statistic),
            )
        }
        AlarmSource::Queries(queries) => {
            let found = Plan::new(queries, &alarm.account, "Metrics")
                .and_then(|plan| plan.evaluate(rows, &alarm.account, &alarm.region, range));
            // An expression whose result is no series has no points.
            found
                .ok()
                .and_then(|found| found.into_iter().next())
                .map_or_else(Series::new, super::query::Found::into_series)
        }
    }
}

/// Brings an alarm into a state, with a line in its history.
pub fn change(
    rows: &mut Tx,
    before: &MetricAlarm,
    state: State,
    reason: String,
    data: Option<String>,
    now: Timestamp,
) -> Arc<MetricAlarm> {
    let mut alarm = before.clone();
    let short = |alarm: &MetricAlarm| {
        let data = alarm
            .state_reason_data
            .as_deref()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let mut state = json!({ "stateValue": alarm.state.name(), "stateReason": alarm.state_reason });
        if let Some(data) = data {
            state["stateReasonData"] = data;
        }
        state
    };
    let reason: String = reason.chars().take(1023).collect();
    alarm.become_state(state, reason, data, now);
    let words = format!("Alarm updated from {} to {}", before.state.name(), state.name());
    let history = json!({ "version": "1.0", "oldState": short(before), "newState": short(&alarm) });
    if before.state != state {
        alarm_history::note(rows, &alarm, Kind::StateUpdate, words, history.to_string(), now);
    }
    rows.put(alarm)
}

/// The reason as a document, as CloudWatch writes it.
fn reason_data(alarm: &MetricAlarm, points: &[(i64, f64)], now: Timestamp) -> String {
    let time = |at: i64| Timestamp::from_millis(at * 1000).iso().replace('Z', "+0000");
    let mut data = json!({
        "version": "1.0",
        "queryDate": now.iso().replace('Z', "+0000"),
        "period": alarm.rule.period,
        "recentDatapoints": points.iter().rev().map(|(_, value)| *value).collect::<Vec<_>>(),
        "threshold": alarm.rule.threshold,
        "evaluatedDatapoints": points.iter().map(|(at, value)| json!({ "timestamp": time(*at), "value": value })).collect::<Vec<_>>(),
    });
    if let Some((at, _)) = points.last() {
        data["startDate"] = json!(time(*at));
    }
    if let AlarmSource::Metric { statistic, .. } = &alarm.source {
        data["statistic"] = json!(statistic);
    }
    data.to_string()
}
