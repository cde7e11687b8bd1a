//! The names that a VPC's DNS server knows.

use std::net::Ipv4Addr;

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
