//! What the agent's threads share: the parts, each with a thread and a bell; the networks; the news.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desired::role::News;
use desired::{Body, Observation, Part};
use types::{PartId, TaskId, VpcId};

use crate::bell::Bell;
use crate::flows::Flows;
use crate::ledger::Ledger;
use crate::network::{INTERNET, Network, NetworkError};
use crate::protocol::Summary;
use crate::{Error, Settings, down, keeper};

/// The threads mostly wait; a full stack each would only be address space, but there are many.
const STACK: usize = 512 << 10;

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) state: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) network: Network,
    pub(crate) flows: Flows,
    pub(crate) news: News,
    /// Locked for as long as parts are written, so that disk and memory agree on which came last.
    ledger: Mutex<Ledger>,
    held: Mutex<Held>,
    /// Told when a part is gone.
    gone: Condvar,
    /// Held by the one who takes everything down: whether that is done for good.
    pub(crate) taking_down: Mutex<bool>,
}

#[derive(Debug, Default)]
struct Held {
    parts: BTreeMap<PartId, (Arc<Part>, Arc<Bell>)>,
    /// The VPC in which a task or load balancer works, until that is gone.
    works_in: BTreeMap<PartId, VpcId>,
    ending: bool,
}

impl Held {
    /// Remembers which VPC a part works in.
    fn place(&mut self, part: &Part) {
        let vpc = match &part.body {
            Some(Body::Task(task)) => Some(task.vpc.clone()),
            Some(Body::LoadBalancer(balancer)) => {
                let has = |vpc: &desired::Vpc| {
                    balancer.nodes.iter().any(|node| vpc.interfaces.iter().any(|i| i.id == node.interface))
                };
                self.parts.values().find_map(|(part, _)| match &part.body {
                    Some(Body::Vpc(vpc)) if has(vpc) => Some(vpc.id.clone()),
                    _ => None,
                })
            }
            _ => None,
        };
        if let Some(vpc) = vpc {
            self.works_in.insert(part.id.clone(), vpc);
        }
    }
}

impl Machine {
    pub(crate) fn new(state: &Path, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            state: state.to_owned(),
            settings,
            network: Network::new(state),
            flows: Flows::default(),
            news: News::default(),
            ledger: Mutex::new(Ledger::open(state.join("agent/desired"))?),
            held: Mutex::default(),
            gone: Condvar::new(),
            taking_down: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that shares the machine.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> Result<(), Error> {
        let own = self.clone();
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        builder.spawn(move || work(own)).map(drop).map_err(Error::Thread)
    }

    /// Takes up what an agent before this one kept, and what it left of parts that it no longer had.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<(), Error> {
        let ledger = self.ledger();
        let mut parts = ledger.load()?;
        if down::was_begun(&self.state) {
            self.set_ending(true);
            for part in parts.values_mut() {
                self.held().place(part);
                part.body = None;
            }
        }
        for id in self.folders()? {
            let orphan = Part { id: id.clone(), generation: 0, body: None };
            parts.entry(id).or_insert(orphan);
        }
        self.take(parts.into_values().map(Arc::new).collect())?;
        drop(ledger);
        if let Err(error) = self.sweep(None) {
            crate::complain(&format!("namespaces that nothing wants cannot be removed yet: {error}"));
        }
        Ok(())
    }

    /// The parts that have a role's folder.
    fn folders(&self) -> Result<Vec<PartId>, Error> {
        let mut found = Vec::new();
        for (folder, part) in [
            ("tasks", (|name| PartId::Task(TaskId::from(name))) as fn(&str) -> PartId),
            ("lb", |name| PartId::LoadBalancer(name.to_owned())),
        ] {
            let path = self.state.join(folder);
            let entries = match std::fs::read_dir(&path) {
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(Error::file(&path))?,
            };
            for entry in entries {
                let name = entry.map_err(Error::file(&path))?.file_name();
                found.extend(name.to_str().map(part));
            }
        }
        for (folder, part) in [("edge", PartId::Edge), ("resolver", PartId::Names)] {
            if self.state.join(folder).exists() {
                found.push(part);
            }
        }
        Ok(found)
    }

    /// Keeps parts: on disk when this returns, applied by their threads behind it. Stale ones are passed over.
    ///
    /// A network's thread begins before the disk has the part: a packet is judged by the new rule that much sooner. An
    /// agent that ends in between has answered nobody, so that it is told again.
    pub(crate) fn apply(self: &Arc<Self>, parts: Vec<Part>) -> Result<(), Error> {
        let ledger = self.ledger();
        let mut accepted = Vec::new();
        for part in parts {
            match self.part(&part.id) {
                Some(known) if known.generation > part.generation => (),
                None if part.body.is_none() => {
                    self.news.publish(Observation::Removed { part: part.id });
                }
                _ => accepted.push(Arc::new(part)),
            }
        }
        let (networks, others): (Vec<_>, Vec<_>) =
            accepted.iter().cloned().partition(|part| matches!(part.id, PartId::Vpc(_)));
        self.take(networks)?;
        ledger.keep(accepted.iter().map(|part| &**part))?;
        self.take(others)
    }

    fn take(self: &Arc<Self>, parts: Vec<Arc<Part>>) -> Result<(), Error> {
        let mut held = self.held();
        for part in parts {
            let id = part.id.clone();
            held.place(&part);
            if let Some((known, bell)) = held.parts.get_mut(&id) {
                *known = part;
                bell.ring();
                continue;
            }
            let bell = Arc::new(Bell::default());
            let (own, name) = (bell.clone(), id.to_string());
            // Linux cuts thread names at 15 bytes.
            let name: String = name.chars().take(15).collect();
            held.parts.insert(id.clone(), (part, bell));
            self.spawn(&name, move |machine| keeper::keep(&machine, &id, &own))?;
        }
        Ok(())
    }

    /// A part as it is desired now.
    pub(crate) fn part(&self, id: &PartId) -> Option<Arc<Part>> {
        self.held().parts.get(id).map(|(part, _)| part.clone())
    }

    /// Every part as it is desired now.
    pub(crate) fn parts(&self) -> Vec<Arc<Part>> {
        self.held().parts.values().map(|(part, _)| part.clone()).collect()
    }

    /// Whether a task or load balancer still works in a VPC, one that is ending too.
    pub(crate) fn is_used(&self, vpc: &VpcId) -> bool {
        self.held().works_in.values().any(|used| used == vpc)
    }

    /// Wakes the threads of VPCs: another's network was connected to theirs.
    pub(crate) fn ring_vpcs(&self, vpcs: BTreeSet<VpcId>) {
        let held = self.held();
        for (_, bell) in vpcs.into_iter().filter_map(|vpc| held.parts.get(&PartId::Vpc(vpc))) {
            bell.ring();
        }
    }

    /// Wakes every part's thread: something that another may wait for has happened.
    pub(crate) fn ring_all(&self) {
        for (_, bell) in self.held().parts.values() {
            bell.ring();
        }
    }

    /// The same for all but one.
    pub(crate) fn ring_others(&self, one: &PartId) {
        for (_, (_, bell)) in self.held().parts.iter().filter(|(id, _)| *id != one) {
            bell.ring();
        }
    }

    /// Forgets a part that is gone from the machine. False when it is desired again meanwhile.
    pub(crate) fn forget(&self, id: &PartId) -> Result<bool, Error> {
        let ledger = self.ledger();
        if self.part(id).is_some_and(|part| part.body.is_some()) {
            return Ok(false);
        }
        ledger.forget(id)?;
        let mut held = self.held();
        held.parts.remove(id);
        held.works_in.remove(id);
        drop(held);
        self.news.publish(Observation::Removed { part: id.clone() });
        self.gone.notify_all();
        self.ring_all();
        Ok(true)
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.held().ending
    }

    pub(crate) fn set_ending(&self, ending: bool) {
        self.held().ending = ending;
    }

    /// Has the parts that satisfy a condition removed, and waits until they are. False when time runs out.
    pub(crate) fn remove(
        self: &Arc<Self>,
        condition: impl Fn(&PartId) -> bool,
        patience: Duration,
    ) -> Result<bool, Error> {
        let ledger = self.ledger();
        let parts: Vec<_> = self
            .parts()
            .iter()
            .filter(|part| condition(&part.id) && part.body.is_some())
            .map(|part| Arc::new(Part { id: part.id.clone(), generation: part.generation, body: None }))
            .collect();
        if let Err(full) = ledger.keep(parts.iter().map(|part| &**part)) {
            // A full disk keeps nothing from ending: a part without a file is as unwanted to the next agent.
            crate::complain(&format!("{full}; it ends without"));
            parts.iter().try_for_each(|part| ledger.forget(&part.id))?;
        }
        self.take(parts)?;
        drop(ledger);
        let deadline = Instant::now() + patience;
        let mut held = self.held();
        while held.parts.keys().any(&condition) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            held = self.gone.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(true)
    }

    pub(crate) fn summary(&self) -> Summary {
        let held = self.held();
        Summary { pid: std::process::id(), parts: held.parts.len(), ending: held.ending }
    }

    /// Removes the namespaces that no part wants. While a VPC other than `removed` waits for its removal it is not
    /// known which are its interfaces', and nothing is done: its own removal does it.
    pub(crate) fn sweep(&self, removed: Option<&VpcId>) -> Result<(), NetworkError> {
        let waits = |part: &Arc<Part>| matches!(&part.id, PartId::Vpc(id) if part.body.is_none() && Some(id) != removed);
        if self.parts().iter().any(waits) {
            return Ok(());
        }
        self.network.sweep(|| {
            let mut wanted = BTreeSet::new();
            for part in self.parts() {
                match &part.body {
                    Some(Body::Vpc(vpc)) if !vpc.interfaces.is_empty() => {
                        if vpc.internet_gateway {
                            wanted.insert(INTERNET.to_owned());
                        }
                        wanted.extend(vpc.interfaces.iter().map(|interface| interface.id.to_string()));
                        wanted.extend(vpc.gateway_endpoints.iter().map(|endpoint| endpoint.id.to_string()));
                        wanted.insert(vpc.id.to_string());
                    }
                    Some(Body::Edge(_)) => {
                        wanted.insert(INTERNET.to_owned());
                    }
                    _ => (),
                }
            }
            wanted
        })
    }
}
