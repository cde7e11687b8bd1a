//! The flows that conntrack knows, and forgetting some of them.

mod entry;

use std::net::Ipv4Addr;

use nix::errno::Errno;

pub use entry::{Accounts, Carried, Entry, TcpState, Tuple};

use crate::error::Result;
use crate::netfilter::{Attributes, Messages, NLM_F_ACK, NLM_F_DUMP, Socket, attribute};

const NFPROTO_IPV4: u8 = 2;
const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;

/// Where a packet of a flow goes from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// Its source.
    pub source: Ipv4Addr,
    /// Its destination.
    pub destination: Ipv4Addr,
}

/// A flow. Without translation the reply is the original turned round.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its first packet, as it came.
    pub original: Direction,
    /// The packet that is expected in answer.
    pub reply: Direction,
    /// The kernel's own name for the flow.
    tuple: Vec<u8>,
}

impl Flow {
    /// The four addresses, some of them the same.
    pub fn addresses(&self) -> [Ipv4Addr; 4] {
        [self.original.source, self.original.destination, self.reply.source, self.reply.destination]
    }
}

fn direction(tuple: &[u8]) -> Option<Direction> {
    let ip = attribute(tuple, TUPLE_IP)?;
    let address = |kind| Some(Ipv4Addr::from(<[u8; 4]>::try_from(attribute(ip, kind)?).ok()?));
    Some(Direction { source: address(1)?, destination: address(2)? })
}

/// Every IPv4 flow of the calling thread's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn flows() -> Result<Vec<Flow>> {
    let mut messages = Messages::new();
    messages.push(SUBSYSTEM << 8 | GET, NLM_F_DUMP, NFPROTO_IPV4, 0, &Attributes::new());
    let mut flows = Vec::new();
    Socket::open()?.request(&messages, &|| "list the flows".to_owned(), |answer| {
        let (original, reply) = (attribute(answer, TUPLE_ORIGINAL), attribute(answer, TUPLE_REPLY));
        if let (Some(tuple), Some(reply)) = (original, reply)
            && let (Some(original), Some(reply)) = (direction(tuple), direction(reply))
        {
            flows.push(Flow { original, reply, tuple: tuple.to_vec() });
        }
    })?;
    Ok(flows)
}

/// Forgets flows, so that who gets an address next does not inherit what was established with it. Gives back how many.
///
/// # Errors
/// When the kernel refuses.
pub fn forget(condition: impl Fn(&Flow) -> bool) -> Result<usize> {
    let mut forgotten = 0;
    let doing = || "forget a flow".to_owned();
    for flow in flows()?.iter().filter(|flow| condition(flow)) {
        let mut messages = Messages::new();
        let body = Attributes::new().bytes(TUPLE_ORIGINAL | 0x8000, &flow.tuple);
        messages.push(SUBSYSTEM << 8 | DELETE, NLM_F_ACK, NFPROTO_IPV4, 0, &body);
        match Socket::open()?.request(&messages, &doing, |_| ()) {
            Ok(()) => forgotten += 1,
            // It timed out meanwhile.
            Err(error) if error.is(Errno::ENOENT) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}
