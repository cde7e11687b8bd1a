//! What has to be so of containers and of how they hang together ("Task definition parameters for Fargate").

use std::collections::{BTreeMap, BTreeSet};

use desired::DependencyCondition;
use wire::ApiError;

use super::{ContainerDefinition, HealthCheck, LinuxParameters, Ulimit};
use super::{log, refused};
use crate::ecs::client;
use crate::ecs::fargate::Size;

/// The most containers of a task ("Amazon ECS service quotas").
const MOST: usize = 10;

/// The longest start and stop timeouts on Fargate, in seconds ("startTimeout", "stopTimeout").
const LONGEST: u32 = 120;

/// The most open files that Fargate allows ("Resource limits").
const OPEN_FILES: i64 = 1_048_576;

/// Capabilities that AWS's model names ("KernelCapabilities").
const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// Mount options of a tmpfs that mean the same here as to Docker.
const TMPFS_OPTIONS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
];

/// System controls of the kernel's that a container has for itself, beside those of its network ("systemControls").
const IPC_CONTROLS: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Checks the containers of a task definition and fills in what AWS fills in.
///
/// # Errors
/// In ECS's words, naming the container.
pub(crate) fn check(
    containers: &mut [ContainerDefinition],
    volumes: &BTreeSet<&str>,
    size: Size,
) -> Result<(), ApiError> {
    if containers.is_empty() {
        return Err(client("Container definitions should not be empty."));
    }
    if containers.len() > MOST {
        return Err(client("Too many containers."));
    }
    let mut names = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for container in containers.iter_mut() {
        if container.name.is_empty() {
            return Err(client("Container.name should not be null or empty."));
        }
        if crate::ecs::valid_name("Container.name", &container.name).is_err() {
            return Err(client("Container.name contains invalid characters."));
        }
        if container.image.trim().is_empty() {
            return Err(client("Container.image should not be null or empty."));
        }
        if !names.insert(container.name.clone()) {
            return Err(client(format!(
                "Container names must be unique: '{}' is given twice.",
                container.name
            )));
        }
        refused::check(container)?;
        for mapping in &mut container.port_mappings {
            if mapping.container_port == 0 {
                return Err(client("Container port should be between 1 and 65535."));
            }
            if mapping.host_port == 0 {
                mapping.host_port = mapping.container_port;
            }
            if mapping.host_port != mapping.container_port {
                return Err(client(
                    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
                ));
            }
            if !ports.insert((mapping.container_port, mapping.protocol)) {
                return Err(client(format!(
                    "Port mappings must be unique in a task: {} is mapped twice.",
                    mapping.container_port
                )));
            }
        }
        limits(container, size)?;
        system_controls(container)?;
        if let Some(health) = &container.health_check {
            health_check(&container.name, health)?;
        }
        if let Some(policy) = &container.restart_policy {
            policy.check(&container.name)?;
        }
        if let Some(configuration) = &container.log_configuration {
            log::check(configuration)?;
        }
        if let Some(linux) = &container.linux_parameters {
            linux_parameters(&container.name, linux)?;
        }
    }
    if !containers.iter().any(|container| container.essential) {
        return Err(client("At least one container of a task definition must be essential."));
    }
    for container in containers.iter() {
        mount_points(container, containers, volumes)?;
        dependencies(container, containers)?;
    }
    acyclic(containers)?;
    sums(containers, size)
}

/// Checks only what containers take of a task of this size.
///
/// # Errors
/// In ECS's words, naming the container.
pub(crate) fn check_sizes(containers: &[ContainerDefinition], size: Size) -> Result<(), ApiError> {
    containers.iter().try_for_each(|container| limits(container, size))?;
    sums(containers, size)
}

/// What the containers take together must be there.
fn sums(containers: &[ContainerDefinition], size: Size) -> Result<(), ApiError> {
    let cpu: u64 = containers.iter().map(|container| u64::from(container.cpu)).sum();
    if cpu > u64::from(size.cpu) {
        return Err(client(format!(
            "The containers' CPU shares, {cpu} units together, exceed the task's {} units.",
            size.cpu
        )));
    }
    let reserved = |container: &ContainerDefinition| container.memory_reservation.or(container.memory);
    let memory: u64 = containers.iter().filter_map(reserved).map(u64::from).sum();
    if memory > u64::from(size.memory) {
        return Err(client(format!(
            "The containers' memory, {memory} MiB together, exceeds the task's {} MiB.",
            size.memory
        )));
    }
    Ok(())
}

fn limits(container: &ContainerDefinition, size: Size) -> Result<(), ApiError> {
    let name = &container.name;
    for (member, memory) in
        [("memory", container.memory), ("memoryReservation", container.memory_reservation)]
    {
        // The least is Docker's own ("memory": at least 6 MiB since 20.10).
        if memory.is_some_and(|memory| memory < 6) {
            return Err(client(format!(
                "Invalid '{member}' setting for container '{name}': it must be at least 6 MiB."
            )));
        }
        if memory.is_some_and(|memory| memory > size.memory) {
            return Err(client(format!(
                "The '{member}' setting for container '{name}' is greater than for the task."
            )));
        }
    }
    if let (Some(memory), Some(reservation)) = (container.memory, container.memory_reservation)
        && memory < reservation
    {
        return Err(client(format!(
            "Invalid setting for container '{name}'. 'memory' must be greater than or equal to 'memoryReservation'."
        )));
    }
    for (member, least, timeout) in
        [("startTimeout", 2, container.start_timeout), ("stopTimeout", 0, container.stop_timeout)]
    {
        if timeout.is_some_and(|seconds| !(least..=LONGEST).contains(&seconds)) {
            return Err(client(format!(
                "Invalid '{member}' setting for container '{name}': on Fargate it must be from {least} to {LONGEST} seconds."
            )));
        }
    }
    for Ulimit { name: limit, soft_limit, hard_limit } in &container.ulimits {
        if limit != "nofile" {
            return Err(client(format!(
                "Invalid ulimit '{limit}' for container '{name}': Fargate only supports 'nofile'."
            )));
        }
        if *soft_limit < 0 || soft_limit > hard_limit || *hard_limit > OPEN_FILES {
            return Err(client(format!(
                "Invalid ulimit '{limit}' for container '{name}': the soft limit must be from 0 to the hard limit, and the \
                 hard limit at most {OPEN_FILES}."
            )));
        }
    }
    let mut variables = container.environment.iter();
    if let Some(bad) = variables.find(|pair| pair.name.is_empty() || pair.name.contains(['=', '\0'])) {
        return Err(client(format!(
            "Invalid environment variable name '{}' for container '{name}'.",
            bad.name
        )));
    }
    secrets(container)
}

fn secrets(container: &ContainerDefinition) -> Result<(), ApiError> {
    let variables: BTreeSet<&str> = container.environment.iter().map(|pair| pair.name.as_str()).collect();
    let mut names = BTreeSet::new();
    for secret in container.secrets.iter().flatten() {
        if secret.name.is_empty() || secret.name.contains(['=', '\0']) {
            return Err(client(format!(
                "Invalid secret name '{}' for container '{}'.",
                secret.name, container.name
            )));
        }
        if secret.value_from.is_empty() {
            return Err(client(format!(
                "The secret '{}' of container '{}' must have a value for 'valueFrom'.",
                secret.name, container.name
            )));
        }
        if !names.insert(&secret.name) {
            return Err(client(format!(
                "Duplicate secret names found: {}. Each secret name must be unique.",
                secret.name
            )));
        }
        if variables.contains(secret.name.as_str()) {
            return Err(client(format!(
                "The secret name must be unique and not shared with any new or existing environment variables set on the \
                 container, such as '{}'.",
                secret.name
            )));
        }
    }
    Ok(())
}

fn system_controls(container: &ContainerDefinition) -> Result<(), ApiError> {
    for control in &container.system_controls {
        let key = control.namespace.as_str();
        let parts = || key.split('.').all(|part| !part.is_empty() && !part.contains(['/', '\0']));
        let own = key.starts_with("net.") || key.starts_with("fs.mqueue.") || IPC_CONTROLS.contains(&key);
        if !own || !parts() || control.value.is_empty() || control.value.contains(['\n', '\0']) {
            return Err(client(format!(
                "Invalid system control '{key}' for container '{}': it must be one of the task's own network (net.*) or of \
                 the container's IPC namespace, with a value.",
                container.name
            )));
        }
    }
    Ok(())
}

fn health_check(container: &str, check: &HealthCheck) -> Result<(), ApiError> {
    let wrong =
        |what: &str| client(format!("Invalid 'healthCheck' setting for container '{container}': {what}."));
    let words = check.command.len();
    match check.command.first().map(String::as_str) {
        Some("NONE") if words == 1 => (),
        Some("CMD" | "CMD-SHELL") if words > 1 => (),
        _ => return Err(wrong("the command must begin with CMD or CMD-SHELL and what to run, or be NONE")),
    }
    let start_period = check.start_period.unwrap_or(0);
    for (what, value, range) in [
        ("interval must be from 5 to 300 seconds", check.interval, 5..=300),
        ("timeout must be from 2 to 60 seconds", check.timeout, 2..=60),
        ("retries must be from 1 to 10", check.retries, 1..=10),
        ("startPeriod must be from 0 to 300 seconds", start_period, 0..=300),
    ] {
        if !range.contains(&value) {
            return Err(wrong(what));
        }
    }
    Ok(())
}

fn linux_parameters(container: &str, linux: &LinuxParameters) -> Result<(), ApiError> {
    let dropped = linux.capabilities.iter().flat_map(|capabilities| &capabilities.drop).flatten();
    if let Some(unknown) = dropped.into_iter().find(|name| !CAPABILITIES.contains(&name.as_str())) {
        return Err(client(format!("Invalid capability '{unknown}' for container '{container}'.")));
    }
    for tmpfs in linux.tmpfs.iter().flatten() {
        let path = &tmpfs.container_path;
        if !is_path(path) || tmpfs.size == 0 {
            return Err(client(format!(
                "Invalid tmpfs '{path}' for container '{container}': it needs an absolute path, which is not '/' and has no '..', and a size of at least 1 MiB."
            )));
        }
        let mut options = tmpfs.mount_options.iter().flatten();
        if let Some(other) = options.find(|option| !TMPFS_OPTIONS.contains(&option.as_str())) {
            return Err(ApiError::unsupported(format_args!(
                "the mount option '{other}' of the tmpfs {path} (container '{container}')"
            )));
        }
    }
    Ok(())
}

/// Whether a path names a place of a container's other than its root.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.trim_matches('/').is_empty()
        && !path.contains('\0')
        && !path.split('/').any(|p| p == "..")
}

fn mount_points(
    container: &ContainerDefinition,
    all: &[ContainerDefinition],
    volumes: &BTreeSet<&str>,
) -> Result<(), ApiError> {
    let name = &container.name;
    let mut paths = BTreeSet::new();
    let tmpfs = container.linux_parameters.iter().flat_map(|linux| &linux.tmpfs).flatten();
    paths.extend(tmpfs.map(|tmpfs| tmpfs.container_path.trim_end_matches('/')));
    for mount in &container.mount_points {
        if !volumes.contains(mount.source_volume.as_str()) {
            return Err(client(format!("Unknown volume '{}'.", mount.source_volume)));
        }
        let path = mount.container_path.as_str();
        if !is_path(path) {
            return Err(client(format!(
                "Invalid 'containerPath' '{path}' of a mount point of container '{name}': it must be absolute, without '..', \
                 and not the root directory '/'."
            )));
        }
        if !paths.insert(path.trim_end_matches('/')) {
            return Err(client(format!("Duplicate mount point '{path}' of container '{name}'.")));
        }
    }
    for from in &container.volumes_from {
        let other = &from.source_container;
        if other == name || !all.iter().any(|container| container.name == *other) {
            return Err(client(format!("Invalid 'volumesFrom' setting: unknown container '{other}'.")));
        }
    }
    Ok(())
}

fn dependencies(container: &ContainerDefinition, all: &[ContainerDefinition]) -> Result<(), ApiError> {
    for dependency in &container.depends_on {
        let name = &dependency.container_name;
        let Some(other) = all.iter().find(|other| other.name == *name) else {
            return Err(client(format!("Cannot depend on container + '{name}' because it does not exist")));
        };
        let checked = other
            .health_check
            .as_ref()
            .is_some_and(|check| check.command.first().is_some_and(|c| c != "NONE"));
        match dependency.condition {
            DependencyCondition::Complete | DependencyCondition::Success if other.essential => {
                return Err(client(
                    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
                ));
            }
            DependencyCondition::Healthy if !checked => {
                return Err(client(
                    "A dependency container with HEALTHY condition must have health check configured",
                ));
            }
            _ => (),
        }
    }
    Ok(())
}

/// A container may not wait for itself, on whatever way round. Volumes are had from containers that are there before,
/// so that `volumesFrom` leads no other way.
fn acyclic(containers: &[ContainerDefinition]) -> Result<(), ApiError> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = containers
        .iter()
        .map(|container| {
            let awaited = container.depends_on.iter().map(|dependency| dependency.container_name.as_str());
            let seen = container.volumes_from.iter().map(|from| from.source_container.as_str());
            (container.name.as_str(), awaited.chain(seen).collect())
        })
        .collect();
    while !waits.is_empty() {
        let free: Vec<&str> =
            waits.iter().filter(|(_, awaited)| awaited.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            return Err(client("Container dependencies should not have a cycle"));
        }
        for name in free {
            waits.remove(name);
            waits.values_mut().for_each(|awaited| {
                awaited.remove(name);
            });
        }
    }
    Ok(())
}
