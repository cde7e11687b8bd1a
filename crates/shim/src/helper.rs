//! The single-threaded helper processes: how they are started, what they are told, what they report.
//!
//! A helper is this program again, run behind a read-only mount with nothing in its environment. Its standard
//! input is a Unix socket: the shim writes the job on it, one JSON document in a line, and reads reports until the
//! helper, and with `__create` the container's first process before its exec, have closed it. No other descriptor and
//! no secret on a command line is needed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sys::process::SealedSelf;

use crate::pull::Pulled;
use crate::secrets::Values;
use crate::{awslogs, create, exec, pause, pull, resources, secrets};

/// The longest job or report, in bytes.
const LONGEST: u64 = 16 << 20;

/// The name of the pull helper: the binary's first argument.
pub(crate) const PULL: &str = "__pull";
/// The name of the helper that reads secrets.
pub(crate) const SECRETS: &str = "__secrets";
/// The name of the log driver.
pub(crate) const LOGS: &str = "__logs";
/// The name of the helper that makes containers.
pub(crate) const CREATE: &str = "__create";

/// The name of the helper that makes the PID namespace that a task's containers share.
pub(crate) const PAUSE: &str = "__pause";

/// The name of the helper that starts a further process in a container.
pub(crate) const EXEC: &str = "__exec";

/// What a helper says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// For the role's log.
    Progress(String),
    /// The image is on disk.
    Pulled(Box<Pulled>),
    /// The values of the task's secrets.
    Secrets(Values),
    /// The container's first process is there; its exec follows.
    Created {
        /// Its number, as the shim sees it.
        pid: i32,
    },
    /// The log streams are there, and lines are taken.
    Ready,
    /// Log events of a container that were lost so far.
    Lost {
        /// The container.
        container: String,
        /// How many, and why.
        lost: Lost,
    },
    /// All that containers said is sent.
    Sent,
    /// It could not be done, in the words of ECS.
    Failed(String),
}

/// Log events that do not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// How many were dropped, as the buffer was full.
    pub(crate) dropped: u64,
    /// How many the service refused.
    pub(crate) refused: u64,
    /// Why it refused the last of them.
    pub(crate) because: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    /// The shim. A helper whose parent is another process ends at once.
    shim: i32,
    /// See [`resources::helpers_lock`].
    lock: PathBuf,
    job: T,
}

/// Where a helper finds what the shim has open.
pub(crate) fn opened(descriptor: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", Pid::this(), descriptor.as_raw_fd()))
}

/// A helper at work.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) pid: Pid,
    channel: UnixStream,
    held: Vec<u8>,
}

impl Helper {
    /// Starts a helper. The calling thread must live as long as the shim: the kernel ties children to threads.
    pub(crate) fn start(
        program: &SealedSelf,
        name: &str,
        dir: &Path,
        job: &impl Serialize,
        output: Option<(Stdio, Stdio)>,
    ) -> std::io::Result<Self> {
        let (mut channel, theirs) = UnixStream::pair()?;
        #[allow(clippy::disallowed_methods, reason = "Landfall starts its own binary")]
        let mut command = Command::new(program.path());
        command.arg0("landfall").arg(name).env_clear().current_dir("/").stdin(OwnedFd::from(theirs));
        if let Some((stdout, stderr)) = output {
            command.stdout(stdout).stderr(stderr);
        } else {
            command.stdout(Stdio::null());
        }
        let child = command.spawn()?;
        // The ends that only the helper may hold.
        drop(command);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
        let helper = |channel| Self { pid, channel, held: Vec::new() };
        let mut line = serde_json::to_vec(&Envelope {
            shim: Pid::this().as_raw(),
            lock: resources::helpers_lock(dir),
            job,
        })?;
        line.push(b'\n');
        channel.set_write_timeout(Some(Duration::from_secs(10)))?;
        if let Err(cause) = channel.write_all(&line) {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            return Err(cause);
        }
        channel.set_nonblocking(true)?;
        Ok(helper(channel))
    }

    /// What came since the last time; `true` when the helper has closed its side.
    pub(crate) fn reports(&mut self) -> (Vec<Report>, bool) {
        let mut chunk = [0; 16 << 10];
        let ended = loop {
            match self.channel.read(&mut chunk) {
                Ok(0) => break true,
                Ok(read) => self.held.extend_from_slice(&chunk[..read]),
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => (),
                Err(cause) => break cause.kind() != std::io::ErrorKind::WouldBlock,
            }
            if self.held.len() as u64 > LONGEST {
                break true;
            }
        };
        let mut reports = Vec::new();
        while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.held.drain(..=end).collect();
            reports.extend(serde_json::from_slice::<Report>(&line));
        }
        (reports, ended)
    }

    pub(crate) fn kill(&self) {
        let _ = nix::sys::signal::kill(self.pid, nix::sys::signal::Signal::SIGKILL);
    }
}

impl AsFd for Helper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Sends one report, whole or not at all.
pub(crate) fn tell(mut shim: &UnixStream, report: &Report) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    shim.write_all(&line)
}

/// The `main` of the shim's helpers: to be called first of all, before any thread is started, with the program's
/// arguments (the program's own name first). None when the arguments ask for no helper.
pub fn helper_main(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let name = arguments.nth(1)?;
    let work = match name.as_str() {
        PULL => work::<pull::Job>(|job, shim| pull::main(&job, shim)),
        SECRETS => work::<secrets::Job>(|job, _| secrets::main(&job)),
        LOGS => work::<awslogs::Job>(|job, shim| awslogs::main(&job, shim)),
        CREATE => work::<create::Job>(|job, shim| create::main(&job, shim)),
        PAUSE => work::<pause::Job>(|job, shim| pause::main(&job, shim)),
        EXEC => work::<exec::Job>(|job, shim| exec::main(&job, shim)),
        _ => return None,
    };
    Some(match work {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// Takes the job and does it; the outcome is the last report.
fn work<J: DeserializeOwned>(
    act: impl FnOnce(J, &Arc<UnixStream>) -> Result<Report, String>,
) -> std::io::Result<()> {
    // The shim blocks signals to read them from a descriptor; helpers and containers must not.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    // Docker's own, which containers inherit, whatever the caller's is.
    umask(Mode::from_bits_truncate(0o022));
    let shim = Arc::new(UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?));
    // The container's own input is empty, and nobody holds the channel but through `shim`.
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    let mut line = Vec::new();
    BufReader::new(shim.as_ref()).take(LONGEST).read_until(b'\n', &mut line)?;
    let Envelope { shim: parent, lock, job } = serde_json::from_slice::<Envelope<J>>(&line)?;
    // Before the look at the parent: whoever cleans up after a dead shim takes this lock, and then no helper begins.
    let lock = File::options().create(true).truncate(false).write(true).open(lock)?;
    lock.lock_shared()?;
    match sys::process::die_with_parent(Pid::from_raw(parent)) {
        Ok(true) => (),
        _ => return Ok(()),
    }
    let report = act(job, &shim).unwrap_or_else(Report::Failed);
    tell(&shim, &report)
}
