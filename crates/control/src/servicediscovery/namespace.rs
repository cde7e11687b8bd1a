//! Namespaces: names below which services are found, by DNS in one VPC or by the API alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, PartId, Region, Timestamp, VpcId};
use wire::ApiError;

use super::filter::{self, Filter};
use super::operation::{self, Kind as Done, Target};
use super::service::DiscoveryService;
use super::tag::{self, Tag, Tags};
use super::{Begun, described, invalid, letters, mint};
use crate::Context;
use crate::ec2::vpc;

/// Seconds for which it may be remembered that a name does not exist, when the namespace does not say.
const SOA_TTL: u32 = 15;

/// A namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id, `ns-` and 16 letters and digits.
    pub id: String,
    /// Its name, a domain's for one of DNS.
    pub name: String,
    /// How services in it are found.
    pub kind: NamespaceKind,
    /// In the user's words.
    pub description: Option<String>,
    /// The request's own id, by which it is known again.
    pub creator_request_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

/// How services of a namespace are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceKind {
    /// By the API, and by DNS in a VPC.
    Private {
        /// The VPC.
        vpc: VpcId,
        /// The id that its zone in Route 53 has.
        hosted_zone: String,
        /// Seconds for which it may be remembered that a name does not exist.
        soa_ttl: u32,
    },
    /// By the API alone.
    Http,
}

impl Row for Namespace {
    const TABLE: &'static str = "servicediscovery_namespace";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::Names]
    }
}

impl Namespace {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:servicediscovery:{}:{}:namespace/{}", self.region, self.account, self.id)
    }

    fn kind_name(&self) -> &'static str {
        match self.kind {
            NamespaceKind::Private { .. } => "DNS_PRIVATE",
            NamespaceKind::Http => "HTTP",
        }
    }

    fn print(&self, rows: &Snapshot, whole: bool) -> NamespaceView {
        let prefix = format!("{}/{}/", self.account, self.region);
        let own = |service: &Arc<DiscoveryService>| service.namespace == self.id;
        let service_count = rows.scan::<DiscoveryService>(&prefix).filter(own).count();
        NamespaceView {
            id: self.id.clone(),
            arn: self.arn(),
            resource_owner: self.account.to_string(),
            name: self.name.clone(),
            r#type: self.kind_name(),
            description: self.description.clone(),
            service_count,
            properties: Properties {
                dns_properties: match &self.kind {
                    NamespaceKind::Private { hosted_zone, soa_ttl, .. } => DnsProperties {
                        hosted_zone_id: Some(hosted_zone.clone()),
                        soa: Some(Soa { ttl: *soa_ttl }),
                    },
                    NamespaceKind::Http => DnsProperties { hosted_zone_id: None, soa: None },
                },
                http_properties: HttpProperties { http_name: self.name.clone() },
            },
            create_date: self.created_at.epoch_seconds(),
            creator_request_id: self.creator_request_id.clone().filter(|_| whole),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NamespaceView {
    id: String,
    arn: String,
    resource_owner: String,
    name: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    service_count: usize,
    properties: Properties,
    create_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_request_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    dns_properties: DnsProperties,
    http_properties: HttpProperties,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DnsProperties {
    #[serde(skip_serializing_if = "Option::is_none")]
    hosted_zone_id: Option<String>,
    #[serde(rename = "SOA", skip_serializing_if = "Option::is_none")]
    soa: Option<Soa>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Soa {
    #[serde(rename = "TTL")]
    ttl: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HttpProperties {
    http_name: String,
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("NamespaceNotFound", format!("The namespace {id} can't be found."))
}

/// The namespace of an id or an ARN.
///
/// # Errors
/// NamespaceNotFound.
pub(super) fn find(rows: &Snapshot, context: &Context, named: &str) -> Result<Arc<Namespace>, ApiError> {
    let id = super::id(named, "namespace");
    rows.get::<Namespace>(&context.key(id)).ok_or_else(|| not_found(named))
}

/// The namespace of a name; of several, as private ones of several VPCs, the first made.
pub(super) fn find_by_name(
    rows: &Snapshot,
    context: &Context,
    name: &str,
) -> Result<Arc<Namespace>, ApiError> {
    rows.scan::<Namespace>(&context.key(""))
        .filter(|namespace| namespace.name == name)
        .min_by_key(|namespace| (namespace.created_at, namespace.id.clone()))
        .ok_or_else(|| not_found(name))
}

/// `CreatePrivateDnsNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreatePrivateDnsNamespace {
    name: String,
    creator_request_id: Option<String>,
    description: Option<String>,
    vpc: String,
    tags: Option<Vec<Tag>>,
    properties: Option<PrivateProperties>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PrivateProperties {
    dns_properties: PrivateDnsProperties,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PrivateDnsProperties {
    #[serde(rename = "SOA")]
    soa: Soa,
}

pub(super) fn create_private(
    rows: &mut Tx,
    context: &Context,
    request: CreatePrivateDnsNamespace,
) -> Result<Begun, ApiError> {
    let name = request.name.trim_end_matches('.').to_ascii_lowercase();
    if !is_domain(&name) {
        return Err(invalid(format!("The namespace name {} is not a valid domain name.", request.name)));
    }
    let vpc = vpc::get(rows, context, &request.vpc)
        .map_err(|_| invalid(format!("The VPC {} can't be found in the region.", request.vpc)))?;
    let kind = NamespaceKind::Private {
        vpc: vpc.id.clone(),
        hosted_zone: format!("Z{}", letters(20).to_ascii_uppercase()),
        soa_ttl: ttl(request.properties.map_or(SOA_TTL, |properties| properties.dns_properties.soa.ttl))?,
    };
    create(rows, context, (name, kind), request.creator_request_id, request.description, request.tags)
}

/// `CreateHttpNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CreateHttpNamespace {
    name: String,
    creator_request_id: Option<String>,
    description: Option<String>,
    tags: Option<Vec<Tag>>,
}

pub(super) fn create_http(
    rows: &mut Tx,
    context: &Context,
    request: CreateHttpNamespace,
) -> Result<Begun, ApiError> {
    let name = request.name;
    let is_name = (1..=1024).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name || name.starts_with("arn:") {
        return Err(invalid(format!("The namespace name {name} is not valid.")));
    }
    let kind = NamespaceKind::Http;
    create(rows, context, (name, kind), request.creator_request_id, request.description, request.tags)
}

fn create(
    rows: &mut Tx,
    context: &Context,
    (name, kind): (String, NamespaceKind),
    creator_request_id: Option<String>,
    description: Option<String>,
    tags: Option<Vec<Tag>>,
) -> Result<Begun, ApiError> {
    let tags = tag::take(tags)?;
    let description = described(description)?;
    // A private domain is one of its VPC's, a name of the API one of the account's.
    let same = |other: &NamespaceKind| match (&kind, other) {
        (NamespaceKind::Private { vpc: own, .. }, NamespaceKind::Private { vpc: other, .. }) => own == other,
        (NamespaceKind::Http, NamespaceKind::Http) => true,
        _ => false,
    };
    let clashes = |other: &Arc<Namespace>| other.name == name && same(&other.kind);
    let other = rows.scan::<Namespace>(&context.key("")).find(clashes);
    if let Some(other) = other {
        if creator_request_id.is_some() && other.creator_request_id == creator_request_id {
            let id = other.id.clone();
            return Ok(operation::record(rows, context, Done::CreateNamespace, [(Target::Namespace, &id)]));
        }
        return Err(ApiError::new(
            "NamespaceAlreadyExists",
            format!("The namespace that you're trying to create already exists: {}.", other.id),
        ));
    }
    let row = rows.put(Namespace {
        account: context.account.clone(),
        region: context.region.clone(),
        id: mint("ns"),
        name,
        kind,
        description,
        creator_request_id,
        created_at: context.now,
        tags,
    });
    Ok(operation::record(rows, context, Done::CreateNamespace, [(Target::Namespace, &row.id)]))
}

fn ttl(ttl: u32) -> Result<u32, ApiError> {
    if i32::try_from(ttl).is_err() {
        return Err(invalid("A TTL is between 0 and 2147483647."));
    }
    Ok(ttl)
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// `DeleteNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteNamespace {
    id: String,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteNamespace) -> Result<Begun, ApiError> {
    let namespace = find(rows, context, &request.id)?;
    if rows.scan::<DiscoveryService>(&context.key("")).any(|service| service.namespace == namespace.id) {
        return Err(ApiError::new(
            "ResourceInUse",
            "The namespace has at least one service. Delete all the services in the namespace, and then delete it.",
        ));
    }
    rows.delete::<Namespace>(&namespace.key());
    Ok(operation::record(rows, context, Done::DeleteNamespace, [(Target::Namespace, &namespace.id)]))
}

/// `GetNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetNamespace {
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneNamespace {
    namespace: NamespaceView,
}

pub(super) fn get(
    rows: &Snapshot,
    context: &Context,
    request: GetNamespace,
) -> Result<OneNamespace, ApiError> {
    Ok(OneNamespace { namespace: find(rows, context, &request.id)?.print(rows, true) })
}

/// `ListNamespaces`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListNamespaces {
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Namespaces {
    namespaces: Vec<NamespaceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListNamespaces,
) -> Result<Namespaces, ApiError> {
    filter::check(&request.filters, &["TYPE", "NAME", "HTTP_NAME", "RESOURCE_OWNER"])?;
    let found: Vec<_> = rows
        .scan::<Namespace>(&context.key(""))
        .filter(|namespace| {
            filter::all_hold(&request.filters, |name| match name {
                "TYPE" => Some(namespace.kind_name()),
                "RESOURCE_OWNER" => Some("SELF"),
                _ => Some(namespace.name.as_str()),
            })
        })
        .collect();
    let page = super::page(found, |row| row.id.clone(), request.max_results, request.next_token.as_deref())?;
    let namespaces = page.items.iter().map(|namespace| namespace.print(rows, false)).collect();
    Ok(Namespaces { namespaces, next_token: page.next_token })
}

/// `UpdatePrivateDnsNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdatePrivateDnsNamespace {
    id: String,
    #[serde(rename = "UpdaterRequestId")]
    _updater_request_id: Option<String>,
    namespace: PrivateChange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PrivateChange {
    description: Option<String>,
    properties: Option<PrivateProperties>,
}

pub(super) fn update_private(
    rows: &mut Tx,
    context: &Context,
    request: UpdatePrivateDnsNamespace,
) -> Result<Begun, ApiError> {
    let mut namespace = (*find(rows, context, &request.id)?).clone();
    let NamespaceKind::Private { soa_ttl, .. } = &mut namespace.kind else {
        return Err(invalid(format!("The namespace {} is not a private DNS namespace.", namespace.id)));
    };
    if let Some(properties) = request.namespace.properties {
        *soa_ttl = ttl(properties.dns_properties.soa.ttl)?;
    }
    if request.namespace.description.is_some() {
        namespace.description = described(request.namespace.description)?;
    }
    let row = rows.put(namespace);
    Ok(operation::record(rows, context, Done::UpdateNamespace, [(Target::Namespace, &row.id)]))
}

/// `UpdateHttpNamespace`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateHttpNamespace {
    id: String,
    #[serde(rename = "UpdaterRequestId")]
    _updater_request_id: Option<String>,
    namespace: HttpChange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct HttpChange {
    description: String,
}

pub(super) fn update_http(
    rows: &mut Tx,
    context: &Context,
    request: UpdateHttpNamespace,
) -> Result<Begun, ApiError> {
    let mut namespace = (*find(rows, context, &request.id)?).clone();
    if namespace.kind != NamespaceKind::Http {
        return Err(invalid(format!("The namespace {} is not an HTTP namespace.", namespace.id)));
    }
    namespace.description = described(Some(request.namespace.description))?;
    let row = rows.put(namespace);
    Ok(operation::record(rows, context, Done::UpdateNamespace, [(Target::Namespace, &row.id)]))
}
