//! Signature Version 4: what a request claims, whether the claim is true, and signing of our own requests.
//!
//! Source: "Signature Version 4 signing process" and "Create a signed AWS API request" in the IAM User Guide. These are
//! the rules of every service but S3: paths are normalised and encoded twice, and a payload is always signed (a
//! presigned request may say `UNSIGNED-PAYLOAD`).
//!
//! A server goes [`Presented::parse`] → look the access key up → [`Presented::check_scope`] →
//! [`Presented::check_time`] → [`Presented::verify`]. Each step names its [`Refusal`], which knows AWS's code, status
//! and words in each protocol family. Nothing here reads a clock or does IO.

mod canonical;
mod claim;
mod instant;
mod keys;
mod presented;
mod refusal;
mod sign;
#[cfg(test)]
mod tests;

pub use canonical::{Request, canonical_request, hex_sha256, sha256};
pub use claim::claimed_region;
pub use keys::SigningKeys;
pub use presented::{Form, Presented};
pub use refusal::{Family, Refusal};
pub use sign::{Credentials, Scope, presign, sign, sign_json};

/// The one algorithm that is spoken here.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of a credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";
/// What stands for the payload's hash where the payload is not signed.
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
