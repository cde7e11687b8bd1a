//! Services: how many tasks of which task definition run where, and which target groups they join.

pub mod create;
pub mod delete;
pub mod describe;
pub mod update;
mod validate;
pub mod view;

use serde::{Deserialize, Serialize};
use store::Row;
use types::{AccountId, Region, Timestamp};

pub(super) use validate::platform_version;
pub(super) use view::{PLATFORM_FAMILY, PLATFORM_VERSION};

use super::network::Network;
use super::tag::Tags;

/// How many events a service keeps, the newest first ("Service event messages").
const EVENTS: usize = 100;

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its cluster's name.
    pub cluster: String,
    /// Its name, unique in the cluster.
    pub name: String,
    /// Where it is in its life.
    pub status: ServiceStatus,
    /// How many tasks there shall be.
    pub desired_count: u32,
    /// `LATEST` or `1.4.0`, as requested.
    pub platform_version: String,
    /// How many of the desired tasks stay healthy while a deployment goes on, in percent, rounded up.
    pub minimum_healthy_percent: u32,
    /// How many tasks may run or start meanwhile, in percent, rounded down.
    pub maximum_percent: u32,
    /// Whether tasks are kept spread over the zones. They always are: each start goes to the zone with the fewest
    /// tasks, each stop takes from the one with the most.
    pub availability_zone_rebalancing: Rebalancing,
    /// Seconds in which bad health does not count.
    pub health_check_grace_period_seconds: u32,
    /// Whether tasks get the tags `aws:ecs:clusterName` and `aws:ecs:serviceName`.
    pub enable_ecs_managed_tags: bool,
    /// Whose tags tasks get.
    pub propagate_tags: PropagateTags,
    /// The newest deployment first: it is the primary one. Never empty.
    pub deployments: Vec<Deployment>,
    /// The newest first.
    pub events: Vec<Event>,
    /// Whether the steady state was announced since the last change.
    pub steady: bool,
    /// How often in a row its tasks failed.
    pub failures: Failures,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// The token of the call that made it.
    pub client_token: Option<String>,
    /// When it became INACTIVE.
    pub inactive_at: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceStatus {
    /// It keeps its tasks running.
    Active,
    /// It was deleted, and its tasks end.
    Draining,
    /// Its tasks have ended.
    Inactive,
}

/// See [`Service::availability_zone_rebalancing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rebalancing {
    /// The default of CreateService.
    Enabled,
    /// As requested.
    Disabled,
}

/// Whose tags a task gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// Nobody's.
    #[default]
    None,
    /// The service's.
    Service,
    /// The task definition's.
    TaskDefinition,
}

/// One rollout of a task definition: what its tasks are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and nineteen digits.
    pub id: String,
    /// The task definition's ARN.
    pub task_definition: String,
    /// Where its tasks are.
    pub network: Network,
    /// Which target groups its tasks join.
    pub load_balancers: Vec<LoadBalancer>,
    /// How many of its tasks failed.
    pub failed_tasks: u32,
    /// How far it is.
    pub rollout_state: RolloutState,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A target group that tasks join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// The target group.
    pub target_group_arn: String,
    /// The container that listens.
    pub container_name: String,
    /// Its port.
    pub container_port: u16,
}

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks start and stop.
    InProgress,
    /// It reached the steady state.
    Completed,
}

/// A line of a service's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// A random id.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in ECS's words.
    pub message: String,
}

/// The back-off of a service whose tasks fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Failures {
    /// How many rounds in a row failed.
    pub rounds: u32,
    /// When the last of them did.
    pub last_at: Option<Timestamp>,
    /// Until then no task is started.
    pub retry_at: Option<Timestamp>,
}

impl Row for Service {
    const TABLE: &'static str = "ecs_service";

    fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.account, self.region, self.cluster, self.name)
    }
}

impl Service {
    /// Its ARN.
    pub fn arn(&self) -> String {
        super::arn(&self.account, &self.region, &format!("service/{}/{}", self.cluster, self.name))
    }

    /// Its cluster's ARN.
    pub fn cluster_arn(&self) -> String {
        super::arn(&self.account, &self.region, &format!("cluster/{}", self.cluster))
    }

    /// Whether it keeps tasks running.
    pub fn is_active(&self) -> bool {
        self.status == ServiceStatus::Active
    }

    /// Whether its tasks end.
    pub fn is_draining(&self) -> bool {
        self.status == ServiceStatus::Draining
    }

    /// The deployment that new tasks are made from.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.first()
    }

    /// Adds an event.
    pub fn event(&mut self, at: Timestamp, words: impl std::fmt::Display) {
        let message = format!("(service {}) {words}", self.name);
        self.events.insert(0, Event { id: super::uuid(), at, message });
        self.events.truncate(EVENTS);
    }

    /// Begins a deployment; the tasks of those before it are replaced.
    pub fn deploy(&mut self, deployment: Deployment) {
        self.deployments.insert(0, deployment);
        self.failures = Failures::default();
        self.steady = false;
    }
}

impl Deployment {
    /// A deployment that begins.
    pub fn begin(
        task_definition: String,
        network: Network,
        load_balancers: Vec<LoadBalancer>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: format!("ecs-svc/{}", digits()),
            task_definition,
            network,
            load_balancers,
            failed_tasks: 0,
            rollout_state: RolloutState::InProgress,
            created_at: now,
            updated_at: now,
        }
    }

    /// AWS's words for how far it is.
    pub fn rollout_reason(&self) -> String {
        match self.rollout_state {
            RolloutState::InProgress => format!("ECS deployment {} in progress.", self.id),
            RolloutState::Completed => format!("ECS deployment {} completed.", self.id),
        }
    }
}

/// Nineteen random digits, the first not zero.
fn digits() -> String {
    let hex = types::random_hex(15);
    let number = u64::from_str_radix(&hex, 16).unwrap_or_default();
    // Fifteen hexadecimal digits are fewer than 2^60, so that the sum stays below 10^19.
    (1_000_000_000_000_000_000 + number).to_string()
}
