//! The reconciler: the listeners that the part names are there, others are not, and what cannot be is reported and
//! tried again. Connections that are open are never touched.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use desired::role::News;
use desired::{CARRIER, EdgeStatus, ListenerStatus, Observation};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::{Backoff, PartId, VpcEndpointId};

use crate::endpoint::{self, Endpoints, Place};
use crate::inside::Inside;
use crate::{Taken, World, datagrams, host, outward};

/// From one try to the next while something could not be done: at first a moment, as namespaces are made within
/// milliseconds, then twice as long each time.
const SOON: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(500));

/// From one look at the namespaces to the next when nothing is amiss.
const LATER: Duration = Duration::from_secs(2);

/// From a visit to a pretend host to the report that has it.
const GATHERING: Duration = Duration::from_millis(100);

/// The listeners that are open. Dropping a set closes its listener.
#[derive(Default)]
struct Open {
    ports: BTreeMap<SocketAddrV4, JoinSet<()>>,
    endpoints: BTreeMap<Place, Endpoint>,
    carrier: Option<Carrier>,
}

struct Endpoint {
    /// The namespace that it listens in, by device and inode.
    namespace: (u64, u64),
    accepting: JoinSet<()>,
}

/// What takes over connections and datagrams to other public addresses.
struct Carrier {
    /// The `internet` namespace, by device and inode.
    namespace: (u64, u64),
    connections: JoinSet<()>,
    datagrams: JoinSet<()>,
}

/// Keeps the listeners as the part says, for ever.
pub(crate) async fn keep(world: Arc<World>, news: News) {
    let mut taken = world.taken.clone();
    let mut open = Open::default();
    let mut soon = SOON;
    loop {
        let now = taken.borrow_and_update().clone();
        let listeners = open.host_ports(&world, &now);
        let (error, unanswered) = open.endpoints(&world, &now).await;
        let error = error.or(open.carrier(&world, &now).await);
        let internet_hosts = world.visits.status(now.edge.as_ref());
        let settled = error.is_none() && listeners.iter().all(|listener| listener.error.is_none());
        let generation = now.generation;
        news.publish(match &now.edge {
            Some(_) => {
                Observation::Edge(EdgeStatus { generation, listeners, error, unanswered, internet_hosts })
            }
            None => Observation::Removed { part: PartId::Edge },
        });
        tokio::select! {
            changed = taken.changed() => {
                if changed.is_err() {
                    // Those who apply are gone: only the end can come.
                    return std::future::pending().await;
                }
                soon.reset();
            }
            () = tokio::time::sleep(if settled { LATER } else { soon.pause() }) => {
                if settled { soon.reset() } else { soon.grow() }
            }
            // Many at once are told of together.
            () = world.visits.news() => tokio::time::sleep(GATHERING).await,
        }
    }
}

impl Open {
    fn host_ports(&mut self, world: &Arc<World>, now: &Taken) -> Vec<ListenerStatus> {
        let wanted: BTreeSet<SocketAddrV4> = now
            .edge
            .iter()
            .flat_map(|edge| {
                edge.listeners.iter().map(|listener| SocketAddrV4::new(edge.host_address, listener.port))
            })
            .collect();
        self.ports.retain(|address, accepting| wanted.contains(address) && runs(accepting));
        let open = |address: SocketAddrV4| {
            let Entry::Vacant(place) = self.ports.entry(address) else {
                return ListenerStatus { port: address.port(), error: None };
            };
            let carrying = world.clone();
            let work = move |client| {
                let world = carrying.clone();
                async move { host::carry(&world, client, address.port()).await }
            };
            let error = match listen(address) {
                Ok(listener) => {
                    place.insert(accept(listener, world.host_connections.clone(), work));
                    None
                }
                Err(cause) => Some(unusable(address, &cause)),
            };
            ListenerStatus { port: address.port(), error }
        };
        wanted.into_iter().map(open).collect()
    }

    /// The first thing that is wrong with the endpoints or the `internet` namespace, and the VPC endpoints that are not
    /// answered.
    async fn endpoints(
        &mut self,
        world: &Arc<World>,
        now: &Taken,
    ) -> (Option<String>, BTreeSet<VpcEndpointId>) {
        let (none, mut error) = (Endpoints::new(), now.endpoints.as_ref().err().cloned());
        let mut unanswered = BTreeSet::new();
        let wanted = now.endpoints.as_ref().unwrap_or(&none);
        let ports = now.edge.as_ref().is_some_and(|edge| !edge.listeners.is_empty());
        if ports && world.inside.identity().is_none() {
            error.get_or_insert_with(|| missing(&world.inside));
        }
        // Those of a namespace that is gone, or that another has taken the place of, are closed: they would keep it alive.
        let found: BTreeMap<&Place, Option<(u64, u64)>> =
            wanted.keys().map(|place| (place, world.namespaces.named(&place.namespace).identity())).collect();
        self.endpoints.retain(|place, open| {
            found.get(place).is_some_and(|found| *found == Some(open.namespace)) && runs(&mut open.accepting)
        });
        for (place, found) in found {
            if self.endpoints.contains_key(place) {
                continue;
            }
            let opened = match found {
                Some(namespace) => {
                    self.open(world, place, namespace).await.map_err(|cause| cause.to_string())
                }
                None => Err(missing(&world.namespaces.named(&place.namespace))),
            };
            if let (Err(cause), Some(endpoint)) = (opened, wanted.get(place)) {
                unanswered.extend(endpoint.through.clone());
                error.get_or_insert_with(|| {
                    let (called, address, port) = (&endpoint.called, place.address, endpoint::PORT);
                    format!("{called} is not answered at {address}:{port} inside VPCs: {cause}")
                });
            }
        }
        (error, unanswered)
    }

    async fn open(&mut self, world: &Arc<World>, place: &Place, namespace: (u64, u64)) -> io::Result<()> {
        let address = SocketAddrV4::new(place.address, endpoint::PORT);
        let listener = world.namespaces.named(&place.namespace).listener(address).await?;
        let (carrying, at) = (world.clone(), place.clone());
        let work = move |client| {
            let (world, place) = (carrying.clone(), at.clone());
            async move { endpoint::carry(&world, client, &place).await }
        };
        let accepting = accept(listener, world.inside_connections.clone(), work);
        self.endpoints.insert(place.clone(), Endpoint { namespace, accepting });
        Ok(())
    }
}

impl Open {
    /// Opens or closes what carries on to other public addresses. What is wrong with it.
    async fn carrier(&mut self, world: &Arc<World>, now: &Taken) -> Option<String> {
        let edge = now.edge.as_ref().filter(|edge| edge.internet || !edge.internet_hosts.is_empty());
        let namespace = edge.and_then(|_| world.inside.identity());
        if self.carrier.as_mut().is_some_and(|carrier| {
            Some(carrier.namespace) != namespace
                || !runs(&mut carrier.connections)
                || !runs(&mut carrier.datagrams)
        }) {
            self.carrier = None;
        }
        edge?;
        if self.carrier.is_some() {
            return None;
        }
        let Some(namespace) = namespace else { return Some(missing(&world.inside)) };
        let sockets = async {
            let connections = world.inside.carrier(CARRIER).await?;
            io::Result::Ok((connections, world.inside.datagram_carrier(CARRIER).await?))
        };
        let (listener, socket) = match sockets.await {
            Ok(sockets) => sockets,
            Err(cause) => return Some(format!("nothing is carried on from the internet namespace: {cause}")),
        };
        let carrying = world.clone();
        let work = move |client| {
            let world = carrying.clone();
            async move { outward::carry(&world, client).await }
        };
        let connections = accept(listener, world.outward_connections.clone(), work);
        let mut datagrams = JoinSet::new();
        datagrams.spawn(datagrams::carry(world.clone(), socket));
        self.carrier = Some(Carrier { namespace, connections, datagrams });
        None
    }
}

fn missing(inside: &Inside) -> String {
    format!("the network namespace {} is not there yet: the agent makes it", inside.path().display())
}

/// Whether a listener's task goes on.
fn runs(accepting: &mut JoinSet<()>) -> bool {
    accepting.try_join_next().is_none()
}

fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an edge that ended do not keep its successor from the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(1024)
}

/// Why a host port cannot be used, and what to do about it.
fn unusable(address: SocketAddrV4, cause: &io::Error) -> String {
    let port = address.port();
    match cause.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is used by another program; end it (`ss -ltnp 'sport = :{port}'` shows it) or give the load \
             balancer's listener another port; it is tried again all the time"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{address} may not be used: ports below {} need root; run Landfall as root",
            first_free_port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} cannot be used: {} is no address of this host", address.ip())
        }
        _ => format!("{address} cannot be used: {cause}"),
    }
}

/// The first port that needs no privilege (ip(7), `ip_unprivileged_port_start`).
fn first_free_port() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .map_or_else(|_| "1024".to_owned(), |text| text.trim().to_owned())
}

/// Accepts for as long as the set lives. Connections live on after it.
fn accept<F>(
    listener: TcpListener,
    connections: Arc<Semaphore>,
    work: impl Fn(TcpStream) -> F + Send + 'static,
) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // With no place left the others wait in the kernel's queue.
                    let Ok(place) = connections.clone().acquire_owned().await else { return };
                    let carrying = work(stream);
                    tokio::spawn(async move {
                        carrying.await;
                        drop(place);
                    });
                }
                // No descriptors left, most likely: give others the time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    accepting
}
