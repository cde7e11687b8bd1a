//! What a task is told of itself: for the metadata and credentials endpoint.

use desired::{RoleSession, TaskMetadata};
use store::Snapshot;

use crate::ec2::subnet::Subnet;
use crate::ecs::task::{Container, Task};
use crate::ecs::task_definition::TaskDefinition;

/// The session that the task's programs are given.
pub(super) fn role(task: &Task) -> Option<RoleSession> {
    let session = task.role.as_ref()?;
    Some(RoleSession {
        id: task.credentials_id.clone(),
        role_arn: session.role_arn.clone(),
        access_key_id: session.access_key_id.clone(),
        secret_access_key: session.secret_access_key.clone(),
        session_token: session.session_token.clone(),
        expires_at: session.expires_at,
    })
}

/// What only rows know of a task.
pub(super) fn metadata(rows: &Snapshot, task: &Task, definition: &TaskDefinition) -> TaskMetadata {
    let interface = &task.interface;
    let subnet = rows.scan::<Subnet>("").find(|subnet| subnet.id == interface.subnet);
    TaskMetadata {
        cluster: task.cluster_arn(),
        service: task.service.clone().unwrap_or_default(),
        family: definition.family.clone(),
        revision: definition.revision,
        availability_zone: task.availability_zone.clone(),
        address: Some(interface.address),
        subnet_cidr: subnet.map(|subnet| subnet.cidr_block.to_string()).unwrap_or_default(),
        mac_address: interface.mac_address.clone(),
        private_dns_name: interface.private_dns_name.clone(),
        launch_type: "FARGATE".to_owned(),
    }
}

fn container<'a>(task: &'a Task, name: &str) -> Option<&'a Container> {
    task.containers.iter().find(|container| container.name == name)
}

/// A container's ARN; empty for one that the task does not have.
pub(super) fn container_arn(task: &Task, name: &str) -> String {
    container(task, name).map(|container| task.container_arn(container)).unwrap_or_default()
}

/// A container's id at the metadata endpoint.
pub(super) fn endpoint(task: &Task, name: &str) -> String {
    container(task, name).map(|container| container.endpoint.clone()).unwrap_or_default()
}
