//! From what services want to tasks: called by the reconcile loop after every commit and every report of the machine.
//!
//! Pure functions decide: [`advance::advance`] brings one task a step on in its life, [`schedule`] says what a service
//! needs. [`run`] reads the rows and the reports, asks them, and puts what they say into the same write. It looks only
//! at what changed since it last ran and at what is due ([`Agenda`]), so that what a change costs does not depend on
//! how many other services there are.

pub mod advance;
mod agenda;
pub mod backoff;
mod decide;
mod discovery;
mod health;
pub mod launch;
mod pass;
mod place;
mod tell;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::{Row, Tx};
use types::{AccountId, Region, Timestamp};

pub use agenda::{Agenda, Subject};
pub use decide::{Alarms, Cause, Decision, Health, ServiceView, TaskView, schedule};

use crate::ecs::cluster::Cluster;
use crate::ecs::service::Service;
use crate::ecs::task::Task;
use crate::ecs::task_definition;
use crate::{Context, Machine};
use pass::Pass;

/// How long what is gone stays visible: stopped tasks ("DescribeTasks": at least one hour), INACTIVE services and
/// clusters.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Brings the tasks and services on whose time has come, as far as the rows and the machine's reports let it, inside a
/// write. `context_for` gives the surroundings of an account and a region, with `now` and the machine in them. Gives the
/// time at which it wants to be called again; None: not before something changes. What it changes itself is a change
/// like any other: the agenda hears of it by the commit.
pub fn run(
    rows: &mut Tx,
    context_for: impl Fn(&AccountId, &Region) -> Context,
    machine: &Machine,
    now: Timestamp,
    agenda: &mut Agenda,
) -> Option<Timestamp> {
    let due = agenda.take(rows, machine, now);
    let mut pass = Pass { now, machine, news: BTreeMap::new() };
    for key in &due.tasks {
        let wake = rows.get::<Task>(key).and_then(|task: Arc<Task>| {
            let context = context_for(&task.account, &task.region);
            pass.task(rows, &context, &task)
        });
        agenda.set(Subject::Task(key.clone()), wake);
    }
    let mut services = due.services;
    services.extend(pass.news.keys().cloned());
    for key in &services {
        let wake = rows.get::<Service>(key).and_then(|service: Arc<Service>| {
            let context = context_for(&service.account, &service.region);
            pass.service(rows, &context, &service)
        });
        agenda.set(Subject::Service(key.clone()), wake);
    }
    task_definition::delete::sweep(rows);
    for key in &due.clusters {
        let deleted = rows.get::<Cluster>(key).and_then(|cluster| cluster.deleted_at);
        let until = deleted.map(|at| at.plus(REMEMBERED));
        if until.is_some_and(|until| until <= now) {
            rows.delete::<Cluster>(key);
        }
        agenda.set(Subject::Cluster(key.clone()), until.filter(|until| *until > now));
    }
    agenda.next()
}

/// The tables whose changes the scheduler hears of.
fn table_of<R: Row>(table: &str) -> bool {
    table == R::TABLE
}
