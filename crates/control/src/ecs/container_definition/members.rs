//! What a container definition is made of.

use serde::{Deserialize, Serialize};

use super::Given;

/// An environment variable whose value is in Parameter Store or Secrets Manager ("Secret").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// The variable.
    pub name: String,
    /// A parameter's name or ARN, or a secret's ARN with `:json-key:version-stage:version-id` behind it.
    pub value_from: String,
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
    /// `nofile`
    pub name: String,
    /// What a process begins with.
    pub soft_limit: i64,
    /// What it may raise that to.
    pub hard_limit: i64,
}

/// What has to be so of another container before this one is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerDependency {
    /// The other container.
    pub container_name: String,
    /// What has to be so of it.
    pub condition: desired::DependencyCondition,
}

/// How a container's health is found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// `CMD` and a program with its arguments, `CMD-SHELL` and a line for `/bin/sh`, or `NONE`.
    pub command: Vec<String>,
    /// Seconds from one check to the next.
    #[serde(default = "HealthCheck::interval")]
    pub interval: u32,
    /// Seconds after which a check has failed.
    #[serde(default = "HealthCheck::timeout")]
    pub timeout: u32,
    /// How many failures in a row make it unhealthy.
    #[serde(default = "HealthCheck::retries")]
    pub retries: u32,
    /// Seconds from the start for which failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u32>,
}

impl HealthCheck {
    fn interval() -> u32 {
        30
    }

    fn timeout() -> u32 {
        5
    }

    fn retries() -> u32 {
        3
    }
}

/// Settings of Linux's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinuxParameters {
    /// What is taken from and given to Docker's own set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<KernelCapabilities>,
    /// Whether an init process forwards signals and reaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_process_enabled: Option<bool>,
    /// File systems in memory. Terraform compares what was given: an empty list is printed when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<Vec<Tmpfs>>,
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    pub devices: Given,
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    pub shared_memory_size: Given,
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    pub max_swap: Given,
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    pub swappiness: Given,
}

/// Capabilities, named without `CAP_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelCapabilities {
    /// Given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Vec<String>>,
    /// Taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<Vec<String>>,
}

/// A file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tmpfs {
    /// Where the container sees it.
    pub container_path: String,
    /// In MiB.
    pub size: u32,
    /// `noexec`…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_options: Option<Vec<String>>,
}

/// A volume of the task in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountPoint {
    /// The volume's name.
    #[serde(default)]
    pub source_volume: String,
    /// Where the container sees it.
    #[serde(default)]
    pub container_path: String,
    /// Whether it may only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// Another container, whose mount points this one has too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeFrom {
    /// The other container.
    #[serde(default)]
    pub source_container: String,
    /// Whether this one may only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// A setting of the kernel's for the task's own namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemControl {
    /// `net.core.somaxconn`
    #[serde(default)]
    pub namespace: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}
