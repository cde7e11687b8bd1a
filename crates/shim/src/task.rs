//! One task's life: pulling, starting, running, stopping, stopped.

use std::collections::BTreeMap;
use std::io::{PipeReader, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use desired::role::{News, RoleDir, answer};
use desired::{Body, Container, Observation, Part, Task, TaskPhase, TaskStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sys::process::{Ended, SealedSelf};
use types::{Timestamp, random_hex};

use crate::events::{Events, Woken};
use crate::helper::{CREATE, Helper, PULL, Report};
use crate::logs::{self, Log, Stream};
use crate::pull::{self, Pulled};
use crate::{Error, Result, clean, create, record, resources};

/// How long a container may take from its helper's start to its own program.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long the last output of an ended container is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// How long a shim whose task is over still answers, so that the one who waits for news gets them.
const LINGER: Duration = Duration::from_millis(500);

/// Plays a task's shim in the folder `STATE/tasks/<task id>` until the task is over. A task is started once: with an
/// exit record in the folder, or the traces of a shim that died, this only tells the end and cleans up.
///
/// Children are tied to the calling thread's life: call it on the main thread.
///
/// # Errors
/// When another shim has the folder, the folder is no task's, or the machine fails. A task that fails is no error.
pub fn run(dir: &Path, state: &Path) -> Result<()> {
    let role = RoleDir::new(dir);
    let _lock = role.lock()?;
    let part = role.read_config()?;
    let Some(Body::Task(task)) = part.body else { return Err(Error::NotATask(dir.to_owned())) };
    // Before the first thread, which inherits what signals are blocked.
    let (mut events, bell) = Events::new().map_err(Error::file(dir))?;
    sys::process::become_subreaper()?;
    let news = News::default();
    let (id, apply_bell) = (part.id, bell.clone());
    let apply = move |part: Part| match part.body {
        _ if part.id != id => Err(format!("this is the shim of {id}, not of {}", part.id)),
        Some(Body::Task(task)) if !task.stop => Ok(()),
        _ => {
            apply_bell.ring();
            Ok(())
        }
    };
    answer(&role, news.clone(), apply, move || bell.ring())?;

    let began_before =
        record::exit_record(dir)?.is_some() || record::last_status(dir).map_or(true, |s| s.is_some());
    let ended = if began_before {
        clean::finish(&role, dir, state)
    } else {
        let status = record::fresh(&task);
        let (running, early) = (BTreeMap::new(), BTreeMap::new());
        let stop = task.stop;
        let mut shim =
            Shim { dir, state, task, news: news.clone(), status, events: &mut events, running, early, stop };
        shim.live()
    };
    let status = ended?;
    news.publish(Observation::Task(status));
    let deadline = Instant::now() + LINGER;
    while Instant::now() < deadline && !events.wait(&[], Some(deadline)).map_err(Error::file(dir))?.stop {}
    let _ = std::fs::remove_file(role.socket());
    Ok(())
}

/// Says something to whoever reads the role's log.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{} {message}", Timestamp::now().iso());
}

struct Shim<'a> {
    dir: &'a Path,
    state: &'a Path,
    task: Task,
    news: News,
    status: TaskStatus,
    events: &'a mut Events,
    /// The containers whose first process lives, by name.
    running: BTreeMap<String, Running>,
    /// Children that ended before it was known who they are.
    early: BTreeMap<Pid, i32>,
    /// Whether the task shall end.
    stop: bool,
}

struct Running {
    pid: Pid,
    essential: bool,
    stop_signal: Signal,
    stop_timeout: Duration,
    /// When SIGKILL is due, once the stop signal was sent.
    kill_at: Option<Instant>,
    /// Closed when both streams have ended.
    output: Receiver<()>,
}

/// Why a task does not run.
enum Halt {
    /// It was told to stop.
    Stopped,
    /// It failed, in the words of ECS.
    Failed(String),
}

impl Shim<'_> {
    /// The whole life; the status it ends with is on disk, and all but the logs is gone.
    fn live(&mut self) -> Result<TaskStatus> {
        self.publish();
        if let Err(Halt::Failed(why)) = self.begin() {
            complain(&why);
            self.status.execution_stopped_at.get_or_insert(Timestamp::now());
            self.status.error = Some(why);
            self.stop = true;
        }
        self.watch()?;
        resources::kill(self.state, self.task.id.as_str())?;
        self.status.phase = TaskPhase::Stopped;
        record::write_exit(self.dir, &self.status)?;
        resources::remove(self.dir, self.state, self.task.id.as_str())?;
        Ok(self.status.clone())
    }

    fn publish(&self) {
        if let Err(error) = record::write_status(self.dir, &self.status) {
            complain(&error.to_string());
        }
        self.news.publish(Observation::Task(self.status.clone()));
    }

    fn begin(&mut self) -> std::result::Result<(), Halt> {
        if self.stop {
            return Err(Halt::Stopped);
        }
        let program = SealedSelf::copy().map_err(|error| Halt::Failed(format!("InternalError: {error}")))?;
        let images = self.pull(&program)?;
        self.status.phase = TaskPhase::Starting;
        self.publish();
        let group = resources::task_cgroup(self.state, self.task.id.as_str());
        group
            .and_then(|group| Ok(group.create(&resources::limits(&self.task))?))
            .map_err(|error| Halt::Failed(format!("CannotStartContainerError: {error}")))?;
        for container in self.task.containers.clone() {
            let image = images.get(&container.name).ok_or(Halt::Stopped)?;
            if let Err(why) = self.start(&program, &container, image) {
                let why = format!("CannotStartContainerError: ResourceInitializationError: {why}");
                if let Some(status) = self.status.containers.get_mut(&container.name) {
                    status.reason = Some(why.clone());
                }
                return Err(Halt::Failed(why));
            }
            self.publish();
            if self.stop {
                return Err(Halt::Stopped);
            }
        }
        self.status.started_at = Some(Timestamp::now());
        self.status.phase = TaskPhase::Running;
        self.publish();
        Ok(())
    }

    /// Pulls each image once, all at the same time. The helpers enter the task's network namespace; the shim does not.
    fn pull(&mut self, program: &SealedSelf) -> std::result::Result<BTreeMap<String, Pulled>, Halt> {
        self.status.pull_started_at = Some(Timestamp::now());
        self.publish();
        let mut images: Vec<&desired::ImageReference> = Vec::new();
        for container in &self.task.containers {
            if !images.contains(&&container.image) {
                images.push(&container.image);
            }
        }
        let network = self.state.join("netns").join(self.task.interface.as_str());
        let mut helpers = Vec::new();
        for image in images {
            let job = pull::Job {
                image: image.clone(),
                identity: self.task.pull.clone(),
                network: network.clone(),
                state: self.state.to_owned(),
            };
            match Helper::start(program, PULL, &job, None) {
                Ok(helper) => helpers.push((image.clone(), helper)),
                Err(cause) => {
                    helpers.iter().for_each(|(_, helper)| helper.kill());
                    return Err(Halt::Failed(format!("CannotPullContainerError: {cause}")));
                }
            }
        }
        let mut pulled = BTreeMap::new();
        while !helpers.is_empty() {
            let watched: Vec<&Helper> = helpers.iter().map(|(_, helper)| helper).collect();
            let woken = self.events.wait(&watched, None);
            let failed = match woken {
                Err(cause) => Some(format!("CannotPullContainerError: {cause}")),
                Ok(Woken { stop: true, .. }) => {
                    self.stop = true;
                    helpers.iter().for_each(|(_, helper)| helper.kill());
                    return Err(Halt::Stopped);
                }
                Ok(_) => self.gather(&mut helpers, &mut pulled),
            };
            if let Some(why) = failed {
                helpers.iter().for_each(|(_, helper)| helper.kill());
                return Err(Halt::Failed(why));
            }
        }
        self.status.pull_stopped_at = Some(Timestamp::now());
        Ok(pulled)
    }

    /// Takes in what pull helpers report; the reason when one has failed.
    fn gather(
        &mut self,
        helpers: &mut Vec<(desired::ImageReference, Helper)>,
        pulled: &mut BTreeMap<String, Pulled>,
    ) -> Option<String> {
        let mut failed = None;
        helpers.retain_mut(|(image, helper)| {
            let (reports, ended) = helper.reports();
            let mut outcome = None;
            for report in reports {
                match report {
                    Report::Progress(text) => complain(&text),
                    Report::Pulled(image) => outcome = Some(Ok(*image)),
                    Report::Failed(why) => outcome = Some(Err(why)),
                    Report::Created { .. } => (),
                }
            }
            if ended && outcome.is_none() {
                outcome = Some(Err("CannotPullContainerError: the pull ended unexpectedly".to_owned()));
            }
            let users = self.task.containers.iter().filter(|container| container.image == *image);
            for name in users.map(|container| &container.name) {
                let Some(status) = self.status.containers.get_mut(name) else { continue };
                match &outcome {
                    Some(Ok(image)) => {
                        status.image_digest = Some(image.digest.clone());
                        pulled.insert(name.clone(), image.clone());
                    }
                    Some(Err(why)) => status.reason = Some(why.clone()),
                    None => (),
                }
            }
            if let Some(Err(why)) = &outcome {
                failed = Some(why.clone());
            }
            outcome.is_none()
        });
        failed
    }

    /// Makes and starts one container; the reason why not, in the words of containerd and runc.
    fn start(
        &mut self,
        program: &SealedSelf,
        container: &Container,
        image: &Pulled,
    ) -> std::result::Result<(), String> {
        let say =
            |error: &dyn std::fmt::Display| format!("failed to create new container runtime task: {error}");
        let well_named = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if !well_named(&container.name) {
            return Err(format!("a container cannot be named '{}'", container.name.escape_default()));
        }
        let layers: Vec<_> = image.layers.iter().map(|layer| pull::snapshot(self.state, layer)).collect();
        let bundle = resources::Bundle::mount(self.dir, &container.name, &layers).map_err(|e| say(&e))?;
        let hostname = hostname(image.address, &self.task.pull.region);
        bundle.name(&hostname, image.address).map_err(|e| say(&e))?;
        let log = Log::open(self.dir, &container.name).map_err(|e| say(&e))?;
        let (stdout, out) = std::io::pipe().map_err(|e| say(&e))?;
        let (stderr, err) = std::io::pipe().map_err(|e| say(&e))?;
        let group = resources::container_cgroup(self.state, self.task.id.as_str(), &container.name)
            .map_err(|e| say(&e))?;
        let job = create::Job {
            container: container.clone(),
            image: image.config.clone(),
            rootfs: bundle.rootfs,
            runtime: bundle.runtime,
            etc: bundle.etc,
            bundle: bundle.folder,
            network: self.state.join("netns").join(self.task.interface.as_str()),
            cgroup: group.oci_path(),
            hostname,
        };
        self.early.clear();
        let helper =
            Helper::start(program, CREATE, &job, Some((out.into(), err.into()))).map_err(|e| say(&e))?;
        let output = pump(stdout, stderr, &log).map_err(|e| say(&e))?;
        let pid = self.await_exec(helper).map_err(|why| {
            format!(
                "failed to create new container runtime task: failed to create shim task: OCI runtime create failed: \
                 unable to start container process: {why}: unknown"
            )
        })?;
        let running = Running {
            pid,
            essential: container.essential,
            stop_signal: image.config.stop_signal(),
            stop_timeout: container.stop_timeout,
            kill_at: None,
            output,
        };
        self.running.insert(container.name.clone(), running);
        if let Some(status) = self.status.containers.get_mut(&container.name) {
            status.runtime_id = random_hex(32) + &random_hex(32);
            status.running = true;
        }
        if let Some(code) = self.early.remove(&pid) {
            self.ended(Ended { pid, code });
        }
        Ok(())
    }

    /// Waits until the container's own program runs; gives its process.
    fn await_exec(&mut self, mut helper: Helper) -> std::result::Result<Pid, String> {
        let deadline = Instant::now() + START_LIMIT;
        let (mut pid, mut failed) = (None, None);
        loop {
            let woken = self.events.wait(&[&helper], Some(deadline)).map_err(|error| error.to_string())?;
            self.stop |= woken.stop;
            for child in woken.ended {
                self.ended(child);
            }
            let (reports, closed) = helper.reports();
            for report in reports {
                match report {
                    Report::Created { pid: number } => pid = Some(Pid::from_raw(number)),
                    Report::Failed(why) => failed = Some(why),
                    Report::Progress(text) => complain(&text),
                    Report::Pulled(_) => (),
                }
            }
            match (failed.take(), pid) {
                (Some(why), _) => return Err(why),
                (None, Some(pid)) if closed => return Ok(pid),
                (None, None) if closed => return Err("the helper ended unexpectedly".to_owned()),
                _ if Instant::now() >= deadline => {
                    helper.kill();
                    return Err(format!("context deadline exceeded ({} s)", START_LIMIT.as_secs()));
                }
                _ => (),
            }
        }
    }

    /// Runs until the last container has ended; stops all when the task shall stop.
    fn watch(&mut self) -> Result<()> {
        while !self.running.is_empty() {
            if self.stop && self.status.phase != TaskPhase::Stopping {
                self.status.phase = TaskPhase::Stopping;
                for running in self.running.values_mut() {
                    let _ = kill(running.pid, running.stop_signal);
                    running.kill_at = Some(Instant::now() + running.stop_timeout);
                }
                self.publish();
            }
            let now = Instant::now();
            for running in self.running.values_mut().filter(|r| r.kill_at.is_some_and(|at| at <= now)) {
                let _ = kill(running.pid, Signal::SIGKILL);
                running.kill_at = None;
            }
            let deadline = self.running.values().filter_map(|running| running.kill_at).min();
            let woken = self.events.wait(&[], deadline).map_err(Error::file(self.dir))?;
            self.stop |= woken.stop;
            let any = woken.ended.len();
            for child in woken.ended {
                self.ended(child);
            }
            if any > 0 && !self.running.is_empty() {
                self.publish();
            }
        }
        Ok(())
    }

    /// A child has ended: a container's first process, a helper, or an orphan.
    fn ended(&mut self, child: Ended) {
        let name =
            self.running.iter().find(|(_, running)| running.pid == child.pid).map(|(name, _)| name.clone());
        let Some((name, running)) = name.and_then(|name| self.running.remove_entry(&name)) else {
            self.early.insert(child.pid, child.code);
            return;
        };
        // With its first process all others of the container have ended, so the pipes close now.
        let _ = running.output.recv_timeout(LAST_OUTPUT);
        let kills = resources::container_cgroup(self.state, self.task.id.as_str(), &name)
            .and_then(|group| Ok(group.oom_kills()?))
            .unwrap_or_else(|error| {
                complain(&error.to_string());
                0
            });
        if let Some(status) = self.status.containers.get_mut(&name) {
            status.running = false;
            status.exit_code = Some(child.code);
            if child.code == 128 + Signal::SIGKILL as i32 && kills > 0 {
                status.reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
            }
        }
        if running.essential {
            self.status.execution_stopped_at.get_or_insert(Timestamp::now());
            self.stop = true;
        }
    }
}

/// Fargate's name for a task: its address in the region's internal domain.
fn hostname(address: Option<std::net::Ipv4Addr>, region: &str) -> String {
    match address {
        Some(address) => {
            let [a, b, c, d] = address.octets();
            format!("ip-{a}-{b}-{c}-{d}.{region}.compute.internal")
        }
        None => "localhost".to_owned(),
    }
}

/// Starts the threads that keep a container's output. The receiver is closed when both are done.
fn pump(stdout: PipeReader, stderr: PipeReader, log: &Log) -> std::io::Result<Receiver<()>> {
    let (open, done) = channel::<()>();
    for (source, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
        let (log, open) = (log.clone(), open.clone());
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            logs::pump(source, stream, &log);
            drop(open);
        })?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_its_address() {
        let name = hostname(Some([10, 194, 100, 10].into()), "ap-northeast-2");
        assert_eq!(name, "ip-10-194-100-10.ap-northeast-2.compute.internal");
    }
}
