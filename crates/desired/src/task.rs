//! One ECS task: containers in one network namespace.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, TaskId, VpcId};

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
    /// Its containers.
    pub containers: Vec<Container>,
    /// Where images come from and as whom they are asked for.
    pub pull: PullIdentity,
    /// Whether the task shall end: SIGTERM, then after each container's `stop_timeout` SIGKILL.
    pub stop: bool,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether its end ends the task.
    pub essential: bool,
    /// Its share of the task's CPU, in units; 0 is the least.
    pub cpu: u32,
    /// A hard memory limit in MiB of its own.
    pub memory: Option<u32>,
    /// Whether its root file system is read-only.
    pub readonly_root_filesystem: bool,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Soft and hard limits by name (`nofile`).
    pub ulimits: BTreeMap<String, (u64, u64)>,
}

/// An image, already split by the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
