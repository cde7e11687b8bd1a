//! The records of deployments, kept after them: what DescribeServiceDeployments shows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};

use super::revision::Revision;
use super::{CircuitBreaker, Deployment, DeploymentAlarms, Service};
use crate::ecs::task::{LastStatus, Task};

/// How many records a service keeps. AWS keeps them for 90 days.
const KEPT: usize = 50;

/// What became of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its cluster's name.
    pub cluster: String,
    /// Its service's name.
    pub service: String,
    /// The last part of its ARN.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// Why it ended so.
    pub status_reason: Option<String>,
    /// The revision that is rolled out.
    pub target: String,
    /// What ran when it began.
    pub sources: Vec<Source>,
    /// In percent.
    pub minimum_healthy_percent: u32,
    /// In percent.
    pub maximum_percent: u32,
    /// The circuit breaker's settings.
    pub circuit_breaker: CircuitBreaker,
    /// What the circuit breaker did.
    pub monitor: Monitor,
    /// The alarms that may give it up.
    #[serde(default)]
    pub alarms: Option<DeploymentAlarms>,
    /// What they did.
    #[serde(default)]
    pub alarm_monitor: Monitor,
    /// Those that gave it up.
    #[serde(default)]
    pub triggered: Vec<String>,
    /// How many tasks had failed.
    pub failed_tasks: u32,
    /// How many may not.
    pub threshold: u32,
    /// How it was taken back.
    pub rollback: Option<Rollback>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it reached its end.
    pub finished_at: Option<Timestamp>,
    /// When it was stopped.
    pub stopped_at: Option<Timestamp>,
}

/// How far a deployment is, in the words of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It is asked for, and nothing has begun. None stays so here.
    Pending,
    /// Tasks start and stop.
    InProgress,
    /// It reached the steady state.
    Successful,
    /// It was given up, or another took its place.
    Stopped,
    /// Its end is asked for. None stays so here.
    StopRequested,
    /// StopServiceDeployment asked to take it back.
    RollbackRequested,
    /// The last completed revision is rolled out again.
    RollbackInProgress,
    /// That one reached the steady state.
    RollbackSuccessful,
    /// That one failed too.
    RollbackFailed,
}

/// A revision that ran when a deployment began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its id.
    pub revision: String,
    /// How many tasks it should have had.
    pub requested: usize,
    /// How many ran.
    pub running: usize,
    /// How many started.
    pub pending: usize,
}

/// Where the circuit breaker is, or what watches the alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Monitor {
    /// It is off.
    #[default]
    Disabled,
    /// It counts, or watches.
    Monitoring,
    /// It gave the deployment up.
    Triggered,
    /// The deployment ended without it.
    MonitoringComplete,
}

/// How a deployment was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// When.
    pub started_at: Timestamp,
    /// To which revision.
    pub revision: String,
}

impl Row for Record {
    const TABLE: &'static str = "ecs_service_deployment";

    fn key(&self) -> String {
        format!("{}{}", prefix(&self.account, &self.region, &self.cluster, &self.service), self.id)
    }
}

/// The prefix of the keys of a service's records and revisions.
fn prefix(account: &AccountId, region: &Region, cluster: &str, service: &str) -> String {
    format!("{account}/{region}/{cluster}/{service}/")
}

impl Status {
    /// Whether it goes on.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Status::Pending
                | Status::InProgress
                | Status::StopRequested
                | Status::RollbackRequested
                | Status::RollbackInProgress
        )
    }
}

impl Record {
    /// The record of the primary deployment, which begins.
    pub(super) fn begin(service: &Service, sources: Vec<Source>, now: Timestamp) -> Self {
        let target = service.primary().map(|primary| primary.revision().to_owned()).unwrap_or_default();
        let mut record = Self {
            account: service.account.clone(),
            region: service.region.clone(),
            cluster: service.cluster.clone(),
            service: service.name.clone(),
            id: types::random_hex(22),
            status: Status::InProgress,
            status_reason: None,
            target,
            sources,
            minimum_healthy_percent: 0,
            maximum_percent: 0,
            circuit_breaker: CircuitBreaker::default(),
            monitor: if service.circuit_breaker.enable { Monitor::Monitoring } else { Monitor::Disabled },
            alarms: None,
            alarm_monitor: Monitor::Disabled,
            triggered: Vec::new(),
            failed_tasks: 0,
            threshold: CircuitBreaker::threshold(service.desired_count),
            rollback: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
            stopped_at: None,
        };
        record.configure(service);
        record
    }

    /// Takes a service's settings over, as a deployment that goes on does.
    pub(super) fn configure(&mut self, service: &Service) {
        self.minimum_healthy_percent = service.minimum_healthy_percent;
        self.maximum_percent = service.maximum_percent;
        self.circuit_breaker = service.circuit_breaker;
        self.alarms.clone_from(&service.alarms);
        if self.rollback.is_none() {
            let watched = service.primary().is_some_and(Deployment::is_watched);
            let is_on = watched && !service.alarm_names().is_empty();
            self.alarm_monitor = if is_on { Monitor::Monitoring } else { Monitor::Disabled };
        }
    }

    /// It ends before it was complete.
    pub fn stop(&mut self, reason: &str, now: Timestamp) {
        self.status = Status::Stopped;
        self.status_reason = Some(reason.to_owned());
        self.stopped_at = Some(now);
        self.finished_at = Some(now);
        self.unmonitored();
    }

    /// The primary deployment reached the steady state.
    pub fn complete(&mut self, now: Timestamp) {
        let back = self.rollback.is_some();
        self.status = if back { Status::RollbackSuccessful } else { Status::Successful };
        self.finished_at = Some(now);
        self.unmonitored();
    }

    /// It was given up: by these alarms, or by the circuit breaker where there are none. `to`: the revision that takes its
    /// place.
    pub fn trip(&mut self, to: Option<&str>, alarms: &[String], now: Timestamp) {
        let reason = match alarms {
            [] => "circuit breaker threshold was exceeded.".to_owned(),
            names => format!("alarm was detected: {}.", names.join(", ")),
        };
        if self.rollback.is_some() {
            self.status = Status::RollbackFailed;
            self.status_reason = Some(format!("Service deployment rollback failed because the {reason}"));
            self.finished_at = Some(now);
            self.unmonitored();
            return;
        }
        match alarms {
            [] => self.monitor = Monitor::Triggered,
            names => {
                self.alarm_monitor = Monitor::Triggered;
                self.triggered = names.to_vec();
            }
        }
        match to {
            Some(_) => {
                self.take_back(format!("Service deployment rolled back because the {reason}"), to, now);
            }
            None => {
                self.stop(&format!("Service deployment stopped because the {reason}"), now);
            }
        }
    }

    /// Another revision is rolled out in its place.
    pub fn take_back(&mut self, reason: String, to: Option<&str>, now: Timestamp) {
        self.status = Status::RollbackInProgress;
        self.status_reason = Some(reason.clone());
        let revision = to.unwrap_or_default().trim_start_matches("ecs-svc/").to_owned();
        self.rollback = Some(Rollback { reason, started_at: now, revision });
    }

    fn unmonitored(&mut self) {
        for monitor in [&mut self.monitor, &mut self.alarm_monitor] {
            if *monitor == Monitor::Monitoring {
                *monitor = Monitor::MonitoringComplete;
            }
        }
    }
}

/// Changes the record of a service's deployment, if it goes on.
pub(crate) fn change(rows: &mut Tx, service: &Service, now: Timestamp, change: impl FnOnce(&mut Record)) {
    let key = format!("{}{}", prefix_of(service), service.record);
    let Some(record) = rows.get::<Record>(&key).filter(|record| record.status.is_open()) else { return };
    let mut next = (*record).clone();
    if next.rollback.is_none() {
        let target = service.deployments.iter().find(|known| known.revision() == next.target);
        next.failed_tasks = target.map_or(next.failed_tasks, |target| target.failed_tasks);
    }
    change(&mut next);
    next.updated_at = now;
    rows.put(next);
}

fn prefix_of(service: &Service) -> String {
    prefix(&service.account, &service.region, &service.cluster, &service.name)
}

/// What runs of a service: its revisions with their tasks.
pub(super) fn sources(rows: &Snapshot, service: &Service) -> Vec<Source> {
    let tasks: Vec<_> = rows.find::<Task>(&service.tasks_prefix()).collect();
    let source = |(number, deployment): (usize, &Deployment)| {
        let own = || tasks.iter().filter(|task| task.started_by == deployment.id);
        let running = own().filter(|task| task.last_status == LastStatus::Running).count();
        Source {
            revision: deployment.revision().to_owned(),
            requested: match number {
                0 => usize::try_from(service.desired_count).unwrap_or(usize::MAX),
                _ => own().filter(|task| task.is_wanted()).count(),
            },
            running,
            pending: own().filter(|task| task.last_status < LastStatus::Running).count(),
        }
    };
    service.deployments.iter().enumerate().map(source).collect()
}

/// Forgets the records beyond the newest, and the revisions that nothing names any more.
pub(super) fn prune(rows: &mut Tx, service: &Service) {
    let prefix = prefix_of(service);
    let mut records: Vec<_> = rows.scan::<Record>(&prefix).collect();
    records.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id == service.record)));
    let old = records.split_off(records.len().min(KEPT));
    let mut named: BTreeSet<String> =
        service.deployments.iter().map(|deployment| deployment.revision().to_owned()).collect();
    named.extend(service.last_completed.iter().map(|id| id.trim_start_matches("ecs-svc/").to_owned()));
    for record in &records {
        named.insert(record.target.clone());
        named.extend(record.sources.iter().map(|source| source.revision.clone()));
    }
    for record in old {
        rows.delete::<Record>(&record.key());
    }
    let revisions: Vec<_> = rows.scan::<Revision>(&prefix).collect();
    for revision in revisions.iter().filter(|revision| !named.contains(revision.id())) {
        rows.delete::<Revision>(&revision.key());
    }
}

/// Forgets all of a service's records and revisions.
pub(crate) fn forget(rows: &mut Tx, service: &Service) {
    let prefix = prefix_of(service);
    let records: Vec<_> = rows.scan::<Record>(&prefix).map(|record| record.key()).collect();
    for key in records {
        rows.delete::<Record>(&key);
    }
    let revisions: Vec<_> = rows.scan::<Revision>(&prefix).map(|revision| revision.key()).collect();
    for key in revisions {
        rows.delete::<Revision>(&key);
    }
}
