//! An HTTP server that sends back what it is sent, in the standard library alone.
//!
//! `GET /burn` keeps a processor busy for a while and answers the address that was reached, so that a service can be seen
//! to follow its load. `GET /peer` answers who connects: the TCP peer's address and the X-Forwarded-For header. Any other request's body
//! comes back as it is. SIGTERM ends it once the requests at hand are answered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static ENDING: AtomicBool = AtomicBool::new(false);
static BUSY: AtomicUsize = AtomicUsize::new(0);
static LISTENER: AtomicI32 = AtomicI32::new(-1);

const SIGTERM: i32 = 15;
const SHUT_RDWR: i32 = 2;

unsafe extern "C" {
    fn signal(signum: i32, handler: usize) -> usize;
    fn shutdown(socket: i32, how: i32) -> i32;
}

/// Ends the accept call that the main thread waits in.
extern "C" fn on_term(_signal: i32) {
    ENDING.store(true, Ordering::SeqCst);
    // SAFETY: shutdown(2) may be called from a signal handler, and fails harmlessly on a number that is no socket.
    unsafe { shutdown(LISTENER.load(Ordering::SeqCst), SHUT_RDWR) };
}

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    LISTENER.store(listener.as_raw_fd(), Ordering::SeqCst);
    // SAFETY: the handler is a function of the right form that only does what a signal handler may do.
    unsafe { signal(SIGTERM, on_term as *const () as usize) };
    println!("listening on port {port}");
    while !ENDING.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, peer)) => {
                std::thread::spawn(move || {
                    // A connection that breaks is the client's own.
                    let _ = answer(stream, &peer.ip().to_string());
                });
            }
            Err(_) if ENDING.load(Ordering::SeqCst) => break,
            Err(error) => eprintln!("a connection cannot be taken: {error}"),
        }
    }
    println!("SIGTERM: finishing the requests at hand");
    let deadline = Instant::now() + Duration::from_secs(10);
    while BUSY.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn answer(stream: TcpStream, peer: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(75)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request_line = String::new();
        if reader.by_ref().take(8192).read_line(&mut request_line)? == 0 {
            return Ok(());
        }
        BUSY.fetch_add(1, Ordering::SeqCst);
        let again = exchange(&request_line, peer, &mut reader, &mut writer);
        BUSY.fetch_sub(1, Ordering::SeqCst);
        if !again? || ENDING.load(Ordering::SeqCst) {
            return Ok(());
        }
    }
}

/// Counts for a twentieth of a second.
fn burn() {
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < Duration::from_millis(50) {
        count = std::hint::black_box(count.wrapping_mul(31).wrapping_add(7));
    }
}

/// Answers one request; gives whether the connection stays open.
fn exchange(
    request_line: &str,
    peer: &str,
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
) -> std::io::Result<bool> {
    let (mut length, mut chunked, mut keep, mut forwarded, mut expects) =
        (0, false, true, String::new(), false);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(65536).read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            "x-forwarded-for" => forwarded = value.to_owned(),
            "expect" => expects = true,
            _ => (),
        }
    }
    let path = request_line.split(' ').nth(1).unwrap_or("/");
    let keep = keep && !ENDING.load(Ordering::SeqCst);
    let connection = if keep { "keep-alive" } else { "close" };
    if path == "/peer" || path == "/burn" {
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        let body = if path == "/burn" {
            burn();
            format!("{}\n", writer.local_addr()?.ip())
        } else {
            format!("peer {peer}\nx-forwarded-for {forwarded}\n")
        };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n{body}",
            body.len()
        )?;
        return Ok(keep);
    }
    if expects {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if !chunked {
        write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: {connection}\r\n\r\n")?;
        std::io::copy(&mut reader.by_ref().take(length), writer)?;
        return Ok(keep);
    }
    write!(writer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: {connection}\r\n\r\n")?;
    loop {
        let mut size = String::new();
        reader.by_ref().take(64).read_line(&mut size)?;
        let text = size.trim().split(';').next().unwrap_or_default();
        let Ok(bytes) = u64::from_str_radix(text, 16) else { return Ok(false) };
        write!(writer, "{bytes:x}\r\n")?;
        std::io::copy(&mut reader.by_ref().take(bytes), writer)?;
        let mut end = String::new();
        reader.by_ref().take(64).read_line(&mut end)?;
        writer.write_all(b"\r\n")?;
        if bytes == 0 {
            return Ok(keep);
        }
    }
}
