//! One application load balancer.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, Timestamp};

/// One load balancer: a node in each subnet, the listeners, and the target groups that they forward to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// The last part of its ARN.
    pub id: String,
    /// Its ARN, for messages.
    pub arn: String,
    /// One node a subnet. Each listens and checks health by itself.
    pub nodes: Vec<Node>,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// The target groups that its listeners name.
    pub target_groups: Vec<TargetGroup>,
    /// How long an idle client or target connection is kept (attribute `idle_timeout.timeout_seconds`).
    pub idle_timeout: Duration,
    /// Whether headers whose names are not of letters, digits and hyphens alone are taken out of requests (attribute
    /// `routing.http.drop_invalid_header_fields.enabled`).
    #[serde(default)]
    pub drop_invalid_headers: bool,
}

/// A load balancer node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its interface; the namespace it works in.
    pub interface: NetworkInterfaceId,
    /// The interface's private address, on which it listens.
    pub address: Ipv4Addr,
    /// Its availability zone's name.
    pub zone: String,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// Its port. The protocol is HTTP; HTTPS comes later.
    pub port: u16,
    /// What is done with a request.
    pub default_action: Action,
}

/// What a listener does with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Action {
    /// Sends it to a target of the group.
    Forward {
        /// The group's ARN, one of [`LoadBalancer::target_groups`].
        target_group: String,
    },
    /// Answers by itself.
    FixedResponse {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// A target group, its targets by address. Traffic and health checks are HTTP/1.1 in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// How health is checked.
    pub health_check: HealthCheck,
    /// How long requests in flight may last once their target is deregistered.
    pub deregistration_delay: Duration,
    /// Its targets, the draining ones too.
    pub targets: Vec<Target>,
}

/// The settings of health checks, as the "Health checks for your target groups" page names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The path with its query, `/`.
    pub path: String,
    /// None: the target's own port.
    pub port: Option<u16>,
    /// From one check's start to the next.
    pub interval: Duration,
    /// After this a check has failed.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy. A new target needs one.
    pub healthy_threshold: u32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// The statuses that count as success: `200`, `200,202`, `200-299`.
    pub matcher: String,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Whether it takes new requests.
    pub lifecycle: TargetLifecycle,
}

/// Where a target is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TargetLifecycle {
    /// It takes requests once it is healthy.
    Registered,
    /// It takes no new requests; those in flight end at the latest a deregistration delay after `since`.
    Draining {
        /// When it was deregistered.
        since: Timestamp,
    },
}
