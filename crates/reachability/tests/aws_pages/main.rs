//! What AWS's pages say, one sentence and one page a case, against the analysis.
//!
//! The sentences are in our own words. A case that fails names the page, so that one can read what was misread.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::needless_pass_by_value, reason = "a table of cases reads better")]

mod fixture;
mod gateways;
mod network_acls;
mod peering_and_endpoints;
mod routes;
mod security_groups;
mod suggestions;
