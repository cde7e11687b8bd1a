//! Targets: health, round robin, draining, connections that break, configurations that change under load.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "`common` is shared by several suites")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{Backend, Lb, Silent, health_of, loopback, target, timed};
use desired::{Action, HealthReason, HealthState, Listener, TargetLifecycle};
use types::Timestamp;

fn unhealthy(reason: HealthReason, description: &str) -> HealthState {
    HealthState::Unhealthy { reason, description: description.to_owned() }
}

/// An address that refuses connections.
fn refusing() -> SocketAddrV4 {
    SocketAddrV4::new(loopback(), 8080)
}

#[test]
fn healthy_targets_take_requests_in_turn() {
    let backends = [Backend::saying("a"), Backend::saying("b"), Backend::saying("c")];
    let lb = Lb::healthy(&backends.each_ref().map(|backend| backend.address));
    // Over one connection and over many the turn is the node's.
    let mut client = lb.client();
    let answers: String = (0..6).map(|_| client.get("/").text()).collect();
    assert_eq!(answers, answers[..3].repeat(2));
    let answers: String = (0..9).map(|_| lb.get("/").text()).collect();
    assert_eq!(answers, answers[..3].repeat(3));
    assert_eq!(["a", "b", "c"].map(|name| answers.matches(name).count()), [3, 3, 3]);
}

#[test]
fn a_health_check_is_asked_as_alb_asks_and_each_on_a_connection_of_its_own() {
    let backend = Backend::saying("a");
    let lb = Lb::with(&[backend.address], |lb| {
        lb.target_groups[0].health_check.interval = Duration::from_millis(50);
    });
    lb.wait_all_healthy();
    let (_, time) = timed(|| {
        while backend.checks().len() < 5 {
            std::thread::yield_now();
        }
    });
    assert!(time < Duration::from_secs(5));
    let check = &backend.checks()[0];
    assert_eq!(check.line(), "GET /health?deep=1 HTTP/1.1");
    assert_eq!(check.header("host"), Some(backend.address.to_string().as_str()));
    assert_eq!(check.header("user-agent"), Some("ELB-HealthChecker/2.0"));
    assert_eq!(check.header("connection"), Some("close"));
    drop(lb);
    backend.wait_for_connections(0);
}

#[test]
fn a_target_turns_by_its_thresholds_and_says_why_in_aws_s_words() {
    let backend = Backend::saying("a");
    let (refusing, silent) = (refusing(), Silent::start());
    let lb = Lb::with(&[backend.address, refusing, silent.address], |lb| {
        let check = &mut lb.target_groups[0].health_check;
        check.interval = Duration::from_millis(200);
        check.timeout = Duration::from_millis(100);
    });
    lb.wait("decided", |status| {
        health_of(status, backend.address) == HealthState::Healthy
            && health_of(status, refusing)
                == unhealthy(HealthReason::FailedHealthChecks, "Health checks failed")
            && health_of(status, silent.address) == unhealthy(HealthReason::Timeout, "Request timed out")
    });
    backend.set_health("404 Not Found");
    let code = unhealthy(HealthReason::ResponseCodeMismatch, "Health checks failed with these codes: [404]");
    lb.wait("unhealthy", |status| health_of(status, backend.address) == code);
    backend.set_health("200 OK");
    lb.wait("healthy again", |status| health_of(status, backend.address) == HealthState::Healthy);
}

#[test]
fn a_matcher_and_a_port_of_its_own_decide() {
    let traffic = Backend::saying("a");
    // The same address, another port: the checks go there.
    let listener = TcpListener::bind((*traffic.address.ip(), 8081)).unwrap();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let lb = Lb::with(&[traffic.address], |lb| {
        let check = &mut lb.target_groups[0].health_check;
        (check.port, check.matcher) = (Some(8081), "200-299,302".to_owned());
    });
    lb.wait_all_healthy();
    answer.join().unwrap();
    assert_eq!((traffic.checks().len(), lb.get("/").text().as_str()), (0, "a"));
}

#[test]
fn a_new_target_is_checked_at_once_and_again_soon_when_nothing_listens_yet() {
    let address = loopback();
    let lb = Lb::with(&[SocketAddrV4::new(address, 8080)], |lb| {
        lb.target_groups[0].health_check.interval = Duration::from_secs(30);
    });
    assert_eq!(lb.health(SocketAddrV4::new(address, 8080)), HealthState::Initial);
    let backend = Backend::at(address, |connection, _| connection.answer("up"));
    let (_, time) = timed(|| lb.wait_all_healthy());
    assert!(time < Duration::from_secs(5), "{time:?}");
    assert_eq!(lb.get("/").text(), "up");
    drop(backend);
}

#[test]
fn with_no_healthy_target_every_registered_one_takes_requests() {
    let (first, second) = (Backend::saying("a"), Backend::saying("b"));
    first.set_health("500 Oops");
    second.set_health("500 Oops");
    let mut lb = Lb::with(&[first.address, second.address], |lb| {
        lb.target_groups[0].health_check.interval = Duration::from_millis(100);
    });
    lb.wait("unhealthy", |status| {
        status.targets.values().flatten().all(|target| matches!(target.health, HealthState::Unhealthy { .. }))
    });
    let answers: String = (0..4).map(|_| lb.get("/").text()).collect();
    assert_eq!((answers.matches('a').count(), answers.matches('b').count()), (2, 2));
    // One healthy target is enough to take all of them.
    second.set_health("200 OK");
    lb.wait("healthy", |status| health_of(status, second.address) == HealthState::Healthy);
    assert_eq!((0..4).map(|_| lb.get("/").text()).collect::<String>(), "bbbb");
    // Draining targets take none, not even now.
    lb.drain(first.address);
    lb.drain(second.address);
    assert_eq!(lb.get("/").status, 503);
}

#[test]
fn a_target_that_refuses_resets_closes_or_talks_nonsense_is_502() {
    let lb = Lb::start(&[refusing()]);
    let response = lb.get("/");
    assert_eq!((response.status, response.line.as_str()), (502, "HTTP/1.1 502 Bad Gateway"));
    assert_eq!(response.headers["server"], "awselb/2.0");
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(33 << 10));
    for answer in
        ["", "HTTP/1.1 200", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", &large]
    {
        let text = answer.to_owned();
        let backend = Backend::start(move |connection, _| {
            connection.raw(&text);
            false
        });
        let lb = Lb::healthy(&[backend.address]);
        assert_eq!(lb.get("/").status, 502, "{:?}", &answer[..answer.len().min(40)]);
        assert_eq!(backend.seen().len(), 1, "a fresh connection is not tried twice");
    }
}

#[test]
fn a_target_that_breaks_off_in_a_body_breaks_off_the_client_s_response() {
    let backend = Backend::start(|connection, _| {
        connection.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        false
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_receive(true).is_none());
}

#[test]
fn a_target_that_takes_no_connection_is_504_after_ten_seconds() {
    let silent = Silent::start();
    let lb = Lb::start(&[silent.address]);
    let (response, time) = timed(|| lb.get("/"));
    assert_eq!((response.status, response.line.as_str()), (504, "HTTP/1.1 504 Gateway Time-out"));
    assert!(time > Duration::from_secs(9) && time < Duration::from_secs(15), "{time:?}");
}

#[test]
fn a_target_that_does_not_answer_in_the_idle_timeout_is_504() {
    let backend = Backend::start(|connection, seen| match seen.line() {
        // Ends when the load balancer closes.
        "GET /never HTTP/1.1" => connection.receive().is_some(),
        _ => {
            connection.raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            connection.receive().is_some()
        }
    });
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_secs(1));
    lb.wait_all_healthy();
    let (response, time) = timed(|| lb.get("/never"));
    assert_eq!(response.status, 504);
    assert!(time > Duration::from_millis(900) && time < Duration::from_secs(5), "{time:?}");
    backend.wait_for_connections(0);
    let mut client = lb.client();
    client.send("GET /stops HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_receive(true).is_none(), "a body that stops is cut");
    backend.wait_for_connections(0);
}

#[test]
fn connections_to_targets_are_used_again_and_closed_when_idle_for_long() {
    let backend = Backend::saying("a");
    let lb = Lb::with(&[backend.address], |lb| lb.idle_timeout = Duration::from_secs(2));
    lb.wait_all_healthy();
    backend.wait_for_connections(0);
    let mut client = lb.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
    }
    backend.wait_for_connections(1);
    // Nothing is asked any more.
    backend.wait_for_connections(0);
}

#[test]
fn a_pooled_connection_that_its_target_closes_costs_no_client_an_error() {
    // Answers once, then closes without a word: `Connection: close` is not said.
    let backend = Backend::start(|connection, _| {
        connection.answer("once");
        false
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    for n in 0..300 {
        assert_eq!(client.get("/").status, 200, "request {n}");
    }
    // The closest race: the target closes when the next request has come.
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let backend = Backend::start(move |connection, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        connection.answer("first") && {
            connection.receive();
            false
        }
    });
    let lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    for n in 0..50 {
        assert_eq!(client.get("/").text(), "first", "request {n}");
    }
    assert_eq!(turns.load(Ordering::SeqCst), 50);
    // A request that may have had an effect is not sent twice.
    let response = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").receive();
    assert_eq!(response.status, 502);
}

#[test]
fn a_deregistered_target_with_nothing_in_flight_is_drained_at_once_and_its_idle_connections_close() {
    let (first, second) = (Backend::saying("a"), Backend::saying("b"));
    let mut lb = Lb::healthy(&[first.address, second.address]);
    let mut client = lb.client();
    for _ in 0..4 {
        client.get("/");
    }
    first.wait_for_connections(1);
    let (_, time) = timed(|| {
        lb.drain(first.address);
        lb.wait("drained", |status| health_of(status, first.address) == HealthState::Drained);
        first.wait_for_connections(0);
    });
    assert!(time < Duration::from_secs(2), "{time:?}");
    let (taken, checks) = (first.seen().len(), first.checks().len());
    assert_eq!((0..6).map(|_| client.get("/").text()).collect::<String>(), "bbbbbb");
    assert_eq!((first.seen().len(), first.checks().len()), (taken, checks));
    // Registered again it is a new target.
    lb.set_lifecycle(first.address, TargetLifecycle::Registered);
    lb.wait_all_healthy();
    let answers: String = (0..6).map(|_| client.get("/").text()).collect();
    assert_eq!(answers.matches('a').count(), 3);
}

/// A target whose answers wait until told.
fn held() -> (Backend, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    let held = barrier.clone();
    let backend = Backend::start(move |connection, seen| match seen.line() {
        "GET /held HTTP/1.1" => {
            held.wait();
            connection.answer("at last")
        }
        // Ends when the load balancer cuts it.
        "GET /never HTTP/1.1" => connection.receive().is_some(),
        _ => connection.answer("now"),
    });
    (backend, barrier)
}

#[test]
fn a_request_in_flight_outlives_its_target_s_deregistration() {
    let (backend, barrier) = held();
    let mut lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    lb.drain(backend.address);
    let status = lb.wait("draining", |status| health_of(status, backend.address) == HealthState::Draining);
    assert_eq!(status.targets[common::GROUP][0].in_flight, 1);
    assert_eq!(lb.get("/").status, 503);
    barrier.wait();
    assert_eq!(client.receive().text(), "at last");
    lb.wait("drained", |status| health_of(status, backend.address) == HealthState::Drained);
    backend.wait_for_connections(0);
}

#[test]
fn what_is_in_flight_is_cut_when_the_deregistration_delay_is_over() {
    let (backend, _barrier) = held();
    let mut lb = Lb::with(&[backend.address], |lb| {
        lb.target_groups[0].deregistration_delay = Duration::from_secs(1);
    });
    lb.wait_all_healthy();
    let mut client = lb.client();
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    let (response, time) = timed(|| {
        lb.drain(backend.address);
        client.receive()
    });
    assert_eq!(response.status, 502);
    assert!(time > Duration::from_millis(900) && time < Duration::from_secs(5), "{time:?}");
    lb.wait("drained", |status| health_of(status, backend.address) == HealthState::Drained);
    backend.wait_for_connections(0);
    // One that was deregistered long ago, as after a restart, is cut at once.
    let since = Timestamp::from_millis(Timestamp::now().as_millis() - 60_000);
    lb.set_lifecycle(backend.address, TargetLifecycle::Registered);
    lb.wait_all_healthy();
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(2);
    lb.set_lifecycle(backend.address, TargetLifecycle::Draining { since });
    assert_eq!(client.receive().status, 502);
}

#[test]
fn a_connection_that_is_still_being_made_is_cut_as_well() {
    let silent = Silent::start();
    let mut lb = Lb::with(&[silent.address], |lb| {
        lb.target_groups[0].deregistration_delay = Duration::from_secs(1);
    });
    let mut client = lb.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // The request is on its way once the target counts it; each generation tells the counts of its moment.
    loop {
        lb.change(|_| ());
        if lb.wait("told", |_| true).targets[common::GROUP][0].in_flight == 1 {
            break;
        }
    }
    let (response, time) = timed(|| {
        lb.drain(silent.address);
        client.receive()
    });
    assert_eq!(response.status, 502);
    assert!(time < Duration::from_secs(5), "{time:?}");
    lb.wait("drained", |status| health_of(status, silent.address) == HealthState::Drained);
}

#[test]
fn a_target_that_is_forgotten_lets_its_requests_end() {
    let (backend, barrier) = held();
    let mut lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    lb.change(|lb| lb.target_groups[0].targets.clear());
    barrier.wait();
    assert_eq!(client.receive().text(), "at last");
    backend.wait_for_connections(0);
}

#[test]
fn changes_under_load_lose_no_request() {
    let backends = [Backend::saying("a"), Backend::saying("b"), Backend::saying("c")];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let mut lb = Lb::healthy(&addresses);
    let stop = AtomicBool::new(false);
    let total = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (address, stop) = (lb.address, &stop);
                scope.spawn(move || {
                    let mut count = 0;
                    let mut client = common::Client::connect(address);
                    while !stop.load(Ordering::Relaxed) {
                        // Two over connections that stay, two over a new one each.
                        if number % 2 == 0 {
                            client = common::Client::connect(address);
                        }
                        let response = client.get("/");
                        assert_eq!(response.status, 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..30 {
            let out = addresses[round % 3];
            lb.drain(out);
            lb.wait("drained", |status| health_of(status, out) == HealthState::Drained);
            lb.change(|lb| lb.target_groups[0].targets.retain(|target| target.address != *out.ip()));
            lb.change(|lb| {
                lb.target_groups[0].targets.push(target(out));
                // A listener comes and goes as well.
                let other = Listener {
                    arn: "arn:other".to_owned(),
                    port: 8080,
                    default_action: Action::Forward { target_group: common::GROUP.to_owned() },
                };
                if lb.listeners.len() == 1 { lb.listeners.push(other) } else { lb.listeners.truncate(1) }
            });
            lb.wait_all_healthy();
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
    });
    assert!(total > 100, "{total}");
}

#[test]
fn a_listener_s_action_changes_on_open_connections_and_a_removed_listener_closes_them() {
    let backend = Backend::saying("a");
    let mut lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    assert_eq!(client.get("/").text(), "a");
    lb.change(|lb| {
        lb.listeners[0].default_action = Action::FixedResponse {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: "fixed".to_owned(),
        };
    });
    assert_eq!(client.get("/").text(), "fixed");
    lb.change(|lb| lb.listeners[0].port = 8080);
    assert_eq!(client.rest(), b"");
    assert!(std::net::TcpStream::connect(lb.address).is_err());
    let moved = SocketAddrV4::new(*lb.address.ip(), 8080);
    assert_eq!(common::Client::connect(moved).get("/").text(), "fixed");
}

#[test]
fn a_port_in_use_is_said_and_taken_once_it_is_free() {
    let mut lb = Lb::start(&[]);
    let other = SocketAddrV4::new(*lb.address.ip(), 8080);
    let taken = TcpListener::bind(other).unwrap();
    let mut part = lb.part().clone();
    part.generation += 1;
    let listener = common::body(&mut part).listeners[0].clone();
    common::body(&mut part).listeners.push(Listener { port: 8080, ..listener });
    lb.apply(&part).unwrap();
    let status = lb.wait("an error", |status| status.error.is_some());
    let error = status.error.unwrap();
    assert!(!status.ready && error.contains("port 8080 cannot be listened on"), "{error}");
    assert_eq!(lb.get("/").status, 503, "the other listener works");
    drop(taken);
    lb.wait("ready", |status| status.ready && status.error.is_none());
    assert_eq!(common::Client::connect(other).get("/").status, 503);
    lb.stop();
}

#[test]
fn a_part_that_contradicts_itself_or_is_stale_is_refused() {
    let lb = Lb::start(&[]);
    let refused = |change: &dyn Fn(&mut desired::Part)| {
        let mut part = lb.part().clone();
        part.generation += 1;
        change(&mut part);
        lb.apply(&part).unwrap_err()
    };
    assert!(refused(&|part| part.generation = 0).contains("older"));
    assert!(refused(&|part| part.body = None).contains("no load balancer"));
    assert!(refused(&|part| common::body(part).id = "x".to_owned()).contains("speaks of"));
    assert!(refused(&|part| common::body(part).target_groups.clear()).contains("which is not there"));
    assert!(
        refused(&|part| common::body(part).target_groups[0].health_check.matcher = "x".to_owned())
            .contains("matcher")
    );
    assert!(refused(&|part| common::body(part).listeners[0].port = 0).contains("port 0"));
    assert!(refused(&|part| common::body(part).idle_timeout = Duration::ZERO).contains("idle timeout"));
    let twice = vec![target(refusing()); 2];
    let named = |part: &mut desired::Part| common::body(part).target_groups[0].targets.clone_from(&twice);
    assert!(refused(&named).contains("twice"));
    assert_eq!(lb.get("/").status, 503);
}

#[test]
fn stopping_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (backend, barrier) = held();
    let mut lb = Lb::healthy(&[backend.address]);
    let mut idle = lb.client();
    assert_eq!(idle.get("/").status, 200);
    let mut client = lb.client();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(2);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| timed(|| lb.stop()).1);
        assert_eq!(idle.rest(), b"", "an idle connection closes");
        assert!(!stopping.is_finished());
        barrier.wait();
        assert_eq!(client.receive().text(), "at last");
        assert_eq!(client.rest(), b"");
        let time = stopping.join().unwrap();
        assert!(time < Duration::from_secs(4), "{time:?}");
    });
    backend.wait_for_connections(0);
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_end_for_long() {
    let (backend, _barrier) = held();
    let mut lb = Lb::healthy(&[backend.address]);
    let mut client = lb.client();
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.wait_for_requests(1);
    let ((), time) = timed(|| lb.stop());
    assert!(time > Duration::from_secs(4) && time < Duration::from_secs(8), "{time:?}");
}

#[test]
fn every_node_listens_and_checks_by_itself_and_can_go() {
    let backend = Backend::saying("a");
    let mut lb = Lb::healthy(&[backend.address]);
    let second = loopback();
    lb.change(|lb| {
        let node = lb.nodes[0].clone();
        let interface = types::NetworkInterfaceId::mint();
        lb.nodes.push(desired::Node { interface, address: second, ..node });
    });
    let second = SocketAddrV4::new(second, 80);
    let mut other = common::Client::connect(second);
    assert_eq!((lb.get("/").text(), other.get("/").text()), ("a".to_owned(), "a".to_owned()));
    let (_, time) = timed(|| {
        while backend.checks().len() < 2 {
            std::thread::yield_now();
        }
    });
    assert!(time < Duration::from_secs(5), "the second node checks at once: {time:?}");
    lb.change(|lb| lb.nodes.truncate(1));
    assert_eq!(other.rest(), b"");
    assert_eq!(lb.get("/").text(), "a");
}
