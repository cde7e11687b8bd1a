//! Container definitions: what a task definition says of each container, kept and printed in one shape as AWS does.

mod check;
mod log;
mod members;
mod refused;
mod restart_policy;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use wire::{DocumentedDefault, Empty, OnlyDefault};

pub(crate) use check::{check, check_sizes};
pub use log::LogConfiguration;
pub use members::{
    ContainerDependency, HealthCheck, KeyValuePair, LinuxParameters, MountPoint, Secret, SystemControl,
    Ulimit, VolumeFrom,
};
pub use refused::Given;
pub(crate) use refused::not_on_fargate;
pub use restart_policy::RestartPolicy;

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
    /// What of the task's memory is set aside for it, in MiB: a limit only while memory is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u32>,
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
    /// Seconds for which its dependents wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<u32>,
    /// Seconds from SIGTERM to SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// What has to be so of other containers before it is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<ContainerDependency>,
    /// How its health is found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Settings of Linux's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_parameters: Option<LinuxParameters>,
    /// Volumes of the task that it sees.
    #[serde(default)]
    pub mount_points: Vec<MountPoint>,
    /// Containers whose mount points it has too.
    #[serde(default)]
    pub volumes_from: Vec<VolumeFrom>,
    /// Settings of the kernel's; those of the network hold for the whole task.
    #[serde(default)]
    pub system_controls: Vec<SystemControl>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_labels: Option<BTreeMap<String, String>>,
    /// Refused but for `false`; Terraform compares what was given, so that it is printed when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Whether its input stays open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// Whether its input and output are a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pseudo_terminal: Option<bool>,
    /// As `privileged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_networking: Option<bool>,
    /// `disabled` alone: each task resolves the image's tag by itself.
    #[serde(
        default,
        deserialize_with = "given::<_, _, VersionsDrift>",
        skip_serializing_if = "Option::is_none"
    )]
    pub version_consistency: Option<String>,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub links: Given,
    /// Environment variables whose values are read at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Secret>>,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub environment_files: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub dns_servers: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub dns_search_domains: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub extra_hosts: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub docker_security_options: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub resource_requirements: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub credential_specs: Given,
    /// Where its output goes besides Landfall's own keeping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub hostname: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub repository_credentials: Given,
    /// When it is started again without a new task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub firelens_configuration: Given,
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

fn yes() -> bool {
    true
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
