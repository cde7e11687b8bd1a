//! Values that rows hold encrypted: secrets and parameters. A copy of the database alone does not give them away; the key
//! comes from `credentials.json`, beside it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use wire::ApiError;

use crate::context::Settings;

/// What the key for values is derived from the kept key with; another purpose has another label.
const LABEL: &[u8] = b"landfall: values at rest";

/// An encrypted value: AES-256-GCM; nonce, ciphertext and tag in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

fn key(settings: &Settings) -> Result<LessSafeKey, ApiError> {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &settings.token_key), LABEL);
    UnboundKey::new(&AES_256_GCM, derived.as_ref())
        .map(LessSafeKey::new)
        .map_err(|_| ApiError::internal("the key for values has another length"))
}

impl Sealed {
    /// Encrypts a value. `of` names whose value it is: it opens under that name alone, so that values cannot be exchanged.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn seal(settings: &Settings, of: &str, value: &[u8]) -> Result<Self, ApiError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| ApiError::internal("the operating system gives no random numbers"))?;
        let mut sealed = value.to_vec();
        key(settings)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(of), &mut sealed)
            .map_err(|_| ApiError::internal("a value cannot be encrypted"))?;
        Ok(Self(STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// The value.
    ///
    /// # Errors
    /// When it was encrypted under another name or with another key: `credentials.json` is not the one beside which the
    /// database was written.
    pub fn open(&self, settings: &Settings, of: &str) -> Result<Vec<u8>, ApiError> {
        let failed =
            || ApiError::internal("a kept value cannot be decrypted: credentials.json is another one");
        let mut bytes = STANDARD.decode(&self.0).map_err(|_| failed())?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let opened = key(settings)?.open_in_place(nonce, Aad::from(of), sealed).map_err(|_| failed())?;
        Ok(opened.to_vec())
    }

    /// As [`Sealed::open`], for a value that is text.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn open_text(&self, settings: &Settings, of: &str) -> Result<String, ApiError> {
        String::from_utf8(self.open(settings, of)?).map_err(|_| ApiError::internal("a kept value is no text"))
    }

    /// The ciphertext, for whoever asks without decryption.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    #[test]
    fn a_value_opens_under_its_own_name_and_key_alone() {
        let settings = settings();
        let sealed = Sealed::seal(&settings, "/app/password:1", b"hunter2").unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("hunter2"));
        assert_eq!(sealed.open_text(&settings, "/app/password:1").unwrap(), "hunter2");
        assert!(sealed.open(&settings, "/app/other:1").is_err());
        let others = Settings { token_key: [8; 32], ..settings.clone() };
        assert!(sealed.open(&others, "/app/password:1").is_err());
        assert_ne!(sealed, Sealed::seal(&settings, "/app/password:1", b"hunter2").unwrap());
    }
}
