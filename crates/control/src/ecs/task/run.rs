//! `RunTask`.

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{ApiError, Empty, OnlyDefault};

use super::Task;
use super::overrides::TaskOverride;
use super::start::ENABLE_EXECUTE_COMMAND;
use super::view::TaskView;
use crate::Context;
use crate::ecs::capacity_provider::{self, StrategyItem};
use crate::ecs::container_definition::Given;
use crate::ecs::network::{self, NetworkConfiguration};
use crate::ecs::service::{PropagateTags, platform_version};
use crate::ecs::tag::{self, Tag};
use crate::ecs::{client, cluster, invalid, role, task_definition};
use crate::schedule::launch::{self, Launch};

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunTask {
    cluster: Option<String>,
    task_definition: String,
    count: Option<i64>,
    group: Option<String>,
    launch_type: Option<String>,
    network_configuration: Option<NetworkConfiguration>,
    platform_version: Option<String>,
    started_by: Option<String>,
    tags: Option<Vec<Tag>>,
    propagate_tags: Option<PropagateTags>,
    #[serde(default, rename = "enableECSManagedTags")]
    enable_ecs_managed_tags: bool,
    client_token: Option<String>,
    #[serde(default)]
    enable_execute_command: Given,
    #[serde(default)]
    capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(default)]
    overrides: TaskOverride,
    #[serde(default, rename = "placementConstraints")]
    _placement_constraints: OnlyDefault<Empty>,
    #[serde(default, rename = "placementStrategy")]
    _placement_strategy: OnlyDefault<Empty>,
    reference_id: Option<String>,
    #[serde(default, rename = "volumeConfigurations")]
    _volume_configurations: OnlyDefault<Empty>,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct Started {
    tasks: Vec<TaskView>,
    failures: [String; 0],
}

/// Starts tasks that belong to no service. When one of them ends it is not replaced.
pub fn run(rows: &mut Tx, context: &Context, request: RunTask) -> Result<Started, ApiError> {
    let cluster = cluster::get_active(rows, context, request.cluster.as_deref())?;
    let strategy = capacity_provider::choose(
        &cluster,
        request.launch_type.as_deref().filter(|named| !named.is_empty()),
        request.capacity_provider_strategy,
    )?;
    if let Some(token) = &request.client_token {
        let prefix = cluster.prefix();
        let given: Vec<_> =
            rows.scan::<Task>(&prefix).filter(|task| task.client_token.as_ref() == Some(token)).collect();
        if let Some(first) = given.first() {
            // By ARN, by family and revision, or by family, of which there may be a newer revision now.
            let (own, named) = (&first.task_definition, &request.task_definition);
            let same =
                (own == named || own.ends_with(&format!("/{named}")) || own.contains(&format!("/{named}:")))
                    && first.started_by == request.started_by.unwrap_or_default()
                    && request.group.is_none_or(|group| group == first.group)
                    && request.overrides == first.overrides
                    && usize::try_from(request.count.unwrap_or(1)) == Ok(given.len());
            if !same {
                let tasks: Vec<String> = given.iter().map(|task| task.arn()).collect();
                let message = "The provided clientToken is already in use with a different RunTask request";
                return Err(ApiError::new("ConflictException", format!("{message}: {}", tasks.join(", "))));
            }
            return Ok(Started { tasks: given.iter().map(|task| task.print(true)).collect(), failures: [] });
        }
    }
    request.enable_execute_command.unsupported(ENABLE_EXECUTE_COMMAND)?;
    let definition = task_definition::find_active(rows, context, &request.task_definition)?;
    request.overrides.check(rows, context, &definition)?;
    if request.group.as_deref().is_some_and(|group| group.starts_with("service:")) {
        return Err(invalid("Invalid namespace for group."));
    }
    let count = usize::try_from(request.count.unwrap_or(1)).ok().filter(|count| (1..=10).contains(count));
    let count = count.ok_or_else(|| invalid("count must be from 1 to 10."))?;
    platform_version(request.platform_version.as_deref().unwrap_or_default())?;
    let network = network::take(rows, context, request.network_configuration)?;
    let mut tags = match request.propagate_tags.unwrap_or_default() {
        PropagateTags::None => tag::Tags::new(),
        PropagateTags::TaskDefinition => definition.tags.clone(),
        PropagateTags::Service => return Err(invalid("propagateTags SERVICE is not valid for RunTask.")),
    };
    tags.extend(tag::take(request.tags)?);
    if request.enable_ecs_managed_tags {
        tags.insert("aws:ecs:clusterName".to_owned(), cluster.name.clone());
    }
    let started_by = request.started_by.unwrap_or_default();
    if started_by.len() > 128 {
        return Err(invalid("startedBy must have at most 128 characters."));
    }
    // It names the request in the caller's own logs, and is printed nowhere.
    if request.reference_id.is_some_and(|id| id.len() > 1024) {
        return Err(invalid("referenceId must have at most 1024 characters."));
    }
    role::ensure_service_linked(rows, context);
    let mut tasks = Vec::new();
    let mut providers: Vec<String> = Vec::new();
    for number in 0..count {
        let subnet = &network.subnets[number % network.subnets.len()];
        let taken = |name: &str| providers.iter().filter(|taken| *taken == name).count();
        let provider = capacity_provider::next(&strategy, taken).map(str::to_owned);
        providers.extend(provider.clone());
        let launch = Launch {
            cluster: &cluster.name,
            service: None,
            group: request.group.clone().unwrap_or_else(|| format!("family:{}", definition.family)),
            started_by: started_by.clone(),
            definition: &definition,
            overrides: request.overrides.clone(),
            network: &network,
            subnet,
            capacity_provider: provider,
            load_balancers: &[],
            service_registries: &[],
            client_token: request.client_token.clone(),
            tags: tags.clone(),
        };
        let task = launch::launch(rows, context, launch).map_err(|failed| client(failed.to_string()))?;
        tasks.push(task.print(true));
    }
    Ok(Started { tasks, failures: [] })
}
