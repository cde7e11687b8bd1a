//! What one node does with requests, as one immutable value that its threads swap; and the ledger that makes it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::sync::Notify;
use types::Timestamp;

use crate::health::Check;
use crate::meter::{GroupMeter, Meter};
use crate::plan::Plan;
use crate::target::{InFlight, Phase, Target};

/// What one node does with requests.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    /// The generation that it was made from.
    pub(crate) generation: u64,
    /// How long a connection may be idle.
    pub(crate) idle_timeout: Duration,
    /// Whether headers with names that the load balancer does not take are left out.
    pub(crate) drop_invalid_headers: bool,
    /// By port.
    pub(crate) listeners: BTreeMap<u16, Action>,
    /// The targets whose health is checked, and how.
    pub(crate) checked: Vec<(Arc<Target>, Arc<Check>)>,
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// It is sent to a target.
    Forward(Arc<Group>),
    /// It is answered.
    Fixed {
        /// With this status,
        status: StatusCode,
        /// this content type,
        content_type: HeaderValue,
        /// and this body.
        body: Bytes,
    },
}

/// The registered targets of a target group.
#[derive(Debug)]
pub(crate) struct Group {
    targets: Vec<Arc<Target>>,
    turn: Arc<AtomicUsize>,
    /// What is counted of it.
    pub(crate) meter: Arc<GroupMeter>,
}

impl Group {
    /// The next target in turn, with the request counted in. None without a registered target.
    pub(crate) fn pick(&self) -> Option<InFlight> {
        // Again when a target was deregistered, or turned, at this very moment.
        for _ in 0..=self.targets.len() {
            let healthy = || self.targets.iter().filter(|target| target.is_healthy());
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let target = match healthy().count() {
                0 => self.targets.get(turn.checked_rem(self.targets.len())?),
                count => healthy().nth(turn % count),
            };
            if let Some(flight) = target.and_then(Target::begin) {
                return Some(flight);
            }
        }
        None
    }
}

/// A target's place: group, address, port.
pub(crate) type Key = (String, SocketAddrV4);

#[derive(Debug)]
struct Known {
    target: Arc<Target>,
    /// When its connections are cut.
    cut: Option<Timestamp>,
}

/// Every target that a node knows, over all configurations.
#[derive(Debug)]
pub(crate) struct Ledger {
    changed: Arc<Notify>,
    meter: Arc<Meter>,
    known: HashMap<Key, Known>,
    /// Targets that no configuration names any more, with when they are cut.
    leaving: Vec<(Arc<Target>, Timestamp)>,
    turns: HashMap<String, Arc<AtomicUsize>>,
    delays: HashMap<String, Duration>,
}

impl Ledger {
    /// An empty one. `changed` is told of turns of health and of the last request of a draining target.
    pub(crate) fn new(changed: Arc<Notify>, meter: Arc<Meter>) -> Self {
        Self {
            changed,
            meter,
            known: HashMap::new(),
            leaving: Vec::new(),
            turns: HashMap::new(),
            delays: HashMap::new(),
        }
    }

    /// Takes over a configuration: from here on no deregistered target takes a new request.
    pub(crate) fn route(&mut self, plan: &Plan, now: Timestamp) -> Routing {
        let mut before = std::mem::take(&mut self.known);
        let mut routing = Routing {
            generation: plan.generation,
            idle_timeout: plan.balancer.idle_timeout,
            drop_invalid_headers: plan.balancer.drop_invalid_headers,
            ..Routing::default()
        };
        let mut groups = HashMap::new();
        for group in &plan.balancer.target_groups {
            let mut registered = Vec::new();
            for wanted in &group.targets {
                let address = SocketAddrV4::new(wanted.address, wanted.port);
                let key = (group.arn.clone(), address);
                let known = before.remove(&key);
                let new = || Arc::new(Target::new(address, self.changed.clone()));
                let (target, cut) = match wanted.lifecycle {
                    desired::TargetLifecycle::Registered => {
                        let target = match known {
                            Some(Known { target, cut: None }) => target,
                            // Registered again: a new target, its old requests drain on.
                            Some(Known { target, cut: Some(cut) }) => {
                                self.leaving.push((target, cut));
                                new()
                            }
                            None => new(),
                        };
                        registered.push(target.clone());
                        routing
                            .checked
                            .extend(plan.checks.get(&group.arn).map(|check| (target.clone(), check.clone())));
                        (target, None)
                    }
                    desired::TargetLifecycle::Draining { since } => {
                        let target = known.map_or_else(new, |known| known.target);
                        target.enter(Phase::Draining);
                        (target, Some(since.plus(group.deregistration_delay)))
                    }
                };
                self.known.insert(key, Known { target, cut });
            }
            let turn = self.turns.entry(group.arn.clone()).or_default().clone();
            groups.insert(
                &group.arn,
                Arc::new(Group { targets: registered, turn, meter: self.meter.group(&group.arn) }),
            );
        }
        // What the configuration no longer names drains as if it had been deregistered now.
        for ((group, _), Known { target, cut }) in before {
            target.enter(Phase::Draining);
            let delay = self.delays.get(&group).copied().unwrap_or_default();
            self.leaving.push((target, cut.unwrap_or_else(|| now.plus(delay))));
        }
        self.delays = plan
            .balancer
            .target_groups
            .iter()
            .map(|group| (group.arn.clone(), group.deregistration_delay))
            .collect();
        self.turns.retain(|group, _| self.delays.contains_key(group));
        for listener in &plan.balancer.listeners {
            let action = match &listener.default_action {
                desired::Action::Forward { target_group } => {
                    groups.get(target_group).map(|group| Action::Forward(group.clone()))
                }
                desired::Action::FixedResponse { status, content_type, body } => Some(Action::Fixed {
                    status: StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    content_type: HeaderValue::from_str(content_type)
                        .unwrap_or_else(|_| HeaderValue::from_static("text/plain")),
                    body: Bytes::copy_from_slice(body.as_bytes()),
                }),
            };
            routing.listeners.extend(action.map(|action| (listener.port, action)));
        }
        routing
    }

    /// Cuts the targets whose time is up. Says whether there were any, and when the next one's time is up.
    pub(crate) fn expire(&mut self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let (mut any, mut next) = (false, None::<Timestamp>);
        let draining = self.known.values().filter_map(|known| known.cut.map(|cut| (&known.target, cut)));
        for (target, cut) in draining.chain(self.leaving.iter().map(|(target, cut)| (target, *cut))) {
            if target.phase() == Phase::Cut || target.in_flight() == 0 {
                continue;
            }
            if cut <= now {
                target.enter(Phase::Cut);
                any = true;
            } else {
                next = Some(next.map_or(cut, |next| next.min(cut)));
            }
        }
        self.leaving.retain(|(target, _)| target.phase() != Phase::Cut && target.in_flight() > 0);
        (any, next)
    }

    /// A target, when the node knows it.
    pub(crate) fn target(&self, key: &Key) -> Option<&Arc<Target>> {
        self.known.get(key).map(|known| &known.target)
    }
}
