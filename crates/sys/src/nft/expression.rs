//! What rules are made of.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;
use serde::Serialize;

use super::Verdict;

/// Something that a packet or its flow has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Field {
    /// The interface that it came in by.
    InputInterface,
    /// The interface that it goes out by.
    OutputInterface,
    /// Its source.
    Source,
    /// Its destination.
    Destination,
    /// Its mark.
    Mark,
}

/// A flow's state, as conntrack has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum State {
    /// The packet belongs to no flow and cannot begin one.
    Invalid = 1,
    /// Packets were seen both ways.
    Established = 2,
    /// An ICMP error about a flow, or a flow that a flow announced.
    Related = 4,
    /// No answer was seen yet.
    New = 8,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Operator {
    /// The same.
    Is = 0,
    /// Not the same.
    IsNot = 1,
}

/// One expression of a rule: it matches or does not, or it does something and matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Expression {
    /// The interface's name.
    Interface(Field, Operator, String),
    /// An address within a range.
    Within(Field, Operator, Ipv4Net),
    /// The protocol's number.
    Protocol(u8),
    /// Source or destination port, inclusive. Behind [`Expression::Protocol`] only.
    Ports {
        /// The destination's; else the source's.
        destination: bool,
        /// The first port.
        from: u16,
        /// The last port.
        to: u16,
    },
    /// The ICMP type. Behind [`Expression::Protocol`] only.
    IcmpType(u8),
    /// The ICMP code. Behind [`Expression::Protocol`] only.
    IcmpCode(u8),
    /// The packet is a piece of a longer one. Before conntrack only, which puts the pieces together.
    Fragment,
    /// Whether the fields together are a key of a set.
    Lookup {
        /// The key's parts.
        fields: Vec<Field>,
        /// Whether they have to be in it.
        operator: Operator,
        /// The set.
        set: String,
    },
    /// Does what a verdict map says for the fields; goes on when it says nothing.
    VerdictMap {
        /// The key's parts.
        fields: Vec<Field>,
        /// The map.
        map: String,
    },
    /// Sets the packet's mark.
    SetMark(u32),
    /// Sets the packet's mark to what a map says; does not match when it says nothing.
    SetMarkFrom {
        /// The key's parts.
        fields: Vec<Field>,
        /// The map.
        map: String,
    },
    /// The flow is in one of the states.
    State(Vec<State>),
    /// The packet goes the way of the flow's first packet; else it is an answer.
    Original(bool),
    /// Whether the flow's destination is translated.
    DestinationTranslated(bool),
    /// All of these bits are set in the flow's mark.
    FlowMark(u32),
    /// Sets bits in the flow's mark.
    SetFlowMark(u32),
    /// Counts in a named counter.
    Count(String),
    /// Hands a copy of the packet's first [`LOGGED_BYTES`](super::LOGGED_BYTES) to who listens
    /// ([`crate::nflog::Listener`]), and goes on. Nothing happens when nobody does.
    Log {
        /// The group that is listened to.
        group: u16,
        /// What the listener is told beside the packet, at most 127 bytes.
        prefix: String,
    },
    /// Counts in the counter that a set has for the field's value, and makes it.
    CountBy {
        /// The key.
        field: Field,
        /// A set of [`super::Elements::Counted`].
        set: String,
    },
    /// Translates the destination to what a map says for it; does not match when it says nothing.
    DestinationFrom {
        /// The map from address to address.
        map: String,
    },
    /// Translates the source to what a map says for it; does not match when it says nothing.
    SourceFrom {
        /// The map from address to address.
        map: String,
    },
    /// Translates the source to an address.
    SourceTo {
        /// The address.
        address: Ipv4Addr,
        /// The ports to choose from.
        ports: Option<(u16, u16)>,
    },
    /// Hands the packet to the socket of its flow, or to the one that listens at this address and port, which must be
    /// transparent; does not match without either (TPROXY). In a prerouting chain, behind [`Expression::Protocol`]
    /// only; a route has to lead the packet to this namespace itself.
    HandTo(SocketAddrV4),
    /// Lowers the largest segment that a TCP handshake names. Behind [`Expression::Protocol`] only.
    ClampSegment(u16),
    /// Answers with a TCP reset. Behind [`Expression::Protocol`] only; ends the rule.
    Reset,
    /// Ends the rule.
    Verdict(Verdict),
}
