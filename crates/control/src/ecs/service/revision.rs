//! Service revisions: what the tasks of a deployment were made from, kept after it ("Amazon ECS service revisions").

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use super::registry::ServiceRegistry;
use super::view::{PLATFORM_FAMILY, PLATFORM_VERSION};
use super::{Deployment, LoadBalancer, RolloutState, Service};
use crate::Context;
use crate::ecs::capacity_provider::StrategyItem;
use crate::ecs::network::{Network, NetworkView};
use crate::ecs::task_definition::TaskDefinition;
use crate::ecs::{Failure, invalid};

/// The most revisions and deployments that one call describes.
pub(super) const MOST: usize = 20;

/// A service revision. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    account: AccountId,
    region: Region,
    cluster: String,
    service: String,
    /// Nineteen digits.
    id: String,
    task_definition: String,
    network: Network,
    load_balancers: Vec<LoadBalancer>,
    #[serde(default)]
    service_registries: Vec<ServiceRegistry>,
    capacity_provider_strategy: Vec<StrategyItem>,
    containers: Vec<ContainerImage>,
    created_at: Timestamp,
}

/// A container's image, as the task definition spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerImage {
    container_name: String,
    image: String,
}

impl Row for Revision {
    const TABLE: &'static str = "ecs_service_revision";

    fn key(&self) -> String {
        format!("{}/{}/{}/{}/{}", self.account, self.region, self.cluster, self.service, self.id)
    }
}

impl Revision {
    /// What a deployment's tasks are made from.
    pub(super) fn new(
        service: &Service,
        deployment: &Deployment,
        definition: Option<&TaskDefinition>,
        now: Timestamp,
    ) -> Self {
        let containers = definition.map(|definition| definition.containers.as_slice()).unwrap_or_default();
        Self {
            account: service.account.clone(),
            region: service.region.clone(),
            cluster: service.cluster.clone(),
            service: service.name.clone(),
            id: deployment.revision().to_owned(),
            task_definition: deployment.task_definition.clone(),
            network: deployment.network.clone(),
            load_balancers: deployment.load_balancers.clone(),
            service_registries: deployment.service_registries.clone(),
            capacity_provider_strategy: deployment.capacity_provider_strategy.clone(),
            containers: containers
                .iter()
                .map(|container| ContainerImage {
                    container_name: container.name.clone(),
                    image: container.image.clone(),
                })
                .collect(),
            created_at: now,
        }
    }

    /// Nineteen digits.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A deployment of it that begins again.
    pub(super) fn deployment(&self) -> Deployment {
        Deployment {
            id: format!("ecs-svc/{}", self.id),
            task_definition: self.task_definition.clone(),
            network: self.network.clone(),
            load_balancers: self.load_balancers.clone(),
            service_registries: self.service_registries.clone(),
            capacity_provider_strategy: self.capacity_provider_strategy.clone(),
            failed_tasks: 0,
            proven: false,
            rollback: false,
            watched: false,
            baking_since: None,
            alarmed: Vec::new(),
            rollout_state: RolloutState::InProgress,
            created_at: self.created_at,
            updated_at: self.created_at,
        }
    }

    fn print(&self) -> RevisionView {
        let arn = |resource: String| crate::ecs::arn(&self.account, &self.region, &resource);
        let launch_type = self.capacity_provider_strategy.is_empty().then_some("FARGATE");
        RevisionView {
            service_revision_arn: arn(format!(
                "service-revision/{}/{}/{}",
                self.cluster, self.service, self.id
            )),
            service_arn: arn(format!("service/{}/{}", self.cluster, self.service)),
            cluster_arn: arn(format!("cluster/{}", self.cluster)),
            task_definition: self.task_definition.clone(),
            capacity_provider_strategy: self.capacity_provider_strategy.clone(),
            launch_type,
            platform_version: PLATFORM_VERSION,
            platform_family: PLATFORM_FAMILY,
            load_balancers: self.load_balancers.clone(),
            service_registries: self.service_registries.clone(),
            network_configuration: (&self.network).into(),
            container_images: self.containers.clone(),
            guard_duty_enabled: false,
            created_at: self.created_at.epoch_seconds(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisionView {
    service_revision_arn: String,
    service_arn: String,
    cluster_arn: String,
    task_definition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_type: Option<&'static str>,
    platform_version: &'static str,
    platform_family: &'static str,
    load_balancers: Vec<LoadBalancer>,
    service_registries: Vec<ServiceRegistry>,
    network_configuration: NetworkView,
    container_images: Vec<ContainerImage>,
    guard_duty_enabled: bool,
    created_at: f64,
}

/// `DescribeServiceRevisions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeServiceRevisions {
    service_revision_arns: Vec<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionList {
    service_revisions: Vec<RevisionView>,
    failures: Vec<Failure>,
}

/// Describes the revisions named.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeServiceRevisions,
) -> Result<RevisionList, ApiError> {
    let arns = request.service_revision_arns;
    if arns.is_empty() || arns.len() > MOST {
        return Err(invalid(format!("serviceRevisionArns must name 1 to {MOST} service revisions.")));
    }
    let mut list = RevisionList { service_revisions: Vec::new(), failures: Vec::new() };
    let prefix = crate::ecs::arn(&context.account, &context.region, "service-revision/");
    for arn in &arns {
        let below = arn.strip_prefix(&*prefix);
        match below.and_then(|below| rows.get::<Revision>(&context.key(below))) {
            Some(revision) => list.service_revisions.push(revision.print()),
            None => list.failures.push(Failure::missing(context, "service-revision/", arn)),
        }
    }
    Ok(list)
}
