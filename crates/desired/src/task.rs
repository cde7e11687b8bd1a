//! One ECS task: containers in one network namespace.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, TaskId, Timestamp, VpcId};

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id; it names the task's folder and cgroup.
    pub id: TaskId,
    /// Its ARN, for messages.
    pub arn: String,
    /// The VPC whose DNS server the task asks.
    pub vpc: VpcId,
    /// The interface whose namespace the containers share.
    pub interface: NetworkInterfaceId,
    /// The task's CPU limit in units of 1/1024 of a core.
    pub cpu: u32,
    /// The task's memory limit in MiB.
    pub memory: u32,
    /// What its programs, and its pull, know of DNS.
    #[serde(default)]
    pub dns: Dns,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Where images come from and as whom they are asked for.
    pub pull: PullIdentity,
    /// As whom the task's own programs call AWS. None: its task definition names no task role.
    #[serde(default)]
    pub role: Option<RoleSession>,
    /// The task's volumes, empty folders that its containers share and that go with it, by name.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Whether its containers see each other's processes (`pidMode` is `task`): they are in one PID namespace.
    #[serde(default)]
    pub shares_processes: bool,
    /// How much its containers may write in all, in GiB. 0: no limit.
    #[serde(default)]
    pub ephemeral_storage: u32,
    /// What the metadata endpoint says of it.
    #[serde(default)]
    pub metadata: TaskMetadata,
    /// Whether the task shall end: SIGTERM, then after each container's `stop_timeout` SIGKILL.
    pub stop: bool,
}

/// The control group of all tasks of a state folder below the mounts, `landfall-<8 hexadecimal digits>`; a task's is
/// `<its id>` below it, a container's `<its name>` below that. The digits come from the folder's path, so that two
/// installations on one machine do not meet.
pub fn tasks_cgroup(state: &Path) -> PathBuf {
    let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
    let digest = ring::digest::digest(&ring::digest::SHA256, state.as_os_str().as_bytes());
    let digits: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("landfall-{digits}"))
}

/// What a host is told of DNS, by its VPC's DHCP options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The domains in which a name without a dot is looked for.
    pub search: Vec<String>,
    /// The servers, in the order in which they are asked.
    pub servers: Vec<Ipv4Addr>,
}

/// No domain, and the VPC's own server at its link-local address.
impl Default for Dns {
    fn default() -> Self {
        Self { search: Vec::new(), servers: vec![Ipv4Addr::new(169, 254, 169, 253)] }
    }
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name in the task definition.
    pub name: String,
    /// Its image.
    pub image: ImageReference,
    /// In place of the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// In place of the image's `Entrypoint`; the image's `Cmd` is then not used.
    pub entry_point: Option<Vec<String>>,
    /// Added to the image's environment.
    pub environment: BTreeMap<String, String>,
    /// In place of the image's `WorkingDir`.
    pub working_directory: Option<String>,
    /// `user`, `uid`, `uid:gid`; in place of the image's `User`.
    pub user: Option<String>,
    /// Whether its input stays open although nobody writes to it.
    #[serde(default)]
    pub interactive: bool,
    /// Whether its input and output are a terminal; what it prints there is its standard output.
    #[serde(default)]
    pub pseudo_terminal: bool,
    /// Whether its end ends the task.
    pub essential: bool,
    /// Its share of the task's CPU, in units; 0 is the least.
    pub cpu: u32,
    /// A hard memory limit in MiB of its own.
    pub memory: Option<u32>,
    /// What of the task's memory is set aside for it, in MiB.
    #[serde(default)]
    pub memory_reservation: Option<u32>,
    /// Settings of the kernel's for its namespaces (`net.core.somaxconn`); those of the network are the task's.
    #[serde(default)]
    pub system_controls: BTreeMap<String, String>,
    /// Whether its root file system is read-only.
    pub readonly_root_filesystem: bool,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Soft and hard limits by name (`nofile`).
    pub ulimits: BTreeMap<String, (u64, u64)>,
    /// What has to be so of other containers before this one is started; in the reverse order they are stopped.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// How long what this container's dependents wait for may take. None: ECS's own limit.
    #[serde(default)]
    pub start_timeout: Option<Duration>,
    /// When it is started again in its place although the task goes on. None: never.
    #[serde(default)]
    pub restart_policy: Option<RestartPolicy>,
    /// How its health is found out. None: nobody asks.
    #[serde(default)]
    pub health_check: Option<ContainerHealthCheck>,
    /// Environment variables whose values are read at the start, with the execution role, along the task's own path.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Where its output goes, besides the folder of the task. None: nowhere.
    #[serde(default)]
    pub log: Option<LogDestination>,
    /// Settings of Linux's.
    #[serde(default)]
    pub linux: LinuxParameters,
    /// Volumes of the task that it sees.
    #[serde(default)]
    pub mounts: Vec<VolumeMount>,
    /// Labels, for the metadata endpoint.
    #[serde(default)]
    pub docker_labels: BTreeMap<String, String>,
    /// Whether it trusts the local certificate authority.
    #[serde(default)]
    pub trust_ca: bool,
    /// Its ARN, for the metadata endpoint.
    #[serde(default)]
    pub arn: String,
    /// The container's id at the metadata endpoint: nobody can guess it. Empty: it has none.
    #[serde(default)]
    pub endpoint: String,
}

/// What a container waits for ("ContainerDependency").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The other container's name.
    pub container: String,
    /// What has to be so of it.
    pub condition: DependencyCondition,
}

/// See [`Dependency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DependencyCondition {
    /// It was started.
    Start,
    /// It has ended, with whatever exit code.
    Complete,
    /// It has ended with exit code 0.
    Success,
    /// Its health check has succeeded.
    Healthy,
}

/// A container that ends by itself is started again in its place ("ContainerRestartPolicy").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Exit codes with which it stays ended.
    pub ignored_exit_codes: Vec<i32>,
    /// How long it must have run since it was last started.
    pub attempt_period: Duration,
}

/// A container's own health check ("HealthCheck").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerHealthCheck {
    /// The program and its arguments; exit code 0 is health. `CMD-SHELL` has become `/bin/sh -c` already.
    pub command: Vec<String>,
    /// From the end of one check to the next.
    pub interval: Duration,
    /// After which a check has failed.
    pub timeout: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
    /// How long from the start failures do not count.
    pub start_period: Duration,
}

/// An environment variable from Parameter Store or Secrets Manager ("Secret").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The variable.
    pub name: String,
    /// Where its value is, as the task definition spells it: a parameter's name or ARN, or a secret's ARN with
    /// `:json-key:version-stage:version-id` behind it.
    pub value_from: String,
}

/// The log driver `awslogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDestination {
    /// The region of the log group.
    pub region: String,
    /// The log group.
    pub group: String,
    /// The log stream, whole.
    pub stream: String,
    /// Whether the group is made when there is none (`awslogs-create-group`).
    pub create_group: bool,
    /// What happens when events cannot be sent as fast as they come.
    pub mode: LogMode,
    /// A regular expression that a message's first line matches (`awslogs-multiline-pattern`, or what
    /// `awslogs-datetime-format` means). None: a line is a message.
    pub message_start: Option<String>,
}

/// See [`LogDestination::mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// The container waits.
    Blocking,
    /// What does not fit into the buffer is dropped and counted.
    NonBlocking {
        /// In bytes.
        max_buffer: u64,
    },
}

/// See "LinuxParameters".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxParameters {
    /// Whether an init process forwards signals and reaps.
    pub init_process: bool,
    /// Capabilities that are taken away: `ALL`, or names without `CAP_`.
    pub drop_capabilities: Vec<String>,
    /// Capabilities that are added; Fargate allows SYS_PTRACE alone.
    pub add_capabilities: Vec<String>,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
}

/// A file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Where the container sees it.
    pub path: String,
    /// Its size in MiB.
    pub size: u32,
    /// Mount options (`noexec`…).
    pub options: Vec<String>,
}

/// A volume of the task in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume's name.
    pub volume: String,
    /// Where the container sees it.
    pub path: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// A session of a task's role, as the credentials endpoint gives it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSession {
    /// The last part of the endpoint's path: nobody can guess it.
    pub id: String,
    /// The role.
    pub role_arn: String,
    /// The key pair's id.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The token.
    pub session_token: String,
    /// Until when the key pair is good.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for RoleSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret never reaches a log.
        f.debug_struct("RoleSession").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// What only the control plane knows of a task, for the metadata endpoint ("Task metadata endpoint version 4").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// The cluster's ARN.
    pub cluster: String,
    /// The service's name; empty for a task of RunTask's.
    pub service: String,
    /// The task definition's family.
    pub family: String,
    /// Its revision.
    pub revision: u32,
    /// The zone.
    pub availability_zone: String,
    /// The interface's private address; the endpoint answers only to it.
    pub address: Option<Ipv4Addr>,
    /// The subnet's range, `10.0.1.0/24`.
    pub subnet_cidr: String,
    /// The interface's MAC address.
    pub mac_address: String,
    /// The interface's private name.
    pub private_dns_name: String,
    /// `FARGATE`.
    pub launch_type: String,
}

/// An image, already split by the control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReference {
    /// As the task definition spells it.
    pub image: String,
    /// The registry's host name as the VPC resolves it, `<account>.dkr.ecr.<region>.amazonaws.com`. None: no registry
    /// that is known here, so that the pull fails with a hint.
    pub registry: Option<String>,
    /// The repository's name.
    pub repository: String,
    /// A tag, or a digest with its algorithm (`sha256:…`).
    pub reference: String,
}

/// As whom, and where, a task pulls.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullIdentity {
    /// The region of the ECR API.
    pub region: String,
    /// The execution role's ARN, for messages. None: the task definition names none, and the pull fails.
    pub role_arn: Option<String>,
    /// The role session's access key id; empty without a role.
    pub access_key_id: String,
    /// The role session's secret key.
    pub secret_access_key: String,
    /// The role session's token.
    pub session_token: String,
    /// The local certificate authority that signs the AWS names, PEM.
    pub ca_certificate: String,
}

impl std::fmt::Debug for PullIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret never reaches a log.
        f.debug_struct("PullIdentity")
            .field("role_arn", &self.role_arn)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}
