//! Sockets of other network namespaces for a process that lives in the host's own.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use sys::netns;
use tokio::sync::oneshot;

/// A thread that goes into a namespace for each socket and comes back at once, so that it does not keep alive a
/// namespace that is no longer at its path. All others never leave the host's.
#[derive(Debug, Clone)]
pub(crate) struct Namespaces {
    folder: Arc<PathBuf>,
    orders: Sender<Order>,
}

/// A socket that is wanted.
#[derive(Debug)]
struct Order {
    namespace: Arc<PathBuf>,
    kind: SockType,
    made: oneshot::Sender<io::Result<OwnedFd>>,
}

/// One namespace; it need not be there yet.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    path: Arc<PathBuf>,
    orders: Sender<Order>,
}

impl Namespaces {
    /// Starts the thread for the namespaces that are bound in a folder.
    pub(crate) fn start(folder: PathBuf) -> io::Result<Self> {
        let (orders, waiting) = channel::<Order>();
        let outside = File::open("/proc/thread-self/ns/net")?;
        let work = move || {
            for order in waiting {
                // Who ordered may have gone: the socket is closed then.
                let _ = order.made.send(make(&order.namespace, &outside, order.kind));
            }
        };
        std::thread::Builder::new().name("inside".to_owned()).spawn(work)?;
        Ok(Self { folder: Arc::new(folder), orders })
    }

    /// The namespace of that name.
    pub(crate) fn named(&self, name: &str) -> Inside {
        Inside { path: Arc::new(self.folder.join(name)), orders: self.orders.clone() }
    }
}

impl Inside {
    /// Which namespace is at the path: its device and inode. None when there is none.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        let metadata = netns::exists(&self.path).then(|| self.path.metadata().ok()).flatten()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// The namespace's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    async fn socket(&self, kind: SockType) -> io::Result<OwnedFd> {
        let (made, socket) = oneshot::channel();
        let gone = || io::Error::other("the thread for sockets inside has ended");
        self.orders.send(Order { namespace: self.path.clone(), kind, made }).map_err(|_| gone())?;
        socket.await.map_err(|_| gone())?
    }

    /// A listening socket. The address need not be there yet.
    pub(crate) async fn listener(&self, address: SocketAddrV4) -> io::Result<tokio::net::TcpListener> {
        let fd = self.socket(SockType::Stream).await?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, sockopt::IpFreebind, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(address))?;
        listen(&fd, Backlog::new(1024)?)?;
        tokio::net::TcpListener::from_std(TcpListener::from(fd))
    }

    /// A transparent listening socket: TPROXY hands it connections to any address and port, which each has as its own.
    pub(crate) async fn carrier(&self, address: SocketAddrV4) -> io::Result<tokio::net::TcpListener> {
        let fd = self.socket(SockType::Stream).await?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, sockopt::IpTransparent, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(address))?;
        listen(&fd, Backlog::new(1024)?)?;
        tokio::net::TcpListener::from_std(TcpListener::from(fd))
    }

    /// The same for datagrams: each comes with the address and port that it was sent to.
    pub(crate) async fn datagram_carrier(&self, address: SocketAddrV4) -> io::Result<tokio::net::UdpSocket> {
        let fd = self.socket(SockType::Datagram).await?;
        setsockopt(&fd, sockopt::IpTransparent, &true)?;
        setsockopt(&fd, sockopt::Ipv4OrigDstAddr, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(address))?;
        tokio::net::UdpSocket::from_std(UdpSocket::from(fd))
    }

    /// A socket that answers a sender of datagrams as the destination that they were sent to, and gets those to come.
    pub(crate) async fn answering(
        &self,
        destination: SocketAddrV4,
        sender: SocketAddrV4,
    ) -> io::Result<tokio::net::UdpSocket> {
        let fd = self.socket(SockType::Datagram).await?;
        // Other senders' flows to the same destination have sockets of the same address.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, sockopt::IpTransparent, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(destination))?;
        let socket = tokio::net::UdpSocket::from_std(UdpSocket::from(fd))?;
        socket.connect(sender).await?;
        Ok(socket)
    }

    /// A connection from `source`.
    pub(crate) async fn connect(
        &self,
        source: Ipv4Addr,
        to: SocketAddrV4,
    ) -> io::Result<tokio::net::TcpStream> {
        let fd = self.socket(SockType::Stream).await?;
        // The port is chosen at connect, so that one port serves many destinations at a time.
        setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
        tokio::net::TcpSocket::from_std_stream(TcpStream::from(fd)).connect(to.into()).await
    }
}

fn make(inside: &Path, outside: &File, kind: SockType) -> io::Result<OwnedFd> {
    let named = |error: sys::Error| io::Error::new(error.cause.kind(), error.to_string());
    let namespace = netns::open(inside).map_err(named)?;
    netns::enter(&namespace).map_err(named)?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Inet, kind, flags, None);
    netns::enter(outside).map_err(named)?;
    Ok(made?)
}
