//! The one thread that all nodes answer to: it takes over configurations, ends draining and publishes the status.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desired::{LoadBalancerStatus, LoadBalancerUsage, Node, Part};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use types::Timestamp;

use crate::meter::Meters;
use crate::node::{Keeper, Report};
use crate::place::Place;
use crate::plan::Plan;
use crate::routing::{Ledger, Routing};
use crate::status::{NodeView, is_news, merged};

/// How a load balancer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its nodes have their sockets.
    pub place: Place,
    /// Threads a node.
    pub threads: usize,
    /// How long requests in flight may last when it stops.
    pub grace: Duration,
}

impl Settings {
    /// A thread a core, at most four a node, and ten seconds for requests in flight.
    pub fn new(place: Place) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { place, threads: cores.min(4), grace: Duration::from_secs(10) }
    }
}

/// A running load balancer, in this process. Dropped without [`Balancer::stop`] it stops in its own time.
#[derive(Debug)]
pub struct Balancer {
    plans: mpsc::UnboundedSender<Plan>,
    thread: std::thread::JoinHandle<()>,
    meters: Meters,
    /// The part's id and the newest generation.
    latest: Mutex<(types::PartId, u64)>,
}

impl Balancer {
    /// Starts by a part. `publish` is given each status that says something new, on a thread of the load balancer.
    ///
    /// # Errors
    /// In words for a person: the part contradicts itself or is no load balancer, or no thread can be started.
    pub fn start(
        part: &Part,
        settings: Settings,
        publish: impl FnMut(LoadBalancerStatus) + Send + 'static,
    ) -> Result<Self, String> {
        let plan = Plan::new(part)?;
        let (plans, receiver) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("no runtime can be made: {error}"))?;
        let changed = Arc::new(Notify::new());
        let meters = Meters::default();
        let supervisor = Supervisor {
            settings,
            changed,
            nodes: BTreeMap::new(),
            last: None,
            publish,
            meters: meters.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(move || runtime.block_on(supervisor.run(plan, receiver)))
            .map_err(|error| format!("no thread can be started: {error}"))?;
        Ok(Self { plans, thread, meters, latest: Mutex::new((part.id.clone(), part.generation)) })
    }

    /// Takes over a newer part. Connections stay; what they carry next is done by the new part.
    ///
    /// # Errors
    /// In words for a person: the part contradicts itself, is older than the one at hand or of another load balancer.
    pub fn apply(&self, part: &Part) -> Result<(), String> {
        let plan = Plan::new(part)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != part.id {
            return Err(format!("this is {}, not {}", latest.0, part.id));
        }
        if part.generation < latest.1 {
            return Err(format!(
                "generation {} is older than {}, which is at hand",
                part.generation, latest.1
            ));
        }
        latest.1 = part.generation;
        self.plans.send(plan).map_err(|_| "the load balancer has ended".to_owned())
    }

    /// What its nodes have counted.
    pub fn usage(&self) -> LoadBalancerUsage {
        self.meters.read()
    }

    /// Which part it is.
    pub(crate) fn id(&self) -> types::PartId {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Stops accepting, lets requests in flight end within [`Settings::grace`], and returns once all is closed.
    pub fn stop(self) {
        drop(self.plans);
        // A panic there has been reported by the thread itself.
        let _ = self.thread.join();
    }
}

struct Supervisor<P> {
    settings: Settings,
    changed: Arc<Notify>,
    nodes: BTreeMap<String, Running>,
    last: Option<LoadBalancerStatus>,
    publish: P,
    meters: Meters,
}

/// A node that runs.
struct Running {
    node: Node,
    ledger: Ledger,
    routing: watch::Sender<Arc<Routing>>,
    report: Report,
    keeper: JoinHandle<()>,
}

impl<P: FnMut(LoadBalancerStatus)> Supervisor<P> {
    async fn run(mut self, mut plan: Plan, mut plans: mpsc::UnboundedReceiver<Plan>) {
        let mut ending = Vec::new();
        self.apply(&plan, &mut ending);
        loop {
            let next = self.expire();
            self.tell(&plan);
            ending.retain(|keeper: &JoinHandle<()>| !keeper.is_finished());
            let cut = async {
                match next {
                    Some(time) => sleep(time.since(Timestamp::now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                newer = plans.recv() => match newer {
                    Some(newer) => {
                        plan = newer;
                        self.apply(&plan, &mut ending);
                    }
                    None => break,
                },
                () = self.changed.notified() => (),
                () = cut => (),
            }
        }
        ending.extend(std::mem::take(&mut self.nodes).into_values().map(|running| running.keeper));
        for keeper in ending {
            // A node that panicked has ended too.
            let _ = keeper.await;
        }
    }

    /// Makes the running nodes the plan's. A node that is no longer wanted ends with its requests in flight.
    fn apply(&mut self, plan: &Plan, ending: &mut Vec<JoinHandle<()>>) {
        let wanted = &plan.balancer.nodes;
        let mut before = std::mem::take(&mut self.nodes);
        for node in wanted {
            let name = node.interface.to_string();
            let running = match before.remove(&name) {
                Some(mut running) if running.node == *node => {
                    let routing = running.ledger.route(plan, Timestamp::now());
                    running.routing.send_replace(Arc::new(routing));
                    running
                }
                other => {
                    ending.extend(other.map(|running| running.keeper));
                    self.start(node, plan)
                }
            };
            self.nodes.insert(name, running);
        }
        ending.extend(before.into_values().map(|running| running.keeper));
    }

    fn start(&self, node: &Node, plan: &Plan) -> Running {
        let meter = self.meters.of(node);
        let mut ledger = Ledger::new(self.changed.clone(), meter.clone());
        let (routing, receiver) = watch::channel(Arc::new(ledger.route(plan, Timestamp::now())));
        let report = Report::new(self.changed.clone());
        let keeper = Keeper {
            node: node.clone(),
            place: self.settings.place.clone(),
            threads: self.settings.threads.max(1),
            grace: self.settings.grace,
            report: report.clone(),
            meter,
        };
        Running { node: node.clone(), ledger, routing, report, keeper: tokio::spawn(keeper.run(receiver)) }
    }

    /// Cuts what has drained for long enough. Gives the time of the next.
    fn expire(&mut self) -> Option<Timestamp> {
        let now = Timestamp::now();
        let mut earliest = None::<Timestamp>;
        for running in self.nodes.values_mut() {
            let (any, next) = running.ledger.expire(now);
            if any {
                // The same again: its threads look at the targets' phases.
                running.routing.send_modify(|_| ());
            }
            earliest = earliest.into_iter().chain(next).min();
        }
        earliest
    }

    fn tell(&mut self, plan: &Plan) {
        let views: Vec<NodeView> =
            self.nodes.iter().map(|(name, running)| running.view(name, plan)).collect();
        let status = merged(plan, &views);
        if is_news(self.last.as_ref(), &status) {
            self.last = Some(status.clone());
            (self.publish)(status);
        }
    }
}

impl Running {
    fn view(&self, name: &str, plan: &Plan) -> NodeView {
        let keys = plan.balancer.target_groups.iter().flat_map(|group| {
            let key = |target: &desired::Target| {
                (group.arn.clone(), SocketAddrV4::new(target.address, target.port))
            };
            group.targets.iter().map(key)
        });
        let state = |key| {
            let target = self.ledger.target(&key)?;
            Some((key, (target.health(), target.in_flight())))
        };
        let reported = self.report.read();
        NodeView {
            name: name.to_owned(),
            error: reported.error.clone(),
            workers: reported.workers.clone(),
            targets: keys.filter_map(state).collect(),
        }
    }
}
