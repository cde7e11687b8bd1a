//! The names that a VPC's DNS server knows.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use types::VpcId;

/// All VPCs' names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The VPCs that have a namespace or will have one.
    pub vpcs: Vec<VpcNames>,
    /// Names that every VPC resolves: AWS's endpoints and internet-facing load balancers.
    pub public: Vec<Record>,
    /// Whether other names are asked of the host's own DNS servers; else they do not exist.
    #[serde(default)]
    pub internet: bool,
    /// Where `serve` answers the AWS API, over plain HTTP on the host: what a task asks of ECS's agent is asked there as
    /// its role. None: nowhere.
    #[serde(default)]
    pub api: Option<SocketAddr>,
}

/// One VPC's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcNames {
    /// The VPC; its namespace is where the DNS server's sockets are.
    pub vpc: VpcId,
    /// The DNS server's addresses: base + 2 of the primary range, and 169.254.169.253.
    pub servers: Vec<Ipv4Addr>,
    /// Whether the DNS server answers at all (attribute enableDnsSupport).
    pub enabled: bool,
    /// Names that only this VPC resolves; they win over public ones.
    pub records: Vec<Record>,
    /// Domains that are this VPC's alone: what is not in `records` or `discovered` does not exist below them, even if it does
    /// in public.
    #[serde(default)]
    pub zones: Vec<PrivateZone>,
    /// Services' names, which lead to some of their instances.
    #[serde(default)]
    pub discovered: Vec<Discovered>,
}

/// A domain of a VPC's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateZone {
    /// Lower case without the final dot.
    pub name: String,
    /// Seconds for which it may be remembered that a name below it does not exist.
    pub negative_ttl: u32,
}

/// A service's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// Lower case without the final dot.
    pub name: String,
    /// Its A records.
    pub addresses: Vec<Ipv4Addr>,
    /// Seconds for which they may be kept.
    pub ttl: u32,
    /// Its SRV records.
    pub services: Vec<ServiceRecord>,
    /// Seconds for which they may be kept.
    pub services_ttl: u32,
    /// How many records an answer has at most; all take their turns.
    pub at_most: usize,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The lowest is asked first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name of its address, lower case without the final dot.
    pub target: String,
}

/// A name with its IPv4 addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Lower case without the final dot; with `*.` in front it stands for all names one label longer.
    pub name: String,
    /// The addresses. Empty: the name exists without an address.
    pub addresses: Vec<Ipv4Addr>,
    /// Seconds for which an answer may be kept.
    pub ttl: u32,
}
