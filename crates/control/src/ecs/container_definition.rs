//! Container definitions: what a task definition says of each container, kept and printed in one shape as AWS does.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::{ApiError, DocumentedDefault, Empty, False, OnlyDefault};

use super::client;
use super::fargate::Size;

wire::documented_default!(
    /// Tags are resolved at each task's start.
    VersionsDrift = "disabled"
);

/// A container of a task definition. Members that are of type [`OnlyDefault`] are AWS's, and are not honoured yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerDefinition {
    /// Its name, unique in the task definition.
    #[serde(default)]
    pub name: String,
    /// The image reference as the user spells it.
    #[serde(default)]
    pub image: String,
    /// Its share of the task's CPU, in units.
    #[serde(default)]
    pub cpu: u32,
    /// A hard limit in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// The ports it listens on.
    #[serde(default)]
    pub port_mappings: Vec<PortMapping>,
    /// Whether its end ends the task.
    #[serde(default = "yes")]
    pub essential: bool,
    /// In place of the image's entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<Vec<String>>,
    /// In place of the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Added to the image's environment.
    #[serde(default)]
    pub environment: Vec<KeyValuePair>,
    /// In place of the image's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// In place of the image's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether its root file system is read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly_root_filesystem: Option<bool>,
    /// Soft and hard limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Seconds from SIGTERM to SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// Not honoured; printed as AWS does, an empty list.
    #[serde(default, serialize_with = "empty_list")]
    pub mount_points: OnlyDefault<Empty>,
    /// Not honoured; printed as AWS does, an empty list.
    #[serde(default, serialize_with = "empty_list")]
    pub volumes_from: OnlyDefault<Empty>,
    /// Not honoured; printed as AWS does, an empty list.
    #[serde(default, serialize_with = "empty_list")]
    pub system_controls: OnlyDefault<Empty>,
    /// `false` alone; Terraform compares what was given, so that it is printed when it was.
    #[serde(default, deserialize_with = "given::<_, _, False>", skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// As `privileged`.
    #[serde(default, deserialize_with = "given::<_, _, False>", skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// As `privileged`.
    #[serde(default, deserialize_with = "given::<_, _, False>", skip_serializing_if = "Option::is_none")]
    pub pseudo_terminal: Option<bool>,
    /// As `privileged`.
    #[serde(default, deserialize_with = "given::<_, _, False>", skip_serializing_if = "Option::is_none")]
    pub disable_networking: Option<bool>,
    /// `disabled` alone: each task resolves the image's tag by itself.
    #[serde(
        default,
        deserialize_with = "given::<_, _, VersionsDrift>",
        skip_serializing_if = "Option::is_none"
    )]
    pub version_consistency: Option<String>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub links: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub secrets: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub environment_files: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub depends_on: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub dns_servers: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub dns_search_domains: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub extra_hosts: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub docker_security_options: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub docker_labels: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub resource_requirements: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub credential_specs: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub linux_parameters: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub log_configuration: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub health_check: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub memory_reservation: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub hostname: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub start_timeout: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub repository_credentials: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub restart_policy: OnlyDefault<Empty>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub firelens_configuration: OnlyDefault<Empty>,
}

/// A port that a container listens on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortMapping {
    /// The port.
    pub container_port: u16,
    /// The same port: the task has an interface of its own. 0 in a request that leaves it out.
    #[serde(default)]
    pub host_port: u16,
    /// TCP unless said otherwise.
    #[serde(default)]
    pub protocol: TransportProtocol,
    /// A name for service discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is spoken on it; for Service Connect alone, which is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<AppProtocol>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub container_port_range: OnlyDefault<Empty>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppProtocol {
    /// HTTP/1.1
    Http,
    /// HTTP/2
    Http2,
    /// gRPC
    Grpc,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyValuePair {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ulimit {
    /// `nofile`…
    pub name: String,
    /// What a process begins with.
    pub soft_limit: i64,
    /// What it may raise that to.
    pub hard_limit: i64,
}

/// The limits that AWS's model names.
const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The longest stop timeout on Fargate, in seconds ("stopTimeout").
const LONGEST_STOP: u32 = 120;

fn yes() -> bool {
    true
}

fn empty_list<S: Serializer>(_: &OnlyDefault<Empty>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(std::iter::empty::<()>())
}

/// A member that may be given with its documented default alone, and is then kept.
fn given<'de, D, T, A>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
    A: DocumentedDefault,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    serde_json::from_value::<OnlyDefault<A>>(value.clone()).map_err(serde::de::Error::custom)?;
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}

/// Checks the containers of a task definition and fills in what AWS fills in.
///
/// # Errors
/// In ECS's words, naming the container.
pub(crate) fn check(containers: &mut [ContainerDefinition], size: Size) -> Result<(), ApiError> {
    if containers.is_empty() {
        return Err(client("Container definitions should not be empty."));
    }
    let mut names = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for container in containers.iter_mut() {
        if container.name.is_empty() {
            return Err(client("Container.name should not be null or empty."));
        }
        if super::valid_name("Container.name", &container.name).is_err() {
            return Err(client("Container.name contains invalid characters."));
        }
        if container.image.trim().is_empty() {
            return Err(client("Container.image should not be null or empty."));
        }
        if !names.insert(container.name.clone()) {
            return Err(client(format!(
                "Container names must be unique: '{}' is given twice.",
                container.name
            )));
        }
        for mapping in &mut container.port_mappings {
            if mapping.container_port == 0 {
                return Err(client("Container port should be between 1 and 65535."));
            }
            if mapping.host_port == 0 {
                mapping.host_port = mapping.container_port;
            }
            if mapping.host_port != mapping.container_port {
                return Err(client(
                    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
                ));
            }
            if !ports.insert((mapping.container_port, mapping.protocol)) {
                return Err(client(format!(
                    "Port mappings must be unique in a task: {} is mapped twice.",
                    mapping.container_port
                )));
            }
        }
        limits(container, size)?;
    }
    if !containers.iter().any(|container| container.essential) {
        return Err(client("At least one container of a task definition must be essential."));
    }
    let cpu: u64 = containers.iter().map(|container| u64::from(container.cpu)).sum();
    if cpu > u64::from(size.cpu) {
        return Err(client(format!(
            "The containers' CPU shares, {cpu} units together, exceed the task's {} units.",
            size.cpu
        )));
    }
    Ok(())
}

fn limits(container: &ContainerDefinition, size: Size) -> Result<(), ApiError> {
    let name = &container.name;
    if let Some(memory) = container.memory {
        // The least is Docker's own ("memory": at least 6 MiB since 20.10).
        if memory < 6 || memory > size.memory {
            return Err(client(format!(
                "Invalid 'memory' setting for container '{name}': it must be from 6 to the task's {} MiB.",
                size.memory
            )));
        }
    }
    if container.stop_timeout.is_some_and(|seconds| seconds > LONGEST_STOP) {
        return Err(client(format!(
            "Invalid 'stopTimeout' setting for container '{name}': the most on Fargate is {LONGEST_STOP} seconds."
        )));
    }
    for Ulimit { name: limit, soft_limit, hard_limit } in &container.ulimits {
        if !ULIMITS.contains(&limit.as_str()) {
            return Err(client(format!("Invalid ulimit '{limit}' for container '{name}'.")));
        }
        if *soft_limit < 0 || soft_limit > hard_limit {
            return Err(client(format!(
                "Invalid ulimit '{limit}' for container '{name}': the soft limit must be from 0 to the hard limit."
            )));
        }
    }
    let mut variables = container.environment.iter();
    if let Some(bad) = variables.find(|pair| pair.name.is_empty() || pair.name.contains(['=', '\0'])) {
        return Err(client(format!(
            "Invalid environment variable name '{}' for container '{name}'.",
            bad.name
        )));
    }
    Ok(())
}
