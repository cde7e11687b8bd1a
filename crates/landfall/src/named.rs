//! The tasks that a service's name means: as `serve` knows them or, while it is dead, from the tasks' folders.

use std::path::Path;

use desired::Body;
use desired::role::RoleDir;

use crate::status;

/// The tasks of a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Tasks {
    /// Those that run, by their ids.
    pub running: Vec<String>,
    /// Those that end or have ended within the last hour. From folders: those that end.
    pub ended: Vec<String>,
    /// Whether `serve` was heard.
    pub is_told: bool,
}

/// Finds the tasks of a service.
pub fn of_service(state: &Path, service: &str) -> Tasks {
    let Some(status) = status::ask(state) else { return in_folders(state, service) };
    let group = format!("service:{service}");
    let tasks = status.tasks.into_iter().filter(|task| task.group == group);
    let (running, other): (Vec<_>, Vec<_>) = tasks.partition(|task| task.status == "RUNNING");
    let stopped = status.stopped.into_iter().filter(|task| task.group == group).map(|task| task.id);
    Tasks {
        running: running.into_iter().map(|task| task.id).collect(),
        ended: other.into_iter().map(|task| task.id).chain(stopped).collect(),
        is_told: true,
    }
}

/// A task's folder has its part, which names its service.
fn in_folders(state: &Path, service: &str) -> Tasks {
    let mut tasks = Tasks { running: Vec::new(), ended: Vec::new(), is_told: false };
    let folders = std::fs::read_dir(state.join("tasks")).into_iter().flatten().flatten();
    for folder in folders {
        let Ok(part) = RoleDir::new(folder.path()).read_config() else { continue };
        let Some(Body::Task(task)) = part.body else { continue };
        if task.metadata.service != service || service.is_empty() {
            continue;
        }
        let ids = if task.stop { &mut tasks.ended } else { &mut tasks.running };
        ids.push(task.id.to_string());
    }
    tasks.running.sort();
    tasks.ended.sort();
    tasks
}

/// Why nothing was found by a name while `serve` was silent, and what to do about it.
pub fn silence(state: &Path, name: &str) -> String {
    let has_any = |folder: &str| {
        std::fs::read_dir(state.join(folder)).is_ok_and(|mut entries| entries.next().is_some())
    };
    if !has_any("tasks") && !has_any("logs") {
        return status::silence(state);
    }
    format!(
        "`serve` does not answer, and without it only tasks' ids and the services of running tasks are known: '{name}' is \
         none of these; `landfall up` starts what does not run"
    )
}

#[cfg(test)]
mod tests {
    use desired::{Dns, Part, PullIdentity, Task, TaskMetadata};
    use types::{NetworkInterfaceId, PartId, TaskId, VpcId};

    use super::*;

    fn keep(state: &Path, id: &str, service: &str, stop: bool) {
        let task = Task {
            id: TaskId::from(id),
            arn: String::new(),
            vpc: VpcId::from("vpc-1"),
            interface: NetworkInterfaceId::from("eni-1"),
            cpu: 256,
            memory: 512,
            dns: Dns::default(),
            containers: Vec::new(),
            pull: PullIdentity::default(),
            role: None,
            volumes: Vec::new(),
            shares_processes: false,
            ephemeral_storage: 0,
            metadata: TaskMetadata { service: service.to_owned(), ..TaskMetadata::default() },
            stop,
        };
        let dir = state.join("tasks").join(id);
        std::fs::create_dir_all(&dir).unwrap();
        let part =
            Part { id: PartId::Task(task.id.clone()), generation: 1, body: Some(Body::Task(Box::new(task))) };
        RoleDir::new(dir).write_config(&part).unwrap();
    }

    #[test]
    fn while_serve_is_dead_a_services_tasks_are_found_in_their_folders() {
        let state = tempfile::tempdir().unwrap();
        for (id, service, stop) in
            [("0a", "talk", false), ("0b", "talk", true), ("0c", "other", false), ("0d", "", false)]
        {
            keep(state.path(), id, service, stop);
        }
        std::fs::create_dir(state.path().join("tasks/0e")).unwrap();
        let found = of_service(state.path(), "talk");
        let want = Tasks { running: vec!["0a".to_owned()], ended: vec!["0b".to_owned()], is_told: false };
        assert_eq!(found, want);
        let none = Tasks { running: Vec::new(), ended: Vec::new(), is_told: false };
        assert_eq!(of_service(state.path(), "talks"), none);
        assert_eq!(of_service(state.path(), ""), none);
    }

    #[test]
    fn a_name_that_is_not_found_without_serve_is_told_with_why() {
        let state = tempfile::tempdir().unwrap();
        let missing = state.path().join("none");
        assert_eq!(silence(&missing, "talk"), status::silence(&missing));
        keep(state.path(), "0a", "other", false);
        let why = silence(state.path(), "talk");
        assert!(
            why.starts_with("`serve` does not answer") && why.contains("'talk' is none of these"),
            "{why}"
        );
    }
}
