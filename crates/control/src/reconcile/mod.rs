//! The loops that make a machine what the rows say, and the rows what the machine reports.
//!
//! Three threads, each idempotent and safe to end at any line: `project` hands dirty parts to the machine
//! ([`hand_over`]), `observe` takes its reports, `schedule` commits what follows from rows, reports and time. Each is
//! woken by a signal, and by a timer in case a signal was lost. A pass that panics is told on standard error and tried
//! again later; the loop goes on.

mod hand_over;
mod metrics;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use desired::Host;
use store::Store;
use types::{AccountId, Region, Timestamp};

use crate::context::{Context, Principal, Settings};
use crate::ec2::{nat_gateway, network_insights_analysis, vpc_endpoint, vpc_peering};
use crate::elbv2::{load_balancer, targets};
use crate::machine::Machine;
use crate::schedule::{self, Agenda};
use crate::{forget_old, secretsmanager};

pub use hand_over::every_part;
#[cfg(test)]
pub(crate) use hand_over::with_peers;
use hand_over::{HandOver, News};

/// How long the loops wait for what.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// How long a loop trusts that no signal was lost.
    timer: Duration,
    /// Before what failed is tried again.
    retry: Duration,
    /// How long one question for news stays open.
    watch: Duration,
    /// Between two looks for answers that nobody asks for any more.
    sweep: Duration,
}

const PATIENCE: Patience = Patience {
    timer: Duration::from_secs(30),
    retry: Duration::from_millis(500),
    watch: Duration::from_secs(20),
    sweep: Duration::from_secs(60),
};

/// The least time between two passes of the schedule that no signal asked for.
const BREATH: Duration = Duration::from_millis(20);

/// What the loops share.
#[derive(Clone)]
pub struct Reconciler {
    store: Arc<Store>,
    settings: Arc<Settings>,
    machine: Arc<Machine>,
    host: Arc<dyn Host>,
    patience: Patience,
    wake_schedule: Arc<Signal>,
    agenda: Arc<Mutex<Agenda>>,
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

/// What a loop has to complain of, each thing once until all is well again.
#[derive(Debug, Default)]
struct Complaints(Option<String>);

impl Complaints {
    #[allow(
        clippy::print_stderr,
        reason = "what goes wrong behind the API has no caller to be told: it goes to the log"
    )]
    fn tell(&mut self, what: String) {
        if self.0.as_ref() != Some(&what) {
            eprintln!("{what}");
            self.0 = Some(what);
        }
    }

    fn all_is_well(&mut self) {
        self.0 = None;
    }
}

/// Runs one pass. None: it panicked, which is told; where it happened was printed by the panic itself.
fn guarded<T>(complaints: &mut Complaints, what: &str, pass: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(pass)).ok();
    if result.is_none() {
        complaints.tell(format!("{what} failed inside Landfall; it is tried again"));
    }
    result
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
        let (wake_schedule, agenda) = (Arc::default(), Arc::default());
        Self { store, settings, machine, host, patience: PATIENCE, wake_schedule, agenda }.run()
    }

    fn run(self) -> std::io::Result<Self> {
        let (news, receiver) = channel();
        let (wake, dirty, agenda) = (self.wake_schedule.clone(), news.clone(), self.agenda.clone());
        self.store.watch(move |commit| {
            agenda.lock().unwrap_or_else(PoisonError::into_inner).hear(commit);
            // The loop lives as long as the process.
            let _ = dirty.send(News::Dirty(commit.dirty.clone()));
            wake.raise();
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map(|_| ())
        };
        let (a, b, c) = (self.clone(), self.clone(), self.clone());
        spawn("project", Box::new(move || a.project_loop(&receiver)))?;
        spawn("observe", Box::new(move || b.observe_loop(&news)))?;
        spawn("schedule", Box::new(move || c.schedule_loop()))?;
        let d = self.clone();
        spawn("metrics", Box::new(move || d.metrics_loop()))?;
        Ok(self)
    }

    fn project_loop(&self, news: &Receiver<News>) {
        let mut hand_over = HandOver::default();
        let mut complaints = Complaints::default();
        loop {
            let pass = || hand_over.pass(&self.store.snapshot(), &self.settings, &*self.host);
            let pause = match guarded(&mut complaints, "handing over to the agent", pass) {
                Some(Ok(refused)) if refused.is_empty() => {
                    complaints.all_is_well();
                    self.patience.timer
                }
                Some(Ok(refused)) => {
                    complaints.tell(format!("the agent refuses what it was told: {}", refused.join("; ")));
                    self.patience.timer
                }
                // The agent is away: `landfall status` says so, and it is started again.
                Some(Err(_)) => self.patience.retry,
                None => {
                    hand_over.start_over();
                    self.patience.retry
                }
            };
            match news.recv_timeout(pause) {
                Ok(first) => {
                    for one in std::iter::once(first).chain(news.try_iter()) {
                        hand_over.hear(one);
                    }
                }
                Err(RecvTimeoutError::Timeout) => hand_over.compare(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn observe_loop(&self, news: &Sender<News>) {
        let (mut after, mut away) = (0, false);
        let pause = Signal::default();
        let mut complaints = Complaints::default();
        loop {
            let pass = || {
                let observed = self.host.observe(after, self.patience.watch)?;
                let any = !observed.observations.is_empty();
                for observation in observed.observations {
                    self.machine.observe(observation);
                }
                Ok::<_, desired::HostError>((observed.next, any))
            };
            if let Some(Ok((next, any))) = guarded(&mut complaints, "reading the agent's reports", pass) {
                (after, away) = (next, false);
                complaints.all_is_well();
                if any {
                    self.wake_schedule.raise();
                }
            } else {
                // A machine that comes back tells everything again, and may have lost what it was told.
                after = 0;
                if !std::mem::replace(&mut away, true) {
                    let _ = news.send(News::Lost);
                }
                pause.wait(self.patience.retry);
            }
        }
    }

    fn schedule_loop(&self) {
        let mut complaints = Complaints::default();
        let mut swept = None;
        loop {
            let now = Timestamp::now();
            let sweep = swept.is_none_or(|at| now.since(at) >= self.patience.sweep);
            if sweep {
                swept = Some(now);
            }
            let own = self.clone();
            let pass = self.store.write(move |tx| -> Result<Option<Timestamp>, std::convert::Infallible> {
                load_balancer::advance(tx, &own.machine);
                nat_gateway::settle(tx, &own.machine.reports(), now);
                network_insights_analysis::settle(tx, &own.settings, now);
                vpc_endpoint::settle(tx, &own.machine.reports(), now);
                let drained = targets::forget_drained(tx, &own.machine, now);
                if sweep {
                    forget_old(tx, now);
                    vpc_peering::forget_old(tx, now);
                    secretsmanager::forget_deleted(tx, now);
                }
                let context = |account: &AccountId, region: &Region| own.context(account, region, now);
                let mut agenda = own.agenda.lock().unwrap_or_else(PoisonError::into_inner);
                if sweep {
                    agenda.look_at_everything();
                }
                let scheduled = schedule::run(tx, context, &own.machine, now, &mut agenda);
                Ok([drained, scheduled].into_iter().flatten().min())
            });
            let wait = match pass {
                Ok(Ok(next)) => {
                    complaints.all_is_well();
                    next.map_or(self.patience.timer, |at| at.since(Timestamp::now()).min(self.patience.timer))
                }
                Err(error) => {
                    // What it had begun to look at, it looks at again.
                    self.agenda.lock().unwrap_or_else(PoisonError::into_inner).look_at_everything();
                    complaints.tell(format!("scheduling is tried again: {error}"));
                    self.patience.retry
                }
            };
            self.wake_schedule.wait(wait.max(BREATH));
        }
    }

    /// The surroundings of what Landfall does by itself.
    fn context(&self, account: &AccountId, region: &Region, now: Timestamp) -> Context {
        Context {
            settings: self.settings.clone(),
            account: account.clone(),
            region: region.clone(),
            principal: Principal::Root,
            through: None,
            now,
            machine: self.machine.clone(),
            request_id: "landfall".to_owned(),
        }
    }
}
