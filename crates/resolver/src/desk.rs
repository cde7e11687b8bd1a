//! The reconciler: every VPC that has a namespace gets the sockets of its DNS server, if it shall have one, and of the
//! task metadata endpoint; every other loses them. Sockets keep a namespace alive, so those of a namespace that went are closed at the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use desired::role::News;
use desired::{NamesStatus, Observation, VpcNames};
use sys::netns;
use tokio::sync::watch;
use tokio::task::JoinSet;
use types::{Backoff, PartId, VpcId};

use crate::Taken;
use sys::netlink::Netlink;

use crate::metadata::{self, Metadata};
use crate::serve::{PORT, Sockets, Source, listener, serve};
use crate::upstream::Upstream;

/// From one look at the namespaces to the next while a VPC still waits for its own: at first a moment, as namespaces are
/// made within milliseconds and tasks ask at once, then twice as long each time.
const SOON: Backoff = Backoff::new(Duration::from_millis(4), Duration::from_millis(200));

/// The same when nothing is missing.
const LATER: Duration = Duration::from_secs(1);

/// A VPC's servers.
struct Open {
    /// The namespace that the sockets are in: its device and inode.
    namespace: (u64, u64),
    servers: BTreeMap<SocketAddrV4, JoinSet<io::Result<()>>>,
}

/// Keeps the sockets as the part says, for ever. `state` has the namespaces below netns/ and the tasks below tasks/.
pub(crate) async fn keep(state: &Path, mut taken: watch::Receiver<Arc<Taken>>, news: News) {
    let mut open = BTreeMap::new();
    let offer = Offer { taken: taken.clone(), metadata: Arc::new(Metadata::new(state)) };
    let folder = state.join("netns");
    let mut soon = SOON;
    loop {
        let now = taken.borrow_and_update().clone();
        let outcome = reconcile(&mut open, &folder, &now, &offer).await;
        let settled = outcome.error.is_none() && outcome.waiting == 0;
        news.publish(match &now.names {
            Some(_) => Observation::Names(NamesStatus { generation: now.generation, error: outcome.error }),
            None => Observation::Removed { part: PartId::Names },
        });
        tokio::select! {
            changed = taken.changed() => {
                if changed.is_err() {
                    // Those who apply are gone: only the end can come.
                    return std::future::pending().await;
                }
                soon.reset();
            },
            () = tokio::time::sleep(if settled { LATER } else { soon.pause() }) => {
                if settled { soon.reset() } else { soon.grow() }
            }
        }
    }
}

/// What servers answer by.
struct Offer {
    taken: watch::Receiver<Arc<Taken>>,
    metadata: Arc<Metadata>,
}

/// A server's sockets.
enum Bound {
    Dns(Sockets),
    Metadata(TcpListener),
}

impl Bound {
    /// Makes them in the calling thread's namespace.
    fn bind(address: SocketAddrV4) -> io::Result<Self> {
        match address {
            metadata::ADDRESS => listener(address).map(Self::Metadata),
            _ => Sockets::bind(*address.ip()).map(Self::Dns),
        }
    }

    fn start(self, vpc: VpcId, offer: &Offer) -> JoinSet<io::Result<()>> {
        let (taken, mut server) = (offer.taken.clone(), JoinSet::new());
        match self {
            Self::Dns(sockets) => {
                server.spawn(serve(sockets, Source { vpc, taken, upstream: Upstream::default() }));
            }
            Self::Metadata(socket) => {
                let metadata = offer.metadata.clone();
                server.spawn(metadata::server::serve(
                    socket,
                    metadata::server::Source { vpc, taken, metadata },
                ));
            }
        }
        server
    }
}

struct Outcome {
    /// VPCs that have no namespace yet, or one without a server's address.
    waiting: usize,
    error: Option<String>,
}

async fn reconcile(open: &mut BTreeMap<VpcId, Open>, folder: &Path, now: &Taken, offer: &Offer) -> Outcome {
    let wanted: BTreeMap<&VpcId, &VpcNames> =
        now.names.iter().flat_map(|names| &names.vpcs).map(|vpc| (&vpc.vpc, vpc)).collect();
    let unwanted: Vec<VpcId> = open.keys().filter(|vpc| !wanted.contains_key(vpc)).cloned().collect();
    for vpc in unwanted {
        close(open, &vpc).await;
    }
    let mut outcome = Outcome { waiting: 0, error: None };
    for (vpc, names) in wanted {
        let path = folder.join(vpc.as_str());
        let Some(namespace) = identity(&path) else {
            close(open, vpc).await;
            outcome.waiting += 1;
            continue;
        };
        if open.get(vpc).is_some_and(|open| open.namespace != namespace) {
            close(open, vpc).await;
        }
        let entry = open.entry(vpc.clone()).or_insert_with(|| Open { namespace, servers: BTreeMap::new() });
        match adjust(entry, &path, names, offer).await {
            Ok(complete) if !complete => outcome.waiting += 1,
            Ok(_) => (),
            Err(error) => {
                outcome.error.get_or_insert(error);
            }
        }
    }
    outcome
}

/// The namespace at a path; None when there is none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = netns::exists(path).then(|| path.metadata().ok()).flatten()?;
    Some((metadata.dev(), metadata.ino()))
}

async fn close(open: &mut BTreeMap<VpcId, Open>, vpc: &VpcId) {
    for server in open.remove(vpc).into_iter().flat_map(|open| open.servers.into_values()) {
        end(server).await;
    }
}

/// Returns when the sockets are closed.
async fn end(mut server: JoinSet<io::Result<()>>) {
    server.shutdown().await;
    // The connections' tasks were told to end by that; they do when it is their turn.
    tokio::task::yield_now().await;
}

/// Opens and closes servers; gives whether all are open. An address that is not there yet is waited for.
async fn adjust(open: &mut Open, path: &Path, names: &VpcNames, offer: &Offer) -> Result<bool, String> {
    let dns = names.servers.iter().filter(|_| names.enabled).map(|address| SocketAddrV4::new(*address, PORT));
    let wanted: BTreeSet<SocketAddrV4> = dns.chain([metadata::ADDRESS]).collect();
    let mut kept = BTreeMap::new();
    for (address, mut server) in std::mem::take(&mut open.servers) {
        // A server ends by itself only when it could not begin: it is made again.
        let ended = server.try_join_next().is_some();
        if ended || !wanted.contains(&address) {
            end(server).await;
        } else {
            kept.insert(address, server);
        }
    }
    open.servers = kept;
    let missing: Vec<SocketAddrV4> =
        wanted.into_iter().filter(|address| !open.servers.contains_key(address)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let bind = || -> Result<Vec<_>, sys::Error> {
        let there = Netlink::open()?.addresses()?;
        let is_there =
            |address: &SocketAddrV4| there.iter().any(|found| found.address.addr() == *address.ip());
        Ok(missing
            .iter()
            .map(|address| (*address, is_there(address).then(|| Bound::bind(*address))))
            .collect())
    };
    let (mut refused, mut complete) = (None, true);
    let bound = netns::within(path, bind).and_then(|bound| bound).map_err(|error| error.to_string())?;
    for (address, sockets) in bound {
        let Some(sockets) = sockets else {
            complete = false;
            continue;
        };
        match sockets {
            Ok(sockets) => {
                open.servers.insert(address, sockets.start(names.vpc.clone(), offer));
            }
            Err(cause) => {
                refused = Some(format!("{}: nothing answers at {address}: {cause}", names.vpc));
            }
        }
    }
    refused.map_or(Ok(complete), Err)
}
