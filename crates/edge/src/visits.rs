//! Who came to the pretend hosts: kept for those who ask, in memory alone.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, MutexGuard, PoisonError};

use desired::{Edge, InternetHostStatus, Visit};
use tokio::sync::Notify;

/// How many visits of a host are kept.
const KEPT: usize = 20;

/// The visits of every pretend host.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    hosts: Mutex<BTreeMap<(Ipv4Addr, Option<u16>), Host>>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Host {
    visits: u64,
    recent: VecDeque<Visit>,
}

impl Visits {
    fn hosts(&self) -> MutexGuard<'_, BTreeMap<(Ipv4Addr, Option<u16>), Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a visit.
    pub(crate) fn note(&self, host: (Ipv4Addr, Option<u16>), visit: Visit) {
        let mut hosts = self.hosts();
        let host = hosts.entry(host).or_default();
        host.visits += 1;
        host.recent.push_front(visit);
        host.recent.truncate(KEPT);
        self.news.notify_one();
    }

    /// Notes that the last visit of that sender came to nothing after all.
    pub(crate) fn fail(&self, host: (Ipv4Addr, Option<u16>), source: SocketAddrV4, error: String) {
        let mut hosts = self.hosts();
        let recent = hosts.get_mut(&host).map(|host| host.recent.iter_mut());
        if let Some(visit) = recent.and_then(|mut recent| recent.find(|visit| visit.source == source)) {
            visit.error = Some(error);
            self.news.notify_one();
        }
    }

    /// Returns when there was a visit since the last time.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// The visits of the edge's hosts; those of others are forgotten.
    pub(crate) fn status(&self, edge: Option<&Edge>) -> Vec<InternetHostStatus> {
        let wanted: Vec<_> = edge
            .into_iter()
            .flat_map(|edge| &edge.internet_hosts)
            .map(|host| (host.address, host.port))
            .collect();
        let mut hosts = self.hosts();
        hosts.retain(|host, _| wanted.contains(host));
        let status = |(&(address, port), host): (&_, &Host)| InternetHostStatus {
            address,
            port,
            visits: host.visits,
            recent: host.recent.iter().cloned().collect(),
        };
        hosts.iter().map(status).collect()
    }
}
