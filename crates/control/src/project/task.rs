//! A task as the machine is told of it.

use std::time::Duration;

use desired::{
    Container, ContainerHealthCheck, Dependency, Dns, ImageReference, LinuxParameters, PullIdentity, Tmpfs,
    VolumeMount,
};
use store::Snapshot;
use types::{AccountId, Region, TaskId};

use super::task_metadata;
use crate::Settings;
use crate::ec2::dhcp_options;
use crate::ec2::vpc::Vpc;
use crate::ecs::task::{Task, found_by_id};
use crate::ecs::task_definition::{self, PidMode, TaskDefinition};
use crate::ecs::{ContainerDefinition, RestartPolicy};

/// From SIGTERM to SIGKILL when the container definition does not say ("stopTimeout").
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The Docker label by which a container opts in to trusting the local certificate authority. To AWS it is a label.
const TRUST_CA: &str = "landfall.trust-ca";

/// What the machine shall do for a task. None: there is no such task, or the machine has ended it.
pub fn project(rows: &Snapshot, settings: &Settings, id: &TaskId) -> Option<desired::Task> {
    let task = rows.find::<Task>(&found_by_id(id)).find(|task| task.id == *id && !task.ended)?;
    let definition = task.overrides.apply(&*task_definition::get(rows, &task.task_definition)?);
    let pull = task.pull.as_ref();
    let text = |part: Option<&String>| part.cloned().unwrap_or_default();
    Some(desired::Task {
        id: task.id.clone(),
        arn: task.arn(),
        vpc: task.interface.vpc.clone(),
        interface: task.interface.id.clone(),
        cpu: task.cpu,
        memory: task.memory,
        dns: dns(rows, &task),
        containers: containers(settings, &task, &definition),
        pull: PullIdentity {
            region: task.region.to_string(),
            role_arn: pull.map(|pull| pull.role_arn.clone()),
            access_key_id: text(pull.map(|pull| &pull.access_key_id)),
            secret_access_key: text(pull.map(|pull| &pull.secret_access_key)),
            session_token: text(pull.map(|pull| &pull.session_token)),
            ca_certificate: settings.ca_certificate.clone(),
        },
        role: task_metadata::role(&task),
        volumes: definition.volumes.iter().map(|volume| volume.name.clone()).collect(),
        shares_processes: definition.pid_mode == Some(PidMode::Task),
        ephemeral_storage: task.ephemeral_storage,
        metadata: task_metadata::metadata(rows, &task, &definition),
        stop: task.stop,
    })
}

fn dns(rows: &Snapshot, task: &Task) -> Dns {
    let vpc = rows.get::<Vpc>(&format!("{}/{}/{}", task.account, task.region, task.interface.vpc));
    vpc.map_or_else(Dns::default, |vpc| dhcp_options::dns(rows, &vpc))
}

fn containers(settings: &Settings, task: &Task, definition: &TaskDefinition) -> Vec<Container> {
    let image = |container: &ContainerDefinition| {
        image_reference(settings, &task.account, &task.region, &container.image)
    };
    let filled = |words: &Option<Vec<String>>| words.clone().filter(|words| !words.is_empty());
    let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let limit = |limit: i64| u64::try_from(limit).unwrap_or(0);
    definition
        .containers
        .iter()
        .map(|container| Container {
            arn: task_metadata::container_arn(task, &container.name),
            endpoint: task_metadata::endpoint(task, &container.name),
            name: container.name.clone(),
            image: image(container),
            command: filled(&container.command),
            entry_point: filled(&container.entry_point),
            environment: container
                .environment
                .iter()
                .map(|pair| (pair.name.clone(), pair.value.clone()))
                .collect(),
            working_directory: named(&container.working_directory),
            user: named(&container.user),
            interactive: container.interactive.unwrap_or(false),
            pseudo_terminal: container.pseudo_terminal.unwrap_or(false),
            essential: container.essential,
            cpu: container.cpu,
            memory: container.memory,
            readonly_root_filesystem: container.readonly_root_filesystem.unwrap_or(false),
            stop_timeout: container
                .stop_timeout
                .map_or(STOP_TIMEOUT, |seconds| Duration::from_secs(seconds.into())),
            ulimits: container
                .ulimits
                .iter()
                .map(|known| (known.name.clone(), (limit(known.soft_limit), limit(known.hard_limit))))
                .collect(),
            memory_reservation: container.memory_reservation,
            system_controls: container
                .system_controls
                .iter()
                .map(|control| (control.namespace.clone(), control.value.clone()))
                .collect(),
            depends_on: dependencies(container),
            start_timeout: container.start_timeout.map(|seconds| Duration::from_secs(seconds.into())),
            restart_policy: container.restart_policy.as_ref().and_then(RestartPolicy::desired),
            health_check: health_check(container),
            linux: linux_parameters(container),
            mounts: mounts(container, definition),
            trust_ca: container
                .docker_labels
                .as_ref()
                .and_then(|labels| labels.get(TRUST_CA))
                .is_some_and(|value| value == "true"),
            docker_labels: container.docker_labels.clone().unwrap_or_default(),
            secrets: secrets(container),
            log: container
                .log_configuration
                .as_ref()
                .map(|log| log.destination(&container.name, &task.id, task.blocks_on_logs)),
        })
        .collect()
}

/// What a container waits for. One that has another's volumes is started after it, as the ECS agent does.
fn dependencies(container: &ContainerDefinition) -> Vec<Dependency> {
    let said = container.depends_on.iter().map(|dependency| Dependency {
        container: dependency.container_name.clone(),
        condition: dependency.condition,
    });
    let seen = container.volumes_from.iter().map(|from| Dependency {
        container: from.source_container.clone(),
        condition: desired::DependencyCondition::Start,
    });
    said.chain(seen).collect()
}

fn secrets(container: &ContainerDefinition) -> Vec<desired::Secret> {
    let all = container.secrets.iter().flatten();
    all.map(|secret| desired::Secret { name: secret.name.clone(), value_from: secret.value_from.clone() })
        .collect()
}

fn health_check(container: &ContainerDefinition) -> Option<ContainerHealthCheck> {
    let check = container.health_check.as_ref()?;
    let (kind, words) = check.command.split_first()?;
    let shell: &[&str] = match kind.as_str() {
        "CMD" => &[],
        "CMD-SHELL" => &["/bin/sh", "-c"],
        // NONE
        _ => return None,
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Some(ContainerHealthCheck {
        command: shell.iter().map(|word| (*word).to_owned()).chain(words.iter().cloned()).collect(),
        interval: seconds(check.interval),
        timeout: seconds(check.timeout),
        retries: check.retries,
        start_period: seconds(check.start_period.unwrap_or(0)),
    })
}

fn linux_parameters(container: &ContainerDefinition) -> LinuxParameters {
    let Some(linux) = &container.linux_parameters else { return LinuxParameters::default() };
    let capabilities = linux.capabilities.clone().unwrap_or_default();
    LinuxParameters {
        init_process: linux.init_process_enabled.unwrap_or(false),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        add_capabilities: capabilities.add.unwrap_or_default(),
        tmpfs: linux
            .tmpfs
            .iter()
            .flatten()
            .map(|tmpfs| Tmpfs {
                path: tmpfs.container_path.clone(),
                size: tmpfs.size,
                options: tmpfs.mount_options.clone().unwrap_or_default(),
            })
            .collect(),
    }
}

/// The container's own mount points, then those of the containers whose volumes it has; of two at one place the first.
fn mounts(container: &ContainerDefinition, definition: &TaskDefinition) -> Vec<VolumeMount> {
    let mut found: Vec<VolumeMount> = Vec::new();
    let mut waiting = vec![(container, false)];
    // A container is visited at most once a way; register refused ways that lead round.
    while let Some((at, read_only)) = waiting.pop() {
        for mount in &at.mount_points {
            if !found.iter().any(|known| known.path == mount.container_path) {
                found.push(VolumeMount {
                    volume: mount.source_volume.clone(),
                    path: mount.container_path.clone(),
                    read_only: read_only || mount.read_only.unwrap_or(false),
                });
            }
        }
        for from in at.volumes_from.iter().rev() {
            let other = definition.container(&from.source_container);
            waiting.extend(other.map(|other| (other, read_only || from.read_only.unwrap_or(false))));
        }
    }
    found
}

/// Splits an image reference. Two forms lead to Landfall's registry: `<listen address>/<repository>`, as
/// DescribeRepositories prints it, means the task's own account and region;
/// `<account>.dkr.ecr.<region>.amazonaws.com/<repository>` is AWS's own.
pub fn image_reference(
    settings: &Settings,
    account: &AccountId,
    region: &Region,
    image: &str,
) -> ImageReference {
    let (host, path) = image.split_once('/').unwrap_or(("", image));
    let listen = settings.listen;
    let is_listen = host == listen.to_string()
        || (listen.ip().is_loopback()
            && host.strip_prefix("localhost:") == Some(&*listen.port().to_string()));
    let registry = match host {
        _ if is_listen => Some(format!("{account}.dkr.ecr.{region}.amazonaws.com")),
        _ if is_ecr_host(host) => Some(host.to_owned()),
        _ => None,
    };
    let named = if registry.is_some() { path } else { image };
    let (named, digest) = named.split_once('@').map_or((named, None), |(name, digest)| (name, Some(digest)));
    // A colon before the last slash belongs to a host's port.
    let tag_at = named.rfind(':').filter(|at| !named[*at..].contains('/'));
    let (repository, tag) = tag_at.map_or((named, None), |at| (&named[..at], Some(&named[at + 1..])));
    ImageReference {
        image: image.to_owned(),
        registry,
        repository: repository.to_owned(),
        reference: digest.or(tag).unwrap_or("latest").to_owned(),
    }
}

fn is_ecr_host(host: &str) -> bool {
    let split = || {
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        Some((account, rest.strip_suffix(".amazonaws.com")?))
    };
    split().is_some_and(|(account, region)| AccountId::new(account).is_ok() && Region::new(region).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_are_split() {
        let settings = crate::testing::settings();
        let (account, region) = (settings.account.clone(), Region::new("ap-northeast-2").unwrap());
        let own = "000000000001.dkr.ecr.ap-northeast-2.amazonaws.com";
        let other = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let digest = format!("sha256:{}", "0".repeat(64));
        for (image, registry, repository, reference) in [
            ("127.0.0.1:4566/app:1", Some(own), "app", "1"),
            ("localhost:4566/team/app", Some(own), "team/app", "latest"),
            (&format!("127.0.0.1:4566/app:1@{digest}"), Some(own), "app", &digest),
            (&format!("{other}/app:v2"), Some(other), "app", "v2"),
            (&format!("{other}/app@{digest}"), Some(other), "app", &digest),
            ("nginx", None, "nginx", "latest"),
            ("public.ecr.aws/nginx/nginx:1.27", None, "public.ecr.aws/nginx/nginx", "1.27"),
            ("127.0.0.1:5000/app", None, "127.0.0.1:5000/app", "latest"),
            (
                "1.dkr.ecr.eu-west-1.amazonaws.com/app",
                None,
                "1.dkr.ecr.eu-west-1.amazonaws.com/app",
                "latest",
            ),
        ] {
            let split = image_reference(&settings, &account, &region, image);
            assert_eq!(
                (split.registry.as_deref(), &*split.repository, &*split.reference),
                (registry, repository, reference),
                "{image}"
            );
        }
    }
}
