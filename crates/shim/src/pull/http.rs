//! HTTPS with Landfall's own authority and the VPC's own names; failures in Go's words, as Fargate shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Timeout};

use super::{CONNECT_TIMEOUT, EXCHANGE_TIMEOUT, READ_TIMEOUT, dns};

/// A client that follows no redirect and takes every status as an answer.
pub(crate) struct Client {
    agent: Agent,
    known: Known,
}

/// Addresses by host name, and who is asked for them.
#[derive(Debug, Clone)]
struct Known {
    servers: Arc<[Ipv4Addr]>,
    found: Arc<Mutex<BTreeMap<String, Vec<Ipv4Addr>>>>,
}

impl Known {
    /// Looks a name up once.
    fn find(&self, host: &str) -> Result<Vec<Ipv4Addr>, String> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addresses) = known.get(host) {
            return Ok(addresses.clone());
        }
        let addresses = dns::lookup(host, &self.servers)?;
        known.insert(host.to_owned(), addresses.clone());
        Ok(addresses)
    }
}

impl Resolver for Known {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let port = uri.port_u16().unwrap_or(443);
        let addresses = uri.host().and_then(|host| self.find(host).ok()).ok_or(ureq::Error::HostNotFound)?;
        let mut found = self.empty();
        addresses.into_iter().take(4).for_each(|address| found.push(SocketAddr::from((address, port))));
        Ok(found)
    }
}

/// There was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoAnswer {
    /// Go's name of the method, `Get`.
    pub(crate) verb: String,
    /// What was asked for.
    pub(crate) url: String,
    /// What happened.
    pub(crate) why: String,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\": {}", self.verb, self.url, self.why)
    }
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A small exchange, body and all.
    Exchange,
    /// As long as bytes keep coming.
    Stream,
}

impl Client {
    /// A client that trusts the certificates in a PEM text and no others, and asks these DNS servers and no others.
    pub(crate) fn new(authority: &str, servers: &[Ipv4Addr]) -> Result<Self, ureq::Error> {
        let mut roots = Vec::new();
        for item in parse_pem(authority.as_bytes()) {
            if let PemItem::Certificate(certificate) = item? {
                roots.push(certificate);
            }
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("landfall")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(EXCHANGE_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .timeout_per_write(Some(READ_TIMEOUT))
            .build();
        let known = Known { servers: servers.into(), found: Arc::default() };
        Ok(Self { agent: Agent::with_parts(config, DefaultConnector::new(), known.clone()), known })
    }

    /// Sends a request; `headers` hold everything but the host and the body's length.
    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        patience: Patience,
    ) -> Result<Response<Body>, NoAnswer> {
        let verb = format!("{}{}", &method[..1], method[1..].to_ascii_lowercase());
        let say = |why: &dyn fmt::Display| NoAnswer {
            verb: verb.clone(),
            url: url.to_owned(),
            why: why.to_string(),
        };
        let uri: Uri = url.parse().map_err(|error| say(&error))?;
        let host = uri.host().unwrap_or_default();
        let addresses = self.known.find(host).map_err(|why| say(&why))?;
        let peer = addresses.first().map(|address| format!("{address}:{}", uri.port_u16().unwrap_or(443)));
        let request =
            headers.iter().fold(Request::builder().method(method).uri(uri), |builder, (name, value)| {
                builder.header(*name, *value)
            });
        let answer = match patience {
            Patience::Exchange => {
                let request = request.body(body.to_vec()).map_err(|error| say(&error))?;
                let request =
                    self.agent.configure_request(request).timeout_global(Some(EXCHANGE_TIMEOUT)).build();
                self.agent.run(request)
            }
            Patience::Stream => {
                let request = request.body(body.to_vec()).map_err(|error| say(&error))?;
                self.agent.run(request)
            }
        };
        answer.map_err(|error| say(&words(&error, &peer.unwrap_or_default())))
    }
}

/// What Go would have said.
fn words(error: &ureq::Error, peer: &str) -> String {
    use std::io::ErrorKind;
    match error {
        ureq::Error::Timeout(Timeout::Connect) => format!("dial tcp {peer}: i/o timeout"),
        ureq::Error::Timeout(_) => {
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
        }
        ureq::Error::Io(cause) => match cause.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("dial tcp {peer}: i/o timeout"),
            ErrorKind::ConnectionRefused => format!("dial tcp {peer}: connect: connection refused"),
            ErrorKind::NetworkUnreachable => format!("dial tcp {peer}: connect: network is unreachable"),
            ErrorKind::HostUnreachable => format!("dial tcp {peer}: connect: no route to host"),
            ErrorKind::ConnectionReset => format!("read tcp {peer}: connection reset by peer"),
            ErrorKind::UnexpectedEof => "EOF".to_owned(),
            _ => match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(refusal) => format!("tls: failed to verify certificate: {refusal}"),
                None => cause.to_string(),
            },
        },
        ureq::Error::Rustls(cause) => format!("tls: failed to verify certificate: {cause}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_as_fargate_tells_them() {
        let peer = "198.19.0.10:443";
        let timeout = ureq::Error::Timeout(Timeout::Connect);
        assert_eq!(words(&timeout, peer), "dial tcp 198.19.0.10:443: i/o timeout");
        let refused = ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(words(&refused, peer), "dial tcp 198.19.0.10:443: connect: connection refused");
    }
}
