//! `up` and `down`: the system in the background.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
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
    /// How often the platform measures itself, in seconds.
    #[serde(default = "minute")]
    pub metric_period: u32,
    /// Whether to turn the way to the real network on or off at the start. It is kept in the store: who starts `serve`
    /// again does not say it again.
    #[serde(skip)]
    pub internet: Option<bool>,
}

/// The period of AWS's metrics.
pub(crate) fn minute() -> u32 {
    60
}

impl From<&ServeArgs> for Options {
    fn from(args: &ServeArgs) -> Self {
        Self {
            listen: args.listen,
            host_address: args.host_address,
            account: args.account.clone(),
            verify: args.auth == Switch::On,
            metric_period: args.metric_period,
            internet: args.internet.map(|switch| switch == Switch::On),
        }
    }
}

impl From<&Status> for Options {
    fn from(status: &Status) -> Self {
        Self {
            listen: status.listen,
            host_address: status.host_address,
            account: AccountId::new(&status.account).ok(),
            verify: status.verify,
            metric_period: status.metric_period,
            internet: None,
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
    /// A folder with something else in it.
    #[error(
        "{path} is no state folder of Landfall: it holds '{found}'. Choose another --state-dir, one that is empty or \
         not there yet"
    )]
    Foreign {
        /// The folder.
        path: String,
        /// What is in it.
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

/// What Landfall makes in its state folder, and what a file system of its own begins with.
const OUR_OWN: [&str; 21] = [
    "agent",
    "content",
    "credentials.json",
    "credentials.json.next",
    "demo",
    "edge",
    "endpoints.json",
    "endpoints.json.next",
    "events",
    "landfall.db",
    "landfall.db-shm",
    "landfall.db-wal",
    "lb",
    "logs",
    "lost+found",
    "netns",
    "registry",
    "resolver",
    "serve",
    "snapshots",
    "tasks",
];

/// Refuses a folder that somebody else keeps things in: `down --purge` deletes the whole of it.
///
/// # Errors
/// [`BackgroundError::Foreign`]; [`BackgroundError::File`] when it cannot be looked at.
pub fn check_folder(state: &Path) -> Result<(), BackgroundError> {
    let file = |cause| BackgroundError::File { path: state.display().to_string(), cause };
    let entries = match std::fs::read_dir(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(file)?,
    };
    if state.join("credentials.json").is_file() {
        return Ok(());
    }
    for entry in entries {
        let name = entry.map_err(file)?.file_name().to_string_lossy().into_owned();
        if !OUR_OWN.contains(&name.as_str()) {
            return Err(BackgroundError::Foreign { path: state.display().to_string(), found: name });
        }
    }
    Ok(())
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

/// How long `serve` has time to start the agent again before another does.
const AGENT_AWAY: Duration = Duration::from_secs(3);

/// Starts the agent again when it was killed and `serve`, which looks after it, too; on a thread that lives as long as
/// the process. One that ended in good order took its socket away and is left alone, and so is a removed folder.
///
/// # Errors
/// When no thread can be made.
pub fn guard_agent(state: &Path) -> std::io::Result<()> {
    let (state, socket) = (state.to_owned(), agent_dir(state).socket());
    let guard = move || {
        loop {
            match UnixStream::connect(&socket) {
                // It says nothing unasked: this waits for its end.
                Ok(mut agent) => drop(agent.read(&mut [0])),
                Err(_) if socket.exists() => drop(start_agent(&state)),
                Err(_) => (),
            }
            std::thread::park_timeout(AGENT_AWAY);
        }
    };
    std::thread::Builder::new().name("agent-guard".to_owned()).spawn(guard).map(drop)
}

/// Starts everything in the background and waits until the API answers.
///
/// # Errors
/// When the machine is not fit, or the API does not get ready.
pub fn up(state: &Path, args: &ServeArgs) -> Result<Status, BackgroundError> {
    let options = Options::from(args);
    if let Some(status) = status::ask(state) {
        return match difference(&options, &Options::from(&status)) {
            None => Ok(status),
            Some(found) => Err(BackgroundError::Differs { found }),
        };
    }
    check_folder(state)?;
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

/// How what runs is other than what is asked for.
fn difference(asked: &Options, running: &Options) -> Option<String> {
    if running.listen != asked.listen {
        return Some(format!("listening on {}", running.listen));
    }
    if running.host_address != asked.host_address {
        return Some(format!("load balancers on {}", running.host_address));
    }
    if running.verify != asked.verify {
        return Some(format!("--auth {}", if running.verify { "on" } else { "off" }));
    }
    if running.metric_period != asked.metric_period {
        return Some(format!("--metric-period {}", running.metric_period));
    }
    match (&asked.account, &running.account) {
        (Some(asked), Some(running)) if asked != running => Some(format!("account {running}")),
        _ => None,
    }
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

/// How many agents in a row may die while they take everything down.
const DOWN_TRIES: u32 = 4;

/// Ends everything; with `purge` the state folder goes too. Nothing that runs is no error.
///
/// # Errors
/// When the agent cannot be started to clean up, or does not get done.
pub fn down(state: &Path, purge: bool) -> Result<(), BackgroundError> {
    if !state.exists() {
        return Ok(());
    }
    check_folder(state)?;
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
    // The agent cleans up; one that died is started again for it, and one that dies in the midst of it is followed by
    // another that goes on.
    let client = agent::Client::new(state);
    let mut tries = 1;
    loop {
        start_agent(state)?;
        wait_for(Duration::from_secs(10), || client.is_ready().then_some(()));
        match client.down(purge) {
            Err(desired::HostError::Unreachable(_)) if tries < DOWN_TRIES && !client.is_ready() => tries += 1,
            answer => break answer?,
        }
    }
    wait_for(Duration::from_secs(10), || (!agent_dir(state).is_running()).then_some(()));
    if purge {
        std::fs::remove_dir_all(state)
            .map_err(|cause| BackgroundError::File { path: state.display().to_string(), cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_else_keeps_things_in_is_neither_used_nor_deleted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(check_folder(folder.path()), Err(BackgroundError::Foreign { .. })));
        let refused = down(folder.path(), true);
        assert!(matches!(refused, Err(BackgroundError::Foreign { .. })), "{refused:?}");
        let entries: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(entries.len(), 1, "something was made or deleted: {entries:?}");
    }

    #[test]
    fn a_state_folder_is_taken_at_every_step_of_its_making_and_of_its_deletion() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        check_folder(&state).unwrap();
        std::fs::create_dir(&state).unwrap();
        check_folder(&state).unwrap();
        std::fs::create_dir(state.join("serve")).unwrap();
        std::fs::write(state.join("credentials.json.next"), "{").unwrap();
        check_folder(&state).unwrap();
        std::fs::write(state.join("credentials.json"), "{}").unwrap();
        std::fs::write(state.join("landfall.db"), "").unwrap();
        std::fs::write(state.join("notes.txt"), "written there by hand, later").unwrap();
        check_folder(&state).unwrap();
        std::fs::remove_file(state.join("notes.txt")).unwrap();
        std::fs::remove_file(state.join("credentials.json")).unwrap();
        check_folder(&state).unwrap();
    }

    #[test]
    fn what_runs_with_other_options_is_told_by_what_differs() {
        let asked = Options {
            listen: "127.0.0.1:4566".parse().unwrap(),
            host_address: Ipv4Addr::LOCALHOST,
            account: None,
            verify: true,
            metric_period: 60,
            internet: None,
        };
        let account = Some(AccountId::new("000000000001").unwrap());
        let running = Options { account, ..asked.clone() };
        assert_eq!(difference(&asked, &running), None);
        let other = Options { host_address: Ipv4Addr::new(127, 0, 0, 2), ..asked.clone() };
        assert_eq!(difference(&other, &running).as_deref(), Some("load balancers on 127.0.0.1"));
        let other = Options { account: Some(AccountId::new("123456789012").unwrap()), ..asked.clone() };
        assert_eq!(difference(&other, &running).as_deref(), Some("account 000000000001"));
        let other = Options { verify: false, ..asked };
        assert_eq!(difference(&other, &running).as_deref(), Some("--auth on"));
    }
}
