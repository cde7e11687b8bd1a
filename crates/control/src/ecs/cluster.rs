//! Clusters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Empty as NoValue, OnlyDefault};

use super::capacity_provider::{self, StrategyItem};
use super::cluster_configuration::{self, Configuration};
use super::service::Service;
use super::tag::{self, Tag, Tags};
use super::task::{LastStatus, Task};
use super::{Failure, invalid, role, valid_name};
use crate::Context;

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its name, unique in account and region.
    pub name: String,
    /// Whether it takes services and tasks. A deleted cluster stays visible as INACTIVE for a while.
    pub status: ClusterStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Whether its services' and tasks' metrics are collected: `disabled`, `enabled` or `enhanced`.
    #[serde(default = "disabled")]
    pub container_insights: String,
    /// The capacity providers that its services and tasks may take.
    #[serde(default)]
    pub capacity_providers: Vec<String>,
    /// What they take when their request says nothing.
    #[serde(default)]
    pub default_capacity_provider_strategy: Vec<StrategyItem>,
    /// How ECS Exec logs its sessions.
    #[serde(default)]
    pub configuration: Configuration,
    /// Its tags.
    pub tags: Tags,
}

fn disabled() -> String {
    "disabled".to_owned()
}

/// See [`Cluster::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ClusterStatus {
    /// It takes services and tasks.
    Active,
    /// It was deleted.
    Inactive,
}

impl Row for Cluster {
    const TABLE: &'static str = "ecs_cluster";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl Cluster {
    /// Its ARN.
    pub fn arn(&self) -> String {
        super::arn(&self.account, &self.region, &format!("cluster/{}", self.name))
    }

    /// The prefix of the keys of its services and tasks.
    pub fn prefix(&self) -> String {
        format!("{}/", self.key())
    }

    fn print(&self, rows: &Snapshot, include: &[Include]) -> ClusterView {
        let prefix = self.prefix();
        let (mut running, mut pending) = (0, 0);
        for task in rows.scan::<Task>(&prefix) {
            match task.last_status {
                LastStatus::Running => running += 1,
                LastStatus::Provisioning | LastStatus::Pending | LastStatus::Activating => pending += 1,
                _ => {}
            }
        }
        let services = rows.scan::<Service>(&prefix).filter(|service| service.is_active()).count();
        let statistics = include.contains(&Include::Statistics).then(|| {
            let pair = |name: &'static str, value: usize| KeyValue { name, value: value.to_string() };
            vec![
                pair("runningEC2TasksCount", 0),
                pair("runningFargateTasksCount", running),
                pair("pendingEC2TasksCount", 0),
                pair("pendingFargateTasksCount", pending),
                pair("runningExternalTasksCount", 0),
                pair("pendingExternalTasksCount", 0),
                pair("activeEC2ServiceCount", 0),
                pair("activeFargateServiceCount", services),
                pair("drainingEC2ServiceCount", 0),
                pair(
                    "drainingFargateServiceCount",
                    rows.scan::<Service>(&prefix).filter(|service| service.is_draining()).count(),
                ),
                pair("activeExternalServiceCount", 0),
                pair("drainingExternalServiceCount", 0),
            ]
        });
        let settings = include
            .contains(&Include::Settings)
            .then(|| vec![KeyValue { name: "containerInsights", value: self.container_insights.clone() }]);
        ClusterView {
            cluster_arn: self.arn(),
            cluster_name: self.name.clone(),
            status: self.status,
            registered_container_instances_count: 0,
            running_tasks_count: running,
            pending_tasks_count: pending,
            active_services_count: services,
            statistics: statistics.unwrap_or_default(),
            tags: if include.contains(&Include::Tags) { tag::print(&self.tags) } else { Vec::new() },
            settings: settings.unwrap_or_default(),
            capacity_providers: self.capacity_providers.clone(),
            default_capacity_provider_strategy: self.default_capacity_provider_strategy.clone(),
            configuration: include
                .contains(&Include::Configurations)
                .then(|| self.configuration.clone())
                .filter(|known| *known != Configuration::default()),
        }
    }
}

/// AWS's refusal of a cluster that does not exist.
pub fn not_found() -> ApiError {
    ApiError::new("ClusterNotFoundException", "Cluster not found.")
}

/// The name in a name or an ARN; the cluster `default` when none is named.
fn name<'a>(context: &Context, named: Option<&'a str>) -> Option<&'a str> {
    let named = named.filter(|named| !named.is_empty()).unwrap_or("default");
    if !named.starts_with("arn:") {
        return Some(named);
    }
    named.strip_prefix(&*super::arn(&context.account, &context.region, "cluster/"))
}

/// The cluster that a request names, for reading.
///
/// # Errors
/// When there is none.
pub fn get(rows: &Snapshot, context: &Context, named: Option<&str>) -> Result<Arc<Cluster>, ApiError> {
    name(context, named).and_then(|name| rows.get::<Cluster>(&context.key(name))).ok_or_else(not_found)
}

/// The cluster that a request names, for changing what is in it.
///
/// # Errors
/// When there is none, or it was deleted.
pub fn get_active(rows: &Snapshot, context: &Context, named: Option<&str>) -> Result<Arc<Cluster>, ApiError> {
    let cluster = get(rows, context, named)?;
    if cluster.status == ClusterStatus::Inactive {
        return Err(ApiError::new("ClusterNotFoundException", "The referenced cluster was inactive."));
    }
    Ok(cluster)
}

/// `CreateCluster`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCluster {
    cluster_name: Option<String>,
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    settings: Vec<ClusterSetting>,
    configuration: Option<Configuration>,
    #[serde(default)]
    capacity_providers: Vec<String>,
    #[serde(default)]
    default_capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(default, rename = "serviceConnectDefaults")]
    _service_connect_defaults: OnlyDefault<NoValue>,
}

/// A setting: `containerInsights` is the one there is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterSetting {
    name: String,
    value: String,
}

/// The value of `containerInsights` in a request's settings. It is kept and shown; the metrics that are collected are
/// the same with each.
///
/// # Errors
/// When there is another setting, or another value.
pub(super) fn container_insights(settings: &[ClusterSetting]) -> Result<Option<String>, ApiError> {
    let mut value = None;
    for setting in settings {
        if setting.name != "containerInsights" {
            return Err(invalid(format!("Invalid setting name: {}", setting.name)));
        }
        if !["disabled", "enabled", "enhanced"].contains(&setting.value.as_str()) {
            return Err(invalid(format!("Invalid setting value: {}", setting.value)));
        }
        value = Some(setting.value.clone());
    }
    Ok(value)
}

/// One cluster, as answers carry it.
#[derive(Debug, Serialize)]
pub struct OneCluster {
    cluster: ClusterView,
}

impl OneCluster {
    /// With settings, statistics and tags.
    pub(super) fn print(rows: &Snapshot, cluster: &Cluster) -> Self {
        let all = [Include::Configurations, Include::Settings, Include::Statistics, Include::Tags];
        Self { cluster: cluster.print(rows, &all) }
    }
}

/// A cluster as responses print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterView {
    cluster_arn: String,
    cluster_name: String,
    status: ClusterStatus,
    registered_container_instances_count: usize,
    running_tasks_count: usize,
    pending_tasks_count: usize,
    active_services_count: usize,
    statistics: Vec<KeyValue>,
    tags: Vec<Tag>,
    settings: Vec<KeyValue>,
    capacity_providers: Vec<String>,
    default_capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Configuration>,
}

#[derive(Debug, Serialize)]
struct KeyValue {
    name: &'static str,
    value: String,
}

/// Makes a cluster, or gives the one that has the name already.
pub fn create(rows: &mut Tx, context: &Context, request: CreateCluster) -> Result<OneCluster, ApiError> {
    let name = request.cluster_name.filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
    valid_name("Cluster name", &name)?;
    let insights = container_insights(&request.settings)?;
    let insights = insights.unwrap_or_else(|| super::account_setting::container_insights(rows, context));
    let capacity_providers = capacity_provider::take(request.capacity_providers)?;
    capacity_provider::check(&request.default_capacity_provider_strategy, &capacity_providers)?;
    let configuration = request.configuration.map(cluster_configuration::take).transpose()?;
    let tags = tag::take(request.tags)?;
    role::ensure_service_linked(rows, context);
    let existing = rows.get::<Cluster>(&context.key(&name));
    if let Some(existing) = existing.filter(|cluster| cluster.status == ClusterStatus::Active) {
        return Ok(OneCluster::print(rows, &existing));
    }
    let cluster = rows.put(Cluster {
        account: context.account.clone(),
        region: context.region.clone(),
        name,
        status: ClusterStatus::Active,
        created_at: context.now,
        deleted_at: None,
        container_insights: insights,
        capacity_providers,
        default_capacity_provider_strategy: request.default_capacity_provider_strategy,
        configuration: configuration.unwrap_or_default(),
        tags,
    });
    Ok(OneCluster::print(rows, &cluster))
}

/// `DescribeClusters`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeClusters {
    clusters: Option<Vec<String>>,
    #[serde(default)]
    include: Vec<Include>,
}

/// What a description contains besides the plain fields. Attachments exist on no cluster here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Include {
    Attachments,
    Configurations,
    Settings,
    Statistics,
    Tags,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct ClusterList {
    clusters: Vec<ClusterView>,
    failures: Vec<Failure>,
}

/// Describes the clusters named, or the one called `default`.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeClusters,
) -> Result<ClusterList, ApiError> {
    let named = request.clusters.filter(|named| !named.is_empty());
    let mut list = ClusterList { clusters: Vec::new(), failures: Vec::new() };
    for named in named.unwrap_or_else(|| vec!["default".to_owned()]) {
        match get(rows, context, Some(&named)) {
            Ok(cluster) => list.clusters.push(cluster.print(rows, &request.include)),
            Err(_) => list.failures.push(Failure::missing(context, "cluster/", &named)),
        }
    }
    Ok(list)
}

/// `DeleteCluster`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteCluster {
    cluster: String,
}

/// Deletes a cluster without services and tasks.
pub fn delete(rows: &mut Tx, context: &Context, request: DeleteCluster) -> Result<OneCluster, ApiError> {
    let cluster = get(rows, context, Some(&request.cluster))?;
    let prefix = cluster.prefix();
    if rows.scan::<Service>(&prefix).any(|service| service.is_active() || service.is_draining()) {
        return Err(ApiError::new(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        ));
    }
    if rows.scan::<Task>(&prefix).any(|task| task.last_status != LastStatus::Stopped) {
        return Err(ApiError::new(
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        ));
    }
    let mut cluster = (*cluster).clone();
    cluster.status = ClusterStatus::Inactive;
    cluster.deleted_at = cluster.deleted_at.or(Some(context.now));
    let cluster = rows.put(cluster);
    Ok(OneCluster { cluster: cluster.print(rows, &[Include::Settings, Include::Tags]) })
}

/// `ListClusters`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListClusters {
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterArns {
    cluster_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARNs of the clusters that are not deleted.
pub fn list(rows: &Snapshot, context: &Context, request: ListClusters) -> Result<ClusterArns, ApiError> {
    let arns = rows
        .scan::<Cluster>(&context.prefix())
        .filter(|cluster| cluster.status == ClusterStatus::Active)
        .map(|cluster| cluster.arn())
        .collect::<Vec<_>>();
    let page = super::page(arns, request.max_results, 100, request.next_token.as_deref())?;
    Ok(ClusterArns { cluster_arns: page.items, next_token: page.next_token })
}
