//! What those who check a task find: its load balancers, and its containers' own health checks.

use std::time::Duration;

use desired::{ContainerHealthStatus, HealthState};
use store::Snapshot;
use types::Timestamp;

use super::decide::{Cause, Health};
use crate::Machine;
use crate::ecs::service::Service;
use crate::ecs::task::{LastStatus, TargetState, Task};
use crate::ecs::task_definition;
use crate::elbv2::target_group;

/// How long a task must have run that nobody checks before it counts as healthy. AWS waits 40 seconds
/// ("minimumHealthyPercent"); a program that cannot run says so sooner, as its start takes a fraction of a second here.
pub const UNCHECKED: Duration = Duration::from_secs(3);

/// What the checks of a task find. A group that no load balancer uses (any more) has no say.
pub(super) fn of(
    rows: &Snapshot,
    machine: &Machine,
    service: &Service,
    task: &Task,
    now: Timestamp,
) -> Health {
    let undecided = Health::Undecided { until: None };
    if task.last_status != LastStatus::Running || !task.is_wanted() {
        return undecided;
    }
    let (mut checked, mut well, mut failing) = (false, true, None);
    for target in task.targets.iter().filter(|target| target.state == TargetState::Registered) {
        let Some(group) = target_group::get(rows, &target.group) else { continue };
        for balancer in &group.load_balancer_arns {
            checked = true;
            let id = balancer.rsplit('/').next().unwrap_or_default();
            let status = machine.target(id, &target.group, task.interface.address, target.port);
            match status.map(|status| status.health) {
                Some(HealthState::Healthy) => {}
                Some(HealthState::Unhealthy { description, .. }) => {
                    well = false;
                    failing.get_or_insert(Cause::LoadBalancer {
                        group: target.group.clone(),
                        port: target.port,
                        reason: description,
                    });
                }
                _ => well = false,
            }
        }
    }
    let report = machine.reports().tasks.get(&task.id).cloned();
    if let Some(report) = report {
        let definition = task_definition::get(rows, &task.task_definition);
        let essential = |name: &str| {
            definition.as_ref().and_then(|row| row.container(name)).is_none_or(|known| known.essential)
        };
        let of_essential = report.containers.iter().filter(|(name, _)| essential(name));
        for health in of_essential.filter_map(|(_, container)| container.health.as_ref()) {
            checked = true;
            match health.status {
                ContainerHealthStatus::Healthy => {}
                ContainerHealthStatus::Unknown => well = false,
                ContainerHealthStatus::Unhealthy => {
                    well = false;
                    failing = Some(Cause::Container);
                }
            }
        }
    }
    let started = task.started_at.unwrap_or(task.created_at);
    if let Some(cause) = failing {
        // The grace period is for both kinds of checks ("healthCheckGracePeriodSeconds").
        let grace = Duration::from_secs(service.health_check_grace_period_seconds.into());
        let until = started.plus(grace);
        return if now >= until { Health::Failing(cause) } else { Health::Undecided { until: Some(until) } };
    }
    if !checked {
        let until = started.plus(UNCHECKED);
        return if now >= until { Health::Serving } else { Health::Undecided { until: Some(until) } };
    }
    if well { Health::Serving } else { undecided }
}
