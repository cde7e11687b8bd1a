//! One rtnetlink socket: a request, then every answer to it.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{SocketAddr, protocols::NETLINK_ROUTE};

use crate::error::{Doing, Error, Result};

/// A socket whose requests are numbered, so that a late answer is never taken for another request's.
pub(super) struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Socket {
    pub(super) fn open() -> Result<Self> {
        let doing = || "open a netlink socket".to_owned();
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).doing(doing)?;
        socket.bind_auto().doing(doing)?;
        socket.connect(&SocketAddr::new(0, 0)).doing(doing)?;
        socket.set_cap_ack(true).doing(doing)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Changes something: sends with `flags` added and waits for the acknowledgement.
    pub(super) fn change(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        doing: &dyn Fn() -> String,
    ) -> Result<()> {
        self.talk(message, flags | NLM_F_ACK, doing).map(drop)
    }

    /// Lists everything of a kind. A list that changed while it was read is read again.
    pub(super) fn dump(
        &mut self,
        message: &RouteNetlinkMessage,
        doing: &dyn Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        for _ in 0..20 {
            if let Some(answers) = self.talk(message.clone(), NLM_F_DUMP, doing)? {
                return Ok(answers);
            }
        }
        Err(Error::other(doing(), "the list never stands still"))
    }

    /// None when a dump was interrupted by a change.
    fn talk(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        doing: &dyn Fn() -> String,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>> {
        const INTERRUPTED: u16 = netlink_packet_core::NLM_F_DUMP_INTR;
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).doing(doing)?;
        let (mut answers, mut whole) = (Vec::new(), true);
        loop {
            let (datagram, _) = self.socket.recv_from_full().doing(doing)?;
            let mut rest = datagram.as_slice();
            while rest.len() >= 16 {
                let length = rest[..4].try_into().map_or(0, |l| u32::from_ne_bytes(l) as usize);
                let Some(frame) = rest.get(..length.max(16)) else { break };
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(frame).map_err(|why| {
                    Error::other(doing(), format!("the kernel's answer cannot be read: {why}"))
                })?;
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                whole &= answer.header.flags & INTERRUPTED == 0;
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(whole.then_some(answers)),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(Some(answers)),
                    NetlinkPayload::Error(error) => {
                        return Err(Error { doing: doing(), cause: error.to_io() });
                    }
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    _ => (),
                }
            }
        }
    }
}
