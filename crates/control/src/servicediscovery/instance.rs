//! Instances: what a service's name leads to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, PartId, Region, Timestamp};
use wire::ApiError;

use super::operation::{self, Kind, Target};
use super::service::{self, DiscoveryService, RecordType};
use super::{Begun, invalid};
use crate::Context;

/// The attributes that Cloud Map reads; all others are the user's.
const IPV4: &str = "AWS_INSTANCE_IPV4";
const PORT: &str = "AWS_INSTANCE_PORT";
const INIT_HEALTH: &str = "AWS_INIT_HEALTH_STATUS";

/// Attributes that lead to what is not here.
const REFUSED: [&str; 4] =
    ["AWS_ALIAS_DNS_NAME", "AWS_INSTANCE_CNAME", "AWS_INSTANCE_IPV6", "AWS_EC2_INSTANCE_ID"];

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its service's id.
    pub service: String,
    /// Its own id, unique in the service.
    pub id: String,
    /// What is known of it.
    pub attributes: BTreeMap<String, String>,
    /// The request's own id.
    pub creator_request_id: Option<String>,
    /// How it is; None: nobody says.
    pub health: Option<Health>,
    /// When it was registered last.
    pub registered_at: Timestamp,
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// It takes requests.
    Healthy,
    /// It is not found while others are healthy.
    Unhealthy,
}

impl Row for Instance {
    const TABLE: &'static str = "servicediscovery_instance";

    fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.account, self.region, self.service, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::Names]
    }
}

impl Instance {
    /// Its address.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.attributes.get(IPV4)?.parse().ok()
    }

    /// Its port.
    pub fn port(&self) -> Option<u16> {
        self.attributes.get(PORT)?.parse().ok()
    }

    /// Whether it is given to those who ask for what is healthy.
    pub fn is_healthy(&self) -> bool {
        self.health != Some(Health::Unhealthy)
    }
}

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new("InstanceNotFound", format!("The instance {id} can't be found."))
}

/// An instance of a service.
///
/// # Errors
/// InstanceNotFound.
pub(super) fn find(rows: &Snapshot, service: &DiscoveryService, id: &str) -> Result<Arc<Instance>, ApiError> {
    rows.get::<Instance>(&format!("{}{id}", service.prefix())).ok_or_else(|| not_found(id))
}

/// Registers an instance, in the place of one of the same id. Its attributes have been checked.
pub fn put(
    rows: &mut Tx,
    service: &DiscoveryService,
    id: &str,
    attributes: BTreeMap<String, String>,
    creator_request_id: Option<String>,
    now: Timestamp,
) {
    let initial = attributes.get(INIT_HEALTH).map(String::as_str);
    let health = service.custom_health.map(|_| match initial {
        Some("UNHEALTHY") => Health::Unhealthy,
        _ => Health::Healthy,
    });
    rows.put(Instance {
        account: service.account.clone(),
        region: service.region.clone(),
        service: service.id.clone(),
        id: id.to_owned(),
        attributes,
        creator_request_id,
        health,
        registered_at: now,
    });
    changed(rows, service);
}

/// Takes an instance out of a service. Whether there was one.
pub fn take(rows: &mut Tx, service: &DiscoveryService, id: &str) -> bool {
    let key = format!("{}{id}", service.prefix());
    let known = rows.get::<Instance>(&key).is_some();
    if known {
        rows.delete::<Instance>(&key);
        changed(rows, service);
    }
    known
}

/// Says how an instance is, if it is there.
pub(super) fn set_health(rows: &mut Tx, service: &DiscoveryService, instance: &Instance, health: Health) {
    rows.put(Instance { health: Some(health), ..instance.clone() });
    changed(rows, service);
}

/// Counts a change of the service's instances.
fn changed(rows: &mut Tx, service: &DiscoveryService) {
    if let Some(row) = rows.get::<DiscoveryService>(&service.key()) {
        rows.put(DiscoveryService { revision: row.revision + 1, ..(*row).clone() });
    }
}

/// `RegisterInstance`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RegisterInstance {
    service_id: String,
    instance_id: String,
    creator_request_id: Option<String>,
    attributes: BTreeMap<String, String>,
}

pub(super) fn register(
    rows: &mut Tx,
    context: &Context,
    request: RegisterInstance,
) -> Result<Begun, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    let is_id = (1..=64).contains(&request.instance_id.len())
        && request.instance_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/:.@-".contains(&byte));
    if !is_id {
        return Err(invalid(format!("The instance id {} is not valid.", request.instance_id)));
    }
    check(&service, &request.instance_id, &request.attributes)?;
    put(rows, &service, &request.instance_id, request.attributes, request.creator_request_id, context.now);
    let targets = [(Target::Instance, &*request.instance_id), (Target::Service, &*service.id)];
    Ok(operation::record(rows, context, Kind::RegisterInstance, targets))
}

/// What each record needs ("RegisterInstance", Attributes).
fn check(
    service: &DiscoveryService,
    id: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    if let Some(name) = REFUSED.iter().find(|name| attributes.contains_key(**name)) {
        return Err(ApiError::unsupported(format_args!("the instance attribute {name}")));
    }
    if attributes.len() > 30 {
        return Err(invalid("An instance has at most 30 attributes."));
    }
    if attributes.iter().any(|(key, value)| key.is_empty() || key.len() > 255 || value.len() > 1024) {
        return Err(invalid("An attribute's key has 1 to 255 characters and its value at most 1024."));
    }
    if let Some(text) = attributes.get(IPV4)
        && text.parse::<Ipv4Addr>().is_err()
    {
        return Err(invalid(format!("{IPV4} is not a valid IPv4 address: {text}.")));
    }
    if let Some(text) = attributes.get(PORT)
        && text.parse::<u16>().is_err()
    {
        return Err(invalid(format!("{PORT} is not a valid port: {text}.")));
    }
    if let Some(text) = attributes.get(INIT_HEALTH) {
        if service.custom_health.is_none() {
            return Err(invalid(format!("{INIT_HEALTH} needs a service with HealthCheckCustomConfig.")));
        }
        if !matches!(text.as_str(), "HEALTHY" | "UNHEALTHY") {
            return Err(invalid(format!("{INIT_HEALTH} is HEALTHY or UNHEALTHY, not {text}.")));
        }
    }
    let (a, srv) = (service.record(RecordType::A).is_some(), service.record(RecordType::Srv).is_some());
    if (a || srv) && !attributes.contains_key(IPV4) {
        return Err(invalid(format!("The service's DNS records need the attribute {IPV4}.")));
    }
    if srv && !attributes.contains_key(PORT) {
        return Err(invalid(format!("The service's SRV record needs the attribute {PORT}.")));
    }
    // It is a label of the name that the SRV record leads to.
    if srv && (id.len() > 63 || id.bytes().any(|byte| b"/:@".contains(&byte))) {
        return Err(invalid(format!("The instance id {id} cannot be a part of a domain name.")));
    }
    Ok(())
}

/// `DeregisterInstance`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeregisterInstance {
    service_id: String,
    instance_id: String,
}

pub(super) fn deregister(
    rows: &mut Tx,
    context: &Context,
    request: DeregisterInstance,
) -> Result<Begun, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    if !take(rows, &service, &request.instance_id) {
        return Err(not_found(&request.instance_id));
    }
    let targets = [(Target::Instance, &*request.instance_id), (Target::Service, &*service.id)];
    Ok(operation::record(rows, context, Kind::DeregisterInstance, targets))
}

/// `GetInstance`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetInstance {
    service_id: String,
    instance_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneInstance {
    resource_owner: String,
    instance: InstanceView,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_request_id: Option<String>,
    attributes: BTreeMap<String, String>,
    created_by_account: String,
}

fn print(instance: &Instance, whole: bool) -> InstanceView {
    InstanceView {
        id: instance.id.clone(),
        creator_request_id: instance.creator_request_id.clone().filter(|_| whole),
        attributes: instance.attributes.clone(),
        created_by_account: instance.account.to_string(),
    }
}

pub(super) fn get(rows: &Snapshot, context: &Context, request: GetInstance) -> Result<OneInstance, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    let instance = find(rows, &service, &request.instance_id)?;
    Ok(OneInstance { resource_owner: service.account.to_string(), instance: print(&instance, true) })
}

/// `ListInstances`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListInstances {
    service_id: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instances {
    resource_owner: String,
    instances: Vec<InstanceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListInstances,
) -> Result<Instances, ApiError> {
    let service = service::find(rows, context, &request.service_id)?;
    let found = service.instances(rows);
    let page = super::page(found, |row| row.id.clone(), request.max_results, request.next_token.as_deref())?;
    Ok(Instances {
        resource_owner: service.account.to_string(),
        instances: page.items.iter().map(|instance| print(instance, false)).collect(),
        next_token: page.next_token,
    })
}
