//! What RunTask says of one task in place of its task definition ("TaskOverride").

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::Context;
use crate::ecs::container_definition::{self, ContainerDefinition, Given, KeyValuePair};
use crate::ecs::task_definition::{EphemeralStorage, TaskDefinition};
use crate::ecs::{client, fargate, invalid, role};

/// The most characters of all that is said of containers ("RunTask", overrides).
const LONGEST: usize = 8192;

/// The overrides of a task, as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskOverride {
    /// Of containers, by name.
    #[serde(default)]
    pub container_overrides: Vec<ContainerOverride>,
    /// The task's CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The task's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The execution role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    /// The task role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    /// How much its containers may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// Refused.
    #[serde(default, skip_serializing)]
    inference_accelerator_overrides: Given,
}

/// The overrides of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerOverride {
    /// The container.
    #[serde(default)]
    pub name: String,
    /// In place of its command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Added to its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<KeyValuePair>,
    /// Its share of the task's CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Its memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// What of the task's memory is set aside for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u32>,
    /// Refused.
    #[serde(default, skip_serializing)]
    environment_files: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    resource_requirements: Given,
}

impl TaskOverride {
    /// The task definition as it is for the task. Sizes that were checked; others are left as they were.
    pub fn apply(&self, definition: &TaskDefinition) -> TaskDefinition {
        let mut definition = definition.clone();
        let (cpu, memory) = (definition.cpu.to_string(), definition.memory.to_string());
        let (cpu, memory) = (self.cpu.as_ref().unwrap_or(&cpu), self.memory.as_ref().unwrap_or(&memory));
        if let Ok(size) = fargate::size(Some(cpu), Some(memory)) {
            (definition.cpu, definition.memory) = (size.cpu, size.memory);
        }
        definition.ephemeral_storage = self.ephemeral_storage.or(definition.ephemeral_storage);
        let role = |given: &Option<String>| given.clone().filter(|arn| !arn.is_empty());
        definition.execution_role_arn = role(&self.execution_role_arn).or(definition.execution_role_arn);
        definition.task_role_arn = role(&self.task_role_arn).or(definition.task_role_arn);
        for given in &self.container_overrides {
            let container = definition.containers.iter_mut().find(|container| container.name == given.name);
            if let Some(container) = container {
                given.apply(container);
            }
        }
        definition
    }

    /// Checks what was given against the task definition.
    ///
    /// # Errors
    /// In ECS's words.
    pub(super) fn check(
        &self,
        rows: &Snapshot,
        context: &Context,
        definition: &TaskDefinition,
    ) -> Result<(), ApiError> {
        self.inference_accelerator_overrides.refuse("Unsupported field 'inferenceAccelerators'")?;
        if let Some(storage) = self.ephemeral_storage {
            storage.check()?;
        }
        for given in &self.container_overrides {
            let name = &given.name;
            if definition.container(name).is_none() {
                return Err(invalid(format!(
                    "Override for container named {name} is not a container in the TaskDefinition."
                )));
            }
            given.environment_files.unsupported(format_args!("environmentFiles (container '{name}')"))?;
            given
                .resource_requirements
                .refuse("Tasks using the Fargate launch type do not support GPU resource requirements")?;
        }
        let length = serde_json::to_string(&self.container_overrides).map_or(0, |text| text.chars().count());
        if length > LONGEST {
            return Err(invalid(format!("Container Overrides length must be at most {LONGEST}")));
        }
        // "You must add iam:PassRole permissions for each task execution role, task role, or task role override" ("Amazon
        // ECS EventBridge IAM Role"): whoever runs a task passes the definition's roles too.
        let ran = self.apply(definition);
        for role_arn in [ran.execution_role_arn, ran.task_role_arn] {
            role::take(rows, context, role_arn)?;
        }
        let own = (definition.cpu.to_string(), definition.memory.to_string());
        let (cpu, memory) = (self.cpu.as_ref().unwrap_or(&own.0), self.memory.as_ref().unwrap_or(&own.1));
        let size = fargate::size(Some(cpu), Some(memory))?;
        container_definition::check_sizes(&ran.containers, size).map_err(|error| client(error.message))
    }

    /// As it is printed: each container of the task is named.
    pub(super) fn print(&self, containers: impl Iterator<Item = String>) -> TaskOverrideView {
        let of = |name: String| {
            let given = self.container_overrides.iter().find(|given| given.name == name);
            given.cloned().unwrap_or_else(|| ContainerOverride { name, ..ContainerOverride::default() })
        };
        TaskOverrideView {
            given: Self { container_overrides: containers.map(of).collect(), ..self.clone() },
            inference_accelerator_overrides: [],
        }
    }
}

/// Overrides as responses print them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskOverrideView {
    #[serde(flatten)]
    given: TaskOverride,
    inference_accelerator_overrides: [String; 0],
}

impl ContainerOverride {
    fn apply(&self, container: &mut ContainerDefinition) {
        if self.command.is_some() {
            container.command.clone_from(&self.command);
        }
        for pair in &self.environment {
            container.environment.retain(|known| known.name != pair.name);
            container.environment.push(pair.clone());
        }
        container.cpu = self.cpu.unwrap_or(container.cpu);
        container.memory = self.memory.or(container.memory);
        container.memory_reservation = self.memory_reservation.or(container.memory_reservation);
    }
}
