//! `up` and `down`: the system in the background.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use desired::role::RoleDir;
use serde::{Deserialize, Serialize};
use types::AccountId;

use crate::cli::{ServeArgs, Switch};
use crate::serve::keys::{Keys, make_state};
use crate::status::{self, Status};

/// How `serve` shall run in the background: kept, so that the agent can start it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Where the API answers.
    pub listen: SocketAddr,
    /// Where load balancers are reached.
    pub host_address: Ipv4Addr,
    /// The account asked for.
    pub account: Option<AccountId>,
    /// Whether signatures are verified.
    pub verify: bool,
}

impl From<&ServeArgs> for Options {
    fn from(args: &ServeArgs) -> Self {
        Self {
            listen: args.listen,
            host_address: args.host_address,
            account: args.account.clone(),
            verify: args.auth == Switch::On,
        }
    }
}

/// Why the system cannot be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundError {
    /// The machine is not fit.
    #[error("this machine cannot run Landfall:\n{0}")]
    Unfit(String),
    /// The keys or the folder failed.
    #[error(transparent)]
    Keys(#[from] crate::serve::keys::KeysError),
    /// A file failed.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A process cannot be started.
    #[error(transparent)]
    Start(#[from] sys::Error),
    /// It did not get ready.
    #[error("the API did not get ready within {seconds} s. Its log:\n{log}")]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// The agent refuses.
    #[error(transparent)]
    Host(#[from] desired::HostError),
    /// Another configuration runs.
    #[error("Landfall runs already with other options ({found}): `landfall down` first")]
    Differs {
        /// How it runs.
        found: String,
    },
}

/// The folder of `serve`.
pub fn serve_dir(state: &Path) -> RoleDir {
    RoleDir::new(state.join("serve"))
}

/// The folder of the agent.
pub fn agent_dir(state: &Path) -> RoleDir {
    RoleDir::new(state.join("agent"))
}

/// Reads how `serve` shall run in the background. None: it shall not.
pub fn options(state: &Path) -> Option<Options> {
    serde_json::from_slice(&std::fs::read(state.join("serve/options.json")).ok()?).ok()
}

/// Starts the agent if none runs.
///
/// # Errors
/// When its process cannot be started.
pub fn start_agent(state: &Path) -> Result<(), BackgroundError> {
    let dir = agent_dir(state);
    if dir.is_running() {
        return Ok(());
    }
    let file = |cause| BackgroundError::File { path: dir.path().display().to_string(), cause };
    std::fs::create_dir_all(dir.path()).map_err(file)?;
    let program = std::env::current_exe().map_err(file)?;
    let arguments = [
        "role".as_ref(),
        "agent".as_ref(),
        "--dir".as_ref(),
        dir.path().as_os_str(),
        "--state-dir".as_ref(),
        state.as_os_str(),
    ];
    let mut child = sys::process::spawn_detached(&program, &arguments, &dir.log())?;
    // Its parent waits for it, so that it leaves no zombie when it ends first.
    let _ = std::thread::Builder::new().name("agent-wait".to_owned()).spawn(move || child.wait());
    Ok(())
}

/// Starts everything in the background and waits until the API answers.
///
/// # Errors
/// When the machine is not fit, or the API does not get ready.
pub fn up(state: &Path, args: &ServeArgs) -> Result<Status, BackgroundError> {
    let options = Options::from(args);
    if let Some(status) = status::ask(state) {
        let same = status.listen == options.listen && status.verify == options.verify;
        return if same {
            Ok(status)
        } else {
            Err(BackgroundError::Differs { found: format!("listening on {}", status.listen) })
        };
    }
    crate::serve::check_machine(state, options.listen, options.host_address)?;
    make_state(state)?;
    Keys::load_or_mint(state, options.account.as_ref())?;
    let dir = serve_dir(state);
    let path = dir.path().join("options.json");
    let file = |cause| BackgroundError::File { path: path.display().to_string(), cause };
    std::fs::create_dir_all(dir.path()).map_err(file)?;
    let text = serde_json::to_vec(&options).map_err(|error| file(error.into()))?;
    std::fs::write(&path, text).map_err(file)?;
    start_agent(state)?;
    let patience = Duration::from_secs(20);
    wait_for(patience, || status::ask(state))
        .ok_or_else(|| BackgroundError::NotReady { seconds: patience.as_secs(), log: tail(&dir.log()) })
}

/// Asks again and again until there is an answer or the time is over.
pub fn wait_for<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The end of a log.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Ends everything; with `purge` the state folder goes too. Nothing that runs is no error.
///
/// # Errors
/// When the agent cannot be started to clean up, or does not get done.
pub fn down(state: &Path, purge: bool) -> Result<(), BackgroundError> {
    if !state.exists() {
        return Ok(());
    }
    let dir = serve_dir(state);
    let options = dir.path().join("options.json");
    match std::fs::remove_file(&options) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(BackgroundError::File { path: options.display().to_string(), cause });
        }
        _ => (),
    }
    status::stop(state);
    wait_for(Duration::from_secs(10), || (!dir.is_running()).then_some(()));
    // The agent cleans up; one that died is started again for it.
    start_agent(state)?;
    let client = agent::Client::new(state);
    wait_for(Duration::from_secs(10), || client.is_ready().then_some(()));
    client.down(purge)?;
    wait_for(Duration::from_secs(10), || (!agent_dir(state).is_running()).then_some(()));
    if purge {
        std::fs::remove_dir_all(state)
            .map_err(|cause| BackgroundError::File { path: state.display().to_string(), cause })?;
    }
    Ok(())
}
