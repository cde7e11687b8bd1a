//! Health: the matcher and the thresholds (pure), and the checks themselves.

mod check;
mod matcher;
mod state;

pub(crate) use check::{Check, Checks};
pub(crate) use matcher::Matcher;
pub(crate) use state::{Failure, Health, Thresholds, Verdict};
