//! `UpdateService`.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, Empty, False, OnlyDefault};

use super::registry::{self, RegistryRequest};
use super::validate::{self, DeploymentConfiguration, DeploymentController, LoadBalancerRequest, Off};
use super::view::OneService;
use super::{Deployment, PropagateTags, Rebalancing, RolloutState, alarms, record};
use crate::Context;
use crate::ecs::capacity_provider::{self, StrategyItem};
use crate::ecs::network::{self, NetworkConfiguration};
use crate::ecs::{cluster, invalid, task_definition};

/// The request. What is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateService {
    cluster: Option<String>,
    service: String,
    desired_count: Option<i64>,
    task_definition: Option<String>,
    #[serde(default)]
    deployment_configuration: DeploymentConfiguration,
    availability_zone_rebalancing: Option<Rebalancing>,
    network_configuration: Option<NetworkConfiguration>,
    platform_version: Option<String>,
    #[serde(default)]
    force_new_deployment: bool,
    health_check_grace_period_seconds: Option<i64>,
    #[serde(default, rename = "deploymentController")]
    _deployment_controller: DeploymentController,
    #[serde(rename = "enableECSManagedTags")]
    enable_ecs_managed_tags: Option<bool>,
    load_balancers: Option<Vec<LoadBalancerRequest>>,
    propagate_tags: Option<PropagateTags>,
    #[serde(default, rename = "enableExecuteCommand")]
    _enable_execute_command: OnlyDefault<False>,
    service_registries: Option<Vec<RegistryRequest>>,
    capacity_provider_strategy: Option<Vec<StrategyItem>>,
    #[serde(default, rename = "placementConstraints")]
    _placement_constraints: OnlyDefault<Empty>,
    #[serde(default, rename = "placementStrategy")]
    _placement_strategy: OnlyDefault<Empty>,
    #[serde(default, rename = "serviceConnectConfiguration")]
    _service_connect_configuration: OnlyDefault<Off>,
    #[serde(default, rename = "volumeConfigurations")]
    _volume_configurations: OnlyDefault<Empty>,
    #[serde(default, rename = "vpcLatticeConfigurations")]
    _vpc_lattice_configurations: OnlyDefault<Empty>,
}

/// Changes a service. What its tasks are made from (task definition, network, load balancers, capacity providers,
/// platform version) begins a deployment that replaces them; counts, percentages and tags do not.
pub fn update(rows: &mut Tx, context: &Context, request: UpdateService) -> Result<OneService, ApiError> {
    let mut service =
        super::describe::get_active(rows, context, request.cluster.as_deref(), &request.service)?;
    let primary = service.primary().cloned();
    let primary = primary.ok_or_else(|| ApiError::internal("a service has no deployment"))?;
    let named = request.task_definition.as_deref().filter(|named| !named.is_empty());
    let definition = match named {
        Some(named) => task_definition::find_active(rows, context, named)?,
        None => task_definition::find(rows, context, &primary.task_definition)
            .ok_or_else(|| invalid("The service's task definition does not exist."))?,
    };
    let network = match request.network_configuration {
        Some(requested) => network::take(rows, context, Some(requested))?,
        None => primary.network.clone(),
    };
    let load_balancers = match request.load_balancers {
        Some(requested) => validate::load_balancers(rows, context, requested, &definition, &network)?,
        None => primary.load_balancers.clone(),
    };
    let strategy = match request.capacity_provider_strategy {
        Some(requested) => {
            let cluster = cluster::get_active(rows, context, request.cluster.as_deref())?;
            capacity_provider::check(&requested, &cluster.capacity_providers)?;
            requested
        }
        None => primary.capacity_provider_strategy.clone(),
    };
    let kept_ports = load_balancers.iter().all(|entry| {
        definition.container(&entry.container_name).is_some_and(|container| {
            container.port_mappings.iter().any(|mapping| mapping.container_port == entry.container_port)
        })
    });
    if !kept_ports {
        return Err(invalid(
            "The service's load balancers name a container and port that the task definition does not have.",
        ));
    }
    (service.minimum_healthy_percent, service.maximum_percent) = validate::percentages(
        &request.deployment_configuration,
        service.minimum_healthy_percent,
        service.maximum_percent,
    )?;
    service.circuit_breaker =
        request.deployment_configuration.deployment_circuit_breaker.unwrap_or(service.circuit_breaker);
    let alarms_before = service.alarms.clone();
    service.alarms = alarms::take(request.deployment_configuration.alarms, alarms_before.clone())?;
    if load_balancers.is_empty()
        && request.health_check_grace_period_seconds.is_some_and(|seconds| seconds > 0)
    {
        return Err(invalid(
            "Health check grace period is only valid for services configured to use load balancers",
        ));
    }
    service.health_check_grace_period_seconds = validate::grace_period(
        request.health_check_grace_period_seconds,
        service.health_check_grace_period_seconds,
    )?;
    if let Some(count) = request.desired_count {
        service.want(validate::count(count)?, context.now);
    }
    let mut redeploy = request.force_new_deployment;
    if let Some(version) = request.platform_version {
        let version = validate::platform_version(&version)?;
        redeploy |= version != service.platform_version;
        service.platform_version = version;
    }
    service.enable_ecs_managed_tags =
        request.enable_ecs_managed_tags.unwrap_or(service.enable_ecs_managed_tags);
    service.propagate_tags = request.propagate_tags.unwrap_or(service.propagate_tags);
    service.availability_zone_rebalancing = validate::rebalancing(
        request.availability_zone_rebalancing,
        service.availability_zone_rebalancing,
        service.maximum_percent,
    )?;
    let service_registries = match request.service_registries {
        Some(requested) => registry::take(rows, requested, &definition)?,
        None => primary.service_registries.clone(),
    };
    if !service_registries.iter().all(|kept| registry::fits(kept, &definition)) {
        return Err(invalid(
            "The service's registry names a container and port that the task definition does not have.",
        ));
    }
    let next = Deployment {
        service_registries,
        ..Deployment::begin(definition.arn(), network, load_balancers, strategy, context.now)
    };
    if redeploy || !next.is_like(&primary) {
        service.deploy(rows, next, context.now);
    } else {
        // A deployment that goes on goes on with the new settings.
        if service.alarms != alarms_before && primary.rollout_state == RolloutState::InProgress {
            let watched = service.watches(rows);
            if let Some(primary) = service.deployments.first_mut() {
                primary.watched = watched;
            }
        }
        record::change(rows, &service, context.now, |record| record.configure(&service));
    }
    let service = rows.put(service);
    Ok(OneService { service: service.print(rows, true) })
}
