//! The `__create` helper: one container, from its mounted root file system to its first process.

use std::error::Error;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use desired::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::Executor;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, mkdirat};
use serde::{Deserialize, Serialize};

use crate::executor::Tied;
use crate::helper::{Report, tell};
use crate::mounts::{self, Cover};
use crate::pull::ImageConfig;
use crate::secrets::Values;
use crate::{exec, executor, spec, trust, user};

/// Fargate's limit of open files (soft and hard), from "Resource limits" in the task definition parameters for Fargate.
const OPEN_FILES: u64 = 65_535;

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) container: Container,
    /// Variables that its program gets beside those of the specification, which is a file.
    pub(crate) secrets: Values,
    pub(crate) image: ImageConfig,
    /// The OCI bundle's folder.
    pub(crate) bundle: PathBuf,
    /// Where the root file system is mounted.
    pub(crate) rootfs: PathBuf,
    /// libcontainer's own state.
    pub(crate) runtime: PathBuf,
    /// The folder with `hosts`, `hostname` and `resolv.conf`.
    pub(crate) etc: PathBuf,
    /// The folder with the task's volumes.
    pub(crate) volumes: PathBuf,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
    /// The task's PID namespace, when its containers share one.
    pub(crate) processes: Option<PathBuf>,
    /// The container's control group, as OCI names it.
    pub(crate) cgroup: PathBuf,
    /// A pipe that becomes its input. None: it has none.
    pub(crate) input: Option<PathBuf>,
    /// A socket at which the master side of its terminal is handed over. None: it has no terminal.
    pub(crate) terminal: Option<PathBuf>,
    pub(crate) hostname: String,
    /// The certificate of the local authority, for a container that trusts it.
    pub(crate) authority: String,
}

/// Makes and starts the container. Its first process becomes a child of the shim.
///
/// Only from a process of a single thread: libcontainer clones and then allocates, which deadlocks beside threads.
pub(crate) fn main(job: &Job, shim: &Arc<UnixStream>) -> Result<Report, String> {
    exec::take_input(job.input.as_deref())?;
    let wanted = job.container.user.as_deref().filter(|user| !user.is_empty()).unwrap_or(&job.image.user);
    let spec = spec::build(&spec::Input {
        container: &job.container,
        image: &job.image,
        user: user::find(wanted, &job.rootfs)?,
        rootfs: &job.rootfs,
        etc: &job.etc,
        volumes: &job.volumes,
        network: &job.network,
        processes: job.processes.as_deref(),
        cgroup: job.cgroup.clone(),
        hostname: &job.hostname,
        counts_swap: std::fs::exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").unwrap_or(false),
        open_files: open_files(),
    })?;
    if job.container.trust_ca {
        let path = job.etc.join(trust::FILE);
        let write = |bundle: String| std::fs::write(&path, bundle).map_err(|cause| cause.to_string());
        trust::bundle(&job.rootfs, &job.authority).and_then(write)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(|cause| cause.to_string())?;
    }
    mounts::check(&job.container, &job.rootfs, &job.volumes)?;
    make_working_folder(job)?;
    let executor =
        Tied { shim: shim.clone(), init: job.container.linux.init_process, secrets: job.secrets.clone() };
    let place = Place { bundle: &job.bundle, runtime: &job.runtime, terminal: job.terminal.as_deref() };
    let pid = start(&job.container.name, &spec, place, executor, shim)?;
    Ok(Report::Progress(format!("{} started as process {pid}", job.container.name)))
}

/// Where a container is made.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The OCI bundle's folder.
    pub(crate) bundle: &'a Path,
    /// libcontainer's own state.
    pub(crate) runtime: &'a Path,
    /// A socket at which its terminal is handed over.
    pub(crate) terminal: Option<&'a Path>,
}

/// Makes a container of a specification and starts it; the shim is told of its first process, whose number this gives.
pub(crate) fn start(
    name: &str,
    spec: &Spec,
    place: Place<'_>,
    executor: impl Executor + 'static,
    shim: &UnixStream,
) -> Result<i32, String> {
    spec.save(place.bundle.join("config.json")).map_err(|error| chain(&error))?;
    let mut container = ContainerBuilder::new(name.to_owned(), SyscallType::default())
        .with_root_path(place.runtime)
        .map_err(|error| chain(&error))?
        .with_executor(executor)
        .with_console_socket(place.terminal)
        .as_init(place.bundle)
        .with_systemd(false)
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(|error| create_error(&error))?;
    let pid = container.pid().ok_or("the container has no process")?.as_raw();
    // Before the start, so that a failure of the exec is never the first thing that the shim hears.
    tell(shim, &Report::Created { pid }).map_err(|error| error.to_string())?;
    container.start().map_err(|error| chain(&error))?;
    Ok(pid)
}

/// Makes the folder that the command starts in, in the volume that will be mounted over it if there is one.
fn make_working_folder(job: &Job) -> Result<(), String> {
    let folder = spec::working_folder(&job.container, &job.image);
    let Some((base, inside)) = Cover::base(&job.container, &folder, &job.rootfs, &job.volumes) else {
        return Ok(());
    };
    make_folder(&base, inside).map_err(|errno| {
        format!("error during container init: mkdir {}: {}", folder.display(), executor::words(errno))
    })
}

/// Makes a folder of the container's, with those above it, as runc does with the one that a command starts in. A link on
/// the way leads nowhere but into the root file system.
fn make_folder(rootfs: &Path, folder: &Path) -> nix::Result<()> {
    let root = open(rootfs, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let inside = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&root, path, how)
    };
    let mut so_far = PathBuf::new();
    for part in folder.components() {
        let Component::Normal(name) = part else { continue };
        let parent = inside(&so_far)?;
        so_far.push(name);
        match inside(&so_far) {
            Err(Errno::ENOENT) => mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?,
            Err(errno) => return Err(errno),
            Ok(_) => (),
        }
    }
    Ok(())
}

/// Fargate's limit, or what the machine gives: raising the hard limit takes CAP_SYS_RESOURCE.
fn open_files() -> u64 {
    match setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES) {
        Ok(()) => OPEN_FILES,
        Err(_) => getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard.min(OPEN_FILES)),
    }
}

/// runc's words for why no process could be made.
pub(crate) fn create_error(error: &dyn Error) -> String {
    let text = chain(error);
    // What the executor found out comes back wrapped in libcontainer's own words.
    match text.find("exec: \"") {
        Some(at) => text[at..].lines().next().unwrap_or_default().to_owned(),
        // That what is left of it could not be removed is no news: the shim does that.
        None => text.split(". error during cleanup").next().unwrap_or_default().to_owned(),
    }
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
