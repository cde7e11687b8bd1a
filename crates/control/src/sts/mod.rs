//! The service `sts`: who calls, and sessions of roles.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

mod assume_role;
mod caller_identity;
pub mod session;
#[cfg(test)]
mod tests;

use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Sts, AssumeRole, assume_role::assume_role),
    read!(Sts, GetCallerIdentity, caller_identity::get_caller_identity),
];
