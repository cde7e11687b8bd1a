//! Network namespaces that outlive their makers: each is bind-mounted at a path.
//!
//! The folder that holds the paths is a mount of its own with private propagation, so that the namespaces are seen by
//! every process of this mount namespace and by no other; a copy of a mount in a foreign mount namespace would keep a
//! deleted network alive.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::error::{Doing, Error, Result};
use crate::mount::is_mount_point;

/// Keeps two threads from making the folder a mount twice.
static PREPARING: Mutex<()> = Mutex::new(());

/// Makes a new network namespace and binds it to `path`. Its interfaces are as the kernel makes them: `lo`, down.
/// Does nothing when a namespace is bound there already.
///
/// # Errors
/// When the folder cannot be made or the kernel refuses (not root).
pub fn create(path: &Path) -> Result<()> {
    if exists(path) { Ok(()) } else { create_and(path, || ()) }
}

/// Makes a new network namespace where there is none, binds it to `path`, and runs `work` inside, on the thread that made
/// it. A panic of `work` goes on in the caller.
///
/// # Errors
/// When the folder cannot be made or the kernel refuses (not root).
pub fn create_and<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    let doing = || format!("create the network namespace {}", path.display());
    let folder = path.parent().ok_or_else(|| Error::other(doing(), "the path has no folder"))?;
    prepare(folder)?;
    File::create(path).doing(doing)?;
    // A fresh thread: the namespace of the caller stays what it is.
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).doing(doing)?;
        mount(Some("/proc/thread-self/ns/net"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .doing(doing)?;
        Ok(work())
    })
}

/// Whether a namespace is bound to `path`.
pub fn exists(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.filesystem_type() == NSFS_MAGIC)
}

/// Opens a namespace for [`enter`] and for netlink attributes that name a namespace by descriptor.
///
/// # Errors
/// When no namespace is bound to `path`: an ordinary file that a crash has left is not taken for one.
pub fn open(path: &Path) -> Result<File> {
    let doing = || format!("open the network namespace {}", path.display());
    let file = File::open(path).doing(doing)?;
    match nix::sys::statfs::fstatfs(&file).doing(doing)?.filesystem_type() {
        NSFS_MAGIC => Ok(file),
        _ => Err(Error { doing: doing(), cause: Errno::ENOENT.into() }),
    }
}

/// Moves the calling thread into a namespace. Sockets keep the namespace they were made in.
///
/// # Errors
/// When the kernel refuses.
pub fn enter(namespace: impl AsFd) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET).doing(|| "enter a network namespace".to_owned())
}

/// Runs `work` on a fresh thread inside the namespace at `path` and gives back what it returns: the way to make a
/// socket in another namespace. A panic of `work` goes on in the caller.
///
/// # Errors
/// When there is no such namespace or it cannot be entered.
pub fn within<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    let namespace = open(path)?;
    on_thread(move || {
        enter(&namespace)?;
        Ok(work())
    })
}

/// Runs `work` on a fresh thread in a new namespace that nothing else is in, and which ends with it.
///
/// # Errors
/// When the kernel refuses.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).doing(|| "make a network namespace".to_owned())?;
        Ok(work())
    })
}

fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Removes a namespace's path. The namespace itself ends with the last process and socket in it. Does nothing when
/// there is none.
///
/// # Errors
/// When the kernel refuses.
pub fn delete(path: &Path) -> Result<()> {
    let doing = || format!("delete the network namespace {}", path.display());
    while exists(path) {
        umount2(path, MntFlags::MNT_DETACH).doing(doing)?;
    }
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause).doing(doing),
        _ => Ok(()),
    }
}

/// The paths in a folder of namespaces, in order, those a crash left without a namespace too. None without the folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("list the network namespaces in {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(doing)?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .doing(doing)?;
    paths.sort();
    Ok(paths)
}

/// Makes `folder` a private mount of its own.
fn prepare(folder: &Path) -> Result<()> {
    let doing = || format!("make {} a private mount", folder.display());
    let _one = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(folder).doing(doing)?;
    if !is_mount_point(folder)? {
        mount(Some(folder), folder, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(doing)?;
    }
    // Also when a crash came between the two.
    mount(None::<&str>, folder, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>).doing(doing)
}

/// Removes the folder with every namespace in it. Does nothing without the folder.
///
/// # Errors
/// When the kernel refuses.
pub fn delete_all(folder: &Path) -> Result<()> {
    let doing = || format!("remove {}", folder.display());
    for path in list(folder)? {
        delete(&path)?;
    }
    while folder.exists() && is_mount_point(folder)? {
        umount2(folder, MntFlags::MNT_DETACH).doing(doing)?;
    }
    match std::fs::remove_dir(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause).doing(doing),
        _ => Ok(()),
    }
}
