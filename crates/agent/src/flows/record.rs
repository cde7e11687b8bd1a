//! A flow record: the fields of AWS's VPC flow logs, and the reason of a refusal.
//!
//! <https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, SubnetId, Timestamp, VpcId};

use crate::network::Direction;

/// What was seen at one interface in one direction of a flow within one window of time; or that something was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// The VPC.
    pub vpc: VpcId,
    /// The first packet's time, as far as it is known: not before the window.
    pub start: Timestamp,
    /// The last packet's time, as far as it is known: not behind the window.
    pub end: Timestamp,
    /// What was seen.
    pub seen: Seen,
}

/// What a record tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Packets at an interface.
    Flow(Box<Flow>),
    /// Nothing of these: so many refused packets or flows came that not all were recorded (`SKIPDATA`).
    Skipped {
        /// How many at least.
        packets: u64,
    },
}

/// Whether a network ACL and the security groups let packets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// They did.
    Accept,
    /// They did not, or something else of the VPC did not: see [`Flow::reason`].
    Reject,
}

/// The packets of one direction of a flow at one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The interface.
    pub interface: NetworkInterfaceId,
    /// Its subnet.
    pub subnet: SubnetId,
    /// Whether the packets came to the interface or left it.
    pub direction: Direction,
    /// Whether they got through.
    pub action: Action,
    /// `srcaddr`: of packets that leave, the interface's own address.
    pub source: Ipv4Addr,
    /// `dstaddr`: of packets that come, the interface's own address.
    pub destination: Ipv4Addr,
    /// `srcport`; 0 with protocols that have none.
    pub source_port: u16,
    /// `dstport`; 0 with protocols that have none.
    pub destination_port: u16,
    /// The protocol's number.
    pub protocol: u8,
    /// How many packets, as the router sees them.
    pub packets: u64,
    /// How many bytes, from the IP header on.
    pub bytes: u64,
    /// `pkt-srcaddr`: the packet's own, which differs at a NAT gateway's interface.
    pub packet_source: Ipv4Addr,
    /// `pkt-dstaddr`: the packet's own, which differs at a NAT gateway's interface.
    pub packet_destination: Ipv4Addr,
    /// FIN 1, SYN 2, RST 4, SYN with ACK 18: those that are known to have been among the packets.
    pub tcp_flags: u8,
    /// `traffic-path` of packets that leave, by AWS's numbers; none where no route leads on.
    pub path: Option<u8>,
    /// Why the packets were refused: the name of the counter that counted them.
    pub reason: Option<String>,
}
