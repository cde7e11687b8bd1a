//! Everything a machine should be, as plain data, part by part; what it reports back; and the trait [`Host`].
//!
//! `control` projects rows into parts. The agent applies parts to the kernel and hands each data-plane role its own
//! part. Nothing here knows AWS's API, and nothing here does IO but the framing of messages on a Unix socket.

mod edge;
mod host;
mod load_balancer;
mod message;
mod names;
mod observed;
pub mod role;
mod tagged;
mod task;
mod usage;
mod vpc;

pub use edge::{
    AwsEndpoint, CARRIER, Certificate, Edge, HostListener, HostRoute, InternetHost, NEVER_OUTWARD,
    VPC_ENDPOINT_SOCKET, VpcEndpoint, is_outward,
};
pub use host::{Host, HostError};
pub use load_balancer::{
    Action, HealthCheck, Listener, LoadBalancer, Node, Target, TargetGroup, TargetLifecycle,
};
pub use message::{Frames, MessageError, SCHEMA, decode, encode};
pub use names::{Discovered, Names, PrivateZone, Record, ServiceRecord, VpcNames};
pub use observed::{
    ContainerHealth, ContainerHealthStatus, ContainerStatus, EdgeStatus, HealthReason, HealthState,
    InternetHostStatus, ListenerStatus, LoadBalancerStatus, NamesStatus, Observation, Observed, TargetStatus,
    TaskPhase, TaskStatus, Visit, VpcStatus,
};
pub use task::{
    Container, ContainerHealthCheck, Dependency, DependencyCondition, Dns, ImageReference, LinuxParameters,
    LogDestination, LogMode, PullIdentity, RestartPolicy, RoleSession, Secret, Task, TaskMetadata, Tmpfs,
    VolumeMount, tasks_cgroup,
};
pub use usage::{GroupUsage, LoadBalancerUsage, NodeUsage, TaskUsage, Usage};
pub use vpc::{
    GatewayEndpoint, Interface, InterfaceKind, NetworkAcl, NetworkAclEntry, Peer, PeerGroup, Peering, Ports,
    PrefixList, Protocol, Route, RouteTable, RouteTarget, Rule, SecurityGroup, Subnet, Vpc,
};

use serde::{Deserialize, Serialize};
use types::PartId;

/// One part of the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part.
    pub id: PartId,
    /// The commit that the part was projected from. A part with a lower generation than the one at hand is stale and
    /// is not applied.
    pub generation: u64,
    /// What the part should be. None: the part and all that belongs to it shall be gone.
    pub body: Option<Body>,
}

/// The content of a part. Its kind always fits the part's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", remote = "Self", rename_all = "kebab-case")]
pub enum Body {
    /// For [`PartId::Vpc`].
    Vpc(Vpc),
    /// For [`PartId::Task`].
    Task(Box<Task>),
    /// For [`PartId::LoadBalancer`].
    LoadBalancer(LoadBalancer),
    /// For [`PartId::Edge`].
    Edge(Edge),
    /// For [`PartId::Names`].
    Names(Names),
}

tagged::read_once!(Body);
