//! One task's containers, and the pull helper.
//!
//! [`run`] is a task's shim: the parent process of its containers. It pulls through `__pull` helpers that work inside
//! the task's own network namespace, starts containers through `__create` helpers, keeps logs and exit codes, and
//! writes `exit.json` before it cleans up. The helpers are this same binary, started behind a read-only mount;
//! [`helper_main`] is their `main`. [`clean`] does what a shim that died could not do.
//!
//! Files in the task's folder, beside those of [`desired::role`]: `status.json`, the status as last published;
//! `exit.json`, the last status of all, with which the task is over; `helpers.lock`, held by helpers; `logs/`, which stay; `containers/<name>/`, the
//! overlay and the OCI bundle of a container, removed at the end.

mod aws;
mod awslogs;
mod clean;
mod console;
mod create;
mod events;
mod exec;
mod executor;
mod helper;
pub mod logs;
mod mounts;
mod pause;
mod pull;
mod record;
mod resources;
mod seccomp;
mod secrets;
mod shell;
mod sink;
mod spec;
mod task;
mod trust;
mod user;
mod volume;

pub use clean::clean;
pub use helper::helper_main;
pub use record::exit_record;
pub use resources::{task_cgroup, tasks_cgroup};
pub use shell::{ShellError, shell};
pub use task::run;

use std::path::PathBuf;

/// Why a shim cannot do its work. What goes wrong with a task itself is no error: it is in the task's status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The role's folder, lock or socket failed.
    #[error(transparent)]
    Role(#[from] desired::role::RoleError),
    /// The folder's `config.json` is of another role, or tells of a task that shall be gone.
    #[error("{0} does not hold a task: start a shim in a folder STATE/tasks/<task id> only")]
    NotATask(PathBuf),
    /// A file failed.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// A record of an earlier shim cannot be read.
    #[error("{path}: {cause}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: desired::MessageError,
    },
}

impl Error {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::File { path: path.into(), cause }
    }
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
