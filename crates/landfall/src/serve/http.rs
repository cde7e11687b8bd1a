//! The listeners: read requests whole, hand them on, write answers. A thread a core, each with a runtime of its own,
//! all accepting from the same two sockets: the API's address, and one that only the edge can connect to, for what came
//! through VPC endpoints. Which endpoint it was stands on the first line there; it is believed nowhere else.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use types::VpcEndpointId;
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

/// The socket for what comes through VPC endpoints, in the state folder, in place of an older one. Only the owner, root,
/// can connect.
///
/// # Errors
/// When it cannot be made.
pub fn endpoint_socket(state: &Path) -> io::Result<UnixListener> {
    let path = state.join(desired::VPC_ENDPOINT_SOCKET);
    // Under another name until nobody else can connect.
    let next = path.with_extension("next");
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&next)?;
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&next, &path)?;
    Ok(listener)
}

/// Answers `listener` and `endpoints` for as long as the process lives, on `threads` threads.
///
/// # Errors
/// When a socket cannot be shared or a thread cannot be made.
pub fn serve(
    listener: &TcpListener,
    endpoints: &UnixListener,
    services: &Services,
    threads: usize,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    endpoints.set_nonblocking(true)?;
    for number in 0..threads.max(1) {
        let (listener, endpoints) = (listener.try_clone()?, endpoints.try_clone()?);
        let services = services.clone();
        std::thread::Builder::new()
            .name(format!("http-{number}"))
            .spawn(move || accept(listener, endpoints, &services))?;
    }
    Ok(())
}

/// A connection that was accepted.
enum Accepted {
    Plain(TcpStream),
    ThroughEndpoint(UnixStream),
}

fn accept(listener: TcpListener, endpoints: UnixListener, services: &Services) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return crate::terminal::warn(&format!("the API cannot be answered on one thread: {error}"));
        }
    };
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let both = || {
            Ok((tokio::net::TcpListener::from_std(listener)?, tokio::net::UnixListener::from_std(endpoints)?))
        };
        let (listener, endpoints) = match both() {
            Ok(both) => both,
            Err(error) => {
                let error: io::Error = error;
                return crate::terminal::warn(&format!("the API cannot be answered: {error}"));
            }
        };
        loop {
            let Ok(permit) = connections.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                plain = listener.accept() => plain.map(|(stream, _)| Accepted::Plain(stream)),
                through = endpoints.accept() => through.map(|(stream, _)| Accepted::ThroughEndpoint(stream)),
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    // Out of file descriptors: connections that end free some.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let services = services.clone();
            tokio::task::spawn_local(async move {
                match accepted {
                    Accepted::Plain(stream) => plain(stream, services).await,
                    Accepted::ThroughEndpoint(stream) => through_endpoint(stream, services).await,
                }
                drop(permit);
            });
        }
    });
}

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

async fn plain(stream: TcpStream, services: Services) {
    let _ = stream.set_nodelay(true);
    let mut first = [0_u8; 1];
    match tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await {
        // Docker tries TLS first, and plain HTTP once the connection is closed.
        Ok(Ok(1)) if first[0] != TLS_HANDSHAKE => (),
        _ => return,
    }
    requests(stream, None, services).await;
}

/// The longest first line of a connection through a VPC endpoint, in bytes.
const LONGEST_LINE: usize = 64;

async fn through_endpoint(mut stream: UnixStream, services: Services) {
    if let Ok(Some(id)) = tokio::time::timeout(PATIENCE, endpoint_id(&mut stream)).await {
        requests(stream, Some(id), services).await;
    }
}

/// The first line; what follows stays in the stream.
async fn endpoint_id(stream: &mut UnixStream) -> Option<VpcEndpointId> {
    let mut line = Vec::new();
    while line.len() < LONGEST_LINE {
        match stream.read_u8().await.ok()? {
            b'\n' => {
                let id = String::from_utf8(line).ok()?;
                return id.starts_with(VpcEndpointId::PREFIX).then(|| id.into());
            }
            byte => line.push(byte),
        }
    }
    None
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    through: Option<VpcEndpointId>,
    services: Services,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let services = services.clone();
        if let Some(through) = through.clone() {
            request.extensions_mut().insert(through);
        }
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    use control::{Auth, Machine, Settings};
    use registry::{Blobs, LayerKey};
    use store::Store;
    use tempfile::TempDir;

    use super::*;

    /// What `serve` answers with, without signatures.
    struct Served {
        folder: TempDir,
        address: SocketAddr,
    }

    fn served() -> Served {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("serve")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Arc::new(Settings {
            account: types::AccountId::new("000000000001").unwrap(),
            access_key_id: "AKIATEST".to_owned(),
            secret_access_key: "secret".to_owned(),
            listen: address,
            host_address: std::net::Ipv4Addr::LOCALHOST,
            auth: Auth::Off,
            metric_period: 60,
            token_key: [7; 32],
            ca_certificate: String::new(),
            certificates: Vec::new(),
            private_key: String::new(),
        });
        let store = Store::open(&folder.path().join("landfall.db"), &control::tables()).unwrap();
        let store = Arc::new(store);
        let blobs = Arc::new(Blobs::open(&folder.path().join("registry")).unwrap());
        let catalog = Arc::new(Catalog::new(store.clone(), settings.clone(), blobs.clone()));
        let events = Arc::new(::logs::Store::open(&folder.path().join("events")).unwrap());
        let services = Services {
            api: Arc::new(Api::new(store, settings, Arc::new(Machine::default()), events)),
            registry: Registry::new(blobs, catalog, Arc::new(LayerKey::new(&[7; 32]))),
            calls: Arc::default(),
        };
        // The socket of a `serve` that was there before is in the way of nobody.
        drop(endpoint_socket(folder.path()).unwrap());
        let endpoints = endpoint_socket(folder.path()).unwrap();
        serve(&listener, &endpoints, &services, 1).unwrap();
        Served { folder, address }
    }

    fn request(service: &str, form: &str) -> String {
        let credential = format!("AKIATEST/20260101/ap-northeast-2/{service}/aws4_request");
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\r\n{form}",
            form.len()
        )
    }

    fn exchange(mut stream: impl Read + Write, bytes: &str) -> String {
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        // A peer that closes before it has read all may reset the connection.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    impl Served {
        fn plain(&self, bytes: &str) -> String {
            exchange(std::net::TcpStream::connect(self.address).unwrap(), bytes)
        }

        fn through(&self, first: &str, bytes: &str) -> String {
            let socket = self.folder.path().join(desired::VPC_ENDPOINT_SOCKET);
            let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
            exchange(stream, &format!("{first}\n{bytes}"))
        }

        fn ec2(&self, form: &str) -> String {
            let answer = self.plain(&request("ec2", &format!("Version=2016-11-15&{form}")));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            answer
        }
    }

    fn element<'a>(xml: &'a str, name: &str) -> &'a str {
        xml.split_once(&format!("<{name}>")).unwrap().1.split_once('<').unwrap().0
    }

    #[test]
    fn only_the_edge_s_socket_says_which_vpc_endpoint_a_request_came_through() {
        let served = served();
        let mode = std::fs::metadata(served.folder.path().join(desired::VPC_ENDPOINT_SOCKET)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let vpc = served.ec2("Action=CreateVpc&CidrBlock=10.194.0.0/16");
        let form = format!(
            "Action=CreateVpcEndpoint&VpcId={}&VpcEndpointType=Interface&PrivateDnsEnabled=false&\
             ServiceName=com.amazonaws.ap-northeast-2.sts",
            element(&vpc, "vpcId")
        );
        let endpoint = served.ec2(&form);
        let endpoint = element(&endpoint, "vpcEndpointId");
        let who = request("sts", "Action=GetCallerIdentity&Version=2011-06-15");
        let answer = served.through(endpoint, &who);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(":root</Arn>"), "{answer}");

        let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}}"#;
        served.ec2(&format!("Action=ModifyVpcEndpoint&VpcEndpointId={endpoint}&PolicyDocument={policy}"));
        let answer = served.through(endpoint, &who);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(
            answer.contains("because no VPC endpoint policy allows the sts:GetCallerIdentity"),
            "{answer}"
        );
        // Also on the registry's path, which is asked without a signature.
        assert!(
            served
                .through(endpoint, "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .contains(" 401 ")
        );

        assert!(served.plain(&who).starts_with("HTTP/1.1 200"));
        let claimed = served.plain(&format!("{endpoint}\n{who}"));
        assert!(!claimed.contains(" 200 "), "{claimed}");
        for first in ["", "eni-1", &"x".repeat(100)] {
            assert_eq!(served.through(first, &who), "", "{first}");
        }
    }
}
