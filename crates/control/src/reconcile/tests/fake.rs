//! A machine that holds what it is told and tells what the test wants it to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use desired::{Host, HostError, Observation, Observed, Part, Usage};
use types::PartId;

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
pub(super) struct FakeHost {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// What it was told and has not lost.
    pub(super) held: BTreeMap<PartId, Part>,
    /// The parts of each call, with whether they shall be.
    pub(super) applied: Vec<Vec<(PartId, bool)>>,
    /// How often it was asked for its parts, and for news.
    pub(super) asked: (usize, usize),
    pub(super) unreachable: bool,
    /// How many calls did not reach it.
    pub(super) missed: usize,
    pub(super) refuses: BTreeSet<PartId>,
    /// How many calls to come panic.
    pub(super) panics: usize,
    news: Vec<Observation>,
}

impl FakeHost {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the machine.
    pub(super) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    pub(super) fn tell(&self, observation: Observation) {
        self.set(|state| state.news.push(observation));
    }

    /// Waits until something is so.
    #[track_caller]
    pub(super) fn until<T>(&self, what: &str, mut is: impl FnMut(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        let mut state = self.state();
        loop {
            if let Some(found) = is(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "still not: {what}; {:?}", state.applied);
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn called(&self) -> Result<MutexGuard<'_, State>, HostError> {
        let mut state = self.state();
        self.changed.notify_all();
        if let Some(left) = state.panics.checked_sub(1) {
            state.panics = left;
            drop(state);
            panic!("as the test wants");
        }
        if state.unreachable {
            state.missed += 1;
            return Err(HostError::Unreachable("away".to_owned()));
        }
        Ok(state)
    }
}

impl Host for FakeHost {
    fn apply(&self, parts: &[Part]) -> Result<(), HostError> {
        let mut state = self.called()?;
        if let Some(part) = parts.iter().find(|part| state.refuses.contains(&part.id)) {
            return Err(HostError::Refused(format!("{} contradicts itself", part.id)));
        }
        state.applied.push(parts.iter().map(|part| (part.id.clone(), part.body.is_some())).collect());
        for part in parts {
            match part.body {
                Some(_) => drop(state.held.insert(part.id.clone(), part.clone())),
                None => drop(state.held.remove(&part.id)),
            }
        }
        Ok(())
    }

    fn observe(&self, after: u64, timeout: Duration) -> Result<Observed, HostError> {
        self.called()?.asked.1 += 1;
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            let from = usize::try_from(after).unwrap().min(state.news.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if state.unreachable {
                return Err(HostError::Unreachable("away".to_owned()));
            }
            if from < state.news.len() || left.is_zero() {
                let observations = state.news[from..].to_vec();
                return Ok(Observed { next: state.news.len() as u64, observations });
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn parts(&self) -> Result<Vec<PartId>, HostError> {
        let mut state = self.called()?;
        state.asked.0 += 1;
        Ok(state.held.keys().cloned().collect())
    }

    fn usage(&self) -> Result<Usage, HostError> {
        drop(self.called()?);
        Ok(Usage { at: types::Timestamp::now(), ..Usage::default() })
    }
}
