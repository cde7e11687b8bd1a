//! One task's life: pulling, starting, running, stopping, stopped.

mod health;
mod images;
mod logger;
mod order;
mod restart;
mod secrets;
mod start;
mod stdio;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{PipeWriter, Write};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use desired::role::{News, RoleDir, answer};
use desired::{Body, Container, DependencyCondition, Observation, Part, Task, TaskPhase, TaskStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sys::process::{Ended, SealedSelf};
use types::Timestamp;

use crate::events::Events;
use crate::helper::{EXEC, Helper};
use crate::pull::Pulled;
use crate::secrets::Values;
use crate::{Error, Result, clean, exec, record, resources, volume};
use health::Checks;
use logger::Logger;
use order::{Awaited, Readiness, readiness};

/// How long the last output of an ended container is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// How long a shim whose task is over still answers, so that the one who waits for news gets them.
const LINGER: Duration = Duration::from_millis(200);

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
        let mut shim = Shim {
            dir,
            state,
            task: *task,
            news: news.clone(),
            status,
            published: None,
            waiting: Vec::new(),
            restarting: BTreeMap::new(),
            events: &mut events,
            running,
            early,
            logger: Logger::default(),
            pause: None,
            stop,
            secrets: Values::default(),
        };
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
    /// What was told last.
    published: Option<TaskStatus>,
    /// The containers that are not started yet.
    waiting: Vec<Container>,
    /// The containers that have ended and are started again, by name, and how they have.
    restarting: BTreeMap<String, End>,
    events: &'a mut Events,
    /// The containers whose first process lives, by name.
    running: BTreeMap<String, Running>,
    /// Children that ended before it was known who they are.
    early: BTreeMap<Pid, i32>,
    /// The log driver.
    logger: Logger,
    /// The first process of the PID namespace that the containers share, if they do.
    pause: Option<Pid>,
    /// Whether the task shall end.
    stop: bool,
    /// The values of its containers' secrets, by where they are from.
    secrets: Values,
}

struct Running {
    pid: Pid,
    stop_signal: Signal,
    stop_timeout: Duration,
    /// Whether the stop signal was sent.
    told: bool,
    /// When SIGKILL is due, once the stop signal was sent.
    kill_at: Option<Instant>,
    /// When its program began.
    started: Instant,
    /// For how long its dependents wait for it.
    patience: Duration,
    /// Its health check, if it has one and is not told to end.
    checks: Option<Checks>,
    /// The other end of its input, if that stays open.
    _input: Option<PipeWriter>,
    /// Closed when both streams have ended.
    output: Receiver<()>,
    /// How many of its control group's processes had been killed for memory when it was started.
    oom_kills: u64,
}

/// How a container has ended.
struct End {
    code: i32,
    at: Timestamp,
    reason: Option<String>,
}

impl Running {
    /// Until when its dependents wait for it.
    fn patience_ends(&self) -> Instant {
        self.started + self.patience
    }
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
        match self.begin() {
            Ok((program, images)) => {
                self.watch(&program, &images)?;
                self.flush_logger(&program);
            }
            Err(Halt::Stopped) => (),
            Err(Halt::Failed(why)) => self.fail(why),
        }
        self.logger.kill();
        let _no_helpers = resources::kill(self.dir, self.state, self.task.id.as_str())?;
        self.status.phase = TaskPhase::Stopped;
        record::write_exit(self.dir, &self.status)?;
        resources::remove(self.dir, self.state, self.task.id.as_str())?;
        Ok(self.status.clone())
    }

    /// The task cannot start, in the words of ECS.
    fn fail(&mut self, why: String) {
        complain(&why);
        self.status.execution_stopped_at.get_or_insert(Timestamp::now());
        self.status.error.get_or_insert(why);
        self.stop = true;
    }

    /// Tells the status, if it is another one than was told last.
    fn publish(&mut self) {
        if self.published.as_ref() == Some(&self.status) {
            return;
        }
        if let Err(error) = record::write_status(self.dir, &self.status) {
            complain(&error.to_string());
        }
        self.news.publish(Observation::Task(self.status.clone()));
        self.published = Some(self.status.clone());
    }

    /// All that is done before the first container: the images, the control group, the volumes.
    fn begin(&mut self) -> std::result::Result<(SealedSelf, BTreeMap<String, Pulled>), Halt> {
        if self.stop {
            return Err(Halt::Stopped);
        }
        let program = sealed_copy().map_err(|error| Halt::Failed(format!("InternalError: {error}")))?;
        self.secrets = self.read_secrets(&program)?;
        self.start_logger(&program)?;
        let images = self.pull(&program)?;
        self.await_logger()?;
        self.status.phase = TaskPhase::Starting;
        self.publish();
        let group = resources::task_cgroup(self.state, self.task.id.as_str());
        group
            .and_then(|group| Ok(group.create(&resources::limits(&self.task))?))
            .and_then(|()| volume::make(self.dir, &self.task.volumes))
            .map_err(|error| Halt::Failed(format!("CannotStartContainerError: {error}")))?;
        if self.task.shares_processes {
            self.start_pause(&program).map_err(|why| {
                Halt::Failed(format!("CannotStartContainerError: ResourceInitializationError: {why}"))
            })?;
        }
        self.waiting = self.task.containers.clone();
        Ok((program, images))
    }

    /// Starts containers as they may be, and runs until the last one has ended; stops all when the task shall stop.
    fn watch(&mut self, program: &SealedSelf, images: &BTreeMap<String, Pulled>) -> Result<()> {
        loop {
            if !self.stop {
                self.start_ready(program, images);
            }
            self.restart(program, images);
            if self.stop {
                self.waiting.clear();
                self.tell_to_end();
            }
            if self.running.is_empty() && self.waiting.is_empty() && self.restarting.is_empty() {
                return Ok(());
            }
            self.check_health(program);
            self.publish();
            let deadline = self.deadline();
            let watched: Vec<_> = self
                .running
                .values()
                .filter_map(|running| running.checks.as_ref()?.watched())
                .flatten()
                .chain(self.logger.watched())
                .collect();
            let woken = self.events.wait(&watched, deadline).map_err(Error::file(self.dir))?;
            self.stop |= woken.stop;
            for child in woken.ended {
                self.ended(child);
            }
            self.hear_checks();
            self.tend_logger(program);
        }
    }

    /// Starts every container whose dependencies let it, and gives up those that never may.
    fn start_ready(&mut self, program: &SealedSelf, images: &BTreeMap<String, Pulled>) {
        let mut again = true;
        while again && !self.stop {
            again = false;
            for container in std::mem::take(&mut self.waiting) {
                match readiness(&container, |name| self.awaited(name)) {
                    _ if self.stop => (),
                    Readiness::Waiting => self.waiting.push(container),
                    Readiness::Ready => {
                        again = true;
                        let Some(image) = images.get(&container.name) else { continue };
                        if let Err(why) = self.start(program, &container, image) {
                            let why =
                                format!("CannotStartContainerError: ResourceInitializationError: {why}");
                            self.give_up(&container, &why, None);
                            if container.essential {
                                self.fail(why);
                            }
                        }
                        self.publish();
                    }
                    Readiness::Never(why) => {
                        again = true;
                        self.give_up(
                            &container,
                            &format!("CannotStartContainerError: {why}"),
                            Some(order::NEVER_STARTED),
                        );
                        if container.essential {
                            self.status.execution_stopped_at.get_or_insert(Timestamp::now());
                            self.stop = true;
                        }
                    }
                }
            }
        }
        // A container may have ended before the next line of this program: then all were started none the less.
        let all =
            !self.stop || self.status.containers.values().all(|container| container.started_at.is_some());
        if self.waiting.is_empty() && all && self.status.phase == TaskPhase::Starting {
            self.status.started_at = Some(Timestamp::now());
            self.status.phase = TaskPhase::Running;
        }
    }

    /// A container that is never going to run.
    fn give_up(&mut self, container: &Container, why: &str, code: Option<i32>) {
        complain(&format!("{}: {why}", container.name));
        if let Some(status) = self.status.containers.get_mut(&container.name) {
            status.reason = Some(why.to_owned());
            status.exit_code = code;
            status.finished_at = Some(Timestamp::now());
        }
    }

    fn awaited(&self, name: &str) -> Option<Awaited<'_>> {
        let overdue = self.running.get(name).is_some_and(|running| running.patience_ends() <= Instant::now());
        Some(Awaited { status: self.status.containers.get(name)?, overdue })
    }

    /// Sends the stop signal to every container that nothing depends on any more, and SIGKILL to what has not heard it.
    fn tell_to_end(&mut self) {
        self.status.phase = TaskPhase::Stopping;
        let runs: BTreeSet<String> = self.running.keys().cloned().collect();
        let now = Instant::now();
        for (name, running) in &mut self.running {
            running.checks.iter_mut().for_each(Checks::kill);
            running.checks = None;
            if !running.told && order::may_stop(name, &self.task.containers, |other| runs.contains(other)) {
                let _ = kill(running.pid, running.stop_signal);
                running.told = true;
                running.kill_at = Some(now + running.stop_timeout);
            }
            if running.kill_at.is_some_and(|at| at <= now) {
                let _ = kill(running.pid, Signal::SIGKILL);
                running.kill_at = None;
            }
        }
    }

    /// When something has to be done although nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let awaited = |name: &str| self.running.get(name).map(Running::patience_ends);
        let patience = self.waiting.iter().flat_map(|container| &container.depends_on);
        let patience = patience
            .filter(|on| on.condition != DependencyCondition::Start)
            .filter_map(|on| awaited(&on.container));
        let running = self.running.values();
        running
            .flat_map(|running| [running.kill_at, running.checks.as_ref().and_then(Checks::deadline)])
            .flatten()
            .chain(patience)
            .chain(self.logger.deadline())
            .min()
    }

    /// Starts the health checks that are due.
    fn check_health(&mut self, program: &SealedSelf) {
        for (name, running) in &mut self.running {
            let Some(checks) = &mut running.checks else { continue };
            let Some(command) = checks.due() else { continue };
            let bundle = resources::containers_folder(self.dir).join(name);
            let container = self.task.containers.iter().find(|container| container.name == *name);
            let job = exec::Job {
                container: name.clone(),
                secrets: container.map(|container| self.secrets.variables(container)).unwrap_or_default(),
                runtime: bundle.join("runtime"),
                bundle,
                command: command.to_vec(),
                input: None,
                terminal: None,
            };
            let begun = std::io::pipe().and_then(|(output, out)| {
                let helper = Helper::start(
                    program,
                    EXEC,
                    self.dir,
                    &job,
                    Some((out.try_clone()?.into(), out.into())),
                )?;
                checks.begin(helper, output)
            });
            if let Err(cause) = begun {
                checks.postpone();
                complain(&format!("{name}: the health check cannot be run: {cause}"));
            }
        }
    }

    fn hear_checks(&mut self) {
        for (name, running) in &mut self.running {
            let Some(checks) = &mut running.checks else { continue };
            let Some(status) = self.status.containers.get_mut(name) else { continue };
            if let Some(health) = checks.hear(status.health.as_ref(), |pid| self.early.remove(&pid)) {
                status.health = Some(health);
            }
        }
        if !self
            .running
            .values()
            .any(|running| running.checks.as_ref().is_some_and(|c| c.watched().is_some()))
        {
            // Nobody is left whose process is not known yet.
            self.early.clear();
        }
    }

    /// A child has ended: a container's first process, a helper, or an orphan.
    fn ended(&mut self, child: Ended) {
        let name =
            self.running.iter().find(|(_, running)| running.pid == child.pid).map(|(name, _)| name.clone());
        let Some((name, mut running)) = name.and_then(|name| self.running.remove_entry(&name)) else {
            let mut checks = self.running.values_mut().filter_map(|running| running.checks.as_mut());
            if !checks.any(|checks| checks.ended(child.pid, child.code)) {
                self.early.insert(child.pid, child.code);
            }
            return;
        };
        running.checks.iter_mut().for_each(Checks::kill);
        if self.pause.is_some() {
            // No namespace takes the container's other processes with the first one.
            let group = resources::container_cgroup(self.state, self.task.id.as_str(), &name);
            if let Err(error) = group.and_then(|group| Ok(group.kill(resources::KILL_PATIENCE)?)) {
                complain(&format!("{name}: {error}"));
            }
        }
        // With its first process all others of the container have ended, so the pipes close now.
        let _ = running.output.recv_timeout(LAST_OUTPUT);
        let oom = child.code == 128 + Signal::SIGKILL as i32 && self.oom_kills(&name) > running.oom_kills;
        let reason = oom.then(|| "OutOfMemoryError: Container killed due to memory usage".to_owned());
        let end = End { code: child.code, at: Timestamp::now(), reason };
        let policy = self.container(&name).and_then(|container| container.restart_policy.as_ref());
        if !self.stop && restart::is_due(policy, end.code, running.started.elapsed()) {
            self.restarting.insert(name, end);
        } else {
            self.end(&name, end);
        }
    }

    /// A container has ended for good.
    fn end(&mut self, name: &str, end: End) {
        self.logger.close(name);
        if let Some(status) = self.status.containers.get_mut(name) {
            status.running = false;
            status.exit_code = Some(end.code);
            status.finished_at = Some(end.at);
            status.reason = end.reason;
        }
        if self.container(name).is_some_and(|container| container.essential) {
            self.status.execution_stopped_at.get_or_insert(Timestamp::now());
            self.stop = true;
        }
    }

    fn container(&self, name: &str) -> Option<&Container> {
        self.task.containers.iter().find(|container| container.name == name)
    }

    /// How many of a container's processes were killed for memory so far.
    fn oom_kills(&self, name: &str) -> u64 {
        resources::container_cgroup(self.state, self.task.id.as_str(), name)
            .and_then(|group| Ok(group.oom_kills()?))
            .unwrap_or_else(|error| {
                complain(&error.to_string());
                0
            })
    }
}

/// The program for the helpers. On a busy machine the kernel may still be at work on a copy's last pages and refuse the
/// seal for now.
fn sealed_copy() -> sys::Result<SealedSelf> {
    let mut tries = 0;
    loop {
        match SealedSelf::open() {
            Err(error) if error.is(nix::errno::Errno::EBUSY) && tries < 5 => tries += 1,
            answer => return answer,
        }
    }
}
