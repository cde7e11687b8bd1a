//! Signed requests a second.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::server::{Head, Key, REGION, Server, query};
use super::{page, statistics::median};
use crate::Error;

const REQUESTS: usize = 10_000;
const CONNECTIONS: usize = 16;
/// One in so many has a wrong signature.
const WRONG: usize = 1_000;
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

pub(crate) fn run(binary: &Path, rounds: usize) -> Result<(), Error> {
    let server = Server::start(binary, tempfile::tempdir()?)?;
    let root = server.root_key()?;
    let keys = [root.clone(), server.role_key(&root)?];
    // Fills what is filled once: derived signing keys, connections' memory.
    round(server.address, &prepared(server.address, &keys, usize::MAX))?;
    let mut rates = Vec::new();
    for number in 0..rounds {
        let requests = prepared(server.address, &keys, number);
        let took = round(server.address, &requests)?;
        let rate = REQUESTS as f64 / took;
        println!("round {number}: {rate:.0} requests/s");
        rates.push(rate);
    }
    let rate = median(&rates).ok_or("no rounds")?;
    page::put(
        "auth",
        "Signed requests",
        &[
            (
                "10,000 distinct signed GetCallerIdentity from a root key and a role session, 16 connections",
                rate.cell(0, "/s"),
            ),
            ("of these with a wrong signature, and refused", format!("{}", REQUESTS / WRONG)),
            ("promised", "30,000/s".to_owned()),
        ],
    )
}

/// A request, and the status it must be answered with.
struct Prepared {
    bytes: Vec<u8>,
    status: u16,
}

fn prepared(address: SocketAddr, keys: &[Key; 2], round: usize) -> Vec<Prepared> {
    let request = |number: usize| {
        let key = &keys[number % 2];
        let mut bytes = query(address, key, "sts", REGION, BODY, &format!("{round}-{number}"));
        let is_wrong = number % WRONG == WRONG / 2;
        if is_wrong {
            spoil(&mut bytes);
        }
        Prepared { bytes, status: if is_wrong { 403 } else { 200 } }
    };
    (0..REQUESTS).map(request).collect()
}

/// Changes one digit of the signature.
fn spoil(bytes: &mut [u8]) {
    const SIGNATURE: &[u8] = b"Signature=";
    if let Some(at) = bytes.windows(SIGNATURE.len()).position(|part| part == SIGNATURE) {
        let digit = &mut bytes[at + SIGNATURE.len()];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// The request that is under way.
    request: usize,
}

/// Sends all requests, one at a time on each connection. The seconds it took; an error when one is answered otherwise
/// than it must be.
fn round(address: SocketAddr, requests: &[Prepared]) -> Result<f64, Error> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        connections.push(Connection { stream, received: Vec::with_capacity(4096), request: 0 });
    }
    let begun = Instant::now();
    let mut next = 0;
    for connection in &mut connections {
        send(connection, requests, next)?;
        next += 1;
    }
    let mut done = 0;
    let mut part = [0; 8192];
    while done < requests.len() {
        let ready: Vec<usize> = {
            let mut waiting: Vec<PollFd<'_>> =
                connections.iter().map(|of| PollFd::new(of.stream.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut waiting, PollTimeout::try_from(10_000)?)?;
            (0..waiting.len()).filter(|&at| waiting[at].any() == Some(true)).collect()
        };
        if ready.is_empty() {
            return Err("no answer for ten seconds".into());
        }
        for at in ready {
            let connection = &mut connections[at];
            match connection.stream.read(&mut part) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => connection.received.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            let Some(head) =
                Head::parse(&connection.received)?.filter(|head| connection.received.len() >= head.length)
            else {
                continue;
            };
            let wanted = requests[connection.request].status;
            if head.status != wanted {
                let text = String::from_utf8_lossy(&connection.received);
                return Err(format!("answered {} instead of {wanted}: {text}", head.status).into());
            }
            connection.received.clear();
            done += 1;
            if next < requests.len() {
                send(connection, requests, next)?;
                next += 1;
            }
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn send(connection: &mut Connection, requests: &[Prepared], number: usize) -> Result<(), Error> {
    connection.request = number;
    // A request fits into an empty socket buffer.
    connection.stream.write_all(&requests[number].bytes)?;
    Ok(())
}
