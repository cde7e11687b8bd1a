//! Real packets: sockets that are made inside namespaces.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use sys::netns;

/// What should get through has this long, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(5);
/// What should not get through is given up after this long.
const SILENCE: Duration = Duration::from_millis(250);

/// A server that tells everyone who they are, until it is dropped.
pub struct Server(TcpListener);

impl Server {
    /// Listens in a namespace.
    pub fn start(namespace: &Path, address: Ipv4Addr, port: u16, name: &str) -> Self {
        let listener = netns::within(namespace, || TcpListener::bind((address, port)).unwrap()).unwrap();
        let (own, name) = (listener.try_clone().unwrap(), name.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { break };
                let name = name.clone();
                std::thread::spawn(move || {
                    let Ok(peer) = stream.peer_addr() else { return };
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        if stream.write_all(format!("{name} saw {}\n", peer.ip()).as_bytes()).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self(own)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the accept that the thread waits in.
        let _ = nix::sys::socket::shutdown(self.0.as_raw_fd(), nix::sys::socket::Shutdown::Both);
    }
}

/// A UDP server that answers `count` questions.
pub fn answer_udp(namespace: &Path, address: Ipv4Addr, port: u16, name: &str, count: usize) {
    let socket = netns::within(namespace, || UdpSocket::bind((address, port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE * 4)).unwrap();
    let name = name.to_owned();
    std::thread::spawn(move || {
        for _ in 0..count {
            let Ok((_, peer)) = socket.recv_from(&mut [0; 100]) else { return };
            let _ = socket.send_to(format!("{name} saw {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// Asks a UDP server from a namespace.
pub fn ask_udp(namespace: &Path, address: Ipv4Addr, port: u16) -> String {
    ask_udp_with(namespace, address, port, 1)
}

/// The same with a question of so many bytes. No packet may be lost on the way, but one that is told to come in pieces.
pub fn ask_udp_with(namespace: &Path, address: Ipv4Addr, port: u16, size: usize) -> String {
    let socket = netns::within(namespace, || UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let mut buffer = [0; 100];
    for _ in 0..20 {
        socket.send_to(&vec![b'?'; size], (address, port)).unwrap();
        if let Ok(read) = socket.recv(&mut buffer) {
            return String::from_utf8_lossy(&buffer[..read]).into_owned();
        }
    }
    panic!("{address}:{port} does not answer {size} bytes");
}

/// Sends one packet of a protocol, with nothing in it.
pub fn send_raw(namespace: &Path, address: Ipv4Addr, protocol: u8) {
    let made = || {
        let raw = nix::sys::socket::SockProtocol::Raw;
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, raw)
    };
    let fd = netns::within(namespace, made).unwrap().unwrap();
    // The IP header; the kernel puts in the source, the length and the checksum.
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 0, 0, 0, 0];
    packet.extend(address.octets());
    packet.extend([0; 16]);
    UdpSocket::from(fd).send_to(&packet, SocketAddr::new(IpAddr::V4(address), 0)).unwrap();
}

/// Waits for something that happens soon.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    for _ in 0..500 {
        if condition() {
            return;
        }
        let _ = wait.recv_timeout(Duration::from_millis(10));
    }
    panic!("it does not happen");
}

fn dial(
    namespace: &Path,
    source: Option<Ipv4Addr>,
    to: SocketAddrV4,
    patience: Duration,
) -> Result<TcpStream, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = || socket(AddressFamily::Inet, SockType::Stream, flags, None);
    let fd: OwnedFd = netns::within(namespace, made).unwrap()?;
    if let Some(source) = source {
        bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
    }
    match connect(fd.as_raw_fd(), &SockaddrIn::from(to)) {
        Err(Errno::EINPROGRESS) | Ok(()) => (),
        Err(errno) => return Err(errno),
    }
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::try_from(patience).unwrap())? == 0 {
        return Err(Errno::ETIMEDOUT);
    }
    let stream = TcpStream::from(fd);
    match stream.take_error().unwrap() {
        Some(error) => Err(Errno::from_raw(error.raw_os_error().unwrap())),
        None => {
            stream.set_nonblocking(false).unwrap();
            Ok(stream)
        }
    }
}

/// A connection that stands.
pub struct Connection(TcpStream);

impl Connection {
    /// Says something and gives back the answer.
    pub fn say(&mut self) -> String {
        self.answer(PATIENCE).unwrap()
    }

    /// Whether nothing gets through any more.
    #[track_caller]
    pub fn is_cut(&mut self) {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        let answer = self.answer(SILENCE);
        let silent = answer.as_ref().is_err_and(|error| matches!(error.kind(), WouldBlock | TimedOut));
        assert!(silent, "the connection is not silent: {answer:?}");
    }

    /// Whether the connection is ended by a reset.
    #[track_caller]
    pub fn is_reset(&mut self) {
        let answer = self.answer(PATIENCE);
        let reset = answer.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(reset, "the connection is not reset: {answer:?}");
    }

    fn answer(&mut self, patience: Duration) -> std::io::Result<String> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.write_all(b"x")?;
        let mut buffer = [0; 200];
        let read = self.0.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..read]).trim().to_owned())
    }

    /// The largest segment that the connection sends.
    pub fn segment(&self) -> u32 {
        nix::sys::socket::getsockopt(&self.0, nix::sys::socket::sockopt::TcpMaxSeg).unwrap()
    }

    pub fn close(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Opens a connection that must come to stand.
#[track_caller]
pub fn open(namespace: &Path, address: Ipv4Addr, port: u16) -> Connection {
    open_from(namespace, None, address, port)
}

/// The same with a source address.
#[track_caller]
pub fn open_from(namespace: &Path, source: Option<Ipv4Addr>, address: Ipv4Addr, port: u16) -> Connection {
    match dial(namespace, source, SocketAddrV4::new(address, port), PATIENCE) {
        Ok(stream) => Connection(stream),
        Err(errno) => panic!("{address}:{port} cannot be reached: {errno}"),
    }
}

/// Opens a connection, says something, and gives back the answer.
#[track_caller]
pub fn get(namespace: &Path, address: Ipv4Addr, port: u16) -> String {
    open(namespace, address, port).say()
}

/// Fails unless a connection attempt meets silence: no refusal, no ICMP error, as on AWS.
#[track_caller]
pub fn silent(namespace: &Path, address: Ipv4Addr, port: u16) {
    silent_from(namespace, None, address, port);
}

/// The same with a source address.
#[track_caller]
pub fn silent_from(namespace: &Path, source: Option<Ipv4Addr>, address: Ipv4Addr, port: u16) {
    match dial(namespace, source, SocketAddrV4::new(address, port), SILENCE) {
        Err(Errno::ETIMEDOUT) => (),
        Ok(_) => panic!("{address}:{port} is reached"),
        Err(errno) => panic!("{address}:{port} answers: {errno}"),
    }
}

/// Fails unless the namespace itself knows no way to an address.
#[track_caller]
pub fn nowhere(namespace: &Path, address: Ipv4Addr, port: u16) {
    let answer = dial(namespace, None, SocketAddrV4::new(address, port), SILENCE);
    assert!(matches!(answer, Err(Errno::EINVAL)), "{answer:?}");
}

/// Sends an ICMP echo request with a raw socket and tells whether the reply came.
pub fn ping(namespace: &Path, address: Ipv4Addr, patience: Duration) -> bool {
    let made = || {
        socket(
            AddressFamily::Inet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            nix::sys::socket::SockProtocol::Icmp,
        )
    };
    let fd = netns::within(namespace, made).unwrap().unwrap();
    let socket = UdpSocket::from(fd);
    // Type 8, code 0, checksum, identifier, sequence 1, no data. Each ping is a flow of its own.
    static IDENTIFIER: AtomicU16 = AtomicU16::new(1);
    let [high, low] = IDENTIFIER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut packet = [8, 0, 0, 0, high, low, 0, 1];
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let check = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[2..4].copy_from_slice(&check.to_be_bytes());
    let (begun, mut buffer) = (Instant::now(), [0; 200]);
    // As the program does: one request a second, as any packet may be lost.
    while let Some(left) = patience.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        let (sent, second) = (Instant::now(), left.min(Duration::from_secs(1)));
        socket.send_to(&packet, SocketAddr::new(IpAddr::V4(address), 0)).unwrap();
        while let Some(wait) = second.checked_sub(sent.elapsed()).filter(|wait| !wait.is_zero()) {
            socket.set_read_timeout(Some(wait)).unwrap();
            // A raw socket hears everything; the reply is type 0 behind 20 bytes of IP header.
            let Ok(read) = socket.recv(&mut buffer) else { break };
            if read >= 28 && buffer[20] == 0 && buffer[24..26] == packet[4..6] {
                return true;
            }
        }
    }
    false
}

/// How long a ping that must fail is waited for.
pub const NO_REPLY: Duration = SILENCE;
/// How long a ping that must succeed is waited for.
pub const A_REPLY: Duration = PATIENCE;
