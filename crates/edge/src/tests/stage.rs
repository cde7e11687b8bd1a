//! An edge that runs, an `internet` namespace that is the test's own, and what stands on both sides.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use desired::role::{Reply, Request, RoleDir};
use desired::{AwsEndpoint, Body, Certificate, Edge, EdgeStatus, HostListener, HostRoute, Observation, Part};
use sys::netlink::{Address, Netlink};
use sys::netns;
use tempfile::TempDir;
use types::PartId;

use crate::{Error, HOST_INSIDE, Limits, play};

/// Far longer than anything here takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The port of every load balancer here; each test has an address of its own.
pub(super) const PORT: u16 = 8080;

/// The nodes of the load balancer, and an AWS endpoint's address.
pub(super) const BALANCER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 1);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 2);
pub(super) const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 10);

/// A VPC endpoint's address.
pub(super) const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 5);

pub(super) struct Stage {
    folder: TempDir,
    pub(super) role: RoleDir,
    pub(super) edge: Edge,
    generation: u64,
    limits: Limits,
    playing: Option<JoinHandle<Result<(), Error>>>,
}

impl Stage {
    /// An edge with one load balancer, `app.elb.localhost`, that has these addresses.
    pub(super) fn new(addresses: &[Ipv4Addr], limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let role = RoleDir::new(folder.path().join("edge"));
        let digits = u32::from_str_radix(&types::random_hex(5), 16).unwrap();
        let [_, a, b, c] = (digits | 0x0001_0001).to_be_bytes();
        let route = HostRoute { host: "app.elb.localhost".to_owned(), addresses: addresses.to_vec() };
        let edge = Edge {
            api: ([127, 0, 0, 1], 1).into(),
            host_address: Ipv4Addr::new(127, a + 100, b, c),
            listeners: vec![HostListener { port: PORT, routes: vec![route] }],
            aws_endpoints: Vec::new(),
            vpc_endpoints: Vec::new(),
            internet: false,
            internet_hosts: Vec::new(),
            certificates: Vec::new(),
            private_key: String::new(),
        };
        let stage = Self { folder, role, edge, generation: 1, limits, playing: None };
        stage.internet_again();
        stage
    }

    /// Makes the namespace.
    pub(super) fn internet_again(&self) {
        netns::create(&self.internet()).unwrap();
        netns::within(&self.internet(), || addresses(&[HOST_INSIDE, BALANCER, OTHER, ENDPOINT])).unwrap();
    }

    pub(super) fn internet(&self) -> PathBuf {
        self.folder.path().join("netns/internet")
    }

    /// Makes the namespace of a VPC endpoint's interface.
    pub(super) fn interface(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("netns").join(name);
        netns::create(&path).unwrap();
        netns::within(&path, || addresses(&[PRIVATE])).unwrap();
        path
    }

    pub(super) fn state(&self) -> &Path {
        self.folder.path()
    }

    /// `serve`'s socket for what comes through VPC endpoints.
    pub(super) fn endpoint_socket(&self) -> UnixListener {
        let path = self.folder.path().join(desired::VPC_ENDPOINT_SOCKET);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        UnixListener::bind(path).unwrap()
    }

    fn part(&self) -> Part {
        Part { id: PartId::Edge, generation: self.generation, body: Some(Body::Edge(self.edge.clone())) }
    }

    pub(super) fn start(&mut self) {
        // The socket of one that was stopped is answered until the new one takes its place: in a test they are one
        // process. The generation tells them apart.
        self.generation += 1;
        self.role.write_config(&self.part()).unwrap();
        let (dir, state) = (self.role.path().to_owned(), self.folder.path().to_owned());
        let limits = self.limits.clone();
        self.playing = Some(std::thread::spawn(move || play(&dir, &state, limits)));
        self.settled();
    }

    pub(super) fn stop(&mut self) {
        if let Some(playing) = self.playing.take() {
            let _ = self.role.ask(&Request::Stop, PATIENCE);
            let _ = playing.join();
        }
    }

    /// Applies the edge as it was changed.
    pub(super) fn apply(&mut self) {
        self.generation += 1;
        let reply = self.role.ask(&Request::Apply(self.part()), PATIENCE).unwrap();
        assert_eq!(reply, Reply::Done);
    }

    /// Waits until this generation's listeners are all there.
    pub(super) fn settled(&self) {
        let generation = self.generation;
        self.status(|status| {
            let listening = status.listeners.iter().all(|listener| listener.error.is_none());
            status.generation == generation && listening && status.error.is_none()
        });
    }

    /// Waits for a status.
    pub(super) fn status(&self, wanted: impl Fn(&EdgeStatus) -> bool) -> EdgeStatus {
        let (deadline, mut after, mut last) = (Instant::now() + PATIENCE, 0, None);
        while Instant::now() < deadline {
            let request = Request::Observe { after, timeout: Duration::from_millis(500) };
            match self.role.ask(&request, PATIENCE) {
                Ok(Reply::Observed(observed)) => {
                    after = observed.next;
                    for observation in observed.observations {
                        let Observation::Edge(status) = observation else { continue };
                        if wanted(&status) {
                            return status;
                        }
                        if status.generation < self.generation {
                            // Of an edge that was stopped: the next one's news have numbers of their own.
                            after = 0;
                        }
                        last = Some(status);
                    }
                }
                // It is starting.
                _ => std::thread::yield_now(),
            }
        }
        panic!("the edge never said so; at last: {last:?}");
    }

    pub(super) fn port(&self, port: u16) -> SocketAddr {
        SocketAddrV4::new(self.edge.host_address, port).into()
    }

    /// A connection to the load balancers' host port.
    pub(super) fn client(&self) -> TcpStream {
        patient(TcpStream::connect(self.port(PORT)).unwrap())
    }

    /// A load balancer's listener inside.
    pub(super) fn balancer(&self, address: Ipv4Addr) -> TcpListener {
        netns::within(&self.internet(), || TcpListener::bind((address, PORT))).unwrap().unwrap()
    }

    /// An endpoint for `*.dkr.ecr.r.amazonaws.com` with a certificate of its own; the certificate, to be trusted.
    pub(super) fn endpoint(&mut self) -> rustls::pki_types::CertificateDer<'static> {
        let name = "*.dkr.ecr.r.amazonaws.com".to_owned();
        let made =
            rcgen::generate_simple_self_signed(vec![name.clone(), "sts.amazonaws.com".to_owned()]).unwrap();
        self.edge.certificates = vec![Certificate { region: "r".to_owned(), chain: made.cert.pem() }];
        self.edge.private_key = made.signing_key.serialize_pem();
        self.edge.aws_endpoints = vec![AwsEndpoint { names: vec![name], address: ENDPOINT }];
        made.cert.der().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
        let _ = netns::delete_all(&self.folder.path().join("netns"));
    }
}

/// A stream that fails a test instead of hanging it.
pub(super) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends all, ends the sending, reads all.
pub(super) fn exchange(mut stream: TcpStream, bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Accepts one connection, reads until the client ended its sending, answers with `answer`; the client's address and
/// what it sent.
pub(super) fn serve_one(listener: TcpListener, answer: &'static str) -> JoinHandle<(SocketAddr, String)> {
    std::thread::spawn(move || {
        let (stream, peer) = listener.accept().unwrap();
        let mut stream = patient(stream);
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        (peer, request)
    })
}

/// As [`serve_one`], for what came through a VPC endpoint.
pub(super) fn serve_one_through(listener: UnixListener, answer: &'static str) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        request
    })
}

/// Brings up the calling thread's loopback and gives it the addresses that the agent would.
fn addresses(addresses: &[Ipv4Addr]) {
    let mut netlink = Netlink::open().unwrap();
    netlink.set_up("lo").unwrap();
    for address in addresses {
        netlink.add_address(&Address { link: "lo".to_owned(), address: (*address).into() }).unwrap();
    }
}
