//! Task definitions: families of numbered revisions that never change.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Empty as NoValue, False, OnlyDefault};

use super::container_definition::{self, ContainerDefinition};
use super::fargate;
use super::tag::{self, Tag, Tags};
use super::{client, role, valid_name};
use crate::{Context, project};

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
    /// In whose name the image is pulled.
    pub execution_role_arn: Option<String>,
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
    /// Its tags.
    pub tags: Tags,
}

/// Whether a task definition may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It may.
    Active,
    /// It was deregistered; services and tasks that have it go on.
    Inactive,
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
}

/// Ten digits, so that keys are in the order of the revisions.
fn key(account: &AccountId, region: &Region, family: &str, revision: u32) -> String {
    format!("{account}/{region}/{family}/{revision:010}")
}

impl TaskDefinition {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let resource = format!("task-definition/{}:{}", self.family, self.revision);
        super::arn(&self.account, &self.region, &resource)
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
            execution_role_arn: self.execution_role_arn.clone(),
            network_mode: "awsvpc",
            revision: self.revision,
            volumes: [],
            status: self.status,
            placement_constraints: [],
            compatibilities: [Compatibility::Ec2, Compatibility::Fargate],
            runtime_platform: self.runtime_platform.clone(),
            requires_compatibilities: self.requires_compatibilities.clone(),
            cpu: self.cpu.to_string(),
            memory: self.memory.to_string(),
            registered_at: self.registered_at.epoch_seconds(),
            deregistered_at: self.deregistered_at.map(Timestamp::epoch_seconds),
            registered_by: self.registered_by.clone(),
            enable_fault_injection: false,
        }
    }
}

/// `RegisterTaskDefinition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterTaskDefinition {
    family: String,
    container_definitions: Vec<ContainerDefinition>,
    execution_role_arn: Option<String>,
    network_mode: Option<String>,
    #[serde(default)]
    requires_compatibilities: Vec<Compatibility>,
    cpu: Option<String>,
    memory: Option<String>,
    tags: Option<Vec<Tag>>,
    runtime_platform: Option<RuntimePlatform>,
    #[serde(default, rename = "taskRoleArn")]
    _task_role_arn: OnlyDefault<NoValue>,
    #[serde(default, rename = "volumes")]
    _volumes: OnlyDefault<NoValue>,
    #[serde(default, rename = "placementConstraints")]
    _placement_constraints: OnlyDefault<NoValue>,
    #[serde(default, rename = "pidMode")]
    _pid_mode: OnlyDefault<NoValue>,
    #[serde(default, rename = "ipcMode")]
    _ipc_mode: OnlyDefault<NoValue>,
    #[serde(default, rename = "proxyConfiguration")]
    _proxy_configuration: OnlyDefault<NoValue>,
    #[serde(default, rename = "inferenceAccelerators")]
    _inference_accelerators: OnlyDefault<NoValue>,
    #[serde(default, rename = "ephemeralStorage")]
    _ephemeral_storage: OnlyDefault<NoValue>,
    #[serde(default, rename = "enableFaultInjection")]
    _enable_fault_injection: OnlyDefault<False>,
}

/// A task definition as responses print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskDefinitionView {
    task_definition_arn: String,
    container_definitions: Vec<ContainerDefinition>,
    family: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_role_arn: Option<String>,
    network_mode: &'static str,
    revision: u32,
    volumes: [String; 0],
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
    registered_by: String,
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

/// Makes the next revision of a family.
pub fn register(
    rows: &mut Tx,
    context: &Context,
    mut request: RegisterTaskDefinition,
) -> Result<OneTaskDefinition, ApiError> {
    if valid_name("Family", &request.family).is_err() {
        return Err(client("Family contains invalid characters."));
    }
    if !request.requires_compatibilities.is_empty()
        && !request.requires_compatibilities.contains(&Compatibility::Fargate)
    {
        return Err(ApiError::unsupported(
            "requiresCompatibilities without FARGATE: tasks run on Fargate alone",
        ));
    }
    if request.network_mode.as_deref() != Some("awsvpc") {
        return Err(client("Fargate only supports network mode 'awsvpc'."));
    }
    let size = fargate::size(request.cpu.as_deref(), request.memory.as_deref())?;
    container_definition::check(&mut request.container_definitions, size)?;
    if let Some(platform) = &request.runtime_platform {
        check_platform(platform)?;
    }
    let execution_role_arn = request.execution_role_arn.filter(|arn| !arn.is_empty());
    if execution_role_arn.as_deref().is_some_and(|arn| !role::is_role_arn(arn)) {
        return Err(client("Role is not valid"));
    }
    let from_registry = |container: &ContainerDefinition| {
        let image = &container.image;
        project::task::image_reference(&context.settings, &context.account, &context.region, image)
            .registry
            .is_some()
    };
    if execution_role_arn.is_none() && request.container_definitions.iter().any(from_registry) {
        return Err(client(
            "Fargate requires task definition to have execution role ARN to support ECR images.",
        ));
    }
    let tags = tag::take(request.tags)?;
    let prefix = context.key(format_args!("{}/", request.family));
    let last = rows.scan::<TaskDefinition>(&prefix).last().map_or(0, |row| row.revision);
    let row = rows.put(TaskDefinition {
        account: context.account.clone(),
        region: context.region.clone(),
        family: request.family,
        revision: last + 1,
        status: Status::Active,
        containers: request.container_definitions,
        execution_role_arn,
        cpu: size.cpu,
        memory: size.memory,
        runtime_platform: request.runtime_platform,
        requires_compatibilities: request.requires_compatibilities,
        registered_by: context.principal.arn(&context.account).to_string(),
        registered_at: context.now,
        deregistered_at: None,
        tags,
    });
    Ok(OneTaskDefinition { task_definition: row.print(), tags: Some(tag::print(&row.tags)) })
}

/// The machine is this one: Linux, of the architecture that Landfall was built for.
fn check_platform(platform: &RuntimePlatform) -> Result<(), ApiError> {
    let own = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X86_64" };
    if let Some(other) = platform.cpu_architecture.as_deref().filter(|name| *name != own) {
        return Err(ApiError::unsupported(format_args!(
            "runtimePlatform.cpuArchitecture {other}: this machine is {own}"
        )));
    }
    if let Some(other) = platform.operating_system_family.as_deref().filter(|name| *name != "LINUX") {
        return Err(ApiError::unsupported(format_args!(
            "runtimePlatform.operatingSystemFamily {other}: this machine is LINUX"
        )));
    }
    Ok(())
}

/// The task definition of `family` (the newest active revision), `family:revision`, or an ARN.
pub fn find(rows: &Snapshot, context: &Context, named: &str) -> Option<Arc<TaskDefinition>> {
    let named = match named.starts_with("arn:") {
        true => named.strip_prefix(&*super::arn(&context.account, &context.region, "task-definition/"))?,
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
pub(crate) fn get(rows: &Snapshot, arn: &str) -> Option<Arc<TaskDefinition>> {
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
        Status::Inactive => Err(client("TaskDefinition is inactive")),
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

/// `ListTaskDefinitions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTaskDefinitions {
    family_prefix: Option<String>,
    status: Option<Status>,
    #[serde(default)]
    sort: Sort,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Sort {
    #[default]
    Asc,
    Desc,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionArns {
    task_definition_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARNs of the revisions of a status, ACTIVE unless said otherwise. `familyPrefix` is a whole family's name.
pub fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListTaskDefinitions,
) -> Result<TaskDefinitionArns, ApiError> {
    let prefix = match request.family_prefix.as_deref().filter(|family| !family.is_empty()) {
        Some(family) => context.key(format_args!("{family}/")),
        None => context.prefix(),
    };
    let status = request.status.unwrap_or(Status::Active);
    let mut found: Vec<_> = rows.scan::<TaskDefinition>(&prefix).filter(|row| row.status == status).collect();
    if request.sort == Sort::Desc {
        found.reverse();
    }
    // A token names an item by its place, so that a listing from the end pages as one from the start.
    let rank = |index: usize| format!("{index:010}");
    let most = super::page(Vec::new(), request.max_results, 100, None)
        .map(|_| request.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(100))?;
    let page = crate::page::page(
        found.iter().enumerate(),
        |(index, _)| rank(*index),
        Some(most),
        request.next_token.as_deref(),
    )
    .map_err(|_| super::invalid("Invalid token in the request"))?;
    Ok(TaskDefinitionArns {
        task_definition_arns: page.items.into_iter().map(|(_, row)| row.arn()).collect(),
        next_token: page.next_token,
    })
}

/// `ListTaskDefinitionFamilies`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListTaskDefinitionFamilies {
    family_prefix: Option<String>,
    status: Option<FamilyStatus>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum FamilyStatus {
    Active,
    Inactive,
    All,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Families {
    families: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The families with an active revision; INACTIVE gives those without one. Without a status all, as on AWS.
pub fn list_families(
    rows: &Snapshot,
    context: &Context,
    request: ListTaskDefinitionFamilies,
) -> Result<Families, ApiError> {
    let prefix = context.key(request.family_prefix.unwrap_or_default());
    let (mut all, mut active) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.scan::<TaskDefinition>(&prefix) {
        all.insert(row.family.clone());
        if row.status == Status::Active {
            active.insert(row.family.clone());
        }
    }
    let chosen: Vec<String> = match request.status.unwrap_or(FamilyStatus::All) {
        FamilyStatus::All => all.into_iter().collect(),
        FamilyStatus::Active => active.into_iter().collect(),
        FamilyStatus::Inactive => all.difference(&active).cloned().collect(),
    };
    let page = super::page(chosen, request.max_results, 100, request.next_token.as_deref())?;
    Ok(Families { families: page.items, next_token: page.next_token })
}
