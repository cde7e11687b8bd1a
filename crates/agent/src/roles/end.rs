//! The end of a role: asked for, waited for, at last enforced; then its folder goes.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use desired::Part;
use desired::role::Request;
use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Pid;
use sys::process::PidFd;
use types::PartId;

use super::{PATIENCE, RETRY, RoleKeeper, kept_logs};
use crate::keeper::Step;

/// How long a role other than a shim may finish what is in flight. A shim has deadlines of its own, its containers'.
const GRACE: Duration = Duration::from_secs(60);

/// What is gone need not be removed.
fn gone(cause: std::io::Error) -> std::io::Result<()> {
    if cause.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(cause) }
}

/// How far the end of a role has come.
#[derive(Debug)]
pub(super) struct Ending {
    asked: bool,
    killed: bool,
    began: Instant,
}

impl RoleKeeper {
    /// One look at a role that shall be gone.
    pub(super) fn end(&mut self) -> Result<Step, String> {
        if self.is_running() {
            self.watch();
            return self.ask_to_end();
        }
        if matches!(self.id, PartId::Task(_)) && self.began() && self.finished()?.is_none() {
            // Its shim died, and what it left only a shim knows how to end. The folder's configuration is the task's.
            if let Some(wait) = self.backoff.wait() {
                return Ok(Step::Again(wait));
            }
            self.start()?;
            return Ok(Step::Again(RETRY));
        }
        self.unwatch();
        if let PartId::Task(task) = &self.id {
            kept_logs::keep(&self.machine.state, self.dir.path(), task)?;
        }
        // The record of the end goes after the one of the beginning: an agent that is killed between the two must not take
        // the task for one whose shim died.
        match std::fs::remove_file(self.dir.path().join("status.json"))
            .or_else(gone)
            .and_then(|()| std::fs::remove_dir_all(self.dir.path()))
        {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{}: {cause}", self.dir.path().display()));
            }
            _ => (),
        }
        if self.id == PartId::Edge {
            self.machine.sweep(None).map_err(|error| error.to_string())?;
        }
        Ok(Step::Gone)
    }

    fn ask_to_end(&mut self) -> Result<Step, String> {
        let id = self.id.clone();
        let is_task = matches!(id, PartId::Task(_));
        let ending = self.ending.get_or_insert(Ending { asked: false, killed: false, began: Instant::now() });
        if !ending.asked {
            // A shim that is asked twice is not asked for more; a part without a body is the same to it.
            let request = if is_task {
                Request::Apply(Part { id, generation: u64::MAX, body: None })
            } else {
                Request::Stop
            };
            ending.asked = self.dir.ask(&request, PATIENCE).is_ok();
        }
        let late = ending.began.elapsed() > GRACE && !is_task;
        if late && !ending.killed {
            ending.killed = true;
            self.kill()?;
        }
        Ok(Step::Again(if self.ending.as_ref().is_some_and(|ending| ending.asked) {
            PATIENCE
        } else {
            RETRY
        }))
    }

    /// Kills the process that answers the role's socket.
    fn kill(&mut self) -> Result<(), String> {
        let child = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).map(Pid::from_raw);
        // Who listens is alive while the connection is made, so that the number is still its own.
        let stream = UnixStream::connect(self.dir.socket());
        let listener = stream.as_ref().ok().and_then(|stream| getsockopt(stream, PeerCredentials).ok());
        let Some(pid) = child.or_else(|| listener.map(|peer| Pid::from_raw(peer.pid()))) else {
            return Err(format!("{} does not end, and its process is not known", self.id));
        };
        let process = PidFd::open(pid).map_err(|error| error.to_string())?;
        process.signal(Signal::SIGKILL).map_err(|error| error.to_string())
    }
}
