//! One server address: a UDP and a TCP socket inside a VPC's namespace.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use types::VpcId;

use crate::upstream::Upstream;
use crate::{Answer, Taken, Transport, answer};

/// The port of DNS.
pub(crate) const PORT: u16 = 53;

/// Connections that one address serves at a time; the others wait in the kernel. One VPC cannot use up what the
/// others need.
const CONNECTIONS: usize = 64;

/// Queries of one address that are asked further at a time.
const FURTHER: usize = 256;

/// How long a connection may take to send its next query or to take an answer (RFC 7766 asks for a few seconds).
const IDLE: Duration = Duration::from_secs(10);

/// The longest query that is read whole: far more than one question with EDNS needs.
const LONGEST: usize = 4096;

/// An address's sockets, bound in the namespace of the thread that made them.
#[derive(Debug)]
pub(crate) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Makes them in the calling thread's namespace. The address has to be there already. The kernel binds without it as
    /// well, in a namespace that never had an address (`__inet_bind` finds no local table then, and takes the address for a
    /// broadcast one), but such a socket's answers go out from another address, and clients do not know them.
    pub(crate) fn bind(address: Ipv4Addr) -> io::Result<Self> {
        let address = SocketAddrV4::new(address, PORT);
        let udp = one(SockType::Datagram, address)?;
        Ok(Self { udp: udp.into(), tcp: listener(address)? })
    }
}

/// A listening socket in the calling thread's namespace.
pub(crate) fn listener(address: SocketAddrV4) -> io::Result<TcpListener> {
    let tcp = one(SockType::Stream, address)?;
    listen(&tcp, Backlog::new(256)?)?;
    Ok(tcp.into())
}

fn one(kind: SockType, address: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, kind, flags, None)?;
    if kind == SockType::Stream {
        // Connections of a resolver that ended do not keep its successor from the port. On UDP it would let two
        // resolvers share one.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrIn::from(address))?;
    Ok(fd)
}

/// What a server answers by: always the newest names.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) vpc: VpcId,
    pub(crate) taken: watch::Receiver<Arc<Taken>>,
    pub(crate) upstream: Upstream,
}

impl Source {
    fn answer(&self, message: &[u8], transport: Transport, turn: usize) -> Option<Answer> {
        let taken = self.taken.borrow();
        answer(taken.tables.vpc(&self.vpc)?, message, transport, turn)
    }
}

/// Answers on the sockets for as long as it is polled; dropped, it closes them and every connection.
pub(crate) async fn serve(sockets: Sockets, source: Source) -> io::Result<()> {
    let udp = tokio::net::UdpSocket::from_std(sockets.udp)?;
    let tcp = tokio::net::TcpListener::from_std(sockets.tcp)?;
    tokio::join!(datagrams(udp, &source), connections(tcp, &source));
    Ok(())
}

async fn datagrams(socket: tokio::net::UdpSocket, source: &Source) {
    let socket = Arc::new(socket);
    let mut further = JoinSet::new();
    let mut buffer = [0; LONGEST];
    for turn in 0_usize.. {
        let received = tokio::select! {
            Some(_) = further.join_next() => continue,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, peer)) = received else {
            // An earlier answer met a closed port, or memory is short for a moment.
            tokio::task::yield_now().await;
            continue;
        };
        // A datagram that cannot be sent is lost, as datagrams may be: the asker asks again.
        match source.answer(&buffer[..length], Transport::Udp, turn) {
            Some(Answer::Ours(response)) => drop(socket.try_send_to(&response, peer)),
            Some(Answer::Further { silence }) if further.len() < FURTHER => {
                let (socket, upstream) = (socket.clone(), source.upstream.clone());
                let query = buffer[..length].to_vec();
                further.spawn(async move {
                    let response = upstream.ask(&query, Transport::Udp).await.unwrap_or(silence);
                    let _ = socket.try_send_to(&response, peer);
                });
            }
            Some(Answer::Further { silence }) => drop(socket.try_send_to(&silence, peer)),
            None => (),
        }
    }
}

async fn connections(listener: tokio::net::TcpListener, source: &Source) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => (),
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, source.clone()));
                }
                // No descriptors left, most likely: give others the time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

/// RFC 1035, section 4.2.2: each message has its length in front.
async fn connection(mut stream: TcpStream, source: Source) {
    let mut buffer = [0; LONGEST];
    for turn in 0_usize.. {
        let query = async {
            let length = usize::from(stream.read_u16().await?);
            let query = buffer.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
            stream.read_exact(query).await?;
            io::Result::Ok(&*query)
        };
        let Ok(Ok(query)) = timeout(IDLE, query).await else { return };
        let response = match source.answer(query, Transport::Tcp, turn) {
            Some(Answer::Ours(response)) => response,
            Some(Answer::Further { silence }) => {
                source.upstream.ask(query, Transport::Tcp).await.unwrap_or(silence)
            }
            None => return,
        };
        let Ok(length) = u16::try_from(response.len()) else { return };
        let framed = [&length.to_be_bytes(), response.as_slice()].concat();
        if !matches!(timeout(IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tables;
    use desired::{Names, VpcNames};
    use simple_dns::{CLASS, Name, Packet, Question, RCODE, ResourceRecord, TYPE, rdata::A, rdata::RData};
    use sys::netlink::Netlink;
    use sys::netns;

    const SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn query(name: &str) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.questions.push(Question::new(
            Name::new_unchecked(name),
            TYPE::A.into(),
            CLASS::IN.into(),
            false,
        ));
        packet.build_bytes_vec().unwrap()
    }

    /// The host's DNS server: 203.0.113.9 for every name, by UDP and TCP.
    fn respond(query: &[u8]) -> Vec<u8> {
        let asked = Packet::parse(query).unwrap();
        assert_ne!(asked.id(), 7, "the asker's own number is told to nobody");
        let mut packet = Packet::new_reply(asked.id());
        packet.questions.clone_from(&asked.questions);
        let address = RData::A(A { address: Ipv4Addr::new(203, 0, 113, 9).into() });
        packet.answers.push(ResourceRecord::new(asked.questions[0].qname.clone(), CLASS::IN, 1, address));
        packet.build_bytes_vec().unwrap()
    }

    #[tokio::test]
    async fn what_landfall_does_not_know_is_asked_of_the_hosts_servers_by_the_same_transport() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netns/vpc-1");
        netns::create(&path).unwrap();
        let inside = || {
            Netlink::open().unwrap().set_up("lo").unwrap();
            Sockets::bind(SERVER).unwrap()
        };
        let sockets = netns::within(&path, inside).unwrap();
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = tokio::net::UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
        let mut working = JoinSet::new();
        working.spawn(async move {
            let mut buffer = [0; 512];
            // A forged answer comes first.
            let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
            let mut forged = respond(&buffer[..length]);
            forged[0] ^= 1;
            udp.send_to(&forged, peer).await.unwrap();
            udp.send_to(&respond(&buffer[..length]), peer).await.unwrap();
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let response = respond(&query);
            stream.write_u16(u16::try_from(response.len()).unwrap()).await.unwrap();
            stream.write_all(&response).await.unwrap();
            Ok(())
        });
        let vpc = VpcNames {
            vpc: VpcId::from("vpc-1"),
            servers: vec![SERVER],
            enabled: true,
            records: Vec::new(),
            zones: Vec::new(),
            discovered: Vec::new(),
        };
        let names = Names { vpcs: vec![vpc.clone()], public: Vec::new(), internet: true, api: None };
        let tables = Tables::new(&names);
        let (_kept, taken) = watch::channel(Arc::new(Taken { generation: 1, names: Some(names), tables }));
        let resolv_conf = folder.path().join("resolv.conf");
        std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").unwrap();
        let upstream = Upstream { path: resolv_conf.clone(), port };
        working.spawn(serve(sockets, Source { vpc: vpc.vpc, taken, upstream }));

        let asker = netns::within(&path, || UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        asker.set_nonblocking(true).unwrap();
        let asker = tokio::net::UdpSocket::from_std(asker).unwrap();
        let mut buffer = [0; 512];
        let address = |bytes: &[u8]| {
            let packet = Packet::parse(bytes).unwrap();
            assert_eq!(packet.id(), 7);
            packet
                .answers
                .iter()
                .any(|answer| matches!(&answer.rdata, RData::A(a) if a.address == 0xcb00_7109))
        };
        asker.send_to(&query("example.com"), (SERVER, PORT)).await.unwrap();
        let length = asker.recv(&mut buffer).await.unwrap();
        assert!(address(&buffer[..length]));
        let stream = netns::within(&path, || std::net::TcpStream::connect((SERVER, PORT)).unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream).unwrap();
        let asked = query("example.com");
        stream.write_u16(u16::try_from(asked.len()).unwrap()).await.unwrap();
        stream.write_all(&asked).await.unwrap();
        let length = usize::from(stream.read_u16().await.unwrap());
        stream.read_exact(&mut buffer[..length]).await.unwrap();
        assert!(address(&buffer[..length]));

        // Without a server that answers it is said, and names that are ours alone are not asked for at all.
        std::fs::write(&resolv_conf, "search example\n").unwrap();
        for (name, code) in [("example.com", RCODE::ServerFailure), ("db.local", RCODE::NameError)] {
            asker.send_to(&query(name), (SERVER, PORT)).await.unwrap();
            let length = asker.recv(&mut buffer).await.unwrap();
            assert_eq!(Packet::parse(&buffer[..length]).unwrap().rcode(), code, "{name}");
        }
        drop(working);
        netns::delete_all(&folder.path().join("netns")).unwrap();
    }
}
