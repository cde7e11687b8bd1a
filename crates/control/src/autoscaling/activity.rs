//! What was scaled and why: `DescribeScalingActivities`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::Timestamp;
use wire::{ApiError, Time};

use super::place::{Place, ScalableDimension, ServiceNamespace};
use super::{id, invalid_token, size};
use crate::Context;
use crate::page::page;

/// How long it is told: six weeks.
const KEPT: Duration = Duration::from_secs(42 * 86_400);
/// How many are kept of one target, as memory is bounded here.
const MOST: usize = 300;

/// One change, or the reason why there was none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingActivity {
    /// What was scaled.
    pub place: Place,
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub description: String,
    /// Why.
    pub cause: String,
    /// How it went.
    pub message: String,
    /// Why nothing was done.
    pub not_scaled: Option<NotScaledReason>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotScaledReason {
    /// AWS's code.
    pub code: NotScaledCode,
    /// The most, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<i64>,
    /// The least, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_capacity: Option<i64>,
    /// What it is.
    pub current_capacity: i64,
}

/// AWS's codes ("Include not scaled activities").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotScaledCode {
    /// It is as large as it may be.
    AlreadyAtMaxCapacity,
    /// It is as small as it may be.
    AlreadyAtMinCapacity,
    /// It is what the policy wants.
    AlreadyAtDesiredCapacity,
    /// A deployment goes on, in which nothing is scaled in.
    TargetServicePutResourceAsUnscalable,
}

impl Row for ScalingActivity {
    const TABLE: &'static str = "autoscaling_activity";

    fn key(&self) -> String {
        // The newest first.
        let turned = u64::MAX - self.at.as_millis().max(0).unsigned_abs();
        format!("{}/{turned:020}/{}", self.place.key(), self.id)
    }
}

/// Takes a change down, and forgets what is too old.
pub fn note(
    rows: &mut Tx,
    place: &Place,
    (description, cause, message): (String, String, String),
    not_scaled: Option<NotScaledReason>,
    at: Timestamp,
) {
    let prefix = format!("{}/", place.key());
    let known: Vec<Arc<ScalingActivity>> = rows.scan::<ScalingActivity>(&prefix).collect();
    // As long as nothing is done for the same reason, that is told once.
    if not_scaled.is_some()
        && known.first().is_some_and(|last| last.not_scaled == not_scaled && last.cause == cause)
    {
        return;
    }
    for old in known.iter().skip(MOST - 1).chain(known.iter().filter(|row| at.since(row.at) > KEPT)) {
        rows.delete::<ScalingActivity>(&old.key());
    }
    rows.put(ScalingActivity {
        place: place.clone(),
        id: id(&[8, 4, 4, 4, 12]),
        at,
        description,
        cause,
        message,
        not_scaled,
    });
}

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeScalingActivities {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: Option<String>,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: Option<ScalableDimension>,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    include_not_scaled_activities: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScalingActivities {
    scaling_activities: Vec<ActivityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ActivityView {
    activity_id: String,
    service_namespace: ServiceNamespace,
    resource_id: String,
    scalable_dimension: ScalableDimension,
    description: String,
    cause: String,
    start_time: Time,
    end_time: Time,
    status_code: &'static str,
    status_message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_scaled_reasons: Vec<NotScaledReason>,
}

/// Lists what was scaled, each target's newest first.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeScalingActivities,
) -> Result<ScalingActivities, ApiError> {
    let place = request.resource_id.as_deref().map(|id| Place::take(context, id)).transpose()?;
    let prefix = place.map_or_else(|| context.prefix(), |place| format!("{}/", place.key()));
    let fits = |row: &Arc<ScalingActivity>| request.include_not_scaled_activities || row.not_scaled.is_none();
    let all = rows.scan::<ScalingActivity>(&prefix).filter(fits);
    let page = page(all, |row| row.key(), Some(size(request.max_results)?), request.next_token.as_deref())
        .map_err(|_| invalid_token())?;
    let view = |row: &Arc<ScalingActivity>| ActivityView {
        activity_id: row.id.clone(),
        service_namespace: ServiceNamespace::Ecs,
        resource_id: row.place.resource_id(),
        scalable_dimension: ScalableDimension::DesiredCount,
        description: row.description.clone(),
        cause: row.cause.clone(),
        start_time: row.at.into(),
        end_time: row.at.into(),
        status_code: if row.not_scaled.is_some() { "Failed" } else { "Successful" },
        status_message: row.message.clone(),
        not_scaled_reasons: row.not_scaled.iter().cloned().collect(),
    };
    Ok(ScalingActivities {
        scaling_activities: page.items.iter().map(view).collect(),
        next_token: page.next_token,
    })
}
