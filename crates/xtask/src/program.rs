//! Running other programs: with a time limit, and never outliving this one.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::Error;

/// The process group that runs now; 0 when none does.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// From now on Ctrl-C and SIGTERM end the program that runs, with all its children, and then this one.
///
/// The signals are handled and not blocked: children would inherit a mask, and could then not be told to end.
pub(crate) fn end_children_with_us() {
    std::thread::spawn(|| {
        let Ok(signal) = wait_for_signal() else { return };
        let group = RUNNING.load(Ordering::SeqCst);
        if group > 0 {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
        std::process::exit(128 + signal as i32);
    });
}

fn wait_for_signal() -> std::io::Result<Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(tokio::select! {
            _ = interrupt.recv() => Signal::SIGINT,
            _ = terminate.recv() => Signal::SIGTERM,
            _ = hangup.recv() => Signal::SIGHUP,
        })
    })
}

/// A program to run in the checkout.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    name: String,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    /// Its standard output.
    pub(crate) output: String,
}

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program.as_ref());
        command.current_dir(crate::repository::root()).stdin(Stdio::null()).process_group(0);
        let name = Path::new(program.as_ref()).file_name().unwrap_or(program.as_ref());
        Self { command, name: name.to_string_lossy().into_owned(), limit: Duration::from_secs(600) }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo() -> Self {
        let mut cargo = Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Set by the cargo that runs us for us alone.
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            cargo.command.env_remove(name);
        }
        cargo
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The time after which it is ended and has failed. Ten minutes unless said.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn words(&self) -> String {
        let args = self.command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(self.name.clone()).chain(args).collect::<Vec<_>>().join(" ")
    }

    /// Runs it, prints its command and what it prints, and returns its standard output too.
    pub(crate) fn show(self) -> Result<Ended, Error> {
        println!("\n$ {}", self.words());
        self.finish(true)
    }

    /// Runs it without printing its standard output; an error when it fails.
    pub(crate) fn quiet(self) -> Result<String, Error> {
        let words = self.words();
        let ended = self.finish(false)?;
        if ended.status.success() {
            Ok(ended.output)
        } else {
            Err(format!("`{words}`: {}", ended.status).into())
        }
    }

    /// Starts it, with its standard output for the caller to read. It is ended when dropped.
    pub(crate) fn start(mut self) -> Result<Started, Error> {
        let words = self.words();
        self.command.stdout(Stdio::piped());
        let child = self.command.spawn().map_err(|error| format!("`{words}` cannot be started: {error}"))?;
        Ok(Started(child))
    }

    fn finish(mut self, show: bool) -> Result<Ended, Error> {
        let begun = Instant::now();
        let words = self.words();
        self.command.stdout(Stdio::piped());
        let mut child =
            self.command.spawn().map_err(|error| format!("`{words}` cannot be started: {error}"))?;
        let group = i32::try_from(child.id())?;
        RUNNING.store(group, Ordering::SeqCst);
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let reader = std::thread::spawn(move || tee(stdout, show));
        let (ended, wait) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait()));
        let status = match wait.recv_timeout(self.limit) {
            Ok(status) => status?,
            Err(_) => {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                RUNNING.store(0, Ordering::SeqCst);
                return Err(
                    format!("`{words}` took more than {} s and was ended", self.limit.as_secs()).into()
                );
            }
        };
        RUNNING.store(0, Ordering::SeqCst);
        let output = reader.join().map_err(|_| "the output could not be read")?;
        Ok(Ended { status, took: begun.elapsed(), output })
    }
}

fn tee(stdout: impl Read, show: bool) -> String {
    let mut all = String::new();
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        if show {
            print!("{text}");
        }
        all.push_str(&text);
        line.clear();
    }
    all
}

/// A program that runs on, in a process group of its own.
#[derive(Debug)]
pub(crate) struct Started(pub(crate) Child);

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// Whether a program is on the path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps some for root alone.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(program).is_file())
}
