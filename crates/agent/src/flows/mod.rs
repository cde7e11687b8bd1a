//! Flow records: what went through a VPC and what was refused, as AWS's VPC flow logs tell it.
//!
//! Packets that pass are not looked at one by one: the kernel's conntrack counts them (`nf_conntrack_acct`), and the
//! counters are read once a window, when a flow ends, and when somebody asks. Refused packets are handed out by the
//! filter (`log` beside each counter of a refusal); a flood of them is not kept but counted.
//!
//! `watch` reads one VPC's sockets, `window` makes records of what they tell, the newest of which are kept in memory.

mod packet;
mod record;
mod topology;
mod watch;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desired::Vpc;
use serde::{Deserialize, Serialize};
use types::{Timestamp, VpcId};

pub use record::{Action, Flow, FlowRecord, Seen};

use crate::network::Network;
use watch::Watch;

/// How many records are kept, of all VPCs together; an older one goes for each that comes.
pub const KEPT: usize = 10_000;
/// How many records one answer has at most.
const PAGE: usize = 1_000;
/// How often flows are looked at while somebody waits.
const LOOK: Duration = Duration::from_secs(1);

/// Records, and how to ask for the next ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowReport {
    /// Oldest first.
    pub records: Vec<FlowRecord>,
    /// The number to go on from.
    pub next: u64,
    /// Whether there are more at once.
    pub more: bool,
    /// How many records went before they could be told.
    pub missed: u64,
    /// What cannot be recorded, and why.
    pub problems: Vec<String>,
}

/// The newest records.
#[derive(Debug)]
struct Ring {
    kept: Mutex<Kept>,
    came: Condvar,
}

#[derive(Debug)]
struct Kept {
    records: VecDeque<FlowRecord>,
    /// The number of the first of them.
    first: u64,
}

impl Kept {
    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

impl Ring {
    /// Numbers begin at the clock's microseconds, so that one from before a restart is older than all that come.
    fn new() -> Self {
        let micros = u64::try_from(Timestamp::now().as_millis()).unwrap_or(0).saturating_mul(1000);
        Self { kept: Mutex::new(Kept { records: VecDeque::new(), first: micros }), came: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, records: Vec<FlowRecord>) {
        if records.is_empty() {
            return;
        }
        let mut kept = self.lock();
        kept.records.extend(records);
        let over = kept.records.len().saturating_sub(KEPT);
        kept.records.drain(..over);
        kept.first += over as u64;
        self.came.notify_all();
    }
}

/// The flow records of all VPCs.
#[derive(Debug)]
pub struct Flows {
    ring: Arc<Ring>,
    watches: Mutex<BTreeMap<VpcId, Watch>>,
}

impl Default for Flows {
    fn default() -> Self {
        Self { ring: Arc::new(Ring::new()), watches: Mutex::default() }
    }
}

impl Flows {
    fn watches(&self) -> MutexGuard<'_, BTreeMap<VpcId, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a VPC whose network was applied, as it is in a generation. Does nothing without a namespace.
    ///
    /// # Errors
    /// When the kernel refuses or no thread can be started: there are no records of the VPC then.
    pub fn keep(&self, network: &Network, vpc: &Vpc, generation: u64) -> Result<(), String> {
        let path = network.path(vpc.id.as_str());
        let Some(namespace) = watch::namespace(&path) else {
            self.forget(&vpc.id);
            return Ok(());
        };
        if let Some(watch) = self.watches().get(&vpc.id).filter(|watch| watch.watches(namespace)) {
            watch.change(vpc, generation);
            return Ok(());
        }
        // A group of the log has one listener: the one before goes first.
        self.forget(&vpc.id);
        let watch = Watch::begin(&path, vpc, generation, network.logs(), &self.ring)
            .map_err(|error| format!("flow records of {}: {error}", vpc.id))?;
        self.watches().insert(vpc.id.clone(), watch);
        Ok(())
    }

    /// Watches a VPC no more, so that its namespace can go. Its records stay.
    pub fn forget(&self, vpc: &VpcId) {
        let watch = self.watches().remove(vpc);
        drop(watch);
    }

    /// The records behind a number, or from the oldest one on. Waits for one at most `timeout`; without a time-out and
    /// without a number everything that has happened until now is recorded first.
    pub fn report(&self, after: Option<u64>, timeout: Duration) -> FlowReport {
        let deadline = Instant::now() + timeout;
        loop {
            let problems = {
                let watches = self.watches();
                for watch in watches.values() {
                    watch.collect(after.is_none());
                }
                watches.values().flat_map(Watch::problems).collect()
            };
            let kept = self.ring.lock();
            let left = deadline.saturating_duration_since(Instant::now());
            // A number of a time to come is one of an agent whose clock was ahead.
            let from = after.unwrap_or(kept.first).min(kept.next()).max(kept.first);
            if kept.next() > from || left.is_zero() {
                let start = usize::try_from(from - kept.first).unwrap_or(usize::MAX);
                let records: Vec<FlowRecord> = kept.records.iter().skip(start).take(PAGE).cloned().collect();
                let next = from + records.len() as u64;
                let missed = after.map_or(0, |after| from.saturating_sub(after));
                return FlowReport { records, next, more: next < kept.next(), missed, problems };
            }
            let wait = left.min(LOOK);
            drop(self.ring.came.wait_timeout(kept, wait).unwrap_or_else(PoisonError::into_inner));
        }
    }
}
