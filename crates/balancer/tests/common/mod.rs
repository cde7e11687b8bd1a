//! What the tests share: a load balancer on loopback addresses of its own, targets and clients that speak bytes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use balancer::{Balancer, Place, Settings};
use desired::{
    Action, Body, HealthCheck, HealthState, Listener, LoadBalancer, LoadBalancerStatus, Node, Part, Target,
    TargetGroup, TargetLifecycle,
};
use types::{NetworkInterfaceId, PartId, Timestamp};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:000000000001:targetgroup/t/1";

/// An address of 127.0.0.0/8 that no other test uses, so that its ports are free.
pub fn loopback() -> Ipv4Addr {
    let number = u32::from_str_radix(&types::random_hex(6), 16).unwrap();
    Ipv4Addr::from(0x7f00_0000 | number.clamp(0x0002_0000, 0x00ff_fff0))
}

/// A request as a target saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The head's lines, without their ends.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn line(&self) -> &str {
        &self.head[0]
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head[1..].iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn is_check(&self) -> bool {
        self.header("user-agent").is_some_and(|agent| agent.starts_with("ELB-HealthChecker"))
    }
}

/// A connection as a target's program has it.
pub struct Connection {
    pub stream: TcpStream,
    pub reader: BufReader<TcpStream>,
}

impl Connection {
    /// None at the connection's end, or when what comes is cut off.
    pub fn receive(&mut self) -> Option<Seen> {
        let head = read_head(&mut self.reader)?;
        let seen = Seen { head, body: Vec::new() };
        if seen.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let body = read_body(&mut self.reader, |name| seen.header(name).map(str::to_owned), false)?;
        Some(Seen { body, ..seen })
    }

    /// Receives only the head.
    pub fn receive_head(&mut self) -> Option<Seen> {
        Some(Seen { head: read_head(&mut self.reader)?, body: Vec::new() })
    }

    pub fn answer(&mut self, body: &str) -> bool {
        self.raw(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    pub fn raw(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).is_ok()
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        match line.trim_end_matches(['\r', '\n']) {
            "" => return (!head.is_empty()).then_some(head),
            line => head.push(line.to_owned()),
        }
    }
}

fn read_body(
    reader: &mut impl BufRead,
    header: impl Fn(&str) -> Option<String>,
    to_end: bool,
) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    match header("content-length") {
        Some(length) => {
            body.resize(length.parse().ok()?, 0);
            reader.read_exact(&mut body).ok()?;
        }
        None if to_end => {
            reader.read_to_end(&mut body).ok()?;
        }
        None => (),
    }
    Some(body)
}

/// A target's program. Health checks are answered with a status of their own, and kept apart.
pub struct Backend {
    pub address: SocketAddrV4,
    listener: TcpListener,
    shared: Arc<BackendState>,
}

#[derive(Default)]
struct BackendState {
    stop: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    checks: Mutex<Vec<Seen>>,
    health: Mutex<String>,
    connections: Mutex<usize>,
    changed: Condvar,
}

impl Backend {
    /// Answers each request by `answer`, until it gives false and the connection closes.
    pub fn start(answer: impl Fn(&mut Connection, &Seen) -> bool + Send + Sync + 'static) -> Self {
        Self::at(loopback(), answer)
    }

    pub fn at(
        address: Ipv4Addr,
        answer: impl Fn(&mut Connection, &Seen) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::raw(address, move |connection, record| {
            while let Some(seen) = connection.receive() {
                if !record(&seen, connection) && !answer(connection, &seen) {
                    break;
                }
            }
        })
    }

    /// Leaves all to `serve`; the second argument records a request, and answers it (true) when it is a health check.
    pub fn raw(
        address: Ipv4Addr,
        serve: impl Fn(&mut Connection, &dyn Fn(&Seen, &mut Connection) -> bool) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 8080)).unwrap();
        let shared =
            Arc::new(BackendState { health: Mutex::new("200 OK".to_owned()), ..BackendState::default() });
        let (state, serve, kept) = (shared.clone(), Arc::new(serve), listener.try_clone().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if state.stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let (state, serve) = (state.clone(), serve.clone());
                *state.connections.lock().unwrap() += 1;
                std::thread::spawn(move || {
                    let reader = BufReader::new(stream.try_clone().unwrap());
                    let mut connection = Connection { stream, reader };
                    let record = |seen: &Seen, connection: &mut Connection| {
                        if seen.is_check() {
                            state.checks.lock().unwrap().push(seen.clone());
                            let health = state.health.lock().unwrap().clone();
                            connection.raw(&format!("HTTP/1.1 {health}\r\nContent-Length: 0\r\n\r\n"));
                        } else {
                            state.seen.lock().unwrap().push(seen.clone());
                        }
                        state.changed.notify_all();
                        seen.is_check()
                    };
                    serve(&mut connection, &record);
                    let _ = connection.stream.shutdown(Shutdown::Both);
                    *state.connections.lock().unwrap() -= 1;
                    state.changed.notify_all();
                });
            }
        });
        Self { address: SocketAddrV4::new(address, 8080), listener: kept, shared }
    }

    /// Answers every request with a text.
    pub fn saying(text: &str) -> Self {
        let text = text.to_owned();
        Self::start(move |connection, _| connection.answer(&text))
    }

    pub fn set_health(&self, status: &str) {
        *self.shared.health.lock().unwrap() = status.to_owned();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn checks(&self) -> Vec<Seen> {
        self.shared.checks.lock().unwrap().clone()
    }

    /// Waits until so many requests, health checks aside, have come.
    pub fn wait_for_requests(&self, count: usize) {
        let seen = self.shared.seen.lock().unwrap();
        let (seen, timeout) =
            self.shared.changed.wait_timeout_while(seen, PATIENCE, |seen| seen.len() < count).unwrap();
        assert!(!timeout.timed_out(), "{} of {count} requests came", seen.len());
    }

    /// Waits until so many connections, those of health checks included, are open.
    pub fn wait_for_connections(&self, count: usize) {
        let open = self.shared.connections.lock().unwrap();
        let (open, timeout) =
            self.shared.changed.wait_timeout_while(open, PATIENCE, |open| *open != count).unwrap();
        assert!(!timeout.timed_out(), "{open} connections are open, not {count}");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Ends the accept that waits, in whatever namespace.
        let _ = nix::sys::socket::shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
    }
}

/// A target that takes no connection and says nothing: its queue is full.
pub struct Silent {
    pub address: SocketAddrV4,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Silent {
    pub fn start() -> Self {
        let address = SocketAddrV4::new(loopback(), 8080);
        // The standard library's queue is 4096 long: fill it until no connection gets through.
        let listener = TcpListener::bind(address).unwrap();
        nix_listen_zero(&listener);
        let connect = || TcpStream::connect_timeout(&address.into(), Duration::from_millis(300));
        let mut queue = Vec::new();
        while let Ok(stream) = connect() {
            queue.push(stream);
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

/// Shortens the queue of a listening socket to the least there is.
fn nix_listen_zero(listener: &TcpListener) {
    use nix::sys::socket::{Backlog, listen};
    listen(listener, Backlog::new(0).unwrap()).unwrap();
}

pub fn target(address: SocketAddrV4) -> Target {
    Target { address: *address.ip(), port: address.port(), lifecycle: TargetLifecycle::Registered }
}

/// A load balancer with one node and a listener on port 80 that forwards to one group.
pub struct Lb {
    pub address: SocketAddrV4,
    balancer: Option<Balancer>,
    part: Part,
    statuses: Arc<(Mutex<Vec<LoadBalancerStatus>>, Condvar)>,
}

pub fn part(address: Ipv4Addr, targets: &[SocketAddrV4]) -> Part {
    let id = types::random_hex(16);
    let health_check = HealthCheck {
        path: "/health?deep=1".to_owned(),
        port: None,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        matcher: "200".to_owned(),
    };
    let balancer = LoadBalancer {
        id: id.clone(),
        arn: format!("arn:aws:elasticloadbalancing:eu-west-1:000000000001:loadbalancer/app/t/{id}"),
        nodes: vec![Node { interface: NetworkInterfaceId::mint(), address, zone: "eu-west-1a".to_owned() }],
        listeners: vec![Listener {
            arn: "arn:listener".to_owned(),
            port: 80,
            default_action: Action::Forward { target_group: GROUP.to_owned() },
        }],
        target_groups: vec![TargetGroup {
            arn: GROUP.to_owned(),
            health_check,
            deregistration_delay: Duration::from_secs(300),
            targets: targets.iter().copied().map(target).collect(),
        }],
        idle_timeout: Duration::from_secs(60),
        drop_invalid_headers: false,
    };
    Part { id: PartId::LoadBalancer(id), generation: 1, body: Some(Body::LoadBalancer(balancer)) }
}

impl Lb {
    pub fn start(targets: &[SocketAddrV4]) -> Self {
        Self::with(targets, |_| ())
    }

    /// Ready, but with no word on the targets' health.
    pub fn with(targets: &[SocketAddrV4], change: impl FnOnce(&mut LoadBalancer)) -> Self {
        let address = SocketAddrV4::new(loopback(), 80);
        let mut part = part(*address.ip(), targets);
        change(body(&mut part));
        let statuses = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let told = statuses.clone();
        let publish = move |status| {
            told.0.lock().unwrap().push(status);
            told.1.notify_all();
        };
        let settings = Settings { threads: 2, grace: Duration::from_secs(5), ..Settings::new(Place::Here) };
        let balancer = Balancer::start(&part, settings, publish).unwrap();
        let lb = Self { address, balancer: Some(balancer), part, statuses };
        lb.wait("ready", |status| status.ready);
        lb
    }

    /// Ready, and all targets healthy.
    pub fn healthy(targets: &[SocketAddrV4]) -> Self {
        let lb = Self::start(targets);
        lb.wait_all_healthy();
        lb
    }

    pub fn wait_all_healthy(&self) {
        self.wait("healthy", |status| {
            status.targets.values().flatten().all(|target| target.health == HealthState::Healthy)
        });
    }

    /// Applies a change as the next generation and waits until it is in force.
    pub fn change(&mut self, change: impl FnOnce(&mut LoadBalancer)) {
        change(body(&mut self.part));
        self.part.generation += 1;
        self.balancer.as_ref().unwrap().apply(&self.part).unwrap();
        let generation = self.part.generation;
        self.wait("the new generation", |status| status.generation == generation && status.ready);
    }

    pub fn set_lifecycle(&mut self, address: SocketAddrV4, lifecycle: TargetLifecycle) {
        self.change(|lb| {
            for target in &mut lb.target_groups[0].targets {
                if target.address == *address.ip() {
                    target.lifecycle = lifecycle;
                }
            }
        });
    }

    pub fn drain(&mut self, address: SocketAddrV4) {
        self.set_lifecycle(address, TargetLifecycle::Draining { since: Timestamp::now() });
    }

    pub fn wait(&self, what: &str, is: impl Fn(&LoadBalancerStatus) -> bool) -> LoadBalancerStatus {
        let statuses = self.statuses.0.lock().unwrap();
        let pending = |statuses: &mut Vec<LoadBalancerStatus>| !statuses.last().is_some_and(&is);
        let (statuses, timeout) = self.statuses.1.wait_timeout_while(statuses, PATIENCE, pending).unwrap();
        assert!(!timeout.timed_out(), "not {what}: {:?}", statuses.last());
        statuses.last().unwrap().clone()
    }

    pub fn health(&self, address: SocketAddrV4) -> HealthState {
        health_of(self.statuses.0.lock().unwrap().last().unwrap(), address)
    }

    pub fn apply(&self, part: &Part) -> Result<(), String> {
        self.balancer.as_ref().unwrap().apply(part)
    }

    pub fn part(&self) -> &Part {
        &self.part
    }

    pub fn stop(&mut self) {
        if let Some(balancer) = self.balancer.take() {
            balancer.stop();
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request over a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }
}

impl Drop for Lb {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn health_of(status: &LoadBalancerStatus, address: SocketAddrV4) -> HealthState {
    let targets = status.targets.values().flatten();
    targets
        .filter(|target| target.address == *address.ip())
        .map(|target| target.health.clone())
        .next()
        .unwrap()
}

pub fn body(part: &mut Part) -> &mut LoadBalancer {
    match &mut part.body {
        Some(Body::LoadBalancer(balancer)) => balancer,
        _ => panic!(),
    }
}

/// A client's connection.
pub struct Client {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddrV4) -> Self {
        let stream = TcpStream::connect_timeout(&address.into(), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n")).receive()
    }

    /// The next response.
    pub fn receive(&mut self) -> Response {
        self.try_receive(true).expect("a response")
    }

    /// The next response, without a body (to HEAD).
    pub fn receive_head(&mut self) -> Response {
        self.try_receive(false).expect("a response")
    }

    /// None when the connection ends before the response does.
    pub fn try_receive(&mut self, with_body: bool) -> Option<Response> {
        let head = read_head(&mut self.reader)?;
        let status = head[0].split(' ').nth(1)?.parse().ok()?;
        let headers: BTreeMap<String, String> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let bodyless = !with_body || status < 200 || status == 204 || status == 304;
        let body = if bodyless {
            Vec::new()
        } else {
            read_body(&mut self.reader, |name| headers.get(name).cloned(), true)?
        };
        Some(Response { status, line: head[0].clone(), headers, body })
    }

    /// All that comes until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset ends it as well.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }

    /// Reads exactly so many bytes.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}
