//! nfnetlink, which nf_tables and conntrack share: attributes, messages, the socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{Doing, Error, Result};

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;
/// nlmsghdr and nfgenmsg.
const HEADERS: usize = 20;

/// A list of netlink attributes, as it is written. Numbers are big-endian, as nfnetlink has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        // An attribute's length has 16 bits; callers split what could be longer.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(crate) fn nest(self, kind: u16, inner: &Attributes) -> Self {
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }

    pub(crate) fn extend(&mut self, other: &Attributes) {
        self.0.extend(&other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The attributes in a received value, type and content.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The content of the first attribute of a type.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A big-endian number of up to eight bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A text without its closing NUL.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}

/// One or several messages in one buffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    buffer: Vec<u8>,
    /// The sequence number of the next message; the first one has 1.
    pub(crate) next: u32,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), next: 1 }
    }

    /// Appends a message and gives back its sequence number.
    pub(crate) fn push(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        body: &Attributes,
    ) -> u32 {
        let (length, sequence) = (HEADERS + body.0.len(), self.next);
        self.buffer.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        self.buffer.extend(kind.to_ne_bytes());
        self.buffer.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        self.buffer.extend(sequence.to_ne_bytes());
        self.buffer.extend(0_u32.to_ne_bytes());
        // nfgenmsg: family, version 0, resource id.
        self.buffer.extend([family, 0]);
        self.buffer.extend(resource.to_be_bytes());
        self.buffer.extend(&body.0);
        self.next += 1;
        sequence
    }
}

/// The kernel's refusal of one message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) sequence: u32,
    pub(crate) cause: io::Error,
}

/// A netfilter socket in the namespace that the thread was in when it was opened.
pub(crate) struct Socket(netlink_sys::Socket);

impl Socket {
    pub(crate) fn open() -> Result<Self> {
        let doing = || "open a netfilter socket".to_owned();
        let mut socket = netlink_sys::Socket::new(NETLINK_NETFILTER).doing(doing)?;
        socket.bind_auto().doing(doing)?;
        socket.connect(&SocketAddr::new(0, 0)).doing(doing)?;
        // Errors then carry the header of the refused message only, and the kernel's words if it has some.
        socket.set_cap_ack(true).doing(doing)?;
        socket.set_ext_ack(true).doing(doing)?;
        Ok(Self(socket))
    }

    /// Sends a batch as one datagram and collects every refusal. nfnetlink is synchronous: when send returns, all
    /// answers wait in the socket, and the answer to an earlier message comes first, so that one read is not enough.
    pub(crate) fn send_batch(&self, messages: &Messages) -> Result<Vec<Refusal>> {
        let doing = || format!("send {} nf_tables messages", messages.next - 1);
        let room = (messages.buffer.len() * 2).max(1 << 18);
        setsockopt(&self.0, sockopt::SndBufForce, &room)
            .or_else(|_| setsockopt(&self.0, sockopt::SndBuf, &room))
            .doing(doing)?;
        self.0.send(&messages.buffer, 0).doing(doing)?;
        let mut refusals = Vec::new();
        let mut buffer = Vec::with_capacity(1 << 16);
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {
                    for frame in frames(&buffer).filter(|frame| frame.kind == NLMSG_ERROR) {
                        refusals.extend(refusal(&frame));
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(refusals),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                // ENOBUFS: so many errors that they did not fit. The batch has failed for certain.
                Err(cause) => return Err(cause).doing(doing),
            }
        }
    }

    /// Sends one request and calls `each` with the attributes of every answer.
    pub(crate) fn request(
        &self,
        messages: &Messages,
        doing: &dyn Fn() -> String,
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.0.send(&messages.buffer, 0).doing(doing)?;
        let last = messages.next - 1;
        loop {
            let (datagram, _) = self.0.recv_from_full().doing(doing)?;
            for frame in frames(&datagram).filter(|frame| frame.sequence == last) {
                match frame.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return refusal(&frame)
                            .map_or(Ok(()), |refusal| Err(Error { doing: doing(), cause: refusal.cause }));
                    }
                    _ => each(frame.body.get(4..).unwrap_or_default()),
                }
            }
        }
    }
}

impl Socket {
    /// Sets how much the kernel keeps for a socket that is not read, in bytes as it counts them.
    pub(crate) fn limit_room(&self, bytes: usize) -> Result<()> {
        let doing = || "set the size of a netfilter socket".to_owned();
        setsockopt(&self.0, sockopt::RcvBufForce, &bytes)
            .or_else(|_| setsockopt(&self.0, sockopt::RcvBuf, &bytes))
            .doing(doing)
    }

    /// Joins a multicast group.
    pub(crate) fn join(&mut self, group: u32) -> Result<()> {
        self.0.add_membership(group).doing(|| format!("listen to the netfilter group {group}"))
    }

    /// Calls `each` with the type and attributes of every message that waits. Gives back whether the kernel had no room
    /// for some.
    pub(crate) fn drain(&self, doing: &dyn Fn() -> String, mut each: impl FnMut(u16, &[u8])) -> Result<bool> {
        let mut overrun = false;
        let mut buffer = Vec::with_capacity(1 << 17);
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {
                    for frame in frames(&buffer) {
                        each(frame.kind, frame.body.get(4..).unwrap_or_default());
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(overrun),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                Err(cause) if cause.raw_os_error() == Some(libc::ENOBUFS) => overrun = true,
                Err(cause) => return Err(cause).doing(doing),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Frame<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    /// What follows nlmsghdr.
    body: &'a [u8],
}

fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let frame = Frame {
            kind: u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?),
            flags: u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?),
            sequence: u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?),
            body: bytes.get(16..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(frame)
    })
}

/// None for an acknowledgement.
fn refusal(frame: &Frame<'_>) -> Option<Refusal> {
    const NLM_F_ACK_TLVS: u16 = 0x200;
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let code = i32::from_ne_bytes(frame.body.get(..4)?.try_into().ok()?);
    if code == 0 {
        return None;
    }
    let errno = Errno::from_raw(-code);
    // Behind the code stands the refused message's header, then the attributes.
    let words = (frame.flags & NLM_F_ACK_TLVS != 0)
        .then(|| frame.body.get(20..).and_then(|rest| attribute(rest, NLMSGERR_ATTR_MSG)))
        .flatten();
    let cause = match words {
        Some(words) => io::Error::new(io::Error::from(errno).kind(), format!("{} ({errno})", text(words))),
        None => errno.into(),
    };
    Some(Refusal { sequence: frame.sequence, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let inner = Attributes::new().u32(1, 7);
        let list = Attributes::new().text(3, "abc!").nest(4, &inner);
        assert_eq!(list.0.len(), 4 + 8 + 4 + 8);
        assert_eq!(attribute(&list.0, 3).map(text).as_deref(), Some("abc!"));
        assert_eq!(attribute(attribute(&list.0, 4).unwrap(), 1).map(number), Some(7));
        assert_eq!(attributes(&[9, 0, 0]).count(), 0);
    }
}
