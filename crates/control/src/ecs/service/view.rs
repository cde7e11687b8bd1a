//! A service as responses print it.

use serde::Serialize;
use store::Snapshot;

use super::registry::ServiceRegistry;
use super::{
    CircuitBreaker, Deployment, DeploymentAlarms, LoadBalancer, PropagateTags, Rebalancing, RolloutState,
    Service, ServiceStatus,
};
use crate::ecs::capacity_provider::StrategyItem;
use crate::ecs::network::NetworkView;
use crate::ecs::tag::{self, Tag};
use crate::ecs::task::{LastStatus, Task};

/// The platform version that LATEST stands for.
pub const PLATFORM_VERSION: &str = "1.4.0";
/// What runs a task.
pub const PLATFORM_FAMILY: &str = "Linux";

/// One service, as answers carry it.
#[derive(Debug, Serialize)]
pub struct OneService {
    pub(super) service: ServiceView,
}

/// A service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    service_arn: String,
    service_name: String,
    cluster_arn: String,
    load_balancers: Vec<LoadBalancer>,
    service_registries: Vec<ServiceRegistry>,
    status: ServiceStatus,
    desired_count: u32,
    running_count: usize,
    pending_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capacity_provider_strategy: Vec<StrategyItem>,
    platform_version: String,
    platform_family: &'static str,
    task_definition: String,
    deployment_configuration: ConfigurationView,
    deployments: Vec<DeploymentView>,
    role_arn: String,
    events: Vec<EventView>,
    created_at: f64,
    placement_constraints: [String; 0],
    placement_strategy: [String; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    network_configuration: Option<NetworkView>,
    health_check_grace_period_seconds: u32,
    scheduling_strategy: &'static str,
    deployment_controller: ControllerView,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    created_by: String,
    #[serde(rename = "enableECSManagedTags")]
    enable_ecs_managed_tags: bool,
    propagate_tags: PropagateTags,
    enable_execute_command: bool,
    availability_zone_rebalancing: Rebalancing,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationView {
    deployment_circuit_breaker: CircuitBreaker,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarms: Option<DeploymentAlarms>,
    maximum_percent: u32,
    minimum_healthy_percent: u32,
    strategy: &'static str,
    bake_time_in_minutes: u32,
}

impl ConfigurationView {
    pub(super) fn new(
        minimum: u32,
        maximum: u32,
        circuit_breaker: CircuitBreaker,
        alarms: Option<DeploymentAlarms>,
    ) -> Self {
        Self {
            deployment_circuit_breaker: circuit_breaker,
            alarms,
            maximum_percent: maximum,
            minimum_healthy_percent: minimum,
            strategy: "ROLLING",
            bake_time_in_minutes: 0,
        }
    }
}

#[derive(Debug, Serialize)]
struct ControllerView {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentView {
    id: String,
    status: &'static str,
    task_definition: String,
    desired_count: usize,
    pending_count: usize,
    running_count: usize,
    failed_tasks: u32,
    created_at: f64,
    updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capacity_provider_strategy: Vec<StrategyItem>,
    platform_version: &'static str,
    platform_family: &'static str,
    network_configuration: NetworkView,
    rollout_state: RolloutState,
    rollout_state_reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView {
    id: String,
    created_at: f64,
    message: String,
}

/// Running and starting tasks.
fn counts<'a>(tasks: impl Iterator<Item = &'a Task>) -> (usize, usize) {
    tasks.fold((0, 0), |(running, pending), task| match task.last_status {
        LastStatus::Running => (running + 1, pending),
        LastStatus::Provisioning | LastStatus::Pending | LastStatus::Activating => (running, pending + 1),
        _ => (running, pending),
    })
}

/// A deployment with a strategy has no launch type.
fn launch_type(deployment: &Deployment) -> Option<&'static str> {
    deployment.capacity_provider_strategy.is_empty().then_some("FARGATE")
}

impl Service {
    /// The service with its tasks counted.
    pub(super) fn print(&self, rows: &Snapshot, with_tags: bool) -> ServiceView {
        let prefix = self.tasks_prefix();
        let tasks: Vec<_> = rows
            .find::<Task>(&prefix)
            .filter(|task| self.deployments.iter().any(|deployment| task.started_by == deployment.id))
            .collect();
        let of = |deployment: &Deployment, primary: bool| {
            let own = || tasks.iter().filter(|task| task.started_by == deployment.id).map(AsRef::as_ref);
            let (running, pending) = counts(own());
            DeploymentView {
                id: deployment.id.clone(),
                status: if primary { "PRIMARY" } else { "ACTIVE" },
                task_definition: deployment.task_definition.clone(),
                desired_count: match primary {
                    true => usize::try_from(self.desired_count).unwrap_or(usize::MAX),
                    false => own().filter(|task| task.is_wanted()).count(),
                },
                pending_count: pending,
                running_count: running,
                failed_tasks: deployment.failed_tasks,
                created_at: deployment.created_at.epoch_seconds(),
                updated_at: deployment.updated_at.epoch_seconds(),
                launch_type: launch_type(deployment),
                capacity_provider_strategy: deployment.capacity_provider_strategy.clone(),
                platform_version: PLATFORM_VERSION,
                platform_family: PLATFORM_FAMILY,
                network_configuration: (&deployment.network).into(),
                rollout_state: deployment.rollout_state,
                rollout_state_reason: deployment.rollout_reason(),
            }
        };
        let (running_count, pending_count) = counts(tasks.iter().map(AsRef::as_ref));
        let primary = self.primary();
        ServiceView {
            service_arn: self.arn(),
            service_name: self.name.clone(),
            cluster_arn: self.cluster_arn(),
            load_balancers: primary.map(|primary| primary.load_balancers.clone()).unwrap_or_default(),
            service_registries: primary.map(|primary| primary.service_registries.clone()).unwrap_or_default(),
            status: self.status,
            desired_count: self.desired_count,
            running_count,
            pending_count,
            launch_type: primary.and_then(launch_type),
            capacity_provider_strategy: primary
                .map(|primary| primary.capacity_provider_strategy.clone())
                .unwrap_or_default(),
            platform_version: self.platform_version.clone(),
            platform_family: PLATFORM_FAMILY,
            task_definition: primary.map(|primary| primary.task_definition.clone()).unwrap_or_default(),
            deployment_configuration: ConfigurationView::new(
                self.minimum_healthy_percent,
                self.maximum_percent,
                self.circuit_breaker,
                self.alarms.clone(),
            ),
            deployments: match self.status {
                ServiceStatus::Inactive => Vec::new(),
                _ => self.deployments.iter().enumerate().map(|(n, row)| of(row, n == 0)).collect(),
            },
            role_arn: format!(
                "arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
                self.account
            ),
            events: self
                .events
                .iter()
                .map(|event| EventView {
                    id: event.id.clone(),
                    created_at: event.at.epoch_seconds(),
                    message: event.message.clone(),
                })
                .collect(),
            created_at: self.created_at.epoch_seconds(),
            placement_constraints: [],
            placement_strategy: [],
            network_configuration: primary.map(|primary| (&primary.network).into()),
            health_check_grace_period_seconds: self.health_check_grace_period_seconds,
            scheduling_strategy: "REPLICA",
            deployment_controller: ControllerView { r#type: "ECS" },
            tags: with_tags.then(|| tag::print(&self.tags)),
            created_by: self.created_by.clone(),
            enable_ecs_managed_tags: self.enable_ecs_managed_tags,
            propagate_tags: self.propagate_tags,
            enable_execute_command: false,
            availability_zone_rebalancing: self.availability_zone_rebalancing,
        }
    }
}
