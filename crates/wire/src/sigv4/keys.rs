//! Derived signing keys, kept so that a request costs one HMAC and not five.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ring::hmac;

/// How many keys are kept: one for each access key, region and service in use on a day.
const LIMIT: usize = 4096;

/// A bounded cache of signing keys. A key depends on the secret, the day, the region and the service; no signature and
/// no decision is ever kept.
#[derive(Default)]
pub struct SigningKeys {
    keys: Mutex<HashMap<String, hmac::Key>>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of a secret for a day (`YYYYMMDD`), region and service.
    pub(crate) fn get(&self, secret: &str, date: &str, region: &str, service: &str) -> hmac::Key {
        // None of the four can hold a slash but the secret, which comes last.
        let name = [date, region, service, secret].join("/");
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&name) {
            return key.clone();
        }
        let key = derive(secret, date, region, service);
        if keys.len() >= LIMIT {
            keys.retain(|name, _| name.starts_with(date));
            if keys.len() >= LIMIT {
                keys.clear();
            }
        }
        keys.insert(name, key.clone());
        key
    }
}

/// Derives a signing key ("Derive a signing key for Signature Version 4").
pub(crate) fn derive(secret: &str, date: &str, region: &str, service: &str) -> hmac::Key {
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for part in [date, region, service, super::TERMINATOR] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_bounded() {
        let keys = SigningKeys::new();
        for index in 0..LIMIT + 10 {
            keys.get(&format!("secret{index}"), "20260101", "us-east-1", "ecs");
        }
        assert!(keys.keys.lock().unwrap().len() <= LIMIT);
    }

    #[test]
    fn a_kept_key_is_the_derived_one() {
        let keys = SigningKeys::new();
        let sign = |key: &hmac::Key| hmac::sign(key, b"x").as_ref().to_vec();
        let first = sign(&keys.get("secret", "20260101", "us-east-1", "ecs"));
        assert_eq!(first, sign(&keys.get("secret", "20260101", "us-east-1", "ecs")));
        assert_eq!(first, sign(&derive("secret", "20260101", "us-east-1", "ecs")));
        assert_ne!(first, sign(&keys.get("secret2", "20260101", "us-east-1", "ecs")));
    }
}
