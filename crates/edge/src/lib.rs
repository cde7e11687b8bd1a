//! The edge between the host and the `internet` namespace.
//!
//! Outside in: [`desk`] opens the host's ports; [`host`] reads the first request's [`head`], [`route`] finds the load
//! balancer, and a socket of the namespace ([`inside`]) carries the bytes there ([`relay`]). Inside out: [`endpoint`]
//! ends the TLS of AWS's names, in the `internet` namespace and in those of VPC endpoints, and carries the bytes to
//! `serve`, with the VPC endpoint's id in front where there is one. Nothing is rewritten, either way. What is sent to other public addresses may go on too: [`way`] says where,
//! [`outward`] carries connections and [`datagrams`] UDP.
//!
//! A load balancer sees the host as one address, 198.19.0.1, so that a security group rule for "my IP" can be written.
//! When its security group drops the host's packets the client waits as it would on AWS, 130 seconds at the most.

mod datagrams;
mod desk;
mod endpoint;
mod head;
mod host;
mod inside;
mod outward;
mod relay;
mod route;
mod visits;
mod way;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use desired::role::{News, RoleDir, RoleError, answer};
use desired::{Body, Part, VPC_ENDPOINT_SOCKET};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Notify, Semaphore, watch};
use types::PartId;

pub use head::{Head, read as read_head};
pub use route::{choose, covers};

/// The host's address as the `internet` namespace and load balancers see it.
pub const HOST_INSIDE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

/// Why the edge cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder cannot be used.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Its configuration is another role's.
    #[error("{folder}: config.json is not the part `edge`: {why}")]
    Config {
        /// The role's folder.
        folder: PathBuf,
        /// What it is.
        why: String,
    },
    /// The machine gives no thread or event loop.
    #[error("the event loop cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// How long things may take.
#[derive(Debug, Clone)]
struct Limits {
    /// For a request's head, for a TLS handshake, for `serve` to accept.
    head: Duration,
    /// For a load balancer to accept: what Linux's TCP waits at most (`tcp_syn_retries`, ip-sysctl).
    connect: Duration,
    /// For a load balancer to accept when the client has ended its sending, in which case it may have gone.
    half_closed: Duration,
    /// Without a byte, on a host port: longer than the longest idle time-out of an ALB (4,000 s), which decides.
    host_idle: Duration,
    /// Without a byte, on an AWS endpoint: what AWS's network endpoints allow.
    inside_idle: Duration,
    /// Without a byte, on a connection that goes on from inside: what a NAT has to allow at least (RFC 5382, REQ-5).
    outward_idle: Duration,
    /// Without a datagram, on a UDP flow that was answered, and on one that was not yet: as EC2 tracks them ("Idle
    /// connection tracking timeout", Amazon EC2 User Guide).
    flow_idle: Duration,
    unanswered_idle: Duration,
    /// What is dialled for an address of the real network: itself, but in tests.
    dial: fn(SocketAddrV4) -> SocketAddr,
    /// For a last answer to be taken.
    farewell: Duration,
    /// The source address of connections to load balancers.
    source: Ipv4Addr,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            connect: Duration::from_secs(130),
            half_closed: Duration::from_secs(3),
            host_idle: Duration::from_secs(4_100),
            inside_idle: Duration::from_secs(350),
            outward_idle: Duration::from_secs(7_440),
            flow_idle: Duration::from_secs(180),
            unanswered_idle: Duration::from_secs(30),
            dial: SocketAddr::V4,
            farewell: Duration::from_secs(2),
            source: HOST_INSIDE,
        }
    }
}

/// What the edge works by.
#[derive(Debug)]
struct Taken {
    generation: u64,
    /// None: the part shall be gone.
    edge: Option<desired::Edge>,
    endpoints: Result<endpoint::Endpoints, String>,
}

impl Taken {
    fn new(part: Part) -> Result<Self, String> {
        let edge = match (part.id, part.body) {
            (PartId::Edge, Some(Body::Edge(edge))) => Some(edge),
            (PartId::Edge, None) => None,
            (id, _) => return Err(format!("the edge is no part {id}")),
        };
        // A certificate that cannot be used is reported; the host ports do not need it.
        let endpoints = edge.as_ref().map_or_else(|| Ok(endpoint::Endpoints::new()), endpoint::endpoints);
        Ok(Self { generation: part.generation, edge, endpoints })
    }
}

/// What every connection needs.
struct World {
    taken: watch::Receiver<Arc<Taken>>,
    namespaces: inside::Namespaces,
    /// Where `serve` answers what came through VPC endpoints.
    endpoint_socket: PathBuf,
    /// The `internet` namespace.
    inside: inside::Inside,
    limits: Limits,
    /// Counts connections to load balancers, so that their nodes take turns.
    turn: AtomicUsize,
    /// Places for connections from host ports, and from inside: neither can use up the other's descriptors.
    host_connections: Arc<Semaphore>,
    inside_connections: Arc<Semaphore>,
    /// The same for connections that go on from inside.
    outward_connections: Arc<Semaphore>,
    /// How many UDP flows may go on from inside at a time.
    flows: usize,
    visits: visits::Visits,
}

/// The name of the namespace where public addresses are.
const INTERNET: &str = "internet";

/// Plays the role in `dir` (see [`desired::role`]) until it is told to stop; the namespaces are below `state`/netns.
///
/// # Errors
/// When the folder cannot be used, holds no configuration, or another process plays the role.
pub fn run(dir: &Path, state: &Path) -> Result<(), Error> {
    play(dir, state, Limits::default())
}

fn play(dir: &Path, state: &Path, limits: Limits) -> Result<(), Error> {
    let role = RoleDir::new(dir);
    let _lock = role.lock()?;
    let taken =
        Taken::new(role.read_config()?).map_err(|why| Error::Config { folder: dir.to_owned(), why })?;
    let (sender, taken) = watch::channel(Arc::new(taken));
    let namespaces = inside::Namespaces::start(state.join("netns")).map_err(Error::Runtime)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let descriptors = descriptors();
    let world = Arc::new(World {
        taken,
        inside: namespaces.named(INTERNET),
        namespaces,
        endpoint_socket: state.join(VPC_ENDPOINT_SOCKET),
        limits,
        turn: AtomicUsize::new(0),
        host_connections: Arc::new(Semaphore::new((descriptors / 4).min(4_096))),
        inside_connections: Arc::new(Semaphore::new((descriptors / 16).min(2_048))),
        outward_connections: Arc::new(Semaphore::new((descriptors / 16).min(4_096))),
        flows: (descriptors / 16).min(4_096),
        visits: visits::Visits::default(),
    });
    let (news, stop) = (News::default(), Arc::new(Notify::new()));
    let stopping = stop.clone();
    answer(&role, news.clone(), move |part| apply(&sender, part), move || stopping.notify_one())?;
    runtime.block_on(async {
        tokio::select! {
            () = desk::keep(world, news) => (),
            () = stop.notified() => (),
        }
        // The thread that was told to stop has its answer to send yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    Ok(())
}

fn apply(sender: &watch::Sender<Arc<Taken>>, part: Part) -> Result<(), String> {
    let new = Taken::new(part)?;
    let mut refused = None;
    sender.send_if_modified(|taken| {
        if new.generation < taken.generation {
            refused =
                Some(format!("generation {} is stale, {} is at hand", new.generation, taken.generation));
            return false;
        }
        *taken = Arc::new(new);
        true
    });
    refused.map_or(Ok(()), Err)
}

/// How many descriptors this process may have, once it has asked for all that it can get: a connection takes two.
fn descriptors() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1_024 };
    let got = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
    usize::try_from(got).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
