//! The checks of one node: a task a target, each check on a connection of its own.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use types::Backoff;

use super::{Failure, Matcher, Thresholds, Verdict};
use crate::routing::Routing;
use crate::target::Target;

/// The most of a check's answer that is read, so that a well-behaved target sees its answer taken.
const LONGEST_BODY: usize = 64 << 10;

/// How long the rest of an answer is waited for.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// Between attempts to reach a new target that refuses connections.
const RETRY: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// How a target group's targets are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What is asked for.
    pub(crate) path: PathAndQuery,
    /// None: the target's own port.
    pub(crate) port: Option<u16>,
    /// From one check's start to the next.
    pub(crate) interval: Duration,
    /// After this a check has failed.
    pub(crate) timeout: Duration,
    /// What turns a target over.
    pub(crate) thresholds: Thresholds,
    /// What counts as success.
    pub(crate) matcher: Matcher,
}

/// The running checks of one node, on the node's first thread.
#[derive(Debug, Default)]
pub(crate) struct Checks(HashMap<u64, (Arc<Check>, AbortHandle)>);

impl Checks {
    /// Starts and ends checks so that exactly the registered targets are checked, each by its group's settings.
    pub(crate) fn follow(&mut self, routing: &Routing) {
        let wanted: HashMap<u64, &(Arc<Target>, Arc<Check>)> =
            routing.checked.iter().map(|checked| (checked.0.id(), checked)).collect();
        self.0.retain(|id, (check, task)| {
            let stays = wanted.get(id).is_some_and(|wanted| wanted.1 == *check);
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, (target, check)) in wanted {
            self.0.entry(id).or_insert_with(|| {
                let task = spawn_local(watch(target.clone(), check.clone()));
                (check.clone(), task.abort_handle())
            });
        }
    }
}

/// Checks one target for ever, the first time at once.
///
/// A new target is often registered a moment before its program listens. So that it need not wait for the next
/// interval, a new target that refuses connections is tried again within the interval; of these attempts only a
/// success counts.
async fn watch(target: Arc<Target>, check: Arc<Check>) {
    let address = SocketAddrV4::new(*target.address().ip(), check.port.unwrap_or(target.address().port()));
    loop {
        let next = Instant::now() + check.interval;
        let mut verdict = probe(address, &check).await;
        target.checked(verdict, check.thresholds);
        let mut retry = RETRY;
        while target.health().is_initial()
            && verdict == Verdict::Fail(Failure::Broken)
            && Instant::now() + retry.pause() < next
        {
            sleep(retry.pause()).await;
            retry.grow();
            verdict = probe(address, &check).await;
            if verdict == Verdict::Pass {
                target.checked(verdict, check.thresholds);
            }
        }
        sleep_until(next).await;
    }
}

/// One check.
async fn probe(address: SocketAddrV4, check: &Check) -> Verdict {
    match timeout(check.timeout, ask(address, check)).await {
        Err(_) => Verdict::Fail(Failure::TimedOut),
        Ok(Err(failure)) => Verdict::Fail(failure),
        Ok(Ok(status)) if check.matcher.matches(status.as_u16()) => Verdict::Pass,
        Ok(Ok(status)) => Verdict::Fail(Failure::Status(status.as_u16())),
    }
}

async fn ask(address: SocketAddrV4, check: &Check) -> Result<StatusCode, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Broken,
    })?;
    let broken = |_| Failure::Broken;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(Uri::from(check.path.clone()))
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::ACCEPT_ENCODING, "gzip, compressed")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::Broken)?;
    let exchange = async { sender.send_request(request).await.map_err(broken) };
    tokio::pin!(exchange, connection);
    // The connection is driven here, so that it ends with the check, whatever becomes of it.
    let mut response = tokio::select! {
        biased;
        result = &mut exchange => result?,
        _ = &mut connection => exchange.await?,
    };
    let rest = async {
        let mut read = 0;
        while let Some(Ok(frame)) = response.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > LONGEST_BODY {
                break;
            }
        }
    };
    // The status has decided; a body that never ends changes nothing.
    tokio::select! {
        () = rest => (),
        _ = connection => (),
        () = sleep(LONGEST_REST) => (),
    }
    Ok(response.status())
}
