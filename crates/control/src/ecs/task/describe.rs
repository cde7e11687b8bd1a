//! `DescribeTasks`, `ListTasks`, and how requests name a task.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, Empty, OnlyDefault};

use super::view::TaskView;
use super::{DesiredStatus, Task};
use crate::Context;
use crate::ecs::cluster::{self, Cluster};
use crate::ecs::service::Service;
use crate::ecs::service::describe::LaunchType;
use crate::ecs::{Failure, invalid};

/// The most tasks that one call describes ("DescribeTasks").
const MOST: usize = 100;

/// The task of an id or an ARN.
pub(super) fn find(rows: &Snapshot, context: &Context, cluster: &Cluster, named: &str) -> Option<Arc<Task>> {
    let id = match named.starts_with("arn:") {
        true => named.strip_prefix(&*crate::ecs::arn(
            &context.account,
            &context.region,
            &format!("task/{}/", cluster.name),
        ))?,
        false => named,
    };
    rows.get::<Task>(&format!("{}{id}", cluster.prefix()))
}

/// `DescribeTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeTasks {
    cluster: Option<String>,
    tasks: Vec<String>,
    #[serde(default)]
    include: Vec<Include>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Include {
    Tags,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct TaskList {
    pub(super) tasks: Vec<TaskView>,
    pub(super) failures: Vec<Failure>,
}

/// Describes the tasks named. A task that ended is described for an hour.
pub fn describe(rows: &Snapshot, context: &Context, request: DescribeTasks) -> Result<TaskList, ApiError> {
    if request.tasks.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if request.tasks.len() > MOST {
        return Err(invalid(format!("At most {MOST} tasks can be described in one call.")));
    }
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    let with_tags = request.include.contains(&Include::Tags);
    let mut list = TaskList { tasks: Vec::new(), failures: Vec::new() };
    for named in &request.tasks {
        match find(rows, context, &cluster, named) {
            Some(task) => list.tasks.push(task.print(with_tags)),
            None => list.failures.push(Failure::missing(context, &format!("task/{}/", cluster.name), named)),
        }
    }
    Ok(list)
}

/// `ListTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTasks {
    cluster: Option<String>,
    family: Option<String>,
    service_name: Option<String>,
    started_by: Option<String>,
    desired_status: Option<Wanted>,
    launch_type: Option<LaunchType>,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default, rename = "containerInstance")]
    _container_instance: OnlyDefault<Empty>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Wanted {
    #[default]
    Running,
    /// ECS never sets it, so that nothing is found.
    Pending,
    Stopped,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskArns {
    task_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARNs of a cluster's tasks that shall run, or of those that shall not.
pub fn list(rows: &Snapshot, context: &Context, request: ListTasks) -> Result<TaskArns, ApiError> {
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    if let Some(name) = &request.service_name {
        let name = name.rsplit('/').next().unwrap_or_default();
        if rows.get::<Service>(&format!("{}{name}", cluster.prefix())).is_none() {
            return Err(ApiError::new("ServiceNotFoundException", "Service not found."));
        }
    }
    let wanted = request.desired_status.unwrap_or_default();
    let chosen = |task: &Arc<Task>| {
        let family = task.task_definition.rsplit('/').next().and_then(|name| name.split(':').next());
        let service = request.service_name.as_deref().and_then(|name| name.rsplit('/').next());
        let status = match wanted {
            Wanted::Running => task.desired_status == DesiredStatus::Running,
            Wanted::Stopped => task.desired_status == DesiredStatus::Stopped,
            Wanted::Pending => false,
        };
        status
            && request.launch_type.is_none_or(|kind| kind == LaunchType::Fargate)
            && request.family.as_deref().is_none_or(|name| family == Some(name))
            && service.is_none_or(|name| task.service.as_deref() == Some(name))
            && request.started_by.as_deref().is_none_or(|by| task.started_by == by)
    };
    let arns = rows.scan::<Task>(&cluster.prefix()).filter(chosen).map(|task| task.arn()).collect();
    let page = crate::ecs::page(arns, request.max_results, 100, request.next_token.as_deref())?;
    Ok(TaskArns { task_arns: page.items, next_token: page.next_token })
}
