//! A task as responses print it.

use desired::ContainerHealthStatus;
use serde::Serialize;
use types::Timestamp;

use super::overrides::TaskOverrideView;
use super::{Container, ContainerStatus, DesiredStatus, LastStatus, StopCode, Task};
use crate::ecs::service::{PLATFORM_FAMILY, PLATFORM_VERSION};
use crate::ecs::tag::{self, Tag};

/// A task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    attachments: [AttachmentView; 1],
    attributes: [KeyValue; 1],
    availability_zone: String,
    cluster_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connectivity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connectivity_at: Option<f64>,
    containers: Vec<ContainerView>,
    cpu: String,
    created_at: f64,
    desired_status: DesiredStatus,
    enable_execute_command: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_stopped_at: Option<f64>,
    group: String,
    health_status: ContainerHealthStatus,
    last_status: LastStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_provider_name: Option<String>,
    launch_type: &'static str,
    memory: String,
    overrides: TaskOverrideView,
    platform_version: &'static str,
    platform_family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_started_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_stopped_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    started_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_code: Option<StopCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopping_at: Option<f64>,
    tags: Vec<Tag>,
    task_arn: String,
    task_definition_arn: String,
    version: u64,
    ephemeral_storage: EphemeralStorageView,
}

#[derive(Debug, Serialize)]
struct AttachmentView {
    id: String,
    r#type: &'static str,
    status: &'static str,
    details: Vec<KeyValue>,
}

#[derive(Debug, Serialize)]
struct KeyValue {
    name: &'static str,
    value: String,
}

/// The storage that Fargate gives without asking ("Fargate task ephemeral storage").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EphemeralStorageView {
    #[serde(rename = "sizeInGiB")]
    size_in_gib: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerView {
    container_arn: String,
    task_arn: String,
    name: String,
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    runtime_id: String,
    last_status: ContainerStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    network_bindings: [String; 0],
    network_interfaces: [InterfaceView; 1],
    health_status: ContainerHealthStatus,
    cpu: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_reservation: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InterfaceView {
    attachment_id: String,
    private_ipv4_address: String,
}

impl Task {
    fn attachment(&self) -> AttachmentView {
        let interface = &self.interface;
        let detail = |name, value: &dyn ToString| KeyValue { name, value: value.to_string() };
        AttachmentView {
            id: interface.attachment.clone(),
            r#type: "ElasticNetworkInterface",
            status: match self.last_status {
                LastStatus::Provisioning => "ATTACHING",
                LastStatus::Deprovisioning => "DETACHING",
                LastStatus::Stopped => "DELETED",
                _ => "ATTACHED",
            },
            details: vec![
                detail("subnetId", &interface.subnet),
                detail("networkInterfaceId", &interface.id),
                detail("macAddress", &interface.mac_address),
                detail("privateDnsName", &interface.private_dns_name),
                detail("privateIPv4Address", &interface.address),
            ],
        }
    }

    fn container(&self, container: &Container) -> ContainerView {
        ContainerView {
            container_arn: self.container_arn(container),
            task_arn: self.arn(),
            name: container.name.clone(),
            image: container.image.clone(),
            image_digest: container.image_digest.clone(),
            runtime_id: container.runtime_id.clone(),
            last_status: container.last_status,
            exit_code: container.exit_code,
            reason: container.reason.clone(),
            network_bindings: [],
            network_interfaces: [InterfaceView {
                attachment_id: self.interface.attachment.clone(),
                private_ipv4_address: self.interface.address.to_string(),
            }],
            health_status: container.health.unwrap_or(ContainerHealthStatus::Unknown),
            cpu: container.cpu.to_string(),
            memory: container.memory.map(|memory| memory.to_string()),
            memory_reservation: container.memory_reservation.map(|memory| memory.to_string()),
        }
    }

    /// The task; its tags if asked for.
    pub(super) fn print(&self, with_tags: bool) -> TaskView {
        let seconds = |time: Option<Timestamp>| time.map(Timestamp::epoch_seconds);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        TaskView {
            attachments: [self.attachment()],
            attributes: [KeyValue { name: "ecs.cpu-architecture", value: architecture.to_owned() }],
            availability_zone: self.availability_zone.clone(),
            cluster_arn: self.cluster_arn(),
            connectivity: self.connectivity_at.map(|_| "CONNECTED"),
            connectivity_at: seconds(self.connectivity_at),
            containers: self.containers.iter().map(|container| self.container(container)).collect(),
            cpu: self.cpu.to_string(),
            created_at: self.created_at.epoch_seconds(),
            desired_status: self.desired_status,
            enable_execute_command: false,
            execution_stopped_at: seconds(self.execution_stopped_at),
            group: self.group.clone(),
            health_status: self.health(),
            last_status: self.last_status,
            capacity_provider_name: self.capacity_provider.clone(),
            launch_type: "FARGATE",
            memory: self.memory.to_string(),
            overrides: self.overrides.print(self.containers.iter().map(|container| container.name.clone())),
            platform_version: PLATFORM_VERSION,
            platform_family: PLATFORM_FAMILY,
            pull_started_at: seconds(self.pull_started_at),
            pull_stopped_at: seconds(self.pull_stopped_at),
            started_at: seconds(self.started_at),
            started_by: self.started_by.clone(),
            stop_code: self.stop_code,
            stopped_at: seconds(self.stopped_at),
            stopped_reason: self.stopped_reason.clone(),
            stopping_at: seconds(self.stopping_at),
            tags: if with_tags { tag::print(&self.tags) } else { Vec::new() },
            task_arn: self.arn(),
            task_definition_arn: self.task_definition.clone(),
            version: self.version,
            ephemeral_storage: EphemeralStorageView {
                size_in_gib: self.ephemeral_storage.max(super::EPHEMERAL_STORAGE),
            },
        }
    }
}
