//! Processes: detached starts, waiting without races, dying with a parent, a binary that no container can write to.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, setsid};

use crate::error::{Doing, Error, Result};

/// Starts a program in a session of its own, so that neither a terminal's signals nor the caller's end reach it. Its
/// output is appended to `log`, its input is empty, and no signal is blocked in it. The caller stays its parent:
/// whoever drops the `Child` without waiting leaves a zombie for as long as the caller lives.
///
/// # Errors
/// When the log cannot be opened or the program cannot be started.
pub fn spawn_detached<S: AsRef<OsStr>>(program: &Path, args: &[S], log: &Path) -> Result<Child> {
    let doing = || format!("start {}", program.display());
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
        .doing(|| format!("open the log {}", log.display()))?;
    #[allow(clippy::disallowed_methods, reason = "Landfall's own roles are started here and nowhere else")]
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone().doing(doing)?).stderr(log);
    let own_session = || {
        setsid()?;
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(own_session) };
    command.spawn().doing(doing)
}

/// A descriptor of a process, which cannot come to mean another one.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has this number now.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn open(pid: Pid) -> Result<Self> {
        // SAFETY: plain numbers go in, a descriptor or an error comes out.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let fd = Errno::result(fd).doing(|| format!("open process {pid}"))?;
        let fd = i32::try_from(fd).map_err(|_| Error::other("open a process", "no descriptor"))?;
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a signal. One to a process that has ended is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, and a null siginfo asks for the one that kill(2) makes.
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal as i32, info, 0) };
        match Errno::result(sent) {
            Err(Errno::ESRCH) => Ok(()),
            answer => answer.map(drop).doing(|| format!("send {signal}")),
        }
    }

    /// Waits for the process's end, at most this long. False when it lives on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => (),
                answer => return Ok(answer.doing(|| "wait for a process".to_owned())? > 0),
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has the kernel kill this process when its parent's thread ends. A change of user clears it: call it last. False
/// when `parent` has ended already, so that the caller must end by itself.
///
/// # Errors
/// When the kernel refuses.
pub fn die_with_parent(parent: Pid) -> Result<bool> {
    prctl::set_pdeathsig(Signal::SIGKILL).doing(|| "ask to die with the parent".to_owned())?;
    Ok(getppid() == parent)
}

/// Makes this process the parent of its descendants' orphans.
///
/// # Errors
/// When the kernel refuses.
pub fn become_subreaper() -> Result<()> {
    prctl::set_child_subreaper(true).doing(|| "become a subreaper".to_owned())
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Who.
    pub pid: Pid,
    /// The exit code, or 128 plus the signal's number as shells and ECS have it.
    pub code: i32,
}

/// Collects every child that has ended, without waiting for one.
///
/// # Errors
/// When the kernel refuses.
pub fn reap() -> Result<Vec<Ended>> {
    let mut ended = Vec::new();
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push(Ended { pid, code }),
            Ok(WaitStatus::Signaled(pid, signal, _)) => ended.push(Ended { pid, code: 128 + signal as i32 }),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(ended),
            Ok(_) | Err(Errno::EINTR) => (),
            Err(errno) => return Err(errno).doing(|| "collect ended children".to_owned()),
        }
    }
}

/// Forks, so that the caller's process is an init process from now on: this returns in the child alone, while the parent
/// passes on every signal to it, collects whoever ends, and ends with the child's exit code. The parent gives up every
/// descriptor but the standard ones.
///
/// Only for a process of a single thread whose signals have their default actions.
///
/// # Errors
/// When the kernel refuses.
pub fn split_off_init() -> Result<()> {
    let doing = || "start an init process".to_owned();
    let (mut before, mut all) = (SigSet::empty(), SigSet::empty());
    all.extend(Signal::iterator());
    // Blocked, so that none gets lost before it is waited for.
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before)).doing(doing)?;
    // SAFETY: there is no other thread, which could hold a lock that the child then needs.
    match unsafe { fork() }.doing(doing)? {
        ForkResult::Child => {
            nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).doing(doing)
        }
        ForkResult::Parent { child } => {
            // SAFETY: plain numbers go in; this process uses no descriptor from here on.
            let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
            std::process::exit(init(child, &all))
        }
    }
}

/// The rest of the life of a process that is the first one of a PID namespace and does nothing but collect whoever ends
/// there: SIGKILL from outside ends it, and the namespace with it. It gives up every descriptor but the standard ones.
///
/// Only for a process of a single thread.
pub fn collect_for_ever() -> ! {
    let mut all = SigSet::empty();
    all.extend(Signal::iterator());
    // Nobody is left to hear of a failure; a signal that is not blocked does nothing to a first process either.
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None);
    // SAFETY: plain numbers go in; this process uses no descriptor from here on.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    loop {
        let _ = all.wait();
        let _ = reap();
    }
}

/// The life of an init process; gives the exit code of its child.
fn init(child: Pid, signals: &SigSet) -> i32 {
    loop {
        let signal = signals.wait();
        for ended in reap().unwrap_or_default() {
            if ended.pid == child {
                return ended.code;
            }
        }
        match signal {
            Ok(Signal::SIGCHLD) | Err(_) => (),
            Ok(signal) => drop(nix::sys::signal::kill(child, signal)),
        }
    }
}

/// This program's binary such that what runs from it can be read through `/proc/*/exe`, never written: behind a read-only
/// mount that is in no namespace, so that nobody can make it another one; or in a sealed memory file.
#[derive(Debug)]
pub struct SealedSelf(File);

impl SealedSelf {
    /// Opens the running binary so. It is copied where the kernel has no such mounts, and when its file was removed.
    ///
    /// # Errors
    /// When it cannot be read or memory is short.
    pub fn open() -> Result<Self> {
        Self::behind_mount().or_else(|_| Self::copy())
    }

    /// Behind a mount of its own: nothing is copied, and all that run from it share their pages.
    ///
    /// # Errors
    /// When the kernel is older than 5.12, or the binary's file was removed.
    pub fn behind_mount() -> Result<Self> {
        /// The kernel's `struct mount_attr`.
        #[repr(C)]
        struct Attributes {
            set: u64,
            clear: u64,
            propagation: u64,
            user_namespace: u64,
        }
        let doing = || "mount this program read-only".to_owned();
        let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
        // SAFETY: a path that ends with NUL goes in, a descriptor or an error comes out.
        let fd =
            unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, c"/proc/self/exe".as_ptr(), flags) };
        let fd = Errno::result(fd).doing(doing)?;
        let fd = i32::try_from(fd).map_err(|_| Error::other("mount this program", "no descriptor"))?;
        // SAFETY: the kernel has just made this descriptor for us alone.
        let tree = unsafe { OwnedFd::from_raw_fd(fd) };
        let attributes = Attributes {
            set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
            clear: 0,
            propagation: 0,
            user_namespace: 0,
        };
        // SAFETY: the structure is the kernel's and lives through the call; its size is given.
        let set = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                tree.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                &raw const attributes,
                size_of::<Attributes>(),
            )
        };
        Errno::result(set).doing(doing)?;
        Ok(Self(tree.into()))
    }

    /// Copies the running binary.
    ///
    /// # Errors
    /// When it cannot be read or memory is short.
    pub fn copy() -> Result<Self> {
        let doing = || "copy this program into a sealed memory file".to_owned();
        let mut own = File::open("/proc/self/exe").doing(doing)?;
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut copy = File::from(memfd_create(c"landfall", flags).doing(doing)?);
        std::io::copy(&mut own, &mut copy).doing(doing)?;
        let seals =
            SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).doing(doing)?;
        Ok(Self(copy))
    }

    /// A path to start it by, good in this process and in its children up to exec, for as long as `self` lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
