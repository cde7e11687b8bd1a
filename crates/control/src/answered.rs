//! Answers to mutating calls, kept for a client that asks again because the connection was cut.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
    /// The answer's body; in base64 when it is no text.
    pub body: String,
    /// Whether the body is in base64: CBOR.
    #[serde(default)]
    pub base64: bool,
    /// When it was given.
    pub at: Timestamp,
}

impl Row for Answered {
    const TABLE: &'static str = "answered";

    fn key(&self) -> String {
        self.key.clone()
    }
}

impl Answered {
    /// An answer under its key.
    pub fn new(key: String, request_id: String, body: &[u8], at: Timestamp) -> Self {
        let text = std::str::from_utf8(body).map(str::to_owned);
        let base64 = text.is_err();
        Self { key, request_id, body: text.unwrap_or_else(|_| STANDARD.encode(body)), base64, at }
    }

    /// The body as it was given.
    pub fn bytes(&self) -> Vec<u8> {
        if !self.base64 {
            return self.body.clone().into_bytes();
        }
        // Nobody but `new` writes it.
        STANDARD.decode(&self.body).unwrap_or_default()
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
