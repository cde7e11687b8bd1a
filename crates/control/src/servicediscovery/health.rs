//! The health of instances, as somebody says it by the API (custom health checks).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::instance::{self, Health, Instance};
use super::{Done, service};
use crate::Context;

/// `UpdateInstanceCustomHealthStatus`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateInstanceCustomHealthStatus {
    service_id: String,
    instance_id: String,
    status: Health,
}

pub(super) fn update(
    rows: &mut Tx,
    context: &Context,
    request: UpdateInstanceCustomHealthStatus,
) -> Result<Done, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    let instance = instance::find(rows, &service, &request.instance_id)?;
    if service.custom_health.is_none() {
        return Err(ApiError::new(
            "CustomHealthNotFound",
            format!("The service {} has no custom health check.", service.id),
        ));
    }
    instance::set_health(rows, &service, &instance, request.status);
    Ok(Done {})
}

/// `GetInstancesHealthStatus`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetInstancesHealthStatus {
    service_id: String,
    instances: Option<Vec<String>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statuses {
    status: BTreeMap<String, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// How an instance's health is printed.
pub(super) fn word(instance: &Instance) -> &'static str {
    match instance.health {
        None => "UNKNOWN",
        Some(Health::Healthy) => "HEALTHY",
        Some(Health::Unhealthy) => "UNHEALTHY",
    }
}

pub(super) fn get(
    rows: &Snapshot,
    context: &Context,
    request: GetInstancesHealthStatus,
) -> Result<Statuses, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    let mut found = service.instances(rows);
    if let Some(wanted) = &request.instances {
        if let Some(missing) = wanted.iter().find(|id| !found.iter().any(|known| known.id == **id)) {
            return Err(instance::not_found(missing));
        }
        found.retain(|instance| wanted.contains(&instance.id));
    }
    let page = super::page(found, |row| row.id.clone(), request.max_results, request.next_token.as_deref())?;
    let status = page.items.iter().map(|instance| (instance.id.clone(), word(instance))).collect();
    Ok(Statuses { status, next_token: page.next_token })
}
