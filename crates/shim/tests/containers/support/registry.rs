//! What a task finds on its network: a DNS server, the ECR API, a registry, a bucket with layers; all inside the
//! test's own namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, RCODE, ResourceRecord};

use super::image::{Image, sha256};

pub const REGION: &str = "ap-northeast-2";
pub const API: &str = "api.ecr.ap-northeast-2.amazonaws.com";
pub const LOGS: &str = "logs.ap-northeast-2.amazonaws.com";
pub const REGISTRY: &str = "000000000001.dkr.ecr.ap-northeast-2.amazonaws.com";
pub const BUCKET: &str = "prod-ap-northeast-2-starport-layer-bucket.s3.ap-northeast-2.amazonaws.com";
pub const SSM: &str = "ssm.ap-northeast-2.amazonaws.com";
pub const ASM: &str = "secretsmanager.ap-northeast-2.amazonaws.com";
/// All names that are answered.
const NAMES: [&str; 6] = [API, REGISTRY, BUCKET, SSM, ASM, LOGS];
const DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const TOKEN: &str = "QVdTOnNlY3JldA==";

/// What is served, and what was asked.
#[derive(Default)]
pub struct Content {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Every request: `GET <host><path>`.
    pub asked: Vec<String>,
    /// Blobs of which only the first byte was asked for.
    pub probed: Vec<String>,
    /// Parameters by name and by ARN.
    pub parameters: BTreeMap<String, String>,
    /// Secrets: their `SecretString`s by ARN.
    pub secrets: BTreeMap<String, String>,
    /// Actions that the execution role may not, with or without the `ecr:` in front.
    pub denied: BTreeSet<String>,
    /// Whether questions are taken and not answered.
    pub no_dns: bool,
    /// What CloudWatch Logs was told: actions, and events with their streams.
    pub log_calls: Vec<String>,
    pub log_events: Vec<(String, String)>,
    /// What CloudWatch Logs answers instead, by action: a status and an error's code.
    pub log_errors: BTreeMap<String, (&'static str, String)>,
    /// Names that lead elsewhere.
    pub elsewhere: BTreeMap<String, Ipv4Addr>,
}

pub struct Registry {
    pub content: Arc<Mutex<Content>>,
    /// The authority's certificate, PEM.
    pub authority: String,
    _stop: UnixStream,
}

impl Registry {
    /// Serves inside the namespace until it is dropped.
    pub fn start(namespace: &Path) -> Self {
        let (stop, stopped) = UnixStream::pair().unwrap();
        let (tls, authority) = certificates();
        let content = Arc::new(Mutex::new(Content::default()));
        let (dns, https) = sys::netns::within(namespace, || {
            let mut netlink = sys::netlink::Netlink::open().unwrap();
            netlink.set_up("lo").unwrap();
            let address = sys::netlink::Address { link: "lo".to_owned(), address: DNS.into() };
            netlink.add_address(&address).unwrap();
            (UdpSocket::bind((DNS, 53)).unwrap(), TcpListener::bind((SERVER, 443)).unwrap())
        })
        .unwrap();
        let dns_stop = stopped.try_clone().unwrap();
        let named = content.clone();
        std::thread::spawn(move || {
            while wait(&dns, &dns_stop) {
                answer(&dns, &named.lock().unwrap());
            }
        });
        let served = content.clone();
        std::thread::spawn(move || {
            while wait(&https, &stopped) {
                let Ok((stream, _)) = https.accept() else { continue };
                let (tls, content) = (tls.clone(), served.clone());
                std::thread::spawn(move || serve(stream, tls, &content));
            }
        });
        Self { content, authority, _stop: stop }
    }

    pub fn add(&self, repository: &str, tag: &str, image: &Image) {
        let mut content = self.content.lock().unwrap();
        for blob in &image.blobs {
            content.blobs.insert(sha256(blob), blob.clone());
        }
        for reference in [tag.to_owned(), sha256(&image.manifest)] {
            content.manifests.insert(format!("{repository}/manifests/{reference}"), image.manifest.clone());
        }
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.content.lock().unwrap().asked)
    }
}

/// False when the registry is dropped.
fn wait(source: &impl AsFd, stop: &UnixStream) -> bool {
    let mut fds =
        [PollFd::new(source.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::NONE).unwrap();
    !fds[1].any().unwrap()
}

fn answer(socket: &UdpSocket, content: &Content) {
    let mut buffer = [0; 1500];
    let (length, peer) = socket.recv_from(&mut buffer).unwrap();
    if content.no_dns {
        return;
    }
    let mut packet = Packet::parse(&buffer[..length]).unwrap().into_reply();
    packet.set_flags(PacketFlag::RESPONSE);
    let name = packet.questions[0].qname.clone();
    if NAMES.contains(&name.to_string().as_str()) {
        let address = content.elsewhere.get(&name.to_string()).copied().unwrap_or(SERVER);
        let data = RData::A(A { address: address.into() });
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, data));
    } else {
        *packet.rcode_mut() = RCODE::NameError;
    }
    socket.send_to(&packet.build_bytes_vec().unwrap(), peer).unwrap();
}

fn certificates() -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let own = KeyPair::generate().unwrap();
    let names = NAMES.map(str::to_owned).to_vec();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), authority.pem())
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, content: &Mutex<Content>) {
    let connection = ServerConnection::new(tls).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let (mut line, mut head) = (String::new(), Vec::new());
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.trim().split_once(": ").unwrap();
        head.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let header =
        |name: &str| head.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let (method, path) = (line.split(' ').next().unwrap(), line.split(' ').nth(1).unwrap());
    let (status, extra, body) = respond(method, &header("host"), path, &header, &body, content);
    let stream = reader.get_mut();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{extra}connection: close\r\n\r\n", body.len());
    let body = if method == "HEAD" { &[] } else { &*body };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

type Reply = (&'static str, String, Vec<u8>);

fn respond(
    method: &str,
    host: &str,
    path: &str,
    header: &impl Fn(&str) -> String,
    body: &[u8],
    content: &Mutex<Content>,
) -> Reply {
    let mut content = content.lock().unwrap();
    if host == LOGS {
        return logs(header, body, &mut content);
    }
    content.asked.push(format!("{method} {host}{path}"));
    let refusal = |action: &str| {
        format!(
            "User: arn:aws:sts::000000000001:assumed-role/execution/task is not authorized to perform: {action} on \
             resource: * because no identity-based policy allows the {action} action"
        )
    };
    let not_found = ("404 Not Found", String::new(), b"{}".to_vec());
    if host == API {
        let signed = header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=ASIATEST/")
            && header("x-amz-security-token") == "session"
            && header("x-amz-target") == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        assert!(signed && method == "POST", "{host}{path}");
        let action = "ecr:GetAuthorizationToken";
        return if content.denied.contains(action) {
            let body = serde_json::json!({ "__type": "AccessDeniedException", "message": refusal(action) });
            ("400 Bad Request", String::new(), body.to_string().into_bytes())
        } else {
            let body = serde_json::json!({ "authorizationData": [{ "authorizationToken": TOKEN }] });
            ("200 OK", String::new(), body.to_string().into_bytes())
        };
    }
    if [SSM, ASM].contains(&host) {
        let scope = if host == SSM { "/ssm/aws4_request" } else { "/secretsmanager/aws4_request" };
        let signed = header("authorization").contains(scope) && header("x-amz-security-token") == "session";
        assert!(signed && method == "POST", "{host}{path}");
        let request: serde_json::Value = serde_json::from_slice(body).unwrap();
        return secret(&content, &header("x-amz-target"), &request, refusal);
    }
    if host == BUCKET {
        assert_eq!(header("authorization"), "", "the bucket must not see the token");
        let blob = content.blobs.get(&path[1..]).cloned();
        return match blob {
            Some(blob) if header("range") == "bytes=0-0" => {
                content.probed.push(path[1..].to_owned());
                let range = format!("content-range: bytes 0-0/{}\r\n", blob.len());
                ("206 Partial Content", range, blob[..1].to_vec())
            }
            Some(blob) => ("200 OK", String::new(), blob),
            None => not_found,
        };
    }
    assert_eq!(header("authorization"), format!("Basic {TOKEN}"));
    let (action, asked) = match path.strip_prefix("/v2/") {
        Some(asked) if asked.contains("/blobs/") => ("ecr:GetDownloadUrlForLayer", asked),
        Some(asked) => ("ecr:BatchGetImage", asked),
        None => return not_found,
    };
    if content.denied.contains(action) {
        let body = serde_json::json!({ "errors": [{ "code": "DENIED", "message": refusal(action) }] });
        return ("403 Forbidden", String::new(), body.to_string().into_bytes());
    }
    if let Some((_, digest)) = asked.split_once("/blobs/") {
        return match content.blobs.contains_key(digest) {
            true => {
                ("307 Temporary Redirect", format!("location: https://{BUCKET}/{digest}\r\n"), Vec::new())
            }
            false => not_found,
        };
    }
    match content.manifests.get(asked) {
        Some(manifest) => {
            let digest = format!("docker-content-digest: {}\r\n", sha256(manifest));
            ("200 OK", digest, manifest.clone())
        }
        None => not_found,
    }
}

/// Parameter Store's and Secrets Manager's answers.
fn secret(
    content: &Content,
    target: &str,
    request: &serde_json::Value,
    refusal: impl Fn(&str) -> String,
) -> Reply {
    let refused = |kind: &str, message: String| {
        let body = serde_json::json!({ "__type": kind, "Message": message });
        ("400 Bad Request", "x-amzn-requestid: 4f7b\r\n".to_owned(), body.to_string().into_bytes())
    };
    let found = |body: serde_json::Value| ("200 OK", String::new(), body.to_string().into_bytes());
    let action = match target {
        "AmazonSSM.GetParameters" => "ssm:GetParameters",
        "secretsmanager.GetSecretValue" => "secretsmanager:GetSecretValue",
        other => panic!("{other}"),
    };
    if content.denied.contains(action) {
        return refused("AccessDeniedException", refusal(action));
    }
    if action == "secretsmanager:GetSecretValue" {
        return match content.secrets.get(request["SecretId"].as_str().unwrap()) {
            Some(text) => found(serde_json::json!({ "SecretString": text })),
            None => {
                let words = "Secrets Manager can't find the specified secret.";
                refused("ResourceNotFoundException", words.to_owned())
            }
        };
    }
    assert_eq!(request["WithDecryption"], true);
    let (mut parameters, mut invalid) = (Vec::new(), Vec::new());
    for name in request["Names"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        match content.parameters.get(name) {
            Some(value) => parameters.push(serde_json::json!({ "Name": name, "Value": value })),
            None => invalid.push(name),
        }
    }
    found(serde_json::json!({ "Parameters": parameters, "InvalidParameters": invalid }))
}

/// CloudWatch Logs.
fn logs(header: &impl Fn(&str) -> String, body: &[u8], content: &mut Content) -> Reply {
    let signed = header("authorization");
    let target = header("x-amz-target");
    let action = target.strip_prefix("Logs_20140328.").unwrap();
    content.log_calls.push(action.to_owned());
    let refused = |status: &'static str, code: &str| {
        let body = serde_json::json!({ "__type": code, "message": "no" });
        (status, "x-amzn-requestid: 4f7b\r\n".to_owned(), body.to_string().into_bytes())
    };
    if let Some((status, code)) = content.log_errors.get(action) {
        return refused(status, code);
    }
    if !signed.contains("/ap-northeast-2/logs/aws4_request") || header("x-amz-security-token") != "session" {
        return refused("400 Bad Request", "ExpiredTokenException");
    }
    let request: serde_json::Value = serde_json::from_slice(body).unwrap();
    for event in request["logEvents"].as_array().into_iter().flatten() {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        content.log_events.push((text(&request["logStreamName"]), text(&event["message"])));
    }
    ("200 OK", String::new(), b"{}".to_vec())
}
