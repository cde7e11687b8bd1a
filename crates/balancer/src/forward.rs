//! One request: refused, answered, or sent to a target and its response sent back.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Uri, Version};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use crate::body::{Answering, ClientFailure, Exchange, Progress, RequestBody, ResponseBody};
use crate::headers::{self, Origin};
use crate::meter::GroupMeter;
use crate::page;
use crate::pool::{ConnectError, Connection};
use crate::routing::{Action, Group};
use crate::target::{InFlight, Phase};
use crate::tunnel;
use crate::worker::{Worker, date};

/// The other end of a client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its address.
    pub(crate) address: IpAddr,
    /// The same as a header value.
    pub(crate) address_value: HeaderValue,
    /// The listener's port,
    pub(crate) port: u16,
    /// and the same as a header value.
    pub(crate) port_value: HeaderValue,
    /// Set while an answer is on its way.
    pub(crate) answering: Arc<AtomicBool>,
}

/// Answers a request.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let answering = Answering::begin(&client.answering);
    let mut response = match act(&worker, &client, request).await {
        Ok(response) => response,
        Err(status) => {
            worker.meter.own_error(status);
            page::error(status)
        }
    };
    response.headers_mut().entry(header::DATE).or_insert_with(date::now);
    Ok(response.map(|body| body.marked(answering)))
}

async fn act(
    worker: &Rc<Worker>,
    client: &Client,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, StatusCode> {
    headers::check(request.method(), request.uri(), request.version(), request.headers())?;
    let routing = worker.routing();
    if routing.drop_invalid_headers {
        headers::remove_invalid(request.headers_mut());
    }
    match routing.listeners.get(&client.port) {
        Some(Action::Forward(group)) => forward(worker, client, group, routing.idle_timeout, request).await,
        Some(Action::Fixed { status, content_type, body }) => {
            Ok(page::fixed(*status, content_type.clone(), body.clone()))
        }
        // The listener was removed a moment ago.
        None => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn forward(
    worker: &Rc<Worker>,
    client: &Client,
    group: &Group,
    idle: Duration,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, StatusCode> {
    let flight = group.pick().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    worker.meter.requests.fetch_add(1, Ordering::Relaxed);
    group.meter.chosen();
    let websocket = headers::is_websocket(request.method(), request.version(), request.headers());
    let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    rewrite(&mut parts, worker, client, websocket);
    let progress = Progress::new(body.is_end_stream());
    // Kept for one more try, should a pooled connection turn out to be closed.
    let spare = (progress.is_complete() && parts.method.is_idempotent()).then(|| parts.clone());
    let request = Request::from_parts(parts, RequestBody::new(body, progress.clone(), idle));
    let begun = Instant::now();
    let (response, connection) =
        exchange(worker, (&flight, &group.meter), &progress, idle, request, spare).await?;
    group.meter.answered(response.status(), begun.elapsed());
    respond(response, upgrade, Exchange { connection, flight, progress }, idle)
}

/// Makes the client's head the target's.
fn rewrite(parts: &mut Parts, worker: &Worker, client: &Client, websocket: bool) {
    // A target is asked in origin form; what an absolute form names is its Host (RFC 9112, 3.2.2).
    if let Some(authority) = parts.uri.authority() {
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            parts.headers.insert(header::HOST, host);
        }
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    // "For HTTP/1.0 requests without a host header, the load balancer generates one."
    if !parts.headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::try_from(worker.address.to_string())
    {
        parts.headers.insert(header::HOST, host);
    }
    parts.version = Version::HTTP_11;
    headers::remove_hop_by_hop(&mut parts.headers, websocket);
    let origin = Origin {
        client: client.address,
        client_value: &client.address_value,
        port: &client.port_value,
        seconds: date::seconds(),
        random: worker.random(),
    };
    headers::forward(&mut parts.headers, &origin);
}

/// Sends the request, over a pooled connection when there is one.
async fn exchange(
    worker: &Rc<Worker>,
    (flight, meter): (&InFlight, &GroupMeter),
    progress: &Rc<Progress>,
    idle: Duration,
    mut request: Request<RequestBody>,
    spare: Option<Parts>,
) -> Result<(Response<Incoming>, Connection), StatusCode> {
    let target = flight.target();
    if let Some(mut connection) = worker.pool.take(target).await {
        match send(&mut connection, progress, idle, request).await {
            Ok(response) => return Ok((response, connection)),
            Err(Failure { status, again, unsent }) => {
                let spare = spare
                    .filter(|_| again)
                    .map(|parts| Request::from_parts(parts, RequestBody::none(progress.clone())));
                // What was cut for the target's sake stays cut.
                request = unsent.or(spare).filter(|_| target.phase() != Phase::Cut).ok_or(status)?;
            }
        }
    }
    let mut connection = worker.pool.connect(target, &worker.meter).await.map_err(|error| {
        meter.not_connected();
        match error {
            ConnectError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ConnectError::Refused => StatusCode::BAD_GATEWAY,
        }
    })?;
    match send(&mut connection, progress, idle, request).await {
        Ok(response) => Ok((response, connection)),
        Err(Failure { status, .. }) => Err(status),
    }
}

/// Why there is no response.
struct Failure {
    /// What the client is told.
    status: StatusCode,
    /// Whether the connection may only have been closed before the request came.
    again: bool,
    /// The request, when none of it was written.
    unsent: Option<Request<RequestBody>>,
}

async fn send(
    connection: &mut Connection,
    progress: &Progress,
    idle: Duration,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, Failure> {
    let begun = Instant::now();
    let response = connection.send(request);
    tokio::pin!(response);
    // Without an answer the connection is idle from the last byte that was sent.
    let error = loop {
        let deadline = progress.moved().max(begun) + idle;
        tokio::select! {
            biased;
            result = &mut response => match result {
                Ok(response) => return Ok(response),
                Err(error) => break error,
            },
            () = sleep_until(deadline) => {
                if progress.moved().max(begun) + idle <= deadline {
                    let late = if progress.is_starved() { StatusCode::REQUEST_TIMEOUT } else { StatusCode::GATEWAY_TIMEOUT };
                    return Err(Failure { status: late, again: false, unsent: None });
                }
            }
        }
    };
    let status = match progress.failed() {
        Some(ClientFailure::Idle) => StatusCode::REQUEST_TIMEOUT,
        Some(ClientFailure::Broken) => StatusCode::BAD_REQUEST,
        None => StatusCode::BAD_GATEWAY,
    };
    Err(Failure { status, again: !error.malformed, unsent: error.unsent })
}

/// Makes the target's response the client's.
fn respond(
    response: Response<Incoming>,
    upgrade: Option<OnUpgrade>,
    exchange: Exchange,
    idle: Duration,
) -> Result<Response<ResponseBody>, StatusCode> {
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut response = response;
    if switching {
        // A switch that nobody asked for is no HTTP.
        let client = upgrade.ok_or(StatusCode::BAD_GATEWAY)?;
        let target = hyper::upgrade::on(&mut response);
        let ticket = exchange.connection.ticket();
        let task = spawn_local(async move {
            tunnel::run(client, target, idle).await;
            drop(exchange);
        });
        ticket.tie(task.abort_handle());
        headers::remove_hop_by_hop(response.headers_mut(), true);
        *response.version_mut() = Version::HTTP_11;
        return Ok(response.map(|_| ResponseBody::whole(bytes::Bytes::new())));
    }
    headers::remove_hop_by_hop(response.headers_mut(), false);
    *response.version_mut() = Version::HTTP_11;
    Ok(response.map(|body| ResponseBody::streamed(body, exchange, idle)))
}
