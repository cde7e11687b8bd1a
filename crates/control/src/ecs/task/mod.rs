//! Tasks: containers in one network namespace, and where they are in their life ("Amazon ECS task lifecycle").

pub mod describe;
pub mod overrides;
pub mod protection;
pub mod run;
pub mod session;
pub mod start;
pub mod stop;
pub mod view;

use std::net::Ipv4Addr;

use desired::ContainerHealthStatus;
use serde::{Deserialize, Serialize};
use store::Row;
use types::{AccountId, NetworkInterfaceId, PartId, Region, SubnetId, TaskId, Timestamp, VpcId};

use super::service::found_by_group;
use super::tag::Tags;
pub use session::TaskSession;

/// The storage that Fargate gives without asking, in GiB ("Fargate task ephemeral storage").
pub const EPHEMERAL_STORAGE: u32 = 20;

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its cluster's name.
    pub cluster: String,
    /// Its id.
    pub id: TaskId,
    /// Its service's name. None: RunTask started it.
    pub service: Option<String>,
    /// Its task definition's ARN.
    pub task_definition: String,
    /// `service:<name>`, `family:<family>`, or as RunTask was told.
    pub group: String,
    /// The deployment's id, or as RunTask was told.
    pub started_by: String,
    /// The token of the RunTask call that made it.
    pub client_token: Option<String>,
    /// Whether its containers wait for their log driver where their definition does not say: the account's setting when
    /// the task was made.
    #[serde(default)]
    pub blocks_on_logs: bool,
    /// Where it is in its life.
    pub last_status: LastStatus,
    /// Where it shall be.
    pub desired_status: DesiredStatus,
    /// Counts its changes.
    pub version: u64,
    /// The capacity provider that its strategy chose. None: it was started by launch type.
    #[serde(default)]
    pub capacity_provider: Option<String>,
    /// What RunTask said in place of the task definition.
    #[serde(default)]
    pub overrides: overrides::TaskOverride,
    /// In units.
    pub cpu: u32,
    /// In MiB.
    pub memory: u32,
    /// How much its containers may write in all, in GiB. 0 in rows of before: 20.
    #[serde(default)]
    pub ephemeral_storage: u32,
    /// The name of its zone.
    pub availability_zone: String,
    /// Its network interface.
    pub interface: Interface,
    /// Its containers, in the order of the task definition.
    pub containers: Vec<Container>,
    /// As whom its images are pulled, its secrets read and its logs written.
    pub pull: Option<TaskSession>,
    /// As whom its programs call AWS.
    #[serde(default)]
    pub role: Option<TaskSession>,
    /// The last part of the path at which its programs are given `role`'s key pair; it stays when the pair is renewed.
    #[serde(default)]
    pub credentials_id: String,
    /// The target groups that it joins.
    pub targets: Vec<Target>,
    /// The Cloud Map services that it is registered with.
    #[serde(default)]
    pub registrations: Vec<Registration>,
    /// Until then neither scaling in nor a deployment ends it. None: it is not protected.
    #[serde(default)]
    pub protected_until: Option<Timestamp>,
    /// Whether the machine has been told to end it.
    pub stop: bool,
    /// Whether the machine has reported the end, so that it need not know the task any more.
    pub ended: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the machine took it over.
    pub connectivity_at: Option<Timestamp>,
    /// When the pull began.
    pub pull_started_at: Option<Timestamp>,
    /// When the pull ended.
    pub pull_stopped_at: Option<Timestamp>,
    /// When all containers had been started.
    pub started_at: Option<Timestamp>,
    /// When it was told to end.
    pub stopping_at: Option<Timestamp>,
    /// When its containers had ended.
    pub execution_stopped_at: Option<Timestamp>,
    /// When all that belonged to it was gone.
    pub stopped_at: Option<Timestamp>,
    /// What kind of reason ended it.
    pub stop_code: Option<StopCode>,
    /// Why it ended, in ECS's words.
    pub stopped_reason: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// Where a task is in its life. In this order, but that a task may end from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LastStatus {
    /// Its interface is there, the machine has not reported it yet.
    Provisioning,
    /// Its images are pulled and its containers are made.
    Pending,
    /// Its containers run, and it joins its target groups.
    Activating,
    /// It runs.
    Running,
    /// It leaves its target groups.
    Deactivating,
    /// Its containers were told to end.
    Stopping,
    /// Its containers have ended; its interface goes.
    Deprovisioning,
    /// Nothing is left of it.
    Stopped,
}

/// Where a task shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DesiredStatus {
    /// It shall run.
    Running,
    /// It shall end.
    Stopped,
}

/// What kind of reason ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCode {
    /// It never ran.
    TaskFailedToStart,
    /// A container without which it cannot be has ended.
    EssentialContainerExited,
    /// StopTask.
    UserInitiated,
    /// Its service had too many, or replaced it.
    ServiceSchedulerInitiated,
}

/// A task's network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The attachment's id, a UUID.
    pub attachment: String,
    /// The interface.
    pub id: NetworkInterfaceId,
    /// Its subnet.
    pub subnet: SubnetId,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its MAC address.
    pub mac_address: String,
    /// Its private name.
    pub private_dns_name: String,
    /// Its private address.
    pub address: Ipv4Addr,
}

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its own id, a UUID: the last part of its ARN.
    pub id: String,
    /// Its name in the task definition.
    pub name: String,
    /// Its image as the task definition spells it.
    pub image: String,
    /// Its CPU share in units.
    pub cpu: u32,
    /// Its memory limit in MiB.
    pub memory: Option<u32>,
    /// PENDING, RUNNING or STOPPED.
    pub last_status: ContainerStatus,
    /// Its id at the metadata endpoint.
    #[serde(default)]
    pub endpoint: String,
    /// Its id on the machine.
    pub runtime_id: String,
    /// The manifest's digest.
    pub image_digest: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Why it ended.
    pub reason: Option<String>,
    /// What its own health check finds. None: it has none.
    #[serde(default)]
    pub health: Option<ContainerHealthStatus>,
    /// Whether the task ends with it.
    #[serde(default)]
    pub essential: bool,
    /// What of the task's memory is set aside for it, in MiB.
    #[serde(default)]
    pub memory_reservation: Option<u32>,
}

/// Where a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContainerStatus {
    /// It is not there yet.
    Pending,
    /// It runs.
    Running,
    /// It has ended, or never came to be.
    Stopped,
}

/// A task's place in a target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The group.
    pub group: String,
    /// The port on the task's address.
    pub port: u16,
    /// How far it is.
    pub state: TargetState,
}

/// A task's place in a Cloud Map service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The Cloud Map service's ARN.
    pub registry: String,
    /// The port of its SRV records.
    pub port: Option<u16>,
    /// How far it is.
    pub state: TargetState,
}

/// How far a task's target or registration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    /// It is registered once the task runs.
    Waiting,
    /// It is in the group.
    Registered,
    /// It was taken out, and may drain.
    Deregistered,
}

impl Row for Task {
    const TABLE: &'static str = "ecs_task";

    fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.account, self.region, self.cluster, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        if self.ended { Vec::new() } else { vec![PartId::Task(self.id.clone())] }
    }

    /// By its id, and while it is not STOPPED by its service and its target groups.
    fn found_by(&self) -> Vec<String> {
        let mut keys = vec![found_by_id(&self.id)];
        if self.last_status != LastStatus::Stopped {
            if let Some(service) = &self.service {
                let service = format!("{}/{}/{}/{service}", self.account, self.region, self.cluster);
                keys.push(format!("{}{}", found_by_service(&service), self.id));
            }
            let groups = self.targets.iter().map(|target| found_by_group(&target.group));
            keys.extend(groups.map(|group| format!("{group}{}", self.id)));
        }
        keys
    }
}

/// What finds a task by its id alone.
pub fn found_by_id(id: &TaskId) -> String {
    format!("id/{id}")
}

/// The prefix under which the tasks of a service are found, by the service's key.
pub fn found_by_service(key: &str) -> String {
    format!("service/{key}/")
}

impl Task {
    /// Its ARN.
    pub fn arn(&self) -> String {
        super::arn(&self.account, &self.region, &format!("task/{}/{}", self.cluster, self.id))
    }

    /// The ARN of one of its containers.
    pub fn container_arn(&self, container: &Container) -> String {
        let resource = format!("container/{}/{}/{}", self.cluster, self.id, container.id);
        super::arn(&self.account, &self.region, &resource)
    }

    /// Its cluster's ARN.
    pub fn cluster_arn(&self) -> String {
        super::arn(&self.account, &self.region, &format!("cluster/{}", self.cluster))
    }

    /// What the health checks of its essential containers find, as ECS adds it up ("healthStatus"): UNHEALTHY when one
    /// does, HEALTHY when all do, UNKNOWN when one has not decided or none has a check.
    pub fn health(&self) -> ContainerHealthStatus {
        use ContainerHealthStatus::{Healthy, Unhealthy, Unknown};
        let checks = self.containers.iter().filter(|container| container.essential);
        let found: Vec<_> = checks.filter_map(|container| container.health).collect();
        match &*found {
            [] => Unknown,
            found if found.contains(&Unhealthy) => Unhealthy,
            found if found.contains(&Unknown) => Unknown,
            _ => Healthy,
        }
    }

    /// Whether it shall run.
    pub fn is_wanted(&self) -> bool {
        self.desired_status == DesiredStatus::Running
    }

    /// Tells it to end. The first reason stays.
    pub fn end(&mut self, code: StopCode, reason: impl Into<String>) {
        self.desired_status = DesiredStatus::Stopped;
        if self.stop_code.is_none() {
            self.stop_code = Some(code);
            self.stopped_reason = Some(reason.into());
        }
    }
}
