//! `SetAlarmState`, `EnableAlarmActions`, `DisableAlarmActions`.

use metrics::alarm::State;
use serde::Deserialize;
use store::{Snapshot, Tx};
use wire::ApiError;

use super::alarm::{self, MetricAlarm, check_action};
use super::alarm_history::{self, Kind};
use super::{Empty, alarm_resource, evaluate, validation};
use crate::Context;
use crate::autoscaling::act;
use crate::iam::Resource;

/// `SetAlarmState`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SetAlarmState {
    alarm_name: String,
    state_value: State,
    state_reason: String,
    state_reason_data: Option<String>,
}

/// What [`set`] acts on.
pub(super) fn of_set(_: &Snapshot, context: &Context, request: &SetAlarmState) -> Vec<Resource> {
    vec![alarm_resource(context, &request.alarm_name)]
}

/// Brings an alarm into a state until it is evaluated the next time. "When the updated state differs from the previous
/// value, the action configured for the appropriate state is invoked."
pub fn set(rows: &mut Tx, context: &Context, request: SetAlarmState) -> Result<Empty, ApiError> {
    let before = alarm::get(rows, context, &request.alarm_name)?;
    if request.state_reason.chars().count() > 1023 {
        return Err(validation("The parameter StateReason must not be longer than 1023 characters."));
    }
    let data = request.state_reason_data.filter(|data| !data.is_empty());
    if let Some(data) = &data
        && (data.chars().count() > 4000 || serde_json::from_str::<serde_json::Value>(data).is_err())
    {
        return Err(ApiError::new("InvalidFormat", "StateReasonData is not valid JSON.")
            .with_shape("InvalidFormatFault"));
    }
    let alarm = evaluate::change(rows, &before, request.state_value, request.state_reason, data, context.now);
    if alarm.state != before.state {
        act::invoke(rows, &alarm, context.now);
    }
    Ok(Empty {})
}

/// `EnableAlarmActions`, `DisableAlarmActions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AlarmNames {
    alarm_names: Vec<String>,
}

/// What [`enable_actions`] and [`disable_actions`] act on.
pub(super) fn of_names(_: &Snapshot, context: &Context, request: &AlarmNames) -> Vec<Resource> {
    request.alarm_names.iter().map(|name| alarm_resource(context, name)).collect()
}

/// Has alarms' actions taken.
pub fn enable_actions(rows: &mut Tx, context: &Context, request: AlarmNames) -> Result<Empty, ApiError> {
    turn(rows, context, request, true)
}

/// Has alarms' actions not taken.
pub fn disable_actions(rows: &mut Tx, context: &Context, request: AlarmNames) -> Result<Empty, ApiError> {
    turn(rows, context, request, false)
}

fn turn(rows: &mut Tx, context: &Context, request: AlarmNames, on: bool) -> Result<Empty, ApiError> {
    if request.alarm_names.len() > 100 {
        return Err(validation("The collection AlarmNames must not have a size greater than 100."));
    }
    // An alarm that does not exist is passed over, as by AWS.
    for name in &request.alarm_names {
        let Some(known) = rows.get::<MetricAlarm>(&context.key(name)) else { continue };
        for action in known.all_actions().filter(|_| on) {
            check_action(rows, action)?;
        }
        if known.actions_enabled != on {
            let alarm = MetricAlarm { actions_enabled: on, ..(*known).clone() };
            let words = format!("Alarm \"{name}\" updated");
            let data = serde_json::json!({ "version": "1.0", "type": "Update" }).to_string();
            alarm_history::note(rows, &alarm, Kind::ConfigurationUpdate, words, data, context.now);
            rows.put(alarm);
        }
    }
    Ok(Empty {})
}
