//! Scheduled actions: new bounds at a time.

use std::sync::Arc;

use metrics::scaling::Bounds;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{Arn, Timestamp};
use wire::{ApiError, Time};

use super::place::{Place, ScalableDimension, ServiceNamespace};
use super::{Empty, id, invalid_token, not_found, schedule, size, target, validation};
use crate::Context;
use crate::page::page;

/// "Quotas for Application Auto Scaling": scheduled actions a target.
const MOST: usize = 200;

/// A scheduled action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduledAction {
    /// What it scales.
    pub place: Place,
    /// Its name, unique among the target's.
    pub name: String,
    /// The unique part of its ARN.
    pub id: String,
    /// The expression.
    pub schedule: String,
    /// The time zone's name.
    pub timezone: Option<String>,
    /// Not before,
    pub start: Option<Timestamp>,
    /// and not after.
    pub end: Option<Timestamp>,
    /// What becomes of the bounds.
    pub action: ScalableTargetAction,
    /// When it was put first.
    pub created_at: Timestamp,
    /// When it is done next. None: never again.
    pub next_at: Option<Timestamp>,
}

/// What becomes of the bounds; what is absent stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScalableTargetAction {
    /// The least capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_capacity: Option<i64>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<i64>,
}

impl Row for ScheduledAction {
    const TABLE: &'static str = "autoscaling_scheduled_action";

    fn key(&self) -> String {
        format!("{}/{}", self.place.key(), self.name)
    }
}

impl ScheduledAction {
    /// Its ARN, of the service `autoscaling`.
    pub fn arn(&self) -> String {
        let resource = format!(
            "scheduledAction:{}:resource/ecs/{}:scheduledActionName/{}",
            self.id,
            self.place.resource_id(),
            self.name
        );
        Arn::new("autoscaling", self.place.region.as_str(), self.place.account.as_str(), resource).to_string()
    }

    /// Sets when it is done next, after `now`.
    pub fn plan(&mut self, now: Timestamp) {
        let second = |at: Timestamp| at.as_millis().div_euclid(1000);
        let (Ok(schedule), Ok(zone)) =
            (schedule::parse(&self.schedule), schedule::zone(self.timezone.as_deref()))
        else {
            self.next_at = None;
            return;
        };
        // A rate begins with the start time, and is done then for the first time.
        let began = second(self.start.unwrap_or(self.created_at));
        let after = self.start.map_or(second(now), |start| second(now).max(second(start) - 1));
        let rate = matches!(schedule, schedule::Schedule::Rate(_));
        let next = match self.start {
            Some(_) if rate && after < began => Some(began),
            _ => schedule.next(&zone, began, after),
        };
        let next = next.map(|at| Timestamp::from_millis(at * 1000));
        self.next_at = next.filter(|at| self.end.is_none_or(|end| *at <= end));
    }
}

/// `PutScheduledAction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutScheduledAction {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    schedule: Option<String>,
    timezone: Option<String>,
    scheduled_action_name: String,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
    start_time: Option<Time>,
    end_time: Option<Time>,
    scalable_target_action: Option<ScalableTargetAction>,
}

/// Makes a scheduled action, or changes what is not left out of one.
pub fn put(rows: &mut Tx, context: &Context, request: PutScheduledAction) -> Result<Empty, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    let bounds = target::get(rows, &place)?.bounds;
    let name = request.scheduled_action_name;
    if name.is_empty()
        || name.len() > 256
        || name.contains(['|', ':', '/'])
        || name.chars().any(char::is_control)
    {
        return Err(validation(format!("The scheduled action name '{name}' is invalid.")));
    }
    let known = rows.get::<ScheduledAction>(&format!("{}/{name}", place.key()));
    let prefix = format!("{}/", place.key());
    if known.is_none() && rows.scan::<ScheduledAction>(&prefix).count() >= MOST {
        return Err(ApiError::new(
            "LimitExceededException",
            format!("A scalable target has at most {MOST} scheduled actions."),
        ));
    }
    let known = known.as_deref();
    let schedule = request.schedule.or_else(|| known.map(|known| known.schedule.clone()));
    let schedule =
        schedule.ok_or_else(|| validation("Schedule must be specified for a new scheduled action."))?;
    schedule::parse(&schedule)?;
    let timezone = request.timezone.or_else(|| known.and_then(|known| known.timezone.clone()));
    schedule::zone(timezone.as_deref())?;
    let start = request.start_time.map(|time| time.0).or(known.and_then(|known| known.start));
    let end = request.end_time.map(|time| time.0).or(known.and_then(|known| known.end));
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        return Err(validation("EndTime must be later than StartTime."));
    }
    let action = request.scalable_target_action.or(known.map(|known| known.action));
    let action = action.filter(|action| action.min_capacity.is_some() || action.max_capacity.is_some());
    let action = action.ok_or_else(|| {
        validation(
            "ScalableTargetAction must specify MinCapacity, MaxCapacity or both for a new scheduled action.",
        )
    })?;
    target::check_bounds(Bounds {
        minimum: action.min_capacity.unwrap_or(0),
        maximum: action.max_capacity.unwrap_or_else(|| bounds.maximum.max(action.min_capacity.unwrap_or(0))),
    })?;
    let mut row = ScheduledAction {
        id: known.map_or_else(|| id(&[8, 4, 4, 4, 12]), |known| known.id.clone()),
        name,
        schedule,
        timezone,
        start,
        end,
        action,
        created_at: known.map_or(context.now, |known| known.created_at),
        next_at: None,
        place,
    };
    row.plan(context.now);
    rows.put(row);
    Ok(Empty {})
}

/// `DescribeScheduledActions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeScheduledActions {
    #[serde(default)]
    scheduled_action_names: Vec<String>,
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: Option<String>,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: Option<ScalableDimension>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduledActions {
    scheduled_actions: Vec<ActionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ActionView {
    scheduled_action_name: String,
    #[serde(rename = "ScheduledActionARN")]
    scheduled_action_arn: String,
    service_namespace: ServiceNamespace,
    schedule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    resource_id: String,
    scalable_dimension: ScalableDimension,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Time>,
    scalable_target_action: ScalableTargetAction,
    creation_time: Time,
}

/// Lists scheduled actions.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeScheduledActions,
) -> Result<ScheduledActions, ApiError> {
    let place = request.resource_id.as_deref().map(|id| Place::take(context, id)).transpose()?;
    let prefix = context.prefix();
    let names = &request.scheduled_action_names;
    let fits = |row: &Arc<ScheduledAction>| {
        place.as_ref().is_none_or(|place| row.place == *place)
            && (names.is_empty() || names.contains(&row.name))
    };
    let all = rows.scan::<ScheduledAction>(&prefix).filter(fits);
    let page = page(all, |row| row.key(), Some(size(request.max_results)?), request.next_token.as_deref())
        .map_err(|_| invalid_token())?;
    let view = |row: &Arc<ScheduledAction>| ActionView {
        scheduled_action_name: row.name.clone(),
        scheduled_action_arn: row.arn(),
        service_namespace: ServiceNamespace::Ecs,
        schedule: row.schedule.clone(),
        timezone: row.timezone.clone(),
        resource_id: row.place.resource_id(),
        scalable_dimension: ScalableDimension::DesiredCount,
        start_time: row.start.map(Time::from),
        end_time: row.end.map(Time::from),
        scalable_target_action: row.action,
        creation_time: row.created_at.into(),
    };
    Ok(ScheduledActions {
        scheduled_actions: page.items.iter().map(view).collect(),
        next_token: page.next_token,
    })
}

/// `DeleteScheduledAction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteScheduledAction {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    scheduled_action_name: String,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
}

/// Deletes a scheduled action.
pub fn delete(rows: &mut Tx, context: &Context, request: DeleteScheduledAction) -> Result<Empty, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    let key = format!("{}/{}", place.key(), request.scheduled_action_name);
    let missing = || {
        not_found(
            "No scheduled action",
            &place,
            Some(("scheduled action name", &request.scheduled_action_name)),
        )
    };
    rows.delete::<ScheduledAction>(&key).ok_or_else(missing)?;
    Ok(Empty {})
}
