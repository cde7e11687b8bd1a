//! One task's next step: from what the machine reports and where its targets are.

use desired::{TaskPhase, TaskStatus};
use types::Timestamp;

use super::discovery;
use crate::ecs::task::{ContainerStatus, LastStatus, StopCode, TargetState, Task};

/// What has to be done besides keeping the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Put the targets into their groups.
    Register,
    /// Take the targets out of their groups; they drain.
    Deregister,
    /// Delete the network interface and forget the role's session.
    Release,
}

/// Brings a task a step on. `drained`: none of its deregistered targets is left in its group. A step that changes the
/// row may make the next one possible at once: call again until it changes nothing.
pub fn advance(
    task: &mut Task,
    report: Option<&TaskStatus>,
    drained: bool,
    now: Timestamp,
) -> Option<Effect> {
    if let Some(report) = report {
        absorb(task, report, now);
    }
    let phase = report.map(|report| report.phase);
    match task.last_status {
        LastStatus::Stopped => None,
        LastStatus::Deprovisioning => {
            task.last_status = LastStatus::Stopped;
            task.stopped_at = Some(now);
            None
        }
        _ if phase == Some(TaskPhase::Stopped) => {
            end(task, report, now);
            // What still is registered is of no use to anybody; there is nothing to wait for.
            let registered = deregister(task);
            if !registered {
                task.last_status = LastStatus::Deprovisioning;
                task.ended = true;
            }
            Some(if registered { Effect::Deregister } else { Effect::Release })
        }
        _ if !task.is_wanted() => retire(task, drained, now),
        LastStatus::Provisioning if phase.is_some() => {
            task.last_status = LastStatus::Pending;
            task.connectivity_at = Some(now);
            None
        }
        LastStatus::Pending if phase == Some(TaskPhase::Running) => {
            task.last_status = LastStatus::Activating;
            let waiting = task.targets.iter_mut().filter(|target| target.state == TargetState::Waiting);
            let any = waiting.map(|target| target.state = TargetState::Registered).count() > 0;
            any.then_some(Effect::Register)
        }
        LastStatus::Activating => {
            discover(task, report);
            task.last_status = LastStatus::Running;
            None
        }
        LastStatus::Running => {
            discover(task, report);
            None
        }
        _ => None,
    }
}

/// The way of a task that shall end and whose containers run.
fn retire(task: &mut Task, drained: bool, now: Timestamp) -> Option<Effect> {
    if deregister(task) {
        task.last_status = LastStatus::Deactivating;
        return Some(Effect::Deregister);
    }
    let leaving = task.targets.iter().any(|target| target.state == TargetState::Deregistered);
    if !task.stop && (drained || !leaving) {
        task.stop = true;
        task.stopping_at = Some(now);
        task.last_status = LastStatus::Stopping;
    }
    None
}

/// Marks registered targets, and places in Cloud Map, as deregistered. Whether there was any.
fn deregister(task: &mut Task) -> bool {
    let targets = task.targets.iter_mut().map(|target| &mut target.state);
    let places = task.registrations.iter_mut().map(|place| &mut place.state);
    let registered = targets.chain(places).filter(|state| **state == TargetState::Registered);
    registered.map(|state| *state = TargetState::Deregistered).count() > 0
}

/// Says which places in Cloud Map a running task has: all while it is healthy by its containers' checks, none otherwise.
fn discover(task: &mut Task, report: Option<&TaskStatus>) {
    let healthy = report.is_some_and(discovery::is_healthy);
    for place in &mut task.registrations {
        place.state = match place.state {
            TargetState::Waiting if healthy => TargetState::Registered,
            TargetState::Registered if !healthy && report.is_some() => TargetState::Waiting,
            other => other,
        };
    }
}

/// Takes over what a report says of times and containers. What was known stays: a restarted machine may know less.
fn absorb(task: &mut Task, report: &TaskStatus, now: Timestamp) {
    task.pull_started_at = report.pull_started_at.or(task.pull_started_at);
    task.pull_stopped_at = report.pull_stopped_at.or(task.pull_stopped_at);
    if report.phase == TaskPhase::Running {
        task.started_at = task.started_at.or(report.started_at).or(Some(now));
    } else {
        task.started_at = task.started_at.or(report.started_at);
    }
    task.execution_stopped_at = report.execution_stopped_at.or(task.execution_stopped_at);
    for container in &mut task.containers {
        let reported = report.containers.get(&container.name);
        if let Some(reported) = reported {
            if !reported.runtime_id.is_empty() {
                container.runtime_id.clone_from(&reported.runtime_id);
            }
            container.image_digest = reported.image_digest.clone().or(container.image_digest.take());
            container.exit_code = reported.exit_code.or(container.exit_code);
            container.reason = reported.reason.clone().or(container.reason.take());
            container.health = reported.health.as_ref().map(|health| health.status).or(container.health);
            if reported.running {
                container.last_status = ContainerStatus::Running;
            } else if reported.exit_code.is_some() {
                container.last_status = ContainerStatus::Stopped;
            }
        }
        if report.phase == TaskPhase::Stopped {
            container.last_status = ContainerStatus::Stopped;
        }
    }
}

/// The containers have ended: why, unless that is known.
fn end(task: &mut Task, report: Option<&TaskStatus>, now: Timestamp) {
    match report.and_then(|report| report.error.clone()) {
        Some(error) if task.started_at.is_none() => task.end(StopCode::TaskFailedToStart, error),
        Some(error) => task.end(StopCode::EssentialContainerExited, error),
        None => task.end(StopCode::EssentialContainerExited, "Essential container in task exited"),
    }
    task.stopping_at = task.stopping_at.or(Some(now));
    task.execution_stopped_at = task.execution_stopped_at.or(Some(now));
}
