//! Listeners over HTTP.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, random_hex};
use wire::{ApiError, Empty, OnlyDefault, documented_default};

use super::load_balancer::{self, EmptyResponse};
use super::{Tag, check_tags, last_part, target_group, validation};
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
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The key's account and region.
    pub scope: String,
}

/// A listener's default action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// To a target group, by ARN.
    Forward(String),
    /// An answer of its own.
    FixedResponse {
        /// 2xx, 4xx or 5xx.
        status: u16,
        /// `text/plain` and four others.
        content_type: String,
        /// At most 1024 bytes.
        body: String,
    },
}

impl Listener {
    /// The ARN of the group that it forwards to.
    pub fn target_group(&self) -> Option<&str> {
        match &self.action {
            Action::Forward(arn) => Some(arn),
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
    rows.get::<Listener>(&context.key(last_part(arn)))
        .filter(|row| row.arn == arn)
        .ok_or_else(|| ApiError::new("ListenerNotFound", format!("One or more listeners not found: '{arn}'")))
}

/// An action, as requests and responses have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ActionShape {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_group_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_config: Option<ForwardConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed_response_config: Option<FixedResponseConfig>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ForwardConfig {
    target_groups: Vec<WeightedGroup>,
    target_group_stickiness_config: Option<Stickiness>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WeightedGroup {
    target_group_arn: String,
    weight: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Stickiness {
    enabled: Option<bool>,
    #[serde(default, rename = "DurationSeconds", skip_serializing)]
    _duration_seconds: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FixedResponseConfig {
    message_body: Option<String>,
    status_code: String,
    content_type: Option<String>,
}

impl ActionShape {
    fn read(self, rows: &Snapshot, context: &Context) -> Result<Action, ApiError> {
        if self.order.is_some_and(|order| order != 1) {
            return Err(validation("A single action has order 1"));
        }
        match self.r#type.as_str() {
            "forward" => {
                let configured = match self.forward_config {
                    None => None,
                    Some(config) => {
                        let sticky = config.target_group_stickiness_config.and_then(|config| config.enabled);
                        if sticky == Some(true) {
                            return Err(ApiError::unsupported("TargetGroupStickinessConfig"));
                        }
                        let mut groups = config.target_groups.into_iter();
                        let (first, more) = (groups.next(), groups.next());
                        if more.is_some() {
                            return Err(ApiError::unsupported(
                                "forwarding to several weighted target groups",
                            ));
                        }
                        first
                            .map(|group| match group.weight {
                                Some(0) => Err(ApiError::unsupported("a target group of weight 0")),
                                _ => Ok(group.target_group_arn),
                            })
                            .transpose()?
                    }
                };
                let arn = match (self.target_group_arn, configured) {
                    (Some(a), Some(b)) if a != b => {
                        return Err(validation(
                            "TargetGroupArn and ForwardConfig name different target groups",
                        ));
                    }
                    (Some(arn), _) | (None, Some(arn)) => arn,
                    (None, None) => {
                        return Err(validation("A target group ARN must be specified for a forward action"));
                    }
                };
                target_group::require(rows, context, &arn)?;
                Ok(Action::Forward(arn))
            }
            "fixed-response" => {
                let Some(config) = self.fixed_response_config else {
                    return Err(validation(
                        "FixedResponseConfig must be specified for a fixed-response action",
                    ));
                };
                let status = config.status_code.parse::<u16>().ok();
                let status =
                    status.filter(|code| matches!(code, 200..=299 | 400..=599)).ok_or_else(|| {
                        validation(format!("Status code '{}' must match 2XX, 4XX or 5XX", config.status_code))
                    })?;
                let content_type = config.content_type.unwrap_or_else(|| "text/plain".to_owned());
                let known =
                    ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];
                if !known.contains(&content_type.as_str()) {
                    return Err(validation(format!(
                        "Content type '{content_type}' must be one of {known:?}"
                    )));
                }
                let body = config.message_body.unwrap_or_default();
                if body.len() > 1024 {
                    return Err(validation("The message body cannot be longer than 1024 characters"));
                }
                Ok(Action::FixedResponse { status, content_type, body })
            }
            other => Err(ApiError::unsupported(format_args!("the listener action '{other}'"))),
        }
    }

    fn of(action: &Action) -> Self {
        match action {
            Action::Forward(arn) => Self {
                r#type: "forward".to_owned(),
                target_group_arn: Some(arn.clone()),
                order: None,
                forward_config: Some(ForwardConfig {
                    target_groups: vec![WeightedGroup { target_group_arn: arn.clone(), weight: Some(1) }],
                    target_group_stickiness_config: Some(Stickiness {
                        enabled: Some(false),
                        _duration_seconds: OnlyDefault::default(),
                    }),
                }),
                fixed_response_config: None,
            },
            Action::FixedResponse { status, content_type, body } => Self {
                r#type: "fixed-response".to_owned(),
                target_group_arn: None,
                order: None,
                forward_config: None,
                fixed_response_config: Some(FixedResponseConfig {
                    message_body: Some(body.clone()),
                    status_code: status.to_string(),
                    content_type: Some(content_type.clone()),
                }),
            },
        }
    }
}

/// The one default action of a request.
fn one_action(actions: Vec<ActionShape>) -> Result<ActionShape, ApiError> {
    let mut actions = actions.into_iter();
    match (actions.next(), actions.next()) {
        (Some(action), None) => Ok(action),
        (None, _) => Err(validation("A listener must have a default action")),
        (Some(_), Some(_)) => Err(ApiError::unsupported("several default actions")),
    }
}

fn check_port(port: u32) -> Result<u16, ApiError> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| validation(format!("Port '{port}' must be in the range 1-65535")))
}

fn check_protocol(protocol: Option<&str>) -> Result<(), ApiError> {
    match protocol {
        Some("HTTP") => Ok(()),
        None => Err(validation("A protocol must be specified")),
        Some(other) => {
            Err(ApiError::unsupported(format_args!("listeners of protocol '{other}' yet; HTTP is")))
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
    let port = check_port(port)?;
    let balancer = load_balancer::get(rows, context, &request.load_balancer_arn)?;
    let action = one_action(request.default_actions)?.read(rows, context)?;
    check_group(rows, &balancer, &action)?;
    let existing = rows
        .scan::<Listener>(&context.prefix())
        .find(|row| row.load_balancer_arn == balancer.arn && row.port == port);
    if let Some(existing) = existing {
        if existing.action == action && existing.tags == request.tags {
            return Ok(DescribeResponse::of([existing], None));
        }
        return Err(ApiError::new(
            "DuplicateListener",
            format!("A listener already exists on this port for this load balancer '{}'", balancer.arn),
        ));
    }
    let id = random_hex(16);
    let resource = format!("listener/app/{}/{}/{id}", balancer.name, balancer.id);
    let row = rows.put(Listener {
        arn: context.arn("elasticloadbalancing", resource).to_string(),
        id,
        load_balancer_arn: balancer.arn.clone(),
        port,
        action,
        tags: request.tags,
        scope: context.prefix(),
    });
    target_group::refresh_uses(rows, context);
    Ok(DescribeResponse::of([row], None))
}

/// A listener's group is of the load balancer's VPC, and of no other load balancer.
fn check_group(
    rows: &Snapshot,
    balancer: &load_balancer::LoadBalancer,
    action: &Action,
) -> Result<(), ApiError> {
    let Action::Forward(arn) = action else { return Ok(()) };
    let Some(group) = target_group::get(rows, arn) else { return Ok(()) };
    if group.vpc_id != balancer.vpc_id {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            format!(
                "The target group '{arn}' is in VPC {}, not in the load balancer's VPC {}",
                group.vpc_id, balancer.vpc_id
            ),
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
        next.port = check_port(port)?;
        let taken = |other: Arc<Listener>| {
            other.load_balancer_arn == row.load_balancer_arn && other.port == next.port && other.id != row.id
        };
        if rows.scan::<Listener>(&context.prefix()).any(taken) {
            return Err(ApiError::new(
                "DuplicateListener",
                "A listener already exists on this port for this load balancer",
            ));
        }
    }
    if let Some(actions) = request.default_actions {
        next.action = one_action(actions)?.read(rows, context)?;
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
    page_size: Option<usize>,
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
            default_actions: vec![ActionShape::of(&row.action)],
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
    if !request.listener_arns.is_empty() {
        let found: Result<Vec<_>, _> =
            request.listener_arns.iter().map(|arn| require(rows, context, arn)).collect();
        return Ok(DescribeResponse::of(found?, None));
    }
    let Some(arn) = request.load_balancer_arn else {
        return Err(validation("A load balancer ARN or listener ARNs must be specified"));
    };
    load_balancer::get(rows, context, &arn)?;
    let page = crate::page::page(
        rows.scan::<Listener>(&context.prefix()).filter(|row| row.load_balancer_arn == arn),
        |row| row.key(),
        Some(request.page_size.unwrap_or(400).clamp(1, 400)),
        request.marker.as_deref(),
    )
    .map_err(|_| validation("Invalid marker"))?;
    Ok(DescribeResponse::of(page.items, page.next_token))
}
