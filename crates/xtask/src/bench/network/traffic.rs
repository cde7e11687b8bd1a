//! Packets between two ends, measured by the sockets that send and receive them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use sys::netns;

use super::topology::Ends;
use crate::Error;

/// How long the throughput is measured.
const STREAM: Duration = Duration::from_millis(1500);
const ROUND_TRIPS: usize = 10_000;
const CONNECTIONS: usize = 1500;
/// What does not come to an end by then never does.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one round has measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) bytes_a_second: f64,
    /// In seconds.
    pub(super) round_trip: f64,
    pub(super) connections_a_second: f64,
}

/// Measures one round.
pub(super) fn measure(ends: &Ends) -> Result<Measured, Error> {
    Ok(Measured {
        bytes_a_second: throughput(ends)?,
        round_trip: round_trip(ends)?,
        connections_a_second: connections(ends)?,
    })
}

fn listen(namespace: &Path, address: Ipv4Addr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = netns::within(namespace, || TcpListener::bind((address, 0)))??;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// A connection's two ends: the client's, the server's.
fn connected(ends: &Ends) -> Result<(TcpStream, TcpStream), Error> {
    let (listener, address) = listen(&ends.server, ends.address)?;
    let client = netns::within(&ends.client, || TcpStream::connect_timeout(&address, PATIENCE))??;
    prepare(&client)?;
    Ok((client, accept(&listener)?))
}

fn throughput(ends: &Ends) -> Result<f64, Error> {
    let (mut client, mut server) = connected(ends)?;
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        let (begun, bytes) = (Instant::now(), vec![0; 256 << 10]);
        while begun.elapsed() < STREAM {
            client.write_all(&bytes)?;
        }
        Ok(())
    });
    let (begun, mut received, mut buffer) = (Instant::now(), 0_usize, vec![0; 256 << 10]);
    loop {
        match server.read(&mut buffer)? {
            0 => break,
            read => received += read,
        }
    }
    let took = begun.elapsed().as_secs_f64();
    sender.join().map_err(|_| "the sender failed")??;
    Ok(received as f64 / took)
}

fn round_trip(ends: &Ends) -> Result<f64, Error> {
    let (mut client, mut server) = connected(ends)?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let mut byte = [0];
        for _ in 0..ROUND_TRIPS {
            server.read_exact(&mut byte)?;
            server.write_all(&byte)?;
        }
        Ok(())
    });
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        client.write_all(&[1])?;
        client.read_exact(&mut [0])?;
        times.push(begun.elapsed());
    }
    echo.join().map_err(|_| "the echo failed")??;
    times.sort_unstable();
    Ok(times[ROUND_TRIPS / 2].as_secs_f64())
}

fn connections(ends: &Ends) -> Result<f64, Error> {
    let (listener, address) = listen(&ends.server, ends.address)?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..CONNECTIONS {
            // Whoever closes first keeps the port; here it is the server, whose port is the same anyway.
            drop(accept(&listener)?);
        }
        Ok(())
    });
    let took = netns::within(&ends.client, || -> std::io::Result<Duration> {
        let begun = Instant::now();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            prepare(&stream)?;
            stream.read_to_end(&mut Vec::new())?;
        }
        Ok(begun.elapsed())
    })??;
    server.join().map_err(|_| "the server failed")??;
    Ok(CONNECTIONS as f64 / took.as_secs_f64())
}
