//! Log groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::logs::Store;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Empty, False, OnlyDefault};

use super::metric_filter::MetricFilter;
use super::stream::LogStream;
use super::{Done, EVENT_OVERHEAD, allowed, disk_failed, group_missing, invalid, limit, tags, violated};
use crate::context::Context;
use crate::operation::Disk;
use crate::page::page;

/// The days that a retention policy may have ("PutRetentionPolicy").
const RETENTION: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const DAY: i64 = 24 * 3600 * 1000;

/// A log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its name, unique in account and region.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// After how many days events are deleted. None: never.
    pub retention_in_days: Option<u32>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Row for LogGroup {
    const TABLE: &'static str = "logs_group";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl LogGroup {
    /// Its ARN; policies and most answers have `:*` behind it.
    pub fn arn(&self) -> String {
        let resource = format!("log-group:{}", self.name);
        types::Arn::new("logs", self.region.as_str(), self.account.as_str(), resource).to_string()
    }

    /// The prefix of the keys of its streams and filters: no name contains a colon.
    pub fn prefix(&self) -> String {
        format!("{}:", self.key())
    }

    /// Since when events are kept, in milliseconds since 1970. None: all are.
    pub fn kept_since(&self, now: Timestamp) -> Option<i64> {
        self.retention_in_days.map(|days| now.as_millis() - i64::from(days) * DAY)
    }
}

/// The group that a request names.
///
/// # Errors
/// When there is none.
pub(super) fn get(rows: &Snapshot, context: &Context, name: &str) -> Result<Arc<LogGroup>, ApiError> {
    rows.get::<LogGroup>(&context.key(name)).ok_or_else(group_missing)
}

/// The name that a request gives: in `logGroupName`, or in `logGroupIdentifier` as a name or an ARN.
pub(super) fn named(
    context: &Context,
    name: Option<String>,
    identifier: Option<String>,
) -> Result<String, ApiError> {
    match (name, identifier) {
        (Some(_), Some(_)) => {
            Err(invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters."))
        }
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => match identifier.strip_prefix("arn:") {
            None => Ok(identifier),
            Some(_) => {
                let own = context.arn("logs", "log-group:").to_string();
                let name = identifier.strip_prefix(&own).ok_or_else(group_missing)?;
                Ok(name.strip_suffix(":*").unwrap_or(name).to_owned())
            }
        },
        (None, None) => Err(invalid("Either logGroupName or logGroupIdentifier must be specified.")),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    if name.is_empty() || name.len() > 512 {
        let constraint = "Member must have length between 1 and 512, inclusive";
        return Err(violated(name, "logGroupName", constraint));
    }
    if !name.chars().all(allowed) {
        let constraint = r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+";
        return Err(violated(name, "logGroupName", constraint));
    }
    Ok(())
}

wire::documented_default!(
    /// The other classes have other prices and fewer functions.
    Standard = "STANDARD"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateLogGroup {
    log_group_name: String,
    tags: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "kmsKeyId")]
    _kms_key_id: OnlyDefault<Empty>,
    #[serde(default, rename = "logGroupClass")]
    _class: OnlyDefault<Standard>,
    #[serde(default, rename = "deletionProtectionEnabled")]
    _deletion_protection: OnlyDefault<False>,
}

pub(super) fn create_log_group(
    rows: &mut Tx,
    context: &Context,
    request: CreateLogGroup,
) -> Result<Done, ApiError> {
    let name = request.log_group_name;
    allowed(rows, context, "CreateLogGroup", &name)?;
    check_name(&name)?;
    if name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if rows.get::<LogGroup>(&context.key(&name)).is_some() {
        return Err(ApiError::new(
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ));
    }
    let mut all = BTreeMap::new();
    tags::set(&mut all, request.tags.unwrap_or_default())?;
    rows.put(LogGroup {
        account: context.account.clone(),
        region: context.region.clone(),
        name,
        created_at: context.now,
        retention_in_days: None,
        tags: all,
    });
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneGroup {
    log_group_name: String,
}

/// Deletes a group with its streams and filters; the events follow, see [`super::sweep`].
pub(super) fn delete_log_group(
    rows: &mut Tx,
    context: &Context,
    request: OneGroup,
) -> Result<Done, ApiError> {
    allowed(rows, context, "DeleteLogGroup", &request.log_group_name)?;
    let group = get(rows, context, &request.log_group_name)?;
    let prefix = group.prefix();
    let streams: Vec<String> = rows.scan::<LogStream>(&prefix).map(|stream| stream.key()).collect();
    let filters: Vec<String> = rows.scan::<MetricFilter>(&prefix).map(|filter| filter.key()).collect();
    for key in streams {
        rows.delete::<LogStream>(&key);
    }
    for key in filters {
        rows.delete::<MetricFilter>(&key);
    }
    rows.delete::<LogGroup>(&group.key());
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutRetentionPolicy {
    log_group_name: String,
    retention_in_days: i64,
}

pub(super) fn put_retention_policy(
    rows: &mut Tx,
    context: &Context,
    request: PutRetentionPolicy,
) -> Result<Done, ApiError> {
    allowed(rows, context, "PutRetentionPolicy", &request.log_group_name)?;
    let days = RETENTION.into_iter().find(|days| i64::from(*days) == request.retention_in_days);
    let Some(days) = days else {
        let constraint = format!("Member must satisfy enum value set: {RETENTION:?}");
        return Err(violated(request.retention_in_days, "retentionInDays", &constraint));
    };
    let group = get(rows, context, &request.log_group_name)?;
    rows.put(LogGroup { retention_in_days: Some(days), ..LogGroup::clone(&group) });
    Ok(Done {})
}

pub(super) fn delete_retention_policy(
    rows: &mut Tx,
    context: &Context,
    request: OneGroup,
) -> Result<Done, ApiError> {
    allowed(rows, context, "DeleteRetentionPolicy", &request.log_group_name)?;
    let group = get(rows, context, &request.log_group_name)?;
    rows.put(LogGroup { retention_in_days: None, ..LogGroup::clone(&group) });
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    log_group_identifiers: Option<Vec<String>>,
    next_token: Option<String>,
    limit: Option<i64>,
    log_group_class: Option<String>,
    #[serde(default, rename = "accountIdentifiers")]
    _account_identifiers: OnlyDefault<Empty>,
    #[serde(default, rename = "includeLinkedAccounts")]
    _include_linked_accounts: OnlyDefault<False>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogGroups {
    log_groups: Vec<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    log_group_name: String,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_in_days: Option<u32>,
    metric_filter_count: usize,
    arn: String,
    stored_bytes: u64,
    log_group_class: &'static str,
    log_group_arn: String,
    deletion_protection_enabled: bool,
}

pub(super) fn describe_log_groups(
    rows: &Snapshot,
    context: &Context,
    disk: Disk<'_>,
    request: DescribeLogGroups,
) -> Result<LogGroups, ApiError> {
    let events = disk.events;
    allowed(rows, context, "DescribeLogGroups", "")?;
    let prefix = request.log_group_name_prefix.filter(|prefix| !prefix.is_empty());
    let pattern = request.log_group_name_pattern.filter(|pattern| !pattern.is_empty());
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let most = limit(request.limit, 50)?;
    let identifiers = request.log_group_identifiers.filter(|all| !all.is_empty());
    let identifiers = identifiers.map(|all| {
        let names = all.into_iter().map(|identifier| named(context, None, Some(identifier)));
        names.filter_map(Result::ok).collect::<Vec<_>>()
    });
    let pattern = pattern.map(|pattern| pattern.to_lowercase());
    let of_class = request.log_group_class.is_none_or(|class| class == "STANDARD");
    let key = context.key(prefix.unwrap_or_default());
    let groups = rows.scan::<LogGroup>(&key).filter(|group| {
        of_class
            && pattern.as_ref().is_none_or(|pattern| group.name.to_lowercase().contains(pattern))
            && identifiers.as_ref().is_none_or(|names| names.contains(&group.name))
    });
    let page = page(groups, |group| group.name.clone(), Some(most), request.next_token.as_deref())
        .map_err(|_| invalid("The specified nextToken is invalid."))?;
    let views = page.items.iter().map(|group| view(rows, events, group)).collect::<Result<_, _>>()?;
    Ok(LogGroups { log_groups: views, next_token: page.next_token })
}

fn view(rows: &Snapshot, events: &Store, group: &LogGroup) -> Result<GroupView, ApiError> {
    let prefix = group.prefix();
    let mut stored_bytes = 0;
    for stream in rows.scan::<LogStream>(&prefix) {
        let summary = events.summary(&stream.id).map_err(disk_failed)?;
        stored_bytes += summary.bytes + summary.events * EVENT_OVERHEAD;
    }
    Ok(GroupView {
        log_group_name: group.name.clone(),
        creation_time: group.created_at.as_millis(),
        retention_in_days: group.retention_in_days,
        metric_filter_count: rows.scan::<MetricFilter>(&prefix).count(),
        arn: format!("{}:*", group.arn()),
        stored_bytes,
        log_group_class: "STANDARD",
        log_group_arn: group.arn(),
        deletion_protection_enabled: false,
    })
}
