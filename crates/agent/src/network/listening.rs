//! Which ports programs in an interface's namespace listen on: the kernel's own list (proc_pid_net(5), `/proc/net/tcp`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use sys::netns;
use types::NetworkInterfaceId;

use super::{Network, NetworkError};

/// A socket that waits for connections or datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listening {
    /// 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// The address that it is bound to; an unspecified one stands for all.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

impl Listening {
    /// Whether a packet to this IPv4 address and port reaches it. A socket on `::` takes IPv4 too, unless its program
    /// said otherwise (ipv6(7), `IPV6_V6ONLY`), which the list does not show.
    pub fn takes(&self, address: Ipv4Addr, port: u16) -> bool {
        let at = match self.address {
            IpAddr::V4(own) => own.is_unspecified() || own == address,
            IpAddr::V6(own) => own.is_unspecified() || own.to_ipv4_mapped() == Some(address),
        };
        self.port == port && at
    }
}

/// TCP's state LISTEN.
const LISTEN: &str = "0A";
/// UDP's state of a socket that is not connected: closed, in TCP's words.
const UNCONNECTED: &str = "07";

impl Network {
    /// What programs in an interface's namespace listen on. None without the namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn listening(&self, interface: &NetworkInterfaceId) -> Result<Option<Vec<Listening>>, NetworkError> {
        let path = self.path(interface.as_str());
        if !netns::exists(&path) {
            return Ok(None);
        }
        // The lists are those of the thread's namespace. A kernel without IPv6 has no list of it.
        let read = || {
            ["tcp", "tcp6", "udp", "udp6"].map(|list| {
                (list, std::fs::read_to_string(format!("/proc/thread-self/net/{list}")).unwrap_or_default())
            })
        };
        let lists = netns::within(&path, read)?;
        let mut found: Vec<Listening> = lists
            .iter()
            .flat_map(|(list, text)| {
                let (protocol, state) = if list.starts_with("tcp") { (6, LISTEN) } else { (17, UNCONNECTED) };
                parse(text, protocol, state)
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        Ok(Some(found))
    }
}

fn parse(text: &str, protocol: u8, state: &str) -> Vec<Listening> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (local, found) = (fields.nth(1)?, fields.nth(1)?);
        let (address, port) = local.split_once(':')?;
        let (address, port) = (self::address(address)?, u16::from_str_radix(port, 16).ok()?);
        (found == state && port != 0).then_some(Listening { protocol, address, port })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// An address as the kernel prints it: words of 32 bits in the machine's own byte order.
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => word(0).map(|bytes| Ipv4Addr::from(bytes).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_list_is_read() {
        let word = |address: Ipv4Addr| format!("{:08X}", u32::from_ne_bytes(address.octets()));
        let any = "0".repeat(32);
        let text = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue\n\
             0: {}:0BB8 00000000:0000 0A 00000000:00000000\n\
             1: {}:1F90 {}:C001 01 00000000:00000000\n\
             2: {any}:0050 {any}:0000 0A 00000000:00000000\n\
             3: broken",
            word(Ipv4Addr::LOCALHOST),
            word(Ipv4Addr::new(10, 0, 0, 1)),
            word(Ipv4Addr::new(10, 0, 0, 2)),
        );
        let found = parse(&text, 6, LISTEN);
        assert_eq!(
            found,
            [
                Listening { protocol: 6, address: Ipv4Addr::LOCALHOST.into(), port: 3000 },
                Listening { protocol: 6, address: Ipv6Addr::UNSPECIFIED.into(), port: 80 },
            ]
        );
        let eth0 = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(found.iter().map(|one| one.takes(eth0, one.port)).collect::<Vec<_>>(), [false, true]);
        assert!(!found[1].takes(eth0, 81));
    }
}
