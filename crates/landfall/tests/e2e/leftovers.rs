//! What a run could leave on the machine.

use std::collections::BTreeSet;
use std::path::Path;

/// What there is of Landfall's kinds, to be compared before and after. The network interfaces, routes and rules of the
/// host's own namespace must not change at any time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leftovers {
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    links: BTreeSet<String>,
    routes: String,
    processes: BTreeSet<String>,
}

impl Leftovers {
    pub(crate) fn count() -> Self {
        Self {
            mounts: mounts(),
            cgroups: cgroups(),
            links: links(),
            routes: std::fs::read_to_string("/proc/net/route").unwrap(),
            processes: processes(),
        }
    }
}

fn mounts() -> BTreeSet<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mine = |line: &&str| line.contains(super::stack::FOLDER_PREFIX);
    text.lines().filter(mine).map(str::to_owned).collect()
}

fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        for group in std::fs::read_dir(controller.path()).into_iter().flatten().flatten() {
            if group.file_name().to_string_lossy().starts_with("landfall-") {
                found.insert(group.path().display().to_string());
            }
        }
    }
    found
}

pub(crate) fn links() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Processes that run this program in a folder of these tests.
fn processes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(super::stack::FOLDER_PREFIX) && is_running(&entry.path()) {
            found.insert(command);
        }
    }
    found
}

fn is_running(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}
