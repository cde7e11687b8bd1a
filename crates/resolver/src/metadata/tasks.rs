//! Whose an id is: found out from the tasks' folders alone, so that the control plane may be away.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desired::role::RoleDir;
use desired::{Body, Task, TaskStatus, decode};

use super::Asker;

/// How long a task's use of storage is told without looking again: its files have to be counted.
const STORAGE_KNOWN: Duration = Duration::from_secs(10);

/// An id of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Id<'a> {
    /// A container's.
    Container(&'a str),
    /// A task role's.
    Role(&'a str),
}

/// A task with what its shim said last.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) task: Task,
    pub(crate) status: Option<TaskStatus>,
    folder: PathBuf,
}

/// The tasks of a state folder.
#[derive(Debug)]
pub(crate) struct Tasks {
    state: PathBuf,
    known: Mutex<Known>,
}

/// What was found out before. None of it is believed without another look.
#[derive(Debug, Default)]
struct Known {
    /// An address's task's folder. Addresses go from task to task, in a VPC and among VPCs.
    folders: HashMap<(types::VpcId, Ipv4Addr), PathBuf>,
    storage: HashMap<PathBuf, (Instant, u64)>,
}

impl Tasks {
    /// Of `state`/tasks.
    pub(crate) fn new(state: PathBuf) -> Self {
        Self { state, known: Mutex::default() }
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that owns an id, if it is the asker: any other's is as unknown as one that was never given.
    pub(crate) fn find(&self, asker: &Asker, id: &Id<'_>) -> Option<Owned> {
        let key = (asker.vpc.clone(), asker.address);
        let remembered = self.known().folders.get(&key).cloned();
        if let Some(owned) = remembered.and_then(|folder| read(folder, asker, id)) {
            return Some(owned);
        }
        let folders = std::fs::read_dir(self.state.join("tasks")).ok()?.flatten();
        let found = folders.into_iter().find_map(|entry| read(entry.path(), asker, id));
        match &found {
            Some(owned) => self.known().folders.insert(key, owned.folder.clone()),
            None => self.known().folders.remove(&key),
        };
        found
    }

    /// How much the task's containers have written, in bytes.
    pub(crate) fn storage_used(&self, owned: &Owned) -> u64 {
        let now = Instant::now();
        let mut known = self.known();
        known.storage.retain(|_, (at, _)| now.duration_since(*at) < STORAGE_KNOWN);
        if let Some((_, bytes)) = known.storage.get(&owned.folder) {
            return *bytes;
        }
        drop(known);
        let bytes = allocated(&owned.folder);
        self.known().storage.insert(owned.folder.clone(), (now, bytes));
        bytes
    }
}

/// A folder's task, if the id is its own and the asker is it.
fn read(folder: PathBuf, asker: &Asker, id: &Id<'_>) -> Option<Owned> {
    let Some(Body::Task(task)) = RoleDir::new(&folder).read_config().ok()?.body else { return None };
    let is_asker = task.vpc == asker.vpc && task.metadata.address == Some(asker.address);
    let is_own = match id {
        Id::Container(id) => {
            !id.is_empty() && task.containers.iter().any(|container| container.endpoint == *id)
        }
        Id::Role(id) => !id.is_empty() && task.role.as_ref().is_some_and(|role| role.id == *id),
    };
    if !is_asker || !is_own {
        return None;
    }
    // The shim writes it whole or not at all; before it has, nothing has happened yet.
    let status = std::fs::read(folder.join("status.json")).ok().and_then(|bytes| decode(&bytes).ok());
    Some(Owned { task: *task, status, folder })
}

/// The bytes on disk of all files below a folder, without what is mounted there. What goes meanwhile counts nothing.
fn allocated(root: &Path) -> u64 {
    let Ok(device) = root.metadata().map(|metadata| metadata.dev()) else { return 0 };
    let (mut bytes, mut open) = (0, vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.path().symlink_metadata() else { continue };
            if metadata.dev() != device {
                continue;
            }
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::task;
    use super::*;
    use desired::Part;
    use types::{PartId, VpcId};

    fn asker(vpc: &str, last: u8) -> Asker {
        let address = Ipv4Addr::new(10, 0, 1, last);
        Asker { vpc: VpcId::from(vpc), address, dns_servers: Vec::new(), api: None }
    }

    #[test]
    fn only_the_task_itself_is_told_and_by_no_other_kind_of_id() {
        let state = tempfile::tempdir().unwrap();
        let write = |task: Task| {
            let role = RoleDir::new(state.path().join("tasks").join(task.id.as_str()));
            let body = Some(Body::Task(Box::new(task.clone())));
            role.write_config(&Part { id: PartId::Task(task.id), generation: 1, body }).unwrap();
        };
        write(task("a", 9));
        write(task("b", 10));
        let tasks = Tasks::new(state.path().to_owned());
        for (vpc, last, id, found) in [
            ("vpc-1", 9, Id::Container("a-app"), true),
            ("vpc-1", 9, Id::Role("a-role"), true),
            ("vpc-1", 10, Id::Container("b-app"), true),
            // Another task of the VPC, another VPC's host of the same address, the other kind of id, none.
            ("vpc-1", 10, Id::Container("a-app"), false),
            ("vpc-1", 10, Id::Role("a-role"), false),
            ("vpc-2", 9, Id::Container("a-app"), false),
            ("vpc-1", 9, Id::Container("a-role"), false),
            ("vpc-1", 9, Id::Role("a-app"), false),
            ("vpc-1", 9, Id::Container(""), false),
        ] {
            assert_eq!(tasks.find(&asker(vpc, last), &id).is_some(), found, "{vpc} {last} {id:?}");
        }
        // A new key pair is told at once.
        let mut renewed = task("a", 9);
        if let Some(role) = &mut renewed.role {
            role.access_key_id = "ASIANEW".to_owned();
        }
        write(renewed);
        let owned = tasks.find(&asker("vpc-1", 9), &Id::Role("a-role")).unwrap();
        assert_eq!(owned.task.role.unwrap().access_key_id, "ASIANEW");
    }

    #[test]
    fn a_task_s_files_are_counted_as_they_lie_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("upper")).unwrap();
        std::fs::write(folder.path().join("upper/file"), vec![1; 100_000]).unwrap();
        assert!((100_000..200_000).contains(&allocated(folder.path())));
    }
}
