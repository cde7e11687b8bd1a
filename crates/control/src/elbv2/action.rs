//! What a listener does with a request.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, Empty, OnlyDefault};

use super::{constraint, digits, in_range, target_group, validation};
use crate::Context;

/// A listener's default action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// To a target of a group.
    Forward {
        /// The group's ARN.
        target_group: String,
        /// Its weight, 1 to 999. It is the only group, so that all requests go there.
        weight: u32,
    },
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

/// An action, as requests and responses have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ActionShape {
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
    #[serde(default)]
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

const CONTENT_TYPES: [&str; 5] =
    ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

/// The one default action of a request.
pub(super) fn one_action(actions: Vec<ActionShape>) -> Result<ActionShape, ApiError> {
    let mut actions = actions.into_iter();
    match (actions.next(), actions.next()) {
        (Some(action), None) => Ok(action),
        (None, _) => Err(validation("A listener must have a default action")),
        (Some(_), Some(_)) => Err(ApiError::unsupported("several default actions")),
    }
}

impl ActionShape {
    /// The action and its order.
    pub(super) fn read(self, rows: &Snapshot, context: &Context) -> Result<(Action, Option<u32>), ApiError> {
        let member = |name: &str| format!("defaultActions.1.member.{name}");
        let order = self.order.map(|order| in_range(&member("order"), order, 1..=50_000)).transpose()?;
        let foreign =
            |name: &str| Err(validation(format!("An action of type '{}' cannot have a {name}", self.r#type)));
        let action = match self.r#type.as_str() {
            "forward" if self.fixed_response_config.is_some() => return foreign("FixedResponseConfig"),
            "fixed-response" if self.target_group_arn.is_some() => return foreign("TargetGroupArn"),
            "fixed-response" if self.forward_config.is_some() => return foreign("ForwardConfig"),
            "forward" => {
                let action = forward(self.target_group_arn, self.forward_config)?;
                if let Action::Forward { target_group, .. } = &action {
                    target_group::require(rows, context, target_group)?;
                }
                action
            }
            "fixed-response" => fixed_response(
                self.fixed_response_config.ok_or_else(|| {
                    validation("A fixed response configuration must be specified for a fixed-response action")
                })?,
                &member("fixedResponseConfig"),
            )?,
            "redirect" | "authenticate-oidc" | "authenticate-cognito" | "jwt-validation" => {
                return Err(ApiError::unsupported(format_args!("the listener action '{}'", self.r#type)));
            }
            other => {
                let words = "satisfy enum value set: [forward, authenticate-oidc, authenticate-cognito, redirect, fixed-response, jwt-validation]";
                return Err(constraint(&member("type"), other, words));
            }
        };
        Ok((action, order))
    }

    pub(super) fn of(action: &Action, order: Option<u32>) -> Self {
        let (mut forward_config, mut fixed_response_config, mut target_group_arn) = (None, None, None);
        let r#type = match action {
            Action::Forward { target_group, weight } => {
                target_group_arn = Some(target_group.clone());
                forward_config = Some(ForwardConfig {
                    target_groups: vec![WeightedGroup {
                        target_group_arn: target_group.clone(),
                        weight: Some(*weight),
                    }],
                    target_group_stickiness_config: Some(Stickiness {
                        enabled: Some(false),
                        _duration_seconds: OnlyDefault::default(),
                    }),
                });
                "forward"
            }
            Action::FixedResponse { status, content_type, body } => {
                fixed_response_config = Some(FixedResponseConfig {
                    message_body: Some(body.clone()),
                    status_code: status.to_string(),
                    content_type: Some(content_type.clone()),
                });
                "fixed-response"
            }
        };
        Self { r#type: r#type.to_owned(), target_group_arn, order, forward_config, fixed_response_config }
    }
}

fn forward(arn: Option<String>, config: Option<ForwardConfig>) -> Result<Action, ApiError> {
    let mut groups = Vec::new();
    if let Some(config) = config {
        if config.target_group_stickiness_config.and_then(|sticky| sticky.enabled) == Some(true) {
            return Err(ApiError::unsupported("target group stickiness"));
        }
        groups = config.target_groups;
    }
    let mut groups = groups.into_iter();
    let (configured, more) = (groups.next(), groups.next());
    if more.is_some() {
        return Err(ApiError::unsupported("forwarding to several weighted target groups"));
    }
    let weight = match configured.as_ref().and_then(|group| group.weight) {
        Some(0) => return Err(ApiError::unsupported("a target group of weight 0")),
        Some(weight @ 1000..) => {
            return Err(validation(format!("Target group weight '{weight}' must be between '0' and '999'")));
        }
        weight => weight.unwrap_or(1),
    };
    match (arn, configured.map(|group| group.target_group_arn)) {
        (Some(a), Some(b)) if a != b => {
            Err(validation("TargetGroupArn and ForwardConfig name different target groups"))
        }
        (Some(target_group), _) | (None, Some(target_group)) => Ok(Action::Forward { target_group, weight }),
        (None, None) => Err(validation("A target group ARN must be specified for a forward action")),
    }
}

fn fixed_response(config: FixedResponseConfig, member: &str) -> Result<Action, ApiError> {
    let status = digits(&config.status_code, 200..=599).filter(|code| !(300..400).contains(code));
    let status = status.ok_or_else(|| {
        let words = r"satisfy regular expression pattern: ^(2|4|5)\d\d$";
        constraint(&format!("{member}.statusCode"), &config.status_code, words)
    })?;
    let content_type = config.content_type.unwrap_or_else(|| "text/plain".to_owned());
    if !CONTENT_TYPES.contains(&content_type.as_str()) {
        let known = CONTENT_TYPES.join(", ");
        return Err(validation(format!("Content type '{content_type}' must be one of: {known}")));
    }
    let body = config.message_body.unwrap_or_default();
    if body.len() > 1024 {
        return Err(constraint(
            &format!("{member}.messageBody"),
            body,
            "have length less than or equal to 1024",
        ));
    }
    Ok(Action::FixedResponse { status, content_type, body })
}
