//! `RegisterTaskDefinition`.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, False, OnlyDefault};

use super::volume::{self, Volume};
use super::{
    Compatibility, EphemeralStorage, OneTaskDefinition, PidMode, RuntimePlatform, Status, TaskDefinition,
};
use crate::ecs::container_definition::{self, ContainerDefinition, Given, not_on_fargate};
use crate::ecs::tag::{self, Tag};
use crate::ecs::{client, fargate, role, valid_name};
use crate::{Context, project};

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterTaskDefinition {
    family: String,
    container_definitions: Vec<ContainerDefinition>,
    execution_role_arn: Option<String>,
    task_role_arn: Option<String>,
    network_mode: Option<String>,
    #[serde(default)]
    requires_compatibilities: Vec<Compatibility>,
    cpu: Option<String>,
    memory: Option<String>,
    tags: Option<Vec<Tag>>,
    runtime_platform: Option<RuntimePlatform>,
    #[serde(default)]
    volumes: Vec<Volume>,
    #[serde(default)]
    placement_constraints: Given,
    pid_mode: Option<String>,
    #[serde(default)]
    ipc_mode: Given,
    #[serde(default)]
    proxy_configuration: Given,
    #[serde(default)]
    inference_accelerators: Given,
    ephemeral_storage: Option<EphemeralStorage>,
    #[serde(default, rename = "enableFaultInjection")]
    _enable_fault_injection: OnlyDefault<False>,
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
    refuse(&request)?;
    let pid_mode = pid_mode(request.pid_mode.as_deref())?;
    let volumes = volume::check(&request.volumes)?;
    container_definition::check(&mut request.container_definitions, &volumes, size)?;
    if let Some(platform) = &request.runtime_platform {
        check_platform(platform)?;
    }
    let execution_role_arn = role::take(rows, context, request.execution_role_arn)?;
    let task_role_arn = role::take(rows, context, request.task_role_arn)?;
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
    let has_secrets = |container: &ContainerDefinition| container.secrets.iter().flatten().next().is_some();
    if execution_role_arn.is_none() && request.container_definitions.iter().any(has_secrets) {
        return Err(client(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
        ));
    }
    if execution_role_arn.is_none()
        && request.container_definitions.iter().any(|container| container.log_configuration.is_some())
    {
        return Err(client(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
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
        volumes: request.volumes,
        pid_mode,
        ephemeral_storage: request.ephemeral_storage,
        execution_role_arn,
        task_role_arn,
        cpu: size.cpu,
        memory: size.memory,
        runtime_platform: request.runtime_platform,
        requires_compatibilities: request.requires_compatibilities,
        registered_by: context.principal.arn(&context.account).to_string(),
        registered_at: context.now,
        deregistered_at: None,
        delete_requested_at: None,
        tags,
    });
    Ok(OneTaskDefinition { task_definition: row.print(), tags: Some(tag::print(&row.tags)) })
}

/// Refuses what no task of Fargate's has, and what Landfall does not honour.
fn refuse(request: &RegisterTaskDefinition) -> Result<(), ApiError> {
    request.placement_constraints.refuse(not_on_fargate("constraints"))?;
    request.ipc_mode.refuse(not_on_fargate("ipcMode"))?;
    request.inference_accelerators.refuse("Unsupported field 'inferenceAccelerators'")?;
    request.proxy_configuration.unsupported("proxyConfiguration")?;
    match request.ephemeral_storage {
        Some(storage) => storage.check(),
        None => Ok(()),
    }
}

fn pid_mode(given: Option<&str>) -> Result<Option<PidMode>, ApiError> {
    match given {
        None | Some("") => Ok(None),
        Some("task") => Ok(Some(PidMode::Task)),
        Some(other) => {
            Err(client(format!("Tasks using the Fargate launch type do not support pidMode '{other}'")))
        }
    }
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
