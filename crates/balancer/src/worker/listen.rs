//! A listener's socket and its client connections.

use std::future::poll_fn;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::Worker;
use crate::client_io::ClientIo;
use crate::forward::{self, Client};
use crate::headers::{LONGEST_LINE, LONGEST_REQUEST_HEAD};
use crate::meter::Open;

/// The most client connections of one thread; further ones wait in the kernel's queue.
const MOST_CLIENTS: usize = 8192;

/// The kernel's queue of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// After a failed accept (no descriptors left) the next one waits, as it would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that is listened on until this is closed. Its connections then end with the requests they carry.
#[derive(Debug)]
pub(super) struct Listener {
    /// Its connections learn by its end that the listener is gone.
    open: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Listens on the node's address.
    pub(super) fn start(worker: &Rc<Worker>, port: u16) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        // Each thread of the node has a socket of its own; the kernel shares connections out.
        socket.set_reuseport(true)?;
        socket.bind(SocketAddrV4::new(worker.address, port).into())?;
        let listener = socket.listen(BACKLOG)?;
        let (open, closing) = watch::channel(());
        let accepting = spawn_local(accept(worker.clone(), listener, port, closing));
        Ok(Self { open, accepting })
    }

    /// Returns once the port is closed.
    pub(super) async fn close(self) {
        drop(self.open);
        // A panic there has closed it as well.
        let _ = self.accepting.await;
    }
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, port: u16, mut closing: watch::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept(), if worker.clients.get() < MOST_CLIENTS => match accepted {
                Ok((stream, peer)) => welcome(&worker, stream, peer, port, closing.clone()),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            () = worker.gone.notified(), if worker.clients.get() >= MOST_CLIENTS => (),
            _ = closing.changed() => break,
        }
    }
    // What has come already is still answered.
    while let Some((stream, peer)) = poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
    {
        welcome(&worker, stream, peer, port, closing.clone());
    }
}

/// Counts a client, until it is dropped.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.set(self.0.clients.get() - 1);
        self.0.gone.notify_one();
    }
}

fn welcome(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    closing: watch::Receiver<()>,
) {
    worker.clients.set(worker.clients.get() + 1);
    let (counted, open) = (Counted(worker.clone()), Open::new(&worker.meter));
    spawn_local(async move {
        serve(&counted.0, stream, peer, port, closing).await;
        drop((open, counted));
    });
}

async fn serve(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    mut closing: watch::Receiver<()>,
) {
    // Without it small answers only wait longer.
    let _ = stream.set_nodelay(true);
    let idle = worker.routing().idle_timeout;
    let answering = Arc::new(AtomicBool::new(false));
    let Ok(address_value) = HeaderValue::try_from(peer.ip().to_string()) else { return };
    let client = Rc::new(Client {
        address: peer.ip(),
        address_value,
        port,
        port_value: HeaderValue::from(port),
        answering: answering.clone(),
    });
    let service = service_fn(|request| forward::answer(worker.clone(), client.clone(), request));
    let connection = Builder::new()
        .timer(TokioTimer::new())
        // Also the time that a connection may be idle between requests.
        .header_read_timeout(idle)
        .preserve_header_case(true)
        .title_case_headers(true)
        // Every answer gets its own; see `client_io`.
        .auto_date_header(false)
        .max_header_size(LONGEST_REQUEST_HEAD + LONGEST_LINE)
        .max_buf_size(LONGEST_REQUEST_HEAD + LONGEST_LINE)
        .serve_connection(ClientIo::new(stream, idle, answering, worker.meter.clone()), service)
        .with_upgrades();
    tokio::pin!(connection);
    // Errors are the client's: there is nobody left to tell.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
