//! What happened to alarms: `DescribeAlarmHistory`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, OnlyDefault, Time};

use super::alarm::MetricAlarm;
use super::alarm_description::AlarmType;
use super::get_data::ScanBy;
use super::{invalid_token, validation};
use crate::Context;
use crate::page::page;

/// How long it is kept ("DescribeAlarmHistory": 30 days).
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// How much of one alarm is kept, as memory is bounded here.
const MOST: usize = 500;

/// One line of an alarm's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlarmHistoryItem {
    /// The alarm's account.
    pub account: AccountId,
    /// The alarm's region.
    pub region: Region,
    /// The alarm's name.
    pub alarm: String,
    /// When.
    pub at: Timestamp,
    /// Counts up over all the alarm's items.
    pub number: u64,
    /// What kind of thing.
    pub kind: Kind,
    /// In one sentence.
    pub summary: String,
    /// As a JSON document.
    pub data: String,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It was made or changed.
    ConfigurationUpdate,
    /// Its state became another one.
    StateUpdate,
    /// An action was taken.
    Action,
}

impl Row for AlarmHistoryItem {
    const TABLE: &'static str = "cloudwatch_alarm_history";

    fn key(&self) -> String {
        format!("{}/{}/{}/{:012}", self.account, self.region, self.alarm, self.number)
    }
}

/// Adds a line, and forgets the oldest when there are too many.
pub fn note(rows: &mut Tx, alarm: &MetricAlarm, kind: Kind, summary: String, data: String, at: Timestamp) {
    let prefix = format!("{}/", alarm.key());
    let known: Vec<_> =
        rows.scan::<AlarmHistoryItem>(&prefix).filter(|item| item.alarm == alarm.name).collect();
    let number = known.last().map_or(0, |last| last.number + 1);
    for old in known.iter().take((known.len() + 1).saturating_sub(MOST)) {
        rows.delete::<AlarmHistoryItem>(&old.key());
    }
    rows.put(AlarmHistoryItem {
        account: alarm.account.clone(),
        region: alarm.region.clone(),
        alarm: alarm.name.clone(),
        at,
        number,
        kind,
        summary: summary.chars().take(255).collect(),
        data,
    });
}

/// Adds the line of a scaling policy that was asked, in CloudWatch's words. A policy takes its step from a value: without
/// one it does nothing.
pub fn note_action(rows: &mut Tx, alarm: &MetricAlarm, action: &str, has_value: bool, at: Timestamp) {
    const NO_VALUE: &str = "Metric data points must be provided";
    let (state, summary) = match has_value {
        true => ("Succeeded", format!("Successfully executed action {action}")),
        false => ("Failed", format!("Failed to execute AutoScaling action: {NO_VALUE}")),
    };
    let data = serde_json::json!({
        "actionState": state,
        "stateUpdateTimestamp": alarm.state_updated_at.as_millis(),
        "notificationResource": action,
        "publishedMessage": null,
        "error": (!has_value).then_some(NO_VALUE),
    });
    note(rows, alarm, Kind::Action, summary, data.to_string(), at);
}

/// Deletes what is too old.
pub fn forget_old(rows: &mut Tx, now: Timestamp) {
    let old: Vec<String> = rows
        .scan::<AlarmHistoryItem>("")
        .filter(|item| now.since(item.at) > KEPT)
        .map(|item| item.key())
        .collect();
    for key in old {
        rows.delete::<AlarmHistoryItem>(&key);
    }
}

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeAlarmHistory {
    alarm_name: Option<String>,
    #[serde(default, rename = "AlarmContributorId")]
    _alarm_contributor_id: OnlyDefault<wire::Empty>,
    #[serde(default)]
    alarm_types: Vec<AlarmType>,
    history_item_type: Option<Kind>,
    start_date: Option<Time>,
    end_date: Option<Time>,
    max_records: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    scan_by: ScanBy,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct History {
    alarm_history_items: Vec<ItemView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ItemView {
    alarm_name: String,
    alarm_type: &'static str,
    timestamp: Time,
    history_item_type: Kind,
    history_summary: String,
    history_data: String,
}

/// Lists what happened, the newest first unless asked otherwise.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeAlarmHistory,
) -> Result<History, ApiError> {
    if let Some(most) = request.max_records.filter(|most| !(1..=100).contains(most)) {
        return Err(validation(format!(
            "Value '{most}' at 'maxRecords' is not valid: it is between 1 and 100."
        )));
    }
    let wanted = request.alarm_types.is_empty() || request.alarm_types.contains(&AlarmType::MetricAlarm);
    let prefix = match &request.alarm_name {
        Some(name) => format!("{}/", context.key(name)),
        None => context.prefix(),
    };
    let mut all: Vec<_> = rows
        .scan::<AlarmHistoryItem>(&prefix)
        .filter(|item| {
            wanted
                && request.alarm_name.as_ref().is_none_or(|name| *name == item.alarm)
                && request.history_item_type.is_none_or(|kind| kind == item.kind)
                && request.start_date.is_none_or(|start| item.at >= start.0)
                && request.end_date.is_none_or(|end| item.at <= end.0)
        })
        .collect();
    // Times and numbers that count down have a text that counts up.
    let descending = request.scan_by == ScanBy::TimestampDescending;
    let key = move |item: &std::sync::Arc<AlarmHistoryItem>| {
        let (millis, number) = (item.at.as_millis().max(0).unsigned_abs(), item.number);
        let (millis, number) =
            if descending { (u64::MAX - millis, u64::MAX - number) } else { (millis, number) };
        format!("{millis:020}/{number:020}/{}", item.alarm)
    };
    all.sort_by_key(key);
    let most = request.max_records.unwrap_or(50);
    let page = page(all, key, Some(most), request.next_token.as_deref()).map_err(|_| invalid_token())?;
    let view = |item: &std::sync::Arc<AlarmHistoryItem>| ItemView {
        alarm_name: item.alarm.clone(),
        alarm_type: "MetricAlarm",
        timestamp: item.at.into(),
        history_item_type: item.kind,
        history_summary: item.summary.clone(),
        history_data: item.data.clone(),
    };
    Ok(History { alarm_history_items: page.items.iter().map(view).collect(), next_token: page.next_token })
}
