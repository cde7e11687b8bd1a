//! Which parts the machine is told.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};

use desired::HostError;
use types::PartId;

use super::fake::FakeHost;
use crate::Service;
use crate::reconcile::hand_over::{HandOver, News, every_part};
use crate::schedule::tests::world::World;
use crate::testing::element;

struct Scene {
    world: World,
    host: FakeHost,
    hand_over: HandOver,
    news: Receiver<News>,
    listener: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new(true);
        let (send, news) = channel();
        world.fixture.api.store.watch(move |commit| {
            // The test may be over.
            let _ = send.send(News::Dirty(commit.dirty.clone()));
        });
        let balancers = world.fixture.ok(Service::Elbv2, "DescribeLoadBalancers", "");
        let balancer = element(&balancers, "LoadBalancerArn");
        let listeners =
            world.fixture.ok(Service::Elbv2, "DescribeListeners", &format!("LoadBalancerArn={balancer}"));
        let listener = element(&listeners, "ListenerArn").to_owned();
        Self { world, host: FakeHost::default(), hand_over: HandOver::default(), news, listener }
    }

    fn elb(&self, action: &str, body: &str) {
        self.world.fixture.ok(Service::Elbv2, action, body);
    }

    fn pass(&mut self) -> Result<Vec<String>, HostError> {
        for news in self.news.try_iter() {
            self.hand_over.hear(news);
        }
        self.hand_over.pass(&self.world.rows(), &self.world.fixture.api.settings, &self.host)
    }

    /// The parts that a pass tells, which must succeed.
    #[track_caller]
    fn told(&mut self) -> Vec<PartId> {
        assert_eq!(self.pass(), Ok(Vec::new()));
        let told = std::mem::take(&mut self.host.state().applied);
        told.into_iter().flatten().map(|(id, _)| id).collect()
    }

    fn kinds(&mut self) -> Vec<&'static str> {
        self.told().iter().map(kind).collect()
    }
}

fn kind(id: &PartId) -> &'static str {
    match id {
        PartId::Vpc(_) => "vpc",
        PartId::Task(_) => "task",
        PartId::LoadBalancer(_) => "load balancer",
        PartId::Edge => "edge",
        PartId::Names => "names",
    }
}

#[test]
fn only_what_changed_is_told() {
    let mut scene = Scene::new();
    assert_eq!(scene.kinds(), ["vpc", "names", "edge", "load balancer"], "networks first");
    assert_eq!(scene.kinds(), [""; 0]);
    // The row changes, and no part does.
    let listener = scene.listener.clone();
    scene.elb("AddTags", &format!("ResourceArns.member.1={listener}&Tags.member.1.Key=a"));
    assert_eq!(scene.kinds(), [""; 0]);
    scene.elb("ModifyListener", &format!("ListenerArn={listener}&Port=81"));
    assert_eq!(scene.kinds(), ["edge", "load balancer"]);
    let group = scene.world.target_group.clone();
    scene.elb("RegisterTargets", &format!("TargetGroupArn={group}&Targets.member.1.Id=10.194.100.9"));
    assert_eq!(scene.kinds(), ["load balancer"]);
    // There and back again between two passes.
    scene.elb("ModifyListener", &format!("ListenerArn={listener}&Port=82"));
    scene.elb("ModifyListener", &format!("ListenerArn={listener}&Port=81"));
    assert_eq!(scene.kinds(), [""; 0]);
    scene.hand_over.compare();
    assert_eq!(scene.kinds(), [""; 0], "nothing was lost");
}

#[test]
fn everything_is_told_to_a_machine_that_was_away() {
    let mut scene = Scene::new();
    let first = scene.told();
    scene.host.set(|state| state.unreachable = true);
    assert_eq!(scene.pass(), Ok(Vec::new()), "nothing to say");
    let listener = scene.listener.clone();
    scene.elb("ModifyListener", &format!("ListenerArn={listener}&Port=81"));
    assert!(matches!(scene.pass(), Err(HostError::Unreachable(_))));
    assert!(matches!(scene.pass(), Err(HostError::Unreachable(_))));
    scene.host.set(|state| state.unreachable = false);
    assert_eq!(scene.told(), first);
    scene.hand_over.hear(News::Lost);
    assert_eq!(scene.told(), first, "it came back before anybody asked it");
    assert_eq!(scene.kinds(), [""; 0]);
}

#[test]
fn what_the_machine_lost_is_told_when_all_is_compared() {
    let mut scene = Scene::new();
    scene.told();
    scene.host.set(|state| drop(state.held.remove(&PartId::Names)));
    assert_eq!(scene.kinds(), [""; 0], "nobody looks");
    scene.hand_over.compare();
    assert_eq!(scene.kinds(), ["names"]);
}

#[test]
fn what_no_row_makes_is_removed() {
    let mut scene = Scene::new();
    scene.told();
    let foreign = PartId::LoadBalancer("0123456789abcdef".to_owned());
    let part = desired::Part { id: foreign.clone(), generation: 1, body: None };
    scene.host.set(|state| drop(state.held.insert(foreign.clone(), part)));
    scene.hand_over.compare();
    assert_eq!(scene.pass(), Ok(Vec::new()));
    let applied = std::mem::take(&mut scene.host.state().applied);
    assert_eq!(applied, [vec![(foreign.clone(), false)]]);
    assert!(!scene.host.state().held.contains_key(&foreign));
    scene.hand_over.compare();
    assert_eq!(scene.kinds(), [""; 0]);
}

#[test]
fn what_goes_with_its_rows_is_removed_once() {
    let mut scene = Scene::new();
    scene.told();
    let balancers = scene.world.fixture.ok(Service::Elbv2, "DescribeLoadBalancers", "");
    let arn = element(&balancers, "LoadBalancerArn");
    scene.elb("DeleteLoadBalancer", &format!("LoadBalancerArn={arn}"));
    assert_eq!(scene.kinds(), ["vpc", "names", "edge", "load balancer"]);
    let rows = scene.world.rows();
    let held: BTreeSet<PartId> = scene.host.state().held.keys().cloned().collect();
    let mut all = every_part(&rows);
    all.retain(|id| !matches!(id, PartId::Vpc(_)));
    assert_eq!(held, all, "the VPC has no interface left");
    scene.elb("DeleteTargetGroup", &format!("TargetGroupArn={}", scene.world.target_group));
    scene.hand_over.compare();
    assert_eq!(scene.kinds(), [""; 0]);
}

#[test]
fn a_refused_part_holds_up_no_other() {
    let mut scene = Scene::new();
    scene.host.set(|state| state.refuses = BTreeSet::from([PartId::Edge]));
    assert_eq!(scene.pass(), Ok(vec!["edge: edge contradicts itself".to_owned()]));
    let held: Vec<&str> = scene.host.state().held.keys().map(kind).collect();
    assert_eq!(held, ["vpc", "load balancer", "names"]);
    assert_eq!(scene.kinds().len(), 3);
    assert_eq!(scene.kinds(), [""; 0], "it is not tried again at once");
    scene.hand_over.compare();
    assert_eq!(scene.pass(), Ok(vec!["edge: edge contradicts itself".to_owned()]));
    scene.host.set(|state| state.refuses.clear());
    scene.hand_over.compare();
    assert_eq!(scene.kinds(), ["edge"]);
}
