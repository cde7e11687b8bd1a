//! A registry on a loopback port, and a client.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several test programs")]

pub mod catalog;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use catalog::MemoryCatalog;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use registry::{Blobs, LayerKey, Registry};
use tokio::sync::oneshot;
use types::VpcEndpointId;
use ureq::http::{Method, Request, Response};

/// The header that says which VPC endpoint a test's request came through.
pub const THROUGH: &str = "x-through";

/// The password of one who may do everything.
pub const PASSWORD: &str = "secret-token";

pub struct Server {
    pub address: SocketAddr,
    pub registry: Registry<MemoryCatalog>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub fn catalog() -> Arc<MemoryCatalog> {
    let catalog = MemoryCatalog::default();
    for (name, immutable) in [("team/app", false), ("other", false), ("fixed", true)] {
        catalog.create(name, immutable);
    }
    catalog.token(PASSWORD, &[]);
    Arc::new(catalog)
}

impl Server {
    /// Serves a folder until dropped.
    pub fn start(folder: &Path, catalog: &Arc<MemoryCatalog>) -> Self {
        let blobs = Arc::new(Blobs::open(folder).unwrap());
        let registry = Registry::new(blobs, Arc::clone(catalog), Arc::new(LayerKey::new(&[9; 32])));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = registry.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, registry, stop: Some(stop), thread: Some(thread) }
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        Call {
            request: Request::builder().method(method).uri(format!("http://{}{path}", self.address)),
            password: Some(PASSWORD.to_owned()),
        }
    }

    /// Pushes a blob at once; gives the answer's status.
    pub fn push_blob(&self, repository: &str, content: &[u8], digest: &str) -> u16 {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.call(Method::POST, &path).send(content).status().as_u16()
    }
}

async fn serve(listener: TcpListener, registry: Registry<MemoryCatalog>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let registry = registry.clone();
        tokio::spawn(async move {
            let service = service_fn(|mut request: Request<hyper::body::Incoming>| {
                let registry = registry.clone();
                async move {
                    // What the tests' own clients say; `serve` has it from its socket.
                    let through = request.headers().get(THROUGH).and_then(|value| value.to_str().ok());
                    if let Some(through) = through.map(VpcEndpointId::from) {
                        request.extensions_mut().insert(through);
                    }
                    let host = request.headers().get("host").and_then(|value| value.to_str().ok());
                    let answer = if host.is_some_and(|host| host.contains("starport-layer-bucket")) {
                        registry.layer_bucket(request).await
                    } else {
                        registry.handle(request).await
                    };
                    Ok::<_, std::convert::Infallible>(answer)
                }
            });
            // A client that goes away is part of the tests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A request in the making.
pub struct Call {
    request: ureq::http::request::Builder,
    password: Option<String>,
}

impl Call {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn password(mut self, password: Option<&str>) -> Self {
        self.password = password.map(str::to_owned);
        self
    }

    pub fn send(mut self, body: &[u8]) -> Response<Vec<u8>> {
        if let Some(password) = &self.password {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
            self.request = self.request.header("Authorization", format!("Basic {encoded}"));
        }
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .max_redirects(0)
                .allow_non_standard_methods(true)
                .timeout_global(Some(Duration::from_secs(60)))
                .build(),
        );
        let response = match self.request.method_ref().cloned() {
            Some(Method::GET | Method::HEAD | Method::DELETE) => agent.run(self.request.body(()).unwrap()),
            _ => agent.run(self.request.body(body).unwrap()),
        };
        let (head, mut body) = response.unwrap().into_parts();
        let bytes = body.with_config().limit(64 << 20).read_to_vec().unwrap();
        Response::from_parts(head, bytes)
    }

    pub fn empty(self) -> Response<Vec<u8>> {
        self.send(b"")
    }
}

/// The error code of an answer.
pub fn code(response: &Response<Vec<u8>>) -> String {
    let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    document["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

pub fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
