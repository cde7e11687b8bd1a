//! What CreateService and UpdateService check in the same way.

use serde::Deserialize;
use store::Snapshot;
use wire::{ApiError, DocumentedDefault, Empty, OnlyDefault};

use super::{CircuitBreaker, DeploymentAlarms, LoadBalancer, Rebalancing};
use crate::Context;
use crate::ecs::network::{self, Network};
use crate::ecs::task_definition::TaskDefinition;
use crate::ecs::{TransportProtocol, client, invalid};
use crate::elbv2::target_group;

/// The most target groups of a service ("Registering multiple target groups").
const MOST_GROUPS: usize = 5;

wire::documented_default!(
    /// The one deployment strategy.
    Rolling = "ROLLING"
);
wire::documented_default!(
    /// The one deployment controller.
    Ecs = "ECS"
);
wire::documented_default!(
    /// No time between the strategy's steps.
    Zero = "0"
);

/// For [`OnlyDefault`]: an object whose members all have their defaults (`{"enable": false, "rollback": false}`).
#[derive(Debug)]
pub(crate) enum Off {}

impl DocumentedDefault for Off {
    const TEXT: &'static str = "an object that turns it off";

    fn is_default(value: &serde_json::Value) -> bool {
        let nothing = |value: &serde_json::Value| match value {
            serde_json::Value::Bool(on) => !on,
            serde_json::Value::Array(items) => items.is_empty(),
            other => other.is_null(),
        };
        value.as_object().is_some_and(|members| members.values().all(nothing))
    }
}

/// `deploymentConfiguration`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeploymentConfiguration {
    /// In percent.
    pub maximum_percent: Option<i64>,
    /// In percent.
    pub minimum_healthy_percent: Option<i64>,
    /// Absent: off when the service is made, as it was when it is changed.
    pub deployment_circuit_breaker: Option<CircuitBreaker>,
    /// Absent: none when the service is made, as they were when it is changed.
    pub alarms: Option<DeploymentAlarms>,
    #[serde(default, rename = "strategy")]
    _strategy: OnlyDefault<Rolling>,
    #[serde(default, rename = "bakeTimeInMinutes")]
    _bake_time_in_minutes: OnlyDefault<Zero>,
    #[serde(default, rename = "lifecycleHooks")]
    _lifecycle_hooks: OnlyDefault<Empty>,
    #[serde(default, rename = "linearConfiguration")]
    _linear_configuration: OnlyDefault<Empty>,
    #[serde(default, rename = "canaryConfiguration")]
    _canary_configuration: OnlyDefault<Empty>,
}

/// `deploymentController`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentController {
    #[serde(default, rename = "type")]
    _type: OnlyDefault<Ecs>,
}

/// An entry of `loadBalancers`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoadBalancerRequest {
    target_group_arn: Option<String>,
    container_name: Option<String>,
    container_port: Option<i64>,
    #[serde(default, rename = "loadBalancerName")]
    _load_balancer_name: OnlyDefault<Empty>,
    #[serde(default, rename = "advancedConfiguration")]
    _advanced_configuration: OnlyDefault<Empty>,
}

/// The two percentages of a rolling update.
///
/// # Errors
/// When they leave no room for any change.
pub(crate) fn percentages(
    requested: &DeploymentConfiguration,
    minimum: u32,
    maximum: u32,
) -> Result<(u32, u32), ApiError> {
    let take = |value: Option<i64>, default: u32, name: &str, most: u32| match value {
        None => Ok(default),
        Some(value) => u32::try_from(value)
            .ok()
            .filter(|value| *value <= most)
            .ok_or_else(|| invalid(format!("{name} must be from 0 to {most}."))),
    };
    let minimum = take(requested.minimum_healthy_percent, minimum, "minimumHealthyPercent", 100)?;
    let maximum = take(requested.maximum_percent, maximum, "maximumPercent", 10_000)?;
    if maximum < 100 {
        return Err(invalid("maximumPercent must be at least 100 for a service of tasks that are replicas."));
    }
    if maximum == 100 && minimum == 100 {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    Ok((minimum, maximum))
}

/// Whether zones are kept in balance: on CreateService ENABLED unless `maximumPercent` leaves no room for it.
///
/// # Errors
/// When it is asked for and there is no room ("Balancing an Amazon ECS service across Availability Zones").
pub(crate) fn rebalancing(
    requested: Option<Rebalancing>,
    current: Rebalancing,
    maximum: u32,
) -> Result<Rebalancing, ApiError> {
    match requested {
        Some(Rebalancing::Enabled) if maximum <= 100 => Err(invalid(
            "Availability Zone rebalancing does not support a maximumPercent of 100 or less. Increase maximumPercent and try again.",
        )),
        Some(requested) => Ok(requested),
        None if maximum <= 100 => Ok(Rebalancing::Disabled),
        None => Ok(current),
    }
}

/// A count of tasks.
///
/// # Errors
/// When it is negative, or beyond the quota of tasks a service ("Amazon ECS service quotas": 5,000).
pub(crate) fn count(requested: i64) -> Result<u32, ApiError> {
    u32::try_from(requested)
        .ok()
        .filter(|count| *count <= 5000)
        .ok_or_else(|| invalid("desiredCount must be from 0 to 5000."))
}

/// The one platform version.
///
/// # Errors
/// ECS's own code for a version that there is not.
pub(crate) fn platform_version(requested: &str) -> Result<String, ApiError> {
    match requested {
        "" | "LATEST" => Ok("LATEST".to_owned()),
        "1.4.0" => Ok("1.4.0".to_owned()),
        _ => Err(ApiError::new(
            "PlatformUnknownException",
            format!("The specified platform version does not exist: {requested}"),
        )),
    }
}

/// Seconds of a grace period ("healthCheckGracePeriodSeconds": up to 2,147,483,647).
///
/// # Errors
/// Out of that range.
pub(crate) fn grace_period(requested: Option<i64>, current: u32) -> Result<u32, ApiError> {
    let Some(requested) = requested else { return Ok(current) };
    u32::try_from(requested)
        .ok()
        .filter(|seconds| i32::try_from(*seconds).is_ok())
        .ok_or_else(|| invalid("healthCheckGracePeriodSeconds must be from 0 to 2147483647."))
}

/// Checks which target groups tasks join.
///
/// # Errors
/// In ECS's words. A group that no listener uses is refused: clients (Terraform) ask again until one does.
pub(crate) fn load_balancers(
    rows: &Snapshot,
    context: &Context,
    requested: Vec<LoadBalancerRequest>,
    definition: &TaskDefinition,
    network: &Network,
) -> Result<Vec<LoadBalancer>, ApiError> {
    if requested.len() > MOST_GROUPS {
        return Err(invalid(format!("load balancers can have at most {MOST_GROUPS} items.")));
    }
    let vpc = network::vpc(rows, context, network);
    let mut taken = Vec::new();
    for entry in requested {
        let arn = entry.target_group_arn.filter(|arn| !arn.is_empty());
        let arn = arn.ok_or_else(|| invalid("loadBalancers.targetGroupArn cannot be empty."))?;
        let name = entry.container_name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("loadBalancers.containerName cannot be empty."))?;
        let port = entry.container_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        let port = port.ok_or_else(|| invalid("loadBalancers.containerPort must be from 1 to 65535."))?;
        let Some(container) = definition.container(&name) else {
            return Err(invalid(format!("The container {name} does not exist in the task definition.")));
        };
        let maps = container
            .port_mappings
            .iter()
            .any(|mapping| mapping.container_port == port && mapping.protocol == TransportProtocol::Tcp);
        if !maps {
            return Err(invalid(format!(
                "The container {name} did not have a container port {port} defined."
            )));
        }
        let group = target_group::get(rows, &arn).ok_or_else(|| {
            invalid(format!("The specified target group does not exist. (targetGroupArn: {arn})"))
        })?;
        if vpc.as_ref().is_some_and(|vpc| *vpc.as_str() != *group.vpc_id) {
            return Err(invalid(format!(
                "The target group {arn} is in another VPC than the subnets of the service."
            )));
        }
        if group.load_balancer_arns.is_empty() {
            return Err(invalid(format!(
                "The target group with targetGroupArn {arn} does not have an associated load balancer."
            )));
        }
        let entry = LoadBalancer { target_group_arn: arn, container_name: name, container_port: port };
        if taken.contains(&entry) {
            return Err(client("A target group can be given once for each container and port."));
        }
        taken.push(entry);
    }
    Ok(taken)
}
