//! Targets: who is registered, and who drains.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use desired::{HealthState, Target, TargetLifecycle};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::Timestamp;
use wire::ApiError;

use super::load_balancer::LoadBalancer;
use super::target_group::{TargetGroup, get, require};
use super::{EmptyResponse, attributes, last_part, validation};
use crate::ec2::subnet;
use crate::{Context, Machine};

/// A target, as requests and responses have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TargetDescription {
    pub(super) id: String,
    pub(super) port: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
}

/// RegisterTargets' and DeregisterTargets' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetsRequest {
    target_group_arn: String,
    targets: Vec<TargetDescription>,
}

/// A target of a request, resolved.
pub(super) struct Asked {
    pub(super) address: Ipv4Addr,
    /// Its own, or the group's.
    pub(super) port: u16,
    /// The zone that the address is in; None outside of the VPC's subnets.
    pub(super) zone: Option<String>,
}

impl Asked {
    pub(super) fn read(
        rows: &Snapshot,
        context: &Context,
        group: &TargetGroup,
        target: &TargetDescription,
    ) -> Result<Self, ApiError> {
        let address = target
            .id
            .parse::<Ipv4Addr>()
            .map_err(|_| validation(format!("The IP address '{}' is not a valid IPv4 address", target.id)))?;
        let port = target.port.map_or(Ok(group.port), |port| super::port("targets.1.member.port", port))?;
        let zone = subnet::zone_of(rows, context, &group.vpc_id, address);
        match (&zone, target.availability_zone.as_deref()) {
            (Some(zone), Some(asked)) if asked != zone => {
                return Err(validation(format!(
                    "The IP address '{address}' is within the VPC, and cannot have its Availability Zone overridden to '{asked}' from '{zone}'"
                )));
            }
            (None, Some(_)) => {
                return Err(ApiError::unsupported(format_args!(
                    "targets outside of the target group's VPC, as '{address}' is"
                )));
            }
            (_, None) | (Some(_), Some(_)) => {}
        }
        Ok(Self { address, port, zone })
    }
}

/// RegisterTargets: addresses of the VPC's subnets.
pub fn register_targets(
    rows: &mut Tx,
    context: &Context,
    request: TargetsRequest,
) -> Result<EmptyResponse, ApiError> {
    let group = require(rows, context, &request.target_group_arn)?;
    for target in &request.targets {
        let asked = Asked::read(rows, context, &group, target)?;
        if asked.zone.is_none() {
            return Err(validation(format!(
                "The Availability Zone is required for IP address '{}' because it is not in the VPC",
                asked.address
            )));
        }
        register(rows, context, &group.arn, asked.address, asked.port)?;
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
        let asked = Asked::read(rows, context, &group, target)?;
        deregister(rows, context, &group.arn, asked.address, asked.port);
    }
    Ok(EmptyResponse {})
}

/// Registers a target; one that drains takes requests again.
///
/// # Errors
/// TargetGroupNotFound
pub fn register(
    rows: &mut Tx,
    context: &Context,
    group_arn: &str,
    address: Ipv4Addr,
    port: u16,
) -> Result<(), ApiError> {
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
    next.zones.extend(subnet::zone_of(rows, context, &group.vpc_id, address).map(|zone| (address, zone)));
    rows.put(next);
    Ok(())
}

/// Begins to drain a target. One that is not registered, or drains already, stays as it is; one of a group that no
/// load balancer uses is gone at once, as nothing sends to it.
pub fn deregister(rows: &mut Tx, context: &Context, group_arn: &str, address: Ipv4Addr, port: u16) {
    let Some(group) = get(rows, group_arn) else { return };
    let mut next = (*group).clone();
    let registered = Target { address, port, lifecycle: TargetLifecycle::Registered };
    let Some(target) = next.targets.iter_mut().find(|target| **target == registered) else { return };
    target.lifecycle = TargetLifecycle::Draining { since: context.now };
    next.deregistered_in = rows.next_sequence();
    if group.load_balancer_arns.is_empty() {
        next.targets.retain(|target| (target.address, target.port) != (address, port));
        next.forget_zones();
    }
    rows.put(next);
}

/// Where a target is in its life. None: it is not in the group, or no longer.
pub fn lifecycle(rows: &Snapshot, group_arn: &str, address: Ipv4Addr, port: u16) -> Option<TargetLifecycle> {
    let group = get(rows, group_arn)?;
    let target = group.targets.iter().find(|target| (target.address, target.port) == (address, port))?;
    Some(target.lifecycle)
}

impl TargetGroup {
    /// Whether a load balancer's nodes send to a target's zone at all ("Enabled Availability Zones").
    pub fn is_enabled(&self, balancer: &LoadBalancer, address: Ipv4Addr) -> bool {
        self.zones.get(&address).is_some_and(|zone| balancer.nodes.iter().any(|node| node.zone == *zone))
    }

    fn forget_zones(&mut self) {
        let targets = &self.targets;
        self.zones.retain(|address, _| targets.iter().any(|target| target.address == *address));
    }

    /// The longest that a target may drain.
    fn delay(&self) -> Duration {
        let seconds = attributes::target_group_value(self, "deregistration_delay.timeout_seconds");
        Duration::from_secs(seconds.parse().unwrap_or(300))
    }

    /// Whether a load balancer has no request of a draining target any more.
    fn is_drained(&self, rows: &Snapshot, machine: &Machine, balancer_arn: &str, target: &Target) -> bool {
        let id = last_part(balancer_arn);
        let Some(balancer) = rows.get::<LoadBalancer>(&format!("{}{id}", self.scope)) else { return true };
        if !self.is_enabled(&balancer, target.address) {
            return true;
        }
        let reports = machine.reports();
        let Some(report) = reports.load_balancers.get(id) else { return false };
        let mut of_group = report.targets.get(&self.arn).into_iter().flatten();
        // What was reported before the nodes knew of the deregistration speaks of an earlier one.
        report.generation >= self.deregistered_in
            && of_group.any(|status| {
                (status.address, status.port) == (target.address, target.port)
                    && status.health == HealthState::Drained
            })
    }
}

/// The prefix under which the groups are found that have draining targets.
pub(super) const DRAINING: &str = "draining/";

/// Forgets the targets that are drained: the nodes say so, their delay is over, or no load balancer uses the group.
/// Gives the time at which the next delay is over.
pub fn forget_drained(rows: &mut Tx, machine: &Machine, now: Timestamp) -> Option<Timestamp> {
    let mut next_deadline: Option<Timestamp> = None;
    let groups: Vec<Arc<TargetGroup>> = rows.find::<TargetGroup>(DRAINING).collect();
    for group in groups {
        let mut next = (*group).clone();
        next.targets.retain(|target| {
            let TargetLifecycle::Draining { since } = target.lifecycle else { return true };
            let over = since.plus(group.delay());
            let drained = |arn: &String| group.is_drained(rows, machine, arn, target);
            if now >= over || group.load_balancer_arns.iter().all(drained) {
                return false;
            }
            next_deadline = Some(next_deadline.map_or(over, |earlier| earlier.min(over)));
            true
        });
        if next.targets.len() != group.targets.len() {
            next.forget_zones();
            rows.put(next);
        }
    }
    next_deadline
}
