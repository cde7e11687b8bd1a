//! A managed policy's tags. GetPolicy shows them.

use serde::Deserialize;
use store::Tx;
use wire::ApiError;

use super::managed_policy::changed;
use super::validate::set_tags;
use super::{Nothing, Tag};
use crate::context::Context;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TagPolicy {
    policy_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn tag_policy(rows: &mut Tx, context: &Context, request: TagPolicy) -> Result<Nothing, ApiError> {
    let mut policy = changed(rows, context, "iam:TagPolicy", &request.policy_arn)?;
    set_tags(&mut policy.tags, request.tags)?;
    rows.put(policy);
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UntagPolicy {
    policy_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_policy(
    rows: &mut Tx,
    context: &Context,
    request: UntagPolicy,
) -> Result<Nothing, ApiError> {
    let mut policy = changed(rows, context, "iam:UntagPolicy", &request.policy_arn)?;
    policy.tags.retain(|key, _| !request.tag_keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
    rows.put(policy);
    Ok(None)
}
