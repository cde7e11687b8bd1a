//! `landfall logs`: what containers wrote, from the task's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use desired::role::RoleDir;
use desired::{Body, Part};
use types::Timestamp;

use crate::{status, terminal};

/// How often new lines are looked for.
const FOLLOW: Duration = Duration::from_millis(300);

/// Prints the lines of a service's or a task's containers, oldest first.
///
/// # Errors
/// When a log cannot be read.
pub fn run(state: &Path, name: &str, follow: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut shown: BTreeMap<(PathBuf, String), Timestamp> = BTreeMap::new();
    let mut first = true;
    loop {
        let tasks = find(state, name);
        if tasks.is_empty() && first {
            terminal::warn(&format!(
                "there is no service or task '{name}' with logs; `landfall status` lists them"
            ));
            return Ok(ExitCode::FAILURE);
        }
        let mut lines = Vec::new();
        for (dir, part) in &tasks {
            let Some(Body::Task(task)) = &part.body else { continue };
            for container in &task.containers {
                let key = (dir.clone(), container.name.clone());
                let after = shown.get(&key).copied();
                for line in shim::logs::read(dir, &container.name)? {
                    if after.is_none_or(|after| line.time > after) {
                        shown.insert(key.clone(), line.time);
                        let id = task.id.as_str();
                        let prefix = format!("{}/{}", &id[..8.min(id.len())], container.name);
                        lines.push((line.time, format!("{} {prefix} {}", line.time.iso(), line.message)));
                    }
                }
            }
        }
        lines.sort();
        for (_, text) in lines {
            terminal::line(&text);
        }
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        first = false;
        std::thread::park_timeout(FOLLOW);
    }
}

/// The folders of the tasks that a name means: an id, an ARN, a service's name.
fn find(state: &Path, name: &str) -> Vec<(PathBuf, Part)> {
    let id = name.rsplit('/').next().unwrap_or(name);
    let of_service: Vec<String> = status::ask(state)
        .map(|status| {
            let group = format!("service:{name}");
            status.tasks.into_iter().filter(|task| task.group == group).map(|task| task.id).collect()
        })
        .unwrap_or_default();
    let folders = std::fs::read_dir(state.join("tasks")).into_iter().flatten().flatten();
    folders
        .filter(|entry| {
            let folder = entry.file_name().to_string_lossy().into_owned();
            folder == id || of_service.contains(&folder)
        })
        .filter_map(|entry| Some((entry.path(), RoleDir::new(entry.path()).read_config().ok()?)))
        .collect()
}
