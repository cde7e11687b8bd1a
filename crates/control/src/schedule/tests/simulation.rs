//! Random histories of services: what must hold in each step, and that they come to rest where they shall.

use proptest::prelude::*;
use types::{AccountId, Region, TaskId, Timestamp};

use crate::ecs::service::{
    Deployment, Failures, PropagateTags, Rebalancing, RolloutState, Service, ServiceStatus,
};
use crate::ecs::task::LastStatus;
use crate::ecs::{AssignPublicIp, Network, Tags};
use crate::schedule::{Decision, ServiceView, TaskView, schedule};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn deployment() -> Deployment {
    let network = Network {
        subnets: vec!["s1".to_owned(), "s2".to_owned(), "s3".to_owned()],
        security_groups: Vec::new(),
        assign_public_ip: AssignPublicIp::Disabled,
    };
    Deployment::begin("definition".to_owned(), network, Vec::new(), NOW)
}

fn service(desired_count: u32, minimum: u32, maximum: u32) -> Service {
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
        availability_zone_rebalancing: Rebalancing::Enabled,
        health_check_grace_period_seconds: 0,
        enable_ecs_managed_tags: false,
        propagate_tags: PropagateTags::None,
        deployments: vec![deployment()],
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
struct Model {
    service: Service,
    tasks: Vec<TaskView>,
    made: u32,
}

impl Model {
    fn new(service: Service) -> Self {
        Self { service, tasks: Vec::new(), made: 0 }
    }

    fn decide(&self) -> Vec<Decision> {
        // Two subnets in one zone, one in another.
        let subnets = [("s1", "a"), ("s2", "a"), ("s3", "c")];
        let subnets = subnets.map(|(subnet, zone)| (subnet.to_owned(), zone.to_owned())).to_vec();
        schedule(&ServiceView { service: &self.service, tasks: self.tasks.clone(), subnets }, NOW)
    }

    fn apply(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            match decision {
                Decision::Start { subnet } => {
                    self.made += 1;
                    self.tasks.push(TaskView {
                        id: TaskId::from(&*format!("{:04}", self.made)),
                        deployment: self.service.deployments[0].id.clone(),
                        zone: if subnet == "s3" { "c" } else { "a" }.to_owned(),
                        subnet,
                        last_status: LastStatus::Provisioning,
                        wanted: true,
                        serving: false,
                    });
                }
                Decision::Retire { task } => {
                    let task = self.tasks.iter_mut().find(|known| known.id == task).unwrap();
                    assert!(task.wanted, "no task is told to end twice");
                    task.wanted = false;
                    task.serving = false;
                }
                Decision::Forget { deployment } => {
                    self.service.deployments.retain(|known| known.id != deployment);
                }
                Decision::Complete => self.service.deployments[0].rollout_state = RolloutState::Completed,
                Decision::Steady => self.service.steady = true,
                Decision::Unsteady => self.service.steady = false,
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
            self.tasks.swap_remove(index);
        } else if task.last_status == LastStatus::Running {
            task.serving = true;
        } else {
            task.last_status = LastStatus::Running;
        }
    }

    /// Lets everything happen that can.
    fn rest(&mut self) {
        for _ in 0..1000 {
            let decisions = self.decide();
            let quiet = decisions.is_empty();
            self.apply(decisions);
            let moves = self.tasks.iter().any(|task| !task.wanted || !task.serving);
            if quiet && !moves {
                return;
            }
            for index in 0..self.tasks.len() {
                self.step(index);
            }
        }
        panic!("it does not come to rest: {:?}", self.decide());
    }

    fn serving(&self) -> usize {
        self.tasks.iter().filter(|task| task.serving).count()
    }

    fn wanted(&self) -> usize {
        self.tasks.iter().filter(|task| task.wanted).count()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Step(usize),
    Kill(usize),
    Scale(u32),
    Deploy,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => any::<usize>().prop_map(Act::Step),
        1 => any::<usize>().prop_map(Act::Kill),
        1 => (0_u32..7).prop_map(Act::Scale),
        1 => Just(Act::Deploy),
    ]
}

/// Whether the percentages let no task be replaced: of one task 50 % are one and 150 % are one. AWS is stuck there too.
fn is_stuck(count: u32, minimum: u32, maximum: u32) -> bool {
    count > 0 && (count * minimum).div_ceil(100) >= count && count * maximum / 100 <= count
}

proptest! {
    #[test]
    fn any_history_comes_to_rest_with_the_desired_tasks(
        count in 0_u32..7,
        (minimum, maximum) in prop_oneof![Just((100, 200)), Just((50, 100)), Just((0, 100)), Just((100, 150))],
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut model = Model::new(service(count, minimum, maximum));
        for act in acts {
            match act {
                Act::Step(index) => model.step(index),
                Act::Kill(index) if !model.tasks.is_empty() => {
                    let index = index % model.tasks.len();
                    model.tasks.swap_remove(index);
                }
                Act::Kill(_) => {}
                Act::Scale(count) => model.service.desired_count = count,
                Act::Deploy => model.service.deploy(deployment()),
            }
            // Ending a task may make room for another; then there is nothing more to do until something happens.
            let rounds = (0..4).find(|_| {
                let decisions = model.decide();
                let quiet = decisions.is_empty();
                model.apply(decisions);
                quiet
            });
            prop_assert!(rounds.is_some(), "it decides forever: {:?}", model.decide());
        }
        if is_stuck(model.service.desired_count, minimum, maximum) {
            model.service.maximum_percent = 200;
        }
        model.rest();
        let desired = model.service.desired_count as usize;
        prop_assert_eq!(model.serving(), desired);
        prop_assert_eq!(model.tasks.len(), desired);
        prop_assert_eq!(model.service.deployments.len(), 1);
        prop_assert!(model.service.steady);
        prop_assert!(model.tasks.iter().all(|task| task.deployment == model.service.deployments[0].id));
        model.service.status = ServiceStatus::Draining;
        for _ in 0..2 * desired + 4 {
            let decisions = model.decide();
            model.apply(decisions);
            model.step(0);
        }
        prop_assert_eq!(model.service.status, ServiceStatus::Inactive);
    }

    #[test]
    fn a_rolling_update_keeps_its_bounds(
        count in 1_u32..8,
        (minimum, maximum) in prop_oneof![Just((100, 200)), Just((50, 100)), Just((50, 200)), Just((0, 100)), Just((100, 150))],
        steps in prop::collection::vec(any::<usize>(), 200),
    ) {
        prop_assume!(!is_stuck(count, minimum, maximum));
        let mut model = Model::new(service(count, minimum, maximum));
        model.rest();
        model.service.deploy(deployment());
        let least = (count * minimum).div_ceil(100) as usize;
        let most = (count * maximum / 100) as usize;
        for step in steps {
            let decisions = model.decide();
            model.apply(decisions);
            prop_assert!(model.serving() >= least, "{} serve, {least} must", model.serving());
            prop_assert!(model.wanted() <= most.max(count as usize), "{} run, {most} may", model.wanted());
            model.step(step);
        }
        model.rest();
        prop_assert_eq!(model.serving(), count as usize);
    }

    #[test]
    fn zones_never_differ_by_more_than_one(counts in prop::collection::vec(0_u32..9, 1..6)) {
        let mut model = Model::new(service(0, 100, 200));
        for count in counts {
            model.service.desired_count = count;
            model.rest();
            let in_zone = |zone: &str| model.tasks.iter().filter(|task| task.zone == zone).count();
            prop_assert!(in_zone("a").abs_diff(in_zone("c")) <= 1);
        }
    }
}

#[test]
fn a_service_that_waits_starts_nothing_before_its_time() {
    let mut model = Model::new(service(2, 100, 200));
    let until = NOW.plus(std::time::Duration::from_secs(8));
    model.service.failures.retry_at = Some(until);
    assert_eq!(model.decide(), [Decision::Wait { until }]);
    model.service.failures.retry_at = Some(NOW);
    assert_eq!(model.decide().len(), 2);
}
