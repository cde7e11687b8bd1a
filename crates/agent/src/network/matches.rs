//! What security group rules and network ACL entries have in common: protocol and ports.

use desired::{Ports, Protocol};
use sys::nft::Expression as E;

/// The expressions that a protocol with its ports comes to. None: nothing can match.
pub(super) fn protocol(protocol: Protocol, ports: Option<Ports>) -> Option<Vec<E>> {
    match protocol {
        Protocol::All => Some(Vec::new()),
        Protocol::Number(number) => Some(vec![E::Protocol(number)]),
        Protocol::Tcp => transport(6, ports),
        Protocol::Udp => transport(17, ports),
        Protocol::Icmp => {
            let mut expressions = vec![E::Protocol(1)];
            if let Some(ports) = ports {
                // -1 is any; a code without a type means nothing.
                if let Ok(kind) = u8::try_from(ports.from) {
                    expressions.push(E::IcmpType(kind));
                    expressions.extend(u8::try_from(ports.to).ok().map(E::IcmpCode));
                }
            }
            Some(expressions)
        }
    }
}

/// Whether all ports are meant.
pub(super) fn every_port(ports: Option<Ports>) -> bool {
    ports.is_none_or(|ports| ports.from <= 0 && (ports.to >= 65535 || ports.to < 0))
}

fn transport(number: u8, ports: Option<Ports>) -> Option<Vec<E>> {
    let mut expressions = vec![E::Protocol(number)];
    if let Some(range) = ports.filter(|_| !every_port(ports)) {
        let from = u16::try_from(range.from.max(0)).ok()?;
        let to = u16::try_from(range.to.clamp(0, 65535)).ok()?;
        if from > to {
            return None;
        }
        expressions.push(E::Ports { destination: true, from, to });
    }
    Some(expressions)
}
