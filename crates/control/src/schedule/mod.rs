//! From what services want to tasks: called by the reconcile loop after every commit and every report of the machine.
//!
//! Pure functions decide: [`advance::advance`] brings one task a step on in its life, [`schedule`] says what a service
//! needs. [`run`] reads the rows and the reports, asks them, and puts what they say into the same write.

pub mod advance;
pub mod backoff;
mod decide;
mod health;
pub mod launch;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use desired::TargetLifecycle;
use store::{Snapshot, Tx};
use types::{AccountId, Region, TaskId, Timestamp};

pub use decide::{Decision, ServiceView, TaskView, schedule};

use crate::ec2::{interface, subnet};
use crate::ecs::cluster::Cluster;
use crate::ecs::service::{Deployment, PropagateTags, RolloutState, Service, ServiceStatus};
use crate::ecs::task::session;
use crate::ecs::task::{LastStatus, StopCode, TargetState, Task};
use crate::ecs::{Tags, task_definition};
use crate::elbv2::targets;
use crate::{Context, Machine};
use advance::{Effect, advance};
use launch::Launch;

/// How long what is gone stays visible: stopped tasks ("DescribeTasks": at least one hour), INACTIVE services and
/// clusters.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Brings all tasks and services on as far as the rows and the machine's reports let it, inside a write. `context_for`
/// gives the surroundings of an account and a region, with `now` and the machine in them. Gives the time at which it
/// wants to be called again, `now` itself when what it did makes more possible; None: not before something changes.
pub fn run(
    rows: &mut Tx,
    context_for: impl Fn(&AccountId, &Region) -> Context,
    machine: &Machine,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut pass = Pass { now, machine, wake: None, news: BTreeMap::new() };
    let tasks: Vec<Arc<Task>> = rows.scan::<Task>("").collect();
    for task in tasks {
        let context = context_for(&task.account, &task.region);
        pass.task(rows, &context, &task);
    }
    let services: Vec<Arc<Service>> = rows.scan::<Service>("").collect();
    for service in services {
        let context = context_for(&service.account, &service.region);
        pass.service(rows, &context, &service);
    }
    task_definition::delete::sweep(rows);
    let clusters: Vec<Arc<Cluster>> = rows.scan::<Cluster>("").collect();
    for cluster in clusters {
        let key = store::Row::key(&*cluster);
        if cluster.deleted_at.is_some_and(|at| pass.is_over(at)) {
            rows.delete::<Cluster>(&key);
        }
    }
    pass.wake
}

/// One run.
struct Pass<'a> {
    now: Timestamp,
    machine: &'a Machine,
    wake: Option<Timestamp>,
    /// What happened to services' tasks, by the service's key.
    news: BTreeMap<String, Vec<News>>,
}

/// What a service tells of its tasks.
enum News {
    Registered { group: String },
    Deregistered { group: String },
    Draining,
    Stopped { task: TaskId },
    Failed { deployment: String, ran: Option<Duration>, never_ran: Option<String> },
}

impl Pass<'_> {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }

    /// Whether what is gone since `at` need not be remembered any more.
    fn is_over(&mut self, at: Timestamp) -> bool {
        let until = at.plus(REMEMBERED);
        if until > self.now {
            self.wake_at(until);
        }
        until <= self.now
    }

    fn task(&mut self, rows: &mut Tx, context: &Context, before: &Arc<Task>) {
        if before.last_status == LastStatus::Stopped {
            if before.stopped_at.is_none_or(|at| self.is_over(at)) {
                rows.delete::<Task>(&store::Row::key(&**before));
            }
            return;
        }
        let report = self.machine.reports().tasks.get(&before.id).cloned();
        let mut task = (**before).clone();
        let effect = advance(&mut task, report.as_ref(), drained(rows, before), self.now);
        let moved = task != **before;
        if !task.ended
            && let Some(at) = session::renew(rows, &mut task, self.now)
        {
            self.wake_at(at);
        }
        if !moved {
            if task != **before {
                rows.put(task);
            }
            return;
        }
        self.wake_at(self.now);
        let service = task.service.as_ref();
        let service = service.map(|name| format!("{}/{}/{}/{name}", task.account, task.region, task.cluster));
        let news = match service {
            Some(key) => self.news.entry(key).or_default(),
            None => &mut Vec::new(),
        };
        if before.is_wanted() && !task.is_wanted() {
            let ran = task.started_at.map(|started| self.now.since(started));
            let failed = task.stop_code == Some(StopCode::TaskFailedToStart);
            let never_ran = task.stopped_reason.clone().filter(|_| failed);
            news.push(News::Failed { deployment: task.started_by.clone(), ran, never_ran });
        }
        if task.stop && !before.stop {
            news.push(News::Stopped { task: task.id.clone() });
        }
        apply(rows, context, &mut task, effect, news);
        task.version += 1;
        rows.put(task);
    }

    fn service(&mut self, rows: &mut Tx, context: &Context, before: &Arc<Service>) {
        let key = store::Row::key(&**before);
        if before.status == ServiceStatus::Inactive {
            if before.inactive_at.is_none_or(|at| self.is_over(at)) {
                rows.delete::<Service>(&key);
            }
            return;
        }
        let mut service = (**before).clone();
        let news = self.news.remove(&key).unwrap_or_default();
        self.tell(&mut service, news);
        let decisions = {
            let view = view(rows, context, self.machine, &service);
            schedule(&view, self.now)
        };
        let (mut started, mut retired) = (Vec::new(), false);
        for decision in decisions {
            match decision {
                Decision::Start { subnet } => {
                    if service.failures.retry_at.is_some_and(|retry| retry > self.now) {
                        // A launch failed in this very run.
                        continue;
                    }
                    match start(rows, context, &service, &subnet) {
                        Ok(task) => started.push(task),
                        Err(error) => self.launch_failed(&mut service, &error),
                    }
                }
                Decision::Retire { task } => {
                    retired |= retire(rows, &service, &task);
                }
                Decision::Forget { deployment } => {
                    service.deployments.retain(|known| known.id != deployment);
                }
                Decision::Complete => {
                    if let Some(primary) = service.deployments.first_mut() {
                        primary.rollout_state = RolloutState::Completed;
                        primary.updated_at = self.now;
                        let words = format!("(deployment {}) deployment completed.", primary.id);
                        service.event(self.now, words);
                    }
                }
                Decision::Steady => {
                    service.steady = true;
                    service.event(self.now, "has reached a steady state.");
                }
                Decision::Unsteady => service.steady = false,
                Decision::Wait { until } => self.wake_at(until),
                Decision::Inactive => {
                    service.status = ServiceStatus::Inactive;
                    service.inactive_at = Some(self.now);
                }
            }
        }
        if !started.is_empty() {
            let words = format!("has started {} tasks: {}.", started.len(), named(&started));
            service.event(self.now, words);
        }
        if retired || service != **before {
            self.wake_at(self.now);
        }
        if service != **before {
            rows.put(service);
        }
    }

    /// Turns what happened to tasks into events and the back-off.
    fn tell(&self, service: &mut Service, news: Vec<News>) {
        let mut registered: BTreeMap<String, usize> = BTreeMap::new();
        let mut deregistered: BTreeMap<String, usize> = BTreeMap::new();
        let (mut draining, mut stopped) = (0_usize, Vec::new());
        let (mut unplaced, mut throttled) = (BTreeSet::new(), false);
        for item in news {
            match item {
                News::Registered { group } => *registered.entry(group).or_default() += 1,
                News::Deregistered { group } => *deregistered.entry(group).or_default() += 1,
                News::Draining => draining += 1,
                News::Stopped { task } => stopped.push(task),
                News::Failed { deployment, ran, never_ran } => {
                    unplaced.extend(never_ran);
                    let known = service.deployments.iter_mut().find(|known| known.id == deployment);
                    if let Some(known) = known {
                        known.failed_tasks += 1;
                        known.updated_at = self.now;
                    }
                    service.steady = false;
                    throttled |= backoff::task_failed(&mut service.failures, ran, self.now);
                }
            }
        }
        // One event for all tasks that cannot start for the same reason.
        for reason in unplaced {
            let reason = reason.trim_end_matches('.');
            service.event(self.now, format!("was unable to place a task. Reason: {reason}."));
        }
        if throttled {
            self.throttled(service);
        }
        for (group, count) in registered {
            service.event(self.now, format!("registered {count} targets in (target-group {group})"));
        }
        for (group, count) in deregistered {
            service.event(self.now, format!("deregistered {count} targets in (target-group {group})"));
        }
        if draining > 0 {
            service.event(self.now, format!("has begun draining connections on {draining} tasks."));
        }
        if !stopped.is_empty() {
            let words = format!("has stopped {} running tasks: {}.", stopped.len(), named(&stopped));
            service.event(self.now, words);
        }
    }

    fn launch_failed(&self, service: &mut Service, error: &launch::LaunchError) {
        if let Some(primary) = service.deployments.first_mut() {
            primary.failed_tasks += 1;
            primary.updated_at = self.now;
        }
        service.steady = false;
        service.event(self.now, format!("failed to launch a task with (error {error})."));
        if backoff::launch_failed(&mut service.failures, self.now) {
            self.throttled(service);
        }
    }

    fn throttled(&self, service: &mut Service) {
        service.event(
            self.now,
            "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
        );
    }
}

/// `(task a) (task b)`, as events name tasks.
fn named(tasks: &[TaskId]) -> String {
    tasks.iter().map(|task| format!("(task {task})")).collect::<Vec<_>>().join(" ")
}

/// Whether none of a task's deregistered targets drains any more. One that somebody registered anew holds nobody up.
fn drained(rows: &Snapshot, task: &Task) -> bool {
    task.targets.iter().filter(|target| target.state == TargetState::Deregistered).all(|target| {
        let lifecycle = targets::lifecycle(rows, &target.group, task.interface.address, target.port);
        !matches!(lifecycle, Some(TargetLifecycle::Draining { .. }))
    })
}

/// Does what a task's step asks for.
fn apply(rows: &mut Tx, context: &Context, task: &mut Task, effect: Option<Effect>, news: &mut Vec<News>) {
    let address = task.interface.address;
    match effect {
        None => {}
        Some(Effect::Register) => {
            for target in &mut task.targets {
                let group = target.group.clone();
                match targets::register(rows, context, &group, address, target.port) {
                    Ok(()) => news.push(News::Registered { group }),
                    // The group was deleted: there is nothing to join, and nothing to leave.
                    Err(_) => target.state = TargetState::Waiting,
                }
            }
        }
        Some(Effect::Deregister) => {
            news.push(News::Draining);
            for target in &task.targets {
                targets::deregister(rows, context, &target.group, address, target.port);
                news.push(News::Deregistered { group: target.group.clone() });
            }
        }
        Some(Effect::Release) => {
            interface::delete(rows, context, task.interface.id.as_str());
            session::release(rows, task);
        }
    }
}

/// What decisions are made from.
fn view<'a>(rows: &Snapshot, context: &Context, machine: &Machine, service: &'a Service) -> ServiceView<'a> {
    let prefix = format!("{}/{}/{}/", service.account, service.region, service.cluster);
    let tasks = rows
        .scan::<Task>(&prefix)
        .filter(|task| task.service.as_deref() == Some(&service.name))
        .filter(|task| task.last_status != LastStatus::Stopped)
        .map(|task| TaskView {
            id: task.id.clone(),
            deployment: task.started_by.clone(),
            subnet: task.interface.subnet.to_string(),
            zone: task.availability_zone.clone(),
            last_status: task.last_status,
            wanted: task.is_wanted(),
            serving: health::serves(rows, machine, &task),
        })
        .collect();
    let subnets = service.primary().map(|primary| primary.network.subnets.clone()).unwrap_or_default();
    let subnets = subnets
        .into_iter()
        .map(|id| {
            let zone = subnet::get(rows, context, &id).map(|subnet| subnet.availability_zone.clone());
            (id, zone.unwrap_or_default())
        })
        .collect();
    ServiceView { service, tasks, subnets }
}

/// Makes a task of a service's primary deployment.
fn start(
    rows: &mut Tx,
    context: &Context,
    service: &Service,
    subnet: &str,
) -> Result<TaskId, launch::LaunchError> {
    let missing = || launch::LaunchError::NoDefinition { service: service.name.clone() };
    let primary: &Deployment = service.primary().ok_or_else(missing)?;
    let definition = task_definition::find(rows, context, &primary.task_definition).ok_or_else(missing)?;
    let mut tags = match service.propagate_tags {
        PropagateTags::None => Tags::new(),
        PropagateTags::Service => service.tags.clone(),
        PropagateTags::TaskDefinition => definition.tags.clone(),
    };
    if service.enable_ecs_managed_tags {
        tags.insert("aws:ecs:clusterName".to_owned(), service.cluster.clone());
        tags.insert("aws:ecs:serviceName".to_owned(), service.name.clone());
    }
    let launch = Launch {
        cluster: &service.cluster,
        service: Some(&service.name),
        group: format!("service:{}", service.name),
        started_by: primary.id.clone(),
        definition: &definition,
        network: &primary.network,
        subnet,
        load_balancers: &primary.load_balancers,
        client_token: None,
        tags,
    };
    launch::launch(rows, context, launch).map(|task| task.id.clone())
}

/// Tells a task of a service to end. Whether it did not know yet.
fn retire(rows: &mut Tx, service: &Service, id: &TaskId) -> bool {
    let key = format!("{}/{}/{}/{id}", service.account, service.region, service.cluster);
    let Some(task) = rows.get::<Task>(&key).filter(|task| task.is_wanted()) else { return false };
    let mut task = (*task).clone();
    let by = task.started_by.clone();
    task.end(StopCode::ServiceSchedulerInitiated, format!("Scaling activity initiated by (deployment {by})"));
    task.version += 1;
    rows.put(task);
    true
}
