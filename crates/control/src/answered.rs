//! Answers to mutating calls, kept for a client that asks again because the connection was cut.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Row, Tx};
use types::Timestamp;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// An answer that was given, under the caller, the action, the client's `amz-sdk-invocation-id` and the hash of the
/// request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    /// Caller, action, invocation and hash, joined by `/`.
    pub key: String,
    /// The request id that the answer carries.
    pub request_id: String,
    /// The answer's body.
    pub body: String,
    /// When it was given.
    pub at: Timestamp,
}

impl Row for Answered {
    const TABLE: &'static str = "answered";

    fn key(&self) -> String {
        self.key.clone()
    }
}

/// Deletes the answers that no client asks for any more.
pub fn forget_old(rows: &mut Tx, now: Timestamp) {
    let old: Vec<String> =
        rows.scan::<Answered>("").filter(|row| now.since(row.at) > KEPT).map(|row| row.key.clone()).collect();
    for key in old {
        rows.delete::<Answered>(&key);
    }
}
