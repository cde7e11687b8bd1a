//! The loops that make a machine what the rows say, and the rows what the machine reports.
//!
//! Three threads, each idempotent and safe to end at any line: `project` hands dirty parts to the machine, `observe`
//! takes its reports, `schedule` commits what follows from rows, reports and time. Each is woken by a signal, and by a
//! timer in case a signal was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use desired::{Body, Host, HostError, Part};
use store::{Snapshot, Store};
use types::{AccountId, PartId, Region, Timestamp};

use crate::context::{Context, Principal, Settings};
use crate::ec2::nat_gateway;
use crate::ec2::vpc::Vpc;
use crate::ecs::task::Task;
use crate::elbv2::load_balancer::{self, LoadBalancer};
use crate::elbv2::targets;
use crate::machine::Machine;
use crate::{forget_old, project, schedule};

/// How long a loop trusts that no signal was lost.
const TIMER: Duration = Duration::from_secs(30);
/// How long to wait before an unreachable machine is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long one question for news stays open.
const WATCH: Duration = Duration::from_secs(20);

/// What the loops share.
#[derive(Clone)]
pub struct Reconciler {
    store: Arc<Store>,
    settings: Arc<Settings>,
    machine: Arc<Machine>,
    host: Arc<dyn Host>,
    wake_schedule: Arc<Signal>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").finish_non_exhaustive()
    }
}

/// A flag to wait for.
#[derive(Debug, Default)]
struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for the signal or the time-out, and lowers it.
    fn wait(&self, timeout: Duration) {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut raised, _) = self
            .changed
            .wait_timeout_while(raised, timeout, |raised| !*raised)
            .unwrap_or_else(PoisonError::into_inner);
        *raised = false;
    }
}

impl Reconciler {
    /// Starts the loops. They end with the process.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub fn start(
        store: Arc<Store>,
        settings: Arc<Settings>,
        machine: Arc<Machine>,
        host: Arc<dyn Host>,
    ) -> std::io::Result<Self> {
        let own = Self { store, settings, machine, host, wake_schedule: Arc::default() };
        let (dirty, parts): (Sender<BTreeSet<PartId>>, _) = channel();
        let wake = own.wake_schedule.clone();
        own.store.watch(move |commit| {
            // The loop lives as long as the process.
            let _ = dirty.send(commit.dirty.clone());
            wake.raise();
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map(|_| ())
        };
        let (a, b, c) = (own.clone(), own.clone(), own.clone());
        spawn("project", Box::new(move || a.project_loop(&parts)))?;
        spawn("observe", Box::new(move || b.observe_loop()))?;
        spawn("schedule", Box::new(move || c.schedule_loop()))?;
        Ok(own)
    }

    fn project_loop(&self, dirty: &Receiver<BTreeSet<PartId>>) {
        let mut applied: BTreeMap<PartId, Option<Body>> = BTreeMap::new();
        // Everything at first: what was committed while no machine could be told, and what it holds that rows do not.
        let mut waiting: Option<BTreeSet<PartId>> = None;
        loop {
            let rows = self.store.snapshot();
            let result = match &waiting {
                None => self.host.parts().and_then(|held| {
                    applied.clear();
                    let mut all = every_part(&rows);
                    all.extend(held);
                    self.apply(&rows, &all, &mut applied)
                }),
                Some(parts) => self.apply(&rows, parts, &mut applied),
            };
            let pause = match result {
                Ok(()) => {
                    waiting = Some(BTreeSet::new());
                    TIMER
                }
                Err(HostError::Unreachable(_)) => {
                    // A machine that was away may have lost its parts.
                    waiting = None;
                    RETRY
                }
                Err(HostError::Refused(why)) => {
                    eprint_refusal(&why);
                    waiting = None;
                    TIMER
                }
            };
            match dirty.recv_timeout(pause) {
                Ok(mut parts) => {
                    for more in dirty.try_iter() {
                        parts.extend(more);
                    }
                    if let Some(waiting) = &mut waiting {
                        waiting.extend(parts);
                    }
                }
                Err(RecvTimeoutError::Timeout) => waiting = None,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Projects parts and hands over those that changed: networks first, then names, then what works in them.
    fn apply(
        &self,
        rows: &Snapshot,
        parts: &BTreeSet<PartId>,
        applied: &mut BTreeMap<PartId, Option<Body>>,
    ) -> Result<(), HostError> {
        let mut changed = Vec::new();
        for id in parts {
            let body = project::project(rows, &self.settings, id);
            if applied.get(id) != Some(&body) {
                changed.push(Part { id: id.clone(), generation: rows.sequence(), body });
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        changed.sort_by_key(|part| match part.id {
            PartId::Vpc(_) => 0,
            PartId::Names => 1,
            PartId::Edge => 2,
            PartId::LoadBalancer(_) => 3,
            PartId::Task(_) => 4,
        });
        self.host.apply(&changed)?;
        for part in changed {
            if part.body.is_none() {
                applied.remove(&part.id);
            } else {
                applied.insert(part.id, part.body);
            }
        }
        Ok(())
    }

    fn observe_loop(&self) {
        let mut after = 0;
        let pause = Signal::default();
        loop {
            match self.host.observe(after, WATCH) {
                Ok(observed) => {
                    after = observed.next;
                    if !observed.observations.is_empty() {
                        for observation in observed.observations {
                            self.machine.observe(observation);
                        }
                        self.wake_schedule.raise();
                    }
                }
                Err(_) => {
                    // A machine that comes back tells everything again.
                    after = 0;
                    pause.wait(RETRY);
                }
            }
        }
    }

    fn schedule_loop(&self) {
        loop {
            let own = self.clone();
            let next = self.store.write(move |tx| -> Result<Option<Timestamp>, std::convert::Infallible> {
                let now = Timestamp::now();
                load_balancer::advance(tx, &own.machine);
                nat_gateway::settle(tx, &own.machine.reports(), now);
                let drained = targets::forget_drained(tx, &own.machine, now);
                forget_old(tx, now);
                let context = |account: &AccountId, region: &Region| own.context(account, region, now);
                let scheduled = schedule::run(tx, context, &own.machine, now);
                Ok([drained, scheduled].into_iter().flatten().min())
            });
            let wait = match next {
                Ok(Ok(Some(at))) => at.since(Timestamp::now()).min(TIMER),
                Ok(Ok(None)) => TIMER,
                Err(_) => RETRY,
            };
            self.wake_schedule.wait(wait.max(Duration::from_millis(20)));
        }
    }

    /// The surroundings of what Landfall does by itself.
    fn context(&self, account: &AccountId, region: &Region, now: Timestamp) -> Context {
        Context {
            settings: self.settings.clone(),
            account: account.clone(),
            region: region.clone(),
            principal: Principal::Root,
            now,
            machine: self.machine.clone(),
            request_id: "landfall".to_owned(),
        }
    }
}

#[allow(
    clippy::print_stderr,
    reason = "a machine that refuses a part is an error of the program: it goes to the log"
)]
fn eprint_refusal(why: &str) {
    eprintln!("the agent refuses what it was told: {why}");
}

/// Every part that the rows make.
pub fn every_part(rows: &Snapshot) -> BTreeSet<PartId> {
    let vpcs = rows.scan::<Vpc>("").map(|vpc| PartId::Vpc(vpc.id.clone()));
    let tasks = rows.scan::<Task>("").map(|task| PartId::Task(task.id.clone()));
    let balancers = rows.scan::<LoadBalancer>("").map(|balancer| PartId::LoadBalancer(balancer.id.clone()));
    vpcs.chain(tasks).chain(balancers).chain([PartId::Edge, PartId::Names]).collect()
}
