//! The other side of the agent's socket.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use desired::{Frames, Host, HostError, MessageError, Observed, Part, Usage};
use types::{NetworkInterfaceId, PartId, VpcId};

use crate::flows::FlowReport;
use crate::network::Listening;
use crate::own_dir;
use crate::protocol::{Reply, Request, Summary};

/// How long an answer may take that needs no waiting.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the end of everything may take: a container has at most 120 seconds (`stopTimeout`), a connection that
/// drains as long as it was told.
const LAST_PATIENCE: Duration = Duration::from_secs(420);

/// Asks the agent of a state folder. Every call is a connection of its own, so that an agent that was started again is
/// simply asked next.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// For the agent of a state folder, running or not.
    pub fn new(state: &Path) -> Self {
        Self { socket: own_dir(state).socket() }
    }

    fn ask(&self, request: &Request, patience: Duration) -> Result<Reply, HostError> {
        let unreachable = |why: &dyn ToString| HostError::Unreachable(why.to_string());
        let stream = UnixStream::connect(&self.socket)
            .map_err(|cause| unreachable(&format!("{}: {cause}", self.socket.display())))?;
        stream.set_read_timeout(Some(patience)).map_err(|cause| unreachable(&cause))?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(|cause| unreachable(&cause))?;
        let mut frames = Frames::new(stream);
        frames.send(request).map_err(|cause| unreachable(&cause))?;
        match frames.receive() {
            Ok(Reply::Refused(why)) => Err(HostError::Refused(why)),
            Ok(Reply::Busy(why)) => Err(HostError::Unreachable(why)),
            Ok(reply) => Ok(reply),
            Err(newer @ MessageError::Newer { .. }) => Err(HostError::Refused(newer.to_string())),
            Err(cause) => Err(unreachable(&cause)),
        }
    }

    /// Whether an agent answers.
    pub fn is_ready(&self) -> bool {
        self.status().is_ok()
    }

    /// How the agent is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Summary, HostError> {
        match self.ask(&Request::Status, PATIENCE)? {
            Reply::Status(summary) => Ok(summary),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends tasks, load balancers, host ports, DNS and networks, in this order, then the agent itself; returns when
    /// nothing of them is left. With `purge` the images that tasks have pulled go too.
    ///
    /// # Errors
    /// When the agent does not answer, or something could not be ended.
    pub fn down(&self, purge: bool) -> Result<(), HostError> {
        match self.ask(&Request::Down { purge }, LAST_PATIENCE)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The packets that each counter of a VPC has counted; see [`crate::network::Network::counters`].
    ///
    /// # Errors
    /// When the agent does not answer, or the kernel refuses.
    pub fn counters(&self, vpc: &VpcId) -> Result<Option<BTreeMap<String, u64>>, HostError> {
        match self.ask(&Request::Counters(vpc.clone()), PATIENCE)? {
            Reply::Counters(counters) => Ok(counters),
            other => Err(unexpected(&other)),
        }
    }

    /// What programs in an interface's namespace listen on; see [`crate::network::Network::listening`].
    ///
    /// # Errors
    /// When the agent does not answer, or the kernel refuses.
    pub fn listening(&self, interface: &NetworkInterfaceId) -> Result<Option<Vec<Listening>>, HostError> {
        match self.ask(&Request::Listening(interface.clone()), PATIENCE)? {
            Reply::Listening(listening) => Ok(listening),
            other => Err(unexpected(&other)),
        }
    }

    /// The flow records behind a number, or from the oldest that is kept; see [`crate::flows::Flows::report`].
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn flows(&self, after: Option<u64>, timeout: Duration) -> Result<FlowReport, HostError> {
        match self.ask(&Request::Flows { after, timeout }, PATIENCE + timeout)? {
            Reply::Flows(report) => Ok(report),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> HostError {
    HostError::Refused(format!("the answer does not fit the question: {reply:?}"))
}

impl Host for Client {
    fn apply(&self, parts: &[Part]) -> Result<(), HostError> {
        match self.ask(&Request::Apply(parts.to_vec()), PATIENCE)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn observe(&self, after: u64, timeout: Duration) -> Result<Observed, HostError> {
        match self.ask(&Request::Observe { after, timeout }, PATIENCE + timeout)? {
            Reply::Observed(observed) => Ok(observed),
            other => Err(unexpected(&other)),
        }
    }

    fn parts(&self) -> Result<Vec<PartId>, HostError> {
        match self.ask(&Request::Parts, PATIENCE)? {
            Reply::Parts(parts) => Ok(parts),
            other => Err(unexpected(&other)),
        }
    }

    fn usage(&self) -> Result<Usage, HostError> {
        match self.ask(&Request::Usage, PATIENCE)? {
            Reply::Usage(usage) => Ok(usage),
            other => Err(unexpected(&other)),
        }
    }
}
