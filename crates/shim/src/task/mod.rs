//! One task's life: pulling, starting, running, stopping, stopped.

mod images;
mod start;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use desired::role::{News, RoleDir, answer};
use desired::{Body, Observation, Part, Task, TaskPhase, TaskStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sys::process::{Ended, SealedSelf};
use types::Timestamp;

use crate::events::Events;
use crate::{Error, Result, clean, record, resources};

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
            events: &mut events,
            running,
            early,
            stop,
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
        let _no_helpers = resources::kill(self.dir, self.state, self.task.id.as_str())?;
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
        let program = sealed_copy().map_err(|error| Halt::Failed(format!("InternalError: {error}")))?;
        let images = self.pull(&program)?;
        self.status.phase = TaskPhase::Starting;
        self.publish();
        let group = resources::task_cgroup(self.state, self.task.id.as_str());
        group
            .and_then(|group| Ok(group.create(&resources::limits(&self.task))?))
            .and_then(|()| resources::make_volumes(self.dir, &self.task.volumes))
            .map_err(|error| Halt::Failed(format!("CannotStartContainerError: {error}")))?;
        for container in self.task.containers.clone() {
            if self.stop {
                return Err(Halt::Stopped);
            }
            let image = images.get(&container.name).ok_or(Halt::Stopped)?;
            if let Err(why) = self.start(&program, &container, image) {
                let why = format!("CannotStartContainerError: ResourceInitializationError: {why}");
                if let Some(status) = self.status.containers.get_mut(&container.name) {
                    status.reason = Some(why.clone());
                }
                return Err(Halt::Failed(why));
            }
            self.publish();
        }
        self.status.started_at = Some(Timestamp::now());
        self.status.phase = TaskPhase::Running;
        self.publish();
        Ok(())
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

/// The program for the helpers. On a busy machine the kernel may still be at work on the copy's last pages and refuse
/// the seal for now.
fn sealed_copy() -> sys::Result<SealedSelf> {
    let mut tries = 0;
    loop {
        match SealedSelf::copy() {
            Err(error) if error.is(nix::errno::Errno::EBUSY) && tries < 5 => tries += 1,
            answer => return answer,
        }
    }
}
