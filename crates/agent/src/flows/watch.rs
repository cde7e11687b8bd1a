//! One VPC's sockets, and the thread that reads them.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use desired::Vpc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::conntrack::Accounts;
use sys::netlink::Netlink;
use sys::netns;
use sys::nflog::{Listener, Logged};
use types::Timestamp;

use super::Ring;
use super::packet;
use super::topology::Topology;
use super::window::{WINDOW, Window};
use crate::network::LOG_GROUP;

/// How many refused packets a second are looked at, on the average,
const RATE: u32 = 200;
/// and at once after a quiet time.
const BURST: u32 = 2000;
/// How long the socket is left alone when there were more.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two collections for those who wait.
const APART: Duration = Duration::from_millis(100);
/// How often the names of links are read at most.
const LINKS: Duration = Duration::from_millis(500);
const STACK: usize = 512 << 10;

/// Watches one VPC until it is dropped. Its sockets keep the VPC's namespace.
#[derive(Debug)]
pub(super) struct Watch {
    /// Which namespace it is: another one may come in its place.
    namespace: u64,
    inner: Arc<Mutex<Inner>>,
    ring: Arc<Ring>,
    /// Closed to end the thread.
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    /// The part's generation that the topology is of.
    generation: u64,
    topology: Topology,
    window: Window,
    accounts: Option<Accounts>,
    listener: Option<Listener>,
    netlink: Netlink,
    links: HashMap<u32, String>,
    links_read: Instant,
    collected: Instant,
    /// How many refused packets may be looked at now.
    allowed: u32,
    refilled: Instant,
    problems: Vec<String>,
}

/// The number of the namespace at a path.
pub(super) fn namespace(path: &Path) -> Option<u64> {
    netns::exists(path).then(|| std::fs::metadata(path).ok().map(|meta| meta.ino())).flatten()
}

impl Watch {
    /// Begins to watch the namespace at `path`.
    pub(super) fn begin(
        path: &Path,
        vpc: &Vpc,
        generation: u64,
        logs: bool,
        ring: &Arc<Ring>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let number = namespace(path).ok_or("the namespace is gone")?;
        let open = || -> Result<_, sys::Error> {
            let mut problems = Vec::new();
            let mut note =
                |what: &str, why: &dyn ToString| problems.push(format!("{what}: {}", why.to_string()));
            for (setting, without) in [
                ("acct", "the kernel counts no packets of flows, there are no records of accepted ones"),
                (
                    "timestamp",
                    "the kernel does not tell when flows began, records begin when they were first seen",
                ),
            ] {
                let path = format!("/proc/sys/net/netfilter/nf_conntrack_{setting}");
                if let Err(cause) = std::fs::write(&path, "1") {
                    note(without, &format!("{path}: {cause}"));
                }
            }
            let accounts = Accounts::open()
                .inspect_err(|error| note("there are no records of accepted packets", error))
                .ok();
            let listener = if logs {
                Listener::open(LOG_GROUP)
                    .inspect_err(|error| note("there are no records of refused packets", error))
                    .ok()
            } else {
                note(
                    "there are no records of refused packets",
                    &"the kernel has no NFT_LOG and NETFILTER_NETLINK_LOG",
                );
                None
            };
            Ok((accounts, listener, Netlink::open()?, problems))
        };
        let (accounts, listener, netlink, problems) = netns::within(path, open)??;
        let mut entries = Vec::new();
        if let Some(accounts) = &accounts {
            accounts.entries(|entry| entries.push(entry))?;
        }
        let now = Instant::now();
        let mut waits = Vec::new();
        waits.extend(accounts.as_ref().map(|it| it.as_fd().try_clone_to_owned()).transpose()?);
        let refusals = listener.as_ref().map(|it| it.as_fd().try_clone_to_owned()).transpose()?;
        let inner = Inner {
            generation,
            topology: Topology::new(vpc),
            window: Window::new(Timestamp::now(), &entries),
            accounts,
            listener,
            netlink,
            links: HashMap::new(),
            links_read: now.checked_sub(LINKS).unwrap_or(now),
            collected: now,
            allowed: BURST,
            refilled: now,
            problems,
        };
        let inner = Arc::new(Mutex::new(inner));
        let (ended, end) = nix::unistd::pipe()?;
        let (own, its_ring) = (inner.clone(), ring.clone());
        let work = move || read(&own, &its_ring, &ended, &waits, refusals.as_ref());
        let builder = std::thread::Builder::new().name("flows".to_owned()).stack_size(STACK);
        let thread = builder.spawn(work)?;
        Ok(Self { namespace: number, inner, ring: ring.clone(), end: Some(end), thread: Some(thread) })
    }

    /// Whether it watches the namespace that has this number, and its thread lives.
    pub(super) fn watches(&self, namespace: u64) -> bool {
        self.namespace == namespace && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Goes on with a VPC that has changed. What was seen before belongs to the interfaces that were there.
    pub(super) fn change(&self, vpc: &Vpc, generation: u64) {
        let mut inner = lock(&self.inner);
        if inner.generation != generation {
            // Without an answer nothing is lost but what the next one tells.
            let _ = inner.drain();
            (inner.topology, inner.generation) = (Topology::new(vpc), generation);
        }
    }

    /// Records what is due; with `force` everything that is not recorded yet.
    pub(super) fn collect(&self, force: bool) {
        let mut inner = lock(&self.inner);
        if force || inner.collected.elapsed() >= APART {
            let records = inner.collect(force);
            self.ring.add(records);
        }
    }

    /// What is not recorded, and why.
    pub(super) fn problems(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        inner.problems.iter().map(|problem| format!("{}: {problem}", inner.topology.vpc)).collect()
    }
}

impl Drop for Watch {
    /// Records what is left and closes the sockets.
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let records = lock(&self.inner).collect(true);
        self.ring.add(records);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until `ended` is closed on its other side, or the kernel refuses.
fn read(inner: &Mutex<Inner>, ring: &Ring, ended: &OwnedFd, waits: &[OwnedFd], refusals: Option<&OwnedFd>) {
    let mut due = Instant::now() + WINDOW;
    loop {
        let pause = lock(inner).pause();
        let mut wait = due.saturating_duration_since(Instant::now());
        let mut fds = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        fds.extend(waits.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        match refusals {
            Some(_) if pause => wait = wait.min(PAUSE),
            Some(refusals) => fds.push(PollFd::new(refusals.as_fd(), PollFlags::POLLIN)),
            None => (),
        }
        // Rounded up, or the last millisecond would be waited for again and again.
        let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, wait) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => (),
            Err(_) => return,
        }
        if fds.first().and_then(PollFd::any) == Some(true) {
            return;
        }
        let mut inner = lock(inner);
        if inner.drain().is_err() {
            return;
        }
        if Instant::now() >= due {
            let records = inner.collect(false);
            ring.add(records);
            due = Instant::now() + WINDOW;
        }
    }
}

impl Inner {
    /// Whether there were too many refused packets just now.
    fn pause(&mut self) -> bool {
        let passed = u32::try_from(self.refilled.elapsed().as_millis()).unwrap_or(u32::MAX);
        let more = passed.saturating_mul(RATE) / 1000;
        if more > 0 {
            self.allowed = self.allowed.saturating_add(more).min(BURST);
            self.refilled = Instant::now();
        }
        self.allowed < RATE / 10
    }

    /// Takes in what waits in the sockets.
    fn drain(&mut self) -> Result<(), sys::Error> {
        let now = Timestamp::now();
        let mut ended = Vec::new();
        if let Some(accounts) = &self.accounts
            && accounts.ended(|entry| ended.push(entry))?
        {
            self.window.skip(1);
        }
        let mut refused = Vec::new();
        let (mut allowed, mut skipped) = (self.allowed, 0);
        if let Some(listener) = &mut self.listener {
            let lost = listener.read(|logged| match allowed {
                0 => skipped += 1,
                _ => {
                    allowed -= 1;
                    refused.push(logged);
                }
            })?;
            skipped += lost;
        }
        self.allowed = allowed;
        self.window.skip(skipped);
        // Refused packets first: they are taken off the flows that end.
        for logged in &refused {
            self.refuse(logged, now)?;
        }
        for entry in &ended {
            self.window.end(&self.topology, now, entry);
        }
        Ok(())
    }

    fn refuse(&mut self, logged: &Logged, now: Timestamp) -> Result<(), sys::Error> {
        let Some(packet) = packet::read(&logged.packet) else { return Ok(()) };
        let known = |links: &HashMap<u32, String>, index: Option<u32>| {
            index.is_none_or(|index| links.contains_key(&index))
        };
        let unknown = !known(&self.links, logged.input) || !known(&self.links, logged.output);
        if unknown && self.links_read.elapsed() >= LINKS {
            self.links = self.netlink.links()?.into_iter().map(|link| (link.index, link.name)).collect();
            self.links_read = Instant::now();
        }
        let name = |index: Option<u32>| index.and_then(|index| self.links.get(&index)).map(String::as_str);
        let links = (name(logged.input), name(logged.output));
        self.window.refuse(&self.topology, &packet, &logged.prefix, links, now);
        Ok(())
    }

    fn collect(&mut self, force: bool) -> Vec<super::FlowRecord> {
        self.collected = Instant::now();
        // A socket that fails is told of, and the flows are still counted.
        let mut failed = self.drain().err();
        let mut entries = Vec::new();
        if let Some(accounts) = &self.accounts {
            failed = accounts.entries(|entry| entries.push(entry)).err().or(failed);
        }
        if let Some(error) = failed {
            self.problems = vec![error.to_string()];
        }
        self.window.collect(&self.topology, Timestamp::now(), &entries, force)
    }
}
