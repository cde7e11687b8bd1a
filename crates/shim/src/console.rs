//! How a container hands over the master side of its terminal: over a socket in the task's folder.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use sys::terminal;

/// The socket, whose file goes with it.
#[derive(Debug)]
pub(crate) struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    /// A socket in a task's folder. Nobody is waited for at it: whoever is not there yet is an error.
    pub(crate) fn new(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(format!("tty-{}.sock", types::random_hex(8)));
        let console = Self { listener: UnixListener::bind(&path)?, path };
        console.listener.set_nonblocking(true)?;
        Ok(console)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the terminal's master side from the one who waits.
    pub(crate) fn receive(&self) -> std::io::Result<File> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(false)?;
        terminal::receive_descriptor(&stream).map(File::from).map_err(|error| error.cause)
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
