//! From inside VPCs to `serve`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use desired::VpcEndpoint;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sys::netns;

use super::stage::{ENDPOINT, PRIVATE, Stage, patient, serve_one, serve_one_through};
use crate::Limits;

const NAME: &str = "1.dkr.ecr.r.amazonaws.com";

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn client(stage: &Stage, trusted: &CertificateDer<'static>, name: &'static str) -> Tls {
    client_in(&stage.internet(), ENDPOINT, trusted, name)
}

fn client_in(
    namespace: &Path,
    address: Ipv4Addr,
    trusted: &CertificateDer<'static>,
    name: &'static str,
) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connection = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let connect = || TcpStream::connect((address, crate::endpoint::PORT));
    let stream = netns::within(namespace, connect).unwrap().unwrap();
    StreamOwned::new(connection, patient(stream))
}

#[test]
fn an_aws_name_leads_to_serve_over_tls_with_its_bytes_unchanged() {
    let mut stage = Stage::new(&[], Limits::default());
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    stage.edge.api = api.local_addr().unwrap();
    let trusted = stage.endpoint();
    stage.start();
    let serving = serve_one(api, "HTTP/1.1 200 OK\r\n\r\nhello");
    let mut tls = client(&stage, &trusted, NAME);
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    tls.write_all(request.as_bytes()).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\nhello");
    assert_eq!(tls.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let (peer, received) = serving.join().unwrap();
    assert_eq!(received, request);
    assert!(peer.ip().is_loopback());
}

#[test]
fn a_name_of_another_endpoint_gets_an_alert_though_the_certificate_has_it() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    stage.start();
    let error = client(&stage, &trusted, "sts.amazonaws.com").write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

#[test]
fn without_serve_the_connection_ends_in_good_order_and_host_ports_go_on() {
    let mut stage = Stage::new(&[], Limits::default());
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    stage.edge.api = api.local_addr().unwrap();
    drop(api);
    let trusted = stage.endpoint();
    stage.start();
    let mut tls = client(&stage, &trusted, NAME);
    let mut answer = Vec::new();
    // No "unexpected end of file": the edge says that it closes.
    assert_eq!(tls.read_to_end(&mut answer).unwrap(), 0);
    let answer = super::stage::exchange(stage.client(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains(" 404 "), "{answer}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_reported_and_a_good_one_heals_it() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    let good = std::mem::replace(&mut stage.edge.private_key, "no key".to_owned());
    stage.edge.listeners.clear();
    let endpoints = std::mem::take(&mut stage.edge.aws_endpoints);
    stage.start();
    stage.edge.aws_endpoints = endpoints;
    stage.apply();
    let error = stage.status(|status| status.error.is_some()).error.unwrap();
    assert!(
        error.starts_with("the AWS endpoints are not answered: the private key cannot be used:"),
        "{error}"
    );
    stage.edge.private_key = good;
    stage.apply();
    stage.settled();
    let error = client(&stage, &trusted, "sts.amazonaws.com").write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

#[test]
fn a_namespace_that_is_made_anew_is_listened_in_anew() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    stage.start();
    netns::delete(&stage.internet()).unwrap();
    let error = stage.status(|status| status.error.is_some()).error.unwrap();
    assert!(error.ends_with("/netns/internet is not there yet: the agent makes it"), "{error}");
    stage.internet_again();
    stage.settled();
    let error = client(&stage, &trusted, "sts.amazonaws.com").write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

fn vpc_endpoint(id: &str, namespace: &str, names: &[&str]) -> VpcEndpoint {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    VpcEndpoint { id: id.into(), namespace: namespace.to_owned(), address: PRIVATE, names }
}

/// Somebody answers there, if only to say that the name is another's.
fn listens(namespace: &Path, trusted: &CertificateDer<'static>) {
    let error = client_in(namespace, PRIVATE, trusted, "sts.amazonaws.com").write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

/// Asks for the registry's greeting by TLS.
fn greeting(mut tls: Tls) -> String {
    tls.write_all(b"GET /v2/ HTTP/1.1\r\n\r\n").unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn endpoints_of_two_vpcs_at_the_same_address_each_answer_their_own_names() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    let (one, other) = (stage.interface("eni-1"), stage.interface("eni-2"));
    stage.edge.vpc_endpoints = vec![
        vpc_endpoint("vpce-1", "eni-1", &["*.dkr.ecr.r.amazonaws.com"]),
        vpc_endpoint("vpce-2", "eni-2", &["sts.amazonaws.com"]),
    ];
    stage.start();
    // `serve` is told which endpoint it was, and the client's bytes follow as they are.
    let serving = serve_one_through(stage.endpoint_socket(), "hello");
    assert_eq!(greeting(client_in(&one, PRIVATE, &trusted, NAME)), "hello");
    assert_eq!(serving.join().unwrap(), "vpce-1\nGET /v2/ HTTP/1.1\r\n\r\n");
    // One that was started anew has another socket in the same place.
    let serving = serve_one_through(stage.endpoint_socket(), "good day");
    assert_eq!(greeting(client_in(&other, PRIVATE, &trusted, "sts.amazonaws.com")), "good day");
    assert_eq!(serving.join().unwrap(), "vpce-2\nGET /v2/ HTTP/1.1\r\n\r\n");
    let error = client_in(&other, PRIVATE, &trusted, NAME).write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

#[test]
fn a_vpc_endpoint_without_its_namespace_is_reported_and_answers_once_that_is_there() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    stage.start();
    stage.edge.vpc_endpoints = vec![vpc_endpoint("vpce-1", "eni-1", &[NAME])];
    stage.apply();
    let status = stage.status(|status| status.error.is_some());
    assert_eq!(status.unanswered, [types::VpcEndpointId::from("vpce-1")].into());
    let error = status.error.unwrap();
    assert!(error.starts_with("vpce-1 is not answered at 10.0.1.5:443 inside VPCs: "), "{error}");
    assert!(error.ends_with("/netns/eni-1 is not there yet: the agent makes it"), "{error}");
    // The others are answered all the same.
    let error = client(&stage, &trusted, "sts.amazonaws.com").write_all(b"GET").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    let inside = stage.interface("eni-1");
    stage.settled();
    listens(&inside, &trusted);
}

#[test]
fn a_vpc_endpoint_that_is_no_longer_wanted_is_no_longer_listened_for() {
    let mut stage = Stage::new(&[], Limits::default());
    let trusted = stage.endpoint();
    let inside = stage.interface("eni-1");
    stage.edge.vpc_endpoints = vec![vpc_endpoint("vpce-1", "eni-1", &[NAME])];
    stage.start();
    listens(&inside, &trusted);
    stage.edge.vpc_endpoints.clear();
    stage.apply();
    stage.settled();
    let connect = || TcpStream::connect((PRIVATE, crate::endpoint::PORT));
    let error = netns::within(&inside, connect).unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
