//! A topology as real networks, and real packets through them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::network::{INTERNET, Network};
use desired::{InterfaceKind, Vpc};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, bind, connect, socket};
use reachability::{Header, Topology, Transport};
use sys::netlink::{Address, Netlink};
use sys::netns;

use super::draw::{HOST, PORTS, SERVICES, borrowed};

/// What should get through has this long, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(5);
/// A packet that nothing counts is waited for this long.
const SILENCE: Duration = Duration::from_millis(20);

/// The networks of a topology, with everybody listening.
pub struct World {
    network: Network,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    _state: tempfile::TempDir,
}

/// What became of a packet.
#[derive(Debug)]
pub struct Seen {
    /// Whether the answer came back.
    pub answered: bool,
    /// The counters that rose, by VPC and name.
    pub rose: BTreeMap<(String, String), u64>,
}

impl World {
    pub fn new(topology: &Topology) -> Self {
        let state = tempfile::Builder::new().prefix("landfall-agent-").tempdir_in("/tmp").unwrap();
        let network = Network::new(state.path());
        network.set_internet(SERVICES.into()).unwrap();
        // Each VPC once more when a later one has been connected to it.
        for vpc in topology.vpcs.iter().chain(&topology.vpcs) {
            network.apply(vpc).unwrap();
        }
        let mut world = Self { network, udp: Vec::new(), tcp: Vec::new(), _state: state };
        for vpc in &topology.vpcs {
            world.listen_in(vpc);
        }
        let internet = world.network.path(INTERNET);
        world.listen(&internet, &[HOST, SERVICES[0], SERVICES[1]], &PORTS, true);
        world
    }

    fn listen_in(&mut self, vpc: &Vpc) {
        for interface in &vpc.interfaces {
            let path = self.network.path(interface.id.as_str());
            let second = Address { link: "eth0".to_owned(), address: borrowed(interface.address).into() };
            netns::within(&path, || Netlink::open().unwrap().add_address(&second).unwrap()).unwrap();
            if interface.kind != InterfaceKind::NatGateway {
                self.listen(&path, &[interface.address], &PORTS, true);
            }
        }
        for endpoint in &vpc.gateway_endpoints {
            // As the edge does: by TCP alone.
            self.listen(&self.network.path(endpoint.id.as_str()), &endpoint.addresses, &PORTS, false);
        }
        let [a, b, c, _] = vpc.cidr_blocks[0].network().octets();
        let dns = [[a, b, c, 2].into(), Ipv4Addr::new(169, 254, 169, 253)];
        self.listen(&self.network.path(vpc.id.as_str()), &dns, &[53], true);
    }

    fn listen(&mut self, path: &Path, addresses: &[Ipv4Addr], ports: &[u16], udp: bool) {
        let made = netns::within(path, || {
            let mut made = (Vec::new(), Vec::new());
            for end in addresses.iter().flat_map(|address| ports.iter().map(move |port| (*address, *port))) {
                let listener = TcpListener::bind(end).unwrap();
                listener.set_nonblocking(true).unwrap();
                made.0.push(listener);
                if udp {
                    let socket = UdpSocket::bind(end).unwrap();
                    socket.set_nonblocking(true).unwrap();
                    made.1.push(socket);
                }
            }
            // What is dropped on its way back is not sent again.
            std::fs::write("/proc/sys/net/ipv4/tcp_synack_retries", "0").unwrap();
            made
        });
        let (tcp, udp) = made.unwrap();
        self.tcp.extend(tcp);
        self.udp.extend(udp);
    }

    /// The counters of all VPCs.
    fn counters(&self, topology: &Topology) -> BTreeMap<(String, String), u64> {
        let mut all = BTreeMap::new();
        for vpc in &topology.vpcs {
            let counters = self.network.counters(&vpc.id).unwrap().unwrap();
            all.extend(counters.into_iter().map(|(name, count)| ((vpc.id.to_string(), name), count)));
        }
        all
    }

    /// Sends a packet from a namespace (`None`: the internet), lets whoever gets it answer, and tells what has come of
    /// it: the answer, or else what the counters say.
    pub fn send(&self, topology: &Topology, from: Option<&str>, header: &Header, counted: bool) -> Seen {
        let path: PathBuf = self.network.path(from.unwrap_or(INTERNET));
        let before = self.counters(topology);
        let client = Client::start(&path, header);
        let begun = Instant::now();
        let patience = if counted { PATIENCE } else { SILENCE };
        loop {
            self.answer_all();
            // Mostly the answer is there at once: packets cross namespaces while they are sent.
            let answered = client.as_ref().is_some_and(Client::is_answered);
            let mut rose = self.counters(topology);
            rose.retain(|name, count| {
                *count -= before.get(name).copied().unwrap_or_default();
                *count > 0
            });
            let denied = rose.keys().any(|(_, name)| name.starts_with("denied/"));
            if answered || denied || client.is_none() || begun.elapsed() > patience {
                self.accept_all();
                return Seen { answered, rose };
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn answer_all(&self) {
        let mut buffer = [0; 16];
        for socket in &self.udp {
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(b"answer", peer);
            }
        }
    }

    fn accept_all(&self) {
        for listener in &self.tcp {
            while listener.accept().is_ok() {}
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.udp.clear();
        self.tcp.clear();
        let removed = self.network.remove_all();
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

enum Client {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Ping(UdpSocket, [u8; 2]),
}

impl Client {
    /// None: the namespace itself knows no way.
    fn start(path: &Path, header: &Header) -> Option<Self> {
        let to = |port| SocketAddrV4::new(header.destination, port);
        let from = |port| SocketAddrV4::new(header.source, port);
        let made = netns::within(path, || match header.transport {
            Transport::Tcp { source, destination } => {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
                bind(fd.as_raw_fd(), &SockaddrIn::from(from(source.from)))?;
                match connect(fd.as_raw_fd(), &SockaddrIn::from(to(destination.from))) {
                    Ok(()) | Err(Errno::EINPROGRESS) => Ok(Client::Tcp(fd.into())),
                    Err(errno) => Err(errno),
                }
            }
            Transport::Udp { source, destination } => {
                let none = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, none, None)?;
                bind(fd.as_raw_fd(), &SockaddrIn::from(from(source.from)))?;
                connect(fd.as_raw_fd(), &SockaddrIn::from(to(destination.from)))?;
                let socket = UdpSocket::from(fd);
                socket.send(b"question").map_err(|_| Errno::EINVAL)?;
                Ok(Client::Udp(socket))
            }
            Transport::Icmp { kind, code } => {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let fd = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
                bind(fd.as_raw_fd(), &SockaddrIn::from(from(0)))?;
                let socket = UdpSocket::from(fd);
                let mut identifier = [0; 2];
                std::fs::File::open("/dev/urandom")
                    .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut identifier))
                    .map_err(|_| Errno::EIO)?;
                let mut packet = [kind, code, 0, 0, identifier[0], identifier[1], 0, 1];
                let sum: u32 =
                    packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
                let check = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
                packet[2..4].copy_from_slice(&check.to_be_bytes());
                socket.send_to(&packet, SocketAddr::V4(to(0))).map_err(|_| Errno::EINVAL)?;
                Ok(Client::Ping(socket, identifier))
            }
        });
        made.unwrap().ok()
    }

    fn is_answered(&self) -> bool {
        let mut buffer = [0; 200];
        match self {
            Client::Tcp(stream) => stream.peer_addr().is_ok(),
            Client::Udp(socket) => socket.recv(&mut buffer).is_ok(),
            // A raw socket hears everything; the reply is type 0 behind 20 bytes of IP header.
            Client::Ping(socket, identifier) => loop {
                match socket.recv(&mut buffer) {
                    Ok(read) if read >= 28 && buffer[20] == 0 && buffer[24..26] == identifier[..] => {
                        return true;
                    }
                    Ok(_) => (),
                    Err(_) => return false,
                }
            },
        }
    }
}
