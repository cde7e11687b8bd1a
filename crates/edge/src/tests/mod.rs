//! The edge as a whole: real sockets, on the host's loopback and in a network namespace of the test's own.

mod inside;
mod outside;
mod outward;
mod stage;
