//! Services and tasks on a virtual clock: the scheduler decides after each change, and what must hold is checked each
//! time. Deployments, good and bad ones, tasks that end, and the loss of a zone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use control::ecs::service::{
    CircuitBreaker, Deployment, Failures, PropagateTags, Rebalancing, RolloutState, Service, ServiceStatus,
};
use control::ecs::task::LastStatus;
use control::ecs::{AssignPublicIp, Network, Tags};
use control::schedule::{Alarms, Cause, Decision, Health, ServiceView, TaskView, schedule};
use types::{AccountId, Region, TaskId, Timestamp};

use crate::Error;

/// How many tasks each service has.
pub(super) const TASKS: u32 = 10;
/// The subnets, one in each zone.
const SUBNETS: [(&str, &str); 3] = [("subnet-a", "a"), ("subnet-b", "b"), ("subnet-c", "c")];
const MINUTE: u64 = 60_000;

/// What a simulation saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How many changes were decided on.
    pub(super) changes: usize,
    /// How many tasks started.
    pub(super) started: usize,
    /// How many deployments were taken back.
    pub(super) rolled_back: usize,
    /// The virtual time that passed.
    pub(super) clock: Duration,
    /// How long each change took to plan, in microseconds.
    pub(super) micros: Vec<f64>,
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A task comes a step further.
    Step { task: u32 },
    /// A running task ends by itself.
    Crash { task: u32 },
    /// A new version is rolled out; of a bad one no task ever is well.
    Deploy { bad: bool },
    /// The desired count changes.
    Scale { count: u32 },
    /// The zone c is lost: its tasks end, and no other starts there.
    Lost,
    /// The zone c is back.
    Back,
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

struct One {
    service: Service,
    tasks: Vec<TaskView>,
    zones: usize,
    bad: Vec<String>,
    made: u32,
}

/// Runs so many services for half an hour of virtual time.
///
/// # Errors
/// When a decision breaks a bound, nothing comes to rest, or the end is not what was desired.
pub(super) fn run(services: u32, seed: u64) -> Result<Seen, Error> {
    let mut chance = Chance(seed);
    let mut queue: BinaryHeap<Reverse<(u64, u32, Event)>> = BinaryHeap::new();
    let mut all: Vec<One> =
        (0..services).map(|number| One::new(number, &mut chance)).collect::<Result<_, _>>()?;
    let mut seen = Seen::default();
    for (number, one) in (0..).zip(&mut all) {
        one.decide(number, 0, &mut queue, &mut chance, &mut seen)?;
        match chance.next(10) {
            0 => queue.push(Reverse((
                MINUTE * 3 + chance.next(MINUTE * 20),
                number,
                Event::Deploy { bad: true },
            ))),
            1..5 => queue.push(Reverse((
                MINUTE * 3 + chance.next(MINUTE * 20),
                number,
                Event::Deploy { bad: false },
            ))),
            5 => {
                // Of one task, half and one and a half are one: nothing could ever be replaced.
                let count = 2 + u32::try_from(chance.next(19))?;
                queue.push(Reverse((MINUTE * 3 + chance.next(MINUTE * 20), number, Event::Scale { count })));
            }
            _ => {}
        }
        queue.push(Reverse((MINUTE * 8, number, Event::Lost)));
        queue.push(Reverse((MINUTE * 12, number, Event::Back)));
    }
    let mut clock = 0;
    while let Some(Reverse((at, number, event))) = queue.pop() {
        clock = at;
        let one = all.get_mut(usize::try_from(number)?).ok_or("no such service")?;
        if one.happen(event, at, &mut queue, number, &mut chance) {
            one.decide(number, at, &mut queue, &mut chance, &mut seen)?;
        }
    }
    seen.clock = Duration::from_millis(clock);
    all.iter().try_for_each(One::check_end)?;
    Ok(seen)
}

impl One {
    fn new(number: u32, chance: &mut Chance) -> Result<Self, Error> {
        let percent = [(100, 200), (50, 100), (100, 150), (50, 200)];
        let (minimum, maximum) = percent[usize::try_from(chance.next(4)).unwrap_or(0)];
        let service = Service {
            account: AccountId::new("000000000001")?,
            region: Region::new("ap-northeast-2")?,
            cluster: "c".to_owned(),
            name: format!("s{number}"),
            status: ServiceStatus::Active,
            desired_count: TASKS,
            platform_version: "LATEST".to_owned(),
            minimum_healthy_percent: minimum,
            maximum_percent: maximum,
            circuit_breaker: CircuitBreaker { enable: true, rollback: true },
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
            created_at: Timestamp::from_millis(0),
            created_by: String::new(),
            client_token: None,
            inactive_at: None,
            tags: Tags::new(),
        };
        Ok(Self { service, tasks: Vec::new(), zones: SUBNETS.len(), bad: Vec::new(), made: 0 })
    }

    /// Lets something happen. Whether anything did.
    fn happen(
        &mut self,
        event: Event,
        at: u64,
        queue: &mut BinaryHeap<Reverse<(u64, u32, Event)>>,
        number: u32,
        chance: &mut Chance,
    ) -> bool {
        match event {
            Event::Deploy { bad } => {
                let next = deployment();
                if bad {
                    self.bad.push(next.id.clone());
                }
                self.service.install(next);
            }
            Event::Scale { count } => self.service.desired_count = count,
            Event::Lost => {
                self.zones = 2;
                let (lost, left) =
                    std::mem::take(&mut self.tasks).into_iter().partition(|task| task.zone == "c");
                self.tasks = left;
                lost.iter().for_each(|task: &TaskView| self.failed(task));
            }
            Event::Back => self.zones = SUBNETS.len(),
            Event::Crash { task } => {
                let Some(index) = self.index(task) else { return false };
                let task = self.tasks.remove(index);
                self.failed(&task);
            }
            Event::Step { task: id } => {
                let Some(index) = self.index(id) else { return false };
                let task = &mut self.tasks[index];
                if !task.wanted {
                    self.tasks.remove(index);
                } else if task.last_status != LastStatus::Running {
                    if chance.next(50) == 0 {
                        let task = self.tasks.remove(index);
                        self.failed(&task);
                        return true;
                    }
                    task.last_status = LastStatus::Running;
                    queue.push(Reverse((at + 1000 + chance.next(20_000), number, event)));
                } else if self.bad.contains(&task.deployment) {
                    task.health = Health::Failing(Cause::Container);
                } else {
                    task.health = Health::Serving;
                    if chance.next(100) == 0 {
                        let crash = Event::Crash { task: id };
                        queue.push(Reverse((at + chance.next(MINUTE * 5), number, crash)));
                    }
                }
            }
        }
        true
    }

    fn index(&self, task: u32) -> Option<usize> {
        let id = TaskId::from(&*format!("{task:08}"));
        self.tasks.iter().position(|known| known.id == id)
    }

    /// A task ended by itself.
    fn failed(&mut self, task: &TaskView) {
        let known = self.service.deployments.iter_mut().find(|known| known.id == task.deployment);
        if let Some(known) = known.filter(|known| task.wanted && !known.proven) {
            known.failed_tasks += u32::from(known.rollout_state == RolloutState::InProgress);
        }
    }

    fn primary(&self) -> Option<&str> {
        self.service.deployments.first().map(|primary| primary.id.as_str())
    }

    /// How many tasks are healthy: those that serve, and of deployments before the primary one all that run and fail no
    /// check.
    fn healthy(&self, primary: Option<&str>) -> usize {
        let healthy = |task: &&TaskView| match task.health {
            Health::Serving => task.wanted,
            Health::Failing(_) => false,
            Health::Undecided { .. } => {
                task.wanted && Some(&*task.deployment) != primary && task.last_status == LastStatus::Running
            }
        };
        self.tasks.iter().filter(healthy).count()
    }

    fn wanted(&self) -> usize {
        self.tasks.iter().filter(|task| task.wanted).count()
    }

    /// The least and the most, rounded as documented.
    fn bounds(&self) -> (usize, usize) {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let service = &self.service;
        (
            count((service.desired_count * service.minimum_healthy_percent).div_ceil(100)),
            count(service.desired_count * service.maximum_percent / 100),
        )
    }

    /// Decides until nothing is left to decide, and checks each decision's bounds.
    fn decide(
        &mut self,
        number: u32,
        at: u64,
        queue: &mut BinaryHeap<Reverse<(u64, u32, Event)>>,
        chance: &mut Chance,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let now = Timestamp::from_millis(i64::try_from(at)?);
        let begun = Instant::now();
        let mut planning = Duration::ZERO;
        for _ in 0..10 {
            let planned = Instant::now();
            let subnets = || {
                SUBNETS[..self.zones].iter().map(|(subnet, zone)| ((*subnet).to_owned(), (*zone).to_owned()))
            };
            let subnets: BTreeMap<_, _> = self
                .service
                .deployments
                .iter()
                .map(|known| (known.id.clone(), subnets().collect()))
                .collect();
            let view = ServiceView {
                service: &self.service,
                tasks: self.tasks.clone(),
                subnets,
                alarms: Alarms::default(),
            };
            let decisions = schedule(&view, now);
            planning += planned.elapsed();
            if decisions.is_empty() {
                seen.changes += 1;
                seen.micros.push(planning.as_secs_f64() * 1e6);
                return Ok(());
            }
            // Counted as what was decided on: a roll-back ends no task, but has the checks decide on those of the version
            // that was kept up as well.
            let primary = self.primary().map(str::to_owned);
            let primary = primary.as_deref();
            let ((least, most), healthy, wanted) = (self.bounds(), self.healthy(primary), self.wanted());
            for decision in decisions {
                self.follow(decision, number, at, queue, chance, seen)?;
            }
            let healthy_now = self.healthy(primary);
            if healthy_now < least.min(healthy) {
                let name = &self.service.name;
                return Err(format!("{name}: {healthy_now} are healthy, {least} must be").into());
            }
            if self.wanted() > most.max(wanted) {
                return Err(format!("{}: {} run, {most} may", self.service.name, self.wanted()).into());
            }
        }
        Err(format!("{} decides for ever ({:?})", self.service.name, begun.elapsed()).into())
    }

    fn follow(
        &mut self,
        decision: Decision,
        number: u32,
        at: u64,
        queue: &mut BinaryHeap<Reverse<(u64, u32, Event)>>,
        chance: &mut Chance,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        match decision {
            Decision::Start { deployment, subnet, provider, .. } => {
                self.made += 1;
                seen.started += 1;
                let zone =
                    SUBNETS.iter().find(|(known, _)| *known == subnet).ok_or("no such subnet")?.1.to_owned();
                self.tasks.push(TaskView {
                    id: TaskId::from(&*format!("{:08}", self.made)),
                    deployment,
                    subnet,
                    zone,
                    provider,
                    last_status: LastStatus::Provisioning,
                    wanted: true,
                    health: Health::Undecided { until: None },
                    protected_until: None,
                });
                queue.push(Reverse((
                    at + 500 + chance.next(10_000),
                    number,
                    Event::Step { task: self.made },
                )));
            }
            Decision::Retire { task: id, cause } => {
                let task = self
                    .tasks
                    .iter_mut()
                    .find(|known| known.id == id)
                    .ok_or("a task that is not there ends")?;
                if cause.is_some() {
                    let task = task.clone();
                    self.failed(&task);
                }
                let task = self.tasks.iter_mut().find(|known| known.id == id).ok_or("it went")?;
                if !std::mem::take(&mut task.wanted) {
                    return Err(format!("{id} is told to end twice").into());
                }
                let step = Event::Step { task: id.as_str().parse()? };
                queue.push(Reverse((at + 500 + chance.next(30_000), number, step)));
            }
            Decision::Unhealthy { task, .. } => self.service.unhealthy.push(task),
            Decision::Recovered { task } => self.service.unhealthy.retain(|known| *known != task),
            Decision::HeldBack { deployments } => self.service.held_back = deployments,
            Decision::Blocked => self.service.blocked = true,
            Decision::Unblocked => self.service.blocked = false,
            Decision::Forget { deployment } => {
                self.service.deployments.retain(|known| known.id != deployment);
            }
            Decision::Proven => {
                if let Some(primary) = self.service.deployments.first_mut() {
                    (primary.proven, primary.failed_tasks) = (true, 0);
                }
            }
            Decision::Fail { roll_back, alarms } => {
                let now = Timestamp::from_millis(i64::try_from(at)?);
                self.service.fail(alarms, now);
                if roll_back {
                    seen.rolled_back += 1;
                    let target = self.service.rollback_target().map(str::to_owned);
                    let known =
                        self.service.deployments.iter().find(|known| Some(&known.id) == target.as_ref());
                    let known = known.ok_or("what is rolled back to is not known")?.clone();
                    self.service.go_back_to(known, now);
                }
            }
            Decision::Complete => {
                if let Some(primary) = self.service.deployments.first_mut() {
                    (primary.rollout_state, primary.rollback) = (RolloutState::Completed, false);
                    self.service.last_completed = Some(primary.id.clone());
                }
            }
            Decision::Steady => self.service.steady = true,
            Decision::Unsteady => self.service.steady = false,
            Decision::Imbalanced { .. } => self.service.rebalancing = true,
            Decision::Balanced { .. } => self.service.rebalancing = false,
            Decision::Wait { .. } | Decision::Bake | Decision::Inactive => {}
        }
        Ok(())
    }

    /// In the end every service has what it wants, in balance, of a version that works, and says so.
    fn check_end(&self) -> Result<(), Error> {
        let desired = usize::try_from(self.service.desired_count)?;
        let primary = self.service.deployments.first().ok_or("no deployment")?;
        let gave_up = primary.rollout_state == RolloutState::Failed;
        let zones = SUBNETS.map(|(_, zone)| self.tasks.iter().filter(|task| task.zone == zone).count());
        let spread = zones.iter().max().unwrap_or(&0) - zones.iter().min().unwrap_or(&0);
        let balanced = spread <= 1 || self.service.maximum_percent <= 100;
        let whole =
            self.tasks.len() == desired && self.healthy(self.primary()) == desired && self.service.steady;
        if gave_up || (whole && balanced && !self.bad.contains(&primary.id)) {
            return Ok(());
        }
        Err(format!("{} ended with {zones:?} of {desired} tasks: {primary:?}", self.service.name).into())
    }
}

fn deployment() -> Deployment {
    let network = Network {
        subnets: SUBNETS.iter().map(|(subnet, _)| (*subnet).to_owned()).collect(),
        security_groups: Vec::new(),
        assign_public_ip: AssignPublicIp::Disabled,
    };
    Deployment::begin("definition".to_owned(), network, Vec::new(), Vec::new(), Timestamp::from_millis(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_services_keep_their_bounds_and_come_to_rest() {
        let seen = run(200, 1).unwrap();
        assert!(seen.started > 2000 && seen.rolled_back > 0, "{seen:?}");
        assert_eq!(seen.micros.len(), seen.changes);
    }
}
