//! Hears a role's news and hands it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use desired::role::{Reply, Request, RoleDir};
use types::Backoff;

use super::PATIENCE;
use crate::bell::Bell;
use crate::machine::Machine;

/// How long one question for news stays open.
const QUESTION: Duration = Duration::from_secs(30);
/// How long to wait before a role that does not answer is asked again: at first a moment, as one that was just started
/// has its socket within milliseconds, then twice as long each time.
const RETRY: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(100));

/// A thread that republishes what a role tells. It ends when it is dropped, and hands nothing on after that.
#[derive(Debug)]
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    own: Arc<Bell>,
}

impl Watch {
    /// None when no thread can be made; it is tried again with the next look at the role.
    pub(super) fn start(machine: &Arc<Machine>, dir: &RoleDir, bell: &Arc<Bell>) -> Option<Self> {
        let watch = Self { over: Arc::default(), own: Arc::default() };
        let (over, own, dir, bell) = (watch.over.clone(), watch.own.clone(), dir.clone(), bell.clone());
        let work = move |machine: Arc<Machine>| {
            let (mut after, mut retry) = (0, RETRY);
            while !over.load(Ordering::Acquire) {
                let answer = dir.ask(&Request::Observe { after, timeout: QUESTION }, PATIENCE);
                if over.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(Reply::Observed(observed)) = answer {
                    after = observed.next;
                    retry.reset();
                    for observation in observed.observations {
                        machine.news.publish(observation);
                    }
                    continue;
                }
                // It ended, or is not there yet: whoever keeps it looks after it.
                after = 0;
                bell.ring();
                own.wait(retry.pause());
                retry.grow();
            }
        };
        machine.spawn("watch", work).ok().map(|()| watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.own.ring();
    }
}
