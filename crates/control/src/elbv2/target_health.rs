//! DescribeTargetHealth, merged over the load balancer's nodes.

use desired::{HealthReason, HealthState, Target, TargetLifecycle};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, Empty, OnlyDefault};

use super::last_part;
use super::load_balancer::LoadBalancer;
use super::target_group::{TargetGroup, require};
use super::targets::{Asked, TargetDescription};
use crate::{Context, Machine};

/// DescribeTargetHealth's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct HealthRequest {
    target_group_arn: String,
    #[serde(default)]
    targets: Vec<TargetDescription>,
    #[serde(default, rename = "Include")]
    _include: OnlyDefault<Empty>,
}

/// DescribeTargetHealth's response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthResponse {
    target_health_descriptions: Vec<HealthDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthDescription {
    target: TargetDescription,
    health_check_port: String,
    target_health: TargetHealth,
}

/// The states, reasons and descriptions of "Target health status" and "Health check reason codes".
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetHealth {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl TargetHealth {
    fn new(state: &'static str, reason: &'static str, description: impl Into<String>) -> Self {
        Self { state, reason: Some(reason), description: Some(description.into()) }
    }

    fn of(rows: &Snapshot, group: &TargetGroup, target: &Target, machine: &Machine) -> Self {
        if let TargetLifecycle::Draining { .. } = target.lifecycle {
            let words = "Target deregistration is in progress";
            return Self::new("draining", "Target.DeregistrationInProgress", words);
        }
        // A group belongs to one load balancer.
        let balancer = group.load_balancer_arns.first().map(|arn| last_part(arn));
        let balancer = balancer.and_then(|id| rows.get::<LoadBalancer>(&format!("{}{id}", group.scope)));
        let Some(balancer) = balancer else {
            let words = "Target group is not configured to receive traffic from the load balancer";
            return Self::new("unused", "Target.NotInUse", words);
        };
        if !group.is_enabled(&balancer, target.address) {
            let words = "Target is in an Availability Zone that is not enabled for the load balancer";
            return Self::new("unused", "Target.NotInUse", words);
        }
        let status = machine.target(&balancer.id, &group.arn, target.address, target.port);
        match status.map(|status| status.health) {
            None => Self::new("initial", "Elb.RegistrationInProgress", "Target registration is in progress"),
            // Draining: the nodes have not yet heard that the target is registered again.
            Some(HealthState::Initial | HealthState::Draining | HealthState::Drained) => {
                Self::new("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
            }
            Some(HealthState::Healthy) => Self { state: "healthy", reason: None, description: None },
            Some(HealthState::Unhealthy { reason, description }) => {
                let reason = match reason {
                    HealthReason::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
                    HealthReason::Timeout => "Target.Timeout",
                    HealthReason::FailedHealthChecks => "Target.FailedHealthChecks",
                };
                Self::new("unhealthy", reason, description)
            }
        }
    }
}

/// The port of a target's health checks.
fn check_port(group: &TargetGroup, own: u16) -> String {
    match group.health_check.port.as_str() {
        "traffic-port" => own.to_string(),
        port => port.to_owned(),
    }
}

/// DescribeTargetHealth: of all targets, or of those that are asked for.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: HealthRequest,
) -> Result<HealthResponse, ApiError> {
    let group = require(rows, context, &request.target_group_arn)?;
    let describe = |target: &Target| HealthDescription {
        health_check_port: check_port(&group, target.port),
        target: TargetDescription {
            id: target.address.to_string(),
            port: Some(target.port.into()),
            availability_zone: group.zones.get(&target.address).cloned(),
        },
        target_health: TargetHealth::of(rows, &group, target, &context.machine),
    };
    if request.targets.is_empty() {
        let all = group.targets.iter().map(describe).collect();
        return Ok(HealthResponse { target_health_descriptions: all });
    }
    let mut descriptions = Vec::new();
    for target in &request.targets {
        let Asked { address, port, zone } = Asked::read(rows, context, &group, target)?;
        let found = group.targets.iter().find(|target| (target.address, target.port) == (address, port));
        descriptions.push(found.map_or_else(
            || HealthDescription {
                health_check_port: check_port(&group, port),
                target: TargetDescription {
                    id: address.to_string(),
                    port: Some(port.into()),
                    availability_zone: zone,
                },
                target_health: TargetHealth::new(
                    "unused",
                    "Target.NotRegistered",
                    "Target is not registered to the target group",
                ),
            },
            describe,
        ));
    }
    Ok(HealthResponse { target_health_descriptions: descriptions })
}
