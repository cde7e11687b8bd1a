//! What a shim's main thread waits for: ended children, a wish to stop, helpers' reports, a deadline.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::process::{Ended, reap};

/// The main thread's end.
#[derive(Debug)]
pub(crate) struct Events {
    signals: SignalFd,
    wake: UnixStream,
}

/// Tells the main thread that the task shall stop.
#[derive(Debug, Clone)]
pub(crate) struct Bell(Arc<UnixStream>);

impl Bell {
    pub(crate) fn ring(&self) {
        // A full socket has been rung often enough.
        let _ = self.0.as_ref().write(&[0]);
    }
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    pub(crate) stop: bool,
    pub(crate) ended: Vec<Ended>,
}

impl Events {
    /// Blocks the signals that are waited for; threads and processes started later inherit that.
    pub(crate) fn new() -> std::io::Result<(Self, Bell)> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let (wake, bell) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        Ok((Self { signals, wake }, Bell(Arc::new(bell))))
    }

    /// Waits until something happens, something can be read from a descriptor, or the deadline has come.
    pub(crate) fn wait(
        &mut self,
        watched: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> std::io::Result<Woken> {
        let fds = [self.signals.as_fd(), self.wake.as_fd()].into_iter().chain(watched.iter().copied());
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = match deadline {
            // Rounded up, or the last millisecond would be spent in a busy loop.
            Some(deadline) => {
                let millis = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
                PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) | Ok(_) => (),
            Err(errno) => return Err(errno.into()),
        }
        let mut woken = Woken::default();
        while let Ok(Some(signal)) = self.signals.read_signal() {
            woken.stop |= i32::try_from(signal.ssi_signo) != Ok(Signal::SIGCHLD as i32);
        }
        let mut rung = [0; 64];
        loop {
            match self.wake.read(&mut rung) {
                Ok(0) => break,
                Ok(_) => woken.stop = true,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => (),
                Err(_) => break,
            }
        }
        woken.ended = reap().map_err(|error| error.cause)?;
        Ok(woken)
    }
}
