//! Large blobs pass through without filling the memory. In a program of its own, whose peak is the registry's.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use base64::Engine;
use common::{PASSWORD, Server, catalog};
use registry::Hasher;

const PIECES: usize = 256;
const PIECE: usize = 1 << 20;

/// The process's largest memory so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Reads an answer's head.
fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head
}

#[test]
fn a_large_blob_is_pushed_and_read_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog());
    let authorization = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{PASSWORD}"));
    let piece = |at: usize| vec![u8::try_from(at % 256).unwrap(); PIECE];
    let mut hasher = Hasher::new();
    (0..PIECES).for_each(|at| hasher.update(&piece(at)));
    let digest = hasher.finish();
    let before = peak();

    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    write!(
        stream,
        "POST /v2/other/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n\
         Authorization: Basic {authorization}\r\nContent-Length: {}\r\n\r\n",
        PIECES * PIECE
    )
    .unwrap();
    (0..PIECES).for_each(|at| stream.write_all(&piece(at)).unwrap());
    assert!(head(&mut reader).starts_with("HTTP/1.1 201"));

    write!(
        stream,
        "GET /v2/other/blobs/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n\r\n"
    )
    .unwrap();
    assert!(head(&mut reader).starts_with("HTTP/1.1 200"));
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE];
    for _ in 0..PIECES {
        reader.read_exact(&mut buffer).unwrap();
        hasher.update(&buffer);
    }
    assert_eq!(hasher.finish(), digest);
    let grown = peak() - before;
    assert!(grown < 32 * 1024, "{grown} KiB for a blob of {} KiB", PIECES * PIECE / 1024);
}
