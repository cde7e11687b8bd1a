//! The service `application-autoscaling`: Application Auto Scaling, of ECS services. What a metric means for a count is
//! computed in the crate `metrics`.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub(crate) mod access;
pub mod act;
mod activity;
mod place;
pub mod policy;
mod policy_description;
mod schedule;
mod scheduled_action;
mod tag;
mod target;
#[cfg(test)]
mod tests;
mod tracking;

use std::collections::BTreeMap;

use serde::Serialize;
use store::{TableDef, table};
use wire::ApiError;

use crate::operation::{Operation, read, write};
use place::Place;

pub use activity::ScalingActivity;
pub use policy::ScalingPolicy;
pub use scheduled_action::ScheduledAction;
pub use target::ScalableTarget;

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    write!(AutoScaling, DeleteScalingPolicy, policy::delete),
    write!(AutoScaling, DeleteScheduledAction, scheduled_action::delete),
    write!(AutoScaling, DeregisterScalableTarget, target::deregister),
    read!(AutoScaling, DescribeScalableTargets, target::describe),
    read!(AutoScaling, DescribeScalingActivities, activity::describe),
    read!(AutoScaling, DescribeScalingPolicies, policy_description::describe),
    read!(AutoScaling, DescribeScheduledActions, scheduled_action::describe),
    read!(AutoScaling, ListTagsForResource, tag::list),
    write!(AutoScaling, PutScalingPolicy, policy::put),
    write!(AutoScaling, PutScheduledAction, scheduled_action::put),
    write!(AutoScaling, RegisterScalableTarget, target::register),
    write!(AutoScaling, TagResource, tag::add),
    write!(AutoScaling, UntagResource, tag::remove),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[
    table::<ScalableTarget>(),
    table::<ScalingPolicy>(),
    table::<ScheduledAction>(),
    table::<ScalingActivity>(),
];

/// The most tags of a target.
const MOST_TAGS: usize = 50;

/// Tags by key.
type Tags = BTreeMap<String, String>;

/// An answer that says nothing.
#[derive(Debug, Serialize)]
pub struct Empty {}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn invalid_token() -> ApiError {
    ApiError::new("InvalidNextTokenException", "The next token specified is invalid.")
}

/// AWS's words for what is not there.
fn not_found(what: &str, place: &Place, named: Option<(&str, &str)>) -> ApiError {
    let named = named.map_or_else(String::new, |(kind, name)| format!(", {kind}: {name}"));
    ApiError::new(
        "ObjectNotFoundException",
        format!(
            "{what} found for service namespace: ecs, resource ID: {}, scalable dimension: ecs:service:DesiredCount{named}",
            place.resource_id()
        ),
    )
}

/// How many results a page has: 50 unless asked otherwise.
fn size(asked: Option<i64>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(50),
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| (1..=50).contains(asked))
            .ok_or_else(|| validation(format!("MaxResults {asked} is not between 1 and 50."))),
    }
}

/// Random hexadecimal digits in groups, joined by strokes.
fn id(groups: &[usize]) -> String {
    let groups: Vec<String> = groups.iter().map(|length| types::random_hex(*length)).collect();
    groups.join("-")
}

/// Checks tags by the page "TagResource".
fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(validation(format!(
                "The tag {key} is invalid: a key has 1 to 128 characters, a value at most 256."
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(validation("aws: prefixed tag key names are not allowed for external use."));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(validation(format!("A resource has at most {MOST_TAGS} tags.")));
    }
    Ok(())
}
