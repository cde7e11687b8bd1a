//! A load balancer with its listeners and target groups.

use std::time::Duration;

use desired::{HealthCheck, LoadBalancer, Node, TargetGroup};
use store::Snapshot;

use crate::ec2::interface::NetworkInterface;
use crate::elbv2::action::Action;
use crate::elbv2::{attributes, listener, load_balancer, target_group};

pub(super) fn project(rows: &Snapshot, id: &str) -> Option<LoadBalancer> {
    let row = rows.scan::<load_balancer::LoadBalancer>("").find(|row| row.id == id)?;
    let listeners: Vec<_> = rows
        .scan::<listener::Listener>(&row.scope)
        .filter(|listener| listener.load_balancer_arn == row.arn)
        .collect();
    let mut groups: Vec<&str> = listeners.iter().filter_map(|listener| listener.target_group()).collect();
    groups.sort_unstable();
    groups.dedup();
    let node = |node: &load_balancer::Node| {
        let interface = rows.get::<NetworkInterface>(&format!("{}{}", row.scope, node.interface_id))?;
        Some(Node {
            interface: interface.id.clone(),
            address: interface.private_address,
            zone: node.zone.clone(),
        })
    };
    let action = |action: &Action| match action {
        Action::Forward { target_group, .. } => {
            desired::Action::Forward { target_group: target_group.clone() }
        }
        Action::FixedResponse { status, content_type, body } => desired::Action::FixedResponse {
            status: *status,
            content_type: content_type.clone(),
            body: body.clone(),
        },
    };
    let seconds = |text: String, default: u64| Duration::from_secs(text.parse().unwrap_or(default));
    let group = |arn: &str| {
        let group = target_group::get(rows, arn)?;
        let check = &group.health_check;
        Some(TargetGroup {
            arn: group.arn.clone(),
            health_check: HealthCheck {
                path: check.path.clone(),
                port: check.port.parse().ok(),
                interval: Duration::from_secs(check.interval.into()),
                timeout: Duration::from_secs(check.timeout.into()),
                healthy_threshold: check.healthy_threshold,
                unhealthy_threshold: check.unhealthy_threshold,
                matcher: check.matcher.clone(),
            },
            deregistration_delay: seconds(
                attributes::target_group_value(&group, "deregistration_delay.timeout_seconds"),
                300,
            ),
            // A target in a zone without a node gets no requests and no health checks.
            targets: group
                .targets
                .iter()
                .filter(|target| group.is_enabled(&row, target.address))
                .cloned()
                .collect(),
        })
    };
    Some(LoadBalancer {
        id: row.id.clone(),
        arn: row.arn.clone(),
        nodes: row.nodes.iter().filter_map(node).collect(),
        listeners: listeners
            .iter()
            .map(|listener| desired::Listener {
                arn: listener.arn.clone(),
                port: listener.port,
                default_action: action(&listener.action),
            })
            .collect(),
        target_groups: groups.into_iter().filter_map(group).collect(),
        idle_timeout: seconds(attributes::load_balancer_value(&row, "idle_timeout.timeout_seconds"), 60),
        drop_invalid_headers: attributes::load_balancer_value(
            &row,
            "routing.http.drop_invalid_header_fields.enabled",
        ) == "true",
    })
}
