//! `StartTask`, which places tasks on container instances by hand, and `ExecuteCommand`.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::describe;
use super::overrides::TaskOverride;
use crate::Context;
use crate::ecs::container_definition::Given;
use crate::ecs::network::NetworkConfiguration;
use crate::ecs::service::PropagateTags;
use crate::ecs::tag::Tag;
use crate::ecs::{Failure, cluster, invalid, task_definition};

/// The most container instances of one call ("StartTask").
const MOST: usize = 10;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartTask {
    cluster: Option<String>,
    container_instances: Vec<String>,
    task_definition: String,
    #[serde(default, rename = "enableECSManagedTags")]
    _enable_ecs_managed_tags: bool,
    #[serde(default)]
    enable_execute_command: Given,
    #[serde(rename = "group")]
    _group: Option<String>,
    #[serde(rename = "networkConfiguration")]
    _network_configuration: Option<NetworkConfiguration>,
    #[serde(rename = "overrides")]
    _overrides: Option<TaskOverride>,
    #[serde(rename = "propagateTags")]
    _propagate_tags: Option<PropagateTags>,
    #[serde(rename = "referenceId")]
    _reference_id: Option<String>,
    #[serde(rename = "startedBy")]
    _started_by: Option<String>,
    #[serde(rename = "tags")]
    _tags: Option<Vec<Tag>>,
    #[serde(default)]
    volume_configurations: Given,
}

/// Its answer: no task, as no cluster has a container instance.
#[derive(Debug, Serialize)]
pub struct NotStarted {
    tasks: [String; 0],
    failures: Vec<Failure>,
}

/// Starts nothing: tasks run on Fargate alone, and whatever instance is named is not there.
pub fn start(rows: &Snapshot, context: &Context, request: StartTask) -> Result<NotStarted, ApiError> {
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    if request.container_instances.is_empty() {
        return Err(invalid("Container instances cannot be empty."));
    }
    if request.container_instances.len() > MOST {
        return Err(invalid(format!("At most {MOST} container instances can be named in one call.")));
    }
    task_definition::find_active(rows, context, &request.task_definition)?;
    request.enable_execute_command.unsupported(ENABLE_EXECUTE_COMMAND)?;
    request.volume_configurations.unsupported("volumeConfigurations")?;
    let prefix = format!("container-instance/{}/", cluster.name);
    let missing = |named: &String| Failure::missing(context, &prefix, named);
    Ok(NotStarted { tasks: [], failures: request.container_instances.iter().map(missing).collect() })
}

/// What is said to `enableExecuteCommand`.
pub(super) const ENABLE_EXECUTE_COMMAND: &str =
    "enableExecuteCommand: `landfall shell <task>` opens a terminal in any container";

/// `ExecuteCommand`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteCommand {
    cluster: Option<String>,
    container: Option<String>,
    #[serde(rename = "command")]
    _command: String,
    interactive: bool,
    task: String,
}

/// Never the answer.
#[derive(Debug, Serialize)]
pub enum NoSession {}

/// Refuses, as ECS does for a task that was not made for it.
pub fn execute(rows: &Snapshot, context: &Context, request: ExecuteCommand) -> Result<NoSession, ApiError> {
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    let task = describe::find(rows, context, &cluster, &request.task)
        .ok_or_else(|| invalid("The referenced task was not found."))?;
    if !request.interactive {
        return Err(invalid("Interactive is the only mode supported currently."));
    }
    let named = |name: &String| !task.containers.iter().any(|container| container.name == *name);
    if let Some(name) = request.container.filter(named) {
        return Err(invalid(format!("The container '{name}' is not in the task.")));
    }
    Err(invalid(format!(
        "The execute command failed because execute command was not enabled when the task was run or the execute command \
         agent isn't running. Wait and try again or run a new task with execute command enabled and try again. Landfall \
         does not support ExecuteCommand: `landfall shell {}` opens a terminal in a container.",
        task.id
    )))
}
