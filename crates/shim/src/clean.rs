//! What is done for a task whose shim died.

use std::path::Path;

use desired::role::RoleDir;
use desired::{Body, TaskPhase, TaskStatus};
use types::{TaskId, Timestamp};

use crate::{Result, record, resources};

/// What DescribeTasks tells of containers whose shim was killed.
const LOST: &str = "TaskFailed: the task's shim ended unexpectedly, and its containers were killed";

/// Ends what a dead shim left: kills the task's processes, unmounts, removes its control groups, and writes the exit
/// record if there is none. Gives back the exit record; None without the folder. May be repeated, and may be cut off at
/// any line.
///
/// # Errors
/// [`desired::role::RoleError::Running`] when the shim lives; else when the kernel or the disk refuses.
pub fn clean(dir: &Path, state: &Path) -> Result<Option<TaskStatus>> {
    if !dir.exists() {
        return Ok(None);
    }
    let role = RoleDir::new(dir);
    let _lock = role.lock()?;
    let status = finish(&role, dir, state)?;
    // Last of all: with an exit record and no socket, a task is over.
    let _ = std::fs::remove_file(role.socket());
    Ok(Some(status))
}

/// [`clean`] for one who holds the lock.
pub(crate) fn finish(role: &RoleDir, dir: &Path, state: &Path) -> Result<TaskStatus> {
    let config = role.read_config().ok().and_then(|part| match part.body {
        Some(Body::Task(task)) => Some(task),
        _ => None,
    });
    let folder = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = config.as_ref().map_or_else(|| TaskId::from(folder.as_str()), |task| task.id.clone());
    let _no_helpers = resources::kill(dir, state, id.as_str())?;
    let status = match record::exit_record(dir)? {
        Some(status) => status,
        None => {
            // A status that cannot be read must not keep the task from ending.
            let last = record::last_status(dir).ok().flatten();
            let status = lost(
                last.or_else(|| config.as_deref().map(record::fresh)).unwrap_or_else(|| empty(id.clone())),
            );
            record::write_exit(dir, &status)?;
            status
        }
    };
    resources::remove(dir, state, id.as_str())?;
    Ok(status)
}

/// The last status of a task whose shim was killed in the midst of it.
fn lost(mut status: TaskStatus) -> TaskStatus {
    status.phase = TaskPhase::Stopped;
    status.execution_stopped_at.get_or_insert(Timestamp::now());
    if status.started_at.is_none() && status.error.is_none() {
        status.error = Some(LOST.to_owned());
    }
    for container in status.containers.values_mut().filter(|container| container.running) {
        container.running = false;
        container.exit_code = Some(137);
        container.reason = Some(LOST.to_owned());
    }
    status
}

fn empty(task: TaskId) -> TaskStatus {
    TaskStatus {
        task,
        phase: TaskPhase::Stopped,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        execution_stopped_at: None,
        error: None,
        containers: std::collections::BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use desired::ContainerStatus;

    #[test]
    fn a_running_container_is_lost_and_an_ended_one_keeps_its_code() {
        let mut status = empty(TaskId::mint());
        status.phase = TaskPhase::Running;
        status.started_at = Some(Timestamp::from_millis(1));
        let running = ContainerStatus { running: true, ..ContainerStatus::default() };
        let ended = ContainerStatus { exit_code: Some(3), ..ContainerStatus::default() };
        status.containers = [("a".to_owned(), running), ("b".to_owned(), ended.clone())].into();
        let status = lost(status);
        assert_eq!((status.phase, status.error), (TaskPhase::Stopped, None));
        assert_eq!(status.containers["a"].exit_code, Some(137));
        assert_eq!(status.containers["b"], ended);
    }

    #[test]
    fn a_folder_that_is_not_there_is_clean() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(clean(&state.path().join("tasks/none"), state.path()).unwrap(), None);
    }
}
