//! The service `ecs`: clusters, task definitions, services and tasks. What runs is decided in [`crate::schedule`],
//! which advances these rows; what the machine is told of a task is projected in [`crate::project`].

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub(crate) mod access;
pub(crate) mod account_setting;
pub mod capacity_provider;
pub mod cluster;
mod cluster_configuration;
pub mod cluster_update;
mod container_definition;
mod fargate;
pub mod network;
mod role;
pub mod service;
pub mod tag;
pub mod task;
pub mod task_definition;
#[cfg(test)]
mod tests;

use serde::Serialize;
use store::{TableDef, table};
use types::{AccountId, Arn, Region};
use wire::ApiError;

pub use container_definition::{ContainerDefinition, PortMapping, RestartPolicy, TransportProtocol};
pub use network::{AssignPublicIp, Network};
pub use tag::Tags;

use crate::Context;
use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Ecs, CreateCluster, cluster::create),
    write!(Ecs, CreateService, service::create::create),
    write!(Ecs, DeleteAccountSetting, account_setting::delete),
    write!(Ecs, DeleteCluster, cluster::delete),
    write!(Ecs, DeleteService, service::delete::delete),
    write!(Ecs, DeleteTaskDefinitions, task_definition::delete::delete),
    write!(Ecs, DeregisterTaskDefinition, task_definition::deregister),
    read!(Ecs, DescribeCapacityProviders, capacity_provider::describe),
    read!(Ecs, DescribeClusters, cluster::describe),
    read!(Ecs, DescribeServiceDeployments, service::record_describe::describe),
    read!(Ecs, DescribeServiceRevisions, service::revision::describe),
    read!(Ecs, DescribeServices, service::describe::describe),
    read!(Ecs, DescribeTaskDefinition, task_definition::describe),
    read!(Ecs, DescribeTasks, task::describe::describe),
    read!(Ecs, ExecuteCommand, task::start::execute),
    read!(Ecs, GetTaskProtection, task::protection::get),
    read!(Ecs, ListAccountSettings, account_setting::list),
    read!(Ecs, ListClusters, cluster::list),
    read!(Ecs, ListServiceDeployments, service::record_describe::list),
    read!(Ecs, ListServices, service::describe::list),
    read!(Ecs, ListTagsForResource, tag::list),
    read!(Ecs, ListTaskDefinitionFamilies, task_definition::list::list_families),
    read!(Ecs, ListTaskDefinitions, task_definition::list::list),
    read!(Ecs, ListTasks, task::describe::list),
    write!(Ecs, PutAccountSetting, account_setting::put),
    write!(Ecs, PutAccountSettingDefault, account_setting::put_default),
    write!(Ecs, PutClusterCapacityProviders, capacity_provider::put),
    write!(Ecs, RegisterTaskDefinition, task_definition::register::register),
    write!(Ecs, RunTask, task::run::run),
    read!(Ecs, StartTask, task::start::start),
    write!(Ecs, StopServiceDeployment, service::record_describe::stop),
    write!(Ecs, StopTask, task::stop::stop),
    write!(Ecs, TagResource, tag::add),
    write!(Ecs, UntagResource, tag::remove),
    write!(Ecs, UpdateCluster, cluster_update::update),
    write!(Ecs, UpdateClusterSettings, cluster_update::update_settings),
    write!(Ecs, UpdateService, service::update::update),
    write!(Ecs, UpdateTaskProtection, task::protection::update),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[
    table::<account_setting::AccountSetting>(),
    table::<cluster::Cluster>(),
    table::<service::Service>(),
    table::<service::record::Record>(),
    table::<service::revision::Revision>(),
    table::<task::Task>(),
    table::<task_definition::TaskDefinition>(),
];

/// An answer without members.
#[derive(Debug, Serialize)]
pub struct Empty {}

/// A resource that a describing call was asked for and that there is not.
#[derive(Debug, Serialize)]
pub struct Failure {
    arn: String,
    reason: &'static str,
}

impl Failure {
    /// `named` is an ARN, or a name that stands behind `prefix` in one.
    fn missing(context: &Context, prefix: &str, named: &str) -> Self {
        let arn = match named.starts_with("arn:") {
            true => named.to_owned(),
            false => arn(&context.account, &context.region, &format!("{prefix}{named}")),
        };
        Self { arn, reason: "MISSING" }
    }
}

/// An ARN of this service.
fn arn(account: &AccountId, region: &Region, resource: &str) -> String {
    Arn::new("ecs", region.as_str(), account.as_str(), resource).to_string()
}

/// A parameter that is not as it has to be.
fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// An error of the client's in ECS's general code.
fn client(message: impl Into<String>) -> ApiError {
    ApiError::new("ClientException", message)
}

/// Names of clusters, services and families: up to 255 letters, digits, underscores and hyphens.
fn valid_name(what: &str, name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
        return Err(invalid(format!(
            "{what} is invalid: '{name}'. Up to 255 letters, numbers, underscores, and hyphens are allowed."
        )));
    }
    Ok(())
}

/// A page of a listing; the limits are the same for all of ECS's.
fn page(
    items: Vec<String>,
    most: Option<i64>,
    default: usize,
    token: Option<&str>,
) -> Result<crate::page::Page<String>, ApiError> {
    page_by(items, String::clone, most, default, token)
}

/// As [`page`], of items in the order of `key`.
fn page_by<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    most: Option<i64>,
    default: usize,
    token: Option<&str>,
) -> Result<crate::page::Page<T>, ApiError> {
    let most = match most {
        None => default,
        Some(most) => usize::try_from(most)
            .ok()
            .filter(|most| (1..=100).contains(most))
            .ok_or_else(|| invalid("maxResults must be between 1 and 100"))?,
    };
    crate::page::page(items, key, Some(most), token).map_err(|_| invalid("Invalid token in the request"))
}

/// A random id in the form of a UUID, as events and attachments have it.
pub(crate) fn uuid() -> String {
    let hex = types::random_hex(32);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
