//! What stands between the host's loopback and the `internet` namespace.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use ipnet::Ipv4Net;

use serde::{Deserialize, Serialize};
use types::VpcEndpointId;

/// Where the edge takes over, inside the `internet` namespace, what is carried on (TPROXY leads it there). No packet
/// from a VPC can have this destination: the kernel takes none for loopback from a link.
pub const CARRIER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 198);

/// Where `serve` answers what came through a VPC endpoint, in the state folder. The edge says on the first line of each
/// connection which endpoint that was; only root can connect.
pub const VPC_ENDPOINT_SOCKET: &str = "serve/vpc-endpoint.sock";

/// The ranges of which nothing is carried on to the real network: those that are not routed on the internet (IANA's
/// IPv4 Special-Purpose Address Registry), multicast, and Landfall's own public addresses, 198.18.0.0/15.
pub const NEVER_OUTWARD: [Ipv4Net; 15] = [
    range(0, 0, 0, 8),
    range(10, 0, 0, 8),
    range(100, 64, 0, 10),
    range(127, 0, 0, 8),
    range(169, 254, 0, 16),
    range(172, 16, 0, 12),
    range(192, 0, 0, 24),
    range(192, 0, 2, 24),
    range(192, 88, 99, 24),
    range(192, 168, 0, 16),
    range(198, 18, 0, 15),
    range(198, 51, 100, 24),
    range(203, 0, 113, 24),
    range(224, 0, 0, 4),
    range(240, 0, 0, 4),
];

const fn range(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

/// Whether what is sent to an address may be carried on to the real network.
pub fn is_outward(address: Ipv4Addr) -> bool {
    !NEVER_OUTWARD.iter().any(|range| range.contains(&address))
}

/// The one edge of the machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Where `serve` answers the AWS API and the registry, over plain HTTP on the host.
    pub api: SocketAddr,
    /// The host address on which load balancers are reached, 127.0.0.1 unless told otherwise.
    pub host_address: Ipv4Addr,
    /// The ports to listen on at that address.
    pub listeners: Vec<HostListener>,
    /// AWS's own names, answered inside the `internet` namespace with TLS.
    pub aws_endpoints: Vec<AwsEndpoint>,
    /// The same inside VPCs: interface and gateway endpoints.
    #[serde(default)]
    pub vpc_endpoints: Vec<VpcEndpoint>,
    /// Whether what leaves through an internet gateway goes on to the real network.
    #[serde(default)]
    pub internet: bool,
    /// Pretend hosts of the internet. They win over the real network and work also while that is off.
    #[serde(default)]
    pub internet_hosts: Vec<InternetHost>,
    /// The certificates for AWS's names, one a region: clients bound how long one may be.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// The private key of all of them, PEM.
    pub private_key: String,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key never reaches a log.
        f.debug_struct("Edge")
            .field("api", &self.api)
            .field("host_address", &self.host_address)
            .field("listeners", &self.listeners)
            .field("aws_endpoints", &self.aws_endpoints)
            .field("vpc_endpoints", &self.vpc_endpoints)
            .field("internet", &self.internet)
            .field("internet_hosts", &self.internet_hosts)
            .finish_non_exhaustive()
    }
}

/// The certificate for AWS's names in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The region, which is a label of the names. The first certificate is also for names without one.
    pub region: String,
    /// The certificate with its chain, PEM.
    pub chain: String,
}

/// A port of the host that load balancers share by the request's Host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostListener {
    /// The listeners' own port.
    pub port: u16,
    /// Which name leads where. A name that is not listed gets a 404 that says what is.
    pub routes: Vec<HostRoute>,
}

/// A load balancer behind a host port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// The load balancer's DNS name, lower case, without a port.
    pub host: String,
    /// The public addresses of its nodes.
    pub addresses: Vec<Ipv4Addr>,
}

/// Names of AWS that lead to `serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsEndpoint {
    /// The exact names, or with `*.` in front all names one label longer.
    pub names: Vec<String>,
    /// The public address they resolve to; the edge listens there on port 443 in the `internet` namespace.
    pub address: Ipv4Addr,
}

/// A VPC endpoint's listener: TLS for AWS's names, in a namespace of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// The endpoint.
    pub id: VpcEndpointId,
    /// The namespace to listen in: an interface's id, or a gateway endpoint's own.
    pub namespace: String,
    /// The address to listen on, port 443.
    pub address: Ipv4Addr,
    /// The names that are answered, as in [`AwsEndpoint::names`].
    pub names: Vec<String>,
}

/// A pretend host of the internet: what is sent to it inside arrives at a socket of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetHost {
    /// The name that VPCs resolve to `address`; None when only the address was given.
    pub name: Option<String>,
    /// Its public address inside.
    pub address: Ipv4Addr,
    /// The port that is led on; None: all of them.
    pub port: Option<u16>,
    /// Where it is led to, by TCP and UDP.
    pub to: SocketAddr,
}
