//! Linux: netlink, nf_tables, namespaces, mounts, cgroups; the only crate with unsafe code.
//!
//! Everything is synchronous and keeps no state of its own: a function does one thing to the kernel and says what the
//! kernel answered. What belongs to a network namespace (netlink, nf_tables, `/proc/sys/net`) acts on the namespace of
//! the calling thread; [`netns::within`] gives a closure a thread of its own in another one.
#![allow(unsafe_code, reason = "system calls that no safe wrapper covers; each block has its SAFETY note")]

pub mod cgroup;
pub mod conntrack;
mod error;
pub mod mount;
mod netfilter;
pub mod netlink;
pub mod netns;
pub mod nflog;
pub mod nft;
pub mod process;
pub mod signals;
pub mod terminal;
pub mod usage;

pub use error::{Error, Result};
