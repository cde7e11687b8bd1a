//! One run: asks the pure functions and puts what they say into rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use desired::TargetLifecycle;
use store::{Row, Snapshot, Tx};
use types::{TaskId, Timestamp};

use super::advance::{Effect, advance};
use super::decide::{Alarms, Cause, Decision, ServiceView, TaskView, schedule};
use super::launch::{self, Launch};
use super::tell::{News, Tally};
use super::{REMEMBERED, discovery, health};
use crate::ec2::{interface, subnet};
use crate::ecs::service::{Deployment, PropagateTags, RolloutState, Service, ServiceStatus, record};
use crate::ecs::task::overrides::TaskOverride;
use crate::ecs::task::{LastStatus, StopCode, TargetState, Task, session};
use crate::ecs::{Tags, task_definition};
use crate::elbv2::targets;
use crate::{Context, Machine};

/// One run.
pub(super) struct Pass<'a> {
    pub(super) now: Timestamp,
    pub(super) machine: &'a Machine,
    /// What happened to services' tasks, by the service's key.
    pub(super) news: BTreeMap<String, Vec<News>>,
}

/// The time until which what is gone since `at` is remembered; None: it need not be any more.
fn remembered(at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    at.map(|at| at.plus(REMEMBERED)).filter(|until| *until > now)
}

impl Pass<'_> {
    /// Brings a task a step on. When it is to be looked at again without news of it.
    pub(super) fn task(&mut self, rows: &mut Tx, context: &Context, before: &Arc<Task>) -> Option<Timestamp> {
        if before.last_status == LastStatus::Stopped {
            let until = remembered(before.stopped_at, self.now);
            if until.is_none() {
                rows.delete::<Task>(&before.key());
            }
            return until;
        }
        let report = self.machine.reports().tasks.get(&before.id).cloned();
        let mut task = (**before).clone();
        let effect = advance(&mut task, report.as_ref(), drained(rows, before), self.now);
        let moved = task != **before;
        let wake = if task.ended { None } else { session::renew(rows, &mut task, self.now) };
        if !moved {
            if task != **before {
                rows.put(task);
            }
            return wake;
        }
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
            news.push(match task.started_at {
                Some(_) => News::Stopped { task: task.id.clone() },
                None => News::StoppedPending,
            });
        }
        apply(rows, context, &mut task, effect, news);
        if task.registrations != before.registrations {
            discovery::follow(rows, &mut task, self.now);
        }
        task.version += 1;
        rows.put(task);
        wake
    }

    /// Does what a service needs. When it is to be looked at again without news of it.
    pub(super) fn service(
        &mut self,
        rows: &mut Tx,
        context: &Context,
        before: &Arc<Service>,
    ) -> Option<Timestamp> {
        let key = before.key();
        if before.status == ServiceStatus::Inactive {
            let until = remembered(before.inactive_at, self.now);
            if until.is_none() {
                record::forget(rows, before);
                rows.delete::<Service>(&key);
            }
            return until;
        }
        let mut service = (**before).clone();
        let news = self.news.remove(&key).unwrap_or_default();
        Tally::default().tell(&mut service, news, self.now);
        let decisions = {
            let view = view(rows, context, self.machine, &service, self.now);
            schedule(&view, self.now)
        };
        let mut wake: Option<Timestamp> = None;
        let mut made = Made::default();
        for decision in decisions {
            if let Decision::Wait { until } = decision {
                wake = Some(wake.map_or(until, |earlier| earlier.min(until)));
            } else {
                self.follow(rows, context, &mut service, decision, &mut made);
            }
        }
        made.tell(&mut service, self.now);
        if service != **before {
            rows.put(service);
        }
        wake
    }

    fn follow(
        &self,
        rows: &mut Tx,
        context: &Context,
        service: &mut Service,
        decision: Decision,
        made: &mut Made,
    ) {
        let now = self.now;
        match decision {
            Decision::Start { deployment, subnet, provider, replaces } => {
                if service.failures.retry_at.is_some_and(|retry| retry > now) {
                    // A launch failed in this very run.
                    return;
                }
                match start(rows, context, service, &deployment, &subnet, provider) {
                    Ok(task) => {
                        made.started.push(task);
                        made.replaced += usize::from(replaces);
                    }
                    Err(error) => super::tell::launch_failed(service, &deployment, &error, now),
                }
            }
            Decision::Retire { task, cause } => retire(rows, service, &task, cause.as_ref(), now),
            Decision::Unhealthy { task, cause } => {
                super::tell::unhealthy(service, &task, &cause, now);
                service.unhealthy.push(task);
            }
            Decision::Recovered { task } => service.unhealthy.retain(|known| *known != task),
            Decision::HeldBack { deployments } => {
                let said = std::mem::replace(&mut service.held_back, deployments.clone());
                for held in deployments.iter().filter(|held| !said.contains(held)) {
                    super::tell::held_back(service, held, now);
                }
            }
            Decision::Blocked => {
                service.blocked = true;
                super::tell::blocked(service, now);
            }
            Decision::Unblocked => service.blocked = false,
            Decision::Forget { deployment } => service.deployments.retain(|known| known.id != deployment),
            Decision::Proven => {
                if let Some(primary) = service.deployments.first_mut() {
                    primary.proven = true;
                    primary.failed_tasks = 0;
                    primary.updated_at = now;
                }
            }
            Decision::Bake => {
                if let Some(primary) = service.deployments.first_mut() {
                    primary.baking_since = Some(now);
                }
            }
            Decision::Fail { roll_back, alarms } => {
                let to = service.rollback_target().map(str::to_owned).filter(|_| roll_back);
                record::change(rows, service, now, |record| record.trip(to.as_deref(), &alarms, now));
                service.fail(alarms, now);
                if roll_back {
                    service.roll_back(rows, now);
                }
            }
            Decision::Complete => {
                if let Some(primary) = service.deployments.first_mut() {
                    primary.rollout_state = RolloutState::Completed;
                    primary.rollback = false;
                    primary.updated_at = now;
                    service.last_completed = Some(primary.id.clone());
                    let words = format!("(deployment {}) deployment completed.", primary.id);
                    service.event(now, words);
                }
                record::change(rows, service, now, |record| record.complete(now));
            }
            Decision::Steady => {
                service.steady = true;
                service.event(now, "has reached a steady state.");
            }
            Decision::Unsteady => service.steady = false,
            Decision::Imbalanced { zones } => {
                service.rebalancing = true;
                super::tell::zones(service, &zones, false, now);
            }
            Decision::Balanced { zones } => {
                service.rebalancing = false;
                super::tell::zones(service, &zones, true, now);
            }
            Decision::Wait { .. } => {}
            Decision::Inactive => {
                service.status = ServiceStatus::Inactive;
                service.inactive_at = Some(now);
            }
        }
    }
}

/// What a run started.
#[derive(Default)]
struct Made {
    started: Vec<TaskId>,
    /// How many of them take the place of others.
    replaced: usize,
}

impl Made {
    fn tell(&self, service: &mut Service, now: Timestamp) {
        if self.started.is_empty() {
            return;
        }
        let started = super::tell::named(&self.started);
        let mut words = format!("has started {} tasks: {started}.", self.started.len());
        if self.replaced > 0 {
            words += &format!(" Amazon ECS replaced {} tasks due to an unhealthy status.", self.replaced);
        }
        service.event(now, words);
    }
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
            if !task.targets.is_empty() {
                news.push(News::Draining);
            }
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
fn view<'a>(
    rows: &Snapshot,
    context: &Context,
    machine: &Machine,
    service: &'a Service,
    now: Timestamp,
) -> ServiceView<'a> {
    let prefix = service.tasks_prefix();
    let mut tasks: Vec<Arc<Task>> = rows.find::<Task>(&prefix).collect();
    tasks.sort_by_key(|task| (task.created_at, task.id.clone()));
    let tasks = tasks.iter().map(|task| TaskView {
        id: task.id.clone(),
        deployment: task.started_by.clone(),
        subnet: task.interface.subnet.to_string(),
        zone: task.availability_zone.clone(),
        provider: task.capacity_provider.clone(),
        last_status: task.last_status,
        wanted: task.is_wanted(),
        health: health::of(rows, machine, service, task, now),
        protected_until: task.protected_until(now),
    });
    let zone = |id: &String| {
        let zone = subnet::get(rows, context, id).map(|subnet| subnet.availability_zone.clone());
        (id.clone(), zone.unwrap_or_default())
    };
    let subnets = service
        .deployments
        .iter()
        .map(|known| (known.id.clone(), known.network.subnets.iter().map(zone).collect()));
    let alarms = match service.primary().is_some_and(Deployment::is_watched) {
        true => Alarms { raised: service.raised_alarms(rows), bake: service.bake_time(rows) },
        false => Alarms::default(),
    };
    ServiceView { service, tasks: tasks.collect(), subnets: subnets.collect(), alarms }
}

/// Makes a task of a service's deployment.
fn start(
    rows: &mut Tx,
    context: &Context,
    service: &Service,
    deployment: &str,
    subnet: &str,
    provider: Option<String>,
) -> Result<TaskId, launch::LaunchError> {
    let missing = || launch::LaunchError::NoDefinition { service: service.name.clone() };
    let deployment = service.deployments.iter().find(|known| known.id == deployment).ok_or_else(missing)?;
    let definition = task_definition::find(rows, context, &deployment.task_definition).ok_or_else(missing)?;
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
        started_by: deployment.id.clone(),
        definition: &definition,
        overrides: TaskOverride::default(),
        network: &deployment.network,
        subnet,
        capacity_provider: provider,
        load_balancers: &deployment.load_balancers,
        service_registries: &deployment.service_registries,
        client_token: None,
        tags,
    };
    launch::launch(rows, context, launch).map(|task| task.id.clone())
}

/// Tells a task of a service to end.
fn retire(rows: &mut Tx, service: &mut Service, id: &TaskId, cause: Option<&Cause>, now: Timestamp) {
    let key = format!("{}/{}/{}/{id}", service.account, service.region, service.cluster);
    let Some(task) = rows.get::<Task>(&key).filter(|task| task.is_wanted()) else { return };
    let mut task = (*task).clone();
    let by = task.started_by.clone();
    let reason = match cause {
        None => format!("Scaling activity initiated by (deployment {by})"),
        Some(Cause::LoadBalancer { group, .. }) => {
            format!("Task failed ELB health checks in (target-group {group})")
        }
        Some(Cause::Container) => "Task failed container health checks".to_owned(),
    };
    task.end(StopCode::ServiceSchedulerInitiated, reason);
    task.version += 1;
    rows.put(task);
    if cause.is_some() {
        super::tell::count(service, &by, now);
    }
}
