//! Targets: who is registered, who drains, how the nodes find them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use desired::{HealthState, Target, TargetLifecycle};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::Timestamp;
use wire::{ApiError, Empty, OnlyDefault};

use super::load_balancer::EmptyResponse;
use super::target_group::{TargetGroup, get, require};
use super::{attributes, last_part, validation};
use crate::ec2::subnet;
use crate::{Context, Machine};

/// A target, as requests and responses have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetDescription {
    id: String,
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone: Option<String>,
}

/// RegisterTargets' and DeregisterTargets' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetsRequest {
    target_group_arn: String,
    targets: Vec<TargetDescription>,
}

fn address(group: &TargetGroup, target: &TargetDescription) -> Result<(Ipv4Addr, u16), ApiError> {
    let address = target
        .id
        .parse::<Ipv4Addr>()
        .map_err(|_| validation(format!("The IP address '{}' is not a valid IPv4 address", target.id)))?;
    Ok((address, target.port.filter(|port| *port > 0).unwrap_or(group.port)))
}

/// RegisterTargets: addresses of the VPC.
pub fn register_targets(
    rows: &mut Tx,
    context: &Context,
    request: TargetsRequest,
) -> Result<EmptyResponse, ApiError> {
    let group = require(rows, context, &request.target_group_arn)?;
    let vpc = crate::ec2::vpc::get(rows, context, &group.vpc_id)?;
    for target in &request.targets {
        let (address, port) = address(&group, target)?;
        if !vpc.cidr_block.contains(&address) {
            return Err(ApiError::new(
                "InvalidTarget",
                format!(
                    "The following targets are not in the target group VPC '{}': '{address}'",
                    group.vpc_id
                ),
            ));
        }
        register(rows, context, &group.arn, address, port)?;
    }
    Ok(EmptyResponse {})
}

/// DeregisterTargets: they drain. One that is not registered is no error.
pub fn deregister_targets(
    rows: &mut Tx,
    context: &Context,
    request: TargetsRequest,
) -> Result<EmptyResponse, ApiError> {
    let group = require(rows, context, &request.target_group_arn)?;
    for target in &request.targets {
        let address_port = address(&group, target)?;
        deregister(rows, context, &group.arn, address_port.0, address_port.1);
    }
    Ok(EmptyResponse {})
}

/// Registers a target; one that drains takes requests again.
///
/// # Errors
/// When the group does not exist.
pub fn register(
    rows: &mut Tx,
    context: &Context,
    group_arn: &str,
    address: Ipv4Addr,
    port: u16,
) -> Result<(), ApiError> {
    let _ = context;
    let Some(group) = get(rows, group_arn) else {
        return Err(ApiError::new("TargetGroupNotFound", format!("Target group '{group_arn}' not found")));
    };
    let registered = Target { address, port, lifecycle: TargetLifecycle::Registered };
    if group.targets.contains(&registered) {
        return Ok(());
    }
    let mut next = (*group).clone();
    next.targets.retain(|target| (target.address, target.port) != (address, port));
    next.targets.push(registered);
    rows.put(next);
    Ok(())
}

/// Begins to drain a target. One that is not registered, or drains already, stays as it is.
pub fn deregister(rows: &mut Tx, context: &Context, group_arn: &str, address: Ipv4Addr, port: u16) {
    let Some(group) = get(rows, group_arn) else { return };
    let mut next = (*group).clone();
    let mut changed = false;
    for target in &mut next.targets {
        if (target.address, target.port, target.lifecycle) == (address, port, TargetLifecycle::Registered) {
            target.lifecycle = TargetLifecycle::Draining { since: context.now };
            changed = true;
        }
    }
    if changed {
        rows.put(next);
    }
}

/// Where a target is in its life. None: it is not in the group, or no longer.
pub fn lifecycle(rows: &Snapshot, group_arn: &str, address: Ipv4Addr, port: u16) -> Option<TargetLifecycle> {
    let group = get(rows, group_arn)?;
    let target = group.targets.iter().find(|target| (target.address, target.port) == (address, port))?;
    Some(target.lifecycle)
}

/// The longest that a target may drain.
fn delay(group: &TargetGroup) -> Duration {
    let seconds = attributes::target_group_value(group, "deregistration_delay.timeout_seconds");
    Duration::from_secs(seconds.parse().unwrap_or(300))
}

/// Forgets the targets that are drained: the nodes say so, their delay is over, or no load balancer uses the group.
/// Gives the time at which the next delay is over.
pub fn forget_drained(rows: &mut Tx, machine: &Machine, now: Timestamp) -> Option<Timestamp> {
    let mut next_deadline: Option<Timestamp> = None;
    let groups: Vec<Arc<TargetGroup>> = rows.scan::<TargetGroup>("").collect();
    for group in groups {
        let keep = |target: &Target| {
            let TargetLifecycle::Draining { since } = target.lifecycle else { return true };
            let over = since.plus(delay(&group));
            if group.load_balancer_arns.is_empty() || now >= over {
                return false;
            }
            let drained = |arn: &String| {
                let report = machine.target(last_part(arn), &group.arn, target.address, target.port);
                report.is_some_and(|report| report.health == HealthState::Drained)
            };
            !group.load_balancer_arns.iter().all(drained)
        };
        let targets: Vec<Target> = group.targets.iter().filter(|target| keep(target)).cloned().collect();
        for target in &targets {
            if let TargetLifecycle::Draining { since } = target.lifecycle {
                let over = since.plus(delay(&group));
                next_deadline = Some(next_deadline.map_or(over, |earlier| earlier.min(over)));
            }
        }
        if targets.len() != group.targets.len() {
            rows.put(TargetGroup { targets, ..(*group).clone() });
        }
    }
    next_deadline
}

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetHealth {
    state: &'static str,
    reason: Option<String>,
    description: Option<String>,
}

impl TargetHealth {
    fn new(state: &'static str, reason: &str, description: &str) -> Self {
        Self { state, reason: Some(reason.to_owned()), description: Some(description.to_owned()) }
    }

    /// The states, reasons and descriptions of "Target health status" and "Health check reason codes".
    fn of(group: &TargetGroup, target: &Target, machine: &Machine) -> Self {
        if let TargetLifecycle::Draining { .. } = target.lifecycle {
            return Self::new(
                "draining",
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            );
        }
        let Some(balancer) = group.load_balancer_arns.first() else {
            return Self::new(
                "unused",
                "Target.NotInUse",
                "Target group is not configured to receive traffic from the load balancer",
            );
        };
        match machine
            .target(last_part(balancer), &group.arn, target.address, target.port)
            .map(|status| status.health)
        {
            None => Self::new("initial", "Elb.RegistrationInProgress", "Target registration is in progress"),
            // The node has not yet heard that the target is registered again.
            Some(HealthState::Initial | HealthState::Draining | HealthState::Drained) => {
                Self::new("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
            }
            Some(HealthState::Healthy) => Self { state: "healthy", reason: None, description: None },
            Some(HealthState::Unhealthy { reason, description }) => {
                let reason = match reason {
                    desired::HealthReason::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
                    desired::HealthReason::Timeout => "Target.Timeout",
                    desired::HealthReason::FailedHealthChecks => "Target.FailedHealthChecks",
                };
                Self::new("unhealthy", reason, &description)
            }
        }
    }
}

/// DescribeTargetHealth, merged over the load balancer's nodes.
pub fn describe_health(
    rows: &Snapshot,
    context: &Context,
    request: HealthRequest,
) -> Result<HealthResponse, ApiError> {
    let group = require(rows, context, &request.target_group_arn)?;
    let describe = |target: &Target| HealthDescription {
        health_check_port: match group.health_check.port.as_str() {
            "traffic-port" => target.port.to_string(),
            port => port.to_owned(),
        },
        target: TargetDescription {
            id: target.address.to_string(),
            port: Some(target.port),
            availability_zone: subnet::zone_of(rows, context, &group.vpc_id, target.address),
        },
        target_health: TargetHealth::of(&group, target, &context.machine),
    };
    if request.targets.is_empty() {
        return Ok(HealthResponse {
            target_health_descriptions: group.targets.iter().map(describe).collect(),
        });
    }
    let mut descriptions = Vec::new();
    for asked in &request.targets {
        let (address, port) = address(&group, asked)?;
        let found = group.targets.iter().find(|target| (target.address, target.port) == (address, port));
        descriptions.push(match found {
            Some(target) => describe(target),
            None => HealthDescription {
                health_check_port: port.to_string(),
                target: TargetDescription {
                    id: address.to_string(),
                    port: Some(port),
                    availability_zone: None,
                },
                target_health: TargetHealth::new(
                    "unused",
                    "Target.NotRegistered",
                    "Target is not registered to the target group",
                ),
            },
        });
    }
    Ok(HealthResponse { target_health_descriptions: descriptions })
}
