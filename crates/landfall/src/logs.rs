//! `landfall logs`: what containers wrote, from the task's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use types::Timestamp;

use crate::{status, terminal};

/// How often new lines are looked for.
const FOLLOW: Duration = Duration::from_millis(300);

/// Prints the lines of a service's or a task's containers, oldest first.
///
/// # Errors
/// When a log cannot be read.
pub fn run(state: &Path, name: &str, follow: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut shown: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
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
        for (id, dir) in &tasks {
            for container in containers(dir) {
                let key = (id.clone(), container.clone());
                let after = shown.get(&key).copied();
                for line in shim::logs::read(dir, &container)? {
                    if after.is_none_or(|after| line.time > after) {
                        shown.insert(key.clone(), line.time);
                        let short = &id[..8.min(id.len())];
                        lines.push((
                            line.time,
                            format!("{} {short}/{container} {}", line.time.iso(), line.message),
                        ));
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

/// The containers that have a log in a task's folder.
fn containers(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".log")?.to_owned())).collect();
    names.sort();
    names
}

/// The tasks that a name means (an id, an ARN, a service's name) with their folders: a running one's own, or where the
/// logs of a stopped one are kept for an hour.
fn find(state: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let id = name.rsplit('/').next().unwrap_or(name).to_owned();
    let group = format!("service:{name}");
    let mut ids: Vec<String> = status::ask(state)
        .map(|status| {
            let running = status.tasks.into_iter().map(|task| (task.id, task.group));
            let stopped = status.stopped.into_iter().map(|task| (task.id, task.group));
            running.chain(stopped).filter(|(_, of)| *of == group).map(|(id, _)| id).collect()
        })
        .unwrap_or_default();
    ids.push(id);
    let folders =
        ids.iter().flat_map(|id| ["tasks", "logs"].map(|folder| (id.clone(), state.join(folder).join(id))));
    // An id of a person's own making must not lead out of the state folder.
    folders
        .filter(|(id, folder)| id.chars().all(|c| c.is_ascii_hexdigit()) && folder.join("logs").is_dir())
        .collect()
}
