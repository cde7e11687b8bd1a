//! What a task's containers wrote, kept for as long as the stopped task is visible.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use types::TaskId;

/// Stopped tasks are visible for an hour ("DescribeTasks"), and so are their logs.
const KEPT: Duration = Duration::from_secs(3600);

/// Moves a task's logs to `logs/<task>/logs` in the state folder, and deletes those that were kept long enough. May be
/// repeated.
pub(super) fn keep(state: &Path, folder: &Path, task: &TaskId) -> Result<(), String> {
    let kept = state.join("logs");
    let own = kept.join(task.as_str());
    let fail = |path: &Path, cause: std::io::Error| format!("{}: {cause}", path.display());
    if folder.join("logs").exists() {
        std::fs::create_dir_all(&own).map_err(|cause| fail(&own, cause))?;
        match std::fs::rename(folder.join("logs"), own.join("logs")) {
            // Kept already by an agent that was killed after it.
            Err(cause) if !matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                return Err(fail(&own, cause));
            }
            _ => (),
        }
    }
    for entry in std::fs::read_dir(&kept).into_iter().flatten().flatten() {
        let modified =
            entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now());
        if modified.elapsed().is_ok_and(|age| age > KEPT) {
            std::fs::remove_dir_all(entry.path()).map_err(|cause| fail(&entry.path(), cause))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_s_logs_outlive_its_folder() {
        let state = tempfile::tempdir().unwrap();
        let task = TaskId::from("0123");
        let folder = state.path().join("tasks/0123");
        std::fs::create_dir_all(folder.join("logs")).unwrap();
        std::fs::write(folder.join("logs/app.log"), "x").unwrap();
        keep(state.path(), &folder, &task).unwrap();
        keep(state.path(), &folder, &task).unwrap();
        assert!(!folder.join("logs").exists());
        assert_eq!(std::fs::read_to_string(state.path().join("logs/0123/logs/app.log")).unwrap(), "x");
    }
}
