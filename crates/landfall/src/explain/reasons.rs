//! Why a load balancer, a service or a task does not answer: everything on the way, in the order in which a request
//! meets it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use control::ec2::interface::NetworkInterface;
use control::ecs::service::Service;
use control::ecs::task::{LastStatus, StopCode, Task};
use control::elbv2::action::Action;
use control::elbv2::listener::Listener;
use control::elbv2::load_balancer::LoadBalancer;
use control::elbv2::target_group::{self, TargetGroup};
use desired::{HealthReason, HealthState, TargetLifecycle};
use reachability::End as PathEnd;

use super::ends::End;
use super::explanation::{Finding, Level, Path, Protocol};
use super::pairs::{self, Destination, Source};
use super::world::{World, task_name};

/// What was found, in order.
#[derive(Debug, Default)]
pub struct Reasons {
    /// Beside packets.
    pub findings: Vec<Finding>,
    /// Packets.
    pub paths: Vec<Path>,
}

impl Reasons {
    fn find(&mut self, level: Level, about: impl Into<String>, text: impl Into<String>) {
        self.findings.push(Finding { level, about: about.into(), text: text.into(), remedy: None });
    }

    fn blocks(&mut self, about: impl Into<String>, text: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.findings.push(Finding { level: Level::Blocks, about: about.into(), text: text.into(), remedy });
    }

    /// Paths whose ports are known.
    fn walk(&mut self, world: &mut World<'_>, source: &Source, destination: &Destination) {
        if let Ok(paths) = pairs::paths(world, source, destination, None, Protocol::Tcp) {
            self.paths.extend(paths);
        }
    }
}

/// Why a load balancer does not answer: on all of its listeners, or on those that forward to one target group.
pub fn of_load_balancer(
    world: &mut World<'_>,
    balancer: &Arc<LoadBalancer>,
    only: Option<&TargetGroup>,
    reasons: &mut Reasons,
) {
    let name = format!("lb/{}", balancer.name);
    let report = world.machine.reports().load_balancers.get(&balancer.id).cloned();
    match report.as_ref().and_then(|report| report.error.clone()) {
        Some(error) => reasons.blocks(
            &balancer.arn,
            format!("{name}: {error}"),
            "`landfall status` shows when it is mended.",
        ),
        None if !balancer.active => reasons.find(Level::Note, &balancer.arn, format!("{name} is being made")),
        None => reasons.find(Level::Ok, &balancer.arn, format!("{name} is active: {}", balancer.dns_name)),
    }
    let mut listeners = pairs::listeners(world, balancer);
    if let Some(group) = only {
        listeners.retain(|listener| {
            matches!(&listener.action, Action::Forward { target_group, .. } if *target_group == group.arn)
        });
    }
    if listeners.is_empty() {
        let remedy = format!("Add an aws_lb_listener to {name}.");
        return reasons.blocks(&balancer.arn, format!("{name} has no listener"), remedy);
    }
    if balancer.internal {
        let text = format!(
            "{name} is internal: it is reached from its VPC; ask from there, `landfall explain <task> {name}`"
        );
        reasons.find(Level::Note, &balancer.arn, text);
    } else {
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.port).collect();
        host_ports(world, &ports, reasons);
        let source = pairs::from_internet();
        for node in pairs::to_balancer(world, &source, balancer) {
            reasons.walk(world, &source, &Destination { ports: ports.clone(), ..node });
        }
    }
    for listener in listeners {
        of_listener(world, balancer, &listener, reasons);
    }
}

/// The host's own ports, by which load balancers are reached from outside.
fn host_ports(world: &World<'_>, ports: &[u16], reasons: &mut Reasons) {
    let edge = world.machine.reports().edge.clone();
    let listeners = edge.map(|edge| edge.listeners).unwrap_or_default();
    for port in ports {
        match listeners.iter().find(|listener| listener.port == *port) {
            Some(listener) => match &listener.error {
                Some(error) => reasons.blocks(
                    "host",
                    format!("the host's port {port}: {error}"),
                    format!("Free port {port} of this machine."),
                ),
                None => reasons.find(Level::Ok, "host", format!("the host listens on port {port}")),
            },
            None => reasons.find(Level::Note, "host", format!("the host's port {port} is not open yet")),
        }
    }
}

fn of_listener(
    world: &mut World<'_>,
    balancer: &Arc<LoadBalancer>,
    listener: &Listener,
    reasons: &mut Reasons,
) {
    let port = listener.port;
    let group = match &listener.action {
        Action::FixedResponse { status, .. } => {
            let text = format!("listener {port} answers by itself with {status}");
            return reasons.find(Level::Ok, &listener.arn, text);
        }
        Action::Forward { target_group, .. } => target_group,
    };
    let Some(group) = target_group::get(world.rows, group) else {
        let remedy = "Give the listener another default action.".to_owned();
        return reasons.blocks(
            &listener.arn,
            format!("listener {port} forwards to a target group that is gone"),
            remedy,
        );
    };
    let text = format!("listener {port} forwards to target group {}", group.name);
    reasons.find(Level::Ok, &listener.arn, text);
    let registered: Vec<_> = group
        .targets
        .iter()
        .filter(|target| target.lifecycle == TargetLifecycle::Registered)
        .cloned()
        .collect();
    if registered.is_empty() {
        let services = services_of(world, &group);
        let remedy = match services.first() {
            Some(service) => format!("See why service/{} has no running task, below.", service.name),
            None => format!(
                "Name the target group in an aws_ecs_service (load_balancer), or register a target with it ({}).",
                group.name
            ),
        };
        reasons.blocks(
            &group.arn,
            format!("target group {} has no registered target: requests get 503", group.name),
            remedy,
        );
        for service in services {
            of_tasks(world, &service, reasons);
        }
        return;
    }
    let healths: Vec<_> = registered
        .iter()
        .map(|target| world.machine.target(&balancer.id, &group.arn, target.address, target.port))
        .map(|report| report.map_or(HealthState::Initial, |report| report.health))
        .collect();
    let any_healthy = healths.contains(&HealthState::Healthy);
    for (target, health) in registered.iter().zip(&healths) {
        of_target(world, balancer, &group, (target.address, target.port), health, any_healthy, reasons);
    }
}

fn of_target(
    world: &mut World<'_>,
    balancer: &Arc<LoadBalancer>,
    group: &TargetGroup,
    (address, port): (Ipv4Addr, u16),
    health: &HealthState,
    any_healthy: bool,
    reasons: &mut Reasons,
) {
    let row = holder(world, &group.vpc_id, address);
    let name = row.as_ref().map_or_else(|| address.to_string(), |row| holder_name(world, row));
    let target = format!("target {address}:{port} ({name})");
    if let Some(row) = &row {
        listens(world, row, port, reasons);
    }
    match health {
        HealthState::Healthy => reasons.find(Level::Ok, &group.arn, format!("{target} is healthy")),
        HealthState::Initial => {
            let text = format!("{target} is not checked yet; the first check takes some seconds");
            reasons.find(Level::Note, &group.arn, text);
        }
        HealthState::Draining | HealthState::Drained => {
            reasons.find(Level::Note, &group.arn, format!("{target} drains"));
        }
        HealthState::Unhealthy { reason, description } => {
            let code = serde_json::to_value(reason).ok().and_then(|code| code.as_str().map(str::to_owned));
            let check = &group.health_check;
            let remedy = match reason {
                HealthReason::ResponseCodeMismatch => format!(
                    "Have GET {} answer with {}, or change health_check of target group {}.",
                    check.path, check.matcher, group.name
                ),
                HealthReason::Timeout | HealthReason::FailedHealthChecks => format!(
                    "It is checked every {} seconds and takes {} good answers to be healthy again; if it stays so, see what \
                     its program says: `landfall logs`.",
                    check.interval, check.healthy_threshold
                ),
            };
            reasons.findings.push(Finding {
                // With another one healthy, requests are answered all the same.
                level: if any_healthy { Level::Note } else { Level::Blocks },
                about: group.arn.clone(),
                text: format!("{target} is unhealthy: {} ({description})", code.unwrap_or_default()),
                remedy: Some(remedy),
            });
        }
    }
    if let Some(row) = &row {
        let destination = Destination {
            end: PathEnd::Interface(row.id.clone()),
            name: name.clone(),
            ports: ports(group, port),
            protocol: None,
        };
        for node in pairs::sources(world, &End::LoadBalancer(balancer.clone())).unwrap_or_default() {
            reasons.walk(world, &node, &destination);
        }
    } else {
        let remedy = format!("Deregister {address} from {}, or register an address of the VPC.", group.name);
        reasons.blocks(&group.arn, format!("{target}: nobody in {} has this address", group.vpc_id), remedy);
    }
}

/// The port of requests, and that of health checks where it is another.
fn ports(group: &TargetGroup, port: u16) -> Vec<u16> {
    let check = group.health_check.port.parse::<u16>().ok().filter(|check| *check != port);
    [Some(port), check].into_iter().flatten().collect()
}

/// The interface of a VPC that has a private address.
fn holder(world: &World<'_>, vpc: &str, address: Ipv4Addr) -> Option<Arc<NetworkInterface>> {
    let is = |one: &Arc<NetworkInterface>| one.private_address == address && one.vpc_id.as_str() == vpc;
    world.rows.scan::<NetworkInterface>("").find(is)
}

fn holder_name(world: &World<'_>, row: &NetworkInterface) -> String {
    let task = world.rows.scan::<Task>("").find(|task| task.interface.id == row.id);
    task.map_or_else(|| row.id.to_string(), |task| task_name(&task))
}

/// Whether a program in an interface's namespace listens on a port.
fn listens(world: &World<'_>, row: &NetworkInterface, port: u16, reasons: &mut Reasons) {
    // Without the agent nobody knows; `landfall status` says that.
    let Ok(Some(all)) = world.agent.listening(&row.id) else { return };
    let tcp: Vec<_> = all.iter().filter(|one| one.protocol == 6).collect();
    let name = holder_name(world, row);
    if tcp.iter().any(|one| one.takes(row.private_address, port)) {
        return reasons.find(Level::Ok, row.id.as_str(), format!("{name} listens on port {port}"));
    }
    let elsewhere = tcp.iter().find(|one| one.port == port);
    let (text, remedy) = match elsewhere {
        Some(one) => (
            format!("{name} listens on {}:{port} alone, which nobody outside of it can reach", one.address),
            "Have the program listen on 0.0.0.0.".to_owned(),
        ),
        None if tcp.is_empty() => (
            format!("nothing listens in {name}: its program has not begun to, or serves nothing"),
            "See what it says: `landfall logs`.".to_owned(),
        ),
        None => {
            let mut others: Vec<String> = tcp.iter().map(|one| one.port.to_string()).collect();
            others.dedup();
            (
                format!("nothing listens on port {port} in {name}; it listens on {}", others.join(", ")),
                format!(
                    "Use container port {} in the task definition and the target group, or have the program listen on {port}.",
                    others.join(" or ")
                ),
            )
        }
    };
    reasons.blocks(row.id.as_str(), text, remedy);
}

/// The services whose tasks join a target group.
fn services_of(world: &World<'_>, group: &TargetGroup) -> Vec<Arc<Service>> {
    let names = |service: &Arc<Service>| {
        service.is_active()
            && service.deployments.iter().any(|deployment| {
                deployment.load_balancers.iter().any(|one| one.target_group_arn == group.arn)
            })
    };
    world.rows.scan::<Service>("").filter(names).collect()
}

/// Why a service does not answer: its tasks, then its load balancers.
pub fn of_service(world: &mut World<'_>, service: &Arc<Service>, reasons: &mut Reasons) {
    of_tasks(world, service, reasons);
    let groups: Vec<String> = service
        .primary()
        .iter()
        .flat_map(|deployment| &deployment.load_balancers)
        .map(|one| one.target_group_arn.clone())
        .collect();
    let running = pairs::tasks(world, service).iter().any(|task| task.last_status == LastStatus::Running);
    for arn in groups {
        let Some(group) = target_group::get(world.rows, &arn) else {
            reasons.blocks(
                &arn,
                format!("the service's target group is gone: {arn}"),
                "Make it again with Terraform.",
            );
            continue;
        };
        let balancers: Vec<Arc<LoadBalancer>> = world
            .rows
            .scan::<LoadBalancer>("")
            .filter(|balancer| group.load_balancer_arns.contains(&balancer.arn))
            .collect();
        if balancers.is_empty() {
            let remedy = format!("Add an aws_lb_listener that forwards to {}.", group.name);
            reasons.blocks(&arn, format!("no listener forwards to target group {}", group.name), remedy);
        }
        // Without a task a load balancer has nothing to send to, which was said already.
        for balancer in balancers.iter().filter(|_| running) {
            of_load_balancer(world, balancer, Some(&group), reasons);
        }
    }
}

/// How a service's tasks are, and if they do not start, whether they reach their image.
fn of_tasks(world: &mut World<'_>, service: &Arc<Service>, reasons: &mut Reasons) {
    let (name, arn) = (format!("service/{}", service.name), service.arn());
    let there = pairs::tasks(world, service);
    let running = there.iter().filter(|task| task.last_status == LastStatus::Running).count();
    let wanted = service.desired_count as usize;
    if wanted == 0 {
        let remedy = format!("Set desired_count of {name} to 1 or more.");
        return reasons.blocks(&arn, format!("{name} shall have no task: its desired count is 0"), remedy);
    }
    let level = if running == 0 {
        Level::Blocks
    } else if running < wanted {
        Level::Note
    } else {
        Level::Ok
    };
    reasons.find(level, &arn, format!("{name} runs {running} of {wanted} tasks"));
    let failed = last_failure(world, service);
    if running >= wanted {
        // The old tasks answer while those of a new deployment fail.
        let fails = service.primary().filter(|deployment| deployment.failed_tasks > 0).zip(failed);
        if let Some((deployment, task)) = fails {
            let (id, count) = (&deployment.id, deployment.failed_tasks);
            let reason = task.stopped_reason.clone().unwrap_or_default();
            let text = format!("deployment {id} has failed {count} times; {}: {reason}", task_name(&task));
            reasons.find(Level::Note, &arn, text);
        }
        return;
    }
    if let Some(task) = &failed {
        let reason = task.stopped_reason.clone().unwrap_or_default();
        reasons.find(Level::Note, task.arn(), format!("{} stopped: {reason}", task_name(task)));
    }
    if let Some(retry) = service.failures.retry_at.filter(|at| *at > types::Timestamp::now()) {
        reasons.find(Level::Note, &arn, format!("{name} starts the next task at {}", retry.iso()));
    }
    let waits = there.iter().any(|task| task.last_status < LastStatus::Activating);
    let pull = failed.is_none_or(|task| is_about_pulling(task.stopped_reason.as_deref().unwrap_or_default()));
    if running == 0 && (pull || waits) {
        image_path(world, &End::Service(service.clone()), reasons);
    }
}

/// The latest task of a service that stopped without being told to.
fn last_failure(world: &World<'_>, service: &Service) -> Option<Arc<Task>> {
    world
        .rows
        .scan::<Task>("")
        .filter(|task| {
            task.service.as_deref() == Some(&service.name)
                && task.cluster == service.cluster
                && task.region == service.region
                && task.last_status == LastStatus::Stopped
                && matches!(
                    task.stop_code,
                    Some(StopCode::TaskFailedToStart | StopCode::EssentialContainerExited)
                )
        })
        .max_by_key(|task| task.stopped_at)
}

fn is_about_pulling(reason: &str) -> bool {
    ["CannotPullContainerError", "ResourceInitializationError"].iter().any(|kind| reason.contains(kind))
}

/// The paths of an image pull.
fn image_path(world: &mut World<'_>, end: &End, reasons: &mut Reasons) {
    let sources = match pairs::sources(world, end) {
        Ok(sources) => sources,
        Err(why) => return reasons.find(Level::Note, "", why),
    };
    // One task stands for all: they have the same groups.
    for source in sources.into_iter().take(1) {
        if let Ok((destinations, findings)) = pairs::destinations(world, &source, &End::Ecr) {
            reasons.findings.extend(findings);
            for destination in destinations {
                reasons.walk(world, &source, &destination);
            }
        }
    }
}

/// Why a task does not answer.
pub fn of_task(world: &mut World<'_>, task: &Arc<Task>, reasons: &mut Reasons) {
    let (name, arn) = (task_name(task), task.arn());
    let status = format!("{:?}", task.last_status).to_uppercase();
    if task.last_status == LastStatus::Stopped {
        let reason = task.stopped_reason.clone().unwrap_or_default();
        return reasons.blocks(
            &arn,
            format!("{name} has stopped: {reason}"),
            "Start another, or ask for its service.",
        );
    }
    let runs = task.last_status == LastStatus::Running;
    let level = if runs { Level::Ok } else { Level::Note };
    reasons.find(level, &arn, format!("{name} is {status} at {}", task.interface.address));
    if !runs {
        image_path(world, &End::Task(task.clone()), reasons);
    }
    let targets: Vec<_> = task.targets.iter().map(|target| (target.group.clone(), target.port)).collect();
    for (arn, port) in targets {
        let Some(group) = target_group::get(world.rows, &arn) else { continue };
        let balancers: Vec<Arc<LoadBalancer>> = world
            .rows
            .scan::<LoadBalancer>("")
            .filter(|balancer| group.load_balancer_arns.contains(&balancer.arn))
            .collect();
        for balancer in balancers {
            let at = (task.interface.address, port);
            let report = world.machine.target(&balancer.id, &group.arn, at.0, at.1);
            let health = report.map_or(HealthState::Initial, |report| report.health);
            of_target(world, &balancer, &group, at, &health, false, reasons);
        }
    }
}
