//! `DescribeScalingPolicies`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::{ApiError, Time};

use super::place::{Place, ScalableDimension, ServiceNamespace};
use super::policy::{self, AlarmView, Kind, PolicyType, ScalingPolicy, StepScaling};
use super::tracking::TargetTracking;
use super::{invalid_token, size};
use crate::Context;
use crate::page::page;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeScalingPolicies {
    #[serde(default)]
    policy_names: Vec<String>,
    #[serde(rename = "ServiceNamespace")]
    _service_namespace: ServiceNamespace,
    resource_id: Option<String>,
    #[serde(rename = "ScalableDimension")]
    _scalable_dimension: Option<ScalableDimension>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScalingPolicies {
    scaling_policies: Vec<PolicyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyView {
    #[serde(rename = "PolicyARN")]
    policy_arn: String,
    policy_name: String,
    service_namespace: ServiceNamespace,
    resource_id: String,
    scalable_dimension: ScalableDimension,
    policy_type: PolicyType,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_scaling_policy_configuration: Option<StepScaling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_tracking_scaling_policy_configuration: Option<TargetTracking>,
    alarms: Vec<AlarmView>,
    creation_time: Time,
}

/// Lists policies.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeScalingPolicies,
) -> Result<ScalingPolicies, ApiError> {
    let place = request.resource_id.as_deref().map(|id| Place::take(context, id)).transpose()?;
    let prefix = context.prefix();
    let fits = |row: &Arc<ScalingPolicy>| {
        place.as_ref().is_none_or(|place| row.place == *place)
            && (request.policy_names.is_empty()
                || request.policy_names.iter().any(|name| *name == row.name || *name == row.arn()))
    };
    let all = rows.scan::<ScalingPolicy>(&prefix).filter(fits);
    let page = page(all, |row| row.key(), Some(size(request.max_results)?), request.next_token.as_deref())
        .map_err(|_| invalid_token())?;
    let view = |row: &Arc<ScalingPolicy>| {
        let (kind, step, tracking) = match row.kind.clone() {
            Kind::Step(config) => (PolicyType::StepScaling, Some(config), None),
            Kind::TargetTracking(config) => (PolicyType::TargetTrackingScaling, None, Some(config)),
        };
        PolicyView {
            policy_arn: row.arn(),
            policy_name: row.name.clone(),
            service_namespace: ServiceNamespace::Ecs,
            resource_id: row.place.resource_id(),
            scalable_dimension: ScalableDimension::DesiredCount,
            policy_type: kind,
            step_scaling_policy_configuration: step,
            target_tracking_scaling_policy_configuration: tracking,
            alarms: policy::alarms(rows, row),
            creation_time: row.created_at.into(),
        }
    };
    Ok(ScalingPolicies {
        scaling_policies: page.items.iter().map(view).collect(),
        next_token: page.next_token,
    })
}
