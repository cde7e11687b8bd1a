//! The API in the background: started again when it dies, for as long as its options are there.

use std::sync::Arc;
use std::time::Duration;

use desired::role::RoleDir;
use nix::unistd::Pid;
use sys::process::PidFd;

use super::backoff::Backoff;
use crate::bell::Bell;
use crate::complain;
use crate::machine::Machine;

/// How often it is looked whether the API shall run, and whether one runs that another agent started.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps `serve` running, on a thread that lives as long as the process.
///
/// `landfall up` writes `serve/options.json` and starts the agent; `landfall down` removes it first of all. A `serve`
/// that a person started in the foreground has none.
pub(crate) fn keep(machine: &Arc<Machine>) {
    let dir = RoleDir::new(machine.state.join("serve"));
    let options = dir.path().join("options.json");
    let (mut backoff, pause) = (Backoff::default(), Bell::default());
    loop {
        let wanted = options.exists() && !machine.is_ending();
        match backoff.wait() {
            Some(wait) if wanted => pause.wait(wait.min(LOOK)),
            None if wanted && !dir.is_running() => {
                backoff.started();
                if let Err(why) = live(machine, &dir) {
                    complain(&format!("serve: {why}"));
                }
            }
            _ => pause.wait(LOOK),
        }
    }
}

/// Starts the process and waits for its end.
fn live(machine: &Machine, dir: &RoleDir) -> Result<(), String> {
    let mut child = super::spawn(&machine.settings, "serve", dir, &machine.state)?;
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    let process = PidFd::open(Pid::from_raw(pid)).map_err(|error| error.to_string())?;
    while !process.wait(Duration::from_secs(3600)).map_err(|error| error.to_string())? {}
    child.wait().map(drop).map_err(|error| error.to_string())
}
