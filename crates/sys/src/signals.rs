//! What a program inherits of its maker's signals.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::error::{Doing, Result};

/// Gives every signal its default action, as a program expects it at its start. Rust's runtime ignores SIGPIPE, and what
/// is ignored stays ignored across execve(2).
///
/// # Errors
/// When the kernel refuses.
pub fn reset() -> Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default action runs no code of this process.
        match unsafe { sigaction(signal, &action) } {
            Err(Errno::EINVAL) => (),
            answer => drop(answer.doing(|| format!("give {signal} its default action"))?),
        }
    }
    Ok(())
}
