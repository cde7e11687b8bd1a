//! From the host to load balancers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use desired::HostListener;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};

use super::stage::{BALANCER, OTHER, PORT, Stage, exchange, patient, serve_one};
use crate::{HOST_INSIDE, Limits};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn stage(limits: Limits) -> Stage {
    let mut stage = Stage::new(&[BALANCER], limits);
    stage.start();
    stage
}

/// A load balancer whose queue is full: to whoever comes, it is as silent as one that a security group hides.
fn silent(stage: &Stage) -> (TcpListener, TcpStream) {
    let make = || {
        let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(BALANCER, PORT)))?;
        listen(&fd, Backlog::new(0)?)?;
        std::io::Result::Ok((TcpListener::from(fd), TcpStream::connect((BALANCER, PORT))?))
    };
    sys::netns::within(&stage.internet(), make).unwrap().unwrap()
}

#[test]
fn a_request_reaches_its_load_balancer_byte_by_byte_and_from_the_documented_address() {
    let stage = stage(Limits::default());
    let serving = serve_one(stage.balancer(BALANCER), ANSWER);
    let request =
        "POST /a?b HTTP/1.1\r\nhOsT:  App.ELB.localhost:8080\r\nX: \u{7}y\r\n\r\nbody\r\n\r\nGET / more";
    assert_eq!(exchange(stage.client(), request), ANSWER);
    let (peer, received) = serving.join().unwrap();
    assert_eq!(received, request);
    assert_eq!(peer.ip(), HOST_INSIDE);
}

#[test]
fn a_body_larger_than_every_buffer_crosses_both_ways() {
    let stage = stage(Limits::default());
    let listener = stage.balancer(BALANCER);
    let echoing = std::thread::spawn(move || {
        let mut stream = patient(listener.accept().unwrap().0);
        let mut reading = stream.try_clone().unwrap();
        std::io::copy(&mut reading, &mut stream).unwrap()
    });
    let mut client = stage.client();
    let mut sending = client.try_clone().unwrap();
    let mut bytes = b"PUT / HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n".to_vec();
    bytes.extend((0..20_000_000_u32).map(|n| n.to_le_bytes()[0]));
    let sent = bytes.clone();
    let writing = std::thread::spawn(move || {
        sending.write_all(&sent).unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert_eq!(echoing.join().unwrap(), bytes.len() as u64);
    assert!(back == bytes, "{} of {} bytes came back", back.len(), bytes.len());
}

#[test]
fn who_names_no_load_balancer_is_told_the_names() {
    let stage = stage(Limits::default());
    let answer = exchange(stage.client(), "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("http://app.elb.localhost:8080/\n"), "{answer}");
    let answer = exchange(stage.client(), "GET / HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
}

#[test]
fn a_tls_hello_is_closed_at_once_and_a_slow_head_in_time() {
    let stage = stage(Limits { head: Duration::from_millis(200), ..Limits::default() });
    let mut client = stage.client();
    client.write_all(&[0x16, 3, 1, 0, 5]).unwrap();
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Ok(0) => (),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
        other => panic!("{other:?}"),
    }
    let mut client = stage.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: app").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    let mut client = stage.client();
    client.write_all(&[b'a'; 70_000]).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[test]
fn a_silent_load_balancer_is_silence_to_the_client_until_the_time_is_over() {
    let stage = stage(Limits { connect: Duration::from_millis(300), ..Limits::default() });
    let _full = silent(&stage);
    let mut client = stage.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    assert_eq!(client.read_to_end(&mut answer).unwrap(), 0, "{answer:?}");
}

#[test]
fn a_request_whose_client_gave_up_is_not_delivered_when_the_load_balancer_answers_again() {
    let stage = stage(Limits { half_closed: Duration::from_millis(10), ..Limits::default() });
    let (listener, _filler) = silent(&stage);
    // Its sending ended: the edge closes it when it has given up on it.
    assert_eq!(exchange(stage.client(), "GET /late HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n"), "");
    listener.accept().unwrap();
    let mut client = stage.client();
    client.write_all(b"GET /now HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n").unwrap();
    let mut first = [0; 8];
    patient(listener.accept().unwrap().0).read_exact(&mut first).unwrap();
    assert_eq!(&first, b"GET /now");
}

#[test]
fn a_node_that_refuses_leaves_the_connection_to_the_next_and_none_left_resets_it() {
    let mut stage = Stage::new(&[OTHER, BALANCER], Limits::default());
    stage.start();
    let request = "GET / HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n";
    // Whichever node comes first.
    for _ in 0..2 {
        let serving = serve_one(stage.balancer(BALANCER), ANSWER);
        assert_eq!(exchange(stage.client(), request), ANSWER);
        serving.join().unwrap();
    }
    let mut client = stage.client();
    client.write_all(request.as_bytes()).unwrap();
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn nodes_take_turns() {
    let mut stage = Stage::new(&[BALANCER, OTHER], Limits::default());
    let (first, second) = (stage.balancer(BALANCER), stage.balancer(OTHER));
    stage.start();
    let servings = [serve_one(first, "first"), serve_one(second, "second")];
    let request = "GET / HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n";
    let mut answers = [exchange(stage.client(), request), exchange(stage.client(), request)];
    answers.sort();
    assert_eq!(answers, ["first", "second"]);
    for serving in servings {
        serving.join().unwrap();
    }
}

#[test]
fn a_port_in_use_is_reported_and_taken_when_it_is_free_while_others_go_on() {
    let mut stage = stage(Limits::default());
    let other = TcpListener::bind(stage.port(8081)).unwrap();
    stage.edge.listeners.push(HostListener { port: 8081, routes: Vec::new() });
    stage.apply();
    let status = stage.status(|status| status.listeners.len() == 2);
    let error = status.listeners[1].error.clone().unwrap();
    let start = format!("{} is used by another program; end it (`ss -ltnp", stage.port(8081));
    assert!(error.starts_with(&start), "{error}");
    assert_eq!(status.listeners[0].error, None);
    assert!(exchange(stage.client(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n").contains(" 404 "));
    drop(other);
    stage.settled();
    let client = patient(TcpStream::connect(stage.port(8081)).unwrap());
    assert!(exchange(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").contains("no load balancer on this port"));
}

#[test]
fn an_open_connection_outlives_its_listener() {
    let mut stage = stage(Limits::default());
    let serving = serve_one(stage.balancer(BALANCER), ANSWER);
    let mut client = stage.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: app.elb.localhost\r\n").unwrap();
    // The edge has it when it says that another has been answered after it.
    exchange(stage.client(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(b"\r\n").unwrap();
    let mut early = stage.client();
    early.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    early.read_exact(&mut [0; 12]).unwrap();
    stage.edge.listeners.clear();
    stage.apply();
    stage.settled();
    assert_eq!(exchange(client, "rest"), ANSWER);
    assert!(serving.join().unwrap().1.ends_with("\r\n\r\nrest"));
    let error = TcpStream::connect(stage.port(PORT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_new_edge_takes_over_the_ports_by_its_folder_alone() {
    let mut stage = stage(Limits::default());
    let serving = serve_one(stage.balancer(BALANCER), ANSWER);
    let request = "GET / HTTP/1.1\r\nHost: app.elb.localhost\r\n\r\n";
    assert_eq!(exchange(stage.client(), request), ANSWER);
    serving.join().unwrap();
    stage.stop();
    stage.start();
    let serving = serve_one(stage.balancer(BALANCER), ANSWER);
    assert_eq!(exchange(stage.client(), request), ANSWER);
    serving.join().unwrap();
}
