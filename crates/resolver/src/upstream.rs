//! What Landfall does not know, asked of the host's own DNS servers, by sockets of the host: only with the internet on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::Transport;
use crate::query::{HEADER, read};

/// How long one server has for its answer, as resolv.conf(5) has it by half: who asks us gives up after 5 seconds.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// How many servers are tried, as resolv.conf(5) has it (MAXNS).
const SERVERS: usize = 3;

/// Where the host's DNS servers are found.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// resolv.conf(5). It is read for each query: hosts move between networks.
    pub(crate) path: PathBuf,
    /// The port of DNS, but in tests.
    pub(crate) port: u16,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { path: PathBuf::from("/etc/resolv.conf"), port: 53 }
    }
}

impl Upstream {
    fn servers(&self) -> Vec<SocketAddr> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        addresses(&text).map(|address| SocketAddr::new(address, self.port)).collect()
    }

    /// The response of the first server that gives one, by the transport that the query came by, so that what is too
    /// long for one is cut there and comes whole by the other.
    pub(crate) async fn ask(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        for server in self.servers() {
            let asking = async {
                match transport {
                    Transport::Udp => datagram(server, query).await,
                    Transport::Tcp => stream(server, query).await,
                }
            };
            if let Ok(Ok(response)) = timeout(PATIENCE, asking).await {
                return Some(response);
            }
        }
        None
    }
}

/// The servers in a resolv.conf.
fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(server).take(SERVERS)
}

async fn datagram(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A socket for each query: its port and the number are what a forger would have to guess (RFC 5452).
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let asked = renumbered(query);
    socket.send(&asked).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(response) = response(query, &asked, &buffer[..length]) {
            return Ok(response);
        }
    }
}

async fn stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let asked = renumbered(query);
    let length = u16::try_from(asked.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), asked.as_slice()].concat()).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    response(query, &asked, &buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The query with a number of our own.
fn renumbered(query: &[u8]) -> Vec<u8> {
    let number = u16::from_str_radix(&types::random_hex(4), 16).unwrap_or_default();
    [&number.to_be_bytes(), query.get(2..).unwrap_or_default()].concat()
}

/// A server's response with the asker's number, if it is one to what was asked.
fn response(query: &[u8], asked: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let question = read(query).ok()?.question;
    let answers = bytes.get(..2) == asked.get(..2) && bytes.get(2)? & 0x80 != 0;
    let same = bytes.get(HEADER..)?.get(..question.len())?.eq_ignore_ascii_case(question);
    (answers && same).then(|| [&query[..2], &bytes[2..]].concat())
}

/// Whether a name that Landfall does not know may be asked of the host's servers. Names that only mean something on the
/// host or its network are not: a VPC is not there.
pub(crate) fn may_be_asked(name: &str) -> bool {
    let mut labels = name.rsplit('.');
    match labels.next() {
        None | Some("" | "localhost" | "local" | "internal") => false,
        Some("arpa") if name.ends_with(".in-addr.arpa") => {
            let address: Vec<&str> = labels.skip(1).collect();
            address.join(".").parse().is_ok_and(desired::is_outward)
        }
        Some(_) => name.contains('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_resolv_conf_has_them() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 127.0.0.53\nnameserver\tfe80::1%eth0\n\
                    nameserver ::1 \nnameserver 10.0.0.1\nnameserver 10.0.0.2\n";
        let found: Vec<String> = addresses(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["127.0.0.53", "::1", "10.0.0.1"]);
    }

    #[test]
    fn names_of_the_hosts_own_network_are_not_asked_for() {
        for (name, may) in [
            ("example.com", true),
            ("8.8.8.8.in-addr.arpa", true),
            ("1.0.168.192.in-addr.arpa", false),
            ("168.192.in-addr.arpa", false),
            ("printer", false),
            ("printer.local", false),
            ("ip-10-0-0-1.ap-northeast-2.compute.internal", false),
            ("x.localhost", false),
            ("", false),
        ] {
            assert_eq!(may_be_asked(name), may, "{name}");
        }
    }
}
