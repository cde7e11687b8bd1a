//! What `serve` answers to `landfall explain`: data; a person's words are made of it in `text`.

use std::collections::BTreeMap;

use reachability::{Code, Hop, Suggestion, Way};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// One end, or what does not answer.
    pub from: String,
    /// The other end. None: why does `from` not answer?
    pub to: Option<String>,
    /// The destination's port. None: the one that the destination is known to have.
    pub port: Option<u16>,
    /// What is sent.
    pub protocol: Protocol,
}

/// A protocol that a path can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A TCP connection.
    Tcp,
    /// A UDP datagram and its answer.
    Udp,
    /// An echo request and its reply.
    Icmp,
}

impl Protocol {
    /// As rules write it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What was found.
    Explained(Box<Explanation>),
    /// The question makes no sense, in words for a person.
    Refused(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked, in words: `lb/web → task 1f00… tcp 3000`.
    pub subject: String,
    /// Whether all is well.
    pub reachable: bool,
    /// What was looked at beside packets, in order.
    pub findings: Vec<Finding>,
    /// The paths, those that block first.
    pub paths: Vec<Path>,
    /// How many more paths there are that look as those shown.
    pub more_paths: usize,
    /// What is called how: the words for AWS's ids.
    pub names: BTreeMap<String, String>,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What it is about: an id or ARN.
    pub about: String,
    /// What was seen.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; it stops nothing.
    Note,
    /// It is why there is no answer.
    Blocks,
}

/// A path with what was counted on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Whose packets.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What is sent: `tcp 3000`.
    pub traffic: String,
    /// Whether the packet arrives and the answer comes back.
    pub reachable: bool,
    /// AWS's explanation code of the first hop that blocks.
    pub explanation_code: Option<Code>,
    /// What would open it.
    pub suggestion: Option<Suggestion>,
    /// The hops, forward and then back.
    pub steps: Vec<Step>,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which way.
    pub way: Way,
    /// The hop.
    pub hop: Hop,
    /// The packets that the kernel has counted for it; None where nothing counts.
    pub packets: Option<u64>,
    /// The hop in words.
    pub text: String,
}
