//! Addresses of names, from the task's own DNS servers and nobody else; failures in Go's words, as Fargate shows them.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use types::Backoff;

use super::{DNS_TIMEOUT, PAUSE};

/// Before a closed port is tried again for the first time; then twice as long, up to [`PAUSE`]. A VPC's server begins with
/// its first interface, at the moment when this is asked.
const CLOSED: Backoff = Backoff::new(Duration::from_millis(4), PAUSE);

/// How often the servers are asked.
const TRIES: usize = 2;
/// What Go says of a server that cannot answer; the next one is asked.
const MISBEHAVING: &str = "server misbehaving";

/// The addresses of a host name, or of the address that it is. The servers are asked in turn until one of them knows
/// whether there is such a name.
pub(super) fn lookup(host: &str, servers: &[Ipv4Addr]) -> Result<Vec<Ipv4Addr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let say = |server: Ipv4Addr, why: &dyn std::fmt::Display| {
        format!("dial tcp: lookup {host} on {server}:53: {why}")
    };
    let mut last = format!("dial tcp: lookup {host}: no DNS server is known");
    for server in (0..TRIES).flat_map(|_| servers).copied() {
        let say = |why: &dyn std::fmt::Display| say(server, why);
        let id = u16::from_str_radix(&types::random_hex(4), 16).unwrap_or(1);
        let query = question(id, host).map_err(|error| say(&error))?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|cause| say(&cause))?;
        let asked = socket.connect((server, 53)).and_then(|()| ask(&socket, &query, id, host));
        last = match asked {
            Ok(Some(Err(why))) if why != MISBEHAVING => return Err(say(&why)),
            Ok(Some(Err(why))) => say(&why),
            Ok(Some(Ok(addresses))) => return Ok(addresses),
            Ok(None) => {
                let own = socket.local_addr().map_or_else(|_| String::new(), |own| format!("{own}->"));
                say(&format!("read udp {own}{server}:53: i/o timeout"))
            }
            Err(cause) => say(&cause),
        };
    }
    Err(last)
}

fn question(id: u16, host: &str) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(host)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec()
}

type Answer = Result<Vec<Ipv4Addr>, &'static str>;

/// Sends the question and waits for its answer; None when none comes in time. A closed port counts as silence: the
/// VPC's server may be about to begin. It is asked again and again then, also when nothing comes back: the kernel tells
/// of a closed port a few times and then only once a second (`icmp_ratelimit`).
fn ask(socket: &UdpSocket, query: &[u8], id: u16, host: &str) -> std::io::Result<Option<Answer>> {
    send(socket, query)?;
    let deadline = Instant::now() + DNS_TIMEOUT;
    let (mut buffer, mut closed) = ([0; 4096], None::<Backoff>);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(closed.as_ref().map_or(left, |closed| left.min(closed.pause()))))?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let Some(answer) = read(&buffer[..length], id, host) {
                    return Ok(Some(answer));
                }
            }
            Err(cause) => match (cause.kind(), &mut closed) {
                (std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut, Some(closed)) => {
                    closed.grow();
                    send(socket, query)?;
                }
                (std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut, None) => return Ok(None),
                (std::io::ErrorKind::Interrupted, _) => (),
                (std::io::ErrorKind::ConnectionRefused, closed) => {
                    closed.get_or_insert(CLOSED);
                }
                _ => return Err(cause),
            },
        }
    }
}

/// Sends the question. What an earlier one met is told to the next call, which then sends nothing.
fn send(socket: &UdpSocket, query: &[u8]) -> std::io::Result<()> {
    match socket.send(query) {
        Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => socket.send(query).map(drop),
        sent => sent.map(drop),
    }
}

/// The addresses in an answer; None when it answers another question.
fn read(bytes: &[u8], id: u16, host: &str) -> Option<Answer> {
    let packet = Packet::parse(bytes).ok()?;
    let asked = packet.questions.first().is_some_and(|q| q.qname.to_string().eq_ignore_ascii_case(host));
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return None;
    }
    let addresses: Vec<Ipv4Addr> = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(a) => Some(Ipv4Addr::from(a.address)),
            _ => None,
        })
        .collect();
    Some(match packet.rcode() {
        RCODE::NoError if !addresses.is_empty() => Ok(addresses),
        RCODE::NoError | RCODE::NameError => Err("no such host"),
        _ => Err(MISBEHAVING),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    fn reply(id: u16, host: &str, address: Option<Ipv4Addr>) -> Vec<u8> {
        let query = question(id, host).unwrap();
        let mut packet = Packet::parse(&query).unwrap().into_reply();
        if let Some(address) = address {
            let data = RData::A(A { address: address.into() });
            packet.answers.push(ResourceRecord::new(Name::new(host).unwrap(), CLASS::IN, 1, data));
        } else {
            *packet.rcode_mut() = RCODE::NameError;
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn answers_are_read_and_those_to_other_questions_are_not() {
        let address = Ipv4Addr::new(198, 19, 0, 10);
        let bytes = reply(7, "api.ecr.example", Some(address));
        assert_eq!(read(&bytes, 7, "API.ecr.example"), Some(Ok(vec![address])));
        assert_eq!(read(&bytes, 8, "api.ecr.example"), None);
        assert_eq!(read(&bytes, 7, "evil.example"), None);
        assert_eq!(read(b"junk", 7, "evil.example"), None);
        assert_eq!(read(&reply(7, "nowhere", None), 7, "nowhere"), Some(Err("no such host")));
    }

    #[test]
    fn a_closed_port_is_silence() {
        let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(closed).unwrap();
        assert!(matches!(ask(&socket, b"question", 7, "api.ecr.example"), Ok(None)));
    }

    #[test]
    fn an_address_needs_no_server() {
        assert_eq!(lookup("198.19.0.10", &[]), Ok(vec![Ipv4Addr::new(198, 19, 0, 10)]));
    }
}
