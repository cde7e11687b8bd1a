//! Elastic Load Balancing, version 2: application load balancers, target groups, listeners.
#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub mod action;
pub mod attributes;
pub mod health_check;
pub mod listener;
pub mod load_balancer;
mod load_balancer_description;
pub mod tags;
pub mod target_group;
mod target_health;
pub mod targets;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, TableDef, table};
use types::Arn;
use wire::ApiError;

use crate::Context;
use crate::operation::{Operation, read, write};
use crate::page::{Page, page};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(Elbv2, AddTags, tags::add),
    write!(Elbv2, CreateListener, listener::create),
    write!(Elbv2, CreateLoadBalancer, load_balancer::create),
    write!(Elbv2, CreateTargetGroup, target_group::create),
    write!(Elbv2, DeleteListener, listener::delete),
    write!(Elbv2, DeleteLoadBalancer, load_balancer::delete),
    write!(Elbv2, DeleteTargetGroup, target_group::delete),
    write!(Elbv2, DeregisterTargets, targets::deregister_targets),
    read!(Elbv2, DescribeCapacityReservation, load_balancer_description::describe_capacity_reservation),
    read!(Elbv2, DescribeListenerAttributes, attributes::describe_listener),
    read!(Elbv2, DescribeListeners, listener::describe),
    read!(Elbv2, DescribeLoadBalancerAttributes, attributes::describe_load_balancer),
    read!(Elbv2, DescribeLoadBalancers, load_balancer_description::describe),
    read!(Elbv2, DescribeTags, tags::describe),
    read!(Elbv2, DescribeTargetGroupAttributes, attributes::describe_target_group),
    read!(Elbv2, DescribeTargetGroups, target_group::describe),
    read!(Elbv2, DescribeTargetHealth, target_health::describe),
    write!(Elbv2, ModifyListener, listener::modify),
    write!(Elbv2, ModifyLoadBalancerAttributes, attributes::modify_load_balancer),
    write!(Elbv2, ModifyTargetGroup, target_group::modify),
    write!(Elbv2, ModifyTargetGroupAttributes, attributes::modify_target_group),
    write!(Elbv2, RegisterTargets, targets::register_targets),
    write!(Elbv2, RemoveTags, tags::remove),
    write!(Elbv2, SetSecurityGroups, load_balancer::set_security_groups),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[
    table::<listener::Listener>(),
    table::<load_balancer::LoadBalancer>(),
    table::<target_group::TargetGroup>(),
];

/// A tag, in requests, rows and responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    /// The key, at most 128 characters.
    pub key: String,
    /// The value; absent is empty.
    #[serde(default)]
    pub value: String,
}

/// A response without content.
#[derive(Debug, Serialize)]
pub struct EmptyResponse {}

/// AWS's ValidationError.
pub(crate) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// A value that the API's model does not allow, in the words of AWS's own check. `member` is the path with small
/// first letters, `constraint` goes on after `Member must`.
fn constraint(member: &str, value: impl Display, constraint: impl Display) -> ApiError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"
    ))
}

/// Checks a number against the range that the API's model has for it.
fn in_range(member: &str, value: u32, range: RangeInclusive<u32>) -> Result<u32, ApiError> {
    if value < *range.start() {
        let words = format!("have value greater than or equal to {}", range.start());
        return Err(constraint(member, value, words));
    }
    if value > *range.end() {
        return Err(constraint(member, value, format!("have value less than or equal to {}", range.end())));
    }
    Ok(value)
}

/// Checks a port.
fn port(member: &str, value: u32) -> Result<u16, ApiError> {
    let value = in_range(member, value, 1..=u32::from(u16::MAX))?;
    u16::try_from(value).map_err(|_| validation(format!("'{value}' is no port")))
}

/// Checks that a text is made of digits alone and is a number in a range: `+80` is none.
fn digits(text: &str, range: RangeInclusive<u16>) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && range.contains(number))
}

/// The most tags of a resource.
const MOST_TAGS: usize = 50;

/// Checks the tags of a request (the API's model of `Tag`, and "Tag restrictions" of the user guide).
pub(crate) fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    for (at, tag) in tags.iter().enumerate() {
        check_tag_text(&format!("tags.{}.member.key", at + 1), &tag.key, 1, 128)?;
        check_tag_text(&format!("tags.{}.member.value", at + 1), &tag.value, 0, 256)?;
        if tag.key.to_lowercase().starts_with("aws:") {
            return Err(validation("aws: prefixed tag key names are not allowed for external use."));
        }
        if tags[..at].iter().any(|other| other.key == tag.key) {
            return Err(ApiError::new(
                "DuplicateTagKeys",
                format!("Tag key '{}' was specified more than once", tag.key),
            ));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(ApiError::new(
            "TooManyTags",
            format!("You've reached the limit on the number of tags per resource: {MOST_TAGS}"),
        ));
    }
    Ok(())
}

fn check_tag_text(member: &str, text: &str, least: usize, most: usize) -> Result<(), ApiError> {
    if text.chars().count() < least {
        return Err(constraint(member, text, format!("have length greater than or equal to {least}")));
    }
    if text.chars().count() > most {
        return Err(constraint(member, text, format!("have length less than or equal to {most}")));
    }
    let fits =
        |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    if !text.chars().all(fits) {
        let words = r"satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
        return Err(constraint(member, text, words));
    }
    Ok(())
}

/// Checks a name: 1 to 32 letters, digits and hyphens, none first or last.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(validation(format!("{what} cannot be empty")));
    }
    if name.len() > 32 {
        return Err(validation(format!("{what} '{name}' cannot be longer than '32' characters")));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(validation(format!(
            "{what} '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(validation(format!("{what} '{name}' cannot begin or end with '-'")));
    }
    Ok(())
}

/// Checks that an ARN is of the caller's account and region and of a type (`loadbalancer/app/`), as AWS does before it
/// looks for the resource. `what` names the type in the refusal.
fn check_arn(context: &Context, arn: &str, r#type: &str, what: &str) -> Result<(), ApiError> {
    let own = |parsed: &Arn| {
        parsed.service == "elasticloadbalancing"
            && parsed.region == context.region.as_str()
            && parsed.account == context.account.as_str()
            && parsed.resource.starts_with(r#type)
    };
    if arn.parse::<Arn>().is_ok_and(|parsed| own(&parsed)) {
        return Ok(());
    }
    Err(validation(format!("'{arn}' is not a valid {what} ARN")))
}

/// The last part of an ARN of this service: what its row is keyed by.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A page of a listing: `PageSize` is 1 to 400, and 400 if absent.
fn page_of<R: Row>(
    rows: impl IntoIterator<Item = Arc<R>>,
    marker: Option<&str>,
    size: Option<u32>,
) -> Result<Page<Arc<R>>, ApiError> {
    let size = in_range("pageSize", size.unwrap_or(400), 1..=400)?;
    page(rows, |row| row.key(), usize::try_from(size).ok(), marker)
        .map_err(|_| validation("The specified marker is not valid"))
}
