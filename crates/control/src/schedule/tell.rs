//! What a service tells of its tasks: its events, in ECS's words ("Amazon ECS service event messages"), and its counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use types::{TaskId, Timestamp};

use super::backoff;
use super::decide::Cause;
use super::launch::LaunchError;
use crate::ecs::service::{HeldBack, RolloutState, Service, Waits};

/// What happened to a service's task.
pub(super) enum News {
    Registered { group: String },
    Deregistered { group: String },
    Draining,
    Stopped { task: TaskId },
    StoppedPending,
    Failed { deployment: String, ran: Option<Duration>, never_ran: Option<String> },
}

/// The news of one run, summed up.
#[derive(Default)]
pub(super) struct Tally {
    registered: BTreeMap<String, usize>,
    deregistered: BTreeMap<String, usize>,
    draining: usize,
    stopped: Vec<TaskId>,
    stopped_pending: usize,
    unplaced: BTreeSet<String>,
    throttled: bool,
}

impl Tally {
    /// Turns what happened to tasks into events and the back-off.
    pub(super) fn tell(mut self, service: &mut Service, news: Vec<News>, now: Timestamp) {
        for item in news {
            match item {
                News::Registered { group } => *self.registered.entry(group).or_default() += 1,
                News::Deregistered { group } => *self.deregistered.entry(group).or_default() += 1,
                News::Draining => self.draining += 1,
                News::Stopped { task } => self.stopped.push(task),
                News::StoppedPending => self.stopped_pending += 1,
                News::Failed { deployment, ran, never_ran } => {
                    self.unplaced.extend(never_ran);
                    count(service, &deployment, now);
                    service.steady = false;
                    self.throttled |= backoff::task_failed(&mut service.failures, ran, now);
                }
            }
        }
        // One event for all tasks that cannot start for the same reason.
        for reason in self.unplaced {
            let reason = reason.trim_end_matches('.');
            service.event(now, format!("was unable to place a task. Reason: {reason}."));
        }
        if self.throttled {
            throttled(service, now);
        }
        for (group, count) in self.registered {
            service.event(now, format!("registered {count} targets in (target-group {group})"));
        }
        for (group, count) in self.deregistered {
            service.event(now, format!("deregistered {count} targets in (target-group {group})"));
        }
        if self.draining > 0 {
            service.event(now, format!("has begun draining connections on {} tasks.", self.draining));
        }
        if !self.stopped.is_empty() {
            let (count, tasks) = (self.stopped.len(), named(&self.stopped));
            service.event(now, format!("has stopped {count} running tasks: {tasks}."));
        }
        if self.stopped_pending > 0 {
            service.event(now, format!("stopped {} pending tasks.", self.stopped_pending));
        }
    }
}

/// `(task a) (task b)`, as events name tasks.
pub(super) fn named(tasks: &[TaskId]) -> String {
    tasks.iter().map(|task| format!("(task {task})")).collect::<Vec<_>>().join(" ")
}

/// Counts a failed task of a deployment that is under way and of which no task was well yet.
pub(super) fn count(service: &mut Service, deployment: &str, now: Timestamp) {
    let known = service.deployments.iter_mut().find(|known| known.id == deployment);
    let Some(known) = known else { return };
    if known.rollout_state == RolloutState::InProgress && !known.proven {
        known.failed_tasks += 1;
        known.updated_at = now;
    }
}

/// A task could not even be made.
pub(super) fn launch_failed(service: &mut Service, deployment: &str, error: &LaunchError, now: Timestamp) {
    count(service, deployment, now);
    service.steady = false;
    service.event(now, format!("failed to launch a task with (error {error})."));
    if backoff::launch_failed(&mut service.failures, now) {
        throttled(service, now);
    }
}

fn throttled(service: &mut Service, now: Timestamp) {
    service.event(
        now,
        "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
    );
}

/// A task fails a check ("Amazon ECS service unhealthy event messages").
pub(super) fn unhealthy(service: &mut Service, task: &TaskId, cause: &Cause, now: Timestamp) {
    let words = match cause {
        Cause::LoadBalancer { group, port, reason } => {
            format!(
                "(task {task}) (port {port}) is unhealthy in (target-group {group}) due to (reason {reason})."
            )
        }
        Cause::Container => format!("(task {task}) failed container health checks."),
    };
    service.event(now, words);
}

/// Protected tasks are in the way ("Amazon ECS service event messages", "Amazon ECS Availability Zone service rebalancing
/// service event messages").
pub(super) fn held_back(service: &mut Service, held: &HeldBack, now: Timestamp) {
    let HeldBack { deployment, waits, protected } = held;
    let words = format!("was unable to scale in due to (reason {protected} tasks under protection)");
    match waits {
        Waits::ScaleIn => service.task_set_event(now, deployment, words),
        Waits::Deployment => service
            .event(now, format!("was unable to reach steady state because (taskSet {deployment}) {words}")),
        Waits::Rebalancing => {
            service.event(now, format!("was unable to AZ Rebalance because (taskSet {deployment}) {words}."));
        }
    }
}

/// The percentages let no task be replaced ("Amazon ECS service event messages").
pub(super) fn blocked(service: &mut Service, now: Timestamp) {
    service.event(
        now,
        "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
    );
}

/// The zones are out of balance, or in balance again ("Track Amazon ECS Availability Zone rebalancing").
pub(super) fn zones(service: &mut Service, zones: &[(String, usize)], balanced: bool, now: Timestamp) {
    let counts: Vec<String> = zones.iter().map(|(zone, count)| format!("{count} tasks in {zone}")).collect();
    let counts = match counts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
        _ => counts.join(""),
    };
    let words = match balanced {
        true => format!("is AZ balanced with {counts}."),
        false => format!("is not AZ balanced with {counts}. AZ Rebalancing in progress."),
    };
    service.event(now, words);
}
