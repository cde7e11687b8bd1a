//! Policy documents and what they decide. No IO, no rows.
//!
//! Source: "IAM JSON policy elements reference" and "Policy evaluation logic" in the IAM User Guide. A document is
//! refused when it is written if it holds an element, an operator or a condition key that would not be honoured when
//! it is evaluated: a condition that is ignored would allow too much or deny too little.

mod condition;
mod document;
mod evaluate;
mod pattern;
#[cfg(test)]
mod tests;

pub use document::{Kind, Malformed, Policy};
pub use evaluate::{Caller, Decision, Keys, Request, Trust, decide, decide_endpoint, decide_trust};
