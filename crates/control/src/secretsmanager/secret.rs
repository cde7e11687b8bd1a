//! Secrets, and how requests name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use types::{AccountId, Arn, Region, Timestamp};
use wire::ApiError;

use super::{Named, invalid_request, not_found};
use crate::context::Context;
use crate::iam::Resource;

/// A secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// Six characters at the end of its ARN, other ones when a name is used again.
    pub suffix: String,
    /// What somebody says of it.
    pub description: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its own policy.
    pub policy: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it, or one of its versions, was changed last.
    pub changed_at: Timestamp,
    /// When it will be gone. None: nobody has deleted it.
    pub delete_at: Option<Timestamp>,
}

impl Row for Secret {
    const TABLE: &'static str = "secretsmanager_secret";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl Secret {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let resource = format!("secret:{}-{}", self.name, self.suffix);
        Arn::new("secretsmanager", self.region.as_str(), self.account.as_str(), resource).to_string()
    }

    pub(super) fn named(&self) -> Named {
        Named { arn: self.arn(), name: self.name.clone() }
    }

    /// Whether the time in which it could be restored is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.delete_at.is_some_and(|at| at <= now)
    }
}

/// Letters and digits for the end of an ARN.
pub(super) fn suffix() -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    super::random::choose(LETTERS, 6)
}

/// The secret that a name, an ARN, or an ARN without its last six characters leads to; also one that was deleted and may
/// be restored.
pub(super) fn find(rows: &Snapshot, context: &Context, id: &str) -> Option<Arc<Secret>> {
    let by_name =
        |name: &str| rows.get::<Secret>(&context.key(name)).filter(|secret| !secret.is_over(context.now));
    if !id.starts_with("arn:") {
        return by_name(id);
    }
    let arn: Arn = id.parse().ok()?;
    let ours = arn.service == "secretsmanager"
        && arn.region == context.region.as_str()
        && arn.account == context.account.as_str();
    let name = arn.resource.strip_prefix("secret:").filter(|_| ours)?;
    let whole = name
        .rsplit_once('-')
        .and_then(|(name, suffix)| by_name(name).filter(|secret| secret.suffix == suffix));
    whole.or_else(|| by_name(name))
}

/// A secret that must be there, deleted or not.
pub(super) fn any(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<Secret>, ApiError> {
    find(rows, context, id).ok_or_else(|| not_found("Secrets Manager can't find the specified secret."))
}

/// A secret that must be there and not be deleted.
pub(super) fn live(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<Secret>, ApiError> {
    let secret = any(rows, context, id)?;
    if secret.delete_at.is_some() {
        return Err(invalid_request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        ));
    }
    Ok(secret)
}

/// What policies are asked about for what a request names a secret by: its ARN, and its own policy with it.
pub(super) fn resource(rows: &Snapshot, context: &Context, id: &str) -> Resource {
    match find(rows, context, id) {
        Some(secret) => Resource { arn: secret.arn(), policy: secret.policy.clone() },
        None if id.starts_with("arn:") => Resource::of(id),
        None => to_be(context, id),
    }
}

/// As which a secret that does not exist is asked about: nobody knows the end of its ARN yet.
pub(super) fn to_be(context: &Context, name: &str) -> Resource {
    Resource::of(context.arn("secretsmanager", format!("secret:{name}-??????")))
}
