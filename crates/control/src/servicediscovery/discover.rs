//! What programs ask: which instances a service has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::health::word;
use super::instance::Instance;
use super::service::{self, DiscoveryService};
use super::{invalid, namespace};
use crate::Context;

/// `DiscoverInstances`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DiscoverInstances {
    namespace_name: String,
    service_name: String,
    max_results: Option<i64>,
    #[serde(default)]
    query_parameters: BTreeMap<String, String>,
    #[serde(default)]
    optional_parameters: BTreeMap<String, String>,
    #[serde(default)]
    health_status: HealthStatus,
    owner_account: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum HealthStatus {
    Healthy,
    Unhealthy,
    All,
    #[default]
    HealthyOrElseAll,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Discovered {
    instances: Vec<Found>,
    instances_revision: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    instance_id: String,
    namespace_name: String,
    service_name: String,
    health_status: &'static str,
    attributes: BTreeMap<String, String>,
}

fn named(
    rows: &Snapshot,
    context: &Context,
    (namespace_name, service_name): (&str, &str),
    owner: Option<&str>,
) -> Result<Arc<DiscoveryService>, ApiError> {
    if owner.is_some_and(|owner| owner != context.account.as_str()) {
        return Err(invalid("OwnerAccount: nothing is shared with this account."));
    }
    let namespace = namespace::find_by_name(rows, context, namespace_name)?;
    rows.scan::<DiscoveryService>(&context.key(""))
        .find(|service| service.namespace == namespace.id && service.name == service_name)
        .ok_or_else(|| service::not_found(service_name))
}

pub(super) fn discover(
    rows: &Snapshot,
    context: &Context,
    request: DiscoverInstances,
) -> Result<Discovered, ApiError> {
    let names = (request.namespace_name.as_str(), request.service_name.as_str());
    let service = named(rows, context, names, request.owner_account.as_deref())?;
    let most =
        usize::try_from(request.max_results.unwrap_or(100)).ok().filter(|most| (1..=1000).contains(most));
    let most = most.ok_or_else(|| invalid("MaxResults must be between 1 and 1000."))?;
    let holds = |instance: &Arc<Instance>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| instance.attributes.get(key) == Some(value))
    };
    let mut found = service.instances(rows);
    found.retain(|instance| holds(instance, &request.query_parameters));
    // What only some satisfy narrows the answer only when somebody does.
    if found.iter().any(|instance| holds(instance, &request.optional_parameters)) {
        found.retain(|instance| holds(instance, &request.optional_parameters));
    }
    match request.health_status {
        HealthStatus::All => {}
        HealthStatus::Healthy => found.retain(|instance| instance.is_healthy()),
        HealthStatus::Unhealthy => found.retain(|instance| !instance.is_healthy()),
        HealthStatus::HealthyOrElseAll => {
            if found.iter().any(|instance| instance.is_healthy()) {
                found.retain(|instance| instance.is_healthy());
            }
        }
    }
    let print = |instance: &Arc<Instance>| Found {
        instance_id: instance.id.clone(),
        namespace_name: request.namespace_name.clone(),
        service_name: request.service_name.clone(),
        health_status: word(instance),
        attributes: instance.attributes.clone(),
    };
    let instances = found.iter().take(most).map(print).collect();
    Ok(Discovered { instances, instances_revision: service.revision })
}

/// `DiscoverInstancesRevision`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DiscoverInstancesRevision {
    namespace_name: String,
    service_name: String,
    owner_account: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Revision {
    instances_revision: u64,
}

pub(super) fn revision(
    rows: &Snapshot,
    context: &Context,
    request: DiscoverInstancesRevision,
) -> Result<Revision, ApiError> {
    let names = (request.namespace_name.as_str(), request.service_name.as_str());
    let service = named(rows, context, names, request.owner_account.as_deref())?;
    Ok(Revision { instances_revision: service.revision })
}
