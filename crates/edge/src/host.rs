//! From a host port to a load balancer.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::World;
use crate::head::{self, Head};
use crate::relay::relay;
use crate::route::{choose, response, unknown};

/// Carries one connection to the load balancer that its first request names. It stays there: what a later request on
/// it names is the load balancer's to judge.
pub(crate) async fn carry(world: &World, mut client: TcpStream, port: u16) {
    let mut bytes = Vec::new();
    let host = match timeout(world.limits.head, first_head(&mut client, &mut bytes)).await {
        Ok(Ok(Head::For(host))) => host,
        Ok(Ok(Head::Malformed(why))) => {
            return refuse(world, client, "400 Bad Request", &format!("Landfall: {why}.\n")).await;
        }
        // docker tries TLS first: it must not be left hanging. A client that has gone has gone.
        Ok(Ok(Head::Tls | Head::Begun) | Err(_)) => return,
        Err(_) if bytes.is_empty() => return,
        Err(_) => {
            let text = "Landfall: the request's head did not come in time.\n";
            return refuse(world, client, "408 Request Timeout", text).await;
        }
    };
    let taken = world.taken.borrow().clone();
    let route = taken.edge.as_ref().and_then(|edge| choose(edge, port, &host));
    let addresses = match (route, &taken.edge) {
        (Some(route), _) if route.addresses.is_empty() => {
            let text = format!("Landfall: {host} has no public address yet.\n");
            return refuse(world, client, "503 Service Unavailable", &text).await;
        }
        (Some(route), _) => route.addresses.clone(),
        (None, Some(edge)) => {
            return refuse(world, client, "404 Not Found", &unknown(edge, port, &host)).await;
        }
        (None, None) => return,
    };
    drop(taken);
    let reached = patient(world, &mut client, &mut bytes, reach(world, &addresses, port)).await;
    match reached {
        Ok(mut balancer) => {
            for stream in [&client, &balancer] {
                let _ = stream.set_nodelay(true);
            }
            if matches!(timeout(world.limits.host_idle, balancer.write_all(&bytes)).await, Ok(Ok(()))) {
                drop(bytes);
                let _ = relay(client, balancer, world.limits.host_idle).await;
            }
        }
        // Nothing answered: all that a client learns of packets that are dropped is that time goes by.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => (),
        // Refused: so is the client, as far as that can be done with a connection that is open.
        Err(_) => {
            let _ = client.set_zero_linger();
        }
    }
}

/// Reads until the first head says whom it is for. `Begun`: the client ended before.
async fn first_head(client: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Head> {
    loop {
        let read = client.read_buf(bytes).await?;
        match head::read(bytes) {
            Head::Begun if read == 0 => return Ok(Head::Begun),
            Head::Begun if bytes.len() >= head::LONGEST => {
                return Ok(Head::Malformed("the request's head is longer than 64 KB"));
            }
            Head::Begun => (),
            done => return Ok(done),
        }
    }
}

/// Connects to one of a load balancer's nodes, each connection beginning with the next. Another node is tried when one
/// fails at once; a node that keeps silent is waited for, as a client on AWS would.
async fn reach(world: &World, addresses: &[Ipv4Addr], port: u16) -> io::Result<TcpStream> {
    let turn = world.turn.fetch_add(1, Ordering::Relaxed);
    let mut failed = io::Error::from(io::ErrorKind::ConnectionRefused);
    for step in 0..addresses.len() {
        let address = addresses[turn.wrapping_add(step) % addresses.len()];
        let connecting = world.inside.connect(world.limits.source, SocketAddrV4::new(address, port));
        match timeout(world.limits.connect, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Ok(Err(error)) => failed = error,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed)
}

/// Waits for `reaching` for as long as the client is there. A client that gave up must not have its request delivered
/// a minute later, when a rule is put back; one that has only ended its sending gets a little time.
async fn patient(
    world: &World,
    client: &mut TcpStream,
    bytes: &mut Vec<u8>,
    reaching: impl Future<Output = io::Result<TcpStream>>,
) -> io::Result<TcpStream> {
    let gone = async {
        while bytes.len() < head::LONGEST {
            match client.read_buf(bytes).await {
                Ok(0) => return sleep(world.limits.half_closed).await,
                Ok(_) => (),
                Err(_) => return,
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        reached = reaching => reached,
        () = gone => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Answers and closes, without cutting off the answer because the request's body is still coming.
async fn refuse(world: &World, mut client: TcpStream, status: &str, text: &str) {
    let answering = async {
        client.write_all(&response(status, text)).await?;
        client.shutdown().await?;
        let mut rest = [0; 4096];
        while client.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(world.limits.farewell, answering).await;
}
