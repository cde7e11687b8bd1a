//! What a client and a target see of a load balancer, byte for byte.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "`common` is shared by several suites")]

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::{Backend, Client, Lb, Response, timed};
use desired::Action;
use expect_test::{Expect, expect};

/// The head with what differs from run to run taken out.
fn check_head(head: &[String], expected: &Expect) {
    let hide = |line: &String| match line.split_once("Root=1-") {
        Some((before, id)) => {
            let (time, id) = id.split_once('-').unwrap();
            assert!(time.len() == 8 && id.len() == 24, "{line}");
            format!("{before}Root=1-<time>-<id>\n")
        }
        None => format!("{line}\n"),
    };
    expected.assert_eq(&head.iter().map(hide).collect::<String>());
}

#[test]
fn a_target_sees_the_request_with_alb_s_headers_and_the_names_as_the_client_wrote_them() {
    let backend = Backend::saying("hello world");
    let lb = Lb::healthy(&[backend.address]);
    let response = lb
        .client()
        .send("GET /a/b?c=d%20e HTTP/1.1\r\nhOsT: example.com\r\nX-Custom-ID: 1\r\nX-Forwarded-For: 10.9.8.7\r\nX-Forwarded-Proto: https\r\nConnection: keep-alive, X-Hop\r\nX-Hop: gone\r\nKeep-Alive: timeout=9\r\nAccept: */*\r\n\r\n")
        .receive();
    assert_eq!((response.status, response.text().as_str()), (200, "hello world"));
    let mut head = backend.seen()[0].head.clone();
    head[1..].sort();
    check_head(
        &head,
        &expect![[r#"
            GET /a/b?c=d%20e HTTP/1.1
            Accept: */*
            X-Amzn-Trace-Id: Root=1-<time>-<id>
            X-Custom-ID: 1
            X-Forwarded-For: 10.9.8.7, 127.0.0.1
            X-Forwarded-Port: 80
            X-Forwarded-Proto: http
            hOsT: example.com
        "#]],
    );
}

#[test]
fn a_client_sees_the_target_s_response_without_its_connection_headers() {
    let backend = Backend::start(|connection, _| {
        connection.raw("HTTP/1.1 201 Made\r\nX-Thing: a\r\nConnection: close, X-Hop\r\nX-Hop: gone\r\nContent-Length: 2\r\nServer: mine\r\n\r\nok");
        false
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    let response = client.get("/");
    assert_eq!((response.status, response.text().as_str()), (201, "ok"));
    assert_eq!(response.headers["server"], "mine");
    assert!(response.headers.contains_key("date"));
    assert!(!response.headers.contains_key("connection") && !response.headers.contains_key("x-hop"));
    // The target's `close` is for its own connection: the client's goes on.
    assert_eq!(client.get("/").status, 201);
}

#[test]
fn without_a_registered_target_the_answer_is_503_in_alb_s_form() {
    let lb = Lb::start(&[]);
    let mut client = lb.client();
    let Response { line, headers, body, .. } = client.get("/");
    assert_eq!(line, "HTTP/1.1 503 Service Temporarily Unavailable");
    assert_eq!((headers["server"].as_str(), headers["content-type"].as_str()), ("awselb/2.0", "text/html"));
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    // The connection stays.
    assert_eq!(client.get("/").status, 503);
}

#[test]
fn a_fixed_response_is_answered_without_any_target() {
    let lb = Lb::with(&[], |lb| {
        lb.listeners[0].default_action = Action::FixedResponse {
            status: 418,
            content_type: "text/plain".to_owned(),
            body: "short and stout".to_owned(),
        };
    });
    let response = lb.get("/");
    assert_eq!((response.status, response.text().as_str()), (418, "short and stout"));
    assert_eq!(response.headers["content-type"], "text/plain");
    assert_eq!(response.headers["server"], "awselb/2.0");
    let head = lb.client().send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").receive_head();
    assert_eq!((head.status, head.headers["content-length"].as_str()), (418, "15"));
}

#[test]
fn what_is_no_request_is_refused_in_alb_s_form_and_the_connection_closes() {
    let backend = Backend::saying("hello");
    let lb = Lb::healthy(&[backend.address]);
    let long = "a".repeat(17 << 10);
    let many = format!("X-Filler: {}\r\n", "a".repeat(8000)).repeat(11);
    let forwarded = vec!["10.0.0.1"; 31].join(", ");
    let cases = [
        ("garbage\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {forwarded}\r\n\r\n"), 463),
    ];
    for (request, status) in cases {
        let shown = &request[..request.len().min(60)];
        let mut client = lb.client();
        // A request that is refused early may be reset before it is sent whole.
        let _ = client.stream.write_all(request.as_bytes());
        let response = client.try_receive(true).unwrap_or_else(|| panic!("no response to {shown}"));
        assert_eq!(response.status, status, "{shown}");
        assert_eq!(response.headers["server"], "awselb/2.0", "{shown}");
        assert!(response.text().starts_with(&format!("<html>\r\n<head><title>{status} ")), "{shown}");
        if matches!(status, 400 | 414) {
            assert_eq!(response.headers["connection"], "close", "{shown}");
            assert_eq!(client.rest(), b"", "{shown}");
        }
    }
    assert_eq!(backend.seen().len(), 0);
}

#[test]
fn no_request_is_smuggled_in_the_body_of_another() {
    let backend = Backend::saying("hello");
    let lb = Lb::healthy(&[backend.address]);
    // Both framings: as in ALB's mode `defensive` the chunks count, and the connection closes behind the response.
    for headers in [
        "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let before = backend.seen().len();
        let mut client = lb.client();
        client.send(format!("POST /outer HTTP/1.1\r\nHost: a\r\n{headers}\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.receive().status, 200);
        assert_eq!(client.rest(), b"", "nothing is answered behind it");
        let seen = backend.seen();
        assert_eq!(seen.len(), before + 1);
        assert_eq!(
            (seen[before].line(), seen[before].body.as_slice()),
            ("POST /outer HTTP/1.1", &b"abc"[..])
        );
        assert_eq!(seen[before].header("content-length"), None);
    }
    let before = backend.seen().len();
    // None of these reaches the target whole.
    for (headers, body) in [
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        ("Content-Length: +3\r\n", "abc"),
        ("Content-Length: 3, 3\r\n", "abc"),
        ("X: a\r\n folded: b\r\nContent-Length: 0\r\n", ""),
    ] {
        let response =
            lb.client().send(format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")).receive();
        assert_eq!(response.status, 400, "{headers}");
    }
    for body in ["zz\r\nabc\r\n0\r\n\r\n", "3 \r\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc\r\n"] {
        let mut client = lb.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        let response = client.try_receive(true);
        assert!(response.is_none_or(|response| response.status == 400), "{body}");
    }
    assert_eq!(backend.seen().len(), before);
}

#[test]
fn bodies_pass_both_ways_as_they_come() {
    // The target answers each chunk as soon as it has it: only streaming gets to the end.
    let backend = Backend::raw(common::loopback(), |connection, record| {
        while let Some(seen) = connection.receive_head() {
            if record(&seen, connection) {
                continue;
            }
            assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
            connection.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..3 {
                let mut chunk = [0; 8];
                connection.reader.read_exact(&mut chunk).unwrap();
                assert_eq!(&chunk[..3], b"3\r\n");
                let text = String::from_utf8(chunk[3..6].to_vec()).unwrap().to_uppercase();
                connection.raw(&format!("3\r\n{text}\r\n"));
            }
            connection.reader.read_exact(&mut [0; 5]).unwrap();
            connection.raw("0\r\n\r\n");
        }
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.exactly(1));
    }
    assert_eq!(client.exactly(8), b"3\r\nABC\r\n");
    client.send("3\r\ndef\r\n");
    assert_eq!(client.exactly(8), b"3\r\nDEF\r\n");
    client.send("3\r\nghi\r\n");
    assert_eq!(client.exactly(8), b"3\r\nGHI\r\n");
    client.send("0\r\n\r\n");
    assert_eq!(client.exactly(5), b"0\r\n\r\n");
}

#[test]
fn large_bodies_come_whole() {
    let backend = Backend::start(|connection, seen| {
        let body: String = seen.body.iter().map(|byte| char::from(*byte)).collect();
        connection.answer(&body)
    });
    let lb = Lb::healthy(&[backend.address]);
    let large: String = ('a'..='z').cycle().take(8 << 20).collect();
    let mut client = lb.client();
    for _ in 0..2 {
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", large.len()));
        let (mut half, text) = (client.stream.try_clone().unwrap(), large.clone());
        let sender = std::thread::spawn(move || half.write_all(text.as_bytes()).unwrap());
        let response = client.receive();
        sender.join().unwrap();
        assert!(response.body == large.as_bytes(), "{} bytes", response.body.len());
    }
}

#[test]
fn head_no_content_and_not_modified_have_no_body_and_the_connection_goes_on() {
    let backend = Backend::start(|connection, seen| {
        let answer = match seen.line().split(' ').nth(1) {
            Some("/none") => "HTTP/1.1 204 No Content\r\n\r\n",
            Some("/chunks") if seen.line().starts_with("HEAD") => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            }
            Some("/same") => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
        };
        connection.raw(answer)
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").receive_head();
    assert_eq!((head.status, head.headers["content-length"].as_str()), (200, "1234"));
    let head = client.send("HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n").receive_head();
    assert_eq!((head.status, head.headers.get("content-length")), (200, None));
    assert_eq!(client.get("/none").status, 204);
    let same = client.get("/same");
    assert_eq!((same.status, same.headers["etag"].as_str()), (304, "\"a\""));
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").receive_head();
    assert_eq!(head.status, 200);
}

#[test]
fn a_client_of_http_1_0_gets_a_body_without_chunks_and_the_end_of_the_connection() {
    let backend = Backend::start(|connection, _| {
        connection.raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        )
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    let response = client.send("GET / HTTP/1.0\r\n\r\n").receive();
    assert_eq!((response.status, response.text().as_str()), (200, "hello world"));
    assert!(!response.headers.contains_key("transfer-encoding"));
    let seen = &backend.seen()[0];
    assert_eq!(seen.line(), "GET / HTTP/1.1");
    assert_eq!(seen.header("host"), Some(lb.address.ip().to_string().as_str()));
}

#[test]
fn expect_is_answered_by_the_load_balancer_and_not_passed_on() {
    let backend = Backend::start(|connection, seen| {
        assert_eq!(seen.header("expect"), None);
        connection.answer(std::str::from_utf8(&seen.body).unwrap())
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.receive_head().status, 100);
    assert_eq!(client.send("body").receive().text(), "body");
}

#[test]
fn requests_in_a_row_without_waiting_are_answered_in_order() {
    let backend = Backend::start(|connection, seen| connection.answer(seen.line()));
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.receive().text(), format!("GET /{n} HTTP/1.1"));
    }
}

#[test]
fn an_absolute_form_names_the_host() {
    let backend = Backend::saying("hello");
    let lb = Lb::healthy(&[backend.address]);
    lb.client().send("GET http://real.example/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n").receive();
    let seen = &backend.seen()[0];
    assert_eq!((seen.line(), seen.header("host")), ("GET /x?y HTTP/1.1", Some("real.example")));
}

#[test]
fn headers_with_other_characters_in_their_names_pass_unless_the_attribute_drops_them() {
    let backend = Backend::saying("hello");
    let mut lb = Lb::healthy(&[backend.address]);
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nx_user: 1\r\nx-user: 2\r\n\r\n";
    lb.client().send(request).receive();
    lb.change(|lb| lb.drop_invalid_headers = true);
    lb.client().send(request).receive();
    let seen = backend.seen();
    let of = |at: usize| (seen[at].header("x_user"), seen[at].header("x-user"));
    assert_eq!((of(0), of(1)), ((Some("1"), Some("2")), (None, Some("2"))));
}

#[test]
fn a_websocket_is_passed_through_and_other_upgrades_are_not() {
    let backend = Backend::raw(common::loopback(), |connection, record| {
        while let Some(seen) = connection.receive() {
            if record(&seen, connection) {
                continue;
            }
            if seen.header("upgrade").is_none() {
                connection.answer("plain");
                continue;
            }
            assert_eq!(seen.header("connection"), Some("Upgrade"));
            connection.raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: k\r\n\r\nfirst");
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = connection.reader.read(&mut buffer) {
                let text = String::from_utf8(buffer[..count].to_vec()).unwrap().to_uppercase();
                connection.raw(&text);
            }
            break;
        }
    });
    let mut lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
    let head = client.receive_head();
    assert_eq!((head.status, head.headers["upgrade"].as_str()), (101, "websocket"));
    assert_eq!(head.headers["sec-websocket-accept"], "k");
    assert_eq!(client.exactly(5), b"first");
    assert_eq!(client.send("hello").exactly(5), b"HELLO");
    // It counts as a request in flight.
    lb.drain(backend.address);
    assert_eq!(lb.health(backend.address), desired::HealthState::Draining);
    assert_eq!(client.send("still").exactly(5), b"STILL");
    drop(client);
    lb.wait("drained", |status| common::health_of(status, backend.address) == desired::HealthState::Drained);
    lb.set_lifecycle(backend.address, desired::TargetLifecycle::Registered);
    lb.wait_all_healthy();
    let plain = lb.client().send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n").receive();
    assert_eq!((plain.status, plain.text().as_str()), (200, "plain"));
}

#[test]
fn a_client_that_does_not_finish_its_head_is_closed_after_the_idle_timeout() {
    let lb = Lb::with(&[], |lb| lb.idle_timeout = Duration::from_secs(1));
    let mut client = lb.client();
    client.send("GET / HTTP/1.1\r\nHo");
    let (rest, time) = timed(|| client.rest());
    assert_eq!(rest, b"");
    assert!(time < Duration::from_secs(5), "{time:?}");
    // Also one that says nothing between two requests.
    let mut client = lb.client();
    assert_eq!(client.get("/").status, 503);
    let (rest, time) = timed(|| client.rest());
    assert!(
        rest.is_empty() && time > Duration::from_millis(500) && time < Duration::from_secs(5),
        "{time:?}"
    );
}

#[test]
fn a_body_that_stops_is_408_and_one_whose_client_goes_ends_the_target_s_request() {
    let backend = Backend::saying("hello");
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_secs(1));
    lb.wait_all_healthy();
    let mut client = lb.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.receive().status, 408);
    drop(lb);
    backend.wait_for_connections(0);
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    backend.wait_for_connections(1);
    drop(client);
    backend.wait_for_connections(0);
    assert_eq!(backend.seen().len(), 0);
}

#[test]
fn a_client_that_goes_while_it_waits_ends_the_target_s_request() {
    let backend = Backend::start(|connection, _| {
        // Ends when the load balancer closes.
        connection.receive().is_some()
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    backend.wait_for_connections(1);
    drop(client);
    backend.wait_for_connections(0);
}

#[test]
fn a_client_that_does_not_read_is_cut_after_the_idle_timeout() {
    let backend = Backend::start(|connection, _| connection.answer(&"x".repeat(32 << 20)));
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_secs(1));
    lb.wait_all_healthy();
    let mut client = Client::connect(lb.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    // The target's connection ends though the client's is open.
    backend.wait_for_connections(0);
    assert!(client.try_receive(true).is_none());
}
