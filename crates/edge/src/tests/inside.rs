//! From inside VPCs to `serve`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sys::netns;

use super::stage::{ENDPOINT, Stage, patient, serve_one};
use crate::Limits;

const NAME: &str = "1.dkr.ecr.r.amazonaws.com";

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn client(stage: &Stage, trusted: &CertificateDer<'static>, name: &'static str) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connection = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let connect = || TcpStream::connect((ENDPOINT, crate::endpoint::PORT));
    let stream = netns::within(&stage.internet(), connect).unwrap().unwrap();
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
