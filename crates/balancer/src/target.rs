//! A target as one node knows it: its health there, its requests in flight there.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::health::{Health, Thresholds, Verdict};

/// Whether a target takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It does.
    Serving,
    /// It takes no new ones; its idle connections are closed.
    Draining,
    /// Its connections are cut.
    Cut,
}

/// A target of one target group at one node. It outlives configurations, so that its health and its requests do.
#[derive(Debug)]
pub(crate) struct Target {
    id: u64,
    address: SocketAddrV4,
    phase: AtomicU8,
    healthy: AtomicBool,
    in_flight: AtomicU64,
    health: Mutex<Health>,
    changed: Arc<Notify>,
}

impl Target {
    /// A new target, serving, its health not known. `changed` is told when its health turns, and when its last request
    /// ends while it drains.
    pub(crate) fn new(address: SocketAddrV4, changed: Arc<Notify>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            address,
            phase: AtomicU8::new(Phase::Serving as u8),
            healthy: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            health: Mutex::new(Health::INITIAL),
            changed,
        }
    }

    /// Never used twice in a process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Where it takes requests.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Whether it takes requests.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// Moves on; there is no way back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
    }

    /// Whether it takes requests in the ordinary way.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Its health.
    pub(crate) fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a check found.
    pub(crate) fn checked(&self, verdict: Verdict, thresholds: Thresholds) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let after = health.after(verdict, thresholds);
        let turned = after.state() != health.state();
        *health = after;
        self.healthy.store(after.is_healthy(), Ordering::Relaxed);
        drop(health);
        if turned {
            self.changed.notify_one();
        }
    }

    /// Requests in flight at this node.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Counts a request in. None when the target no longer takes any: the count goes up before the phase is looked at,
    /// so that who sees a draining target with none in flight knows that none will come.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let flight = InFlight(self.clone());
        (self.phase() == Phase::Serving).then_some(flight)
    }
}

/// A request in flight, until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Target>);

impl InFlight {
    /// Whose request it is.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let last = self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.phase() != Phase::Serving {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Failure;

    fn target() -> Arc<Target> {
        Arc::new(Target::new("10.0.0.1:80".parse().unwrap(), Arc::default()))
    }

    #[test]
    fn a_draining_target_takes_no_new_request_and_keeps_count_of_the_old() {
        let target = target();
        let flight = target.begin().unwrap();
        target.enter(Phase::Draining);
        assert!(target.begin().is_none());
        assert_eq!(target.in_flight(), 1);
        drop(flight);
        assert_eq!(target.in_flight(), 0);
    }

    #[test]
    fn a_cut_target_does_not_come_back() {
        let target = target();
        target.enter(Phase::Cut);
        target.enter(Phase::Draining);
        assert_eq!(target.phase(), Phase::Cut);
    }

    #[test]
    fn a_turn_of_health_is_news_and_a_repeated_result_is_none() {
        let target = target();
        let thresholds = Thresholds { healthy: 2, unhealthy: 2 };
        let told = || {
            let mut waiting = Box::pin(target.changed.notified());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            waiting.as_mut().poll(&mut context).is_ready()
        };
        target.checked(Verdict::Pass, thresholds);
        assert!(target.is_healthy() && told());
        target.checked(Verdict::Pass, thresholds);
        target.checked(Verdict::Fail(Failure::Broken), thresholds);
        assert!(target.is_healthy() && !told());
        target.checked(Verdict::Fail(Failure::Broken), thresholds);
        assert!(!target.is_healthy() && told());
    }
}
