//! The task's status on disk: `status.json` while it lives, `exit.json` for good.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use desired::{ContainerStatus, Task, TaskPhase, TaskStatus};

use crate::{Error, Result};

const EXIT: &str = "exit.json";
const STATUS: &str = "status.json";

/// The status with which a task ended; None while it has not. A task with an exit record is never started again.
///
/// # Errors
/// When the record is there and cannot be read.
pub fn exit_record(dir: &Path) -> Result<Option<TaskStatus>> {
    read(&dir.join(EXIT))
}

/// The status that a shim published last.
pub(crate) fn last_status(dir: &Path) -> Result<Option<TaskStatus>> {
    read(&dir.join(STATUS))
}

/// Makes the exit record durable: it is on disk when this returns.
pub(crate) fn write_exit(dir: &Path, status: &TaskStatus) -> Result<()> {
    write(dir, EXIT, status, File::sync_all)?;
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(Error::file(dir))
}

/// Keeps the status for whoever cleans up after a shim that died. It outlives the shim, not the machine.
pub(crate) fn write_status(dir: &Path, status: &TaskStatus) -> Result<()> {
    write(dir, STATUS, status, |_| Ok(()))
}

/// A task of which nothing has happened yet.
pub(crate) fn fresh(task: &Task) -> TaskStatus {
    let containers = task
        .containers
        .iter()
        .map(|container| (container.name.clone(), ContainerStatus::default()))
        .collect();
    TaskStatus {
        task: task.id.clone(),
        phase: TaskPhase::Pulling,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        execution_stopped_at: None,
        error: None,
        containers,
    }
}

fn read(path: &Path) -> Result<Option<TaskStatus>> {
    let bytes = match std::fs::read(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::file(path))?,
    };
    desired::decode(&bytes).map(Some).map_err(|cause| Error::Record { path: path.to_owned(), cause })
}

fn write(
    dir: &Path,
    name: &str,
    status: &TaskStatus,
    sync: impl Fn(&File) -> std::io::Result<()>,
) -> Result<()> {
    let (path, next) = (dir.join(name), dir.join(format!("{name}.next")));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&next)?;
        file.write_all(&desired::encode(status)?)?;
        sync(&file)?;
        std::fs::rename(&next, &path)
    };
    write().map_err(Error::file(path.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::TaskId;

    #[test]
    fn an_exit_record_is_found_again_and_none_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(exit_record(dir.path()).unwrap(), None);
        let status = TaskStatus {
            task: TaskId::mint(),
            phase: TaskPhase::Stopped,
            pull_started_at: None,
            pull_stopped_at: None,
            started_at: None,
            execution_stopped_at: None,
            error: Some("CannotPullContainerError: no".to_owned()),
            containers: [("app".to_owned(), ContainerStatus::default())].into(),
        };
        write_exit(dir.path(), &status).unwrap();
        assert_eq!(exit_record(dir.path()).unwrap(), Some(status));
    }

    #[test]
    fn half_a_record_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(EXIT), b"{\"schema\":1,").unwrap();
        let error = exit_record(dir.path()).unwrap_err().to_string();
        assert!(error.contains("exit.json"), "{error}");
    }
}
