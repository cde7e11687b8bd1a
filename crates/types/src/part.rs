//! The parts in which the desired state of a machine is kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{TaskId, VpcId};

/// Names one part of the desired state. A row says which parts it shows up in; a change of the row makes
/// exactly those parts dirty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "part", content = "id", rename_all = "kebab-case")]
pub enum PartId {
    /// One VPC's network.
    Vpc(VpcId),
    /// One ECS task.
    Task(TaskId),
    /// One load balancer, by the last part of its ARN (sixteen hexadecimal digits).
    LoadBalancer(String),
    /// The host ports, and the AWS names that are answered in the `internet` namespace.
    Edge,
    /// The names that VPCs resolve.
    Names,
}

impl fmt::Display for PartId {
    /// A form that is fit for a file name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartId::Vpc(id) => write!(f, "{id}"),
            PartId::Task(id) => write!(f, "task-{id}"),
            PartId::LoadBalancer(id) => write!(f, "lb-{id}"),
            PartId::Edge => f.write_str("edge"),
            PartId::Names => f.write_str("names"),
        }
    }
}
