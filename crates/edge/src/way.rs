//! Where what was sent to a public address goes on. Pure.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use desired::{Edge, is_outward};

/// Where a connection or UDP flow goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a pretend host.
    Host {
        /// Its public address and port, by which it is known.
        host: (Ipv4Addr, Option<u16>),
        /// The socket that stands for it.
        to: SocketAddr,
    },
    /// To the real network.
    Real(SocketAddrV4),
}

/// Where what was sent to `destination` goes on. A pretend host wins, one of that port before one of all ports. None:
/// nowhere. `own` says whether an address is this machine's: nothing on the real network is, and with the internet
/// off a pretend host has to be.
pub(crate) fn way(edge: &Edge, destination: SocketAddrV4, own: impl Fn(&SocketAddr) -> bool) -> Option<Way> {
    let of = |port| {
        let is = move |host: &&desired::InternetHost| host.address == *destination.ip() && host.port == port;
        edge.internet_hosts.iter().find(is)
    };
    if let Some(host) = of(Some(destination.port())).or_else(|| of(None)) {
        let way = Way::Host { host: (host.address, host.port), to: host.to };
        return (edge.internet || own(&host.to)).then_some(way);
    }
    let real = edge.internet && is_outward(*destination.ip()) && !own(&destination.into());
    real.then_some(Way::Real(destination))
}

#[cfg(test)]
mod tests {
    use super::*;
    use desired::InternetHost;

    fn edge(internet: bool) -> Edge {
        let host = |last, port, to: &str| InternetHost {
            name: None,
            address: Ipv4Addr::new(198, 19, 128, last),
            port,
            to: to.parse().unwrap(),
        };
        Edge {
            api: ([127, 0, 0, 1], 1).into(),
            host_address: Ipv4Addr::LOCALHOST,
            listeners: Vec::new(),
            aws_endpoints: Vec::new(),
            vpc_endpoints: Vec::new(),
            internet,
            internet_hosts: vec![
                host(1, None, "127.0.0.1:9000"),
                host(1, Some(443), "127.0.0.1:9443"),
                host(2, Some(80), "192.168.7.7:80"),
            ],
            certificates: Vec::new(),
            private_key: String::new(),
        }
    }

    fn to(internet: bool, destination: &str) -> Option<String> {
        let own = |address: &SocketAddr| address.ip().is_loopback() || address.ip().to_string() == "9.9.9.9";
        way(&edge(internet), destination.parse().unwrap(), own).map(|way| match way {
            Way::Host { to, .. } => to.to_string(),
            Way::Real(to) => format!("the real {to}"),
        })
    }

    #[test]
    fn a_pretend_host_of_a_port_wins_over_one_of_all_ports_and_over_the_real_network() {
        for internet in [false, true] {
            assert_eq!(to(internet, "198.19.128.1:443").as_deref(), Some("127.0.0.1:9443"));
            assert_eq!(to(internet, "198.19.128.1:80").as_deref(), Some("127.0.0.1:9000"));
        }
    }

    #[test]
    fn with_the_internet_off_nothing_leaves_the_machine() {
        assert_eq!(to(false, "198.19.128.2:80"), None);
        assert_eq!(to(false, "1.1.1.1:443"), None);
        assert_eq!(to(true, "198.19.128.2:80").as_deref(), Some("192.168.7.7:80"));
        assert_eq!(to(true, "1.1.1.1:443").as_deref(), Some("the real 1.1.1.1:443"));
    }

    #[test]
    fn what_is_private_or_the_machine_s_own_is_never_reached_from_inside() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "198.18.0.1",
            "198.19.128.2",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "9.9.9.9",
        ] {
            assert_eq!(to(true, &format!("{address}:81")), None, "{address}");
        }
        assert!(to(true, "172.32.0.1:81").is_some());
    }
}
