//! HTTP on a socket inside a VPC's namespace.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use types::VpcId;

use super::protection::{self, Refusal};
use super::request::{Asked, read};
use super::stats::APART;
use super::{Answer, Asker, Metadata, api};
use crate::Taken;

/// Connections that one VPC's tasks have at a time; the others wait in the kernel.
const CONNECTIONS: usize = 64;

/// How long a connection may take to send a request, the first or the next.
const IDLE: Duration = Duration::from_secs(10);

/// The longest body that a task sends, in bytes.
const LONGEST: usize = 64 << 10;

/// What a VPC's server answers by.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) vpc: VpcId,
    pub(crate) taken: watch::Receiver<Arc<Taken>>,
    pub(crate) metadata: Arc<Metadata>,
}

/// Answers on the socket for as long as it is polled; dropped, it closes it and every connection.
pub(crate) async fn serve(listener: TcpListener, source: Source) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => (),
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    open.spawn(connection(stream, peer, source.clone()));
                }
                // No descriptors left, most likely: give others the time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, source: Source) {
    let SocketAddr::V4(peer) = peer else { return };
    let service = service_fn(|request: Request<Incoming>| {
        let source = source.clone();
        async move {
            let taken = source.taken.borrow().clone();
            let asker = Asker {
                vpc: source.vpc.clone(),
                address: *peer.ip(),
                dns_servers: taken.dns_servers(&source.vpc),
                api: taken.api(),
            };
            Ok::<_, Infallible>(respond(source.metadata, asker, request).await)
        }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // A connection that breaks has nobody to be told.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(metadata: Arc<Metadata>, asker: Asker, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path: Arc<str> = request.uri().path().into();
    if let Asked::Protection(id) = read(&path) {
        return match *request.method() {
            Method::GET | Method::PUT => printed(protected(metadata, asker, id, request).await),
            _ => not_allowed("GET, PUT"),
        };
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    let mut answer = None;
    for second in [false, true] {
        let (metadata, asker, path) = (metadata.clone(), asker.clone(), path.clone());
        // Files are read: meanwhile others are answered, DNS among them.
        answer =
            tokio::task::spawn_blocking(move || metadata.answer(&asker, &path, second)).await.ok().flatten();
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(APART).await;
    }
    answer.map_or_else(failed, printed)
}

/// What a task asks of ECS's agent about its protection, asked of `serve` as the task's role.
async fn protected(metadata: Arc<Metadata>, asker: Asker, id: &str, request: Request<Incoming>) -> Answer {
    let wanted = match *request.method() {
        Method::PUT => match Limited::new(request.into_body(), LONGEST).collect().await {
            Ok(body) => match protection::read(&body.to_bytes()) {
                Ok(wanted) => Some(wanted),
                Err(refusal) => return refusal.answer(None),
            },
            Err(_) => return Refusal::NotRead.answer(None),
        },
        _ => None,
    };
    let (id, api) = (id.to_owned(), asker.api);
    let found = tokio::task::spawn_blocking(move || metadata.task(&asker, &id)).await.ok().flatten();
    let Some(task) = found else { return Refusal::NoTask.answer(None) };
    match protection::call(&task, wanted) {
        Ok(call) => protection::answer(&task, api::ask(api, &task, &call).await),
        Err(refusal) => refusal.answer(Some(&task)),
    }
}

fn not_allowed(methods: &'static str) -> Response<Full<Bytes>> {
    let mut refused = Response::new(Full::default());
    *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    refused
}

fn failed() -> Response<Full<Bytes>> {
    let mut failed = Response::new(Full::default());
    *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    failed
}

fn printed(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, content_type, body } = answer;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
