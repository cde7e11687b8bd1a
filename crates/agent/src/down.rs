//! The end of everything, in order.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use types::PartId;

use crate::complain;
use crate::machine::Machine;

/// Parts that end side by side.
struct Phase {
    what: &'static str,
    parts: fn(&PartId) -> bool,
    patience: Duration,
}

/// A container may take 120 seconds to stop, and several stop side by side.
const TASKS: Duration = Duration::from_secs(180);
/// Load balancers finish what is in flight, or are killed.
const ROLES: Duration = Duration::from_secs(120);
const NETWORKS: Duration = Duration::from_secs(60);

fn marker(state: &Path) -> std::path::PathBuf {
    state.join("agent/down")
}

/// Whether an agent was killed while it took everything down.
pub(crate) fn was_begun(state: &Path) -> bool {
    marker(state).exists()
}

/// What comes when everything has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The agent ends too; it takes no parts any more.
    End,
    /// The agent goes on, with no parts.
    GoOn,
}

/// Ends tasks, then load balancers, host ports and DNS, then networks, and removes their folders; with `purge` the
/// images that tasks have pulled too. Cut off at any line, the next agent goes on with it.
pub(crate) fn down(machine: &Arc<Machine>, purge: bool, then: Then) -> Result<(), String> {
    let mut over = machine.taking_down.lock().unwrap_or_else(PoisonError::into_inner);
    if *over {
        // Another has ended everything while this one waited, and the agent is about to end.
        return Ok(());
    }
    machine.set_ending(true);
    let result = end_all(machine, purge);
    *over = result.is_ok() && then == Then::End;
    machine.set_ending(*over);
    result
}

fn end_all(machine: &Arc<Machine>, purge: bool) -> Result<(), String> {
    let file = |path: &Path, cause: std::io::Error| format!("{}: {cause}", path.display());
    let marker = marker(&machine.state);
    if let Err(cause) = std::fs::write(&marker, "") {
        // A full disk keeps nothing from ending.
        complain(&format!("{}; it ends without", file(&marker, cause)));
    }
    let phases = [
        Phase { what: "tasks", parts: |id| matches!(id, PartId::Task(_)), patience: TASKS },
        Phase { what: "roles", parts: |id| !matches!(id, PartId::Vpc(_)), patience: ROLES },
        Phase { what: "networks", parts: |_| true, patience: NETWORKS },
    ];
    for Phase { what, parts, patience } in phases {
        if !machine.remove(parts, patience).map_err(|error| error.to_string())? {
            return Err(format!("not all {what} ended within {} s; see the agent's log", patience.as_secs()));
        }
    }
    machine.network.remove_all().map_err(|error| error.to_string())?;
    let images: &[&str] = if purge { &["content", "logs", "snapshots"] } else { &[] };
    for folder in ["tasks", "lb", "edge", "resolver"].iter().chain(images) {
        let path = machine.state.join(folder);
        match std::fs::remove_dir_all(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(file(&path, cause)),
            _ => (),
        }
    }
    (machine.settings.end)(&machine.state)?;
    match std::fs::remove_file(&marker) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(file(&marker, cause)),
        _ => Ok(()),
    }
}
