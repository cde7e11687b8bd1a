//! What is said on the agent's socket: one question and its answer, as often as the asker likes.

use std::collections::BTreeMap;
use std::time::Duration;

use desired::{Observed, Part, Usage};
use serde::{Deserialize, Serialize};
use types::{NetworkInterfaceId, PartId, VpcId};

use crate::flows::FlowReport;
use crate::network::Listening;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Keep these parts. Answered once they are on disk.
    Apply(Vec<Part>),
    /// Tell what has happened after a number, waiting at most this long.
    Observe { after: u64, timeout: Duration },
    /// Tell which parts are kept.
    Parts,
    /// Tell what tasks and load balancers have used.
    Usage,
    /// Tell how many packets each counter of a VPC has counted.
    Counters(VpcId),
    /// Tell what programs in an interface's namespace listen on.
    Listening(NetworkInterfaceId),
    /// Tell the flow records behind a number, or all that are kept, waiting at most this long for one.
    Flows { after: Option<u64>, timeout: Duration },
    /// Tell how things are.
    Status,
    /// End everything that was made, then the agent.
    Down {
        /// Whether the images that tasks have pulled go too.
        purge: bool,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    Done,
    Observed(Observed),
    Parts(Vec<PartId>),
    Usage(Usage),
    /// None: the VPC has no namespace.
    Counters(Option<BTreeMap<String, u64>>),
    Flows(FlowReport),
    /// None: the interface has no namespace.
    Listening(Option<Vec<Listening>>),
    Status(Summary),
    /// Not now, but later.
    Busy(String),
    Refused(String),
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its process.
    pub pid: u32,
    /// How many parts it keeps.
    pub parts: usize,
    /// Whether it is ending everything.
    pub ending: bool,
}
