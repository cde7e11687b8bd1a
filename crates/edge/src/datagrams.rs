//! Out of the `internet` namespace by UDP: each flow has a socket inside, which is the destination to the sender, and
//! one outside, which is the sender to the destination.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::World;
use crate::way::Way;

/// The longest datagram.
const LONGEST: usize = 65_535;

/// First datagrams of a flow that wait while its sockets are made.
const WAITING: usize = 16;

/// The sender and the destination.
type Key = (SocketAddrV4, SocketAddrV4);

/// Carries every flow for as long as it is polled. `listener` gets the datagrams that no flow's own socket gets.
pub(crate) async fn carry(world: Arc<World>, listener: UdpSocket) {
    let mut flows: HashMap<Key, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut carrying = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let (key, length) = tokio::select! {
            Some(ended) = carrying.join_next() => {
                // A flow's task does not panic; if it did, its channel is closed and the next datagram makes it anew.
                if let Ok(key) = ended {
                    flows.remove(&key);
                }
                continue;
            }
            received = receive(&listener, &mut buffer) => match received {
                Ok(Some(received)) => received,
                Ok(None) => continue,
                // Memory is short for a moment.
                Err(_) => {
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let datagram = buffer[..length].to_vec();
        let waiting = flows.get(&key).map(|flow| flow.try_send(datagram.clone()));
        match waiting {
            // More than waits for its sockets is lost, as datagrams may be.
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => continue,
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => (),
        }
        if carrying.len() >= world.flows {
            continue;
        }
        let (sender, datagrams) = mpsc::channel(WAITING);
        if sender.try_send(datagram).is_ok() {
            flows.insert(key, sender);
            let world = world.clone();
            carrying.spawn(async move {
                flow(&world, key, datagrams).await;
                key
            });
        }
    }
}

/// Waits for a datagram: whose and where to, and its length. None when the kernel does not tell.
async fn receive(listener: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<(Key, usize)>> {
    listener
        .async_io(Interest::READABLE, || {
            let mut control = nix::cmsg_space!(nix::libc::sockaddr_in);
            let mut parts = [IoSliceMut::new(buffer)];
            let received = recvmsg::<SockaddrIn>(
                listener.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let destination = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(SockaddrIn::from(address)),
                _ => None,
            });
            let key = received.address.zip(destination).map(|(from, to)| (from.into(), to.into()));
            Ok(key.map(|key| (key, received.bytes)))
        })
        .await
}

/// Carries one flow until it has been silent for long, is refused or has no way any more.
async fn flow(world: &World, (source, to): Key, mut datagrams: mpsc::Receiver<Vec<u8>>) {
    let Some(way) = world.way(to) else { return };
    let sockets = async {
        let inside = world.inside.answering(to, source).await?;
        let target = world.dial(&way);
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let outside = UdpSocket::bind(any).await?;
        outside.connect(target).await?;
        io::Result::Ok((inside, outside))
    };
    let sockets = sockets.await;
    world.visited(&way, false, source, to.port(), sockets.as_ref().err().map(ToString::to_string));
    let Ok((inside, outside)) = sockets else { return };
    let (mut outward, mut inward) = (vec![0; LONGEST], vec![0; LONGEST]);
    let (mut last, mut answered) = (Instant::now(), false);
    let revoked = world.revoked(to, &way);
    tokio::pin!(revoked);
    loop {
        let idle = if answered { world.limits.flow_idle } else { world.limits.unanswered_idle };
        // A datagram that cannot be sent is lost, but for what says that nobody is there.
        let sent = tokio::select! {
            Some(datagram) = datagrams.recv() => outside.send(&datagram).await,
            received = inside.recv(&mut outward) => match received {
                Ok(length) => outside.send(&outward[..length]).await,
                Err(error) => Err(error),
            },
            received = outside.recv(&mut inward) => match received {
                Ok(length) => {
                    answered = true;
                    inside.send(&inward[..length]).await
                }
                Err(error) => Err(error),
            },
            () = sleep_until(last + idle) => return,
            () = &mut revoked => return,
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // By an ICMP message, which is not carried on: the sender meets silence.
                if let Way::Host { host, .. } = &way {
                    world.visits.fail(*host, source, error.to_string());
                }
                return;
            }
            _ => last = Instant::now(),
        }
    }
}
