//! `landfall shell`: a further process in a container, for a person. It is a child of the caller, not of the shim, and
//! lives in the container's namespaces and control groups: it ends with the container.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use desired::Container;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sys::process::{PidFd, SealedSelf};
use sys::terminal;

use crate::console::Console;
use crate::helper::{EXEC, Helper, Report};
use crate::secrets::Values;
use crate::{exec, record, resources};

/// Why there is no shell.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The container does not run.
    #[error("the container {0} does not run")]
    NotRunning(String),
    /// The task's status cannot be read.
    #[error(transparent)]
    Status(#[from] crate::Error),
    /// The program could not be started, in the words of runc.
    #[error("{0}")]
    Refused(String),
    /// The system failed.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
}

/// Runs a program in a container of the task whose folder is `dir`, with the caller's own input and output; with a terminal
/// of its own when both of the caller's are one. Gives its exit code, 128 plus the signal when it was killed.
///
/// To be called on the main thread: the process is tied to it.
///
/// # Errors
/// When the container does not run, or the program cannot be started.
pub fn shell(dir: &Path, container: &Container, command: &[String]) -> Result<i32, ShellError> {
    let (wanted, container) = (container, container.name.as_str());
    let status = record::last_status(dir)?;
    let runs = |name: &str| {
        status.as_ref().is_some_and(|status| status.containers.get(name).is_some_and(|c| c.running))
    };
    if !runs(container) || record::exit_record(dir)?.is_some() {
        return Err(ShellError::NotRunning(container.to_owned()));
    }
    let bundle = resources::containers_folder(dir).join(container);
    let job = exec::Job {
        container: container.to_owned(),
        secrets: secrets(&bundle.join("runtime").join(container), wanted),
        runtime: bundle.join("runtime"),
        bundle,
        command: command.to_vec(),
        input: None,
        terminal: None,
    };
    let program = SealedSelf::open()?;
    if stdin().is_terminal() && stdout().is_terminal() {
        in_terminal(dir, &program, job)
    } else {
        through_pipes(dir, &program, job)
    }
}

/// The values of the container's secrets. They stand in no file: its program has them in its environment, which for a
/// container with an init process is the environment of that one's child.
fn secrets(runtime: &Path, container: &Container) -> Values {
    let known = |name: &str| container.secrets.iter().any(|secret| secret.name == name);
    let first =
        libcontainer::container::Container::load(runtime.to_owned()).ok().and_then(|state| state.pid());
    let Some(first) = first.filter(|_| !container.secrets.is_empty()) else { return Values::default() };
    let children =
        std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
    let processes = [first.to_string()].into_iter().chain(children.split_whitespace().map(str::to_owned));
    let mut found = Values::default();
    for process in processes {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        for variable in environment.split(|byte| *byte == 0).map(String::from_utf8_lossy) {
            if let Some((name, value)) = variable.split_once('=').filter(|(name, _)| known(name)) {
                found.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    found
}

fn through_pipes(dir: &Path, program: &SealedSelf, mut job: exec::Job) -> Result<i32, ShellError> {
    let (input, mut feed) = std::io::pipe()?;
    job.input = Some(PathBuf::from(format!("/proc/{}/fd/{}", Pid::this(), input.as_raw_fd())));
    let output = (stdout().as_fd().try_clone_to_owned()?, std::io::stderr().as_fd().try_clone_to_owned()?);
    let mut helper = Helper::start(program, EXEC, dir, &job, Some((output.0.into(), output.1.into())))?;
    let (pid, _) = started(&mut helper, None)?;
    // The process has the pipe's other end now. It may end before its input does.
    drop(input);
    std::thread::Builder::new().name("input".to_owned()).spawn(move || {
        let _ = std::io::copy(&mut stdin(), &mut feed);
    })?;
    exit_code(pid)
}

fn in_terminal(dir: &Path, program: &SealedSelf, mut job: exec::Job) -> Result<i32, ShellError> {
    let console = Console::new(dir)?;
    job.terminal = Some(console.path().to_owned());
    // Before the first thread, which inherits what is blocked.
    let mut resized = SigSet::empty();
    resized.add(Signal::SIGWINCH);
    resized.thread_block().map_err(std::io::Error::from)?;
    let mut helper = Helper::start(program, EXEC, dir, &job, None)?;
    let (pid, Some(mut master)) = started(&mut helper, Some(&console))? else {
        return Err(ShellError::Refused("the container has handed over no terminal".to_owned()));
    };
    drop(console);
    let raw = terminal::Raw::enter(stdin().as_fd())?;
    let mut keys = master.try_clone()?;
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        // Not through a buffer: a key goes on at once.
        let (mut input, mut chunk) = (stdin(), [0; 4096]);
        while let Ok(read @ 1..) = input.read(&mut chunk) {
            if keys.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
    })?;
    let sized = master.try_clone()?;
    std::thread::Builder::new().name("size".to_owned()).spawn(move || {
        while resized.wait().is_ok() {
            let _ = terminal::copy_size(stdin(), &sized);
        }
    })?;
    show(&mut master, pid)?;
    let code = exit_code(pid);
    drop(raw);
    code
}

/// Shows what the terminal prints until the program has ended and nothing is left to show.
fn show(master: &mut File, pid: Pid) -> Result<(), ShellError> {
    let program = PidFd::open(pid)?;
    let mut chunk = [0; 16 << 10];
    loop {
        wait_for(&[master.as_fd(), program.as_fd()])?;
        if is_ready(master.as_fd()) {
            match master.read(&mut chunk) {
                Ok(read @ 1..) => {
                    let mut out = stdout().lock();
                    out.write_all(&chunk[..read])?;
                    out.flush()?;
                }
                // Nobody has the other side any more.
                Ok(0) | Err(_) => return Ok(()),
            }
        } else if is_ready(program.as_fd()) {
            return Ok(());
        }
    }
}

/// Waits until the program runs; gives its process and, with a console, the master side of its terminal.
fn started(helper: &mut Helper, console: Option<&Console>) -> Result<(Pid, Option<File>), ShellError> {
    let (mut pid, mut failed, mut master) = (None, None, None);
    loop {
        let open = console.filter(|_| master.is_none());
        let watched: Vec<_> = [helper.as_fd()].into_iter().chain(open.map(AsFd::as_fd)).collect();
        wait_for(&watched)?;
        if let Some(console) = open
            && is_ready(console.as_fd())
        {
            let received = console.receive()?;
            let _ = terminal::copy_size(stdin(), &received);
            master = Some(received);
        }
        let (reports, closed) = helper.reports();
        for report in reports {
            match report {
                Report::Created { pid: number } => pid = Some(Pid::from_raw(number)),
                Report::Failed(why) => failed = Some(why),
                _ => (),
            }
        }
        if closed {
            return match (failed, pid) {
                (Some(why), _) => Err(ShellError::Refused(why)),
                (None, Some(pid)) => Ok((pid, master)),
                (None, None) => Err(ShellError::Refused("the helper ended unexpectedly".to_owned())),
            };
        }
    }
}

fn exit_code(pid: Pid) -> Result<i32, ShellError> {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => (),
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        }
    }
}

fn wait_for(watched: &[std::os::fd::BorrowedFd<'_>]) -> std::io::Result<()> {
    let mut fds: Vec<_> = watched.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    match poll(&mut fds, PollTimeout::NONE) {
        Err(errno) if errno != Errno::EINTR => Err(errno.into()),
        _ => Ok(()),
    }
}

fn is_ready(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
