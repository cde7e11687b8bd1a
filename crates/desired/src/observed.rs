//! What a machine reports back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};
use types::{PartId, TaskId, Timestamp, VpcEndpointId, VpcId};

/// The news of one part. A later observation of the same part takes the earlier one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", remote = "Self", rename_all = "kebab-case")]
pub enum Observation {
    /// A VPC's network was applied, or could not be.
    Vpc(VpcStatus),
    /// A task moved on.
    Task(TaskStatus),
    /// A load balancer's health and listeners.
    LoadBalancer(LoadBalancerStatus),
    /// The host ports.
    Edge(EdgeStatus),
    /// The DNS servers.
    Names(NamesStatus),
    /// A part is gone from the machine as it was told.
    Removed {
        /// Which part.
        part: PartId,
    },
}

crate::tagged::read_once!(Observation);

impl Observation {
    /// The part that it speaks of.
    pub fn part(&self) -> PartId {
        match self {
            Observation::Vpc(status) => PartId::Vpc(status.vpc.clone()),
            Observation::Task(status) => PartId::Task(status.task.clone()),
            Observation::LoadBalancer(status) => PartId::LoadBalancer(status.load_balancer.clone()),
            Observation::Edge(_) => PartId::Edge,
            Observation::Names(_) => PartId::Names,
            Observation::Removed { part } => part.clone(),
        }
    }
}

/// A machine's reports, numbered: pass `next` to the next call to be told only what came after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Observed {
    /// The number to go on from.
    pub next: u64,
    /// The newest observation of each part that has news, oldest first.
    pub observations: Vec<Observation>,
}

/// How far a VPC's network is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcStatus {
    /// The VPC.
    pub vpc: VpcId,
    /// The generation in the kernel.
    pub generation: u64,
    /// Why a later generation could not be applied, in words for a person.
    pub error: Option<String>,
}

/// Where a task is on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskPhase {
    /// Its shim is being started, or its images are pulled.
    Pulling,
    /// Its containers are being made.
    Starting,
    /// All of its containers were started.
    Running,
    /// SIGTERM was sent.
    Stopping,
    /// All of its containers ended, or none could be started; mounts and cgroups are gone.
    Stopped,
}

/// A task's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task.
    pub task: TaskId,
    /// Where it is.
    pub phase: TaskPhase,
    /// When the pull began and ended, and when the last essential container ended.
    pub pull_started_at: Option<Timestamp>,
    /// See `pull_started_at`.
    pub pull_stopped_at: Option<Timestamp>,
    /// When all containers had been started.
    pub started_at: Option<Timestamp>,
    /// When the first essential container had ended, or the start had failed.
    pub execution_stopped_at: Option<Timestamp>,
    /// Why the task could not start, in ECS's words (`CannotPullContainerError: …`). None when its containers ran.
    pub error: Option<String>,
    /// Its containers, by name.
    pub containers: BTreeMap<String, ContainerStatus>,
}

/// A container's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ContainerStatus {
    /// The container's own id (its task's, a hyphen, ten digits); empty before it is made.
    pub runtime_id: String,
    /// The manifest's digest, once pulled.
    pub image_digest: Option<String>,
    /// The exit code; 128 + the signal when it was killed. None while it runs or when it never ran.
    pub exit_code: Option<i32>,
    /// Why it ended, in ECS's words (`OutOfMemoryError: …`, `CannotStartContainerError: …`).
    pub reason: Option<String>,
    /// Whether its process runs.
    pub running: bool,
    /// How often it was started again in its place.
    #[serde(default)]
    pub restarts: u32,
    /// When it was made, when its process began, the last one if it was started again, and when it ended.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// See `created_at`.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// See `created_at`.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// What its health check found. None: it has none.
    #[serde(default)]
    pub health: Option<ContainerHealth>,
    /// Log events that were dropped, as the buffer was full.
    #[serde(default)]
    pub dropped_events: u64,
    /// Log events that CloudWatch Logs refused for good, and that are lost.
    #[serde(default)]
    pub refused_events: u64,
    /// Why it refused the last of them, in its words (`ResourceNotFoundException: …`).
    #[serde(default)]
    pub refused_because: Option<String>,
}

/// A container's health as its own check finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerHealth {
    /// `UNKNOWN`, `HEALTHY` or `UNHEALTHY`.
    pub status: ContainerHealthStatus,
    /// Since when.
    pub since: Timestamp,
    /// The last check's exit code.
    pub exit_code: Option<i32>,
    /// What the last check printed, shortened.
    pub output: String,
}

/// See [`ContainerHealth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContainerHealthStatus {
    /// No check has decided yet.
    Unknown,
    /// The last check succeeded.
    Healthy,
    /// As many checks in a row as were asked for have failed.
    Unhealthy,
}

/// A load balancer's status, merged over its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerStatus {
    /// The load balancer.
    pub load_balancer: String,
    /// The generation that it works by.
    pub generation: u64,
    /// Whether every node listens on every listener's port.
    pub ready: bool,
    /// Why not, in words for a person.
    pub error: Option<String>,
    /// Its targets' health, by target group ARN.
    pub targets: BTreeMap<String, Vec<TargetStatus>>,
}

/// A target as the nodes see it: healthy when any node finds it healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Its health.
    pub health: HealthState,
    /// Requests in flight, summed over the nodes; a draining target with none is drained.
    pub in_flight: u64,
}

/// A target's health, as DescribeTargetHealth has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HealthState {
    /// No check has decided yet.
    Initial,
    /// It takes requests.
    Healthy,
    /// It takes requests only when all are unhealthy.
    Unhealthy {
        /// Why.
        reason: HealthReason,
        /// AWS's description: `Health checks failed with these codes: [404]`, `Request timed out`…
        description: String,
    },
    /// It was deregistered and still has requests in flight.
    Draining,
    /// It was deregistered, and no node has a request of it in flight: it may be forgotten.
    Drained,
}

/// AWS's reason codes for an unhealthy target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthReason {
    /// The status does not match.
    #[serde(rename = "Target.ResponseCodeMismatch")]
    ResponseCodeMismatch,
    /// No answer, or no connection, in time.
    #[serde(rename = "Target.Timeout")]
    Timeout,
    /// The connection was refused or reset, or the answer was no HTTP.
    #[serde(rename = "Target.FailedHealthChecks")]
    FailedHealthChecks,
}

/// The host ports' status.
#[derive(Default, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// The generation that it works by.
    pub generation: u64,
    /// The ports.
    pub listeners: Vec<ListenerStatus>,
    /// Why an AWS endpoint is not answered, in words for a person.
    pub error: Option<String>,
    /// The VPC endpoints that are not answered at each of their addresses.
    #[serde(default)]
    pub unanswered: BTreeSet<VpcEndpointId>,
    /// Who came to the pretend hosts of the internet.
    #[serde(default)]
    pub internet_hosts: Vec<InternetHostStatus>,
}

/// Who came to a pretend host of the internet since the edge began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetHostStatus {
    /// The host's public address inside.
    pub address: Ipv4Addr,
    /// Its port, as in [`crate::InternetHost::port`].
    pub port: Option<u16>,
    /// How many connections and UDP flows there were.
    pub visits: u64,
    /// The last of them, the newest first.
    pub recent: Vec<Visit>,
}

/// A connection or UDP flow to a pretend host of the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// When it came.
    pub at: Timestamp,
    /// TCP, else UDP.
    pub tcp: bool,
    /// Where it came from, as seen outside: behind a NAT gateway the gateway's public address.
    pub source: SocketAddrV4,
    /// The port that it was sent to.
    pub port: u16,
    /// Why it was not led on: nothing listens there, most likely.
    pub error: Option<String>,
}

/// A host port's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// The port.
    pub port: u16,
    /// None: it listens. Else why not: `127.0.0.1:80 is used by another program; …`
    pub error: Option<String>,
}

/// The DNS servers' status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesStatus {
    /// The generation that they answer by.
    pub generation: u64,
    /// Why a VPC that has a namespace has no DNS server or no metadata endpoint, in words for a person.
    pub error: Option<String>,
}
