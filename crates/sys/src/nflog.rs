//! Packets that a filter's `log` expression hands out.
//!
//! The kernel keeps what is not read yet in the listener's socket, whose size is fixed: what does not fit is lost, the
//! packets themselves are not held up. Messages are numbered, so that it is known how many were lost.

use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Result;
use crate::netfilter::{Attributes, Messages, NLM_F_ACK, Socket, attribute, number, text};

const SUBSYSTEM: u16 = 4;
const PACKET: u16 = 0;
const CONFIGURE: u16 = 1;
/// The socket's room for messages that are not read yet, in bytes as the kernel counts them.
const ROOM: usize = 1 << 19;
/// The kernel waits for this many packets before it sends them in one message,
const BATCH: u32 = 32;
/// or for this long, in hundredths of a second.
const DELAY: u32 = 2;

/// A packet that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The words of the `log` expression.
    pub prefix: String,
    /// The index of the interface that it came in by.
    pub input: Option<u32>,
    /// The index of the interface that it was to go out by.
    pub output: Option<u32>,
    /// Its first bytes, from the IP header on.
    pub packet: Vec<u8>,
}

/// Listens to one group of one namespace.
pub struct Listener {
    socket: Socket,
    /// The number of the next message.
    next: Option<u32>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("next", &self.next).finish_non_exhaustive()
    }
}

impl AsFd for Listener {
    /// Readable when there are packets.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener {
    /// Listens to a group in the calling thread's namespace, and keeps that namespace for as long as it lives.
    ///
    /// # Errors
    /// When another process listens to it, or the kernel has no such log.
    pub fn open(group: u16) -> Result<Self> {
        const BIND: u8 = 1;
        const COPY_PACKET: u8 = 2;
        const NUMBERED: u16 = 1;
        let doing = || format!("listen to the logged packets of group {group}");
        let socket = Socket::open()?;
        socket.limit_room(ROOM)?;
        let mode = [&super::nft::LOGGED_BYTES.to_be_bytes(), [COPY_PACKET, 0].as_slice()].concat();
        let body = Attributes::new()
            .bytes(1, &[BIND])
            .bytes(2, &mode)
            .u32(4, DELAY)
            .u32(5, BATCH)
            .bytes(6, &NUMBERED.to_be_bytes());
        let mut messages = Messages::new();
        messages.push(SUBSYSTEM << 8 | CONFIGURE, NLM_F_ACK, 0, group, &body);
        socket.request(&messages, &doing, |_| ())?;
        Ok(Self { socket, next: Some(0) })
    }

    /// Calls `each` with every packet that waits, and gives back how many were lost since the last call. Does not wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&mut self, mut each: impl FnMut(Logged)) -> Result<u64> {
        let (mut lost, next) = (0_u64, &mut self.next);
        self.socket.drain(&|| "read logged packets".to_owned(), |kind, body| {
            if kind != SUBSYSTEM << 8 | PACKET {
                return;
            }
            let index = |kind| attribute(body, kind).and_then(|value| u32::try_from(number(value)).ok());
            if let Some(found) = index(12) {
                lost += u64::from(found.wrapping_sub(next.unwrap_or(found)));
                *next = Some(found.wrapping_add(1));
            }
            each(Logged {
                prefix: attribute(body, 10).map(text).unwrap_or_default(),
                input: index(4),
                output: index(5),
                packet: attribute(body, 9).unwrap_or_default().to_vec(),
            });
        })?;
        Ok(lost)
    }
}
