//! Where nodes have their sockets.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use desired::Node;

/// Where a load balancer's nodes have their sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Each node in the namespace of its ENI, bound to this folder under the ENI's id.
    Namespaces(PathBuf),
    /// All nodes in the namespace of the calling process: for benches and tests over loopback addresses.
    Here,
}

/// A namespace that was found. While it is open its inode number is not used again.
#[derive(Debug)]
pub(crate) struct Found(Option<File>);

impl Place {
    /// Opens the namespace of a node; the error is in words for a person.
    pub(crate) fn find(&self, node: &Node) -> Result<Found, String> {
        match self {
            Place::Here => Ok(Found(None)),
            Place::Namespaces(folder) => sys::netns::open(&folder.join(node.interface.as_str()))
                .map(|file| Found(Some(file)))
                .map_err(|error| error.to_string()),
        }
    }

    /// Whether the node's path still names the namespace that was found.
    pub(crate) fn is_still(&self, node: &Node, found: &Found) -> bool {
        let Some(entered) = &found.0 else { return true };
        let same = || {
            let (there, here) = (self.find(node).ok()?.0?.metadata().ok()?, entered.metadata().ok()?);
            Some(there.ino() == here.ino() && there.dev() == here.dev())
        };
        same() == Some(true)
    }
}

impl Found {
    /// Moves the calling thread there for life.
    pub(crate) fn enter(&self) -> Result<(), String> {
        match &self.0 {
            None => Ok(()),
            Some(file) => sys::netns::enter(file).map_err(|error| error.to_string()),
        }
    }

    /// Another handle of the same namespace, for another thread.
    pub(crate) fn again(&self) -> Result<Self, String> {
        match &self.0 {
            None => Ok(Self(None)),
            Some(file) => file.try_clone().map(|file| Self(Some(file))).map_err(|error| error.to_string()),
        }
    }
}
