//! One server address: a UDP and a TCP socket inside a VPC's namespace.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use types::VpcId;

use crate::{Taken, Transport, answer};

/// The port of DNS.
const PORT: u16 = 53;

/// Connections that one address serves at a time; the others wait in the kernel. One VPC cannot use up what the
/// others need.
const CONNECTIONS: usize = 64;

/// How long a connection may take to send its next query or to take an answer (RFC 7766 asks for a few seconds).
const IDLE: Duration = Duration::from_secs(10);

/// The longest query that is read whole: far more than one question with EDNS needs.
const LONGEST: usize = 4096;

/// An address's sockets, bound in the namespace of the thread that made them.
#[derive(Debug)]
pub(crate) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Makes them in the calling thread's namespace. The address has to be there already. The kernel binds without it as
    /// well, in a namespace that never had an address (`__inet_bind` finds no local table then, and takes the address for a
    /// broadcast one), but such a socket's answers go out from another address, and clients do not know them.
    pub(crate) fn bind(address: Ipv4Addr) -> io::Result<Self> {
        let udp = one(SockType::Datagram, address)?;
        let tcp = one(SockType::Stream, address)?;
        listen(&tcp, Backlog::new(256)?)?;
        Ok(Self { udp: udp.into(), tcp: tcp.into() })
    }
}

fn one(kind: SockType, address: Ipv4Addr) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, kind, flags, None)?;
    if kind == SockType::Stream {
        // Connections of a resolver that ended do not keep its successor from the port. On UDP it would let two
        // resolvers share one.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, PORT)))?;
    Ok(fd)
}

/// What a server answers by: always the newest names.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) vpc: VpcId,
    pub(crate) taken: watch::Receiver<Arc<Taken>>,
}

impl Source {
    fn answer(&self, message: &[u8], transport: Transport, turn: usize) -> Option<Vec<u8>> {
        let taken = self.taken.borrow();
        answer(taken.tables.vpc(&self.vpc)?, message, transport, turn)
    }
}

/// Answers on the sockets for as long as it is polled; dropped, it closes them and every connection.
pub(crate) async fn serve(sockets: Sockets, source: Source) -> io::Result<()> {
    let udp = tokio::net::UdpSocket::from_std(sockets.udp)?;
    let tcp = tokio::net::TcpListener::from_std(sockets.tcp)?;
    tokio::join!(datagrams(udp, &source), connections(tcp, &source));
    Ok(())
}

async fn datagrams(socket: tokio::net::UdpSocket, source: &Source) {
    let mut buffer = [0; LONGEST];
    for turn in 0_usize.. {
        let response = match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => source.answer(&buffer[..length], Transport::Udp, turn).map(|r| (r, peer)),
            // An earlier answer met a closed port, or memory is short for a moment.
            Err(_) => {
                tokio::task::yield_now().await;
                None
            }
        };
        if let Some((response, peer)) = response {
            // A datagram that cannot be sent is lost, as datagrams may be: the asker asks again.
            let _ = socket.try_send_to(&response, peer);
        }
    }
}

async fn connections(listener: tokio::net::TcpListener, source: &Source) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => (),
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, source.clone()));
                }
                // No descriptors left, most likely: give others the time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

/// RFC 1035, section 4.2.2: each message has its length in front.
async fn connection(mut stream: TcpStream, source: Source) {
    let mut buffer = [0; LONGEST];
    for turn in 0_usize.. {
        let query = async {
            let length = usize::from(stream.read_u16().await?);
            let query = buffer.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
            stream.read_exact(query).await?;
            io::Result::Ok(&*query)
        };
        let Ok(Ok(query)) = timeout(IDLE, query).await else { return };
        let Some(response) = source.answer(query, Transport::Tcp, turn) else { return };
        let Ok(length) = u16::try_from(response.len()) else { return };
        let framed = [&length.to_be_bytes(), response.as_slice()].concat();
        if !matches!(timeout(IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}
