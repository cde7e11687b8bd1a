//! Clients that mean no good: whatever they send, the load balancer neither panics nor stops serving others.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "`common` is shared by several suites")]

mod common;

use std::io::Write;
use std::net::Shutdown;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Backend, Lb, timed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Panics on threads of the load balancer, which keeps them to itself.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(panic);
        }));
    });
}

/// Pieces of requests, whole and broken.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\n",
        "HEAD /x HTTP/1.0\r\n",
        "GET http://a/ HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "Host: a\r\n",
        "Host: \r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, upgrade, host, x-forwarded-for\r\n",
        "Connection: ,,\u{1},\r\n",
        "Upgrade: websocket\r\n",
        "Expect: 100-continue\r\n",
        "X-Forwarded-For: \u{ff}\r\n",
        "X-Amzn-Trace-Id: ;;=;Root;Self=\r\n",
        "X-Amzn-Trace-Id: Root=1-2-3\r\n",
        "\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "hello",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

#[test]
fn no_sequence_of_bytes_breaks_the_load_balancer() {
    count_panics();
    let backend = Backend::saying("a");
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_millis(100));
    lb.wait_all_healthy();
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let pieces = || prop::collection::vec(piece(), 0..6).prop_map(|pieces| pieces.concat());
    // Half of them begin like requests.
    let begun = (prop::sample::select(vec!["GET", "POST", "HEAD", "ODD"]), pieces(), pieces()).prop_map(
        |(method, headers, body)| {
            let line = format!("{method} / HTTP/1.1\r\nHost: a\r\n");
            [line.as_bytes(), &headers, b"\r\n", &body].concat()
        },
    );
    let bytes = prop_oneof![pieces(), begun];
    runner
        .run(&bytes, |bytes| {
            let mut client = lb.client();
            // The other side may have closed by now.
            let _ = client.stream.write_all(&bytes);
            // A client that ends its side gives up what it asked for: the others wait for their answers.
            if bytes.len() % 4 == 0 {
                let _ = client.stream.shutdown(Shutdown::Write);
            }
            client.rest();
            prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
            Ok(())
        })
        .unwrap();
    let response = lb.get("/");
    assert_eq!((response.status, response.text().as_str()), (200, "a"));
    // What was understood as a request reached the target with exactly one of each.
    assert!(backend.seen().len() > 30, "{}", backend.seen().len());
    for seen in backend.seen() {
        for name in ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"] {
            let has = |line: &&String| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
            assert_eq!(seen.head.iter().filter(has).count(), 1, "{name} in {seen:?}");
        }
    }
}

#[test]
fn heads_that_never_end_hold_up_nobody_and_are_closed() {
    let backend = Backend::saying("a");
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_secs(2));
    lb.wait_all_healthy();
    let mut slow: Vec<_> = (0..150).map(|_| lb.client()).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nX: ");
    }
    let (status, time) = timed(|| lb.get("/").status);
    assert_eq!(status, 200);
    assert!(time < Duration::from_secs(1), "{time:?}");
    let ((), time) = timed(|| {
        for client in &mut slow {
            // A byte now and then buys no time.
            let _ = client.stream.write_all(b"a");
            assert_eq!(client.rest(), b"");
        }
    });
    assert!(time < Duration::from_secs(8), "{time:?}");
}
