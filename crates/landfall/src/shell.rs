//! `landfall shell`: a terminal in a container.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use desired::Body;
use desired::role::RoleDir;

use crate::named;

/// Runs a program in a container of a task; ends with its exit code.
///
/// # Errors
/// When the task or the container is not there, or the program cannot be started.
pub fn run(
    state: &Path,
    name: &str,
    container: Option<&str>,
    command: &[String],
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let dir = find(state, name)?;
    let part = RoleDir::new(&dir).read_config()?;
    let Some(Body::Task(task)) = part.body else { return Err(format!("the task {name} is gone").into()) };
    let names: Vec<&str> = task.containers.iter().map(|container| container.name.as_str()).collect();
    let container = match (container, &*task.containers) {
        (None, [only]) => only,
        (None, _) => {
            return Err(format!("say which container: --container {}", names.join(" or --container ")).into());
        }
        (Some(given), containers) => containers
            .iter()
            .find(|container| container.name == given)
            .ok_or_else(|| format!("the task has no container {given}; it has {}", names.join(", ")))?,
    };
    let default = ["/bin/sh".to_owned()];
    let command = if command.is_empty() { &default } else { command };
    let code = shim::shell(&dir, container, command)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The folder of a running task: by its id, the beginning of its id, its ARN, or the name of a service that has one task.
fn find(state: &Path, name: &str) -> Result<PathBuf, String> {
    let id = name.rsplit('/').next().unwrap_or(name);
    let folder = state.join("tasks");
    let mut ids: Vec<String> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|found| !id.is_empty() && found.starts_with(id))
        .collect();
    let mut is_told = true;
    if ids.is_empty() {
        let tasks = named::of_service(state, id);
        is_told = tasks.is_told;
        ids = tasks.running;
    }
    match &*ids {
        [id] => Ok(folder.join(id)),
        [] if !is_told => Err(named::silence(state, name)),
        [] => Err(format!("no task '{name}' runs; `landfall status` lists them")),
        several => Err(format!("'{name}' means several tasks: {}", several.join(", "))),
    }
}
