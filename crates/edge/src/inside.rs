//! Sockets of the `internet` namespace for a process that lives in the host's own.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
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

/// A thread that goes into the namespace for each socket and comes back at once, so that it does not keep alive a
/// namespace that is no longer at the path. All others never leave the host's.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    path: Arc<PathBuf>,
    orders: Sender<oneshot::Sender<io::Result<OwnedFd>>>,
}

impl Inside {
    /// Starts the thread for the namespace at a path; it need not be there yet.
    pub(crate) fn start(path: PathBuf) -> io::Result<Self> {
        let path = Arc::new(path);
        let (orders, waiting) = channel::<oneshot::Sender<_>>();
        let inside = path.clone();
        let outside = File::open("/proc/thread-self/ns/net")?;
        let work = move || {
            for order in waiting {
                // Who ordered may have gone: the socket is closed then.
                let _ = order.send(make(&inside, &outside));
            }
        };
        std::thread::Builder::new().name("inside".to_owned()).spawn(work)?;
        Ok(Self { path, orders })
    }

    /// Which namespace is at the path: its device and inode. None when there is none.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        let metadata = netns::exists(&self.path).then(|| self.path.metadata().ok()).flatten()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// The namespace's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    async fn socket(&self) -> io::Result<OwnedFd> {
        let (order, socket) = oneshot::channel();
        let gone = || io::Error::other("the thread for sockets inside has ended");
        self.orders.send(order).map_err(|_| gone())?;
        socket.await.map_err(|_| gone())?
    }

    /// A listening socket. The address need not be there yet.
    pub(crate) async fn listener(&self, address: SocketAddrV4) -> io::Result<tokio::net::TcpListener> {
        let fd = self.socket().await?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, sockopt::IpFreebind, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(address))?;
        listen(&fd, Backlog::new(1024)?)?;
        tokio::net::TcpListener::from_std(TcpListener::from(fd))
    }

    /// A connection from `source`.
    pub(crate) async fn connect(
        &self,
        source: Ipv4Addr,
        to: SocketAddrV4,
    ) -> io::Result<tokio::net::TcpStream> {
        let fd = self.socket().await?;
        // The port is chosen at connect, so that one port serves many destinations at a time.
        setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
        tokio::net::TcpSocket::from_std_stream(TcpStream::from(fd)).connect(to.into()).await
    }
}

fn make(inside: &Path, outside: &File) -> io::Result<OwnedFd> {
    let named = |error: sys::Error| io::Error::new(error.cause.kind(), error.to_string());
    let namespace = netns::open(inside).map_err(named)?;
    netns::enter(&namespace).map_err(named)?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Inet, SockType::Stream, flags, None);
    netns::enter(outside).map_err(named)?;
    Ok(made?)
}
