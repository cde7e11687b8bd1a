//! What runs on a machine has used: counters that only grow, from which whoever asks again makes rates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{TaskId, Timestamp};

/// A machine's counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// When they were read.
    pub at: Timestamp,
    /// By task: those that have a control group.
    pub tasks: BTreeMap<TaskId, TaskUsage>,
    /// By the last part of a load balancer's ARN: those whose process answers.
    pub load_balancers: BTreeMap<String, LoadBalancerUsage>,
}

/// A task's counters, all its containers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskUsage {
    /// Time on processors since it began, in nanoseconds.
    pub cpu: u64,
    /// Bytes of memory now; a cache that the kernel may take back is left out.
    pub memory: u64,
}

/// A load balancer's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoadBalancerUsage {
    /// Tells one process from the next: all counters begin anew with it.
    pub process: u64,
    /// Each node's.
    pub nodes: Vec<NodeUsage>,
}

/// One node's counters since its process began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Its interface, which tells it from others.
    pub interface: String,
    /// Its availability zone.
    pub zone: String,
    /// Requests that a target was chosen for.
    pub requests: u64,
    /// Connections of clients and to targets that were made.
    pub new_connections: u64,
    /// Connections of clients and to targets that are open now.
    pub active_connections: u64,
    /// Bytes from and to clients.
    pub processed_bytes: u64,
    /// Answers that the node made of itself because something was wrong, by status.
    pub own_errors: BTreeMap<u16, u64>,
    /// By target group ARN.
    pub groups: BTreeMap<String, GroupUsage>,
}

/// What a target group's targets did for one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupUsage {
    /// Requests that a target was chosen for.
    pub requests: u64,
    /// Answers of targets, by the first digit of their status.
    pub answers: BTreeMap<u16, u64>,
    /// Connections that could not be made.
    pub connection_errors: u64,
    /// From the request's being sent to the answer's head, in microseconds, all together.
    pub response_micros: u64,
    /// How often each time was seen, by a value within 3% of it in microseconds.
    pub response_times: BTreeMap<u64, u64>,
}
