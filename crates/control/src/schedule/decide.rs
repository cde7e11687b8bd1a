//! What a service needs next: a pure function from what there is to decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use types::{TaskId, Timestamp};

use super::place;
use crate::ecs::service::{CircuitBreaker, HeldBack, Rebalancing, RolloutState, Service, Waits};
use crate::ecs::task::LastStatus;

/// A service and all of its tasks that are not STOPPED.
#[derive(Debug, Clone)]
pub struct ServiceView<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its tasks, of all deployments, the oldest first.
    pub tasks: Vec<TaskView>,
    /// The subnets of each deployment, by its id, with the names of their zones.
    pub subnets: BTreeMap<String, Vec<(String, String)>>,
    /// What watches its primary deployment.
    pub alarms: Alarms,
}

/// The alarms that watch a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    /// The names of those that are in ALARM.
    pub raised: Vec<String>,
    /// How long the deployment is watched yet when all of its tasks serve.
    pub bake: Duration,
}

/// A task as far as decisions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Its deployment's id.
    pub deployment: String,
    /// Its subnet.
    pub subnet: String,
    /// Its zone.
    pub zone: String,
    /// Its capacity provider.
    pub provider: Option<String>,
    /// Where it is in its life.
    pub last_status: LastStatus,
    /// Whether it shall run.
    pub wanted: bool,
    /// What those who check it find.
    pub health: Health,
    /// Until then, which is still to come, neither scaling in nor a deployment ends it.
    pub protected_until: Option<Timestamp>,
}

/// What the checks of a task find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nobody knows yet, at the latest until then where time decides.
    Undecided {
        /// When it is decided without news.
        until: Option<Timestamp>,
    },
    /// It runs, and all who check it find it healthy.
    Serving,
    /// It fails a check, and its grace period is over.
    Failing(Cause),
}

/// Which check a task fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A load balancer's.
    LoadBalancer {
        /// The target group.
        group: String,
        /// The port.
        port: u16,
        /// What the load balancer says.
        reason: String,
    },
    /// An essential container's own.
    Container,
}

/// A change that a service needs. The decisions of one call belong to one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start a task of a deployment in this subnet.
    Start {
        /// The deployment.
        deployment: String,
        /// The subnet.
        subnet: String,
        /// The capacity provider.
        provider: Option<String>,
        /// Whether it takes the place of one that fails its checks.
        replaces: bool,
    },
    /// End a task.
    Retire {
        /// The task.
        task: TaskId,
        /// The check that it fails; None: it is one too many, or of an old deployment.
        cause: Option<Cause>,
    },
    /// Say that a task fails its checks.
    Unhealthy {
        /// The task.
        task: TaskId,
        /// The check.
        cause: Cause,
    },
    /// A task of which that was said is well again, or gone.
    Recovered {
        /// The task.
        task: TaskId,
    },
    /// Say which deployments protected tasks hold up now; those that are not among them any more go on.
    HeldBack {
        /// The deployments.
        deployments: Vec<HeldBack>,
    },
    /// Say that the percentages let the primary deployment replace no task.
    Blocked,
    /// They do, or there is none to replace any more.
    Unblocked,
    /// Forget a deployment: none of its tasks is left.
    Forget {
        /// The deployment.
        deployment: String,
    },
    /// The primary deployment has a task that is well: failed ones are not counted any more.
    Proven,
    /// The primary deployment is given up.
    Fail {
        /// Whether the last completed one takes its place.
        roll_back: bool,
        /// By these alarms. None: by the circuit breaker.
        alarms: Vec<String>,
    },
    /// All tasks of the primary deployment serve, and its alarms are watched yet.
    Bake,
    /// The primary deployment is complete.
    Complete,
    /// All is as desired: say so.
    Steady,
    /// No longer all is as desired.
    Unsteady,
    /// Say that the zones are out of balance.
    Imbalanced {
        /// How many tasks each zone has.
        zones: Vec<(String, usize)>,
    },
    /// Say that the zones are in balance again.
    Balanced {
        /// How many tasks each zone has.
        zones: Vec<(String, usize)>,
    },
    /// Nothing changes before then.
    Wait {
        /// The time of the next attempt.
        until: Timestamp,
    },
    /// A deleted service has no task left.
    Inactive,
}

/// Decides. Applying the decisions and calling again with what is then there leads to a state in which there is
/// nothing to decide.
pub fn schedule(view: &ServiceView<'_>, now: Timestamp) -> Vec<Decision> {
    let service = view.service;
    if !service.is_active() {
        return end(view);
    }
    let Some(primary) = service.primary() else { return Vec::new() };
    if let Some(given_up) = breaker(service).or_else(|| alarmed(view)) {
        return vec![given_up];
    }
    let tasks = Tasks::sort(view, &primary.id);
    let mut decisions = noticed(view);
    let under_way = primary.rollout_state == RolloutState::InProgress;
    if under_way && !primary.proven && tasks.good.iter().any(|task| task.health == Health::Serving) {
        decisions.push(Decision::Proven);
    }
    let plan = Plan::make(view, &tasks);
    match service.failures.retry_at.filter(|retry| *retry > now) {
        Some(until) if plan.start_old + plan.start > 0 => decisions.push(Decision::Wait { until }),
        _ => {
            if let Some(old) = plan.old.filter(|_| plan.start_old > 0) {
                decisions.extend(place::starts(view, old, &tasks.others, plan.start_old, 0));
            }
            decisions.extend(place::starts(view, primary, &tasks.good, plan.start, tasks.failing.len()));
        }
    }
    decisions.extend(plan.retire);
    decisions.extend(held_up(view, plan.held));
    decisions.extend(match (service.blocked, plan.blocked) {
        (false, true) => Some(Decision::Blocked),
        (true, false) => Some(Decision::Unblocked),
        _ => None,
    });
    decisions.extend(rest(view, &tasks, now));
    decisions.extend(view.tasks.iter().filter(|task| task.wanted).filter_map(|task| match task.health {
        Health::Undecided { until: Some(until) } if until > now => Some(Decision::Wait { until }),
        _ => None,
    }));
    decisions
}

/// A deleted service: all of its tasks end, then it is INACTIVE.
fn end(view: &ServiceView<'_>) -> Vec<Decision> {
    if !view.service.is_draining() {
        return Vec::new();
    }
    if view.tasks.is_empty() {
        return vec![Decision::Inactive];
    }
    let wanted = view.tasks.iter().filter(|task| task.wanted);
    wanted.map(|task| Decision::Retire { task: task.id.clone(), cause: None }).collect()
}

/// Whether too many tasks of the primary deployment failed before one was well.
fn breaker(service: &Service) -> Option<Decision> {
    let primary = service.primary()?;
    let counted = primary.rollout_state == RolloutState::InProgress && !primary.proven;
    let tripped = service.circuit_breaker.enable
        && counted
        && primary.failed_tasks >= CircuitBreaker::threshold(service.desired_count);
    // What is rolled back to and fails is not rolled back again.
    let roll_back =
        service.circuit_breaker.rollback && !primary.rollback && service.rollback_target().is_some();
    tripped.then_some(Decision::Fail { roll_back, alarms: Vec::new() })
}

/// Whether an alarm gives the primary deployment up: it is watched as soon as one of its tasks runs.
fn alarmed(view: &ServiceView<'_>) -> Option<Decision> {
    let primary = view.service.primary().filter(|primary| primary.is_watched())?;
    let began = |task: &TaskView| task.deployment == primary.id && task.runs();
    let begun = primary.baking_since.is_some() || view.tasks.iter().any(began);
    let wanted = view.service.alarms.as_ref().is_some_and(|alarms| alarms.rollback);
    let roll_back = wanted && !primary.rollback && view.service.rollback_target().is_some();
    let alarms = view.alarms.raised.clone();
    (begun && !alarms.is_empty()).then_some(Decision::Fail { roll_back, alarms })
}

/// What there is to do yet for a deployment all of whose tasks serve, before it is complete. None: nothing.
fn bake(view: &ServiceView<'_>, now: Timestamp) -> Option<Vec<Decision>> {
    let primary = view.service.primary().filter(|primary| primary.is_watched())?;
    let since = primary.baking_since.unwrap_or(now);
    let until = since.plus(view.alarms.bake);
    let begins = primary.baking_since.is_none().then_some(Decision::Bake);
    (until > now).then(|| begins.into_iter().chain([Decision::Wait { until }]).collect())
}

/// The tasks that shall run, sorted.
pub(super) struct Tasks<'a> {
    /// Of the primary deployment, those that do not fail their checks.
    good: Vec<&'a TaskView>,
    /// Of the primary deployment, those that do.
    failing: Vec<&'a TaskView>,
    /// Of the deployments before it.
    pub(super) others: Vec<&'a TaskView>,
}

impl<'a> Tasks<'a> {
    fn sort(view: &'a ServiceView<'_>, primary: &str) -> Self {
        let wanted = view.tasks.iter().filter(|task| task.wanted);
        let (own, others): (Vec<_>, Vec<_>) = wanted.partition(|task| task.deployment == primary);
        let (failing, good) = own.into_iter().partition(|task| task.is_failing());
        Self { good, failing, others }
    }

    pub(super) fn serving(&self) -> usize {
        self.good.iter().filter(|task| task.health == Health::Serving).count()
    }

    pub(super) fn all(&self) -> usize {
        self.good.len() + self.failing.len() + self.others.len()
    }
}

impl TaskView {
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.health, Health::Failing(_))
    }

    /// Whether scaling in and deployments leave it alone. One that fails its checks is replaced none the less.
    pub(super) fn is_protected(&self) -> bool {
        self.protected_until.is_some() && !self.is_failing()
    }

    pub(super) fn runs(&self) -> bool {
        self.last_status == LastStatus::Running
    }

    pub(super) fn retire(&self) -> Decision {
        let cause = match &self.health {
            Health::Failing(cause) => Some(cause.clone()),
            Health::Undecided { .. } | Health::Serving => None,
        };
        Decision::Retire { task: self.id.clone(), cause }
    }
}

/// The bounds of the service scheduler ("deploymentConfiguration"): the least that stay healthy, rounded up, and the
/// most that run or start, rounded down.
pub(super) fn bounds(service: &Service) -> (usize, usize) {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let desired = count(service.desired_count);
    let least = desired.saturating_mul(count(service.minimum_healthy_percent)).div_ceil(100);
    let most = desired.saturating_mul(count(service.maximum_percent)) / 100;
    (least.min(desired), most.max(desired))
}

/// How many tasks start, and which end.
struct Plan<'a> {
    /// The deployment whose tasks are kept up until the primary one's serve: the last completed one.
    old: Option<&'a crate::ecs::service::Deployment>,
    start_old: usize,
    start: usize,
    retire: Vec<Decision>,
    /// What cannot end, as it is protected.
    held: Vec<HeldBack>,
    /// Whether the percentages let no task of an old deployment be replaced.
    blocked: bool,
}

impl<'a> Plan<'a> {
    fn make(view: &ServiceView<'a>, tasks: &Tasks<'_>) -> Self {
        let service = view.service;
        let desired = usize::try_from(service.desired_count).unwrap_or(usize::MAX);
        let (least, most) = bounds(service);
        let failed = service.primary().is_some_and(|primary| primary.rollout_state == RolloutState::Failed);
        let serving = tasks.serving();
        // What a deployment that was given up does not do, the one before it does.
        let kept = if failed { desired } else { least };
        let needed_old = kept.saturating_sub(serving);
        let mut before = service.deployments.iter().skip(1);
        let old = before.find(|known| known.rollout_state == RolloutState::Completed);
        // Percentages that let nothing be replaced would have the old tasks replaced for ever.
        let old = old.filter(|_| most > least || failed);
        let fine_old = tasks.others.iter().filter(|task| !task.is_failing()).count();

        let room = most.saturating_sub(tasks.all());
        let start_old = match old {
            Some(_) => needed_old.saturating_sub(fine_old).min(room),
            None => 0,
        };
        let missing = if failed { 0 } else { desired.saturating_sub(tasks.good.len()) };
        let move_one = usize::from(place::moves(view, &tasks.good) && tasks.all() == desired);
        let start = (missing + move_one).min(room - start_old);
        // As many as may run do, and as many must: none ends for another, and none starts beside it.
        let full = fine_old > 0 && fine_old + tasks.good.len() <= most;
        let stuck = most <= least && full && missing > start;

        let mut retire = Vec::new();
        let mut held = Vec::new();
        let (excess, missed) = place::excess(view, &tasks.good, desired);
        retire.extend(excess);
        if let Some(primary) = service.primary() {
            let waits = match missed {
                0 if place::is_held(view, &tasks.good) => Some(Waits::Rebalancing),
                0 => None,
                _ => Some(Waits::ScaleIn),
            };
            held.extend(waits.map(|waits| HeldBack {
                deployment: primary.id.clone(),
                waits,
                protected: tasks.good.iter().filter(|task| task.is_protected()).count(),
            }));
        }
        // One that fails goes when another serves in its place; where there is no room for another, as many go as the
        // least allows, and one at a time where it allows none.
        let running = tasks.good.iter().chain(&tasks.failing).chain(&tasks.others).filter(|task| task.runs());
        let spare = running.count().saturating_sub(least);
        let replaced = (tasks.failing.len() + serving).saturating_sub(desired);
        let blocked = failed || (missing > 0 && start == 0);
        let starting = tasks.good.len() > serving;
        let cleared = match blocked {
            true if spare > 0 => spare,
            true if !starting => 1,
            _ => 0,
        };
        retire.extend(tasks.failing.iter().take(replaced.max(cleared)).map(|task| task.retire()));
        let keep = if old.is_some() { needed_old } else { 0 };
        let (replaced, of_old) = place::replaced(service, tasks, kept, keep);
        retire.extend(replaced);
        held.extend(of_old);
        Self { old, start_old, start, retire, held, blocked: stuck }
    }
}

/// What has to be said of protected tasks that should end, and when the first of them is not protected any more.
fn held_up(view: &ServiceView<'_>, held: Vec<HeldBack>) -> Vec<Decision> {
    let among =
        |task: &&TaskView| task.wanted && held.iter().any(|known| known.deployment == task.deployment);
    let until = view.tasks.iter().filter(among).filter_map(|task| task.protected_until).min();
    let wait = until.map(|until| Decision::Wait { until });
    let said = (held != view.service.held_back).then_some(Decision::HeldBack { deployments: held });
    said.into_iter().chain(wait).collect()
}

/// What has to be said of tasks that fail their checks.
fn noticed(view: &ServiceView<'_>) -> Vec<Decision> {
    let said = &view.service.unhealthy;
    let failing =
        |id: &TaskId| view.tasks.iter().any(|task| task.id == *id && task.wanted && task.is_failing());
    let recovered = said.iter().filter(|id| !failing(id)).map(|id| Decision::Recovered { task: id.clone() });
    let new = view.tasks.iter().filter(|task| task.wanted && !said.contains(&task.id));
    let new = new.filter_map(|task| match &task.health {
        Health::Failing(cause) => Some(Decision::Unhealthy { task: task.id.clone(), cause: cause.clone() }),
        Health::Undecided { .. } | Health::Serving => None,
    });
    recovered.chain(new).collect()
}

/// Deployments without tasks, and whether all is as desired.
fn rest(view: &ServiceView<'_>, tasks: &Tasks<'_>, now: Timestamp) -> Vec<Decision> {
    let service = view.service;
    let mut decisions = Vec::new();
    let desired = usize::try_from(service.desired_count).unwrap_or(usize::MAX);
    let left = |id: &str| view.tasks.iter().any(|task| task.deployment == id);
    let state = service.primary().map(|primary| primary.rollout_state);
    // What was complete is needed as long as the primary deployment may be given up for it.
    let kept = |known: &&crate::ecs::service::Deployment| {
        known.rollout_state == RolloutState::Completed
            && state != Some(RolloutState::Completed)
            && desired > 0
    };
    let old = service.deployments.iter().skip(1).filter(|known| !kept(known));
    let forgotten: Vec<&str> = old.map(|known| known.id.as_str()).filter(|id| !left(id)).collect();
    decisions.extend(forgotten.iter().map(|id| Decision::Forget { deployment: (*id).to_owned() }));

    let alone = view.tasks.len() == tasks.good.len();
    let complete = alone && tasks.good.len() == desired;
    let running = complete && tasks.good.iter().all(|task| task.runs());
    let serving = running && tasks.serving() == desired;
    let baking = bake(view, now).filter(|_| serving && state == Some(RolloutState::InProgress));
    if let Some(baking) = baking {
        decisions.extend(baking);
        return decisions;
    }
    if serving && state == Some(RolloutState::InProgress) {
        decisions.push(Decision::Complete);
    }
    let single = service.deployments.len() == 1 + forgotten.len() || state == Some(RolloutState::InProgress);
    if serving && single && state != Some(RolloutState::Failed) {
        if !service.steady {
            decisions.push(Decision::Steady);
        }
    } else if service.steady && !running {
        decisions.push(Decision::Unsteady);
    }
    if service.availability_zone_rebalancing == Rebalancing::Enabled {
        decisions.extend(place::balance(view, &tasks.good, serving));
    }
    decisions
}
