//! Pretend hosts: names and addresses of the internet whose packets arrive at a socket of this machine.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use desired::{AwsEndpoint, is_outward};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, Region};

/// The first and the last address for hosts that are mapped by name: the upper half of 198.19.0.0/16, of the benchmarking
/// range of RFC 2544 as all of Landfall's public addresses.
const POOL: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(198, 19, 128, 1), Ipv4Addr::new(198, 19, 255, 254));

/// The ranges for examples in texts (RFC 5737): nothing of them is on the real internet, so that they are free for
/// pretend hosts.
const EXAMPLES: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// The names that VPCs resolve to something of Landfall's anyway.
const OURS: [&str; 5] =
    ["localhost", "compute.internal", "elb.amazonaws.com", "vpce.amazonaws.com", "compute.amazonaws.com"];

/// Where a pretend host stands on the internet: a name or a public address, with a port or with all ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its name, lower case, or its address.
    pub host: Called,
    /// The port. None: all of them.
    pub port: Option<u16>,
}

/// How a pretend host is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Called {
    /// By a name; with `*.` in front it stands for all names one label longer.
    Name(String),
    /// By its public address.
    Address(Ipv4Addr),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Called::Name(name) => f.write_str(name)?,
            Called::Address(address) => address.fmt(f)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Why a text names no place on the internet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The port.
    #[error("'{0}' is no port: ports are 1 to 65535")]
    Port(String),
    /// The name.
    #[error("'{0}' is neither a host name nor an IPv4 address")]
    Name(String),
    /// IPv6.
    #[error("'{0}': VPCs have IPv4 alone")]
    Ipv6(String),
    /// Not on the internet.
    #[error(
        "{0} is no address of the internet: private and reserved ranges are not reached through an internet gateway"
    )]
    NotPublic(Ipv4Addr),
    /// Landfall's.
    #[error(
        "{0} is one of Landfall's own addresses (198.18.0.0/15): map a name, which is given one by itself"
    )]
    OwnAddress(Ipv4Addr),
    /// Landfall's.
    #[error("{0} is answered by Landfall itself")]
    OwnName(String),
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text.parse::<std::net::Ipv6Addr>().is_ok() || text.starts_with('[') {
            return Err(PlaceError::Ipv6(text.to_owned()));
        }
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => {
                let number = port.parse().ok().filter(|port| *port != 0);
                (host, Some(number.ok_or_else(|| PlaceError::Port(port.to_owned()))?))
            }
        };
        let host = match host.parse() {
            Ok(address) => Called::Address(public(address)?),
            Err(_) => Called::Name(name(host)?),
        };
        Ok(Self { host, port })
    }
}

fn public(address: Ipv4Addr) -> Result<Ipv4Addr, PlaceError> {
    let [a, b, c, _] = address.octets();
    match (a, b) {
        (198, 18 | 19) => Err(PlaceError::OwnAddress(address)),
        _ if is_outward(address) || EXAMPLES.contains(&[a, b, c]) => Ok(address),
        _ => Err(PlaceError::NotPublic(address)),
    }
}

fn name(text: &str) -> Result<String, PlaceError> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits makes it an address that is none (RFC 3696).
    let number = labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > 253 || number || !labels.split('.').all(label) {
        return Err(PlaceError::Name(text.to_owned()));
    }
    let ours = OURS.iter().any(|ours| labels == *ours || labels.ends_with(&format!(".{ours}")));
    let services = crate::project::endpoints(&Region::all().collect::<Vec<_>>());
    if ours || services.iter().any(|endpoint| answers(endpoint, labels)) {
        return Err(PlaceError::OwnName(name));
    }
    Ok(name)
}

fn answers(endpoint: &AwsEndpoint, name: &str) -> bool {
    endpoint.names.iter().any(|known| match known.strip_prefix("*.") {
        Some(suffix) => name == suffix || name.split_once('.').is_some_and(|(_, rest)| rest == suffix),
        None => name == known,
    })
}

/// A pretend host: one row a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Where it stands.
    pub place: Place,
    /// Its public address inside; hosts of one name have one address.
    pub address: Ipv4Addr,
    /// Where its packets arrive.
    pub to: SocketAddr,
}

impl Row for Host {
    const TABLE: &'static str = "internet_host";

    fn key(&self) -> String {
        self.place.to_string()
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::Edge, PartId::Names]
    }
}

/// The pretend hosts by place.
pub fn hosts(rows: &Snapshot) -> impl Iterator<Item = Arc<Host>> {
    rows.scan::<Host>("")
}

/// What mapping did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The host as it is now.
    pub host: Host,
    /// Where its packets arrived before, if it was there already.
    pub before: Option<SocketAddr>,
}

/// Why a host is not mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMapped {
    /// It is not there.
    #[error("{0} is not mapped")]
    Unknown(Place),
    /// No address is left.
    #[error("all public addresses for pretend hosts are in use: unmap some")]
    Full,
}

/// Puts a pretend host on the internet, in the place of the one that stands there.
///
/// # Errors
/// [`NotMapped::Full`]
pub fn map(rows: &mut Tx, place: Place, to: SocketAddr) -> Result<Mapping, NotMapped> {
    let before = rows.get::<Host>(&place.to_string()).map(|host| host.to);
    let address = match &place.host {
        Called::Address(address) => *address,
        Called::Name(_) => {
            let same = hosts(rows).find(|host| host.place.host == place.host).map(|host| host.address);
            same.or_else(|| free(rows)).ok_or(NotMapped::Full)?
        }
    };
    let host = Host { place, address, to };
    rows.put(host.clone());
    Ok(Mapping { host, before })
}

fn free(rows: &Snapshot) -> Option<Ipv4Addr> {
    let used: BTreeSet<Ipv4Addr> = hosts(rows).map(|host| host.address).collect();
    (u32::from(POOL.0)..=u32::from(POOL.1)).map(Ipv4Addr::from).find(|address| !used.contains(address))
}

/// Takes a pretend host away.
///
/// # Errors
/// [`NotMapped::Unknown`]
pub fn unmap(rows: &mut Tx, place: &Place) -> Result<Arc<Host>, NotMapped> {
    rows.delete::<Host>(&place.to_string()).ok_or_else(|| NotMapped::Unknown(place.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use store::Store;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    fn to(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn what_is_no_place_on_the_internet_is_refused_with_the_reason() {
        let mut seen = String::new();
        for text in [
            "API.Stripe.com.:443",
            "*.example.com",
            "203.0.113.7:80",
            "8.8.8.8",
            "api.example.com:0",
            "api.example.com:http",
            "10.0.0.1",
            "127.0.0.1:80",
            "198.19.128.1",
            "1.2.3",
            "-a.example",
            "a..b",
            "::1",
            "x.elb.localhost",
            "sts.us-east-1.amazonaws.com",
            "*.dkr.ecr.us-east-1.amazonaws.com",
        ] {
            let read = text.parse::<Place>();
            seen += &read.map_or_else(|error| format!("{text}: {error}\n"), |place| format!("{place}\n"));
        }
        expect![[r#"
            api.stripe.com:443
            *.example.com
            203.0.113.7:80
            8.8.8.8
            api.example.com:0: '0' is no port: ports are 1 to 65535
            api.example.com:http: 'http' is no port: ports are 1 to 65535
            10.0.0.1: 10.0.0.1 is no address of the internet: private and reserved ranges are not reached through an internet gateway
            127.0.0.1:80: 127.0.0.1 is no address of the internet: private and reserved ranges are not reached through an internet gateway
            198.19.128.1: 198.19.128.1 is one of Landfall's own addresses (198.18.0.0/15): map a name, which is given one by itself
            1.2.3: '1.2.3' is neither a host name nor an IPv4 address
            -a.example: '-a.example' is neither a host name nor an IPv4 address
            a..b: 'a..b' is neither a host name nor an IPv4 address
            ::1: '::1': VPCs have IPv4 alone
            x.elb.localhost: x.elb.localhost is answered by Landfall itself
            sts.us-east-1.amazonaws.com: sts.us-east-1.amazonaws.com is answered by Landfall itself
            *.dkr.ecr.us-east-1.amazonaws.com: *.dkr.ecr.us-east-1.amazonaws.com is answered by Landfall itself
        "#]]
        .assert_eq(&seen);
    }

    #[test]
    fn hosts_of_one_name_share_an_address_that_is_free_again_when_all_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("landfall.db"), &crate::tables()).unwrap();
        let map = |text: &str, port| {
            let place = place(text);
            store.write(move |rows| map(rows, place, to(port))).unwrap().unwrap()
        };
        let first = map("api.example.com:443", 9_000);
        assert_eq!((first.host.address, first.before), (POOL.0, None));
        assert_eq!(map("api.example.com:80", 9_001).host.address, POOL.0);
        assert_eq!(map("other.example.com", 9_002).host.address, Ipv4Addr::new(198, 19, 128, 2));
        assert_eq!(map("203.0.113.7:80", 9_003).host.address, Ipv4Addr::new(203, 0, 113, 7));
        assert_eq!(map("api.example.com:443", 9_004).before, Some(to(9_000)));
        let unmap = |text: &str| {
            let place = place(text);
            store.write(move |rows| unmap(rows, &place)).unwrap()
        };
        unmap("api.example.com:443").unwrap();
        assert_eq!(map("third.example.com", 9_005).host.address, Ipv4Addr::new(198, 19, 128, 3));
        unmap("api.example.com:80").unwrap();
        assert_eq!(map("fourth.example.com", 9_006).host.address, POOL.0);
        let error = unmap("api.example.com").unwrap_err();
        assert_eq!(error.to_string(), "api.example.com is not mapped");
    }
}
