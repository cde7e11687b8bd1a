//! `DescribeServices`, `ListServices`, and how requests name a service.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::Service;
use super::view::ServiceView;
use crate::Context;
use crate::ecs::{Failure, cluster, invalid};

/// The most services that one call describes ("DescribeServices").
const MOST: usize = 10;

/// AWS's refusal of a service that does not exist.
pub(super) fn not_found() -> ApiError {
    ApiError::new("ServiceNotFoundException", "Service not found.")
}

/// The service of a name, or of an ARN that names its cluster too.
///
/// # Errors
/// When there is none.
pub(super) fn get(
    rows: &Snapshot,
    context: &Context,
    cluster: Option<&str>,
    named: &str,
) -> Result<Service, ApiError> {
    let cluster = cluster::get(rows, context, cluster)?;
    let name = match named.starts_with("arn:") {
        true => {
            let prefix =
                crate::ecs::arn(&context.account, &context.region, &format!("service/{}/", cluster.name));
            named.strip_prefix(&*prefix).ok_or_else(not_found)?
        }
        false => named,
    };
    let row = rows.get::<Service>(&format!("{}{name}", cluster.prefix()));
    row.map(|row| (*row).clone()).ok_or_else(not_found)
}

/// As [`get`], for a service that takes changes.
///
/// # Errors
/// When there is none, or it was deleted.
pub(super) fn get_active(
    rows: &Snapshot,
    context: &Context,
    cluster: Option<&str>,
    named: &str,
) -> Result<Service, ApiError> {
    let service = get(rows, context, cluster, named)?;
    if !service.is_active() {
        return Err(ApiError::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    Ok(service)
}

/// `DescribeServices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeServices {
    cluster: Option<String>,
    services: Vec<String>,
    #[serde(default)]
    include: Vec<Include>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Include {
    Tags,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct ServiceList {
    services: Vec<ServiceView>,
    failures: Vec<Failure>,
}

/// Describes the services named.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeServices,
) -> Result<ServiceList, ApiError> {
    if request.services.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if request.services.len() > MOST {
        return Err(invalid(format!("At most {MOST} services can be described in one call.")));
    }
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    let with_tags = request.include.contains(&Include::Tags);
    let mut list = ServiceList { services: Vec::new(), failures: Vec::new() };
    for named in &request.services {
        match get(rows, context, request.cluster.as_deref(), named) {
            Ok(service) => list.services.push(service.print(rows, with_tags)),
            Err(_) => {
                list.failures.push(Failure::missing(context, &format!("service/{}/", cluster.name), named));
            }
        }
    }
    Ok(list)
}

/// `ListServices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListServices {
    cluster: Option<String>,
    launch_type: Option<LaunchType>,
    scheduling_strategy: Option<SchedulingStrategy>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// What a task runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LaunchType {
    /// None do.
    Ec2,
    /// All do.
    Fargate,
    /// None do.
    External,
    /// None do.
    ManagedInstances,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum SchedulingStrategy {
    Replica,
    Daemon,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceArns {
    service_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARNs of a cluster's services that are not INACTIVE.
pub fn list(rows: &Snapshot, context: &Context, request: ListServices) -> Result<ServiceArns, ApiError> {
    let cluster = cluster::get(rows, context, request.cluster.as_deref())?;
    let none = request.launch_type.is_some_and(|kind| kind != LaunchType::Fargate)
        || request.scheduling_strategy == Some(SchedulingStrategy::Daemon);
    let arns = rows
        .scan::<Service>(&cluster.prefix())
        .filter(|service| !none && (service.is_active() || service.is_draining()))
        .map(|service| service.arn())
        .collect();
    let page = crate::ecs::page(arns, request.max_results, 10, request.next_token.as_deref())?;
    Ok(ServiceArns { service_arns: page.items, next_token: page.next_token })
}
