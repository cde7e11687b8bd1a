//! One node: its threads, kept alive in the namespace of its ENI, however often that is made anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use desired::Node;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use types::Backoff;

use crate::meter::Meter;
use crate::place::{Found, Place};
use crate::routing::Routing;
use crate::status::WorkerView;
use crate::worker::{self, Orders};

/// How often a node looks whether its namespace is still the one it works in.
const LOOK: Duration = Duration::from_secs(1);

/// How long it takes until a namespace is looked for again: at first, and at most.
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

/// What a node says of itself; shared by its threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report(Arc<Mutex<Reported>>, Arc<Notify>);

#[derive(Debug, Default)]
pub(crate) struct Reported {
    /// Why its threads do not run.
    pub(crate) error: Option<String>,
    /// What each thread says; empty when they do not run.
    pub(crate) workers: Vec<WorkerView>,
}

impl Report {
    /// One that tells of each change.
    pub(crate) fn new(changed: Arc<Notify>) -> Self {
        Self(Arc::default(), changed)
    }

    /// What it says now.
    pub(crate) fn read(&self) -> MutexGuard<'_, Reported> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, error: Option<String>, workers: usize) {
        let mut reported = self.read();
        *reported = Reported { error, workers: vec![WorkerView::default(); workers] };
        drop(reported);
        self.1.notify_one();
    }

    fn say_worker(&self, number: usize, view: WorkerView) {
        let mut reported = self.read();
        let changed = reported.workers.get_mut(number).is_some_and(|before| {
            let changed = *before != view;
            *before = view;
            changed
        });
        drop(reported);
        if changed {
            self.1.notify_one();
        }
    }
}

/// How a node runs.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    /// The node.
    pub(crate) node: Node,
    /// Where its sockets are.
    pub(crate) place: Place,
    /// How many threads it has.
    pub(crate) threads: usize,
    /// How long requests in flight may last at the end.
    pub(crate) grace: Duration,
    /// Where it says how it is.
    pub(crate) report: Report,
    /// What it counts with.
    pub(crate) meter: Arc<Meter>,
}

impl Keeper {
    /// Keeps the node's threads alive until `routing` ends, and returns once they have ended.
    pub(crate) async fn run(self, routing: watch::Receiver<Arc<Routing>>) {
        let mut end = routing.clone();
        let gone = async move { while end.changed().await.is_ok() {} };
        tokio::pin!(gone);
        let mut retry = RETRY;
        loop {
            let started = self.place.find(&self.node).and_then(|found| {
                let threads = self.start(&found, &routing)?;
                Ok((found, threads))
            });
            match started {
                Err(error) => self.report.say(Some(error), 0),
                Ok((found, mut threads)) => {
                    retry.reset();
                    // In this order: at the end a thread that has nothing in flight ends at once.
                    let ending = tokio::select! {
                        biased;
                        () = &mut gone => true,
                        () = self.replaced(&found) => false,
                        // None ends by itself but by a failure to enter.
                        _ = threads.ended.recv() => false,
                    };
                    if !ending {
                        let _ = threads.halt.send(true);
                    }
                    while threads.ended.recv().await.is_some() {}
                    if ending {
                        return;
                    }
                    if self.report.read().error.is_none() {
                        self.report.say(Some("the namespace is not there any more".to_owned()), 0);
                    }
                }
            }
            tokio::select! {
                () = &mut gone => return,
                () = sleep(retry.pause()) => retry.grow(),
            }
        }
    }

    async fn replaced(&self, found: &Found) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if !self.place.is_still(&self.node, found) {
                return;
            }
        }
    }

    fn start(&self, found: &Found, routing: &watch::Receiver<Arc<Routing>>) -> Result<Threads, String> {
        let (halt, halted) = watch::channel(false);
        let (alive, ended) = mpsc::unbounded_channel();
        self.report.say(None, self.threads);
        for number in 0..self.threads {
            let orders = Orders {
                address: self.node.address,
                checks: number == 0,
                routing: routing.clone(),
                halt: halted.clone(),
                grace: self.grace,
                meter: self.meter.clone(),
            };
            let (found, report, alive) = (found.again()?, self.report.clone(), Alive(alive.clone()));
            let work = move || {
                let _alive = alive;
                if let Err(error) = live(&found, number, orders, &report) {
                    report.say(Some(error), 0);
                }
            };
            std::thread::Builder::new()
                .name(format!("node-{number}"))
                .spawn(work)
                .map_err(|error| format!("no thread can be started: {error}"))?;
        }
        Ok(Threads { halt, ended })
    }
}

/// The running threads of a node.
struct Threads {
    /// True: end at once.
    halt: watch::Sender<bool>,
    /// One message for each thread that ended, and an end when the last has.
    ended: mpsc::UnboundedReceiver<()>,
}

/// Tells the end of a thread, after a panic too.
struct Alive(mpsc::UnboundedSender<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        // The keeper waits for this, or is gone itself.
        let _ = self.0.send(());
    }
}

/// The life of one thread.
fn live(found: &Found, number: usize, orders: Orders, report: &Report) -> Result<(), String> {
    found.enter()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| format!("no runtime can be made: {error}"))?;
    LocalSet::new().block_on(&runtime, worker::run(orders, |view| report.say_worker(number, view)));
    Ok(())
}
