//! What is known of a machine, and what is asked.

use std::net::Ipv4Addr;

use desired::{InternetHost, Vpc};
use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, VpcEndpointId};

/// Everything that a packet can meet on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// All VPCs with an interface, as the agent makes them. Two may have the same ranges.
    pub vpcs: Vec<Vpc>,
    /// What is behind the internet gateways.
    pub internet: Internet,
}

/// The internet as it is seen from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internet {
    /// The host's own address inside: the source of what comes in through a host port.
    pub host: Ipv4Addr,
    /// AWS's services that answer there.
    pub services: Vec<Service>,
    /// Pretend hosts (`landfall internet map`). They win over the real network.
    pub hosts: Vec<InternetHost>,
    /// Whether everything else goes on to the real network (`--internet on`); else it disappears.
    pub on: bool,
}

/// One of AWS's services by its public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The last part of its endpoint's service name: `ecr.api`, `ecr.dkr`, `s3`, `sts`.
    pub name: String,
    /// Its address in the `internet` namespace.
    pub address: Ipv4Addr,
}

/// Which packet shall get from where to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Who sends.
    pub from: End,
    /// Who shall receive.
    pub to: End,
    /// What is sent.
    pub traffic: Traffic,
    /// A source other than the sending interface's own address, as only one without source/destination check may use.
    #[serde(default)]
    pub source_address: Option<Ipv4Addr>,
}

/// One end of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A network interface: by its private address, and from the internet by its public one.
    Interface(NetworkInterfaceId),
    /// An address. As a source it is an interface's (private, if no other VPC's has the same, or public), or else one of
    /// the internet. As a destination it is what stands in the packet.
    Address(Ipv4Addr),
    /// Any address of the internet: as Reachability Analyzer does with an internet gateway, all are considered, and
    /// one that gets through is enough.
    Internet,
    /// The service behind a gateway endpoint, along the endpoint alone; only a destination.
    GatewayEndpoint(VpcEndpointId),
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "protocol")]
pub enum Traffic {
    /// A TCP connection.
    Tcp {
        /// The client's port. None: all that the client may take ([`EPHEMERAL`]), and the way is open only if it is for
        /// each of them.
        source_port: Option<u16>,
        /// The server's port. None: any, one that gets through is enough.
        destination_port: Option<u16>,
    },
    /// A UDP datagram and its answer.
    Udp {
        /// As for TCP.
        source_port: Option<u16>,
        /// As for TCP.
        destination_port: Option<u16>,
    },
    /// An ICMP message; an echo request (8) wants its reply (0), the others want nothing.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

/// The ports that a client here takes: Linux's own default. A network ACL has to let answers to all of them through.
/// "Ephemeral ports" in the VPC user guide's page of network ACLs speaks of 32768 to 61000 for Linux.
pub const EPHEMERAL: PortRange = PortRange { from: 32768, to: 60999 };

/// The ports that a NAT gateway takes, whatever the client's was. Source: "NAT gateway basics", VPC user guide.
pub const NAT_GATEWAY_PORTS: PortRange = PortRange { from: 1024, to: 65535 };

/// What stands in a packet's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The source address.
    pub source: Ipv4Addr,
    /// The destination address.
    pub destination: Ipv4Addr,
    /// The rest.
    pub transport: Transport,
}

/// What stands in a packet's head behind the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "protocol")]
pub enum Transport {
    /// TCP.
    Tcp {
        /// The ports that the source may have.
        source: PortRange,
        /// The ports that the destination may have.
        destination: PortRange,
    },
    /// UDP.
    Udp {
        /// As for TCP.
        source: PortRange,
        /// As for TCP.
        destination: PortRange,
    },
    /// ICMP.
    Icmp {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
}
