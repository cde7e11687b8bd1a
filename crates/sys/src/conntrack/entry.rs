//! Flows with what they have carried, and the end of flows.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use super::{GET, NFPROTO_IPV4, SUBSYSTEM, TUPLE_IP, TUPLE_ORIGINAL, TUPLE_REPLY};
use crate::error::Result;
use crate::netfilter::{Attributes, Messages, NLM_F_DUMP, Socket, attribute, number};

const DELETE: u16 = 2;
/// The multicast group that hears of flows that end.
const DESTROYED: u32 = 3;
/// Room for ends that are not read yet, in bytes as the kernel counts them.
const ROOM: usize = 1 << 20;

/// Addresses, protocol and ports of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// The source.
    pub source: Ipv4Addr,
    /// The destination.
    pub destination: Ipv4Addr,
    /// The protocol's number.
    pub protocol: u8,
    /// The source's port; of ICMP the identifier; 0 where there is none.
    pub source_port: u16,
    /// The destination's port; of ICMP the identifier; 0 where there is none.
    pub destination_port: u16,
}

/// What has passed in one direction, headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carried {
    /// Packets, as the router sees them: a large one that is cut later counts once.
    pub packets: u64,
    /// Bytes from the IP header on.
    pub bytes: u64,
}

/// How far conntrack has followed a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpState {
    /// The handshake is not through.
    Opening,
    /// Both sides have spoken.
    Established,
    /// A side has sent FIN.
    Closing,
    /// Both sides have sent FIN.
    Closed,
    /// A side has sent RST.
    Reset,
}

/// A flow with its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kernel's number for it.
    pub id: u32,
    /// Its first packet as it came.
    pub original: Tuple,
    /// The packet that is expected in answer, before translation is undone.
    pub reply: Tuple,
    /// What its original direction has carried; none without `nf_conntrack_acct`.
    pub sent: Option<Carried>,
    /// What its answers have carried; none without `nf_conntrack_acct`.
    pub answered: Option<Carried>,
    /// When its first packet came, in nanoseconds since 1970; none without `nf_conntrack_timestamp`.
    pub began: Option<u64>,
    /// A TCP connection's state.
    pub tcp: Option<TcpState>,
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let (ip, protocol) = (attribute(bytes, TUPLE_IP)?, attribute(bytes, 2)?);
    let address = |kind| Some(Ipv4Addr::from(<[u8; 4]>::try_from(attribute(ip, kind)?).ok()?));
    let value = |kind| attribute(protocol, kind).and_then(|value| u16::try_from(number(value)).ok());
    let identifier = value(4);
    Some(Tuple {
        source: address(1)?,
        destination: address(2)?,
        protocol: u8::try_from(value(1)?).ok()?,
        source_port: value(2).or(identifier).unwrap_or(0),
        destination_port: value(3).or(identifier).unwrap_or(0),
    })
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let carried = |kind| {
        let counters = attribute(bytes, kind)?;
        let value = |kind| attribute(counters, kind).map(number);
        Some(Carried { packets: value(1)?, bytes: value(2)? })
    };
    let state = attribute(bytes, 4).and_then(|info| attribute(info, 1)).and_then(|tcp| attribute(tcp, 1));
    Some(Entry {
        id: attribute(bytes, 12).and_then(|id| u32::try_from(number(id)).ok())?,
        original: tuple(attribute(bytes, TUPLE_ORIGINAL)?)?,
        reply: tuple(attribute(bytes, TUPLE_REPLY)?)?,
        sent: carried(9),
        answered: carried(10),
        began: attribute(bytes, 20).and_then(|stamp| attribute(stamp, 1)).map(number),
        tcp: state.map(|state| match number(state) {
            3 => TcpState::Established,
            4 | 5 => TcpState::Closing,
            6 | 7 => TcpState::Closed,
            8 => TcpState::Reset,
            _ => TcpState::Opening,
        }),
    })
}

/// Tells of the flows of one namespace.
pub struct Accounts {
    dump: Socket,
    ends: Socket,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl AsFd for Accounts {
    /// Readable when flows have ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }
}

impl Accounts {
    /// Of the calling thread's namespace, which is kept for as long as this lives. The kernel begins to tell of ends for
    /// the flows that begin from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open() -> Result<Self> {
        let mut ends = Socket::open()?;
        ends.limit_room(ROOM)?;
        ends.join(DESTROYED)?;
        Ok(Self { dump: Socket::open()?, ends })
    }

    /// Calls `each` with every IPv4 flow.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn entries(&self, mut each: impl FnMut(Entry)) -> Result<()> {
        let mut messages = Messages::new();
        messages.push(SUBSYSTEM << 8 | GET, NLM_F_DUMP, NFPROTO_IPV4, 0, &Attributes::new());
        self.dump.request(&messages, &|| "list the flows with their counters".to_owned(), |answer| {
            if let Some(entry) = entry(answer) {
                each(entry);
            }
        })
    }

    /// Calls `each` with every flow that has ended since the last call, with its last counters. Gives back whether the
    /// kernel had no room for some. Does not wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn ended(&self, mut each: impl FnMut(Entry)) -> Result<bool> {
        self.ends.drain(&|| "read which flows have ended".to_owned(), |kind, body| {
            if kind == SUBSYSTEM << 8 | DELETE
                && let Some(entry) = entry(body)
            {
                each(entry);
            }
        })
    }
}
