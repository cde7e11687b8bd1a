//! The listener: reads requests whole, hands them on, writes answers. A thread a core, each with a runtime of its own,
//! all accepting from one socket.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use control::ecr::catalog::Catalog;
use control::{Api, LONGEST_BODY};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use registry::{BoxBody, Registry};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use wire::ApiError;

use super::calls::Calls;

/// Connections that are answered at once on each thread; more wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;
/// A client may take this long to send a request's head, or its whole body.
const PATIENCE: Duration = Duration::from_secs(30);

/// What answers.
#[derive(Clone, Debug)]
pub struct Services {
    /// The AWS API.
    pub api: Arc<Api>,
    /// The registry.
    pub registry: Registry<Catalog>,
    /// Counts the API's calls.
    pub calls: Arc<Calls>,
}

/// Answers `listener` for as long as the process lives, on `threads` threads.
///
/// # Errors
/// When the socket cannot be shared or a thread cannot be made.
pub fn serve(listener: &TcpListener, services: &Services, threads: usize) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    for number in 0..threads.max(1) {
        let (listener, services) = (listener.try_clone()?, services.clone());
        std::thread::Builder::new()
            .name(format!("http-{number}"))
            .spawn(move || accept(listener, &services))?;
    }
    Ok(())
}

fn accept(listener: TcpListener, services: &Services) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return crate::terminal::warn(&format!("the API cannot be answered on one thread: {error}"));
        }
    };
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return crate::terminal::warn(&format!("the API cannot be answered: {error}")),
        };
        loop {
            let Ok(permit) = connections.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors: connections that end free some.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let services = services.clone();
            tokio::task::spawn_local(async move {
                connection(stream, services).await;
                drop(permit);
            });
        }
    });
}

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

async fn connection(stream: TcpStream, services: Services) {
    let _ = stream.set_nodelay(true);
    let mut first = [0_u8; 1];
    match tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await {
        // Docker tries TLS first, and plain HTTP once the connection is closed.
        Ok(Ok(1)) if first[0] != TLS_HANDSHAKE => (),
        _ => return,
    }
    let service = service_fn(move |request| {
        let services = services.clone();
        async move { Ok::<_, Infallible>(route(&services, request).await) }
    });
    // A connection that fails is the client's loss alone.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(128 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The registry has its paths, the layer bucket its host name; all else is the AWS API, and so is what is signed as
/// AWS's calls are: API Gateway's paths begin with `/v2` as well.
async fn route(services: &Services, request: Request<Incoming>) -> Response<BoxBody> {
    let path = request.uri().path();
    let authorization = request.headers().get(http::header::AUTHORIZATION);
    let signed = authorization.is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
    if !signed && (path == "/v2" || path.starts_with("/v2/")) {
        return services.registry.handle(request).await;
    }
    let host =
        request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host.contains("-starport-layer-bucket.s3.") {
        return services.registry.layer_bucket(request).await;
    }
    answer(&services.api, &services.calls, request)
        .await
        .map(|body| body.map_err(|never| match never {}).boxed())
}

async fn answer(api: &Arc<Api>, calls: &Calls, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    // One byte more than is taken, so that the dispatcher refuses in the service's own words.
    let body = tokio::time::timeout(PATIENCE, Limited::new(body, LONGEST_BODY + 1).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Bytes::from(vec![0; LONGEST_BODY + 1]),
        Ok(Err(_)) => {
            let error =
                ApiError::new("IncompleteBody", "The request's body ended before its announced length");
            return api.refuse(&parts, &error).map(Full::new);
        }
        Err(_) => {
            let error = ApiError::new("RequestTimeout", "The request's body did not come in time");
            return api.refuse(&parts, &error.with_status(StatusCode::REQUEST_TIMEOUT)).map(Full::new);
        }
    };
    let head = parts.clone();
    let begun = Instant::now();
    let (send, receive) = oneshot::channel();
    api.answer(&Request::from_parts(parts, body), move |response| {
        // The client may have gone; its retry finds the answer.
        let _ = send.send(response);
    });
    let answered = receive.await;
    calls.took(begun.elapsed());
    match answered {
        Ok(response) => response.map(Full::new),
        Err(_) => {
            let error = ApiError::internal("the request was dropped inside Landfall");
            api.refuse(&head, &error).map(Full::new)
        }
    }
}
