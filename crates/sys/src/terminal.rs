//! Terminals: raw mode, the size of the window, a master side that another process hands over.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;

use crate::error::{Doing, Error, Result};

/// A terminal in raw mode: each key is handed on as it is. Its former mode comes back on drop.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: libc::termios,
}

impl Raw {
    /// Puts a terminal into raw mode.
    ///
    /// # Errors
    /// When it is none.
    pub fn enter(terminal: BorrowedFd<'_>) -> Result<Self> {
        let doing = || "put the terminal into raw mode".to_owned();
        let terminal = terminal
            .try_clone_to_owned()
            .map_err(|cause| Error::other("keep a terminal", cause.to_string()))?;
        let mut mode = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the kernel fills the structure, or says that it has not.
        Errno::result(unsafe { libc::tcgetattr(terminal.as_raw_fd(), mode.as_mut_ptr()) }).doing(doing)?;
        // SAFETY: it is filled.
        let before = unsafe { mode.assume_init() };
        let mut raw = before;
        // SAFETY: a structure of our own is changed.
        unsafe { libc::cfmakeraw(&mut raw) };
        // SAFETY: a whole structure goes in.
        Errno::result(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &raw) }).doing(doing)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: what was read from this terminal goes back to it. Nobody is left to hear of a failure.
        let _ = unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSADRAIN, &self.before) };
    }
}

/// Gives one terminal the size of another one's window.
///
/// # Errors
/// When either is no terminal.
pub fn copy_size(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let doing = || "hand on the size of the window".to_owned();
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the kernel fills the structure, or says that it has not.
    let read = unsafe { libc::ioctl(from.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    Errno::result(read).doing(doing)?;
    // SAFETY: the structure is whole, and only read.
    let written = unsafe { libc::ioctl(to.as_fd().as_raw_fd(), libc::TIOCSWINSZ, size.as_ptr()) };
    Errno::result(written).map(drop).doing(doing)
}

/// How many columns and rows a terminal's window has. None: it is no terminal, or has no size.
pub fn size(of: impl AsFd) -> Option<(usize, usize)> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the kernel fills the structure, or says that it has not.
    let read = unsafe { libc::ioctl(of.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    // SAFETY: zeroes are a size too.
    let size = unsafe { size.assume_init() };
    (read == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// Receives one descriptor that the other side of a socket hands over (`SCM_RIGHTS`).
///
/// # Errors
/// When the other side has closed, or sent none.
pub fn receive_descriptor(socket: &UnixStream) -> Result<OwnedFd> {
    let doing = || "receive a descriptor".to_owned();
    let mut name = [0_u8; 4096];
    let mut part = IoSliceMut::new(&mut name);
    // Room for one descriptor, aligned as the kernel's header is.
    let mut control = [0_u64; 4];
    // SAFETY: all of it may be zero.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An IoSliceMut is an iovec by its documentation.
    message.msg_iov = std::ptr::from_mut(&mut part).cast();
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message points to buffers that outlive the call.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    Errno::result(read).doing(doing)?;
    // SAFETY: the kernel has filled the message; a header that is there lies in `control`.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message).as_ref() };
    let rights =
        header.filter(|header| header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS);
    let Some(header) = rights else { return Err(Error::other("receive a descriptor", "none was sent")) };
    // SAFETY: a header of this type is followed by a descriptor, which is ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()) })
}
