//! Connections to targets. Each thread has its own pool, and closes a connection by dropping it: at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, timeout};

use crate::body::RequestBody;
use crate::headers::LONGEST_RESPONSE_HEAD;
use crate::meter::{Meter, Open};
use crate::target::{Phase, Target};

/// The most idle connections that one thread keeps to one target.
const MOST_IDLE: usize = 128;

/// "The load balancer failed to establish a connection to the target before the connection timeout expired (10
/// seconds)": HTTP 504 on the page "Troubleshoot your Application Load Balancers".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections of one thread.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    slots: RefCell<HashMap<u64, Slot>>,
    last: Cell<u64>,
}

#[derive(Debug)]
struct Slot {
    target: Arc<Target>,
    idle: Vec<Idle>,
    /// What is in use, by number.
    live: HashMap<u64, AbortHandle>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    driver: Driver,
    since: Instant,
}

/// Ends a connection's task, and with it the connection, when dropped.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// Not in time.
    TimedOut,
    /// Refused, unreachable, or cut.
    Refused,
}

impl Pool {
    /// An idle connection to a target, if there is one that has not been closed yet.
    pub(crate) async fn take(self: &Rc<Self>, target: &Arc<Target>) -> Option<Connection> {
        loop {
            let mut idle = self.slots.borrow_mut().get_mut(&target.id())?.idle.pop()?;
            // Ready at once, but for a response whose end was taken in this very moment.
            if !idle.sender.is_closed() && idle.sender.ready().await.is_ok() {
                return Some(self.connection(target, idle.sender, idle.driver));
            }
        }
    }

    /// A new connection to a target.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        target: &Arc<Target>,
        meter: &Arc<Meter>,
    ) -> Result<Connection, ConnectError> {
        let address = target.address();
        // A task, so that it too ends when the target is cut.
        let attempt = spawn_local(timeout(CONNECT_TIMEOUT, TcpStream::connect(address)));
        let driver = Driver(attempt.abort_handle());
        let number = self.enrol(target, attempt.abort_handle());
        let _attempt = Attempt { pool: self, target, number, _driver: driver };
        let stream = match attempt.await {
            Ok(Ok(Ok(stream))) => stream,
            Ok(Ok(Err(error))) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(ConnectError::TimedOut);
            }
            Ok(Ok(Err(_))) | Err(_) => return Err(ConnectError::Refused),
            Ok(Err(_)) => return Err(ConnectError::TimedOut),
        };
        let open = Open::new(meter);
        // Without it small requests only wait longer.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = Builder::new()
            .title_case_headers(true)
            .preserve_header_case(true)
            .max_header_size(LONGEST_RESPONSE_HEAD)
            .max_buf_size(LONGEST_RESPONSE_HEAD * 2)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| ConnectError::Refused)?;
        let driver = spawn_local(async move {
            let _open = open;
            // Its errors reach who waits for the response.
            let _ = connection.with_upgrades().await;
        });
        Ok(self.connection(target, sender, Driver(driver.abort_handle())))
    }

    fn connection(
        self: &Rc<Self>,
        target: &Arc<Target>,
        sender: SendRequest<RequestBody>,
        driver: Driver,
    ) -> Connection {
        let number = self.enrol(target, driver.0.clone());
        Connection { pool: self.clone(), target: target.clone(), number, parts: Some((sender, driver)) }
    }

    fn enrol(&self, target: &Arc<Target>, task: AbortHandle) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        let mut slots = self.slots.borrow_mut();
        let slot = slots.entry(target.id()).or_insert_with(|| Slot {
            target: target.clone(),
            idle: Vec::new(),
            live: HashMap::new(),
        });
        if target.phase() == Phase::Cut {
            task.abort();
        }
        slot.live.insert(number, task);
        number
    }

    fn strike(&self, target: &Target, number: u64) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(&target.id()) {
            slot.live.remove(&number);
        }
    }

    /// Closes what targets that drain or are cut must not keep.
    pub(crate) fn follow_phases(&self) {
        self.slots.borrow_mut().retain(|_, slot| {
            let phase = slot.target.phase();
            if phase != Phase::Serving {
                slot.idle.clear();
            }
            if phase == Phase::Cut {
                slot.live.values().for_each(AbortHandle::abort);
            }
            phase == Phase::Serving || !slot.live.is_empty()
        });
    }

    /// Closes what has been idle for too long or was closed by its target.
    pub(crate) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        self.slots.borrow_mut().retain(|_, slot| {
            slot.idle.retain(|kept| !kept.sender.is_closed() && now.duration_since(kept.since) < idle);
            slot.target.phase() == Phase::Serving || !slot.live.is_empty()
        });
    }
}

/// A connection that is being made, until this is dropped.
struct Attempt<'a> {
    pool: &'a Pool,
    target: &'a Target,
    number: u64,
    _driver: Driver,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.pool.strike(self.target, self.number);
    }
}

/// A connection in use by one request. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct Connection {
    pool: Rc<Pool>,
    target: Arc<Target>,
    number: u64,
    parts: Option<(SendRequest<RequestBody>, Driver)>,
}

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct SendError {
    /// The request, when none of it was written.
    pub(crate) unsent: Option<Request<RequestBody>>,
    /// Whether what came was no HTTP.
    pub(crate) malformed: bool,
}

impl Connection {
    /// Sends a request.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<hyper::Response<hyper::body::Incoming>, SendError> {
        let Some((sender, _)) = &mut self.parts else {
            return Err(SendError { unsent: Some(request), malformed: false });
        };
        sender.try_send_request(request).await.map_err(|mut error| SendError {
            unsent: error.take_message(),
            malformed: error.error().is_parse(),
        })
    }

    /// Keeps the connection for the next request, when the target still takes any.
    pub(crate) fn release(mut self) {
        let Some((sender, driver)) = self.parts.take() else { return };
        if sender.is_closed() || self.target.phase() != Phase::Serving {
            return;
        }
        if let Some(slot) = self.pool.slots.borrow_mut().get_mut(&self.target.id())
            && slot.idle.len() < MOST_IDLE
        {
            slot.idle.push(Idle { sender, driver, since: Instant::now() });
        }
    }

    /// Names the connection in the pool, for [`Ticket::tie`].
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket { pool: self.pool.clone(), target: self.target.clone(), number: self.number }
    }
}

/// A connection's place in the pool.
#[derive(Debug)]
pub(crate) struct Ticket {
    pool: Rc<Pool>,
    target: Arc<Target>,
    number: u64,
}

impl Ticket {
    /// The task that now uses the connection's socket is what ends when the target is cut.
    pub(crate) fn tie(self, task: AbortHandle) {
        if self.target.phase() == Phase::Cut {
            task.abort();
        }
        if let Some(slot) = self.pool.slots.borrow_mut().get_mut(&self.target.id())
            && let Some(live) = slot.live.get_mut(&self.number)
        {
            *live = task;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pool.strike(&self.target, self.number);
    }
}
