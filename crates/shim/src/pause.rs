//! The `__pause` helper: the PID namespace that a task's containers share (`pidMode` is `task`).
//!
//! Its first process is none of the containers', so that none takes the others with it. It is a container of its own
//! without a program: an empty root file system, no capability, no user, the same system calls forbidden. Nothing is to be
//! gained from it, also by a container that may trace processes. It collects orphans until it is killed.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use libcontainer::oci_spec::OciSpecError;
use libcontainer::oci_spec::runtime::{
    Capabilities, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxDeviceCgroupBuilder, LinuxResourcesBuilder,
    ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder, get_default_maskedpaths,
    get_default_readonly_paths,
};
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::create::{self, Place};
use crate::executor::tie;
use crate::helper::{Report, tell};
use crate::{mounts, seccomp, spec};

/// Its name among the task's containers. None of them can have it.
pub(crate) const NAME: &str = "+pause";

/// `nobody`.
const NOBODY: u32 = 65_534;

/// What the kernel, short of memory, thinks of it: as Kubernetes has it, the last to be killed.
const OOM_SCORE: &str = "-998";

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The OCI bundle's folder.
    pub(crate) bundle: PathBuf,
    /// A folder for its empty root file system.
    pub(crate) rootfs: PathBuf,
    /// libcontainer's own state.
    pub(crate) runtime: PathBuf,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
    /// Its control group, as OCI names it.
    pub(crate) cgroup: PathBuf,
}

/// The namespace whose first process this is, as long as it lives.
pub(crate) fn namespace(pause: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pause}/ns/pid"))
}

/// Makes the namespace. Its first process becomes a child of the shim.
pub(crate) fn main(job: &Job, shim: &Arc<UnixStream>) -> Result<Report, String> {
    for folder in [&job.rootfs, &job.runtime] {
        std::fs::create_dir_all(folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    }
    // Not everybody may; without it, it is the smallest of the task's processes, and thus hardly ever the one.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let spec = specification(job).map_err(|error| error.to_string())?;
    let place = Place { bundle: &job.bundle, runtime: &job.runtime, terminal: None };
    let pid = create::start(NAME, &spec, place, Pause { shim: shim.clone() }, shim)?;
    Ok(Report::Progress(format!("the containers share the PID namespace of process {pid}")))
}

fn specification(job: &Job) -> Result<Spec, OciSpecError> {
    let none = Capabilities::new();
    let mut capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(none.clone())
        .effective(none.clone())
        .permitted(none)
        .build()?;
    capabilities.set_inheritable(None);
    capabilities.set_ambient(None);
    let process = ProcessBuilder::default()
        .args(vec!["pause".to_owned()])
        .env(Vec::new())
        .cwd("/")
        .user(UserBuilder::default().uid(NOBODY).gid(NOBODY).build()?)
        .capabilities(capabilities)
        .rlimits(Vec::new())
        .no_new_privileges(true)
        .build()?;
    let resources = LinuxResourcesBuilder::default()
        .devices(vec![LinuxDeviceCgroupBuilder::default().allow(false).access("rwm").build()?])
        .build()?;
    let linux = LinuxBuilder::default()
        .namespaces(spec::namespaces(&job.network, None)?)
        .resources(resources)
        .cgroups_path(&job.cgroup)
        .masked_paths(get_default_maskedpaths())
        .readonly_paths(get_default_readonly_paths())
        .build()?;
    SpecBuilder::default()
        .version("1.0.2")
        .hostname("pause")
        .process(process)
        .root(RootBuilder::default().path(&job.rootfs).readonly(true).build()?)
        .mounts(mounts::usual())
        .linux(linux)
        .build()
}

/// What the namespace's first process does.
#[derive(Debug, Clone)]
struct Pause {
    shim: Arc<UnixStream>,
}

impl Executor for Pause {
    fn exec(&self, _spec: &Spec) -> Result<(), ExecutorError> {
        let confined = tie(&self.shim).and_then(|()| {
            seccompiler::apply_filter(&seccomp::program())
                .map_err(|error| format!("install the seccomp filter: {error}"))
        });
        match confined {
            Ok(()) => sys::process::collect_for_ever(),
            Err(why) => {
                let _ = tell(&self.shim, &Report::Failed(why.clone()));
                Err(ExecutorError::Other(why))
            }
        }
    }

    fn validate(&self, _spec: &Spec) -> Result<(), ExecutorValidationError> {
        Ok(())
    }
}
