//! What a service needs next: a pure function from what there is to decisions.

use std::collections::BTreeMap;

use types::{TaskId, Timestamp};

use crate::ecs::service::{RolloutState, Service};
use crate::ecs::task::LastStatus;

/// A service and all of its tasks that are not STOPPED.
#[derive(Debug, Clone)]
pub struct ServiceView<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its tasks, of all deployments.
    pub tasks: Vec<TaskView>,
    /// The subnets of the primary deployment with the names of their zones.
    pub subnets: Vec<(String, String)>,
}

/// A task as far as decisions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Its deployment's id.
    pub deployment: String,
    /// Its subnet.
    pub subnet: String,
    /// Its zone.
    pub zone: String,
    /// Where it is in its life.
    pub last_status: LastStatus,
    /// Whether it shall run.
    pub wanted: bool,
    /// Whether it runs, and every load balancer that it is registered with finds it healthy.
    pub serving: bool,
}

/// A change that a service needs. The decisions of one call belong to one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start a task of the primary deployment in this subnet.
    Start {
        /// The subnet.
        subnet: String,
    },
    /// End a task.
    Retire {
        /// The task.
        task: TaskId,
    },
    /// Forget a deployment: none of its tasks is left.
    Forget {
        /// The deployment.
        deployment: String,
    },
    /// The primary deployment is complete.
    Complete,
    /// All is as desired: say so.
    Steady,
    /// No longer all is as desired.
    Unsteady,
    /// Nothing changes before then.
    Wait {
        /// The time of the next attempt.
        until: Timestamp,
    },
    /// A deleted service has no task left.
    Inactive,
}

/// Decides. Applying the decisions and calling again with what is then there leads to a state in which there is
/// nothing to decide.
pub fn schedule(view: &ServiceView<'_>, now: Timestamp) -> Vec<Decision> {
    if !view.service.is_active() {
        return end(view);
    }
    let desired = usize::try_from(view.service.desired_count).unwrap_or(usize::MAX);
    let primary_id = view.service.primary().map(|primary| primary.id.as_str());
    let is_primary = |task: &TaskView| Some(task.deployment.as_str()) == primary_id;
    let wanted = || view.tasks.iter().filter(|task| task.wanted);
    let primary: Vec<&TaskView> = wanted().filter(|task| is_primary(task)).collect();
    let others: Vec<&TaskView> = wanted().filter(|task| !is_primary(task)).collect();

    let mut decisions = Vec::new();
    let missing = desired.saturating_sub(primary.len());
    let room = if others.is_empty() {
        missing
    } else {
        let most = percent(desired, view.service.maximum_percent);
        missing.min(most.saturating_sub(primary.len() + others.len()))
    };
    match view.service.failures.retry_at.filter(|retry| *retry > now) {
        Some(until) if room > 0 => decisions.push(Decision::Wait { until }),
        _ => decisions.extend(places(view, &primary, room).map(|subnet| Decision::Start { subnet })),
    }
    decisions.extend(excess(&primary, primary.len().saturating_sub(desired)));
    decisions.extend(replaced(view, &primary, &others, desired));

    let left = |id: &str| view.tasks.iter().any(|task| task.deployment == id);
    let old = view.service.deployments.iter().skip(1);
    let forgotten: Vec<&str> = old.map(|deployment| deployment.id.as_str()).filter(|id| !left(id)).collect();
    let single = view.service.deployments.len() == 1 + forgotten.len();
    decisions.extend(forgotten.into_iter().map(|id| Decision::Forget { deployment: id.to_owned() }));

    let complete = primary.len() == desired && view.tasks.len() == desired;
    let running = complete && primary.iter().all(|task| task.last_status == LastStatus::Running);
    if single && running && primary.iter().all(|task| task.serving) {
        let rollout = view.service.primary().map(|primary| primary.rollout_state);
        if rollout == Some(RolloutState::InProgress) {
            decisions.push(Decision::Complete);
        }
        if !view.service.steady {
            decisions.push(Decision::Steady);
        }
    } else if view.service.steady && !running {
        decisions.push(Decision::Unsteady);
    }
    decisions
}

/// A deleted service: all of its tasks end, then it is INACTIVE.
fn end(view: &ServiceView<'_>) -> Vec<Decision> {
    if !view.service.is_draining() {
        return Vec::new();
    }
    if view.tasks.is_empty() {
        return vec![Decision::Inactive];
    }
    let wanted = view.tasks.iter().filter(|task| task.wanted);
    wanted.map(|task| Decision::Retire { task: task.id.clone() }).collect()
}

/// So many percent of a count, rounded down.
fn percent(count: usize, percent: u32) -> usize {
    let percent = usize::try_from(percent).unwrap_or(usize::MAX);
    count.saturating_mul(percent) / 100
}

/// The subnets for new tasks: each goes to the zone with the fewest tasks of the deployment, in it to the subnet with
/// the fewest.
fn places<'a>(
    view: &'a ServiceView<'_>,
    primary: &[&TaskView],
    count: usize,
) -> impl Iterator<Item = String> + use<'a> {
    let mut zones: BTreeMap<String, usize> = BTreeMap::new();
    let mut subnets: BTreeMap<String, usize> = BTreeMap::new();
    for task in primary {
        *zones.entry(task.zone.clone()).or_default() += 1;
        *subnets.entry(task.subnet.clone()).or_default() += 1;
    }
    (0..count).filter_map(move |_| {
        let load = |(subnet, zone): &&(String, String)| {
            (zones.get(zone).copied().unwrap_or(0), subnets.get(subnet).copied().unwrap_or(0))
        };
        let (subnet, zone) = view.subnets.iter().min_by_key(load)?;
        *zones.entry(zone.clone()).or_default() += 1;
        *subnets.entry(subnet.clone()).or_default() += 1;
        Some(subnet.clone())
    })
}

/// The tasks that are too many: those that do not run yet first, then from the zone with the most.
fn excess(primary: &[&TaskView], count: usize) -> Vec<Decision> {
    let mut left: Vec<&TaskView> = primary.to_vec();
    let mut retired = Vec::new();
    for _ in 0..count {
        let load = |task: &TaskView| left.iter().filter(|other| other.zone == task.zone).count();
        let rank = |task: &TaskView| (task.last_status != LastStatus::Running, load(task));
        let Some(chosen) = (0..left.len()).max_by_key(|index| rank(left[*index])) else { break };
        retired.push(Decision::Retire { task: left.swap_remove(chosen).id.clone() });
    }
    retired
}

/// The tasks of earlier deployments that may end: those that never ran at once, the others as far as enough stay.
/// What the load balancer thinks counts for new tasks alone: after a restart nothing is known of health, and no old
/// task may end for that.
fn replaced(
    view: &ServiceView<'_>,
    primary: &[&TaskView],
    others: &[&TaskView],
    desired: usize,
) -> Vec<Decision> {
    let share = desired.saturating_mul(usize::try_from(view.service.minimum_healthy_percent).unwrap_or(100));
    let least = share.div_ceil(100);
    let (running, starting): (Vec<&TaskView>, Vec<&TaskView>) =
        others.iter().partition(|task| task.last_status == LastStatus::Running);
    let serving = primary.iter().filter(|task| task.serving).count();
    let spare = (serving + running.len()).saturating_sub(least);
    let ended = starting.into_iter().chain(running.into_iter().take(spare));
    ended.map(|task| Decision::Retire { task: task.id.clone() }).collect()
}
