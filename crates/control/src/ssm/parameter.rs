//! Parameters and their versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use super::name::{self, Asked};
use crate::context::Context;
use crate::sealed::Sealed;

/// The key that a SecureString is shown under.
pub(super) const KEY: &str = "alias/aws/ssm";

/// A parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parameter {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// The number of its latest version.
    pub latest: u64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Row for Parameter {
    const TABLE: &'static str = "ssm_parameter";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParameterType {
    /// A text.
    String,
    /// Texts with commas between them.
    StringList,
    /// A text that is shown to those alone who ask for its decryption.
    SecureString,
}

impl ParameterType {
    pub(super) const fn name(self) -> &'static str {
        match self {
            ParameterType::String => "String",
            ParameterType::StringList => "StringList",
            ParameterType::SecureString => "SecureString",
        }
    }
}

/// How large a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// 4 KB.
    Standard,
    /// 8 KB.
    Advanced,
}

impl Tier {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Tier::Standard => "Standard",
            Tier::Advanced => "Advanced",
        }
    }

    /// The longest value, in bytes.
    pub(super) const fn longest(self) -> usize {
        match self {
            Tier::Standard => 4096,
            Tier::Advanced => 8192,
        }
    }
}

/// A version of a parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ParameterVersion {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The parameter's name.
    pub name: String,
    /// From 1 on.
    pub version: u64,
    /// What its value is.
    pub kind: ParameterType,
    /// Its value.
    pub value: Sealed,
    /// What somebody says of it.
    pub description: Option<String>,
    /// A regular expression that values match.
    pub allowed_pattern: Option<String>,
    /// How large it may be.
    pub tier: Tier,
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// When it was put.
    pub modified_at: Timestamp,
    /// The ARN of who put it.
    pub modified_by: String,
}

impl Row for ParameterVersion {
    const TABLE: &'static str = "ssm_parameter_version";

    fn key(&self) -> String {
        // No name has a colon in it.
        format!("{}/{}/{}:{:010}", self.account, self.region, self.name, self.version)
    }
}

impl ParameterVersion {
    /// Under which its value is encrypted.
    pub(super) fn sealed_as(context: &Context, name: &str, version: u64) -> String {
        context.key(format_args!("ssm:{name}:{version}"))
    }

    /// Its value, or for a SecureString that shall not be decrypted a text that tells nothing.
    pub(super) fn shown(&self, context: &Context, with_decryption: bool) -> Result<String, ApiError> {
        if self.kind == ParameterType::SecureString && !with_decryption {
            return Ok(format!("AQICAH{}", self.value.text()));
        }
        self.value.open_text(&context.settings, &Self::sealed_as(context, &self.name, self.version))
    }

    pub(super) fn key_id(&self) -> Option<&'static str> {
        (self.kind == ParameterType::SecureString).then_some(KEY)
    }
}

/// A parameter by its name.
pub(super) fn find(rows: &Snapshot, context: &Context, name: &str) -> Option<Arc<Parameter>> {
    rows.get(&context.key(name))
}

/// A parameter by what a request gives for its name.
pub(super) fn find_asked(rows: &Snapshot, context: &Context, asked: &Asked) -> Option<Arc<Parameter>> {
    asked.names.iter().find_map(|name| find(rows, context, name))
}

/// A parameter that must be there, by its name or ARN without a version.
pub(super) fn named(rows: &Snapshot, context: &Context, text: &str) -> Result<Arc<Parameter>, ApiError> {
    let asked = name::asked(context, text);
    find_asked(rows, context, &asked).filter(|_| asked.selector.is_none()).ok_or_else(not_found)
}

/// All versions of a parameter, the oldest first.
pub(super) fn versions(rows: &Snapshot, context: &Context, name: &str) -> Vec<Arc<ParameterVersion>> {
    rows.scan(&context.key(format_args!("{name}:"))).collect()
}

/// A version by its number.
pub(super) fn version(
    rows: &Snapshot,
    context: &Context,
    name: &str,
    number: u64,
) -> Option<Arc<ParameterVersion>> {
    rows.get(&context.key(format_args!("{name}:{number:010}")))
}

/// The latest version of a parameter.
pub(super) fn latest(
    rows: &Snapshot,
    context: &Context,
    parameter: &Parameter,
) -> Result<Arc<ParameterVersion>, ApiError> {
    version(rows, context, &parameter.name, parameter.latest)
        .ok_or_else(|| ApiError::internal(format!("{} has no latest version", parameter.name)))
}

/// AWS says no more than the code.
pub(super) fn not_found() -> ApiError {
    ApiError::new("ParameterNotFound", "")
}

pub(super) fn version_not_found(name: &str, what: &str) -> ApiError {
    ApiError::new(
        "ParameterVersionNotFound",
        format!("Systems Manager could not find {what} of {name}. Verify the version and try again."),
    )
}
