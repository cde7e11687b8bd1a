//! Makes a task: its interface, its role's session, its row.

use std::sync::Arc;

use desired::{ContainerHealthStatus, InterfaceKind};
use store::Tx;
use types::TaskId;
use wire::ApiError;

use crate::ec2::{interface, subnet};
use crate::ecs::service::LoadBalancer;
use crate::ecs::service::registry::ServiceRegistry;
use crate::ecs::task::overrides::TaskOverride;
use crate::ecs::task::{
    self, Container, ContainerStatus, DesiredStatus, Interface, LastStatus, Registration, Target,
    TargetState, Task, TaskSession,
};
use crate::ecs::task_definition::TaskDefinition;
use crate::ecs::{AssignPublicIp, Network, Tags, account_setting, uuid};
use crate::sts::session::{self, NotAssumable};
use crate::{Context, SessionKey};

/// What a task is made from.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The service's name.
    pub service: Option<&'a str>,
    /// What it belongs to.
    pub group: String,
    /// Who started it.
    pub started_by: String,
    /// What runs.
    pub definition: &'a TaskDefinition,
    /// What is said in place of that.
    pub overrides: TaskOverride,
    /// Where it may be.
    pub network: &'a Network,
    /// Where it is.
    pub subnet: &'a str,
    /// The capacity provider that a strategy chose.
    pub capacity_provider: Option<String>,
    /// Which Cloud Map services it is registered with.
    pub service_registries: &'a [ServiceRegistry],
    /// Which target groups it joins.
    pub load_balancers: &'a [LoadBalancer],
    /// The client token of the call that asked for it.
    pub client_token: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// Why a task cannot be made, in ECS's words.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Its execution role may not be assumed.
    #[error(transparent)]
    Role(#[from] NotAssumable),
    /// It cannot get an interface.
    #[error("Unexpected EC2 error while attempting to Create Network Interface in subnet '{subnet}': {}: {}", .cause.code, .cause.message)]
    Interface {
        /// The subnet.
        subnet: String,
        /// EC2's error.
        cause: ApiError,
    },
    /// Its task definition is not there.
    #[error("the task definition of the service {service} does not exist")]
    NoDefinition {
        /// The service.
        service: String,
    },
}

/// Makes a task that the machine then starts.
///
/// # Errors
/// When its role or its interface cannot be had; nothing is left of it then.
pub fn launch(rows: &mut Tx, context: &Context, launch: Launch<'_>) -> Result<Arc<Task>, LaunchError> {
    let id = TaskId::mint();
    let definition = &launch.overrides.apply(launch.definition);
    let failed = |cause| LaunchError::Interface { subnet: launch.subnet.to_owned(), cause };
    let subnet = subnet::get(rows, context, launch.subnet).map_err(failed)?;
    let arn = context.arn("ecs", format!("task/{}/{id}", launch.cluster)).to_string();
    let mut roles = Vec::new();
    for role_arn in [&definition.execution_role_arn, &definition.task_role_arn] {
        let session = role_arn.as_deref().map(|role_arn| assume(rows, context, role_arn, &arn)).transpose();
        match session {
            Ok(session) => roles.push(session),
            Err(refused) => {
                forget(rows, &roles);
                return Err(refused.into());
            }
        }
    }
    let attachment = uuid();
    let made = interface::create(
        rows,
        context,
        interface::NewInterface {
            subnet: launch.subnet,
            security_groups: &launch.network.security_groups,
            description: context.arn("ecs", format!("attachment/{attachment}")).to_string(),
            kind: InterfaceKind::Task,
            public_address: launch.network.assign_public_ip == AssignPublicIp::Enabled,
            requester: "amazon-ecs",
        },
    );
    let made = match made {
        Ok(made) => made,
        Err(cause) => {
            forget(rows, &roles);
            return Err(failed(cause));
        }
    };
    let target = |entry: &LoadBalancer| Target {
        group: entry.target_group_arn.clone(),
        port: entry.container_port,
        state: TargetState::Waiting,
    };
    let registration = |entry: &ServiceRegistry| Registration {
        registry: entry.registry_arn.clone(),
        port: entry.instance_port(),
        state: TargetState::Waiting,
    };
    let containers = definition.containers.iter().map(|container| Container {
        id: uuid(),
        name: container.name.clone(),
        image: container.image.clone(),
        endpoint: endpoint(),
        cpu: container.cpu,
        memory: container.memory,
        last_status: ContainerStatus::Pending,
        runtime_id: String::new(),
        image_digest: None,
        exit_code: None,
        reason: None,
        health: container
            .health_check
            .as_ref()
            .filter(|check| check.command.first().is_some_and(|kind| kind != "NONE"))
            .map(|_| ContainerHealthStatus::Unknown),
        essential: container.essential,
        memory_reservation: container.memory_reservation,
    });
    let role = roles.pop().flatten();
    let pull = roles.pop().flatten();
    let blocks_on_logs = account_setting::blocks_on_logs(rows, context, &definition.registered_by);
    Ok(rows.put(Task {
        account: context.account.clone(),
        region: context.region.clone(),
        cluster: launch.cluster.to_owned(),
        id,
        service: launch.service.map(str::to_owned),
        task_definition: definition.arn(),
        group: launch.group,
        started_by: launch.started_by,
        client_token: launch.client_token,
        last_status: LastStatus::Provisioning,
        desired_status: DesiredStatus::Running,
        version: 1,
        capacity_provider: launch.capacity_provider,
        overrides: launch.overrides,
        cpu: definition.cpu,
        memory: definition.memory,
        blocks_on_logs,
        ephemeral_storage: definition
            .ephemeral_storage
            .map_or(task::EPHEMERAL_STORAGE, |storage| storage.size_in_gib),
        availability_zone: subnet.availability_zone.clone(),
        interface: Interface {
            attachment,
            id: made.id.clone(),
            subnet: subnet.id.clone(),
            vpc: subnet.vpc_id.clone(),
            mac_address: made.mac_address(),
            private_dns_name: made.private_dns_name(),
            address: made.private_address,
        },
        containers: containers.collect(),
        pull,
        role,
        credentials_id: uuid(),
        targets: launch.load_balancers.iter().map(target).collect(),
        protected_until: None,
        registrations: launch.service_registries.iter().map(registration).collect(),
        stop: false,
        ended: false,
        created_at: context.now,
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: None,
        tags: launch.tags,
    }))
}

/// A session of a role for a task.
fn assume(rows: &mut Tx, context: &Context, role_arn: &str, task: &str) -> Result<TaskSession, NotAssumable> {
    let (account, region) = (&context.account, &context.region);
    let key = session::mint_for_task(rows, account, region, role_arn, task, context.now)?;
    Ok(TaskSession::new(role_arn, key))
}

/// Takes sessions back of which nobody was told.
fn forget(rows: &mut Tx, sessions: &[Option<TaskSession>]) {
    for session in sessions.iter().flatten() {
        rows.delete::<SessionKey>(&session.access_key_id);
    }
}

/// A container's id at the metadata endpoint, in the form of Fargate's: 32 hexadecimal digits, and a number of ten.
fn endpoint() -> String {
    let number = u32::from_str_radix(&types::random_hex(8), 16).unwrap_or_default();
    format!("{}-{number:010}", types::random_hex(32))
}
