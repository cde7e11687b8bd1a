//! `PutParameter`.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use wire::{ApiError, Empty, OnlyDefault, documented_default};

use super::parameter::{KEY, Parameter, ParameterType, ParameterVersion, Tier, find, latest, versions};
use super::tag::set_tags;
use super::{Tag, failed, invalid, name};
use crate::context::Context;
use crate::iam::Resource;
use crate::sealed::Sealed;

/// The most versions that are kept of a parameter.
const VERSIONS: usize = 100;

documented_default!(
    /// A value that is a text and nothing else.
    Text = "text"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PutParameter {
    name: String,
    description: Option<String>,
    value: String,
    r#type: Option<ParameterType>,
    key_id: Option<String>,
    #[serde(default)]
    overwrite: Option<bool>,
    allowed_pattern: Option<String>,
    tags: Option<Vec<Tag>>,
    tier: Option<AskedTier>,
    #[serde(default, rename = "Policies")]
    _policies: OnlyDefault<Empty>,
    #[serde(default, rename = "DataType")]
    _data_type: OnlyDefault<Text>,
}

/// A tier as requests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum AskedTier {
    Standard,
    Advanced,
    #[serde(rename = "Intelligent-Tiering")]
    IntelligentTiering,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put {
    version: u64,
    tier: &'static str,
}

pub(super) fn of_put(_: &Snapshot, context: &Context, request: &PutParameter) -> Vec<Resource> {
    vec![name::resource(context, &request.name)]
}

pub(super) fn put_parameter(
    rows: &mut Tx,
    context: &Context,
    request: PutParameter,
) -> Result<Put, ApiError> {
    let asked = name::asked(context, &request.name);
    // An ARN may stand for a parameter that exists.
    let name = match asked.names.iter().find(|name| find(rows, context, name).is_some()) {
        Some(name) if asked.selector.is_none() => name.clone(),
        _ => request.name.clone(),
    };
    name::check(&name)?;
    let overwrite = request.overwrite.unwrap_or(false);
    let before = find(rows, context, &name);
    let tags = request.tags.unwrap_or_default();
    if overwrite && !tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove \
             overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    if before.is_some() && !overwrite {
        return Err(ApiError::new(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    let last = before.as_ref().map(|parameter| latest(rows, context, parameter)).transpose()?;
    let Some(kind) = request.r#type.or(last.as_ref().map(|last| last.kind)) else {
        return Err(invalid("A parameter type is required when you create a parameter."));
    };
    check_key(kind, request.key_id.as_deref())?;
    let tier = tier(request.tier, last.as_ref().map(|last| last.tier), request.value.len())?;
    if request.description.as_ref().is_some_and(|text| text.chars().count() > 1024) {
        return Err(failed("description", "", "Member must have length less than or equal to 1024"));
    }
    let allowed_pattern = request
        .allowed_pattern
        .or_else(|| last.as_ref().and_then(|last| last.allowed_pattern.clone()))
        .filter(|pattern| !pattern.is_empty());
    check_value(&request.value, tier, kind, allowed_pattern.as_deref())?;
    let mut all = before.as_ref().map_or_else(BTreeMap::new, |parameter| parameter.tags.clone());
    set_tags(&mut all, tags)?;
    make_room(rows, context, &name)?;

    let version = before.as_ref().map_or(0, |parameter| parameter.latest) + 1;
    let sealed_as = ParameterVersion::sealed_as(context, &name, version);
    let (account, region) = (context.account.clone(), context.region.clone());
    rows.put(ParameterVersion {
        account: account.clone(),
        region: region.clone(),
        name: name.clone(),
        version,
        kind,
        value: Sealed::seal(&context.settings, &sealed_as, request.value.as_bytes())?,
        description: request.description.or_else(|| last.as_ref().and_then(|last| last.description.clone())),
        allowed_pattern,
        tier,
        labels: BTreeSet::new(),
        modified_at: context.now,
        modified_by: context.principal.arn(&context.account).to_string(),
    });
    rows.put(Parameter { account, region, name, latest: version, tags: all });
    Ok(Put { version, tier: tier.name() })
}

/// There is no KMS: the one key is AWS's own.
fn check_key(kind: ParameterType, key_id: Option<&str>) -> Result<(), ApiError> {
    match key_id.filter(|key| !key.is_empty()) {
        None => Ok(()),
        Some(_) if kind != ParameterType::SecureString => {
            Err(invalid("KeyId is required for SecureString type parameter only."))
        }
        Some(KEY) => Ok(()),
        Some(other) => Err(ApiError::new(
            "InvalidKeyId",
            format!("Landfall has no KMS, and so no key {other}: leave KeyId out, or give {KEY}."),
        )),
    }
}

/// The tier of the next version.
fn tier(asked: Option<AskedTier>, before: Option<Tier>, length: usize) -> Result<Tier, ApiError> {
    match (asked, before) {
        (Some(AskedTier::Standard), Some(Tier::Advanced)) => Err(invalid(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
             advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter \
             and recreate it as a standard parameter.",
        )),
        (Some(AskedTier::Advanced), _) | (_, Some(Tier::Advanced)) => Ok(Tier::Advanced),
        (Some(AskedTier::IntelligentTiering), _) if length > Tier::Standard.longest() => Ok(Tier::Advanced),
        _ => Ok(Tier::Standard),
    }
}

fn check_value(value: &str, tier: Tier, kind: ParameterType, pattern: Option<&str>) -> Result<(), ApiError> {
    if value.is_empty() {
        return Err(failed("value", "", "Member must have length greater than or equal to 1"));
    }
    if value.len() > tier.longest() {
        let more = match tier {
            Tier::Standard => {
                " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more \
                 information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
            }
            Tier::Advanced => "",
        };
        return Err(invalid(format!(
            "{} tier parameters support a maximum parameter value of {} characters.{more}",
            tier.name(),
            tier.longest()
        )));
    }
    if value.contains("{{") && value.contains("}}") {
        return Err(invalid(
            "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
        ));
    }
    if kind == ParameterType::StringList && value.split(',').any(str::is_empty) {
        return Err(invalid("Parameter StringList value contains an empty item."));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    if pattern.chars().count() > 1024 {
        return Err(failed("allowedPattern", pattern, "Member must have length less than or equal to 1024"));
    }
    // The whole value has to match, as of Java's `matches`.
    let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
        ApiError::new(
            "InvalidAllowedPatternException",
            format!("The request doesn't meet the regular expression requirement: {pattern}"),
        )
    })?;
    let fits = match kind {
        ParameterType::StringList => value.split(',').all(|item| whole.is_match(item)),
        ParameterType::String | ParameterType::SecureString => whole.is_match(value),
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::new(
        "ParameterPatternMismatchException",
        format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
    ))
}

/// Deletes the oldest version for a new one, unless it has a label.
fn make_room(rows: &mut Tx, context: &Context, name: &str) -> Result<(), ApiError> {
    let all = versions(rows, context, name);
    let Some(oldest) = all.first().filter(|_| all.len() >= VERSIONS) else { return Ok(()) };
    if !oldest.labels.is_empty() {
        return Err(ApiError::new(
            "ParameterMaxVersionLimitExceeded",
            format!(
                "You attempted to create a new version of {name} by calling the PutParameter API with the overwrite \
                 flag. Version {}, the oldest version, can't be deleted because it has a label associated with it. Move \
                 the label to another version of the parameter, and try again.",
                oldest.version
            ),
        ));
    }
    rows.delete::<ParameterVersion>(&oldest.key());
    Ok(())
}
