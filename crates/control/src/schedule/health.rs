//! What the load balancers think of a task.

use desired::HealthState;
use store::Snapshot;

use crate::Machine;
use crate::ecs::task::{LastStatus, Target, TargetState, Task};
use crate::elbv2::target_group;

/// Whether a task runs and every load balancer that it is registered with finds it healthy. A group that no load
/// balancer uses (any more) has no say.
pub(super) fn serves(rows: &Snapshot, machine: &Machine, task: &Task) -> bool {
    let healthy = |target: &Target| {
        let Some(group) = target_group::get(rows, &target.group) else { return true };
        group.load_balancer_arns.iter().all(|balancer| {
            let id = balancer.rsplit('/').next().unwrap_or_default();
            let status = machine.target(id, &target.group, task.interface.address, target.port);
            status.is_some_and(|status| status.health == HealthState::Healthy)
        })
    };
    let mut registered = task.targets.iter().filter(|target| target.state == TargetState::Registered);
    task.last_status == LastStatus::Running && registered.all(healthy)
}
