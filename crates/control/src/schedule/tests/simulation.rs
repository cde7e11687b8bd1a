//! Random histories of services: what must hold in each step, and that they come to rest where they shall.

use std::time::Duration;

use proptest::prelude::*;
use types::{AccountId, Region, TaskId, Timestamp};

use crate::ecs::service::{
    CircuitBreaker, Deployment, DeploymentAlarms, Failures, PropagateTags, Rebalancing, RolloutState,
    Service, ServiceStatus,
};
use crate::ecs::task::LastStatus;
use crate::ecs::{AssignPublicIp, Network, Tags};
use crate::schedule::{Alarms, Cause, Decision, Health, ServiceView, TaskView, schedule, tell};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_000_000);

pub(super) fn deployment() -> Deployment {
    let network = Network {
        subnets: vec!["s1".to_owned(), "s2".to_owned(), "s3".to_owned()],
        security_groups: Vec::new(),
        assign_public_ip: AssignPublicIp::Disabled,
    };
    Deployment::begin("definition".to_owned(), network, Vec::new(), Vec::new(), NOW)
}

pub(super) fn service(desired_count: u32, minimum: u32, maximum: u32) -> Service {
    Service {
        account: AccountId::new("000000000001").unwrap(),
        region: Region::new("ap-northeast-2").unwrap(),
        cluster: "c".to_owned(),
        name: "app".to_owned(),
        status: ServiceStatus::Active,
        desired_count,
        platform_version: "LATEST".to_owned(),
        minimum_healthy_percent: minimum,
        maximum_percent: maximum,
        circuit_breaker: CircuitBreaker::default(),
        alarms: None,
        availability_zone_rebalancing: Rebalancing::Enabled,
        health_check_grace_period_seconds: 0,
        enable_ecs_managed_tags: false,
        propagate_tags: PropagateTags::None,
        deployments: vec![deployment()],
        last_completed: None,
        record: String::new(),
        unhealthy: Vec::new(),
        held_back: Vec::new(),
        blocked: false,
        rebalancing: false,
        events: Vec::new(),
        steady: false,
        failures: Failures::default(),
        created_at: NOW,
        created_by: String::new(),
        client_token: None,
        inactive_at: None,
        tags: Tags::new(),
    }
}

/// A service with its tasks, as a machine without time would have them.
pub(super) struct Model {
    pub(super) service: Service,
    pub(super) tasks: Vec<TaskView>,
    /// The subnets with their zones.
    subnets: Vec<(&'static str, &'static str)>,
    made: u32,
    /// The alarms in ALARM.
    pub(super) raised: Vec<String>,
    pub(super) bake: Duration,
    pub(super) now: Timestamp,
}

impl Model {
    pub(super) fn new(service: Service) -> Self {
        // Two subnets in one zone, one in another.
        let subnets = vec![("s1", "a"), ("s2", "a"), ("s3", "c")];
        let tasks = Vec::new();
        Self { service, tasks, subnets, made: 0, raised: Vec::new(), bake: Duration::ZERO, now: NOW }
    }

    pub(super) fn decide(&self) -> Vec<Decision> {
        let subnets = || self.subnets.iter().map(|(subnet, zone)| ((*subnet).to_owned(), (*zone).to_owned()));
        let subnets = self.service.deployments.iter().map(|known| (known.id.clone(), subnets().collect()));
        let subnets = subnets.collect();
        let alarms = Alarms { raised: self.raised.clone(), bake: self.bake };
        schedule(
            &ServiceView { service: &self.service, tasks: self.tasks.clone(), subnets, alarms },
            self.now,
        )
    }

    fn apply(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            match decision {
                Decision::Start { deployment, subnet, provider, .. } => {
                    self.made += 1;
                    self.tasks.push(TaskView {
                        id: TaskId::from(&*format!("{:04}", self.made)),
                        deployment,
                        zone: if subnet == "s3" { "c" } else { "a" }.to_owned(),
                        subnet,
                        provider,
                        last_status: LastStatus::Provisioning,
                        wanted: true,
                        health: Health::Undecided { until: None },
                        protected_until: None,
                    });
                }
                Decision::Retire { task, cause } => {
                    let task = self.tasks.iter_mut().find(|known| known.id == task).unwrap();
                    assert!(task.wanted, "no task is told to end twice");
                    let spared = cause.is_none() && self.service.is_active();
                    assert!(!spared || task.protected_until.is_none(), "a protected task is left alone");
                    task.wanted = false;
                    task.health = Health::Undecided { until: None };
                    if cause.is_some() {
                        tell::count(&mut self.service, &task.deployment, NOW);
                    }
                }
                Decision::Unhealthy { task, .. } => self.service.unhealthy.push(task),
                Decision::Recovered { task } => self.service.unhealthy.retain(|known| *known != task),
                Decision::HeldBack { deployments } => {
                    assert_ne!(self.service.held_back, deployments, "it is said once");
                    for held in &deployments {
                        let own = |task: &&TaskView| task.wanted && task.deployment == held.deployment;
                        let protected = self.tasks.iter().filter(own).filter(|task| task.is_protected());
                        assert_eq!(protected.count(), held.protected);
                        assert!(held.protected > 0);
                    }
                    self.service.held_back = deployments;
                }
                Decision::Blocked => {
                    assert!(!self.service.blocked, "it is said once");
                    self.service.blocked = true;
                }
                Decision::Unblocked => {
                    assert!(self.service.blocked);
                    self.service.blocked = false;
                }
                Decision::Forget { deployment } => {
                    self.service.deployments.retain(|known| known.id != deployment);
                }
                Decision::Proven => {
                    let primary = &mut self.service.deployments[0];
                    (primary.proven, primary.failed_tasks) = (true, 0);
                }
                Decision::Bake => {
                    let primary = &mut self.service.deployments[0];
                    assert_eq!(primary.baking_since, None, "it begins once");
                    primary.baking_since = Some(self.now);
                }
                Decision::Fail { roll_back, alarms } => {
                    self.service.fail(alarms, NOW);
                    if roll_back {
                        let id = self.service.rollback_target().unwrap().to_owned();
                        let known = self.service.deployments.iter().find(|known| known.id == id);
                        let known = known.expect("what was complete is kept until the next one is");
                        let known = Deployment { watched: self.raised.is_empty(), ..known.clone() };
                        self.service.go_back_to(known, NOW);
                    }
                }
                Decision::Complete => {
                    self.service.deployments[0].rollout_state = RolloutState::Completed;
                    self.service.last_completed = Some(self.service.deployments[0].id.clone());
                }
                Decision::Steady => self.service.steady = true,
                Decision::Unsteady => self.service.steady = false,
                Decision::Imbalanced { .. } => self.service.rebalancing = true,
                Decision::Balanced { .. } => self.service.rebalancing = false,
                Decision::Wait { .. } => {}
                Decision::Inactive => self.service.status = ServiceStatus::Inactive,
            }
        }
    }

    /// A task comes a step further: up when it is wanted, away when it is not.
    fn step(&mut self, index: usize) {
        if self.tasks.is_empty() {
            return;
        }
        let index = index % self.tasks.len();
        let task = &mut self.tasks[index];
        if !task.wanted {
            self.tasks.remove(index);
        } else if task.last_status != LastStatus::Running {
            task.last_status = LastStatus::Running;
        } else if !matches!(task.health, Health::Failing(_)) {
            task.health = Health::Serving;
        }
    }

    /// A task ends by itself.
    fn kill(&mut self, index: usize) {
        if self.tasks.is_empty() {
            return;
        }
        let task = self.tasks.remove(index % self.tasks.len());
        if task.wanted {
            tell::count(&mut self.service, &task.deployment, NOW);
        }
    }

    /// Another deployment begins, which is watched unless an alarm is in ALARM.
    pub(super) fn deploy(&mut self) {
        self.service.install(Deployment { watched: self.raised.is_empty(), ..deployment() });
    }

    /// A task is protected, or is so no more.
    fn protect(&mut self, index: usize) {
        if self.tasks.is_empty() {
            return;
        }
        let index = index % self.tasks.len();
        let task = &mut self.tasks[index];
        task.protected_until = match task.protected_until {
            None if task.wanted => Some(NOW.plus(Duration::from_secs(60))),
            _ => None,
        };
    }

    /// All protection ends.
    fn expire(&mut self) {
        self.tasks.iter_mut().for_each(|task| task.protected_until = None);
    }

    /// A running task fails its checks.
    fn fail(&mut self, index: usize) {
        if self.tasks.is_empty() {
            return;
        }
        let index = index % self.tasks.len();
        let task = &mut self.tasks[index];
        if task.wanted && task.last_status == LastStatus::Running {
            task.health = Health::Failing(Cause::Container);
        }
    }

    /// Decides until there is nothing more to decide. Whether that is soon.
    fn settle(&mut self) -> bool {
        for _ in 0..8 {
            let decisions = self.decide();
            if decisions.iter().all(|decision| matches!(decision, Decision::Wait { .. })) {
                return true;
            }
            self.apply(decisions);
        }
        false
    }

    /// Lets everything happen that can.
    pub(super) fn rest(&mut self) {
        for _ in 0..1000 {
            let decisions = self.decide();
            let quiet = decisions.is_empty();
            self.apply(decisions);
            // What was never complete is not kept up for a version that was given up: its sick tasks stay.
            let failed = self.service.deployments[0].rollout_state == RolloutState::Failed;
            let stays = |task: &TaskView| failed && matches!(task.health, Health::Failing(_));
            let moves = |task: &TaskView| !task.wanted || task.health != Health::Serving && !stays(task);
            let moves = self.tasks.iter().any(moves);
            if quiet && !moves {
                return;
            }
            for index in (0..self.tasks.len()).rev() {
                self.step(index);
            }
        }
        panic!("it does not come to rest: {:?}", self.decide());
    }

    /// Lets everything happen that can, until these decisions alone are left.
    pub(super) fn rest_until(&mut self, left: &[Decision]) {
        for _ in 0..1000 {
            let decisions = self.decide();
            if decisions == left {
                return;
            }
            self.apply(decisions);
            for index in (0..self.tasks.len()).rev() {
                self.step(index);
            }
        }
        panic!("it does not come to that: {:?}", self.decide());
    }

    /// The healthy ones: of an old deployment all that run and do not fail.
    fn healthy(&self) -> usize {
        let primary = &self.service.deployments[0].id;
        let healthy = |task: &&TaskView| match task.health {
            Health::Serving => true,
            Health::Undecided { .. } => {
                task.wanted && task.deployment != *primary && task.last_status == LastStatus::Running
            }
            Health::Failing(_) => false,
        };
        self.tasks.iter().filter(healthy).count()
    }

    fn serving(&self) -> usize {
        self.tasks.iter().filter(|task| task.health == Health::Serving).count()
    }

    fn wanted(&self) -> usize {
        self.tasks.iter().filter(|task| task.wanted).count()
    }

    fn in_zone(&self, zone: &str) -> usize {
        self.tasks.iter().filter(|task| task.zone == zone).count()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Step(usize),
    Kill(usize),
    Fail(usize),
    Scale(u32),
    Deploy,
    Protect(usize),
    /// An alarm goes off, or is over.
    Alarm(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        9 => any::<usize>().prop_map(Act::Step),
        1 => any::<usize>().prop_map(Act::Kill),
        1 => any::<usize>().prop_map(Act::Fail),
        1 => (0_u32..7).prop_map(Act::Scale),
        1 => Just(Act::Deploy),
        2 => any::<usize>().prop_map(Act::Protect),
        1 => any::<bool>().prop_map(Act::Alarm),
    ]
}

fn percentages() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![
        Just((100, 200)),
        Just((50, 100)),
        Just((0, 100)),
        Just((100, 150)),
        Just((50, 200)),
        Just((67, 134))
    ]
}

/// The one alarm `high`.
pub(super) fn alarms(rollback: bool) -> DeploymentAlarms {
    DeploymentAlarms { alarm_names: vec!["high".to_owned()], rollback, enable: true }
}

fn breaker() -> impl Strategy<Value = CircuitBreaker> {
    (any::<bool>(), any::<bool>()).prop_map(|(enable, rollback)| CircuitBreaker { enable, rollback })
}

/// Whether the percentages let no task be replaced: of one task 50 % are one and 150 % are one. AWS is stuck there too.
fn is_stuck(count: u32, minimum: u32, maximum: u32) -> bool {
    count > 0 && (count * minimum).div_ceil(100) >= count && count * maximum / 100 <= count
}

proptest! {
    #[test]
    fn any_history_comes_to_rest_with_the_desired_tasks(
        count in 0_u32..7,
        (minimum, maximum) in percentages(),
        breaker in breaker(),
        back_on_alarm in any::<bool>(),
        acts in prop::collection::vec(act(), 0..80),
    ) {
        let mut model = Model::new(service(count, minimum, maximum));
        model.service.circuit_breaker = breaker;
        model.service.alarms = Some(alarms(back_on_alarm));
        for act in acts {
            match act {
                Act::Step(index) => model.step(index),
                Act::Kill(index) => model.kill(index),
                Act::Fail(index) => model.fail(index),
                Act::Scale(count) => model.service.desired_count = count,
                Act::Deploy => model.deploy(),
                Act::Alarm(raised) => model.raised = raised.then(|| "high".to_owned()).into_iter().collect(),
                Act::Protect(index) => model.protect(index),
            }
            // Ending a task may make room for another; then there is nothing more to do until something happens.
            prop_assert!(model.settle(), "it decides forever: {:?}", model.decide());
        }
        if is_stuck(model.service.desired_count, minimum, maximum) {
            model.service.maximum_percent = 200;
        }
        model.expire();
        model.rest();
        prop_assert!(model.service.held_back.is_empty() && !model.service.blocked);
        let desired = model.service.desired_count as usize;
        let primary = &model.service.deployments[0];
        if primary.rollout_state == RolloutState::Failed {
            // Given up, with nothing to roll back to or without being asked to: what was complete goes on.
            let by_alarm = !primary.alarmed.is_empty();
            prop_assert!(breaker.enable || by_alarm);
            let rollback = if by_alarm { back_on_alarm } else { breaker.rollback };
            prop_assert!(!rollback || model.service.rollback_target().is_none() || primary.rollback);
            prop_assert!(model.wanted() <= desired.max(model.serving()));
        } else {
            prop_assert_eq!(primary.rollout_state, RolloutState::Completed);
            prop_assert_eq!(model.service.deployments.len(), 1);
            prop_assert_eq!(model.tasks.len(), desired);
            prop_assert!(model.tasks.iter().all(|task| task.deployment == primary.id));
            prop_assert!(model.service.steady && model.service.unhealthy.is_empty());
        }

        model.service.status = ServiceStatus::Draining;
        for _ in 0..4 * desired + 8 {
            let decisions = model.decide();
            model.apply(decisions);
            model.step(0);
        }
        prop_assert_eq!(model.service.status, ServiceStatus::Inactive);
    }

    #[test]
    fn a_rolling_update_keeps_its_bounds_and_starts_no_task_in_vain(
        count in 1_u32..8,
        (minimum, maximum) in percentages(),
        steps in prop::collection::vec(any::<usize>(), 200),
    ) {
        prop_assume!(!is_stuck(count, minimum, maximum));
        let mut model = Model::new(service(count, minimum, maximum));
        model.rest();
        let before = model.made;
        model.service.install(deployment());
        let least = (count * minimum).div_ceil(100) as usize;
        let most = (count * maximum / 100) as usize;
        for step in steps {
            let decisions = model.decide();
            model.apply(decisions);
            prop_assert!(model.healthy() >= least, "{} are healthy, {least} must be", model.healthy());
            prop_assert!(model.wanted() <= most, "{} run, {most} may", model.wanted());
            model.step(step);
        }
        model.rest();
        prop_assert_eq!(model.serving(), count as usize);
        prop_assert_eq!(model.made - before, count);
    }

    #[test]
    fn a_version_that_never_is_well_is_taken_back_and_hurts_nobody(
        count in 1_u32..8,
        (minimum, maximum) in percentages(),
        dies in any::<bool>(),
        steps in prop::collection::vec(any::<usize>(), 400),
    ) {
        prop_assume!(!is_stuck(count, minimum, maximum));
        let mut model = Model::new(service(count, minimum, maximum));
        model.service.circuit_breaker = CircuitBreaker { enable: true, rollback: true };
        model.rest();
        let good = model.service.deployments[0].id.clone();
        model.service.install(deployment());
        let bad = model.service.deployments[0].id.clone();
        let least = (count * minimum).div_ceil(100) as usize;
        for step in steps {
            prop_assert!(model.settle());
            prop_assert!(model.healthy() >= least, "{} are healthy, {least} must be", model.healthy());
            if model.tasks.is_empty() {
                continue;
            }
            let index = step % model.tasks.len();
            let task = &model.tasks[index];
            match (task.deployment == bad && task.wanted, task.last_status == LastStatus::Running) {
                (true, false) if dies => model.kill(index),
                (true, true) => model.fail(index),
                _ => model.step(index),
            }
        }
        model.rest();
        prop_assert_eq!(&model.service.deployments[0].id, &good);
        prop_assert_eq!(model.service.deployments.len(), 1);
        prop_assert_eq!(model.serving(), count as usize);
        let words = format!("(service app) rolling back to deployment {good}.");
        prop_assert!(model.service.events.iter().any(|event| event.message == words));
    }

    #[test]
    fn zones_never_differ_by_more_than_one(counts in prop::collection::vec(0_u32..9, 1..6)) {
        let mut model = Model::new(service(0, 100, 200));
        for count in counts {
            model.service.desired_count = count;
            model.rest();
            prop_assert!(model.in_zone("a").abs_diff(model.in_zone("c")) <= 1);
        }
    }

    #[test]
    fn a_zone_that_was_lost_gets_its_share_back_without_losing_a_serving_task(count in 1_u32..9) {
        let mut model = Model::new(service(count, 100, 200));
        model.rest();
        let lost = model.subnets.pop().unwrap();
        model.tasks.retain(|task| task.zone != "c");
        model.rest();
        prop_assert_eq!(model.in_zone("a"), count as usize);
        model.subnets.push(lost);
        for _ in 0..200 {
            prop_assert!(model.settle());
            prop_assert!(model.healthy() >= count as usize);
            for index in (0..model.tasks.len()).rev() {
                model.step(index);
            }
        }
        prop_assert!(model.in_zone("a").abs_diff(model.in_zone("c")) <= 1);
        model.rest();
        prop_assert!(!model.service.rebalancing);
    }
}

#[test]
fn what_goes_on_for_a_version_that_was_given_up_is_replaced_when_it_fails_and_there_is_no_room_for_another() {
    let mut model = Model::new(service(0, 0, 100));
    model.service.circuit_breaker = CircuitBreaker { enable: true, rollback: false };
    assert!(model.settle());
    model.service.desired_count = 1;
    assert!(model.settle());
    let complete = model.service.deployments[0].id.clone();
    model.service.install(deployment());
    assert!(model.settle());
    for _ in 0..2 {
        model.step(0);
        assert!(model.settle());
    }
    for _ in 0..3 {
        model.kill(0);
        assert!(model.settle());
    }
    assert_eq!(model.service.deployments[0].rollout_state, RolloutState::Failed);
    model.step(0);
    assert!(model.settle());
    model.fail(0);
    assert!(model.settle());
    model.rest();
    assert_eq!(model.serving(), 1);
    assert_eq!(model.tasks[0].deployment, complete);
}

#[test]
fn a_service_that_waits_starts_nothing_before_its_time() {
    let mut model = Model::new(service(2, 100, 200));
    let until = NOW.plus(Duration::from_secs(8));
    model.service.failures.retry_at = Some(until);
    assert_eq!(model.decide(), [Decision::Wait { until }]);
    model.service.failures.retry_at = Some(NOW);
    assert_eq!(model.decide().len(), 2);
}
