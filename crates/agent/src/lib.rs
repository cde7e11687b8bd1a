//! Makes the kernel match what is desired and reports what is.
//!
//! The agent is the one long-lived process with privilege. It keeps the parts of the desired state on disk
//! (`ledger`), has a thread for each (`keeper`) that makes networks ([`network`]) and starts, adopts and ends
//! processes (`roles`), records what goes through the networks ([`flows`]), and answers a socket of its own ([`Client`] speaks to it). It may be killed at any line: what
//! it made goes on, and the next agent takes it over.

mod bell;
mod client;
mod down;
pub mod flows;
mod keeper;
mod ledger;
mod machine;
pub mod network;
mod protocol;
mod roles;
mod socket;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use desired::role::{RoleDir, RoleError};

pub use client::Client;
pub use flows::{Action, Flow, FlowRecord, FlowReport, Seen};
pub use protocol::Summary;

/// How the agent starts other processes, and what it does at the end of all.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program that plays the roles.
    pub program: PathBuf,
    /// What stands between the program and the role's name.
    pub arguments: Vec<String>,
    /// Called with the state folder when everything else was ended: removes what roles leave for the last of them, such
    /// as the control group of all tasks. May be called again.
    pub end: fn(&Path) -> Result<(), String>,
}

impl Settings {
    /// `<this program> role <role> --dir … --state-dir …`.
    ///
    /// # Errors
    /// When this program's file is not known.
    pub fn of_this_program() -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["role".to_owned()], end: |_| Ok(()) })
    }
}

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent's folder, lock or socket failed; another agent runs.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A file failed.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A part on disk cannot be read.
    #[error("{path}: {cause}")]
    Part {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        cause: desired::MessageError,
    },
    /// A thread cannot be made.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::File { path: path.into(), cause }
    }
}

/// The folder of the agent in a state folder.
pub(crate) fn own_dir(state: &Path) -> RoleDir {
    RoleDir::new(state.join("agent"))
}

/// Plays the agent until it is told to end everything.
///
/// # Errors
/// When another agent has the state folder, or the folder or its socket cannot be used.
pub fn run(state: &Path) -> Result<(), Error> {
    run_with(state, Settings::of_this_program().map_err(Error::file("/proc/self/exe"))?)
}

/// The same with settings of the caller's.
///
/// # Errors
/// As [`run`].
pub fn run_with(state: &Path, settings: Settings) -> Result<(), Error> {
    let dir = own_dir(state);
    std::fs::create_dir_all(dir.path()).map_err(Error::file(dir.path()))?;
    let _lock = dir.lock()?;
    let machine = Arc::new(machine::Machine::new(state, settings)?);
    let ended = socket::answer(&machine, &dir)?;
    machine.begin()?;
    if down::was_begun(state) {
        // An agent before this one was killed in the midst of it.
        machine.spawn("down", |machine| {
            if let Err(why) = down::down(&machine, false, down::Then::GoOn) {
                complain(&format!("what an agent began to take down cannot be: {why}"));
            }
        })?;
    }
    machine.spawn("serve", |machine| roles::serve::keep(&machine))?;
    // Only the end of everything ends the agent.
    let _ = ended.recv();
    let _ = std::fs::remove_file(dir.socket());
    Ok(())
}

/// Says something to whoever reads the agent's log.
pub(crate) fn complain(message: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{} {message}", types::Timestamp::now().iso());
}
