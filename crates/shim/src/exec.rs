//! The `__exec` helper: a further process in a container that runs, as the container's own first one but for its
//! command: a health check's program, or a shell.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use serde::{Deserialize, Serialize};

use crate::create::{chain, create_error};
use crate::executor::Tied;
use crate::helper::{Report, tell};
use crate::secrets::Values;

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The container.
    pub(crate) container: String,
    /// The container's variables that stand in no file.
    pub(crate) secrets: Values,
    /// The OCI bundle's folder.
    pub(crate) bundle: PathBuf,
    /// libcontainer's own state.
    pub(crate) runtime: PathBuf,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// A pipe that becomes its input. None: it has none.
    pub(crate) input: Option<PathBuf>,
    /// A socket at which the master side of its terminal is handed over. None: it has no terminal.
    pub(crate) terminal: Option<PathBuf>,
}

/// Starts the process. It becomes a child of whoever has started this helper.
pub(crate) fn main(job: &Job, parent: &Arc<UnixStream>) -> Result<Report, String> {
    take_input(job.input.as_deref())?;
    // libcontainer leaves a socket behind each time. They are removed while no other helper needs one.
    let lock = File::options().create(true).truncate(false).write(true).open(job.bundle.join("exec.lock"));
    let lock = lock.map_err(|cause| cause.to_string())?;
    lock.lock().map_err(|cause| cause.to_string())?;
    let process = job.bundle.join("process.json");
    std::fs::write(&process, process_of(job)?).map_err(|cause| cause.to_string())?;
    let started = ContainerBuilder::new(job.container.clone(), SyscallType::default())
        .with_root_path(&job.runtime)
        .map_err(|error| chain(&error))?
        .with_executor(Tied { shim: parent.clone(), init: false, secrets: job.secrets.clone() })
        .with_console_socket(job.terminal.as_ref())
        .as_tenant()
        .with_process(Some(&process))
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(|error| create_error(&error));
    sweep(&job.runtime.join(&job.container));
    let pid = started?.as_raw();
    tell(parent, &Report::Created { pid }).map_err(|error| error.to_string())?;
    Ok(Report::Progress(format!("{} runs {:?} as process {pid}", job.container, job.command)))
}

/// Makes a pipe this process's input, and that of whoever it starts.
pub(crate) fn take_input(input: Option<&Path>) -> Result<(), String> {
    let Some(input) = input else { return Ok(()) };
    let input = File::open(input).map_err(|cause| format!("open the input: {cause}"))?;
    nix::unistd::dup2_stdin(input).map_err(|errno| errno.to_string())
}

/// The container's own process with another command.
fn process_of(job: &Job) -> Result<Vec<u8>, String> {
    let spec = Spec::load(job.bundle.join("config.json")).map_err(|error| chain(&error))?;
    let mut process = spec.process().clone().ok_or("the container has no process")?;
    process.set_args(Some(job.command.clone()));
    process.set_terminal(Some(job.terminal.is_some()));
    if job.terminal.is_some() {
        let mut variables = process.env().clone().unwrap_or_default();
        variables.retain(|variable| !variable.starts_with("TERM="));
        variables.push("TERM=xterm".to_owned());
        process.set_env(Some(variables));
    }
    serde_json::to_vec(&process).map_err(|error| error.to_string())
}

fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("tenant-") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
