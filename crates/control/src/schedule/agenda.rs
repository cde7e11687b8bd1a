//! What the next run of the scheduler looks at: what changed, and what is due.

use std::collections::{BTreeMap, BTreeSet};

use store::{Commit, Row, Snapshot};
use types::{PartId, Timestamp};

use super::table_of;
use crate::cloudwatch::MetricAlarm;
use crate::ecs::cluster::Cluster;
use crate::ecs::service::{Service, found_by_alarm, found_by_group};
use crate::ecs::task::{Task, found_by_id};
use crate::elbv2::target_group::TargetGroup;
use crate::machine::Machine;

/// What the scheduler looks at, by its row's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A task.
    Task(String),
    /// A service.
    Service(String),
    /// A cluster.
    Cluster(String),
}

/// The scheduler's memory between two runs. Losing it costs a look at everything.
#[derive(Debug)]
pub struct Agenda {
    everything: bool,
    /// Rows that changed, as table and key.
    rows: BTreeSet<(&'static str, String)>,
    /// When which subject is due, twice.
    timers: BTreeMap<Subject, Timestamp>,
    queue: BTreeSet<(Timestamp, Subject)>,
}

impl Default for Agenda {
    /// At first everything is looked at.
    fn default() -> Self {
        Self { everything: true, rows: BTreeSet::new(), timers: BTreeMap::new(), queue: BTreeSet::new() }
    }
}

/// What one run looks at, by keys.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) tasks: BTreeSet<String>,
    pub(super) services: BTreeSet<String>,
    pub(super) clusters: BTreeSet<String>,
}

impl Agenda {
    /// The next run looks at everything: a signal may have been lost, or a run failed.
    pub fn look_at_everything(&mut self) {
        self.everything = true;
    }

    /// Hears of a commit. Whether it has anything to do with the scheduler.
    pub fn hear(&mut self, commit: &Commit) -> bool {
        let known = |table: &str| {
            table_of::<Task>(table)
                || table_of::<Service>(table)
                || table_of::<Cluster>(table)
                || table_of::<TargetGroup>(table)
                || table_of::<MetricAlarm>(table)
        };
        let before = self.rows.len();
        self.rows.extend(commit.changed.iter().filter(|(table, _)| known(table)).cloned());
        self.rows.len() > before
    }

    /// Whether there is anything to look at before any timer.
    pub fn is_waiting(&self) -> bool {
        self.everything || !self.rows.is_empty()
    }

    /// When the first timer is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Sets or removes a subject's timer.
    pub(super) fn set(&mut self, subject: Subject, at: Option<Timestamp>) {
        if let Some(old) = self.timers.get(&subject).copied() {
            self.queue.remove(&(old, subject.clone()));
        }
        match at {
            Some(at) => {
                self.queue.insert((at, subject.clone()));
                self.timers.insert(subject, at);
            }
            None => drop(self.timers.remove(&subject)),
        }
    }

    /// Takes what there is to look at now.
    pub(super) fn take(&mut self, rows: &Snapshot, machine: &Machine, now: Timestamp) -> Due {
        let reports = machine.take_news();
        let changed = std::mem::take(&mut self.rows);
        if std::mem::take(&mut self.everything) {
            self.timers.clear();
            self.queue.clear();
            return Due {
                tasks: rows.scan::<Task>("").map(|row| row.key()).collect(),
                services: rows.scan::<Service>("").map(|row| row.key()).collect(),
                clusters: rows.scan::<Cluster>("").map(|row| row.key()).collect(),
            };
        }
        let mut due = Due::default();
        while let Some((at, subject)) = self.queue.first().cloned() {
            if at > now {
                break;
            }
            self.set(subject.clone(), None);
            match subject {
                Subject::Task(key) => due.tasks.insert(key),
                Subject::Service(key) => due.services.insert(key),
                Subject::Cluster(key) => due.clusters.insert(key),
            };
        }
        for (table, key) in changed {
            if table_of::<Service>(table) {
                due.services.insert(key);
            } else if table_of::<Cluster>(table) {
                due.clusters.insert(key);
            } else if table_of::<Task>(table) {
                if let Some(task) = rows.get::<Task>(&key) {
                    due.task(&task);
                }
                due.tasks.insert(key);
            } else if table_of::<MetricAlarm>(table) {
                let prefix = found_by_alarm(&key);
                due.services.extend(rows.find::<Service>(&prefix).map(|service| service.key()));
            } else if let Some(group) = rows.get::<TargetGroup>(&key) {
                due.group(rows, &group.arn);
            } else {
                // A group that is gone: its ARN went with it, and its targets hold nobody up any more.
                due.gone_group(rows, &key);
            }
        }
        for part in reports.parts {
            let PartId::Task(id) = part else { continue };
            for task in rows.find::<Task>(&found_by_id(&id)) {
                due.task(&task);
            }
        }
        for group in reports.groups {
            let services = found_by_group(&group);
            due.services.extend(rows.find::<Service>(&services).map(|service| service.key()));
        }
        due
    }
}

impl Due {
    fn task(&mut self, task: &Task) {
        self.tasks.insert(task.key());
        let service = task.service.as_ref();
        self.services
            .extend(service.map(|name| format!("{}/{}/{}/{name}", task.account, task.region, task.cluster)));
    }

    fn group(&mut self, rows: &Snapshot, arn: &str) {
        let prefix = found_by_group(arn);
        self.services.extend(rows.find::<Service>(&prefix).map(|service| service.key()));
        self.tasks.extend(rows.find::<Task>(&prefix).map(|task| task.key()));
    }

    /// `key`: account, region, and the last part of the ARN.
    fn gone_group(&mut self, rows: &Snapshot, key: &str) {
        let mut parts = key.splitn(3, '/');
        let (Some(account), Some(region), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return;
        };
        let prefix = format!("group/arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/");
        let of = |group: &str| group.ends_with(id);
        let tasks = rows.find::<Task>(&prefix).filter(|task| task.targets.iter().any(|one| of(&one.group)));
        self.tasks.extend(tasks.map(|task| task.key()));
        let services = rows.find::<Service>(&prefix).filter(|service| {
            service
                .deployments
                .iter()
                .flat_map(|one| &one.load_balancers)
                .any(|one| of(&one.target_group_arn))
        });
        self.services.extend(services.map(|service| service.key()));
    }
}
