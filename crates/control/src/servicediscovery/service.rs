//! Services: what instances are registered with.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Arn, PartId, Region, Timestamp};
use wire::{ApiError, Empty, OnlyDefault};

use super::filter::{self, Filter};
use super::instance::Instance;
use super::namespace::{self, NamespaceKind};
use super::operation::{self, Kind, Target};
use super::tag::{self, Tag, Tags};
use super::{Begun, Done, described, invalid, mint};
use crate::Context;

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiscoveryService {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id, `srv-` and 16 letters and digits.
    pub id: String,
    /// Its name below the namespace's.
    pub name: String,
    /// Its namespace's id.
    pub namespace: String,
    /// In the user's words.
    pub description: Option<String>,
    /// Which records its instances have. None: it is found by the API alone.
    pub dns: Option<DnsConfig>,
    /// Whether somebody says by the API how its instances are.
    pub custom_health: Option<CustomHealth>,
    /// The request's own id, by which it is known again.
    pub creator_request_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// Counts the changes of its instances.
    pub revision: u64,
}

/// Which records a service's instances have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DnsConfig {
    /// Where it was said formerly; the request's own NamespaceId is in its place now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// How many of them an answer has.
    #[serde(default)]
    pub routing_policy: RoutingPolicy,
    /// The records.
    pub dns_records: Vec<DnsRecord>,
}

/// How many instances an answer of DNS has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RoutingPolicy {
    /// Up to eight.
    #[default]
    Multivalue,
    /// One; all have the same weight.
    Weighted,
}

/// A record of each instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DnsRecord {
    /// Its type.
    pub r#type: RecordType,
    /// Seconds for which it may be kept.
    #[serde(rename = "TTL")]
    pub ttl: u32,
}

/// The types of records. AAAA and CNAME are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// An address.
    A,
    /// A port, and the name of an address.
    Srv,
    /// Known and refused.
    Aaaa,
    /// Known and refused.
    Cname,
}

/// See [`DiscoveryService::custom_health`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CustomHealth {
    /// AWS takes it, prints it, and always works with 1 ("no longer supported").
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_threshold: Option<u32>,
}

impl Row for DiscoveryService {
    const TABLE: &'static str = "servicediscovery_service";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        if self.dns.is_some() { vec![PartId::Names] } else { Vec::new() }
    }
}

impl DiscoveryService {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:servicediscovery:{}:{}:service/{}", self.region, self.account, self.id)
    }

    /// The record of a type, if instances have one.
    pub fn record(&self, kind: RecordType) -> Option<DnsRecord> {
        self.dns.iter().flat_map(|dns| &dns.dns_records).find(|record| record.r#type == kind).copied()
    }

    /// The prefix of its instances' keys.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.key())
    }

    /// Its instances.
    pub(super) fn instances(&self, rows: &Snapshot) -> Vec<Arc<Instance>> {
        rows.scan::<Instance>(&self.prefix()).collect()
    }

    fn print(&self, rows: &Snapshot, whole: bool) -> ServiceView {
        ServiceView {
            id: self.id.clone(),
            arn: self.arn(),
            resource_owner: self.account.to_string(),
            name: self.name.clone(),
            namespace_id: Some(self.namespace.clone()).filter(|_| whole),
            description: self.description.clone(),
            instance_count: self.instances(rows).len(),
            dns_config: self
                .dns
                .clone()
                .map(|dns| DnsConfig { namespace_id: Some(self.namespace.clone()), ..dns }),
            r#type: if self.dns.is_some() { "DNS_HTTP" } else { "HTTP" },
            health_check_custom_config: self.custom_health,
            create_date: self.created_at.epoch_seconds(),
            creator_request_id: self.creator_request_id.clone().filter(|_| whole),
            created_by_account: self.account.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceView {
    id: String,
    arn: String,
    resource_owner: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    instance_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_config: Option<DnsConfig>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_custom_config: Option<CustomHealth>,
    create_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_request_id: Option<String>,
    created_by_account: String,
}

pub(super) fn not_found(named: &str) -> ApiError {
    ApiError::new("ServiceNotFound", format!("The service {named} can't be found."))
}

/// The service of an id or an ARN.
///
/// # Errors
/// ServiceNotFound.
pub(super) fn find(
    rows: &Snapshot,
    context: &Context,
    named: &str,
) -> Result<Arc<DiscoveryService>, ApiError> {
    rows.get::<DiscoveryService>(&context.key(super::id(named, "service"))).ok_or_else(|| not_found(named))
}

/// The service of an ARN, in whatever account and region it is.
pub fn find_by_arn(rows: &Snapshot, arn: &str) -> Option<Arc<DiscoveryService>> {
    let parsed: Arn = arn.parse().ok()?;
    let id = parsed.resource.strip_prefix("service/")?;
    rows.get::<DiscoveryService>(&format!("{}/{}/{id}", parsed.account, parsed.region))
        .filter(|service| service.arn() == arn)
}

/// `CreateService`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateService {
    name: String,
    namespace_id: Option<String>,
    creator_request_id: Option<String>,
    description: Option<String>,
    dns_config: Option<DnsConfig>,
    #[serde(default, rename = "HealthCheckConfig")]
    _health_check_config: OnlyDefault<Empty>,
    health_check_custom_config: Option<CustomHealth>,
    tags: Option<Vec<Tag>>,
    r#type: Option<HttpAlone>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum HttpAlone {
    Http,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneService {
    service: ServiceView,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateService,
) -> Result<OneService, ApiError> {
    let within = request.dns_config.as_ref().and_then(|dns| dns.namespace_id.clone());
    let named = match (request.namespace_id, within) {
        (Some(one), Some(other)) if super::id(&one, "namespace") != super::id(&other, "namespace") => {
            return Err(invalid("NamespaceId and DnsConfig.NamespaceId name different namespaces."));
        }
        (Some(named), _) | (None, Some(named)) => named,
        (None, None) => return Err(invalid("A namespace is required: NamespaceId.")),
    };
    let namespace = namespace::find(rows, context, &named)?;
    if !is_name(&request.name) {
        return Err(invalid(format!("The service name {} is not valid.", request.name)));
    }
    let dns = request.dns_config.map(|dns| DnsConfig { namespace_id: None, ..dns });
    if let Some(dns) = &dns {
        if namespace.kind == NamespaceKind::Http {
            return Err(invalid("DnsConfig is not valid for a service in an HTTP namespace."));
        }
        if request.r#type.is_some() {
            return Err(invalid("DnsConfig is not valid for a service of the type HTTP."));
        }
        check(dns)?;
    }
    let same = |other: &Arc<DiscoveryService>| {
        other.namespace == namespace.id && other.name.eq_ignore_ascii_case(&request.name)
    };
    if let Some(other) = rows.scan::<DiscoveryService>(&context.key("")).find(same) {
        let repeated = request.creator_request_id.is_some()
            && other.creator_request_id == request.creator_request_id
            && other.dns == dns;
        if repeated {
            return Ok(OneService { service: other.print(rows, true) });
        }
        return Err(ApiError::new(
            "ServiceAlreadyExists",
            format!(
                "The service can't be created because a service with the same name already exists: {}.",
                other.id
            ),
        ));
    }
    let row = rows.put(DiscoveryService {
        account: context.account.clone(),
        region: context.region.clone(),
        id: mint("srv"),
        name: request.name,
        namespace: namespace.id.clone(),
        description: described(request.description)?,
        dns,
        custom_health: request.health_check_custom_config,
        creator_request_id: request.creator_request_id,
        created_at: context.now,
        tags: tag::take(request.tags)?,
        revision: 1,
    });
    Ok(OneService { service: row.print(rows, true) })
}

/// Labels of letters, digits, hyphens and underscores between dots.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 127 && name.split('.').all(is_label)
}

fn check(dns: &DnsConfig) -> Result<(), ApiError> {
    let kinds: Vec<RecordType> = dns.dns_records.iter().map(|record| record.r#type).collect();
    if let Some(kind) = kinds.iter().find(|kind| matches!(kind, RecordType::Aaaa | RecordType::Cname)) {
        let name = if *kind == RecordType::Aaaa { "AAAA" } else { "CNAME" };
        return Err(ApiError::unsupported(format_args!("DnsRecords of the type {name}: only A and SRV")));
    }
    let twice = kinds.iter().enumerate().any(|(at, kind)| kinds[..at].contains(kind));
    if kinds.is_empty() || twice {
        return Err(invalid("DnsRecords has one record of each type, and at least one."));
    }
    if dns.dns_records.iter().any(|record| i32::try_from(record.ttl).is_err()) {
        return Err(invalid("A TTL is between 0 and 2147483647."));
    }
    Ok(())
}

/// `DeleteService`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteService {
    id: String,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteService) -> Result<Done, ApiError> {
    let service = find(rows, context, &request.id)?;
    if !service.instances(rows).is_empty() {
        return Err(ApiError::new(
            "ResourceInUse",
            "The service contains registered instances; deregister the instances, and then delete the service.",
        ));
    }
    rows.delete::<DiscoveryService>(&service.key());
    Ok(Done {})
}

/// `GetService`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetService {
    id: String,
}

pub(super) fn get(rows: &Snapshot, context: &Context, request: GetService) -> Result<OneService, ApiError> {
    Ok(OneService { service: find(rows, context, &request.id)?.print(rows, true) })
}

/// `ListServices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListServices {
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Services {
    services: Vec<ServiceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn list(rows: &Snapshot, context: &Context, request: ListServices) -> Result<Services, ApiError> {
    filter::check(&request.filters, &["NAMESPACE_ID", "RESOURCE_OWNER"])?;
    let found: Vec<_> = rows
        .scan::<DiscoveryService>(&context.key(""))
        .filter(|service| {
            filter::all_hold(&request.filters, |name| match name {
                "NAMESPACE_ID" => Some(service.namespace.as_str()),
                _ => Some("SELF"),
            })
        })
        .collect();
    let page = super::page(found, |row| row.id.clone(), request.max_results, request.next_token.as_deref())?;
    let services = page.items.iter().map(|service| service.print(rows, false)).collect();
    Ok(Services { services, next_token: page.next_token })
}

/// `UpdateService`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateService {
    id: String,
    service: ServiceChange,
}

/// What is left out goes, as AWS documents it; only the description stays when it is not said.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ServiceChange {
    description: Option<String>,
    dns_config: Option<DnsConfigChange>,
    #[serde(default, rename = "HealthCheckConfig")]
    _health_check_config: OnlyDefault<Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DnsConfigChange {
    dns_records: Vec<DnsRecord>,
}

pub(super) fn update(rows: &mut Tx, context: &Context, request: UpdateService) -> Result<Begun, ApiError> {
    let mut service = (*find(rows, context, &request.id)?).clone();
    if request.service.description.is_some() {
        service.description = described(request.service.description)?;
    }
    match (&mut service.dns, request.service.dns_config) {
        (Some(dns), Some(change)) => {
            // Only the times may change: the records' types are those that the service was made with.
            let kinds = |records: &[DnsRecord]| {
                let mut kinds: Vec<_> = records.iter().map(|record| record.r#type as u8).collect();
                kinds.sort_unstable();
                kinds
            };
            if kinds(&dns.dns_records) != kinds(&change.dns_records) {
                return Err(invalid("The types of a service's DNS records can't be changed."));
            }
            dns.dns_records = change.dns_records;
            check(dns)?;
        }
        (Some(_), None) => {
            if !rows.scan::<Instance>(&service.prefix()).any(|_| true) {
                service.dns = None;
            } else {
                return Err(invalid("DnsConfig is required while the service has instances."));
            }
        }
        (None, Some(_)) => return Err(invalid("DnsConfig is not valid for a service of the type HTTP.")),
        (None, None) => {}
    }
    let row = rows.put(service);
    Ok(operation::record(rows, context, Kind::UpdateService, [(Target::Service, &row.id)]))
}
