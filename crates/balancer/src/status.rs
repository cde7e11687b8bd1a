//! What all nodes say together.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use desired::{HealthState, LoadBalancerStatus, TargetLifecycle, TargetStatus};

use crate::health::Health;
use crate::plan::Plan;
use crate::routing::Key;

/// What one node says.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeView {
    /// The node's interface, for messages.
    pub(crate) name: String,
    /// Why its threads do not run.
    pub(crate) error: Option<String>,
    /// What each of its threads says; empty when they do not run.
    pub(crate) workers: Vec<WorkerView>,
    /// The health of targets and their requests in flight.
    pub(crate) targets: BTreeMap<Key, (Health, u64)>,
}

/// What one thread of a node says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkerView {
    /// The generation it works by; None before the first.
    pub(crate) generation: Option<u64>,
    /// The ports it cannot listen on, and why.
    pub(crate) unbound: BTreeMap<u16, String>,
}

/// The load balancer's status.
pub(crate) fn merged(plan: &Plan, nodes: &[NodeView]) -> LoadBalancerStatus {
    let workers = || nodes.iter().flat_map(|node| &node.workers);
    let trouble = nodes.iter().find_map(|node| {
        let unbound = node.workers.iter().find_map(|worker| worker.unbound.first_key_value());
        let port = unbound.map(|(port, why)| format!("port {port} cannot be listened on: {why}"));
        Some(format!("{}: {}", node.name, node.error.clone().or(port)?))
    });
    let settled = nodes.iter().all(|node| {
        !node.workers.is_empty()
            && node.workers.iter().all(|worker| worker.generation == Some(plan.generation))
    });
    let targets = plan.balancer.target_groups.iter().map(|group| {
        let status = |target: &desired::Target| {
            let key = (group.arn.clone(), SocketAddrV4::new(target.address, target.port));
            let views: Vec<&(Health, u64)> = nodes.iter().filter_map(|node| node.targets.get(&key)).collect();
            let in_flight = views.iter().map(|view| view.1).sum();
            let health = match target.lifecycle {
                TargetLifecycle::Draining { .. } if in_flight == 0 => HealthState::Drained,
                TargetLifecycle::Draining { .. } => HealthState::Draining,
                TargetLifecycle::Registered => together(&views),
            };
            TargetStatus { address: target.address, port: target.port, health, in_flight }
        };
        (group.arn.clone(), group.targets.iter().map(status).collect())
    });
    LoadBalancerStatus {
        load_balancer: plan.balancer.id.clone(),
        generation: workers().filter_map(|worker| worker.generation).min().unwrap_or(plan.generation),
        ready: settled && trouble.is_none(),
        error: trouble,
        targets: targets.collect(),
    }
}

/// Healthy when any node finds it healthy; initial while any node has not decided.
fn together(views: &[&(Health, u64)]) -> HealthState {
    let any = |is: fn(Health) -> bool| views.iter().map(|view| view.0).find(|health| is(*health));
    any(Health::is_healthy)
        .or_else(|| any(Health::is_initial))
        .or_else(|| any(|_| true))
        .map_or(HealthState::Initial, Health::state)
}

/// Whether a status says something that another does not, requests in flight of serving targets aside: they change
/// with every request.
pub(crate) fn is_news(before: Option<&LoadBalancerStatus>, after: &LoadBalancerStatus) -> bool {
    let still = |status: &LoadBalancerStatus| {
        let mut status = status.clone();
        for target in status.targets.values_mut().flatten() {
            if target.health != HealthState::Draining {
                target.in_flight = 0;
            }
        }
        status
    };
    before.is_none_or(|before| still(before) != still(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Failure, Thresholds, Verdict};
    use desired::{
        Action, Body, HealthCheck, HealthReason, Listener, LoadBalancer, Part, Target, TargetGroup,
    };
    use std::time::Duration;
    use types::{PartId, Timestamp};

    const TARGET: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 80);

    fn plan(lifecycle: TargetLifecycle) -> Plan {
        let health_check = HealthCheck {
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        };
        let balancer = LoadBalancer {
            id: "a".to_owned(),
            arn: "arn".to_owned(),
            nodes: Vec::new(),
            listeners: vec![Listener {
                arn: "l".to_owned(),
                port: 80,
                default_action: Action::Forward { target_group: "g".to_owned() },
            }],
            target_groups: vec![TargetGroup {
                arn: "g".to_owned(),
                health_check,
                deregistration_delay: Duration::from_secs(300),
                targets: vec![Target { address: *TARGET.ip(), port: TARGET.port(), lifecycle }],
            }],
            idle_timeout: Duration::from_secs(60),
            drop_invalid_headers: false,
        };
        let id = PartId::LoadBalancer("a".to_owned());
        Plan::new(&Part { id, generation: 7, body: Some(Body::LoadBalancer(balancer)) }).unwrap()
    }

    fn node(health: Health, in_flight: u64) -> NodeView {
        NodeView {
            name: "eni-1".to_owned(),
            error: None,
            workers: vec![WorkerView { generation: Some(7), ..WorkerView::default() }],
            targets: [(("g".to_owned(), TARGET), (health, in_flight))].into(),
        }
    }

    fn turned(verdict: Verdict) -> Health {
        Health::INITIAL.after(verdict, Thresholds { healthy: 1, unhealthy: 1 })
    }

    #[test]
    fn a_target_is_healthy_when_any_node_finds_it_healthy_and_requests_add_up() {
        let down = turned(Verdict::Fail(Failure::TimedOut));
        let status = merged(
            &plan(TargetLifecycle::Registered),
            &[node(down, 2), node(Health::INITIAL, 0), node(turned(Verdict::Pass), 3)],
        );
        let target = &status.targets["g"][0];
        assert_eq!((&target.health, target.in_flight), (&HealthState::Healthy, 5));
        assert!(status.ready);
    }

    #[test]
    fn a_target_is_unhealthy_once_every_node_has_decided() {
        let down = turned(Verdict::Fail(Failure::TimedOut));
        let health = |nodes: &[NodeView]| {
            merged(&plan(TargetLifecycle::Registered), nodes).targets["g"][0].health.clone()
        };
        assert_eq!(health(&[node(down, 0), node(Health::INITIAL, 0)]), HealthState::Initial);
        let HealthState::Unhealthy { reason, .. } = health(&[node(down, 0), node(down, 0)]) else { panic!() };
        assert_eq!(reason, HealthReason::Timeout);
    }

    #[test]
    fn a_draining_target_is_drained_once_no_node_has_a_request() {
        let plan = plan(TargetLifecycle::Draining { since: Timestamp::now() });
        let health = |flights: [u64; 2]| {
            let nodes = flights.map(|in_flight| node(Health::INITIAL, in_flight));
            merged(&plan, &nodes).targets["g"][0].health.clone()
        };
        assert_eq!(health([0, 1]), HealthState::Draining);
        assert_eq!(health([0, 0]), HealthState::Drained);
    }

    #[test]
    fn a_node_without_namespace_or_port_is_named() {
        let plan = plan(TargetLifecycle::Registered);
        let lost = NodeView {
            error: Some("no namespace".to_owned()),
            workers: Vec::new(),
            ..node(Health::INITIAL, 0)
        };
        let status = merged(&plan, &[node(Health::INITIAL, 0), lost]);
        assert_eq!((status.ready, status.error.as_deref()), (false, Some("eni-1: no namespace")));
        let mut unbound = node(Health::INITIAL, 0);
        unbound.workers[0].unbound = [(80, "in use".to_owned())].into();
        let status = merged(&plan, &[unbound]);
        assert_eq!(status.error.as_deref(), Some("eni-1: port 80 cannot be listened on: in use"));
    }

    #[test]
    fn requests_of_serving_targets_are_no_news() {
        let plan = plan(TargetLifecycle::Registered);
        let status = |in_flight| merged(&plan, &[node(Health::INITIAL, in_flight)]);
        assert!(is_news(None, &status(0)));
        assert!(!is_news(Some(&status(0)), &status(4)));
    }
}
