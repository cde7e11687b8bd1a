//! `CreateService`.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, Empty, False, OnlyDefault};

use super::registry::{self, RegistryRequest};
use super::validate::{self, DeploymentConfiguration, DeploymentController, LoadBalancerRequest, Off};
use super::view::OneService;
use super::{Deployment, Failures, PropagateTags, Rebalancing, Service, ServiceStatus, alarms, record};
use crate::Context;
use crate::ecs::capacity_provider::{self, StrategyItem};
use crate::ecs::network::{self, NetworkConfiguration};
use crate::ecs::tag::{self, Tag};
use crate::ecs::{cluster, invalid, role, task_definition, valid_name};

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateService {
    cluster: Option<String>,
    service_name: String,
    task_definition: Option<String>,
    availability_zone_rebalancing: Option<Rebalancing>,
    #[serde(default)]
    load_balancers: Vec<LoadBalancerRequest>,
    desired_count: Option<i64>,
    client_token: Option<String>,
    launch_type: Option<String>,
    platform_version: Option<String>,
    #[serde(default)]
    deployment_configuration: DeploymentConfiguration,
    network_configuration: Option<NetworkConfiguration>,
    health_check_grace_period_seconds: Option<i64>,
    #[serde(default, rename = "deploymentController")]
    _deployment_controller: DeploymentController,
    tags: Option<Vec<Tag>>,
    #[serde(default, rename = "enableECSManagedTags")]
    enable_ecs_managed_tags: bool,
    propagate_tags: Option<PropagateTags>,
    #[serde(default, rename = "enableExecuteCommand")]
    _enable_execute_command: OnlyDefault<False>,
    scheduling_strategy: Option<String>,
    #[serde(default)]
    service_registries: Vec<RegistryRequest>,
    #[serde(default)]
    capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(default, rename = "role")]
    _role: OnlyDefault<Empty>,
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

/// Makes a service. Its tasks are started by [`crate::schedule`].
pub fn create(rows: &mut Tx, context: &Context, request: CreateService) -> Result<OneService, ApiError> {
    let cluster = cluster::get_active(rows, context, request.cluster.as_deref())?;
    valid_name("Service name", &request.service_name)?;
    let key = format!("{}{}", cluster.prefix(), request.service_name);
    if let Some(existing) = rows.get::<Service>(&key) {
        match existing.status {
            ServiceStatus::Active
                if request.client_token.is_some() && existing.client_token == request.client_token =>
            {
                return Ok(OneService { service: existing.print(rows, true) });
            }
            ServiceStatus::Active => return Err(invalid("Creation of service was not idempotent.")),
            ServiceStatus::Draining => {
                return Err(invalid("Unable to Start a service that is still Draining."));
            }
            ServiceStatus::Inactive => record::forget(rows, &existing),
        }
    }
    match request.scheduling_strategy.as_deref() {
        None | Some("" | "REPLICA") => {}
        Some("DAEMON") => {
            return Err(invalid("The DAEMON scheduling strategy is not supported for tasks on AWS Fargate."));
        }
        Some(other) => return Err(invalid(format!("Invalid scheduling strategy: {other}"))),
    }
    let strategy = capacity_provider::choose(
        &cluster,
        request.launch_type.as_deref().filter(|named| !named.is_empty()),
        request.capacity_provider_strategy,
    )?;
    let definition = request.task_definition.as_deref().filter(|named| !named.is_empty());
    let definition = definition.ok_or_else(|| invalid("TaskDefinition can not be blank."))?;
    let definition = task_definition::find_active(rows, context, definition)?;
    let count =
        request.desired_count.ok_or_else(|| invalid("desiredCount cannot be null for a replica service."))?;
    let desired_count = validate::count(count)?;
    let (minimum, maximum) = validate::percentages(&request.deployment_configuration, 100, 200)?;
    let network = network::take(rows, context, request.network_configuration)?;
    let load_balancers =
        validate::load_balancers(rows, context, request.load_balancers, &definition, &network)?;
    if load_balancers.is_empty()
        && request.health_check_grace_period_seconds.is_some_and(|seconds| seconds > 0)
    {
        return Err(invalid(
            "Health check grace period is only valid for services configured to use load balancers",
        ));
    }
    role::ensure_service_linked(rows, context);
    let rebalancing =
        validate::rebalancing(request.availability_zone_rebalancing, Rebalancing::Enabled, maximum)?;
    let mut service = Service {
        account: context.account.clone(),
        region: context.region.clone(),
        cluster: cluster.name.clone(),
        name: request.service_name,
        status: ServiceStatus::Active,
        desired_count,
        platform_version: validate::platform_version(
            request.platform_version.as_deref().unwrap_or_default(),
        )?,
        minimum_healthy_percent: minimum,
        maximum_percent: maximum,
        circuit_breaker: request.deployment_configuration.deployment_circuit_breaker.unwrap_or_default(),
        alarms: alarms::take(request.deployment_configuration.alarms, None)?,
        availability_zone_rebalancing: rebalancing,
        health_check_grace_period_seconds: validate::grace_period(
            request.health_check_grace_period_seconds,
            0,
        )?,
        enable_ecs_managed_tags: request.enable_ecs_managed_tags,
        propagate_tags: request.propagate_tags.unwrap_or_default(),
        deployments: Vec::new(),
        last_completed: None,
        record: String::new(),
        unhealthy: Vec::new(),
        held_back: Vec::new(),
        blocked: false,
        rebalancing: false,
        events: Vec::new(),
        steady: false,
        failures: Failures::default(),
        created_at: context.now,
        created_by: context.principal.arn(&context.account).to_string(),
        client_token: request.client_token,
        inactive_at: None,
        tags: tag::take(request.tags)?,
    };
    let service_registries = registry::take(rows, request.service_registries, &definition)?;
    let first = Deployment {
        service_registries,
        ..Deployment::begin(definition.arn(), network, load_balancers, strategy, context.now)
    };
    service.deploy(rows, first, context.now);
    let service = rows.put(service);
    Ok(OneService { service: service.print(rows, true) })
}
