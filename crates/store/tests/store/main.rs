//! The store, seen from outside: its promises one file each.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crash;
mod disk;
mod full_disk;
mod killed;
mod model;
mod opening;
mod rows;
mod writes;
