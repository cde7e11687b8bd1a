//! Whether a packet gets from one end to the other, and its answer back: hop by hop, as AWS's pages say, not as the
//! compiler of the packet rules does it. The two share no code; a test sends real packets and compares.
//!
//! A [`Topology`] and a [`Query`] go in, an [`Analysis`] comes out ([`analyse`]): the packet's way and the answer's, each
//! [`Hop`] with the rule, the entry or the route that decides there, the kernel's counters that count it, and, where it
//! blocks, AWS's explanation code and a [`Suggestion`]. There is no IO.

mod analyse;
mod analysis;
mod back;
mod checks;
mod code;
mod counter;
mod filter;
mod internet;
mod query;
mod route;
mod suggest;
mod suggestion;
mod walk;

pub use analyse::{QueryError, analyse};
pub use analysis::{
    AclDecision, Analysis, Block, Component, Counter, Direction, GroupDecision, Hop, Owner, RouteDecision,
    RouterService, Way,
};
pub use code::Code;
pub use query::{
    EPHEMERAL, End, Header, Internet, NAT_GATEWAY_PORTS, PortRange, Query, Service, Topology, Traffic,
    Transport,
};
pub use suggestion::{SuggestedPeer, Suggestion};
