//! Task definitions: families of numbered revisions that never change.

pub mod delete;
pub mod list;
pub mod register;
mod volume;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use super::client;
use super::container_definition::ContainerDefinition;
use super::tag::{self, Tag, Tags};
pub use volume::Volume;

use crate::Context;

/// A revision of a family.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its family.
    pub family: String,
    /// Its number in the family, from 1 on; a number is never used twice.
    pub revision: u32,
    /// Whether new tasks may be made of it.
    pub status: Status,
    /// Its containers.
    pub containers: Vec<ContainerDefinition>,
    /// Its volumes.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Whether its containers share a PID namespace, if it says so.
    #[serde(default)]
    pub pid_mode: Option<PidMode>,
    /// How much its containers may write, if it says so.
    #[serde(default)]
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// In whose name the image is pulled.
    pub execution_role_arn: Option<String>,
    /// As whom its containers' programs call AWS.
    #[serde(default)]
    pub task_role_arn: Option<String>,
    /// In units.
    pub cpu: u32,
    /// In MiB.
    pub memory: u32,
    /// As requested; printed only then.
    pub runtime_platform: Option<RuntimePlatform>,
    /// As requested: FARGATE among them.
    pub requires_compatibilities: Vec<Compatibility>,
    /// Who made it.
    pub registered_by: String,
    /// When it was made.
    pub registered_at: Timestamp,
    /// When it became inactive.
    pub deregistered_at: Option<Timestamp>,
    /// When its deletion was asked for.
    #[serde(default)]
    pub delete_requested_at: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// Whether a task definition may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It may.
    Active,
    /// It was deregistered; services and tasks that have it go on.
    Inactive,
    /// It goes when no service or task has it any more.
    DeleteInProgress,
}

/// Whose processes a task's containers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PidMode {
    /// Those of all containers of the task. Fargate has no other.
    Task,
}

/// How much the containers of a task may write in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EphemeralStorage {
    /// From 21 to 200; 20 without asking.
    #[serde(rename = "sizeInGiB")]
    pub size_in_gib: u32,
}

impl EphemeralStorage {
    /// Whether Fargate has it ("Fargate task ephemeral storage").
    ///
    /// # Errors
    /// When it has not.
    pub(crate) fn check(self) -> Result<(), ApiError> {
        if (21..=200).contains(&self.size_in_gib) {
            return Ok(());
        }
        Err(client("Ephemeral storage size must be between 21 GiB and 200 GiB."))
    }
}

/// Where a task may run. Landfall runs Fargate tasks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Compatibility {
    /// On instances of the user's.
    Ec2,
    /// On Fargate.
    Fargate,
}

/// What a task's machine must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimePlatform {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cpu_architecture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operating_system_family: Option<String>,
}

impl Row for TaskDefinition {
    const TABLE: &'static str = "ecs_task_definition";

    fn key(&self) -> String {
        key(&self.account, &self.region, &self.family, self.revision)
    }

    /// While its deletion waits for those that use it.
    fn found_by(&self) -> Vec<String> {
        match self.status {
            Status::DeleteInProgress => vec![format!("{}{}", delete::DELETING, self.key())],
            Status::Active | Status::Inactive => Vec::new(),
        }
    }
}

/// Ten digits, so that keys are in the order of the revisions.
fn key(account: &AccountId, region: &Region, family: &str, revision: u32) -> String {
    format!("{account}/{region}/{family}/{revision:010}")
}

impl TaskDefinition {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let resource = format!("task-definition/{}:{}", self.family, self.revision);
        crate::ecs::arn(&self.account, &self.region, &resource)
    }

    /// The container of a name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.containers.iter().find(|container| container.name == name)
    }

    fn print(&self) -> TaskDefinitionView {
        TaskDefinitionView {
            task_definition_arn: self.arn(),
            container_definitions: self.containers.clone(),
            family: self.family.clone(),
            task_role_arn: self.task_role_arn.clone(),
            execution_role_arn: self.execution_role_arn.clone(),
            network_mode: "awsvpc",
            revision: self.revision,
            volumes: self.volumes.clone(),
            status: self.status,
            placement_constraints: [],
            compatibilities: [Compatibility::Ec2, Compatibility::Fargate],
            runtime_platform: self.runtime_platform.clone(),
            requires_compatibilities: self.requires_compatibilities.clone(),
            cpu: self.cpu.to_string(),
            memory: self.memory.to_string(),
            registered_at: self.registered_at.epoch_seconds(),
            deregistered_at: self.deregistered_at.map(Timestamp::epoch_seconds),
            delete_requested_at: self.delete_requested_at.map(Timestamp::epoch_seconds),
            registered_by: self.registered_by.clone(),
            pid_mode: self.pid_mode,
            ephemeral_storage: self.ephemeral_storage,
            enable_fault_injection: false,
        }
    }
}

/// A task definition as responses print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskDefinitionView {
    task_definition_arn: String,
    container_definitions: Vec<ContainerDefinition>,
    family: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_role_arn: Option<String>,
    network_mode: &'static str,
    revision: u32,
    volumes: Vec<Volume>,
    status: Status,
    placement_constraints: [String; 0],
    compatibilities: [Compatibility; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_platform: Option<RuntimePlatform>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requires_compatibilities: Vec<Compatibility>,
    cpu: String,
    memory: String,
    registered_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregistered_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_requested_at: Option<f64>,
    registered_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid_mode: Option<PidMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage: Option<EphemeralStorage>,
    enable_fault_injection: bool,
}

/// One task definition, as answers carry it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTaskDefinition {
    task_definition: TaskDefinitionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

/// The task definition of `family` (the newest active revision), `family:revision`, or an ARN.
pub fn find(rows: &Snapshot, context: &Context, named: &str) -> Option<Arc<TaskDefinition>> {
    let named = match named.starts_with("arn:") {
        true => {
            named.strip_prefix(&*crate::ecs::arn(&context.account, &context.region, "task-definition/"))?
        }
        false => named,
    };
    match named.split_once(':') {
        Some((family, revision)) => {
            let key = key(&context.account, &context.region, family, revision.parse().ok()?);
            rows.get::<TaskDefinition>(&key)
        }
        None => rows
            .scan::<TaskDefinition>(&context.key(format_args!("{named}/")))
            .filter(|row| row.status == Status::Active)
            .last(),
    }
}

/// The task definition of an ARN, in whatever account and region it is.
pub fn get(rows: &Snapshot, arn: &str) -> Option<Arc<TaskDefinition>> {
    let arn: types::Arn = arn.parse().ok()?;
    let (family, revision) = arn.resource.strip_prefix("task-definition/")?.split_once(':')?;
    let revision: u32 = revision.parse().ok()?;
    rows.get::<TaskDefinition>(&format!("{}/{}/{family}/{revision:010}", arn.account, arn.region))
}

/// The task definition for new tasks.
///
/// # Errors
/// When there is none, or it was deregistered.
pub(crate) fn find_active(
    rows: &Snapshot,
    context: &Context,
    named: &str,
) -> Result<Arc<TaskDefinition>, ApiError> {
    let found = find(rows, context, named).ok_or_else(|| client("TaskDefinition not found."))?;
    match found.status {
        Status::Active => Ok(found),
        Status::Inactive | Status::DeleteInProgress => Err(client("TaskDefinition is inactive")),
    }
}

/// `DescribeTaskDefinition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeTaskDefinition {
    task_definition: String,
    #[serde(default)]
    include: Vec<Include>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Include {
    Tags,
}

/// Describes a task definition.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeTaskDefinition,
) -> Result<OneTaskDefinition, ApiError> {
    let row = find(rows, context, &request.task_definition)
        .ok_or_else(|| client("Unable to describe task definition."))?;
    let tags = request.include.contains(&Include::Tags).then(|| tag::print(&row.tags));
    Ok(OneTaskDefinition { task_definition: row.print(), tags })
}

/// `DeregisterTaskDefinition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeregisterTaskDefinition {
    task_definition: String,
}

/// Makes a revision inactive.
pub fn deregister(
    rows: &mut Tx,
    context: &Context,
    request: DeregisterTaskDefinition,
) -> Result<OneTaskDefinition, ApiError> {
    if !request.task_definition.trim_start_matches("arn:aws:ecs:").contains(':') {
        return Err(client("Invalid revision number. Number: null"));
    }
    let row = find(rows, context, &request.task_definition)
        .ok_or_else(|| client("The specified task definition does not exist."))?;
    let mut row = (*row).clone();
    row.status = Status::Inactive;
    row.deregistered_at = row.deregistered_at.or(Some(context.now));
    let row = rows.put(row);
    Ok(OneTaskDefinition { task_definition: row.print(), tags: None })
}
