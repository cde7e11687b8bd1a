//! Real containers, started by real shims, from images pulled over TLS inside a network namespace.
//!
//! The shims are the example `shim-role`, which `cargo test -p shim` builds; with a filter by test target, build it
//! first: `cargo build -p shim --examples`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod death;
mod health;
mod isolation;
mod life;
mod logging;
mod order;
mod processes;
mod pulling;
mod restart;
mod secrets;
mod shell;
#[allow(unreachable_pub, reason = "a module of tests has no public")]
mod support;
mod terminal;
mod volumes;
