//! Listeners over HTTP.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, random_hex};
use wire::{ApiError, Empty, OnlyDefault, documented_default};

use super::action::{Action, ActionShape, one_action};
use super::load_balancer;
use super::{EmptyResponse, Tag, check_arn, check_tags, last_part, page_of, port, target_group, validation};
use crate::Context;

documented_default!(
    /// The one protocol there is so far.
    Http = "HTTP"
);

/// A listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listener {
    /// The last part of the ARN, sixteen hexadecimal digits.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its load balancer's ARN.
    pub load_balancer_arn: String,
    /// Its port.
    pub port: u16,
    /// What it does with a request.
    pub action: Action,
    /// The action's order, if one was given; it is the only action.
    pub order: Option<u32>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The key's account and region.
    pub scope: String,
}

impl Listener {
    /// The ARN of the group that it forwards to.
    pub fn target_group(&self) -> Option<&str> {
        match &self.action {
            Action::Forward { target_group, .. } => Some(target_group),
            Action::FixedResponse { .. } => None,
        }
    }
}

impl Row for Listener {
    const TABLE: &'static str = "elbv2_listener";

    fn key(&self) -> String {
        format!("{}{}", self.scope, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::LoadBalancer(last_part(&self.load_balancer_arn).to_owned()), PartId::Edge]
    }
}

/// The listener of an ARN.
pub(super) fn require(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<Listener>, ApiError> {
    check_arn(context, arn, "listener/", "listener")?;
    rows.get::<Listener>(&context.key(last_part(arn)))
        .filter(|row| row.arn == arn)
        .ok_or_else(|| ApiError::new("ListenerNotFound", "One or more listeners not found"))
}

fn check_protocol(protocol: Option<&str>) -> Result<(), ApiError> {
    match protocol {
        Some("HTTP") => Ok(()),
        None => Err(validation("A protocol must be specified")),
        Some(other) => {
            Err(ApiError::unsupported(format_args!("listeners of protocol '{other}' yet, only of HTTP")))
        }
    }
}

/// CreateListener's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateRequest {
    load_balancer_arn: String,
    protocol: Option<String>,
    port: Option<u32>,
    default_actions: Vec<ActionShape>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "SslPolicy")]
    _ssl_policy: OnlyDefault<Empty>,
    #[serde(default, rename = "Certificates")]
    _certificates: OnlyDefault<Empty>,
    #[serde(default, rename = "AlpnPolicy")]
    _alpn_policy: OnlyDefault<Empty>,
}

/// CreateListener. The same call again gives the listener that is there.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateRequest,
) -> Result<DescribeResponse, ApiError> {
    check_tags(&request.tags)?;
    check_protocol(request.protocol.as_deref())?;
    let Some(port) = request.port else { return Err(validation("A port must be specified")) };
    let port = self::port("port", port)?;
    let balancer = load_balancer::get(rows, context, &request.load_balancer_arn)?;
    let (action, order) = one_action(request.default_actions)?.read(rows, context)?;
    check_group(rows, &balancer, &action)?;
    let existing = rows
        .scan::<Listener>(&context.prefix())
        .find(|row| row.load_balancer_arn == balancer.arn && row.port == port);
    if let Some(existing) = existing {
        if existing.action == action && existing.order == order && existing.tags == request.tags {
            return Ok(DescribeResponse::of([existing], None));
        }
        return Err(duplicate(&balancer));
    }
    let id = random_hex(16);
    let resource = format!("listener/app/{}/{}/{id}", balancer.name, balancer.id);
    let row = rows.put(Listener {
        arn: context.arn("elasticloadbalancing", resource).to_string(),
        id,
        load_balancer_arn: balancer.arn.clone(),
        port,
        action,
        order,
        tags: request.tags,
        scope: context.prefix(),
    });
    target_group::refresh_uses(rows, context);
    Ok(DescribeResponse::of([row], None))
}

fn duplicate(balancer: &load_balancer::LoadBalancer) -> ApiError {
    ApiError::new(
        "DuplicateListener",
        format!("A listener already exists on this port for this load balancer '{}'", balancer.arn),
    )
}

/// A listener's group is of the load balancer's VPC, and of no other load balancer.
fn check_group(
    rows: &Snapshot,
    balancer: &load_balancer::LoadBalancer,
    action: &Action,
) -> Result<(), ApiError> {
    let Action::Forward { target_group: arn, .. } = action else { return Ok(()) };
    let Some(group) = target_group::get(rows, arn) else { return Ok(()) };
    if group.vpc_id != balancer.vpc_id {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            format!("Target group '{arn}' is in a different VPC than load balancer '{}'", balancer.arn),
        ));
    }
    if group.load_balancer_arns.iter().any(|other| *other != balancer.arn) {
        return Err(ApiError::new(
            "TargetGroupAssociationLimit",
            format!(
                "The following target groups cannot be associated with more than one load balancer: {arn}"
            ),
        ));
    }
    Ok(())
}

/// ModifyListener's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ModifyRequest {
    listener_arn: String,
    #[serde(default, rename = "Protocol")]
    _protocol: OnlyDefault<Http>,
    port: Option<u32>,
    default_actions: Option<Vec<ActionShape>>,
    #[serde(default, rename = "SslPolicy")]
    _ssl_policy: OnlyDefault<Empty>,
    #[serde(default, rename = "Certificates")]
    _certificates: OnlyDefault<Empty>,
    #[serde(default, rename = "AlpnPolicy")]
    _alpn_policy: OnlyDefault<Empty>,
}

/// ModifyListener.
pub fn modify(
    rows: &mut Tx,
    context: &Context,
    request: ModifyRequest,
) -> Result<DescribeResponse, ApiError> {
    let row = require(rows, context, &request.listener_arn)?;
    let balancer = load_balancer::get(rows, context, &row.load_balancer_arn)?;
    let mut next = (*row).clone();
    if let Some(port) = request.port {
        next.port = self::port("port", port)?;
        let taken = |other: Arc<Listener>| {
            other.load_balancer_arn == row.load_balancer_arn && other.port == next.port && other.id != row.id
        };
        if rows.scan::<Listener>(&context.prefix()).any(taken) {
            return Err(duplicate(&balancer));
        }
    }
    if let Some(actions) = request.default_actions {
        (next.action, next.order) = one_action(actions)?.read(rows, context)?;
        check_group(rows, &balancer, &next.action)?;
    }
    let row = rows.put(next);
    target_group::refresh_uses(rows, context);
    Ok(DescribeResponse::of([row], None))
}

/// A request that names one listener.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneRequest {
    /// Its ARN.
    pub(super) listener_arn: String,
}

/// DeleteListener.
pub fn delete(rows: &mut Tx, context: &Context, request: OneRequest) -> Result<EmptyResponse, ApiError> {
    let row = require(rows, context, &request.listener_arn)?;
    rows.delete::<Listener>(&row.key());
    target_group::refresh_uses(rows, context);
    Ok(EmptyResponse {})
}

/// DescribeListeners' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeRequest {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    listener_arns: Vec<String>,
    marker: Option<String>,
    page_size: Option<u32>,
}

/// DescribeListeners' response, CreateListener's and ModifyListener's too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeResponse {
    listeners: Vec<Description>,
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    listener_arn: String,
    load_balancer_arn: String,
    port: u16,
    protocol: &'static str,
    default_actions: Vec<ActionShape>,
}

impl DescribeResponse {
    fn of(listeners: impl IntoIterator<Item = Arc<Listener>>, next_marker: Option<String>) -> Self {
        let describe = |row: Arc<Listener>| Description {
            listener_arn: row.arn.clone(),
            load_balancer_arn: row.load_balancer_arn.clone(),
            port: row.port,
            protocol: "HTTP",
            default_actions: vec![ActionShape::of(&row.action, row.order)],
        };
        Self { listeners: listeners.into_iter().map(describe).collect(), next_marker }
    }
}

/// DescribeListeners, of a load balancer or by ARN.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRequest,
) -> Result<DescribeResponse, ApiError> {
    let DescribeRequest { load_balancer_arn, listener_arns, marker, page_size } = request;
    match (&load_balancer_arn, listener_arns.is_empty()) {
        (None, true) => {
            return Err(validation("A load balancer ARN or listener ARNs must be specified"));
        }
        (Some(_), false) => {
            return Err(validation(
                "A load balancer ARN and listener ARNs cannot be specified at the same time",
            ));
        }
        (Some(arn), true) => drop(load_balancer::get(rows, context, arn)?),
        (None, false) => {
            for arn in &listener_arns {
                require(rows, context, arn)?;
            }
        }
    }
    let prefix = context.prefix();
    let asked = rows.scan::<Listener>(&prefix).filter(|row| match &load_balancer_arn {
        Some(arn) => row.load_balancer_arn == *arn,
        None => listener_arns.contains(&row.arn),
    });
    let page = page_of(asked, marker.as_deref(), page_size)?;
    Ok(DescribeResponse::of(page.items, page.next_token))
}
