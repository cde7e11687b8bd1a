//! A configuration that has been checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use desired::{Action, Body, LoadBalancer, Part, TargetGroup};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use types::PartId;

use crate::health::{Check, Matcher, Thresholds};

/// What a load balancer shall be, with all texts understood.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The part's generation.
    pub(crate) generation: u64,
    /// What it shall be.
    pub(crate) balancer: LoadBalancer,
    /// The settings of health checks by target group.
    pub(crate) checks: BTreeMap<String, Arc<Check>>,
}

impl Plan {
    /// Checks a part; the error says what contradicts itself.
    pub(crate) fn new(part: &Part) -> Result<Self, String> {
        let (PartId::LoadBalancer(id), Some(Body::LoadBalancer(balancer))) = (&part.id, &part.body) else {
            return Err(format!("the part {} is no load balancer", part.id));
        };
        if *id != balancer.id {
            return Err(format!("the part {id} speaks of the load balancer {}", balancer.id));
        }
        let check = |group: &TargetGroup| Ok((group.arn.clone(), Arc::new(check(group)?)));
        let checks = balancer.target_groups.iter().map(check).collect::<Result<BTreeMap<_, _>, String>>()?;
        if balancer.idle_timeout.is_zero() {
            return Err("an idle timeout of zero lets no request through".to_owned());
        }
        for group in &balancer.target_groups {
            let mut places = BTreeSet::new();
            if let Some(twice) =
                group.targets.iter().find(|target| !places.insert((target.address, target.port)))
            {
                return Err(format!("{} names {}:{} twice", group.arn, twice.address, twice.port));
            }
        }
        let mut ports = BTreeSet::new();
        for listener in &balancer.listeners {
            if listener.port == 0 || !ports.insert(listener.port) {
                return Err(format!("port {} cannot be listened on, or not twice", listener.port));
            }
            match &listener.default_action {
                Action::Forward { target_group } if !checks.contains_key(target_group) => {
                    return Err(format!(
                        "the listener on port {} names {target_group}, which is not there",
                        listener.port
                    ));
                }
                Action::FixedResponse { status, content_type, .. }
                    if !(200..=599).contains(status)
                        || StatusCode::from_u16(*status).is_err()
                        || HeaderValue::from_str(content_type).is_err() =>
                {
                    return Err(format!(
                        "the listener on port {} cannot answer {status} {content_type}",
                        listener.port
                    ));
                }
                Action::Forward { .. } | Action::FixedResponse { .. } => (),
            }
        }
        Ok(Self { generation: part.generation, balancer: balancer.clone(), checks })
    }
}

fn check(group: &TargetGroup) -> Result<Check, String> {
    let settings = &group.health_check;
    let wrong = |what: &str| format!("{}: the health check's {what} cannot be used", group.arn);
    let path = settings.path.parse().map_err(|_| wrong("path"))?;
    let matcher = Matcher::parse(&settings.matcher).ok_or_else(|| wrong("matcher"))?;
    if settings.interval.is_zero() || settings.timeout.is_zero() {
        return Err(wrong("interval or timeout of zero"));
    }
    Ok(Check {
        path,
        port: settings.port,
        interval: settings.interval,
        timeout: settings.timeout,
        thresholds: Thresholds {
            healthy: settings.healthy_threshold.max(1),
            unhealthy: settings.unhealthy_threshold.max(1),
        },
        matcher,
    })
}
