//! One thread of one node: listeners and client connections, on a runtime of its own.

pub(crate) mod date;
mod listen;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use types::Backoff;

use crate::health::Checks;
use crate::meter::Meter;
use crate::pool::Pool;
use crate::routing::Routing;
use crate::status::WorkerView;
use listen::Listener;

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// How long it takes until a port that could not be listened on is tried again: at first, and at most.
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

/// What the connections of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The node's address.
    pub(crate) address: Ipv4Addr,
    /// The connections to targets.
    pub(crate) pool: Rc<Pool>,
    /// What the node counts with.
    pub(crate) meter: Arc<Meter>,
    routing: RefCell<Arc<Routing>>,
    random: Cell<u64>,
    clients: Cell<usize>,
    /// Told when a client has gone.
    gone: Notify,
}

impl Worker {
    /// What is done with requests now.
    pub(crate) fn routing(&self) -> Arc<Routing> {
        self.routing.borrow().clone()
    }

    /// 128 bits that do not come again soon: SplitMix64 from a random seed. They name requests, no secrets.
    pub(crate) fn random(&self) -> u128 {
        let next = || {
            let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.random.set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(mixed ^ (mixed >> 31))
        };
        (next() << 64) | next()
    }
}

/// What a thread is told when it starts.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The node's address.
    pub(crate) address: Ipv4Addr,
    /// Whether this thread checks the node's targets.
    pub(crate) checks: bool,
    /// What to do with requests. Its end: stop accepting, finish what is in flight, end.
    pub(crate) routing: watch::Receiver<Arc<Routing>>,
    /// Turns true when the namespace is gone: end at once.
    pub(crate) halt: watch::Receiver<bool>,
    /// How long requests in flight may last at the end.
    pub(crate) grace: Duration,
    /// What the node counts with.
    pub(crate) meter: Arc<Meter>,
}

/// Runs until told to end. `report` is told what the thread is at.
pub(crate) async fn run(mut orders: Orders, report: impl Fn(WorkerView)) {
    let first = orders.routing.borrow_and_update().clone();
    let worker = Rc::new(Worker {
        address: orders.address,
        pool: Rc::default(),
        meter: orders.meter.clone(),
        routing: RefCell::new(first),
        random: Cell::new(u64::from_str_radix(&types::random_hex(16), 16).unwrap_or_default()),
        clients: Cell::new(0),
        gone: Notify::new(),
    });
    let mut listeners = BTreeMap::new();
    let mut checks = Checks::default();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backoff = RETRY;
    let mut changed = true;
    loop {
        let routing = worker.routing();
        if changed {
            worker.pool.follow_phases();
            if orders.checks {
                checks.follow(&routing);
            }
            backoff.reset();
        }
        let unbound = listen_on(&worker, &routing, &mut listeners).await;
        let retry = !unbound.is_empty();
        report(WorkerView { generation: Some(routing.generation), unbound });
        changed = false;
        tokio::select! {
            end = orders.routing.changed() => {
                if end.is_err() {
                    break;
                }
                worker.routing.replace(orders.routing.borrow_and_update().clone());
                changed = true;
            }
            _ = orders.halt.wait_for(|halt| *halt) => return,
            () = sleep(backoff.pause()), if retry => backoff.grow(),
            _ = sweep.tick() => worker.pool.sweep(routing.idle_timeout),
        }
    }
    // The listeners go, their connections end with the requests in flight.
    for listener in listeners.into_values() {
        listener.close().await;
    }
    let deadline = Instant::now() + orders.grace;
    let finish = async {
        while worker.clients.get() > 0 {
            worker.gone.notified().await;
        }
    };
    tokio::select! {
        _ = timeout(deadline.duration_since(Instant::now()), finish) => (),
        _ = orders.halt.wait_for(|halt| *halt) => (),
    }
}

/// Starts and ends listeners so that exactly the configured ports are listened on. Gives those that cannot be.
async fn listen_on(
    worker: &Rc<Worker>,
    routing: &Routing,
    listeners: &mut BTreeMap<u16, Listener>,
) -> BTreeMap<u16, String> {
    let gone: Vec<u16> =
        listeners.keys().filter(|port| !routing.listeners.contains_key(port)).copied().collect();
    for port in gone {
        if let Some(listener) = listeners.remove(&port) {
            listener.close().await;
        }
    }
    let mut unbound = BTreeMap::new();
    for port in routing.listeners.keys() {
        if listeners.contains_key(port) {
            continue;
        }
        match Listener::start(worker, *port) {
            Ok(listener) => {
                listeners.insert(*port, listener);
            }
            Err(error) => {
                unbound.insert(*port, error.to_string());
            }
        }
    }
    unbound
}
