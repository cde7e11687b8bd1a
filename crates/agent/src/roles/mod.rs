//! The processes that play roles: started, adopted, told, and ended.
//!
//! A role is alive when its folder's lock is held, whoever started it. What it shall be stands in its folder before it
//! is started, so that it needs nobody to tell it; what changes later is told on its socket.

mod backoff;
mod end;
mod kept_logs;
pub(crate) mod serve;
mod watch;

use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use desired::role::{Request, RoleDir, RoleError};
use desired::{Body, Observation, Part, Task, TaskStatus, decode};
use types::PartId;

use crate::bell::Bell;
use crate::complain;
use crate::keeper::{Step, outside};
use crate::machine::Machine;
use backoff::Backoff;
use end::Ending;
use watch::Watch;

/// How long a role may take to answer what needs no waiting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a role that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// Keeps the role of one part.
#[derive(Debug)]
pub(crate) struct RoleKeeper {
    machine: Arc<Machine>,
    id: PartId,
    bell: Arc<Bell>,
    role: &'static str,
    dir: RoleDir,
    /// The process, if this agent started it and it has not ended.
    child: Option<Child>,
    /// What the role was told last.
    told: Option<Part>,
    backoff: Backoff,
    watch: Option<Watch>,
    ending: Option<Ending>,
}

impl RoleKeeper {
    pub(crate) fn new(machine: &Arc<Machine>, id: &PartId, bell: &Arc<Bell>) -> Self {
        let (role, folder) = match id {
            PartId::Task(task) => ("shim", format!("tasks/{task}")),
            PartId::LoadBalancer(balancer) => ("balancer", format!("lb/{balancer}")),
            PartId::Edge => ("edge", "edge".to_owned()),
            // A VPC has a keeper of its own.
            PartId::Names | PartId::Vpc(_) => ("resolver", "resolver".to_owned()),
        };
        Self {
            machine: machine.clone(),
            id: id.clone(),
            bell: bell.clone(),
            role,
            dir: RoleDir::new(machine.state.join(folder)),
            child: None,
            told: None,
            backoff: Backoff::default(),
            watch: None,
            ending: None,
        }
    }

    /// One look at the role.
    pub(crate) fn step(&mut self, part: &Part) -> Result<Step, String> {
        match &part.body {
            None => self.end(),
            Some(body) => {
                self.ending = None;
                self.keep(part, body)
            }
        }
    }

    fn keep(&mut self, part: &Part, body: &Body) -> Result<Step, String> {
        if let Body::Edge(edge) = body {
            self.machine.network.set_internet(outside(edge)).map_err(|error| error.to_string())?;
        }
        if self.is_running() {
            self.watch();
            return self.tell(part);
        }
        if let Body::Task(task) = body {
            if let Some(status) = self.finished()? {
                self.unwatch();
                self.machine.news.publish(Observation::Task(status));
                return Ok(Step::Kept);
            }
            if !self.may_start(task) {
                return Ok(Step::Kept);
            }
        }
        if let Some(wait) = self.backoff.wait() {
            return Ok(Step::Again(wait));
        }
        let kept = self.keep_config(part);
        if let Err(why) = &kept {
            // On a full disk what it was last is better than nothing; it is told the rest on its socket.
            if self.dir.read_config().map_or(true, |last| last.id != part.id || last.body.is_none()) {
                return Err(why.clone());
            }
            complain(&format!("{} starts as it was last: {why}", self.id));
        }
        self.start()?;
        self.told = kept.is_ok().then(|| part.clone());
        Ok(Step::Again(RETRY))
    }

    /// Keeps the part in the role's folder, so that it can be started again without anybody who tells it.
    fn keep_config(&self, part: &Part) -> Result<(), String> {
        if self.dir.read_config().is_ok_and(|kept| kept == *part) {
            return Ok(());
        }
        self.dir.write_config(part).map_err(|error| error.to_string())
    }

    /// Whether the role's process lives. A process that was just started may not have its lock yet: then the lock is
    /// not tried, as that would take it away from it.
    fn is_running(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            if matches!(child.try_wait(), Ok(None)) {
                return true;
            }
            self.child = None;
        }
        self.dir.is_running()
    }

    fn start(&mut self) -> Result<(), String> {
        let settings = &self.machine.settings;
        let child = spawn(settings, self.role, &self.dir, &self.machine.state)?;
        self.backoff.started();
        self.child = Some(child);
        self.watch();
        Ok(())
    }

    fn tell(&mut self, part: &Part) -> Result<Step, String> {
        if self.told.as_ref() == Some(part) {
            return Ok(Step::Kept);
        }
        // A role does what it is told, on a full disk too: a task stops, a load balancer learns its targets.
        let kept = self.keep_config(part);
        match self.dir.ask(&Request::Apply(part.clone()), PATIENCE) {
            Ok(_) => (),
            // Asked again it would say the same.
            Err(RoleError::Refused(why)) => complain(&format!("{} refuses its part: {why}", self.id)),
            // Its socket is not there yet, or not any more.
            Err(_) => return Ok(Step::Again(RETRY)),
        }
        kept?;
        self.told = Some(part.clone());
        Ok(Step::Kept)
    }

    /// A task's last status, when it is over and nothing of it is left: its record is there and the shim's socket,
    /// which goes last, is not.
    fn finished(&self) -> Result<Option<TaskStatus>, String> {
        if self.dir.socket().exists() {
            return Ok(None);
        }
        let path = self.dir.path().join("exit.json");
        match std::fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(format!("{}: {cause}", path.display())),
            Ok(bytes) => decode(&bytes).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        }
    }

    /// Whether a task's shim was there before. Started again, a shim does not start the task again: it ends what the
    /// one before left and tells so.
    fn began(&self) -> bool {
        ["status.json", "exit.json"].iter().any(|file| self.dir.path().join(file).exists())
    }

    /// A task starts in its network, so that comes first; the VPC's thread rings when it is there. One that shall stop
    /// needs none: its shim only tells the end.
    fn may_start(&self, task: &Task) -> bool {
        task.stop || self.began() || self.machine.network.has_interface(&task.vpc, &task.interface)
    }

    fn watch(&mut self) {
        if self.watch.is_none() {
            self.watch = Watch::start(&self.machine, &self.dir, &self.bell);
        }
    }

    fn unwatch(&mut self) {
        self.watch = None;
    }
}

/// Starts a process that plays a role.
pub(crate) fn spawn(
    settings: &crate::Settings,
    role: &str,
    dir: &RoleDir,
    state: &Path,
) -> Result<Child, String> {
    let mut arguments: Vec<std::ffi::OsString> = settings.arguments.iter().map(Into::into).collect();
    arguments.extend([role.into(), "--dir".into(), dir.path().into(), "--state-dir".into(), state.into()]);
    // A program whose file was removed or moved, as an update does, can still be started by this process's own name.
    let own = Path::new("/proc/self/exe");
    let program = if settings.program.exists() { &settings.program } else { own };
    sys::process::spawn_detached(program, &arguments, &dir.log()).map_err(|error| error.to_string())
}
