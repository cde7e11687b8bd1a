//! AWS's own names inside VPCs, on the internet and at VPC endpoints: TLS ends here, and the bytes in it go to `serve` as
//! they are. What came through a VPC endpoint goes to a socket of its own, on which the endpoint's id is said first: its
//! policy is asked.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use desired::{Certificate, Edge};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::ring};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use types::VpcEndpointId;

use crate::relay::relay;
use crate::route::covers;
use crate::{INTERNET, World};

/// The port of HTTPS.
pub(crate) const PORT: u16 = 443;

/// Shows the certificate to those who ask for one of the endpoint's names; others get an alert.
#[derive(Debug)]
struct ByName {
    names: Vec<String>,
    certificates: Arc<[(String, Arc<CertifiedKey>)]>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        if !covers(&self.names, name) {
            return None;
        }
        let of_region = |(region, _): &&(String, Arc<CertifiedKey>)| {
            name.split('.').any(|label| label.eq_ignore_ascii_case(region))
        };
        let found = self.certificates.iter().find(of_region).or_else(|| self.certificates.first());
        found.map(|(_, certificate)| certificate.clone())
    }
}

/// Where an endpoint is answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The namespace's name.
    pub(crate) namespace: String,
    /// The address, in that namespace.
    pub(crate) address: Ipv4Addr,
}

/// An endpoint as it is answered.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The VPC endpoint's id, or "the AWS endpoint", for messages.
    pub(crate) called: String,
    /// The VPC endpoint that it is.
    pub(crate) through: Option<VpcEndpointId>,
    /// Its TLS.
    config: Arc<ServerConfig>,
}

/// The endpoints, by place.
pub(crate) type Endpoints = BTreeMap<Place, Endpoint>;

/// Makes the endpoints of an edge, with the TLS of its certificate chain and key.
pub(crate) fn endpoints(edge: &Edge) -> Result<Endpoints, String> {
    if edge.aws_endpoints.is_empty() && edge.vpc_endpoints.is_empty() {
        return Ok(Endpoints::new());
    }
    let unusable = |what: &str, why: &dyn std::fmt::Display| {
        format!("the AWS endpoints are not answered: the {what} cannot be used: {why}")
    };
    if edge.certificates.is_empty() {
        return Err(unusable("certificates", &"there are none"));
    }
    let key = PrivateKeyDer::from_pem_slice(edge.private_key.as_bytes())
        .map_err(|why| unusable("private key", &why))?;
    let provider = Arc::new(ring::default_provider());
    let certified = |certificate: &Certificate| {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|why| unusable("certificate chain", &why))?;
        let certified = CertifiedKey::from_der(chain, key.clone_key(), &provider)
            .map_err(|why| unusable("certificate chain with its key", &why))?;
        Ok::<_, String>((certificate.region.clone(), Arc::new(certified)))
    };
    let certificates: Arc<[_]> = edge.certificates.iter().map(certified).collect::<Result<_, _>>()?;
    let endpoint = |through: Option<&VpcEndpointId>, names: &[String]| {
        let resolver = ByName { names: names.to_vec(), certificates: certificates.clone() };
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|why| unusable("TLS provider", &why))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let called = through.map_or("the AWS endpoint", VpcEndpointId::as_str).to_owned();
        Ok::<_, String>(Endpoint { called, through: through.cloned(), config: Arc::new(config) })
    };
    let mut endpoints = Endpoints::new();
    for aws in &edge.aws_endpoints {
        let place = Place { namespace: INTERNET.to_owned(), address: aws.address };
        endpoints.insert(place, endpoint(None, &aws.names)?);
    }
    for vpc in &edge.vpc_endpoints {
        let place = Place { namespace: vpc.namespace.clone(), address: vpc.address };
        endpoints.insert(place, endpoint(Some(&vpc.id), &vpc.names)?);
    }
    Ok(endpoints)
}

/// Carries one connection from inside to `serve`.
pub(crate) async fn carry(world: &World, stream: TcpStream, place: &Place) {
    let Some((config, to)) = current(world, place) else { return };
    let _ = stream.set_nodelay(true);
    let handshake = TlsAcceptor::from(config).accept(stream);
    let Ok(Ok(mut inside)) = timeout(world.limits.head, handshake).await else { return };
    let idle = world.limits.inside_idle;
    let connected = match to {
        To::Api(api) => {
            timeout(world.limits.head, TcpStream::connect(api)).await.map(|serve| serve.map(Serve::Api))
        }
        To::Through(id) => {
            timeout(world.limits.head, through(world, &id)).await.map(|serve| serve.map(Serve::Through))
        }
    };
    match connected {
        Ok(Ok(Serve::Api(serve))) => {
            let _ = serve.set_nodelay(true);
            let _ = relay(inside, serve, idle).await;
        }
        Ok(Ok(Serve::Through(serve))) => {
            let _ = relay(inside, serve, idle).await;
        }
        // `serve` is not there: the connection ends in good order and without an answer.
        _ => {
            let _ = timeout(world.limits.farewell, inside.shutdown()).await;
        }
    }
}

/// Where a connection goes on to.
enum To {
    Api(SocketAddr),
    Through(VpcEndpointId),
}

/// The same, connected.
enum Serve {
    Api(TcpStream),
    Through(UnixStream),
}

/// Connects to `serve`, which is told the endpoint.
async fn through(world: &World, id: &VpcEndpointId) -> io::Result<UnixStream> {
    let mut serve = UnixStream::connect(&world.endpoint_socket).await?;
    serve.write_all(format!("{id}\n").as_bytes()).await?;
    Ok(serve)
}

fn current(world: &World, place: &Place) -> Option<(Arc<ServerConfig>, To)> {
    let taken = world.taken.borrow();
    let endpoint = taken.endpoints.as_ref().ok()?.get(place)?;
    let to = match &endpoint.through {
        Some(id) => To::Through(id.clone()),
        None => To::Api(taken.edge.as_ref()?.api),
    };
    Some((endpoint.config.clone(), to))
}
