//! `UpdateTaskProtection` and `GetTaskProtection`: tasks of services that scaling in and deployments leave alone for a
//! while ("Protect your Amazon ECS tasks from being terminated by scale-in events").

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::Timestamp;
use wire::ApiError;

use super::{Task, describe};
use crate::Context;
use crate::ecs::cluster::{self, Cluster};
use crate::ecs::service::Service;
use crate::ecs::{Failure, invalid};

/// The most tasks that one call protects, or tells of ("UpdateTaskProtection", "GetTaskProtection").
const MOST_UPDATED: usize = 10;
const MOST_TOLD: usize = 100;

/// How long a task may be protected, in minutes, and how long it is unless the call says otherwise.
const MINUTES: std::ops::RangeInclusive<i64> = 1..=2880;
const MINUTES_UNSAID: i64 = 120;

/// `UpdateTaskProtection`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateTaskProtection {
    cluster: String,
    tasks: Vec<String>,
    protection_enabled: bool,
    expires_in_minutes: Option<i64>,
}

/// `GetTaskProtection`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetTaskProtection {
    cluster: String,
    #[serde(default)]
    tasks: Vec<String>,
}

/// The answer of both.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtectedTasks {
    protected_tasks: Vec<ProtectedTask>,
    failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProtectedTask {
    task_arn: String,
    protection_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_date: Option<f64>,
}

impl ProtectedTask {
    fn of(task: &Task, now: Timestamp) -> Self {
        let until = task.protected_until(now);
        Self {
            task_arn: task.arn(),
            protection_enabled: until.is_some(),
            expiration_date: until.map(Timestamp::epoch_seconds),
        }
    }
}

impl Task {
    /// The time until which scaling in and deployments leave it alone, where that is still to come.
    pub fn protected_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.protected_until.filter(|until| *until > now && self.is_wanted())
    }
}

/// Protects tasks of services, or ends their protection. A further call counts the time anew.
///
/// # Errors
/// A number of tasks or of minutes that AWS does not take. What concerns one task is a failure of the answer: `MISSING`;
/// `TASK_NOT_VALID`, when it belongs to no service or is to end; `DEPLOYMENT_BLOCKED`, when its service would have more
/// protected tasks than it shall have tasks.
pub fn update(
    rows: &mut Tx,
    context: &Context,
    request: UpdateTaskProtection,
) -> Result<ProtectedTasks, ApiError> {
    count(&request.tasks, MOST_UPDATED)?;
    let minutes = request.expires_in_minutes.unwrap_or(MINUTES_UNSAID);
    if !MINUTES.contains(&minutes) {
        return Err(invalid("expiresInMinutes must be between 1 and 2880."));
    }
    let cluster = cluster::get_active(rows, context, Some(&request.cluster))?;
    let seconds = u64::try_from(minutes * 60).unwrap_or_default();
    let until = context.now.plus(Duration::from_secs(seconds));
    let mut answer = ProtectedTasks::default();
    for named in &request.tasks {
        let found = match find(rows, context, &cluster, named) {
            Ok(task) if request.protection_enabled && is_blocked(rows, &task, context.now) => {
                Err(Failure { arn: task.arn(), reason: "DEPLOYMENT_BLOCKED" })
            }
            found => found,
        };
        match found {
            Err(failure) => answer.failures.push(failure),
            Ok(mut task) => {
                task.protected_until = request.protection_enabled.then_some(until);
                let task = rows.put(task);
                answer.protected_tasks.push(ProtectedTask::of(&task, context.now));
            }
        }
    }
    Ok(answer)
}

/// Tells which tasks are protected, and until when.
///
/// # Errors
/// A number of tasks that AWS does not take.
pub fn get(
    rows: &Snapshot,
    context: &Context,
    request: GetTaskProtection,
) -> Result<ProtectedTasks, ApiError> {
    count(&request.tasks, MOST_TOLD)?;
    let cluster = cluster::get_active(rows, context, Some(&request.cluster))?;
    let mut answer = ProtectedTasks::default();
    for named in &request.tasks {
        match find(rows, context, &cluster, named) {
            Err(failure) => answer.failures.push(failure),
            Ok(task) => answer.protected_tasks.push(ProtectedTask::of(&task, context.now)),
        }
    }
    Ok(answer)
}

fn count(tasks: &[String], most: usize) -> Result<(), ApiError> {
    if tasks.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if tasks.len() > most {
        return Err(invalid(format!("Tasks cannot have more than {most} elements.")));
    }
    Ok(())
}

/// The task of a service that an id or an ARN names.
fn find(rows: &Snapshot, context: &Context, cluster: &Cluster, named: &str) -> Result<Task, Failure> {
    let Some(task) = describe::find(rows, context, cluster, named) else {
        return Err(Failure::missing(context, &format!("task/{}/", cluster.name), named));
    };
    match task.service.is_some() && task.is_wanted() {
        true => Ok((*task).clone()),
        false => Err(Failure { arn: task.arn(), reason: "TASK_NOT_VALID" }),
    }
}

/// Whether a task's service would have more protected tasks than it shall have tasks: its deployments could not come to
/// their end ("Task scale-in protection considerations").
fn is_blocked(rows: &Snapshot, task: &Task, now: Timestamp) -> bool {
    let name = task.service.as_deref().unwrap_or_default();
    let key = format!("{}/{}/{}/{name}", task.account, task.region, task.cluster);
    let Some(service) = rows.get::<Service>(&key) else { return false };
    let prefix = service.tasks_prefix();
    let others = rows.find::<Task>(&prefix).filter(|other| other.id != task.id);
    let protected = others.filter(|other| other.protected_until(now).is_some()).count();
    protected + 1 > usize::try_from(service.desired_count).unwrap_or(usize::MAX)
}
