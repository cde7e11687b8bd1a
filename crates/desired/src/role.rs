//! How a data-plane role (shim, balancer, edge, resolver) lives: a folder, a lock, a socket.
//!
//! The folder holds `config.json`, the role's last [`Part`] as [`crate::encode`] writes it; `role.lock`, held by
//! `flock` for as long as the role lives, so that liveness needs no process id; `role.sock`; and `role.log`. The agent
//! writes `config.json` before it starts a role and before each [`Request::Apply`], so that a role that is started
//! again knows what to be without the control plane.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Deserialize, Serialize};
use types::PartId;

use crate::message::{Frames, MessageError, decode, encode};
use crate::{LoadBalancerUsage, Observation, Observed, Part};

/// What a role is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "a request is made, sent and dropped; none is kept")]
pub enum Request {
    /// Be this. Answered once it is taken over.
    Apply(Part),
    /// Tell what has happened after a number, waiting at most this long for news.
    Observe {
        /// [`Observed::next`] of the answer before; 0 at first.
        after: u64,
        /// How long to wait.
        timeout: Duration,
    },
    /// Tell what was counted since the process began.
    Usage,
    /// End in good order. A shim stops its task first.
    Stop,
}

/// What a role answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// The news.
    Observed(Observed),
    /// What was counted.
    Usage(LoadBalancerUsage),
    /// Not done, and why.
    Refused(String),
}

/// Why a role cannot start or be reached.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// A file of the folder failed.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// Another process plays this role.
    #[error("{0} is locked: this role runs already")]
    Running(PathBuf),
    /// A message failed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The role refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// The folder of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDir(PathBuf);

impl RoleDir {
    /// Names a folder; it need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the role answers.
    pub fn socket(&self) -> PathBuf {
        self.0.join("role.sock")
    }

    /// Where the role's own messages go.
    pub fn log(&self) -> PathBuf {
        self.0.join("role.log")
    }

    fn file(path: PathBuf) -> impl FnOnce(std::io::Error) -> RoleError {
        move |cause| RoleError::File { path, cause }
    }

    /// Writes the part that the role shall be, readable by the owner alone, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_config(&self, part: &Part) -> Result<(), RoleError> {
        std::fs::create_dir_all(&self.0).map_err(Self::file(self.0.clone()))?;
        std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o700))
            .map_err(Self::file(self.0.clone()))?;
        let (path, next) = (self.0.join("config.json"), self.0.join("config.json.next"));
        let write = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(&encode(part)?)?;
            file.sync_all()?;
            std::fs::rename(&next, &path)
        };
        write().map_err(Self::file(path.clone()))
    }

    /// Reads the part that the role shall be.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read_config(&self) -> Result<Part, RoleError> {
        let path = self.0.join("config.json");
        let bytes = std::fs::read(&path).map_err(Self::file(path))?;
        Ok(decode(&bytes)?)
    }

    /// Takes the lock for the life of the returned file.
    ///
    /// # Errors
    /// [`RoleError::Running`] when another process holds it.
    pub fn lock(&self) -> Result<File, RoleError> {
        let path = self.0.join("role.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Self::file(path.clone()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(RoleError::Running(path)),
            Err(TryLockError::Error(cause)) => Err(RoleError::File { path, cause }),
        }
    }

    /// Whether a process plays the role now.
    pub fn is_running(&self) -> bool {
        self.0.join("role.lock").exists() && matches!(self.lock(), Err(RoleError::Running(_)))
    }

    /// Asks the role one thing. An [`Request::Observe`] is given its own time-out on top of `patience`.
    ///
    /// # Errors
    /// When the role does not answer in time, or refuses.
    pub fn ask(&self, request: &Request, patience: Duration) -> Result<Reply, RoleError> {
        let stream = UnixStream::connect(self.socket()).map_err(Self::file(self.socket()))?;
        let wait = match request {
            Request::Observe { timeout, .. } => patience + *timeout,
            Request::Apply(_) | Request::Usage | Request::Stop => patience,
        };
        stream.set_read_timeout(Some(wait)).map_err(Self::file(self.socket()))?;
        stream.set_write_timeout(Some(patience)).map_err(Self::file(self.socket()))?;
        let mut frames = Frames::new(stream);
        frames.send(request)?;
        match frames.receive()? {
            Reply::Refused(why) => Err(RoleError::Refused(why)),
            reply => Ok(reply),
        }
    }
}

/// The newest observation of each part, for those who wait for news. Shared by all threads of a role.
#[derive(Debug, Clone, Default)]
pub struct News(Arc<(Mutex<NewsState>, Condvar)>);

#[derive(Debug)]
struct NewsState {
    next: u64,
    latest: BTreeMap<PartId, (u64, Observation)>,
}

impl Default for NewsState {
    /// Begins to count at the clock's microseconds, so that a number that an earlier process gave is older than all of
    /// this one's news, and who asks with it is told everything.
    fn default() -> Self {
        let start = u64::try_from(types::Timestamp::now().as_millis()).unwrap_or(0) * 1000;
        Self { next: start, latest: BTreeMap::new() }
    }
}

impl News {
    fn state(&self) -> MutexGuard<'_, NewsState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes an observation in the place of the part's last one; one that says the same again is no news.
    pub fn publish(&self, observation: Observation) {
        let mut state = self.state();
        let part = observation.part();
        if state.latest.get(&part).is_some_and(|(_, latest)| *latest == observation) {
            return;
        }
        state.next += 1;
        let number = state.next;
        state.latest.insert(part, (number, observation));
        self.0.1.notify_all();
    }

    /// Forgets a part, so that those who ask for all that is so are not told of it.
    pub fn forget(&self, part: &PartId) {
        self.state().latest.remove(part);
    }

    /// What came after `after`, waiting at most `timeout` for some. A number from before a restart gives everything.
    pub fn observe(&self, after: u64, timeout: Duration) -> Observed {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            let after = if after > state.next { 0 } else { after };
            let mut news: Vec<&(u64, Observation)> =
                state.latest.values().filter(|(n, _)| *n > after).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if !news.is_empty() || left.is_zero() {
                news.sort_by_key(|(number, _)| *number);
                let observations = news.into_iter().map(|(_, observation)| observation.clone()).collect();
                return Observed { next: state.next, observations };
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Answers a role's socket, a thread a connection, until the process ends. Only processes of the same user are heard.
///
/// `apply` takes over a part and says why not; `stop` begins the role's end.
///
/// # Errors
/// When the socket cannot be made.
pub fn answer(
    dir: &RoleDir,
    news: News,
    apply: impl Fn(Part) -> Result<(), String> + Send + Sync + 'static,
    stop: impl Fn() + Send + Sync + 'static,
) -> Result<(), RoleError> {
    answer_counting(dir, news, apply, stop, || None)
}

/// As [`answer`]; `usage` gives a load balancer's counters.
///
/// # Errors
/// As [`answer`].
pub fn answer_counting(
    dir: &RoleDir,
    news: News,
    apply: impl Fn(Part) -> Result<(), String> + Send + Sync + 'static,
    stop: impl Fn() + Send + Sync + 'static,
    usage: impl Fn() -> Option<LoadBalancerUsage> + Send + Sync + 'static,
) -> Result<(), RoleError> {
    let path = dir.socket();
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(RoleError::File { path, cause });
        }
        _ => (),
    }
    let listener = UnixListener::bind(&path).map_err(RoleDir::file(path.clone()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(RoleDir::file(path.clone()))?;
    let handlers = Arc::new((apply, stop, usage));
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let trusted = getsockopt(&stream, PeerCredentials)
                .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw());
            if !trusted {
                continue;
            }
            let (news, handlers) = (news.clone(), handlers.clone());
            let serve = move || {
                let mut frames = Frames::new(stream);
                while let Ok(request) = frames.receive() {
                    let reply = match request {
                        Request::Apply(part) => match handlers.0(part) {
                            Ok(()) => Reply::Done,
                            Err(why) => Reply::Refused(why),
                        },
                        Request::Observe { after, timeout } => Reply::Observed(news.observe(after, timeout)),
                        Request::Usage => match handlers.2() {
                            Some(usage) => Reply::Usage(usage),
                            None => Reply::Refused("this role counts nothing".to_owned()),
                        },
                        Request::Stop => {
                            handlers.1();
                            Reply::Done
                        }
                    };
                    if frames.send(&reply).is_err() {
                        break;
                    }
                }
            };
            // Without a thread the connection is dropped, and the agent asks again.
            let _ = std::thread::Builder::new().name("role-conn".to_owned()).spawn(serve);
        }
    };
    std::thread::Builder::new()
        .name("role-socket".to_owned())
        .spawn(accept)
        .map_err(RoleDir::file(path))
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EdgeStatus;

    fn status(generation: u64) -> Observation {
        Observation::Edge(EdgeStatus { generation, ..EdgeStatus::default() })
    }

    #[test]
    fn a_role_is_found_by_its_lock_and_answers_on_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RoleDir::new(folder.path());
        let part = Part { id: PartId::Edge, generation: 7, body: None };
        dir.write_config(&part).unwrap();
        assert!(!dir.is_running());
        let lock = dir.lock().unwrap();
        assert!(dir.is_running());
        assert_eq!(dir.read_config().unwrap(), part);
        let news = News::default();
        let applied = news.clone();
        answer(
            &dir,
            news,
            move |part| {
                if part.generation == 0 {
                    return Err("stale".to_owned());
                }
                applied.publish(status(part.generation));
                Ok(())
            },
            || (),
        )
        .unwrap();
        let patience = Duration::from_secs(5);
        assert_eq!(dir.ask(&Request::Apply(part.clone()), patience).unwrap(), Reply::Done);
        let stale = Part { generation: 0, ..part };
        assert!(matches!(dir.ask(&Request::Apply(stale), patience), Err(RoleError::Refused(_))));
        let reply = dir.ask(&Request::Observe { after: 0, timeout: patience }, patience).unwrap();
        let Reply::Observed(observed) = reply else { panic!("{reply:?}") };
        assert_eq!(observed.observations, [status(7)]);
        drop(lock);
        assert!(!dir.is_running());
    }

    #[test]
    fn only_the_newest_of_a_part_is_news_and_the_same_again_is_none() {
        let news = News::default();
        news.publish(status(1));
        news.publish(status(2));
        news.publish(status(2));
        let seen = news.observe(0, Duration::ZERO);
        assert_eq!(seen.observations, [status(2)]);
        assert_eq!(news.observe(seen.next, Duration::ZERO).observations, []);
        assert_eq!(news.observe(u64::MAX, Duration::ZERO).observations, [status(2)]);
        assert_eq!(news.observe(7, Duration::ZERO).observations, [status(2)]);
    }
}
