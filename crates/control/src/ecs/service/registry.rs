//! Service registries: the Cloud Map service that a service's tasks are registered with ("Use service discovery to connect
//! Amazon ECS services with DNS names").

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::ecs::invalid;
use crate::ecs::task_definition::TaskDefinition;
use crate::servicediscovery::{self, RecordType};

/// An entry of `serviceRegistries`, as it is kept and printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRegistry {
    /// The Cloud Map service's ARN.
    pub registry_arn: String,
    /// The port of SRV records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// In place of `port`: the container whose port it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// The port of that container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<u16>,
}

impl ServiceRegistry {
    /// The port that instances are registered with.
    pub fn instance_port(&self) -> Option<u16> {
        self.port.or(self.container_port)
    }
}

/// As requests write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RegistryRequest {
    registry_arn: Option<String>,
    port: Option<i64>,
    container_name: Option<String>,
    container_port: Option<i64>,
}

/// Takes a request's registries: at most one.
///
/// # Errors
/// When the Cloud Map service is not there, or its SRV records have no port to name.
pub(crate) fn take(
    rows: &Snapshot,
    requested: Vec<RegistryRequest>,
    definition: &TaskDefinition,
) -> Result<Vec<ServiceRegistry>, ApiError> {
    if requested.len() > 1 {
        return Err(invalid("Multiple service registries for each service aren't supported."));
    }
    requested.into_iter().map(|request| one(rows, request, definition)).collect()
}

fn one(
    rows: &Snapshot,
    request: RegistryRequest,
    definition: &TaskDefinition,
) -> Result<ServiceRegistry, ApiError> {
    let registry_arn = request.registry_arn.filter(|arn| !arn.is_empty());
    let registry_arn =
        registry_arn.ok_or_else(|| invalid("The service registry's registryArn is required."))?;
    let found = servicediscovery::find_by_arn(rows, &registry_arn)
        .filter(|found| found.account == definition.account && found.region == definition.region)
        .ok_or_else(|| invalid(format!("The service registry {registry_arn} does not exist.")))?;
    // Terraform's provider leaves out what is 0.
    let port = |port: Option<i64>| match port.filter(|port| *port != 0) {
        None => Ok(None),
        Some(port) => u16::try_from(port)
            .map(Some)
            .map_err(|_| invalid(format!("The service registry's port {port} is not valid."))),
    };
    let registry = ServiceRegistry {
        registry_arn,
        port: port(request.port)?,
        container_name: request.container_name.filter(|name| !name.is_empty()),
        container_port: port(request.container_port)?,
    };
    if registry.container_name.is_some() != registry.container_port.is_some() {
        return Err(invalid("The service registry needs both containerName and containerPort, or neither."));
    }
    if registry.port.is_some() && registry.container_port.is_some() {
        return Err(invalid("You cannot specify both port and containerPort for a service registry."));
    }
    if found.record(RecordType::Srv).is_some() && registry.instance_port().is_none() {
        return Err(invalid(
            "A service registry with SRV records needs either a containerName and containerPort, or a port.",
        ));
    }
    if !fits(&registry, definition) {
        return Err(invalid(
            "The service registry names a container and port that the task definition does not have.",
        ));
    }
    Ok(registry)
}

/// Whether a task definition has the container and port that a registry names.
pub(crate) fn fits(registry: &ServiceRegistry, definition: &TaskDefinition) -> bool {
    let Some((name, port)) = registry.container_name.as_ref().zip(registry.container_port) else {
        return true;
    };
    definition
        .container(name)
        .is_some_and(|container| container.port_mappings.iter().any(|mapping| mapping.container_port == port))
}
