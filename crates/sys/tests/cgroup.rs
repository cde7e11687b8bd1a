//! Real control groups and processes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sys::cgroup::{Cgroup, Layout, Limits};
use sys::process::{PidFd, SealedSelf, spawn_detached};

struct Group(Cgroup);

impl Group {
    fn new(name: &str) -> Self {
        let name = format!("landfall-test-{}-{name}/task", std::process::id());
        Self(Cgroup::new(Layout::of_this_machine().unwrap(), name))
    }
    fn parent(&self) -> Cgroup {
        Cgroup::new(Layout::of_this_machine().unwrap(), self.0.oci_path().parent().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.parent().kill(Duration::from_secs(5));
        let _ = self.parent().remove();
    }
}

/// Starts a shell that waits, so that it is in its group before it does anything, until `go` is called.
struct Shell(std::process::Child, tempfile::TempDir);

impl Shell {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let script = format!("read go <{}; {script}", go.display());
        Self(spawn_detached(Path::new("/bin/sh"), &["-c", &script], Path::new("/dev/null")).unwrap(), folder)
    }
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }
    fn go(&self) {
        std::fs::write(self.1.path().join("go"), "go\n").unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_group_with_forking_processes_is_killed_and_removed() {
    let group = Group::new("kill");
    group.0.create(&Limits { cpu_shares: Some(256), cpu_milli: Some(250), memory: Some(64 << 20) }).unwrap();
    let mut shell = Shell::new("(tail -f /dev/null & tail -f /dev/null & wait) & wait");
    group.0.add(shell.pid()).unwrap();
    shell.go();
    assert!(!group.0.processes().unwrap().is_empty());
    group.0.kill(Duration::from_secs(10)).unwrap();
    assert!(group.0.processes().unwrap().is_empty());
    assert!(!shell.0.wait().unwrap().success());
    group.parent().remove().unwrap();
    group.parent().remove().unwrap();
    group.0.kill(Duration::ZERO).unwrap();
    assert_eq!(group.0.oom_kills().unwrap(), 0);
}

#[test]
fn a_process_above_its_memory_limit_is_killed_and_counted() {
    let group = Group::new("oom");
    group.0.create(&Limits { memory: Some(8 << 20), ..Limits::default() }).unwrap();
    let mut shell = Shell::new("x=$(head -c 64000000 /dev/zero | tr '\\0' x); exit 9");
    group.0.add(shell.pid()).unwrap();
    shell.go();
    assert!(!shell.0.wait().unwrap().success());
    assert!(group.0.oom_kills().unwrap() > 0);
    assert!(group.parent().oom_kills().unwrap() > 0);
}

#[test]
fn a_detached_process_has_its_own_session_and_its_end_is_heard() {
    let mut shell = Shell::new("exit 0");
    assert_eq!(nix::unistd::getsid(Some(shell.pid())).unwrap(), shell.pid());
    let process = PidFd::open(shell.pid()).unwrap();
    assert!(!process.wait(Duration::ZERO).unwrap());
    process.signal(Signal::SIGKILL).unwrap();
    assert!(process.wait(Duration::from_secs(5)).unwrap());
    shell.0.wait().unwrap();
    process.signal(Signal::SIGTERM).unwrap();
    assert!(PidFd::open(shell.pid()).is_err());
}

#[test]
fn what_runs_from_a_sealed_binary_is_this_program_and_cannot_be_written() {
    for sealed in
        [SealedSelf::copy().unwrap(), SealedSelf::behind_mount().unwrap(), SealedSelf::open().unwrap()]
    {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(std::fs::read(sealed.path()).unwrap() == own);
        let write = std::fs::OpenOptions::new().append(true).open(sealed.path());
        assert!(write.and_then(|mut file| std::io::Write::write_all(&mut file, b"x")).is_err());
        let out = tempfile::NamedTempFile::new().unwrap();
        let status = spawn_detached(&sealed.path(), &["--list"], out.path()).unwrap().wait().unwrap();
        assert!(status.success());
        assert!(std::fs::read_to_string(out.path()).unwrap().contains("what_runs_from_a_sealed_binary"));
    }
}
