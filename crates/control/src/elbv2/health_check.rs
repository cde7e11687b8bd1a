//! How the load balancer's nodes check the health of a group's targets.

use serde::{Deserialize, Serialize};
use wire::{ApiError, Empty, OnlyDefault};

use super::{constraint, digits, in_range, validation};

/// The settings of health checks, as the API names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `traffic-port` or a number.
    pub port: String,
    /// The path with its query.
    pub path: String,
    /// Seconds, 5 to 300.
    pub interval: u32,
    /// Seconds, 2 to 120.
    pub timeout: u32,
    /// 2 to 10.
    pub healthy_threshold: u32,
    /// 2 to 10.
    pub unhealthy_threshold: u32,
    /// `200`, `200,202`, `200-299`.
    pub matcher: String,
}

/// The statuses that count as success.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Matcher {
    http_code: Option<String>,
    #[serde(default, rename = "GrpcCode", skip_serializing)]
    _grpc_code: OnlyDefault<Empty>,
}

impl Matcher {
    pub(super) fn of(check: &HealthCheck) -> Self {
        Self { http_code: Some(check.matcher.clone()), _grpc_code: OnlyDefault::default() }
    }
}

/// Changes of the settings, as CreateTargetGroup and ModifyTargetGroup take them.
pub(super) struct Changes {
    pub(super) port: Option<String>,
    pub(super) path: Option<String>,
    pub(super) interval: Option<u32>,
    pub(super) timeout: Option<u32>,
    pub(super) healthy: Option<u32>,
    pub(super) unhealthy: Option<u32>,
    pub(super) matcher: Option<Matcher>,
}

impl Default for HealthCheck {
    /// The settings of "Health checks for your target groups" for type ip and protocol HTTP.
    fn default() -> Self {
        Self {
            port: "traffic-port".to_owned(),
            path: "/".to_owned(),
            interval: 30,
            timeout: 5,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        }
    }
}

impl HealthCheck {
    /// With changes; nothing of them when one is wrong.
    pub(super) fn with(mut self, changes: Changes) -> Result<Self, ApiError> {
        if let Some(port) = changes.port {
            if port != "traffic-port" && digits(&port, 1..=u16::MAX).is_none() {
                return Err(validation(format!(
                    "Health check port '{port}' must be either 'traffic-port' or in the range 1-65535"
                )));
            }
            self.port = port;
        }
        if let Some(path) = changes.path {
            if path.len() > 1024 {
                return Err(constraint("healthCheckPath", path, "have length less than or equal to 1024"));
            }
            if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
                return Err(validation(format!(
                    "Health check path '{path}' must begin with a '/' character, and can only contain printable ASCII characters, without spaces"
                )));
            }
            self.path = path;
        }
        if let Some(matcher) = changes.matcher.and_then(|matcher| matcher.http_code) {
            if !matcher.split(',').all(is_code_or_range) {
                return Err(validation(format!(
                    "Health check matcher HTTP code '{matcher}' must be within '200-499' inclusive"
                )));
            }
            self.matcher = matcher;
        }
        let set = |member: &str, change: Option<u32>, now: u32, least: u32, most: u32| {
            change.map_or(Ok(now), |value| in_range(member, value, least..=most))
        };
        self.interval = set("healthCheckIntervalSeconds", changes.interval, self.interval, 5, 300)?;
        self.timeout = set("healthCheckTimeoutSeconds", changes.timeout, self.timeout, 2, 120)?;
        self.healthy_threshold =
            set("healthyThresholdCount", changes.healthy, self.healthy_threshold, 2, 10)?;
        self.unhealthy_threshold =
            set("unhealthyThresholdCount", changes.unhealthy, self.unhealthy_threshold, 2, 10)?;
        if self.timeout >= self.interval {
            return Err(validation(format!(
                "Health check timeout '{}' must be smaller than the interval '{}'",
                self.timeout, self.interval
            )));
        }
        Ok(self)
    }
}

/// `200` or `200-299`, within what the protocol allows ("Matcher": 200 to 499 for application load balancers).
fn is_code_or_range(text: &str) -> bool {
    let code = |text: &str| digits(text, 200..=499);
    match text.split_once('-') {
        Some((from, to)) => matches!((code(from), code(to)), (Some(from), Some(to)) if from <= to),
        None => code(text).is_some(),
    }
}
