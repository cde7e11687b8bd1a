//! What every function of this crate fails with.

use std::io;

/// A refusal of the kernel.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {cause}")]
pub struct Error {
    /// What was asked for, with the names that matter: `delete the network namespace /…/eni-0a1`.
    pub doing: String,
    /// The kernel's answer.
    pub cause: io::Error,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that the kernel did not number itself.
    pub fn other(doing: impl Into<String>, why: impl Into<String>) -> Self {
        Self { doing: doing.into(), cause: io::Error::other(why.into()) }
    }

    /// Whether the kernel answered with this number.
    pub fn is(&self, errno: nix::errno::Errno) -> bool {
        self.cause.raw_os_error() == Some(errno as i32)
    }
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    /// Adds the words.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error { doing: what(), cause: cause.into() })
    }
}
