//! Attributes of load balancers, target groups and listeners.
//!
//! Each key is honoured, or takes its documented default alone. The keys and defaults are those of the API reference's
//! `LoadBalancerAttribute`, `TargetGroupAttribute` and `ListenerAttribute` for application load balancers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::load_balancer::LoadBalancer;
use super::target_group::TargetGroup;
use super::{constraint, digits, listener, load_balancer, target_group, validation};
use crate::Context;

/// How a key may be set.
enum Rule {
    /// To its default alone.
    DefaultOnly,
    /// To whole numbers in a range.
    Number(RangeInclusive<u16>),
    /// To true and false.
    Bool,
    /// To these values; AWS has others.
    OneOf(&'static [&'static str]),
}

type Known = (&'static str, &'static str, Rule);

const LOAD_BALANCER: &[Known] = &[
    ("access_logs.s3.bucket", "", Rule::DefaultOnly),
    ("access_logs.s3.enabled", "false", Rule::DefaultOnly),
    ("access_logs.s3.prefix", "", Rule::DefaultOnly),
    ("client_keep_alive.seconds", "3600", Rule::DefaultOnly),
    ("connection_logs.s3.bucket", "", Rule::DefaultOnly),
    ("connection_logs.s3.enabled", "false", Rule::DefaultOnly),
    ("connection_logs.s3.prefix", "", Rule::DefaultOnly),
    ("deletion_protection.enabled", "false", Rule::Bool),
    ("health_check_logs.s3.bucket", "", Rule::DefaultOnly),
    ("health_check_logs.s3.enabled", "false", Rule::DefaultOnly),
    ("health_check_logs.s3.prefix", "", Rule::DefaultOnly),
    ("idle_timeout.timeout_seconds", "60", Rule::Number(1..=4000)),
    ("load_balancing.cross_zone.enabled", "true", Rule::DefaultOnly),
    ("routing.http.desync_mitigation_mode", "defensive", Rule::DefaultOnly),
    ("routing.http.drop_invalid_header_fields.enabled", "false", Rule::Bool),
    ("routing.http.preserve_host_header.enabled", "false", Rule::DefaultOnly),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Rule::DefaultOnly),
    ("routing.http.xff_client_port.enabled", "false", Rule::DefaultOnly),
    ("routing.http.xff_header_processing.mode", "append", Rule::DefaultOnly),
    ("routing.http2.enabled", "true", Rule::DefaultOnly),
    ("waf.fail_open.enabled", "false", Rule::DefaultOnly),
    ("zonal_shift.config.enabled", "false", Rule::DefaultOnly),
];

const TARGET_GROUP: &[Known] = &[
    ("deregistration_delay.timeout_seconds", "300", Rule::Number(0..=3600)),
    ("load_balancing.algorithm.anomaly_mitigation", "off", Rule::DefaultOnly),
    ("load_balancing.algorithm.type", "round_robin", Rule::DefaultOnly),
    // Every node sends to the targets of all zones.
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Rule::OneOf(&["use_load_balancer_configuration", "true"]),
    ),
    ("slow_start.duration_seconds", "0", Rule::DefaultOnly),
    ("stickiness.app_cookie.cookie_name", "", Rule::DefaultOnly),
    ("stickiness.app_cookie.duration_seconds", "86400", Rule::DefaultOnly),
    ("stickiness.enabled", "false", Rule::DefaultOnly),
    ("stickiness.lb_cookie.duration_seconds", "86400", Rule::DefaultOnly),
    ("stickiness.type", "lb_cookie", Rule::DefaultOnly),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Rule::DefaultOnly),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Rule::DefaultOnly),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", Rule::DefaultOnly),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Rule::DefaultOnly,
    ),
];

const LISTENER: &[Known] = &[("routing.http.response.server.enabled", "true", Rule::DefaultOnly)];

/// A key and its value, in requests and responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Attribute {
    key: String,
    #[serde(default)]
    value: String,
}

/// A list of attributes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributesResponse {
    attributes: Vec<Attribute>,
}

fn value(known: &[Known], set: &BTreeMap<String, String>, key: &str) -> String {
    let default = known.iter().find(|(name, ..)| *name == key).map_or("", |(_, default, _)| default);
    set.get(key).cloned().unwrap_or_else(|| default.to_owned())
}

fn list(known: &[Known], set: &BTreeMap<String, String>) -> AttributesResponse {
    let attribute = |(key, ..): &Known| Attribute { key: (*key).to_owned(), value: value(known, set, key) };
    AttributesResponse { attributes: known.iter().map(attribute).collect() }
}

/// The attributes after a request's changes; `what` names the resource in refusals.
fn set(
    what: &str,
    known: &[Known],
    current: &BTreeMap<String, String>,
    changes: Vec<Attribute>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut next = current.clone();
    for (at, Attribute { key, value }) in changes.iter().enumerate() {
        let Some((_, default, rule)) = known.iter().find(|(name, ..)| name == key) else {
            return Err(validation(format!("{what} attribute key '{key}' is not recognized")));
        };
        if changes[..at].iter().any(|other| other.key == *key) {
            return Err(validation(format!("{what} attribute key '{key}' is specified more than once")));
        }
        let fits = match rule {
            Rule::DefaultOnly if value != default => {
                return Err(ApiError::new(
                    "InvalidConfigurationRequest",
                    format!(
                        "{what} attribute '{key}': only the default '{default}' is supported by Landfall, not '{value}'"
                    ),
                ));
            }
            Rule::OneOf(values) if !values.contains(&value.as_str()) => {
                return Err(ApiError::new(
                    "InvalidConfigurationRequest",
                    format!(
                        "{what} attribute '{key}': only {} is supported by Landfall, not '{value}'",
                        values.join(" or ")
                    ),
                ));
            }
            Rule::DefaultOnly | Rule::OneOf(_) => true,
            Rule::Number(range) => digits(value, range.clone()).is_some(),
            Rule::Bool => matches!(value.as_str(), "true" | "false"),
        };
        if !fits {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                format!("{what} attribute '{key}' has the invalid value '{value}'"),
            ));
        }
        next.insert(key.clone(), value.clone());
    }
    Ok(next)
}

/// The value of a load balancer's attribute, set or by default.
pub fn load_balancer_value(row: &LoadBalancer, key: &str) -> String {
    value(LOAD_BALANCER, &row.attributes, key)
}

/// The value of a target group's attribute, set or by default.
pub fn target_group_value(row: &TargetGroup, key: &str) -> String {
    value(TARGET_GROUP, &row.attributes, key)
}

/// DescribeLoadBalancerAttributes.
pub fn describe_load_balancer(
    rows: &Snapshot,
    context: &Context,
    request: load_balancer::OneRequest,
) -> Result<AttributesResponse, ApiError> {
    let row = load_balancer::get(rows, context, &request.load_balancer_arn)?;
    Ok(list(LOAD_BALANCER, &row.attributes))
}

/// The most attributes of one request, by the API's model.
const MOST_ATTRIBUTES: usize = 20;

/// ModifyLoadBalancerAttributes' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ModifyLoadBalancerRequest {
    load_balancer_arn: String,
    attributes: Vec<Attribute>,
}

/// ModifyLoadBalancerAttributes.
pub fn modify_load_balancer(
    rows: &mut Tx,
    context: &Context,
    request: ModifyLoadBalancerRequest,
) -> Result<AttributesResponse, ApiError> {
    if request.attributes.len() > MOST_ATTRIBUTES {
        let words = format!("have length less than or equal to {MOST_ATTRIBUTES}");
        return Err(constraint(
            "attributes",
            format_args!("[{} attributes]", request.attributes.len()),
            words,
        ));
    }
    let row = load_balancer::get(rows, context, &request.load_balancer_arn)?;
    let attributes = set("Load balancer", LOAD_BALANCER, &row.attributes, request.attributes)?;
    let row = rows.put(LoadBalancer { attributes, ..(*row).clone() });
    Ok(list(LOAD_BALANCER, &row.attributes))
}

/// DescribeTargetGroupAttributes.
pub fn describe_target_group(
    rows: &Snapshot,
    context: &Context,
    request: target_group::OneRequest,
) -> Result<AttributesResponse, ApiError> {
    let row = target_group::require(rows, context, &request.target_group_arn)?;
    Ok(list(TARGET_GROUP, &row.attributes))
}

/// ModifyTargetGroupAttributes' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ModifyTargetGroupRequest {
    target_group_arn: String,
    attributes: Vec<Attribute>,
}

/// ModifyTargetGroupAttributes.
pub fn modify_target_group(
    rows: &mut Tx,
    context: &Context,
    request: ModifyTargetGroupRequest,
) -> Result<AttributesResponse, ApiError> {
    let row = target_group::require(rows, context, &request.target_group_arn)?;
    let attributes = set("Target group", TARGET_GROUP, &row.attributes, request.attributes)?;
    let row = rows.put(TargetGroup { attributes, ..(*row).clone() });
    Ok(list(TARGET_GROUP, &row.attributes))
}

/// DescribeListenerAttributes.
pub fn describe_listener(
    rows: &Snapshot,
    context: &Context,
    request: listener::OneRequest,
) -> Result<AttributesResponse, ApiError> {
    listener::require(rows, context, &request.listener_arn)?;
    Ok(list(LISTENER, &BTreeMap::new()))
}
