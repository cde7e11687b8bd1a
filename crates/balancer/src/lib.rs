//! The L7 load balancer: an Application Load Balancer as the "Elastic Load Balancing" user guide describes it.
//!
//! One process plays one load balancer (role folder and socket as in [`desired::role`]); it works by its
//! `config.json` alone, whether or not anything else of Landfall lives. A request's path through the files:
//!
//! ```text
//! role        the process: lock, socket, signals
//! supervisor  one for all nodes: takes over configurations, ends draining, publishes the status
//! node        one a node: keeps its threads alive in the namespace of its ENI (place)
//! worker      one a node and core: listeners and client connections on a runtime of one thread
//! client_io   the client's socket: errors in ALB's form, clients that do not read
//! forward     a request: checked and rewritten (headers), a target picked (routing), sent, answered (body, page)
//! pool        connections to targets, kept for the next request; tunnel: WebSockets
//! health      checks and the thresholds; status: what all nodes say together
//! ```
//!
//! # What holds
//!
//! - **Targets.** Round robin over the healthy targets of all zones, a count a node. With none healthy the node fails
//!   open: every registered target takes requests, those whose first check is still out included. With none registered
//!   (or only draining ones) the answer is 503.
//! - **Errors.** 400 for what is no HTTP, for a header line above 16 KB or a head above 64 KB; 405 for TRACE; 408 when
//!   a request's body stops for the idle timeout; 414 for a request line above 16 KB; 463 for more than 30 addresses
//!   in `X-Forwarded-For`; 502 when a target refuses, resets, closes or answers no HTTP or a head above 32 KB; 504
//!   when it does not take a connection in 10 s or does not answer in the idle timeout.
//! - **Ambiguous framing** follows the mode `defensive`, AWS's default: a request with both `Transfer-Encoding` and
//!   `Content-Length` goes on with the chunked framing alone and its connection is closed; any other coding, differing
//!   lengths or a broken chunk are refused. Each message is framed anew, so that a target never sees the client's framing.
//! - **A pooled connection that turns out to be closed** is no error when the request can be sent again: none of it was
//!   written, or it has no body and an idempotent method. It is sent once more, over a fresh connection.
//! - **Draining.** A deregistered target gets no new request, its idle connections close at once, requests in flight
//!   may last for the deregistration delay; then their connections are cut.
//! - **Idle timeout.** A client that sends no whole head for that long is closed, also one that dribbles bytes; so is
//!   a client that does not read, a target that stops in a body, a silent WebSocket and a pooled connection.

mod body;
mod client_io;
mod forward;
mod headers;
mod health;
mod meter;
mod node;
mod page;
mod place;
mod plan;
mod pool;
mod role;
mod routing;
mod status;
mod supervisor;
mod target;
mod tunnel;
mod worker;

pub use place::Place;
pub use role::{Error, run};
pub use supervisor::{Balancer, Settings};
