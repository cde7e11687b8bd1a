//! Elastic Load Balancing, version 2: application load balancers, target groups, listeners.
#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub mod attributes;
pub mod listener;
pub mod load_balancer;
pub mod tags;
pub mod target_group;
pub mod targets;

use serde::{Deserialize, Serialize};
use store::{TableDef, table};
use wire::ApiError;

use crate::operation::{Operation, read, write};

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
    read!(Elbv2, DescribeCapacityReservation, load_balancer::describe_capacity_reservation),
    read!(Elbv2, DescribeListenerAttributes, attributes::describe_listener),
    read!(Elbv2, DescribeListeners, listener::describe),
    read!(Elbv2, DescribeLoadBalancerAttributes, attributes::describe_load_balancer),
    read!(Elbv2, DescribeLoadBalancers, load_balancer::describe),
    read!(Elbv2, DescribeTags, tags::describe),
    read!(Elbv2, DescribeTargetGroupAttributes, attributes::describe_target_group),
    read!(Elbv2, DescribeTargetGroups, target_group::describe),
    read!(Elbv2, DescribeTargetHealth, targets::describe_health),
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

/// Checks the tags of a request ("Tag restrictions" of the API reference).
pub(crate) fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    for (at, tag) in tags.iter().enumerate() {
        if tag.key.is_empty() || tag.key.chars().count() > 128 || tag.value.chars().count() > 256 {
            return Err(validation(format!("The tag key '{}' or its value is not valid", tag.key)));
        }
        if tag.key.to_lowercase().starts_with("aws:") {
            return Err(validation("Tag keys that begin with aws: are reserved".to_owned()));
        }
        if tags[..at].iter().any(|other| other.key == tag.key) {
            return Err(ApiError::new(
                "DuplicateTagKeys",
                format!("Tag key '{}' was specified more than once", tag.key),
            ));
        }
    }
    if tags.len() > 50 {
        return Err(ApiError::new(
            "TooManyTags",
            "You've reached the limit on the number of tags per load balancer",
        ));
    }
    Ok(())
}

/// AWS's ValidationError.
pub(crate) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// Checks a name: 1 to 32 letters, digits and hyphens, none first or last.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 32 {
        return Err(validation(format!("{what} name '{name}' cannot be longer than '32' characters")));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(validation(format!(
            "{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(validation(format!("{what} name '{name}' cannot begin or end with '-'")));
    }
    Ok(())
}

/// The last part of an ARN of this service: what its row is keyed by.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
