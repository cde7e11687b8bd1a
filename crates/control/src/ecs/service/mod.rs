//! Services: how many tasks of which task definition run where, and which target groups they join.

pub mod alarms;
pub mod create;
pub mod delete;
pub mod deployment;
pub mod describe;
pub mod record;
pub mod record_describe;
pub mod registry;
pub mod revision;
pub mod update;
mod validate;
pub mod view;

use serde::{Deserialize, Serialize};
use store::Row;
use types::{AccountId, Region, TaskId, Timestamp};

pub use alarms::{DeploymentAlarms, found_by_alarm};
pub use deployment::{Deployment, RolloutState};
pub(super) use validate::platform_version;
pub(super) use view::{PLATFORM_FAMILY, PLATFORM_VERSION};

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
    /// Whether a deployment whose tasks keep failing is given up.
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
    /// The alarms that give a deployment up.
    #[serde(default)]
    pub alarms: Option<DeploymentAlarms>,
    /// Whether running tasks are moved when the zones have come out of balance. Each start goes to the zone with the
    /// fewest tasks, and each stop takes from the one with the most, either way.
    pub availability_zone_rebalancing: Rebalancing,
    /// Seconds in which bad health does not count.
    pub health_check_grace_period_seconds: u32,
    /// Whether tasks get the tags `aws:ecs:clusterName` and `aws:ecs:serviceName`.
    pub enable_ecs_managed_tags: bool,
    /// Whose tags tasks get.
    pub propagate_tags: PropagateTags,
    /// The primary deployment first, then the newest. Never empty.
    pub deployments: Vec<Deployment>,
    /// The id of the last deployment that completed: what a rollback goes back to.
    #[serde(default)]
    pub last_completed: Option<String>,
    /// The id of the record of the latest deployment.
    #[serde(default)]
    pub record: String,
    /// The tasks that were said to be unhealthy.
    #[serde(default)]
    pub unhealthy: Vec<TaskId>,
    /// The deployments of which it was said that protected tasks hold them up.
    #[serde(default)]
    pub held_back: Vec<HeldBack>,
    /// Whether it was said that its percentages let a deployment replace no task.
    #[serde(default)]
    pub blocked: bool,
    /// Whether it was said that the zones are out of balance.
    #[serde(default)]
    pub rebalancing: bool,
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

/// `deploymentCircuitBreaker`: whether a deployment whose tasks keep failing is given up, and the last one that
/// completed takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// It is given up.
    pub enable: bool,
    /// The last one that completed takes its place.
    pub rollback: bool,
}

impl CircuitBreaker {
    /// How many failed tasks it takes, for so many desired ones: half of them, rounded up, from 3 to 200 ("How the Amazon
    /// ECS deployment circuit breaker detects failures").
    pub fn threshold(desired: u32) -> u32 {
        desired.div_ceil(2).clamp(3, 200)
    }
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

/// A deployment some of whose tasks should end, and do not, as they are protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The deployment.
    pub deployment: String,
    /// What waits for them.
    pub waits: Waits,
    /// How many of its tasks are protected.
    pub protected: usize,
}

/// What waits for protected tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waits {
    /// A smaller count of tasks.
    ScaleIn,
    /// A newer deployment.
    Deployment,
    /// The balance of the zones.
    Rebalancing,
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

    /// By the target groups that its tasks join, and by the alarms that its deployment is watched by.
    fn found_by(&self) -> Vec<String> {
        if self.status == ServiceStatus::Inactive {
            return Vec::new();
        }
        let groups = self.deployments.iter().flat_map(|deployment| &deployment.load_balancers);
        let groups = groups.map(|entry| format!("{}{}", found_by_group(&entry.target_group_arn), self.key()));
        let watched = self.primary().is_some_and(Deployment::is_watched);
        let alarms = self.alarm_keys().filter(|_| watched);
        groups.chain(alarms.map(|alarm| format!("{}{}", found_by_alarm(&alarm), self.key()))).collect()
    }
}

/// The prefix under which the services and tasks of a target group are found.
pub fn found_by_group(arn: &str) -> String {
    format!("group/{arn}/")
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

    /// Wants another number of tasks from now on.
    pub fn want(&mut self, count: u32, now: Timestamp) {
        if count == self.desired_count {
            return;
        }
        self.desired_count = count;
        self.steady = false;
        if let Some(primary) = self.deployments.first_mut() {
            primary.updated_at = now;
        }
    }

    /// Adds an event.
    pub fn event(&mut self, at: Timestamp, words: impl std::fmt::Display) {
        let message = format!("(service {}) {words}", self.name);
        self.record_event(at, message);
    }

    /// Adds an event of a deployment's tasks.
    pub fn task_set_event(&mut self, at: Timestamp, deployment: &str, words: impl std::fmt::Display) {
        let message = format!("(service {}, taskSet {deployment}) {words}", self.name);
        self.record_event(at, message);
    }

    fn record_event(&mut self, at: Timestamp, message: String) {
        self.events.insert(0, Event { id: super::uuid(), at, message });
        self.events.truncate(EVENTS);
    }

    /// The prefix under which its tasks that are not STOPPED are found.
    pub fn tasks_prefix(&self) -> String {
        super::task::found_by_service(&self.key())
    }
}
