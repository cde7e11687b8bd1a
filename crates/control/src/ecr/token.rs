//! The registry's passwords: GetAuthorizationToken gives them, the registry takes them.
//!
//! A password says itself whose it is and until when, under a MAC with the installation's key: it is good after a
//! restart, and no row is kept for it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use crate::context::{Context, Principal};

/// "The authorization token is valid for 12 hours."
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// The one user name: `docker login --username AWS`.
pub const USER: &str = "AWS";

/// Whom a password lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The account whose registry it opens.
    pub account: AccountId,
    /// The region whose registry it opens.
    pub region: Region,
    /// As whom.
    pub principal: Principal,
}

/// Why a password does not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none that was given out.
    #[error("the password is no ECR authorization token")]
    Unknown,
    /// It was good once.
    #[error("the authorization token has expired")]
    Expired,
}

/// What a password says. The session members are empty for the root user.
#[derive(Serialize, Deserialize)]
struct Payload {
    account: AccountId,
    region: Region,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<(String, String, String)>,
    expires: Timestamp,
}

fn mac(key: &[u8; 32], payload: &str) -> (hmac::Key, Vec<u8>) {
    // The prefix keeps these apart from other things that are signed with the key.
    (hmac::Key::new(hmac::HMAC_SHA256, key), format!("landfall-ecr-token\n{payload}").into_bytes())
}

/// The password of a bearer, until `expires`.
pub fn issue(key: &[u8; 32], bearer: &Bearer, expires: Timestamp) -> String {
    let session = match &bearer.principal {
        Principal::Root => None,
        Principal::Session { role, role_id, session } => {
            Some((role.clone(), role_id.clone(), session.clone()))
        }
    };
    let payload =
        Payload { account: bearer.account.clone(), region: bearer.region.clone(), session, expires };
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&payload).unwrap_or_default());
    let (key, text) = mac(key, &payload);
    format!("{payload}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, &text)))
}

/// Whom a password lets in.
///
/// # Errors
/// When it was not given out by this installation, or its time is over.
pub fn redeem(key: &[u8; 32], password: &str, now: Timestamp) -> Result<Bearer, Refused> {
    let (payload, tag) = password.split_once('.').ok_or(Refused::Unknown)?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| Refused::Unknown)?;
    let (key, text) = mac(key, payload);
    hmac::verify(&key, &text, &tag).map_err(|_| Refused::Unknown)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Unknown)?;
    let payload: Payload = serde_json::from_slice(&payload).map_err(|_| Refused::Unknown)?;
    if payload.expires <= now {
        return Err(Refused::Expired);
    }
    let principal = payload.session.map_or(Principal::Root, |(role, role_id, session)| Principal::Session {
        role,
        role_id,
        session,
    });
    Ok(Bearer { account: payload.account, region: payload.region, principal })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetAuthorizationToken {
    #[serde(default)]
    registry_ids: Vec<super::RegistryId>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationData {
    authorization_token: String,
    expires_at: f64,
    proxy_endpoint: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorization {
    authorization_data: Vec<AuthorizationData>,
}

pub(super) fn get_authorization_token(
    rows: &Snapshot,
    context: &Context,
    request: GetAuthorizationToken,
) -> Result<Authorization, ApiError> {
    crate::iam::authorize_on(rows, context, "ecr:GetAuthorizationToken", "*")?;
    request.registry_ids.iter().try_for_each(|id| id.check(context))?;
    let bearer = Bearer {
        account: context.account.clone(),
        region: context.region.clone(),
        principal: context.principal.clone(),
    };
    let expires = context.now.plus(LIFE);
    let password = issue(&context.settings.token_key, &bearer, expires);
    let data = AuthorizationData {
        authorization_token: STANDARD.encode(format!("{USER}:{password}")),
        expires_at: expires.epoch_seconds(),
        proxy_endpoint: format!("http://{}", context.settings.listen),
    };
    // One for each registry that was asked for; they are all the same one.
    Ok(Authorization { authorization_data: vec![data] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn bearer() -> Bearer {
        Bearer {
            account: AccountId::new("000000000001").unwrap(),
            region: Region::new("ap-northeast-2").unwrap(),
            principal: Principal::Session { role: "r".into(), role_id: "AROA1".into(), session: "s".into() },
        }
    }

    #[test]
    fn a_password_lets_its_bearer_in_until_it_expires() {
        let password = issue(&[1; 32], &bearer(), NOW);
        assert_eq!(redeem(&[1; 32], &password, Timestamp::from_millis(999_999)), Ok(bearer()));
        assert_eq!(redeem(&[1; 32], &password, NOW), Err(Refused::Expired));
        assert_eq!(redeem(&[2; 32], &password, Timestamp::default()), Err(Refused::Unknown));
        for text in ["", ".", "a.b", "password"] {
            assert_eq!(redeem(&[1; 32], text, NOW), Err(Refused::Unknown), "{text}");
        }
    }

    #[test]
    fn any_changed_character_is_refused() {
        let password = issue(&[1; 32], &bearer(), NOW);
        for at in 0..password.len() - 1 {
            let mut other = password.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(redeem(&[1; 32], &other, Timestamp::default()), Err(Refused::Unknown), "{at}");
        }
    }
}
