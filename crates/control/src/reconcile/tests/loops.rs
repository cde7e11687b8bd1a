//! The three threads together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use desired::{LoadBalancerStatus, Observation};
use types::PartId;

use super::fake::FakeHost;
use crate::Service;
use crate::elbv2::load_balancer::LoadBalancer;
use crate::reconcile::{Patience, Reconciler, every_part};
use crate::schedule::tests::world::World;

/// No timer helps: what happens was asked for by a signal.
const PATIENT: Patience = Patience {
    timer: Duration::from_secs(3600),
    retry: Duration::from_millis(10),
    watch: Duration::from_secs(3600),
    sweep: Duration::from_secs(3600),
};

/// The timers do everything often.
const HASTY: Patience = Patience {
    timer: Duration::from_millis(30),
    retry: Duration::from_millis(10),
    watch: Duration::from_millis(30),
    sweep: Duration::from_millis(30),
};

/// The loops live until the process ends, as they do in `serve`.
fn start(world: &World, host: &Arc<FakeHost>, patience: Patience) {
    let api = &world.fixture.api;
    let (store, settings, machine) = (api.store.clone(), api.settings.clone(), api.machine.clone());
    let host: Arc<FakeHost> = host.clone();
    Reconciler {
        store,
        settings,
        machine,
        host,
        patience,
        wake_schedule: Arc::default(),
        agenda: Arc::default(),
    }
    .run()
    .unwrap();
}

/// The parts that rows make and that have a body.
fn wanted(world: &World) -> BTreeSet<PartId> {
    let rows = world.rows();
    let mut all = every_part(&rows);
    all.retain(|id| crate::project::project(&rows, &world.fixture.api.settings, id).is_some());
    all
}

fn balancer(world: &World) -> Arc<LoadBalancer> {
    world.rows().scan::<LoadBalancer>("").next().unwrap()
}

fn report_ready(world: &World, host: &FakeHost) {
    host.tell(Observation::LoadBalancer(LoadBalancerStatus {
        load_balancer: balancer(world).id.clone(),
        generation: world.rows().sequence(),
        ready: true,
        error: None,
        targets: Default::default(),
    }));
}

/// Waits until a commit makes something so.
fn until_rows(world: &World, host: &Arc<FakeHost>, what: &str, is: impl Fn(&World) -> bool) {
    let waker = host.clone();
    world.fixture.api.store.watch(move |_| waker.set(|_| ()));
    host.until(what, |_| is(world).then_some(()));
}

#[test]
fn rows_reach_the_machine_and_its_reports_the_rows() {
    let world = World::new(false);
    let host = Arc::new(FakeHost::default());
    start(&world, &host, PATIENT);
    host.until("the first parts", |state| state.held.contains_key(&PartId::Edge).then_some(()));
    world.listen();
    let all = wanted(&world);
    host.until("the load balancer's parts", |state| {
        let held: BTreeSet<PartId> = state.held.keys().cloned().collect();
        (held == all).then_some(())
    });
    assert!(!balancer(&world).active);
    report_ready(&world, &host);
    until_rows(&world, &host, "an active load balancer", |world| balancer(world).active);
    // A service needs the schedule's own steps: each commit asks for the next.
    world.json("CreateService", &world.service(1, true));
    host.until("the task", |state| state.held.keys().any(|id| matches!(id, PartId::Task(_))).then_some(()));
}

#[test]
fn the_loops_rest_when_nothing_changes() {
    let world = World::new(true);
    let host = Arc::new(FakeHost::default());
    start(&world, &host, HASTY);
    report_ready(&world, &host);
    until_rows(&world, &host, "an active load balancer", |world| balancer(world).active);
    let all = wanted(&world);
    host.until("all parts", |state| (state.held.len() == all.len()).then_some(()));
    let (sequence, applied) = (world.rows().sequence(), host.state().applied.len());
    let (looks, questions) = host.state().asked;
    host.until("ten rounds", |state| {
        (state.asked.0 >= looks + 10 && state.asked.1 >= questions + 10).then_some(())
    });
    assert_eq!(world.rows().sequence(), sequence, "no write without a change");
    assert_eq!(host.state().applied.len(), applied, "nothing is told twice");
    // A write that shows in no part is one commit, and nothing follows from it.
    for at in 0..5 {
        let body = format!("ResourceArns.member.1={}&Tags.member.1.Key=k{at}", balancer(&world).arn);
        world.fixture.ok(Service::Elbv2, "AddTags", &body);
    }
    let looks = host.state().asked.0;
    host.until("ten rounds more", |state| (state.asked.0 >= looks + 10).then_some(()));
    assert_eq!(world.rows().sequence(), sequence + 5);
    assert_eq!(host.state().applied.len(), applied);
}

#[test]
fn an_idle_machine_is_left_alone() {
    let world = World::new(true);
    let host = Arc::new(FakeHost::default());
    start(&world, &host, PATIENT);
    host.until("the first parts", |state| state.held.contains_key(&PartId::Edge).then_some(()));
    let all = wanted(&world);
    for at in 0..20 {
        let body = format!("ResourceArns.member.1={}&Tags.member.1.Key=k{at}", balancer(&world).arn);
        world.fixture.ok(Service::Elbv2, "AddTags", &body);
    }
    report_ready(&world, &host);
    until_rows(&world, &host, "an active load balancer", |world| balancer(world).active);
    let state = host.state();
    assert_eq!(state.held.len(), all.len());
    assert_eq!(state.applied.len(), 1, "all was told at once and nothing since");
    assert!(state.asked.0 <= 2 && state.asked.1 <= 2, "it is asked once and waited for: {:?}", state.asked);
}

#[test]
fn a_machine_that_was_restarted_is_told_everything() {
    let world = World::new(true);
    let host = Arc::new(FakeHost::default());
    start(&world, &host, PATIENT);
    let all = wanted(&world);
    host.until("all parts and a question for news", |state| {
        (state.held.len() == all.len() && state.asked.1 == 1).then_some(())
    });
    host.set(|state| {
        state.unreachable = true;
        state.held.clear();
    });
    // No commit and no timer: only the question for news finds out.
    host.until("a question unanswered", |state| (state.missed >= 1).then_some(()));
    host.set(|state| state.unreachable = false);
    host.until("all parts again", |state| (state.held.len() == all.len()).then_some(()));
}

#[test]
fn a_panic_ends_no_loop() {
    let world = World::new(true);
    let host = Arc::new(FakeHost::default());
    // Both loops meet some of them.
    host.set(|state| state.panics = 6);
    start(&world, &host, PATIENT);
    let all = wanted(&world);
    host.until("all parts", |state| (state.held.len() == all.len()).then_some(()));
    report_ready(&world, &host);
    until_rows(&world, &host, "an active load balancer", |world| balancer(world).active);
    assert_eq!(host.state().panics, 0);
}
