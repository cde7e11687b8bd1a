//! Target groups of type ip, over HTTP/1.1.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{Target, TargetLifecycle};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, random_hex};
use wire::{ApiError, OnlyDefault, True, documented_default};

use super::health_check::{Changes, HealthCheck, Matcher};
use super::listener::Listener;
use super::load_balancer::{self, Ipv4};
use super::{EmptyResponse, Tag, check_arn, check_name, check_tags, last_part, page_of, port, validation};
use crate::Context;
use crate::ec2::vpc;

documented_default!(
    /// The one protocol there is so far.
    Http = "HTTP"
);
documented_default!(
    /// The one protocol version there is so far.
    Http1 = "HTTP1"
);

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetGroup {
    /// The last part of the ARN, sixteen hexadecimal digits.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its name, unique in account and region.
    pub name: String,
    /// The port of targets that name none.
    pub port: u16,
    /// Its VPC.
    pub vpc_id: String,
    /// How health is checked.
    pub health_check: HealthCheck,
    /// The load balancers whose listeners name it, by ARN.
    pub load_balancer_arns: Vec<String>,
    /// Its targets, the draining ones too.
    pub targets: Vec<Target>,
    /// The availability zone of each target's address.
    pub zones: BTreeMap<Ipv4Addr, String>,
    /// The commit of the latest deregistration: what a node reported of an earlier state says nothing of it.
    pub deregistered_in: u64,
    /// Attributes that were set; the others have their defaults.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The key's account and region.
    pub scope: String,
}

impl Row for TargetGroup {
    const TABLE: &'static str = "elbv2_target_group";

    fn key(&self) -> String {
        format!("{}{}", self.scope, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        self.load_balancer_arns.iter().map(|arn| PartId::LoadBalancer(last_part(arn).to_owned())).collect()
    }

    /// While a target of it drains.
    fn found_by(&self) -> Vec<String> {
        let drains = |target: &Target| matches!(target.lifecycle, TargetLifecycle::Draining { .. });
        match self.targets.iter().any(drains) {
            true => vec![format!("{}{}", super::targets::DRAINING, self.key())],
            false => Vec::new(),
        }
    }
}

/// The target group of an ARN, in whatever account and region it is.
pub fn get(rows: &Snapshot, arn: &str) -> Option<Arc<TargetGroup>> {
    let parsed: types::Arn = arn.parse().ok()?;
    let key = format!("{}/{}/{}", parsed.account, parsed.region, last_part(arn));
    rows.get::<TargetGroup>(&key).filter(|row| row.arn == arn)
}

/// As [`get`], with AWS's error.
pub(super) fn require(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<TargetGroup>, ApiError> {
    check_arn(context, arn, "targetgroup/", "target group")?;
    get(rows, arn).ok_or_else(|| not_found(format!("Target group '{arn}' not found")))
}

fn not_found(message: String) -> ApiError {
    ApiError::new("TargetGroupNotFound", message)
}

/// Brings every group's `load_balancer_arns` up to the listeners there are.
pub(super) fn refresh_uses(rows: &mut Tx, context: &Context) {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for listener in rows.scan::<Listener>(&context.prefix()) {
        if let Some(group) = listener.target_group() {
            uses.entry(group.to_owned()).or_default().insert(listener.load_balancer_arn.clone());
        }
    }
    let groups: Vec<Arc<TargetGroup>> = rows.scan::<TargetGroup>(&context.prefix()).collect();
    for group in groups {
        let now: Vec<String> = uses.get(&group.arn).into_iter().flatten().cloned().collect();
        if now != group.load_balancer_arns {
            rows.put(TargetGroup { load_balancer_arns: now, ..(*group).clone() });
        }
    }
}

/// CreateTargetGroup's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateRequest {
    name: String,
    protocol: Option<String>,
    #[serde(default, rename = "ProtocolVersion")]
    _protocol_version: OnlyDefault<Http1>,
    port: Option<u32>,
    vpc_id: Option<String>,
    #[serde(default, rename = "HealthCheckProtocol")]
    _health_check_protocol: OnlyDefault<Http>,
    #[serde(default, rename = "HealthCheckEnabled")]
    _health_check_enabled: OnlyDefault<True>,
    health_check_port: Option<String>,
    health_check_path: Option<String>,
    health_check_interval_seconds: Option<u32>,
    health_check_timeout_seconds: Option<u32>,
    healthy_threshold_count: Option<u32>,
    unhealthy_threshold_count: Option<u32>,
    matcher: Option<Matcher>,
    target_type: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "IpAddressType")]
    _ip_address_type: OnlyDefault<Ipv4>,
}

/// CreateTargetGroup. The same call again gives the group that is there.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateRequest,
) -> Result<DescribeResponse, ApiError> {
    check_name("Target group name", &request.name)?;
    check_tags(&request.tags)?;
    match request.target_type.as_deref() {
        Some("ip") => (),
        other => {
            return Err(ApiError::unsupported(format_args!(
                "target groups of type '{}'; a Fargate task's group has TargetType ip",
                other.unwrap_or("instance")
            )));
        }
    }
    match request.protocol.as_deref() {
        Some("HTTP") => (),
        None => return Err(validation("A protocol must be specified")),
        Some(other) => {
            return Err(ApiError::unsupported(format_args!("target groups of protocol '{other}'")));
        }
    }
    let Some(port) = request.port else { return Err(validation("A port must be specified")) };
    let port = self::port("port", port)?;
    let Some(vpc_id) = request.vpc_id else { return Err(validation("A VPC ID must be specified")) };
    vpc::get(rows, context, &vpc_id)
        .map_err(|_| validation(format!("The VPC ID '{vpc_id}' is not found")))?;
    let health_check = HealthCheck::default().with(Changes {
        port: request.health_check_port,
        path: request.health_check_path,
        interval: request.health_check_interval_seconds,
        timeout: request.health_check_timeout_seconds,
        healthy: request.healthy_threshold_count,
        unhealthy: request.unhealthy_threshold_count,
        matcher: request.matcher,
    })?;
    let existing = rows.scan::<TargetGroup>(&context.prefix()).find(|row| row.name == request.name);
    if let Some(existing) = existing {
        if existing.port == port
            && existing.vpc_id == vpc_id
            && existing.health_check == health_check
            && existing.tags == request.tags
        {
            return Ok(DescribeResponse::of([existing], None));
        }
        return Err(ApiError::new(
            "DuplicateTargetGroupName",
            format!(
                "A target group with the same name '{}' exists, but with different settings",
                request.name
            ),
        ));
    }
    let id = random_hex(16);
    let arn = context.arn("elasticloadbalancing", format!("targetgroup/{}/{id}", request.name)).to_string();
    let row = rows.put(TargetGroup {
        id,
        arn,
        name: request.name,
        port,
        vpc_id,
        health_check,
        load_balancer_arns: Vec::new(),
        targets: Vec::new(),
        zones: BTreeMap::new(),
        deregistered_in: 0,
        attributes: BTreeMap::new(),
        tags: request.tags,
        scope: context.prefix(),
    });
    Ok(DescribeResponse::of([row], None))
}

/// ModifyTargetGroup's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ModifyRequest {
    target_group_arn: String,
    #[serde(default, rename = "HealthCheckProtocol")]
    _health_check_protocol: OnlyDefault<Http>,
    #[serde(default, rename = "HealthCheckEnabled")]
    _health_check_enabled: OnlyDefault<True>,
    health_check_port: Option<String>,
    health_check_path: Option<String>,
    health_check_interval_seconds: Option<u32>,
    health_check_timeout_seconds: Option<u32>,
    healthy_threshold_count: Option<u32>,
    unhealthy_threshold_count: Option<u32>,
    matcher: Option<Matcher>,
}

/// ModifyTargetGroup.
pub fn modify(
    rows: &mut Tx,
    context: &Context,
    request: ModifyRequest,
) -> Result<DescribeResponse, ApiError> {
    let row = require(rows, context, &request.target_group_arn)?;
    let health_check = row.health_check.clone().with(Changes {
        port: request.health_check_port,
        path: request.health_check_path,
        interval: request.health_check_interval_seconds,
        timeout: request.health_check_timeout_seconds,
        healthy: request.healthy_threshold_count,
        unhealthy: request.unhealthy_threshold_count,
        matcher: request.matcher,
    })?;
    let row = rows.put(TargetGroup { health_check, ..(*row).clone() });
    Ok(DescribeResponse::of([row], None))
}

/// A request that names one target group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneRequest {
    /// Its ARN.
    pub(super) target_group_arn: String,
}

/// DeleteTargetGroup. One that is not there is no error.
pub fn delete(rows: &mut Tx, context: &Context, request: OneRequest) -> Result<EmptyResponse, ApiError> {
    check_arn(context, &request.target_group_arn, "targetgroup/", "target group")?;
    let Ok(row) = require(rows, context, &request.target_group_arn) else { return Ok(EmptyResponse {}) };
    if !row.load_balancer_arns.is_empty() {
        return Err(ApiError::new(
            "ResourceInUse",
            format!("Target group '{}' is currently in use by a listener or a rule", row.arn),
        ));
    }
    rows.delete::<TargetGroup>(&row.key());
    Ok(EmptyResponse {})
}

/// DescribeTargetGroups' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeRequest {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    target_group_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<u32>,
}

/// DescribeTargetGroups' response, CreateTargetGroup's and ModifyTargetGroup's too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeResponse {
    target_groups: Vec<Description>,
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    target_group_arn: String,
    target_group_name: String,
    protocol: &'static str,
    port: u16,
    vpc_id: String,
    health_check_protocol: &'static str,
    health_check_port: String,
    health_check_enabled: bool,
    health_check_interval_seconds: u32,
    health_check_timeout_seconds: u32,
    healthy_threshold_count: u32,
    unhealthy_threshold_count: u32,
    health_check_path: String,
    matcher: Matcher,
    load_balancer_arns: Vec<String>,
    target_type: &'static str,
    protocol_version: &'static str,
    ip_address_type: &'static str,
}

impl DescribeResponse {
    fn of(groups: impl IntoIterator<Item = Arc<TargetGroup>>, next_marker: Option<String>) -> Self {
        let describe = |row: Arc<TargetGroup>| Description {
            target_group_arn: row.arn.clone(),
            target_group_name: row.name.clone(),
            protocol: "HTTP",
            port: row.port,
            vpc_id: row.vpc_id.clone(),
            health_check_protocol: "HTTP",
            health_check_port: row.health_check.port.clone(),
            health_check_enabled: true,
            health_check_interval_seconds: row.health_check.interval,
            health_check_timeout_seconds: row.health_check.timeout,
            healthy_threshold_count: row.health_check.healthy_threshold,
            unhealthy_threshold_count: row.health_check.unhealthy_threshold,
            health_check_path: row.health_check.path.clone(),
            matcher: Matcher::of(&row.health_check),
            load_balancer_arns: row.load_balancer_arns.clone(),
            target_type: "ip",
            protocol_version: "HTTP1",
            ip_address_type: "ipv4",
        };
        Self { target_groups: groups.into_iter().map(describe).collect(), next_marker }
    }
}

/// DescribeTargetGroups.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRequest,
) -> Result<DescribeResponse, ApiError> {
    let DescribeRequest { load_balancer_arn, target_group_arns: arns, names, marker, page_size } = request;
    let given = [load_balancer_arn.is_some(), !arns.is_empty(), !names.is_empty()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        return Err(validation(
            "Only one of load balancer ARN, target group ARNs and names can be specified",
        ));
    }
    if let Some(arn) = &load_balancer_arn {
        load_balancer::get(rows, context, arn)?;
    }
    for arn in &arns {
        check_arn(context, arn, "targetgroup/", "target group")?;
    }
    let prefix = context.prefix();
    let all = || rows.scan::<TargetGroup>(&prefix);
    let is_known = arns.iter().all(|arn| all().any(|row| row.arn == *arn))
        && names.iter().all(|name| all().any(|row| row.name == *name));
    if !is_known {
        return Err(not_found("One or more target groups not found".to_owned()));
    }
    let asked = all().filter(|row| {
        load_balancer_arn.as_ref().is_none_or(|arn| row.load_balancer_arns.contains(arn))
            && (arns.is_empty() || arns.contains(&row.arn))
            && (names.is_empty() || names.contains(&row.name))
    });
    let page = page_of(asked, marker.as_deref(), page_size)?;
    Ok(DescribeResponse::of(page.items, page.next_token))
}
