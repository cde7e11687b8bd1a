//! The header of a packet that was logged.

use std::net::Ipv4Addr;

use sys::conntrack::Tuple;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
/// SYN with ACK. ACK counts beside SYN alone, as AWS has it.
pub(super) const SYN_ACK: u8 = 18;

/// What a record needs of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) tuple: Tuple,
    /// The whole packet's length in bytes.
    pub(super) bytes: u64,
    pub(super) tcp_flags: u8,
}

/// Reads the beginning of an IPv4 packet. None: it is none, or its header is not whole.
pub(super) fn read(packet: &[u8]) -> Option<Packet> {
    let byte = |at: usize| packet.get(at).copied();
    let word = |at: usize| Some(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let first = byte(0)?;
    if first >> 4 != 4 {
        return None;
    }
    let (header, protocol) = (usize::from(first & 0xf) * 4, byte(9)?);
    let port = |at| word(header + at).unwrap_or(0);
    let (source_port, destination_port) = match protocol {
        // Only a packet's first fragment has ports.
        _ if word(6)? & 0x1fff != 0 => (0, 0),
        TCP | UDP => (port(0), port(2)),
        // Echo, timestamp, information and address mask have an identifier.
        ICMP if matches!(byte(header), Some(0 | 8 | 13..=18)) => (port(4), port(4)),
        _ => (0, 0),
    };
    let flags = match protocol {
        TCP => byte(header + 13).unwrap_or(0),
        _ => 0,
    };
    let with_ack = if flags & SYN != 0 { SYN_ACK } else { 0 };
    Some(Packet {
        tuple: Tuple {
            source: address(12)?,
            destination: address(16)?,
            protocol,
            source_port,
            destination_port,
        },
        bytes: word(2)?.into(),
        tcp_flags: flags & (FIN | SYN | RST | with_ack),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 1, 44, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(payload);
        packet
    }

    #[test]
    fn ports_length_and_flags_are_read() {
        let mut tcp = vec![0; 20];
        tcp[..4].copy_from_slice(&[0x04, 0xd2, 0, 80]);
        for (flags, told) in [(0x02, 2), (0x12, 18), (0x10, 0), (0x11, 1), (0x14, 4)] {
            tcp[13] = flags;
            let read = read(&packet(6, &tcp)).unwrap();
            assert_eq!((read.tuple.source_port, read.tuple.destination_port), (1234, 80));
            assert_eq!((read.bytes, read.tcp_flags), (300, told));
            assert_eq!(read.tuple.source, Ipv4Addr::new(10, 0, 0, 1));
        }
        let echo = read(&packet(1, &[8, 0, 0, 0, 0, 7, 0, 1])).unwrap();
        assert_eq!((echo.tuple.source_port, echo.tuple.destination_port), (7, 7));
        let mut fragment = packet(17, &[0, 1, 0, 2]);
        fragment[7] = 9;
        assert_eq!(read(&fragment).unwrap().tuple.source_port, 0);
    }

    #[test]
    fn what_is_no_whole_header_is_no_packet() {
        let whole = packet(6, &[]);
        for length in 0..20 {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        assert!(read(&whole).is_some());
        assert_eq!(read(&[0x60; 40]), None, "IPv6");
    }
}
