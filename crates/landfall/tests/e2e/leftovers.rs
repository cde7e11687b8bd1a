//! What a run could leave on the machine.

use std::collections::BTreeSet;
use std::path::Path;

/// What must be the same before and after, and at every moment between: the host's own network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostNetwork {
    links: BTreeSet<String>,
    routes: String,
}

impl HostNetwork {
    pub(crate) fn look() -> Self {
        let links = std::fs::read_dir("/sys/class/net").unwrap().flatten();
        Self {
            links: links.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
            routes: std::fs::read_to_string("/proc/net/route").unwrap(),
        }
    }
}

/// Everything of a state folder's that is still there: mounts, processes, control groups, the folder itself.
pub(crate) fn of(state: &Path) -> Vec<String> {
    let folder = state.to_str().unwrap();
    let mut found = Vec::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(folder)).map(|line| format!("mount {line}")));
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(folder) && is_running(&entry.path()) {
            found.push(format!("process {command}"));
        }
    }
    let group = shim::tasks_cgroup(state).unwrap().oci_path();
    let group = group.file_name().unwrap();
    for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let path = controller.path().join(group);
        if path.exists() {
            found.push(format!("control group {}", path.display()));
        }
    }
    if state.exists() {
        found.push(format!("folder {folder}"));
    }
    found
}

fn is_running(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}
