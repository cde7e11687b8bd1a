//! Scalable targets: services whose desired count may be changed, and how far.

use std::sync::Arc;

use metrics::scaling::Bounds;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{Arn, Timestamp};
use wire::{ApiError, Time};

use super::place::{Place, ScalableDimension, ServiceNamespace};
use super::policy::ScalingPolicy;
use super::scheduled_action::ScheduledAction;
use super::{Empty, Tags, act, check_tags, id, invalid_token, not_found, policy, size, validation};
use crate::Context;
use crate::iam::service_linked_role::{self, LinkedService};
use crate::page::page;

/// A scalable target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalableTarget {
    /// What is scaled.
    pub place: Place,
    /// The last part of its ARN.
    pub id: String,
    /// How far it is scaled.
    pub bounds: Bounds,
    /// What is not done for now.
    pub suspended: SuspendedState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

/// What is not done for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SuspendedState {
    /// Policies do not scale in.
    #[serde(default)]
    pub dynamic_scaling_in_suspended: bool,
    /// Policies do not scale out.
    #[serde(default)]
    pub dynamic_scaling_out_suspended: bool,
    /// Scheduled actions do nothing.
    #[serde(default)]
    pub scheduled_scaling_suspended: bool,
}

impl Row for ScalableTarget {
    const TABLE: &'static str = "autoscaling_target";

    fn key(&self) -> String {
        self.place.key()
    }
}

impl ScalableTarget {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let (region, account) = (self.place.region.as_str(), self.place.account.as_str());
        Arn::new("application-autoscaling", region, account, format!("scalable-target/{}", self.id))
            .to_string()
    }
}

/// The scalable target of a place.
///
/// # Errors
/// When there is none.
pub fn get(rows: &Snapshot, place: &Place) -> Result<Arc<ScalableTarget>, ApiError> {
    rows.get::<ScalableTarget>(&place.key()).ok_or_else(|| not_found("No scalable target", place, None))
}

/// `RegisterScalableTarget`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RegisterScalableTarget {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
    /// "If the service supports a service-linked role, Application Auto Scaling uses it": ECS does, whatever is named.
    #[serde(rename = "RoleARN")]
    _role_arn: Option<String>,
    suspended_state: Option<SuspendedState>,
    #[serde(default)]
    tags: Tags,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct Registered {
    #[serde(rename = "ScalableTargetARN")]
    scalable_target_arn: String,
}

/// Registers a service, or changes what is not left out of one that is registered. A count out of the bounds is brought
/// into them at once.
pub fn register(
    rows: &mut Tx,
    context: &Context,
    request: RegisterScalableTarget,
) -> Result<Registered, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    let known = rows.get::<ScalableTarget>(&place.key());
    if place.service(rows).is_none() {
        return Err(validation(format!("ECS service doesn't exist: {}", place.resource_id())));
    }
    let needed = |given: Option<i64>, known: Option<i64>, name: &str| {
        given
            .or(known)
            .ok_or_else(|| validation(format!("{name} must be specified for a new scalable target.")))
    };
    let bounds = Bounds {
        minimum: needed(
            request.min_capacity,
            known.as_ref().map(|known| known.bounds.minimum),
            "MinCapacity",
        )?,
        maximum: needed(
            request.max_capacity,
            known.as_ref().map(|known| known.bounds.maximum),
            "MaxCapacity",
        )?,
    };
    check_bounds(bounds)?;
    if known.is_some() && !request.tags.is_empty() {
        return Err(validation("Tags can only be specified for a new scalable target. Use TagResource."));
    }
    check_tags(&request.tags)?;
    service_linked_role::ensure(rows, &context.account, LinkedService::AutoScalingEcs, context.now);
    let target = ScalableTarget {
        id: known.as_ref().map_or_else(|| format!("0{}", id(&[3, 32])), |known| known.id.clone()),
        bounds,
        suspended: request
            .suspended_state
            .or(known.as_ref().map(|known| known.suspended))
            .unwrap_or_default(),
        created_at: known.as_ref().map_or(context.now, |known| known.created_at),
        tags: known.as_ref().map_or(request.tags, |known| known.tags.clone()),
        place,
    };
    let target = rows.put(target);
    act::keep_bounds(rows, &target, context.now);
    Ok(Registered { scalable_target_arn: target.arn() })
}

/// Checks the bounds of a request.
///
/// # Errors
/// When they are negative, or the minimum is above the maximum.
pub fn check_bounds(bounds: Bounds) -> Result<(), ApiError> {
    if bounds.minimum < 0 || bounds.maximum < 0 {
        return Err(validation("Capacities must be greater than or equal to 0."));
    }
    if bounds.minimum > bounds.maximum {
        return Err(validation("Maximum capacity cannot be less than minimum capacity"));
    }
    if bounds.maximum > 5000 {
        return Err(validation(
            "MaxCapacity must be less than or equal to 5000, ECS's quota of tasks per service.",
        ));
    }
    Ok(())
}

/// `DescribeScalableTargets`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeScalableTargets {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    #[serde(default)]
    resource_ids: Vec<String>,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: Option<ScalableDimension>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScalableTargets {
    scalable_targets: Vec<TargetView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetView {
    service_namespace: ServiceNamespace,
    resource_id: String,
    scalable_dimension: ScalableDimension,
    min_capacity: i64,
    max_capacity: i64,
    #[serde(rename = "RoleARN")]
    role_arn: String,
    creation_time: Time,
    suspended_state: SuspendedState,
    #[serde(rename = "ScalableTargetARN")]
    scalable_target_arn: String,
}

/// Lists the scalable targets.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeScalableTargets,
) -> Result<ScalableTargets, ApiError> {
    let prefix = context.prefix();
    let wanted = |row: &Arc<ScalableTarget>| {
        request.resource_ids.is_empty() || request.resource_ids.contains(&row.place.resource_id())
    };
    let all = rows.scan::<ScalableTarget>(&prefix).filter(wanted);
    let page = page(all, |row| row.key(), Some(size(request.max_results)?), request.next_token.as_deref())
        .map_err(|_| invalid_token())?;
    let view = |row: &Arc<ScalableTarget>| TargetView {
        service_namespace: ServiceNamespace::Ecs,
        resource_id: row.place.resource_id(),
        scalable_dimension: ScalableDimension::DesiredCount,
        min_capacity: row.bounds.minimum,
        max_capacity: row.bounds.maximum,
        role_arn: LinkedService::AutoScalingEcs.arn(&row.place.account),
        creation_time: row.created_at.into(),
        suspended_state: row.suspended,
        scalable_target_arn: row.arn(),
    };
    Ok(ScalableTargets {
        scalable_targets: page.items.iter().map(view).collect(),
        next_token: page.next_token,
    })
}

/// `DeregisterScalableTarget`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeregisterScalableTarget {
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: String,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: ScalableDimension,
}

/// Deregisters a service; its policies and scheduled actions go with it.
pub fn deregister(
    rows: &mut Tx,
    context: &Context,
    request: DeregisterScalableTarget,
) -> Result<Empty, ApiError> {
    let place = Place::take(context, &request.resource_id)?;
    get(rows, &place)?;
    forget(rows, &place);
    Ok(Empty {})
}

/// Deletes a scalable target and all that hangs on it.
pub fn forget(rows: &mut Tx, place: &Place) {
    let prefix = format!("{}/", place.key());
    let policies: Vec<Arc<ScalingPolicy>> = rows.scan::<ScalingPolicy>(&prefix).collect();
    for one in policies {
        policy::forget(rows, &one);
    }
    let actions: Vec<String> = rows.scan::<ScheduledAction>(&prefix).map(|row| row.key()).collect();
    for key in actions {
        rows.delete::<ScheduledAction>(&key);
    }
    rows.delete::<ScalableTarget>(&place.key());
}

/// The tags of targets, changed and read by [`super::tag`].
pub fn by_arn(rows: &Snapshot, context: &Context, arn: &str) -> Option<Arc<ScalableTarget>> {
    let prefix = context.prefix();
    rows.scan::<ScalableTarget>(&prefix).find(|row| row.arn() == arn)
}
