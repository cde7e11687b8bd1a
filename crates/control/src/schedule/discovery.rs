//! Tasks in Cloud Map: registered while they run and are healthy, under their own ids.

use std::collections::BTreeMap;

use desired::{ContainerHealthStatus, TaskStatus};
use store::Tx;
use types::Timestamp;

use crate::ecs::task::{Registration, TargetState, Task};
use crate::ecs::task_definition;
use crate::servicediscovery::{self, instance};

/// Whether no container of a task that checks its health is anything but healthy.
pub(super) fn is_healthy(report: &TaskStatus) -> bool {
    let mut checked = report.containers.values().filter_map(|container| container.health.as_ref());
    checked.all(|health| health.status == ContainerHealthStatus::Healthy)
}

/// Makes Cloud Map have the task's instances as its registrations are. A Cloud Map service that is gone has none.
pub(super) fn follow(rows: &mut Tx, task: &mut Task, now: Timestamp) {
    let mut registrations = std::mem::take(&mut task.registrations);
    for registration in &mut registrations {
        let Some(service) = servicediscovery::find_by_arn(rows, &registration.registry) else {
            registration.state = TargetState::Deregistered;
            continue;
        };
        if registration.state == TargetState::Registered {
            let attributes = attributes(rows, task, registration, service.custom_health.is_some());
            instance::put(rows, &service, task.id.as_str(), attributes, None, now);
        } else {
            instance::take(rows, &service, task.id.as_str());
        }
    }
    task.registrations = registrations;
}

/// What ECS says of a task to Cloud Map ("Service discovery attributes").
fn attributes(
    rows: &Tx,
    task: &Task,
    registration: &Registration,
    has_health: bool,
) -> BTreeMap<String, String> {
    let family =
        task_definition::get(rows, &task.task_definition).map(|definition| definition.family.clone());
    let port = registration.port.map(|port| port.to_string());
    let health = has_health.then(|| "HEALTHY".to_owned());
    [
        ("AWS_INSTANCE_IPV4", Some(task.interface.address.to_string())),
        ("AWS_INSTANCE_PORT", port),
        ("AWS_INIT_HEALTH_STATUS", health),
        ("AVAILABILITY_ZONE", Some(task.availability_zone.clone())),
        ("REGION", Some(task.region.to_string())),
        ("ECS_CLUSTER_NAME", Some(task.cluster.clone())),
        ("ECS_SERVICE_NAME", task.service.clone()),
        ("ECS_TASK_DEFINITION_FAMILY", family),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
