//! The seam between the control plane and a machine.

use std::time::Duration;

use types::PartId;

use crate::{Observed, Part, Usage};

/// Why a machine did not take what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The agent does not answer; it will be tried again.
    #[error("the agent does not answer: {0}")]
    Unreachable(String),
    /// The agent refuses: a newer or unknown schema, a part that contradicts itself.
    #[error("the agent refuses: {0}")]
    Refused(String),
}

/// A machine that can be told what to be. The agent's client implements it; so does the fake of the tests.
pub trait Host: Send + Sync {
    /// Hands over parts. They are on the machine's disk when this returns; applying goes on behind it.
    ///
    /// # Errors
    /// When the machine does not answer or refuses.
    fn apply(&self, parts: &[Part]) -> Result<(), HostError>;

    /// What has happened after `after` (0: everything that is so now), waiting at most `timeout` for news.
    ///
    /// # Errors
    /// When the machine does not answer or refuses.
    fn observe(&self, after: u64, timeout: Duration) -> Result<Observed, HostError>;

    /// The parts that the machine holds, so that one whose rows went while nobody could tell it is found and removed.
    ///
    /// # Errors
    /// When the machine does not answer or refuses.
    fn parts(&self) -> Result<Vec<PartId>, HostError>;

    /// What tasks and load balancers have used until now.
    ///
    /// # Errors
    /// When the machine does not answer or refuses.
    fn usage(&self) -> Result<Usage, HostError>;
}
