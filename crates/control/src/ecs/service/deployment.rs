//! A deployment: one rollout of a service revision, and how one takes another's place.

use serde::{Deserialize, Serialize};
use store::{Row, Tx};
use types::Timestamp;

use super::record::{self, Record};
use super::registry::ServiceRegistry;
use super::revision::Revision;
use super::{Failures, LoadBalancer, Service};
use crate::ecs::capacity_provider::StrategyItem;
use crate::ecs::network::Network;
use crate::ecs::task_definition;

/// One rollout: what its tasks are made from, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and the nineteen digits of its service revision.
    pub id: String,
    /// The task definition's ARN.
    pub task_definition: String,
    /// Where its tasks are.
    pub network: Network,
    /// Which target groups its tasks join.
    pub load_balancers: Vec<LoadBalancer>,
    /// Which Cloud Map service its tasks are registered with.
    #[serde(default)]
    pub service_registries: Vec<ServiceRegistry>,
    /// Which capacity providers its tasks take; none: the launch type is FARGATE.
    #[serde(default)]
    pub capacity_provider_strategy: Vec<StrategyItem>,
    /// How many of its tasks failed before one was well.
    pub failed_tasks: u32,
    /// Whether one of its tasks was well: from then on failed ones are not counted ("failedTasks").
    #[serde(default)]
    pub proven: bool,
    /// Whether it is rolled back to.
    #[serde(default)]
    pub rollback: bool,
    /// Whether the service's alarms are watched for it.
    #[serde(default)]
    pub watched: bool,
    /// Since when it has all of its tasks, and they are watched yet.
    #[serde(default)]
    pub baking_since: Option<Timestamp>,
    /// The alarms that gave it up, or because of which it is rolled back to.
    #[serde(default)]
    pub alarmed: Vec<String>,
    /// How far it is.
    pub rollout_state: RolloutState,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks start and stop.
    InProgress,
    /// It reached the steady state.
    Completed,
    /// The circuit breaker or an alarm gave it up: it starts no more tasks.
    Failed,
}

impl Deployment {
    /// A deployment that begins.
    pub fn begin(
        task_definition: String,
        network: Network,
        load_balancers: Vec<LoadBalancer>,
        capacity_provider_strategy: Vec<StrategyItem>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: format!("ecs-svc/{}", digits()),
            task_definition,
            network,
            load_balancers,
            service_registries: Vec::new(),
            capacity_provider_strategy,
            failed_tasks: 0,
            proven: false,
            rollback: false,
            watched: false,
            baking_since: None,
            alarmed: Vec::new(),
            rollout_state: RolloutState::InProgress,
            created_at: now,
            updated_at: now,
        }
    }

    /// The id of its service revision.
    pub fn revision(&self) -> &str {
        self.id.trim_start_matches("ecs-svc/")
    }

    /// Whether its tasks are made from the same as another's.
    pub fn is_like(&self, other: &Self) -> bool {
        self.service_registries == other.service_registries
            && (&self.task_definition, &self.network, &self.load_balancers, &self.capacity_provider_strategy)
                == (
                    &other.task_definition,
                    &other.network,
                    &other.load_balancers,
                    &other.capacity_provider_strategy,
                )
    }

    /// Why it was given up.
    fn failure(&self) -> &'static str {
        if self.alarmed.is_empty() { "tasks failed to start" } else { "alarm detected" }
    }

    /// Whether the service's alarms may give it up now.
    pub fn is_watched(&self) -> bool {
        self.watched && self.rollout_state == RolloutState::InProgress
    }

    /// AWS's words for how far it is.
    pub fn rollout_reason(&self) -> String {
        let by = if self.alarmed.is_empty() { "circuit breaker" } else { "alarm" };
        match self.rollout_state {
            RolloutState::InProgress if self.rollback => {
                format!("ECS deployment {by}: rolling back to deploymentId {}.", self.id)
            }
            RolloutState::InProgress => format!("ECS deployment {} in progress.", self.id),
            RolloutState::Completed => format!("ECS deployment {} completed.", self.id),
            RolloutState::Failed => format!("ECS deployment {by}: {}.", self.failure()),
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

impl Service {
    /// Begins a deployment; the tasks of those before it are replaced. It is recorded with its revision, and what was
    /// under way is recorded as stopped.
    pub fn deploy(&mut self, rows: &mut Tx, mut next: Deployment, now: Timestamp) {
        next.watched = self.watches(rows);
        let sources = record::sources(rows, self);
        record::change(rows, self, now, |running| {
            running
                .stop("Service deployment was stopped because a newer service deployment was started.", now);
        });
        let definition = task_definition::get(rows, &next.task_definition);
        rows.put(Revision::new(self, &next, definition.as_deref(), now));
        self.install(next);
        let made = Record::begin(self, sources, now);
        self.record.clone_from(&made.id);
        rows.put(made);
        record::prune(rows, self);
    }

    /// Puts a deployment before the others.
    pub fn install(&mut self, next: Deployment) {
        self.deployments.retain(|known| known.id != next.id);
        self.deployments.insert(0, next);
        self.failures = Failures::default();
        self.steady = false;
    }

    /// The primary deployment is given up: by these alarms, or by the circuit breaker where there are none.
    pub fn fail(&mut self, alarms: Vec<String>, now: Timestamp) {
        let Some(primary) = self.deployments.first_mut() else { return };
        primary.rollout_state = RolloutState::Failed;
        primary.alarmed = alarms;
        primary.updated_at = now;
        let words = format!("(deployment {}) deployment failed: {}.", primary.id, primary.failure());
        self.event(now, words);
    }

    /// The deployment that is rolled back to, if there is one: the last one that completed, and is not the primary one.
    pub fn rollback_target(&self) -> Option<&str> {
        let primary = self.primary()?;
        self.last_completed.as_deref().filter(|last| *last != primary.id)
    }

    /// Makes the last completed deployment the primary one again, as it is still known or from its revision.
    pub(crate) fn roll_back(&mut self, rows: &Tx, now: Timestamp) {
        let Some(id) = self.rollback_target().map(str::to_owned) else { return };
        let known = self.deployments.iter().find(|known| known.id == id).cloned();
        let revision = || {
            let revision = id.trim_start_matches("ecs-svc/");
            rows.get::<Revision>(&format!("{}/{revision}", self.key())).map(|revision| revision.deployment())
        };
        if let Some(mut next) = known.or_else(revision) {
            next.watched = self.watches(rows);
            self.go_back_to(next, now);
        }
    }

    /// Makes a deployment that was complete the primary one again.
    pub fn go_back_to(&mut self, mut next: Deployment, now: Timestamp) {
        next.rollout_state = RolloutState::InProgress;
        next.rollback = true;
        next.proven = false;
        next.failed_tasks = 0;
        next.baking_since = None;
        next.alarmed = self.primary().map(|primary| primary.alarmed.clone()).unwrap_or_default();
        next.updated_at = now;
        self.event(now, format!("rolling back to deployment {}.", next.id));
        self.install(next);
    }
}
