//! The service `servicediscovery`: Cloud Map, its private DNS namespaces and those of the API alone.
//!
//! What is registered is resolved by the DNS server of the namespace's VPC ([`records`]). Route 53 is not there: a
//! namespace's hosted zone has an id and nothing else. Public DNS namespaces are not there, nor are Route 53's health checks.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub(crate) mod access;
mod discover;
mod filter;
mod health;
pub mod instance;
mod namespace;
mod operation;
pub mod records;
mod service;
mod tag;
#[cfg(test)]
mod tests;

use serde::Serialize;
use store::{TableDef, table};
use wire::ApiError;

pub use instance::Instance;
pub use namespace::Namespace;
pub use service::{DiscoveryService, RecordType, find_by_arn};

use crate::operation::{Operation, read, write};
use operation::OperationRow;

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(ServiceDiscovery, CreateHttpNamespace, namespace::create_http),
    write!(ServiceDiscovery, CreatePrivateDnsNamespace, namespace::create_private),
    write!(ServiceDiscovery, CreateService, service::create),
    write!(ServiceDiscovery, DeleteNamespace, namespace::delete),
    write!(ServiceDiscovery, DeleteService, service::delete),
    write!(ServiceDiscovery, DeregisterInstance, instance::deregister),
    read!(ServiceDiscovery, DiscoverInstances, discover::discover),
    read!(ServiceDiscovery, DiscoverInstancesRevision, discover::revision),
    read!(ServiceDiscovery, GetInstance, instance::get),
    read!(ServiceDiscovery, GetInstancesHealthStatus, health::get),
    read!(ServiceDiscovery, GetNamespace, namespace::get),
    read!(ServiceDiscovery, GetOperation, operation::get),
    read!(ServiceDiscovery, GetService, service::get),
    read!(ServiceDiscovery, ListInstances, instance::list),
    read!(ServiceDiscovery, ListNamespaces, namespace::list),
    read!(ServiceDiscovery, ListOperations, operation::list),
    read!(ServiceDiscovery, ListServices, service::list),
    read!(ServiceDiscovery, ListTagsForResource, tag::list),
    write!(ServiceDiscovery, RegisterInstance, instance::register),
    write!(ServiceDiscovery, TagResource, tag::add),
    write!(ServiceDiscovery, UntagResource, tag::remove),
    write!(ServiceDiscovery, UpdateHttpNamespace, namespace::update_http),
    write!(ServiceDiscovery, UpdateInstanceCustomHealthStatus, health::update),
    write!(ServiceDiscovery, UpdatePrivateDnsNamespace, namespace::update_private),
    write!(ServiceDiscovery, UpdateService, service::update),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] =
    &[table::<Namespace>(), table::<DiscoveryService>(), table::<Instance>(), table::<OperationRow>()];

/// An empty document.
#[derive(Debug, Serialize)]
struct Done {}

/// The answer of what AWS does by and by; here it is done already.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    operation_id: String,
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidInput", message)
}

/// `ns-` or `srv-` and 16 small letters and digits.
fn mint(prefix: &str) -> String {
    format!("{prefix}-{}", letters(16))
}

/// So many random small letters and digits.
fn letters(count: usize) -> String {
    let digits: String = std::iter::repeat_with(|| types::random_hex(32)).take(count.div_ceil(16)).collect();
    let byte = |pair: &str| u8::from_str_radix(pair, 16).unwrap_or_default() % 36;
    let letter =
        |at: usize| char::from_digit(u32::from(byte(&digits[2 * at..2 * at + 2])), 36).unwrap_or('0');
    (0..count).map(letter).collect()
}

/// The id in an id or an ARN of a kind of resource (`namespace`, `service`).
fn id<'a>(named: &'a str, kind: &str) -> &'a str {
    match named.strip_prefix("arn:") {
        Some(arn) => arn.rsplit_once(&format!(":{kind}/")).map_or(named, |(_, id)| id),
        None => named,
    }
}

fn described(description: Option<String>) -> Result<Option<String>, ApiError> {
    match description {
        Some(text) if text.chars().count() > 1024 => {
            Err(invalid("Description must have length less than or equal to 1024."))
        }
        other => Ok(other),
    }
}

/// A page of a listing, of at most a hundred.
fn page<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    most: Option<i64>,
    token: Option<&str>,
) -> Result<crate::page::Page<T>, ApiError> {
    let most = usize::try_from(most.unwrap_or(100)).ok().filter(|most| (1..=100).contains(most));
    let most = most.ok_or_else(|| invalid("MaxResults must be between 1 and 100."))?;
    crate::page::page(items, key, Some(most), token).map_err(|_| invalid("The next token is invalid."))
}
