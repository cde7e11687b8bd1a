//! Out of the `internet` namespace by TCP: a connection to a public address goes on by one of the host's own.
//!
//! The kernel has made the inside's connection before the outside's can be tried. So a refusal outside is a reset
//! inside, and silence outside is a connection on which nothing comes.

use std::net::{SocketAddr, SocketAddrV4};

use desired::Visit;
use sys::netlink::Netlink;
use tokio::net::TcpStream;
use tokio::time::timeout;
use types::Timestamp;

use crate::World;
use crate::relay::relay;
use crate::way::{Way, way};

impl World {
    /// Where what was sent to a public address goes on, by the part as it is now.
    pub(crate) fn way(&self, destination: SocketAddrV4) -> Option<Way> {
        way(self.taken.borrow().edge.as_ref()?, destination, is_own)
    }

    /// The address to dial for a way.
    pub(crate) fn dial(&self, way: &Way) -> SocketAddr {
        match way {
            Way::Host { to, .. } => *to,
            Way::Real(to) => (self.limits.dial)(*to),
        }
    }

    /// Returns when a destination's way is no longer this one: the host is mapped elsewhere, or the internet is off.
    pub(crate) async fn revoked(&self, destination: SocketAddrV4, way: &Way) {
        let mut taken = self.taken.clone();
        while self.way(destination).as_ref() == Some(way) {
            if taken.changed().await.is_err() {
                // Those who apply are gone: only the end can come.
                return std::future::pending().await;
            }
        }
    }

    /// Notes a visit to a pretend host.
    pub(crate) fn visited(
        &self,
        way: &Way,
        tcp: bool,
        source: SocketAddrV4,
        port: u16,
        error: Option<String>,
    ) {
        if let Way::Host { host, .. } = way {
            self.visits.note(*host, Visit { at: Timestamp::now(), tcp, source, port, error });
        }
    }
}

/// Whether an address is one of this machine's. IPv6 has loopback alone.
fn is_own(address: &SocketAddr) -> bool {
    Netlink::open().and_then(|mut netlink| netlink.is_own(address.ip())).unwrap_or(false)
}

/// Carries one connection on, from both ends' first byte to their last.
pub(crate) async fn carry(world: &World, mut inside: TcpStream) {
    let (Ok(SocketAddr::V4(source)), Ok(SocketAddr::V4(to))) = (inside.peer_addr(), inside.local_addr())
    else {
        return;
    };
    let Some(way) = world.way(to) else { return reset(&inside) };
    let connecting = async {
        let connected = timeout(world.limits.connect, TcpStream::connect(world.dial(&way))).await;
        connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    };
    let connected = tokio::select! {
        connected = connecting => connected,
        () = world.revoked(to, &way) => return reset(&inside),
    };
    world.visited(&way, true, source, to.port(), connected.as_ref().err().map(ToString::to_string));
    let Ok(mut outside) = connected else { return reset(&inside) };
    for stream in [&inside, &outside] {
        let _ = stream.set_nodelay(true);
    }
    let ended = tokio::select! {
        ended = relay(&mut inside, &mut outside, world.limits.outward_idle) => ended.is_ok(),
        () = world.revoked(to, &way) => false,
    };
    if !ended {
        reset(&inside);
        reset(&outside);
    }
}

/// Has a stream's end be a reset, as that of a connection that broke is.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
