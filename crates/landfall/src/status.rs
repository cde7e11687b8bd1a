//! What runs: asked over a Unix socket of `serve`, shown as a table or JSON.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use control::ecs::service::Service;
use control::ecs::task::{LastStatus, Task};
use control::elbv2::listener::Listener;
use control::elbv2::load_balancer::LoadBalancer;
use control::elbv2::target_group::TargetGroup;
use control::{Auth, Machine, Settings};
use desired::{Frames, HealthState};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Store};

use crate::explain::{self, Answer, Ask};
use crate::flows::owner::{self, Owner};
use crate::internet;
use crate::losses;
use crate::serve::calls::{Calls, Counted};

/// How many stopped tasks the table shows; JSON has all.
const STOPPED_SHOWN: usize = 3;

/// Everything that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Landfall's version.
    pub version: String,
    /// Where the API answers.
    pub listen: SocketAddr,
    /// Where load balancers are reached on this host.
    pub host_address: Ipv4Addr,
    /// Whether signatures are verified.
    pub verify: bool,
    /// How often the platform measures itself, in seconds.
    #[serde(default = "crate::background::minute")]
    pub metric_period: u32,
    /// Whether what leaves a VPC through an internet gateway goes on to the real network.
    pub internet: bool,
    /// The account.
    pub account: String,
    /// The process that answers.
    pub pid: u32,
    /// ECS services.
    pub services: Vec<ServiceStatus>,
    /// Tasks that are not stopped.
    pub tasks: Vec<TaskStatus>,
    /// Tasks that stopped within the last hour, the latest first.
    pub stopped: Vec<StoppedTask>,
    /// Load balancers.
    pub load_balancers: Vec<BalancerStatus>,
    /// The API's calls since `serve` began.
    pub calls: Counted,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its cluster.
    pub cluster: String,
    /// Its region.
    pub region: String,
    /// How many tasks it shall have.
    pub desired: u32,
    /// How many run.
    pub running: usize,
    /// Its last event.
    pub event: String,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Its id.
    pub id: String,
    /// Its cluster's ARN.
    #[serde(default)]
    pub cluster_arn: String,
    /// Its service or family.
    pub group: String,
    /// Its last status.
    pub status: String,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`, by its containers' own checks.
    #[serde(default)]
    pub health: String,
    /// Its CPU limit in units of 1/1024 of a core.
    #[serde(default)]
    pub cpu: u32,
    /// Its memory limit in MiB.
    #[serde(default)]
    pub memory: u32,
    /// When it was made, in seconds since 1970, as ECS's documents have it.
    #[serde(default)]
    pub created_at: f64,
    /// Its network interface.
    #[serde(default)]
    pub interface: String,
    /// Its address.
    pub address: String,
    /// Its zone.
    pub zone: String,
}

/// A task that has stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoppedTask {
    /// Its id.
    pub id: String,
    /// Its service or family.
    pub group: String,
    /// When it stopped.
    pub at: String,
    /// Why, in ECS's words.
    pub reason: String,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalancerStatus {
    /// Its name.
    pub name: String,
    /// Where it is reached: a URL a listener.
    pub urls: Vec<String>,
    /// Whether its nodes work.
    pub active: bool,
    /// Its targets.
    pub targets: Vec<TargetStatus>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its address and port.
    pub target: String,
    /// `healthy`, `unhealthy`, `initial`, `draining`.
    pub health: String,
    /// Why it is not healthy.
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Question {
    Status,
    Explain(Ask),
    Owners,
    Stop,
    Internet(internet::Question),
}

fn socket(state: &Path) -> PathBuf {
    state.join("serve/status.sock")
}

/// Asks `serve`. None: it does not answer.
pub fn ask(state: &Path) -> Option<Status> {
    question(state, &Question::Status)
}

/// Asks `serve` why something does not answer. None: it does not answer itself.
pub fn explain(state: &Path, ask: &Ask) -> Option<Answer> {
    question(state, &Question::Explain(ask.clone()))
}

/// Asks `serve` what the network interfaces belong to. None: it does not answer.
pub fn owners(state: &Path) -> Option<Vec<Owner>> {
    question(state, &Question::Owners)
}

/// Why nobody answers, and what to do about it.
pub fn silence(state: &Path) -> String {
    match std::fs::metadata(socket(state)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("{} cannot be read: run it as root, with sudo", state.display())
        }
        _ => format!("Landfall does not run in {}: `landfall up` starts it", state.display()),
    }
}

/// Tells `serve` to end, if it runs.
pub fn stop(state: &Path) {
    let _: Option<bool> = question(state, &Question::Stop);
}

/// Asks `serve` about the internet. None: it does not answer.
pub fn ask_internet(state: &Path, asked: internet::Question) -> Option<internet::Answer> {
    question(state, &Question::Internet(asked))
}

fn question<T: serde::de::DeserializeOwned>(state: &Path, question: &Question) -> Option<T> {
    let stream = UnixStream::connect(socket(state)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut frames = Frames::new(stream);
    frames.send(question).ok()?;
    frames.receive().ok()
}

/// Answers the socket until the process ends. The receiver hears when `down` tells `serve` to end.
///
/// # Errors
/// When the socket cannot be made.
pub fn answer(
    state: &Path,
    store: Arc<Store>,
    settings: Arc<Settings>,
    machine: Arc<Machine>,
    calls: Arc<Calls>,
) -> std::io::Result<Receiver<()>> {
    let path = socket(state);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(&path)?;
    // The folder is its owner's alone already.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let (stop, told) = channel();
    let state = state.to_owned();
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut frames = Frames::new(stream);
            // Who asks wrongly gets no answer.
            let _ = match frames.receive() {
                Ok(Question::Status) => {
                    let mut status = gather(&store.snapshot(), &settings, &machine);
                    status.calls = calls.counted();
                    status.problems.extend(troubles(&state));
                    frames.send(&status)
                }
                Ok(Question::Explain(ask)) => {
                    let agent = agent::Client::new(&state);
                    let examine = || explain::examine(&store.snapshot(), &settings, &machine, &agent, &ask);
                    // A mistake in the analysis must not take the status away.
                    let answer = catch_unwind(AssertUnwindSafe(examine)).unwrap_or_else(|_| {
                        Answer::Refused("explaining it failed inside Landfall: see serve's log".to_owned())
                    });
                    frames.send(&answer)
                }
                Ok(Question::Internet(question)) => {
                    frames.send(&internet::answer(&store, &machine, question))
                }
                Ok(Question::Owners) => frames.send(&owner::gather(&store.snapshot())),
                Ok(Question::Stop) => frames.send(&stop.send(()).is_ok()),
                Err(_) => Ok(()),
            };
        }
    };
    std::thread::Builder::new().name("status".to_owned()).spawn(serve)?;
    Ok(told)
}

/// With less room than this in the state folder, calls that change something begin to fail.
const NO_ROOM: u64 = 8 << 20;

/// What keeps the machine from becoming what the rows say.
fn troubles(state: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let dir = crate::background::agent_dir(state);
    if UnixStream::connect(dir.socket()).is_err() {
        let log = dir.log();
        found.push(format!("the agent does not answer; it is started again, see {}", log.display()));
    }
    if let Ok(stat) = nix::sys::statvfs::statvfs(state) {
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        if free < NO_ROOM {
            found.push(format!(
                "the disk is full: {} KiB free in {}; calls fail and tasks do not start until there is room",
                free >> 10,
                state.display()
            ));
        }
    }
    found
}

/// What the rows and the machine's reports say.
pub fn gather(rows: &Snapshot, settings: &Settings, machine: &Machine) -> Status {
    let tasks: Vec<Arc<Task>> =
        rows.scan::<Task>("").filter(|task| task.last_status != LastStatus::Stopped).collect();
    let mut ended: Vec<Arc<Task>> =
        rows.scan::<Task>("").filter(|task| task.last_status == LastStatus::Stopped).collect();
    ended.sort_by_key(|task| std::cmp::Reverse(task.stopped_at));
    let stopped = |task: &Arc<Task>| StoppedTask {
        id: task.id.to_string(),
        group: task.group.clone(),
        at: task.stopped_at.map(types::Timestamp::iso).unwrap_or_default(),
        reason: task.stopped_reason.clone().unwrap_or_default(),
    };
    let running = |service: &Service| {
        let of = |task: &&Arc<Task>| {
            task.service.as_deref() == Some(&service.name)
                && (&task.cluster, &task.region, &task.account)
                    == (&service.cluster, &service.region, &service.account)
                && task.last_status == LastStatus::Running
        };
        tasks.iter().filter(of).count()
    };
    let services = rows
        .scan::<Service>("")
        .filter(|service| service.is_active() || service.is_draining())
        .map(|service| ServiceStatus {
            name: service.name.clone(),
            cluster: service.cluster.clone(),
            region: service.region.to_string(),
            desired: service.desired_count,
            running: running(&service),
            event: service
                .events
                .iter()
                .max_by_key(|event| event.at)
                .map_or_else(String::new, |e| e.message.clone()),
        })
        .collect();
    let balancer = |row: Arc<LoadBalancer>| {
        let listeners: Vec<Arc<Listener>> = rows
            .scan::<Listener>(&row.scope)
            .filter(|listener| listener.load_balancer_arn == row.arn)
            .collect();
        let url = |listener: &Arc<Listener>| match listener.port {
            80 => format!("http://{}", row.dns_name),
            port => format!("http://{}:{port}", row.dns_name),
        };
        let mut targets = Vec::new();
        for group in
            rows.scan::<TargetGroup>(&row.scope).filter(|group| group.load_balancer_arns.contains(&row.arn))
        {
            for target in &group.targets {
                let report = machine.target(&row.id, &group.arn, target.address, target.port);
                let (health, reason) = match report.map(|report| report.health) {
                    None | Some(HealthState::Initial) => ("initial", String::new()),
                    Some(HealthState::Healthy) => ("healthy", String::new()),
                    Some(HealthState::Unhealthy { description, .. }) => ("unhealthy", description),
                    Some(HealthState::Draining | HealthState::Drained) => ("draining", String::new()),
                };
                targets.push(TargetStatus {
                    target: format!("{}:{}", target.address, target.port),
                    health: health.to_owned(),
                    reason,
                });
            }
        }
        BalancerStatus {
            name: row.name.clone(),
            urls: listeners.iter().map(url).collect(),
            active: row.active,
            targets,
        }
    };
    let reports = machine.reports().clone();
    let mut problems: Vec<String> = Vec::new();
    problems
        .extend(reports.vpcs.values().filter_map(|vpc| Some(format!("{}: {}", vpc.vpc, vpc.error.clone()?))));
    problems.extend(
        reports
            .load_balancers
            .values()
            .filter_map(|lb| Some(format!("lb {}: {}", lb.load_balancer, lb.error.clone()?))),
    );
    if let Some(edge) = &reports.edge {
        problems.extend(edge.error.clone());
        problems.extend(edge.listeners.iter().filter_map(|listener| listener.error.clone()));
    }
    for (task, status) in &reports.tasks {
        for (name, container) in &status.containers {
            problems
                .extend(losses::of(container).map(|lost| format!("task {task}, container {name}: {lost}")));
        }
    }
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listen: settings.listen,
        host_address: settings.host_address,
        verify: settings.auth == Auth::Verify,
        metric_period: settings.metric_period,
        internet: control::internet::is_on(rows),
        account: settings.account.to_string(),
        pid: std::process::id(),
        services,
        tasks: tasks
            .iter()
            .map(|task| TaskStatus {
                id: task.id.to_string(),
                cluster_arn: task.cluster_arn(),
                group: task.group.clone(),
                status: format!("{:?}", task.last_status).to_uppercase(),
                health: format!("{:?}", task.health()).to_uppercase(),
                cpu: task.cpu,
                memory: task.memory,
                created_at: task.created_at.epoch_seconds(),
                interface: task.interface.id.to_string(),
                address: task.interface.address.to_string(),
                zone: task.availability_zone.clone(),
            })
            .collect(),
        stopped: ended.iter().map(stopped).collect(),
        load_balancers: rows.scan::<LoadBalancer>("").map(balancer).collect(),
        calls: Counted::default(),
        problems,
    }
}

/// The status as a person reads it.
pub fn table(status: &Status) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("landfall {} on http://{}, account {}", status.version, status.listen, status.account));
    if status.internet {
        line(format_args!("the internet is on: what leaves a VPC goes on to the real network"));
    }
    line(format_args!(""));
    if status.services.is_empty() {
        line(format_args!("no services"));
    }
    for service in &status.services {
        line(format_args!(
            "service  {} ({}, {}): {} of {} running",
            service.name, service.cluster, service.region, service.running, service.desired
        ));
        if !service.event.is_empty() {
            line(format_args!("         {}", service.event));
        }
    }
    for task in &status.tasks {
        line(format_args!(
            "task     {}  {:<14}  {:<15}  {}  {}",
            task.id, task.status, task.address, task.zone, task.group
        ));
    }
    for task in status.stopped.iter().take(STOPPED_SHOWN) {
        line(format_args!("stopped  {}  {}  {}", task.id, task.group, task.reason));
    }
    for balancer in &status.load_balancers {
        let state = if balancer.active { "active" } else { "provisioning" };
        line(format_args!("lb       {} ({state})  {}", balancer.name, balancer.urls.join("  ")));
        for target in &balancer.targets {
            line(format_args!("         → {}  {}  {}", target.target, target.health, target.reason));
        }
    }
    for problem in &status.problems {
        line(format_args!("problem  {problem}"));
    }
    out
}
