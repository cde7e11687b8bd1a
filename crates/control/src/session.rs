//! Temporary key pairs of role sessions.

use serde::{Deserialize, Serialize};
use store::Row;
use types::{AccountId, Timestamp};

use crate::context::Principal;

/// A key pair that STS gave out with a session token.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionKey {
    /// `ASIA…`; the row's key.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The token that every request of the session carries.
    pub session_token: String,
    /// The role's account.
    pub account: AccountId,
    /// The role's name.
    pub role: String,
    /// The role's unique id, `AROA…`: a session of a role that was deleted and made anew is no session of the new one.
    pub role_id: String,
    /// The session's name.
    pub session: String,
    /// From then on the key pair is refused.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No secret reaches a log.
        f.debug_struct("SessionKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl SessionKey {
    /// Who calls with this key pair.
    pub fn principal(&self) -> Principal {
        Principal::Session {
            role: self.role.clone(),
            role_id: self.role_id.clone(),
            session: self.session.clone(),
        }
    }
}

impl Row for SessionKey {
    const TABLE: &'static str = "session_key";

    fn key(&self) -> String {
        self.access_key_id.clone()
    }
}
