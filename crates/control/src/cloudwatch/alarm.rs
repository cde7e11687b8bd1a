//! Metric alarms: their rows, and `DeleteAlarms`.

use metrics::alarm::{Rule, State};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Arn, Region, Timestamp};
use wire::ApiError;

use super::alarm_history::AlarmHistoryItem;
use super::metric::{Metric, Unit};
use super::query::MetricDataQuery;
use super::tag::Tags;
use super::{Empty, alarm_resource, invalid};
use crate::Context;
use crate::autoscaling::policy;
use crate::iam::Resource;

/// An alarm on one metric or one expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricAlarm {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its name, unique in account and region.
    pub name: String,
    /// What a person says of it.
    pub description: Option<String>,
    /// Whether its actions are taken.
    pub actions_enabled: bool,
    /// What is done when it becomes OK.
    pub ok_actions: Vec<String>,
    /// What is done while it is in ALARM.
    pub alarm_actions: Vec<String>,
    /// What is done when it has insufficient data.
    pub insufficient_data_actions: Vec<String>,
    /// What it looks at.
    pub source: AlarmSource,
    /// When it changes its state.
    pub rule: Rule,
    /// `datapointsToAlarm` as requested; the rule has it in any case.
    pub datapoints_to_alarm: Option<i64>,
    /// `treatMissingData` as requested.
    pub treat_missing_data: Option<String>,
    /// `evaluateLowSampleCountPercentile` as requested.
    pub evaluate_low_sample_count_percentile: Option<String>,
    /// Its state.
    pub state: State,
    /// Why it is in this state.
    pub state_reason: String,
    /// The same as a JSON document.
    pub state_reason_data: Option<String>,
    /// When the state was last set.
    pub state_updated_at: Timestamp,
    /// When the state became another one.
    pub state_transitioned_at: Timestamp,
    /// When it was put.
    pub configuration_updated_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

/// What an alarm looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AlarmSource {
    /// A statistic of one metric.
    Metric {
        /// The metric.
        metric: Metric,
        /// The statistic.
        statistic: String,
        /// Only what was measured in this unit.
        unit: Option<Unit>,
    },
    /// Queries of which one returns data.
    Queries(Vec<MetricDataQuery>),
}

impl Row for MetricAlarm {
    const TABLE: &'static str = "cloudwatch_alarm";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl MetricAlarm {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let resource = format!("alarm:{}", self.name);
        Arn::new("cloudwatch", self.region.as_str(), self.account.as_str(), resource).to_string()
    }

    /// What is done in a state.
    pub fn actions(&self, state: State) -> &[String] {
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }

    /// All its actions.
    pub fn all_actions(&self) -> impl Iterator<Item = &String> {
        self.ok_actions.iter().chain(&self.alarm_actions).chain(&self.insufficient_data_actions)
    }

    /// Brings it into a state; the same state again changes nothing.
    pub fn become_state(&mut self, state: State, reason: String, data: Option<String>, now: Timestamp) {
        if self.state != state {
            self.state_transitioned_at = now;
        }
        (self.state, self.state_reason, self.state_reason_data) = (state, reason, data);
        self.state_updated_at = now;
    }
}

/// What an action's ARN leads to.
///
/// # Errors
/// What is no scaling policy is refused by name: there is nobody here to notify.
pub fn check_action(rows: &Snapshot, action: &str) -> Result<(), ApiError> {
    let arn: Arn = action.parse().map_err(|_| invalid(format!("Invalid arn syntax: {action}")))?;
    if arn.service == "autoscaling" && arn.resource.starts_with("scalingPolicy:") {
        let known = policy::by_arn(rows, action);
        return known
            .map(drop)
            .ok_or_else(|| super::validation(format!("The scaling policy {action} does not exist.")));
    }
    Err(super::unsupported(format!(
        "the action {action}: only scaling policies of Application Auto Scaling are carried out. Leave the action out, \
         or put the alarm with ActionsEnabled false"
    )))
}

/// Deletes an alarm's row and its history.
pub fn forget(rows: &mut Tx, key: &str) {
    let prefix = format!("{key}/");
    // A name may hold strokes: what begins with it need not be this alarm's.
    let items: Vec<String> = rows
        .scan::<AlarmHistoryItem>(&prefix)
        .map(|item| item.key())
        .filter(|item| !item[prefix.len()..].contains('/'))
        .collect();
    for item in items {
        rows.delete::<AlarmHistoryItem>(&item);
    }
    rows.delete::<MetricAlarm>(key);
}

/// The alarm of a name.
///
/// # Errors
/// When there is none.
pub fn get(rows: &Snapshot, context: &Context, name: &str) -> Result<std::sync::Arc<MetricAlarm>, ApiError> {
    rows.get::<MetricAlarm>(&context.key(name)).ok_or_else(|| {
        ApiError::new("ResourceNotFound", format!("Alarm {name} does not exist."))
            .with_status(http::StatusCode::NOT_FOUND)
    })
}

/// `DeleteAlarms`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteAlarms {
    #[serde(default)]
    alarm_names: Vec<String>,
}

/// What [`delete`] acts on.
pub(super) fn of_delete(_: &Snapshot, context: &Context, request: &DeleteAlarms) -> Vec<Resource> {
    request.alarm_names.iter().map(|name| alarm_resource(context, name)).collect()
}

/// Deletes alarms. One that does not exist is an error only when it is the only one named.
pub fn delete(rows: &mut Tx, context: &Context, request: DeleteAlarms) -> Result<Empty, ApiError> {
    if request.alarm_names.len() > 100 {
        return Err(super::validation("The collection AlarmNames must not have a size greater than 100."));
    }
    let known = |name: &&String| rows.get::<MetricAlarm>(&context.key(name)).is_some();
    if !request.alarm_names.is_empty() && !request.alarm_names.iter().any(|name| known(&name)) {
        get(rows, context, &request.alarm_names[0])?;
    }
    for name in &request.alarm_names {
        forget(rows, &context.key(name));
    }
    Ok(Empty {})
}
