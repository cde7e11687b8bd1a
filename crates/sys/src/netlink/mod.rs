//! rtnetlink, synchronously: links, addresses, neighbours, routes and rules of the calling thread's network namespace.
//!
//! What is desired and what is observed have the same types, so that a reconciler's work is the difference of two sets.
//! Links are named by name; the kernel's numbers stay in here. Only IPv4: Landfall's namespaces have IPv6 turned off.

mod link;
mod route;
mod socket;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::Serialize;

pub use link::VethEnd;
use socket::Socket;

use crate::error::{Error, Result};

/// A MAC address.
pub type Mac = [u8; 6];

/// A link as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its MAC address; zeroes for `lo`.
    pub mac: Mac,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// The number that a veth's other end has in its own namespace.
    pub peer: Option<u32>,
}

/// An address of a link. No prefix route comes with it (`noprefixroute`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// The link's name.
    pub link: String,
    /// The address with its prefix length.
    pub address: Ipv4Net,
}

/// A neighbour that is pinned (`permanent`): no ARP is ever sent for it, and the kernel's table limits do not count it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbour {
    /// The link's name.
    pub link: String,
    /// The neighbour's address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: Mac,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// The table; [`Route::MAIN`] is the one that every namespace has.
    pub table: u32,
    /// The destination.
    pub destination: Ipv4Net,
    /// Where it leads.
    pub hop: Hop,
}

impl Route {
    /// The main table.
    pub const MAIN: u32 = 254;
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// Packets are dropped without a word.
    Blackhole,
    /// The lookup goes on with the next rule.
    Throw,
    /// Packets are for this namespace itself, whatever their destination.
    Local,
    /// The destination is on this link.
    Link(String),
    /// Through a gateway, taken to be on the link whatever the link's addresses say (`onlink`).
    Gateway {
        /// The link's name.
        link: String,
        /// The gateway.
        address: Ipv4Addr,
    },
}

/// A rule of policy routing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rule {
    /// Rules are tried in ascending order.
    pub priority: u32,
    /// The packet mark it is for. None: for every packet.
    pub mark: Option<u32>,
    /// What is done.
    pub action: RuleAction,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// Looks the packet up in a table.
    Table(u32),
    /// Drops it without a word.
    Blackhole,
}

/// A connection to the kernel's network configuration, in the namespace that the thread was in when it was opened.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    /// The links as they were looked up last: their numbers by name, and the other way round.
    numbers: HashMap<String, u32>,
    names: HashMap<u32, String>,
}

impl Netlink {
    /// Opens a connection in the calling thread's namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open() -> Result<Self> {
        Ok(Self { socket: Socket::open()?, numbers: HashMap::new(), names: HashMap::new() })
    }

    /// Whether an address is one of the namespace's own.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn is_own(&mut self, address: IpAddr) -> Result<bool> {
        let IpAddr::V4(address) = address else { return Ok(address.is_loopback()) };
        Ok(address.is_loopback() || self.addresses()?.iter().any(|found| found.address.addr() == address))
    }

    fn index(&mut self, name: &str) -> Result<u32> {
        if let Some(index) = self.numbers.get(name) {
            return Ok(*index);
        }
        self.links()?;
        self.numbers.get(name).copied().ok_or_else(|| Error {
            doing: format!("find the link {name}"),
            cause: nix::errno::Errno::ENODEV.into(),
        })
    }

    fn name(&self, index: u32) -> String {
        // Lists look at the links first; one that came since has no name here, and its number is no link's name.
        self.names.get(&index).map_or_else(|| format!("#{index}"), Clone::clone)
    }
}
