//! Control groups: one folder under every controller (version 1 and hybrid machines) or one folder (version 2).
//!
//! Version 2 is written after the kernel's `cgroup-v2` page; the machine that the tests run on decides which of the
//! two is proved.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::error::{Doing, Error, Result};
use crate::process::PidFd;

/// How this machine's control groups are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A mount for each controller; on hybrid machines also a version 2 mount without any, where processes are only
    /// counted.
    V1(Vec<Hierarchy>),
    /// One mount for all.
    V2(PathBuf),
}

/// A version 1 mount, or the empty version 2 mount of a hybrid machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where.
    pub mount: PathBuf,
    /// Its controllers: `cpu`, `memory`…
    pub controllers: Vec<String>,
}

/// What a group may use. None: as much as its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The weight against siblings, 1024 as the default (version 1's `cpu.shares`; at least 2).
    pub cpu_shares: Option<u64>,
    /// Thousandths of a core that may be used at most.
    pub cpu_milli: Option<u64>,
    /// Bytes of memory, swap included.
    pub memory: Option<u64>,
}

/// The length of a CPU period in microseconds, the kernel's default.
const PERIOD: u64 = 100_000;

impl Layout {
    /// Finds out from the mounts.
    ///
    /// # Errors
    /// When there are no control groups.
    pub fn of_this_machine() -> Result<Self> {
        let path = "/proc/self/mountinfo";
        let list = fs::read_to_string(path).doing(|| format!("read {path}"))?;
        Self::parse(&list).ok_or_else(|| {
            Error::other("find the control groups", "none are mounted; mount cgroup2 at /sys/fs/cgroup")
        })
    }

    fn parse(mountinfo: &str) -> Option<Self> {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        let mut unified = None;
        for line in mountinfo.lines() {
            let (Some(mount), Some((_, tail))) = (line.split(' ').nth(4), line.split_once(" - ")) else {
                continue;
            };
            let mut tail = tail.split(' ');
            let (kind, options) = (tail.next(), tail.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup") => {
                    let controllers = options.split(',').skip(1).map(str::to_owned).collect();
                    hierarchies.push(Hierarchy { mount: mount.into(), controllers });
                }
                Some("cgroup2") if unified.is_none() => unified = Some(PathBuf::from(mount)),
                _ => (),
            }
        }
        // A machine is version 2 when no controller is held by version 1.
        let v1 = |h: &Hierarchy| h.controllers.iter().any(|c| !c.starts_with("name=") && c != "xattr");
        if hierarchies.iter().any(v1) {
            hierarchies.extend(unified.map(|mount| Hierarchy { mount, controllers: Vec::new() }));
            Some(Layout::V1(hierarchies))
        } else {
            unified.map(Layout::V2)
        }
    }

    /// The mount that holds a controller.
    pub(crate) fn holding(&self, controller: &str) -> Result<&Path> {
        match self {
            Layout::V2(mount) => Ok(mount),
            Layout::V1(hierarchies) => hierarchies
                .iter()
                .find(|h| h.controllers.iter().any(|c| c == controller))
                .map(|h| h.mount.as_path())
                .ok_or_else(|| {
                    Error::other(format!("use the cgroup controller {controller}"), "not mounted")
                }),
        }
    }

    fn mounts(&self) -> Vec<&Path> {
        match self {
            Layout::V2(mount) => vec![mount],
            Layout::V1(hierarchies) => hierarchies.iter().map(|h| h.mount.as_path()).collect(),
        }
    }
}

/// One control group, there or not.
#[derive(Debug, Clone)]
pub struct Cgroup {
    layout: Layout,
    name: PathBuf,
}

impl Cgroup {
    /// Names a group by its path below the mounts: `landfall-0a1b2c3d/<task>`.
    pub fn new(layout: Layout, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self { layout, name: name.strip_prefix("/").unwrap_or(name).to_owned() }
    }

    /// How the machine's groups are laid out.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The path below the mounts, with a slash in front, as OCI's `cgroupsPath` has it.
    pub fn oci_path(&self) -> PathBuf {
        Path::new("/").join(&self.name)
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.layout.mounts().into_iter().map(|mount| mount.join(&self.name)).collect()
    }

    pub(crate) fn folder(&self, controller: &str) -> Result<PathBuf> {
        Ok(self.layout.holding(controller)?.join(&self.name))
    }

    /// Makes the folders under the controllers that limits need, and writes the limits. May be repeated.
    ///
    /// # Errors
    /// When the kernel refuses: no root, a controller is not there, memory in use is above the limit.
    pub fn create(&self, limits: &Limits) -> Result<()> {
        for controller in ["cpu", "memory"] {
            let folder = self.folder(controller)?;
            fs::create_dir_all(&folder).doing(|| format!("make the cgroup {}", folder.display()))?;
        }
        match &self.layout {
            Layout::V1(_) => self.limit_v1(limits),
            Layout::V2(mount) => {
                self.delegate_v2(mount)?;
                self.limit_v2(limits)
            }
        }
    }

    fn limit_v1(&self, limits: &Limits) -> Result<()> {
        let (cpu, memory) = (self.folder("cpu")?, self.folder("memory")?);
        if let Some(shares) = limits.cpu_shares {
            write(&cpu.join("cpu.shares"), &shares.max(2).to_string())?;
        }
        if let Some(milli) = limits.cpu_milli {
            write(&cpu.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
            write(&cpu.join("cpu.cfs_quota_us"), &(milli * PERIOD / 1000).max(1000).to_string())?;
        }
        if let Some(bytes) = limits.memory {
            let (plain, with_swap) =
                (memory.join("memory.limit_in_bytes"), memory.join("memory.memsw.limit_in_bytes"));
            let bytes = bytes.to_string();
            if with_swap.exists() {
                // Memory may never be above memory plus swap: which one goes first depends on the direction.
                let lowered = write(&plain, &bytes);
                write(&with_swap, &bytes)?;
                if lowered.is_ok() {
                    return Ok(());
                }
            }
            write(&plain, &bytes)?;
        }
        Ok(())
    }

    /// Hands the controllers down from the root to this group's parent.
    fn delegate_v2(&self, mount: &Path) -> Result<()> {
        let mut folder = mount.to_owned();
        for step in &self.name {
            write(&folder.join("cgroup.subtree_control"), "+cpu +memory +pids")?;
            folder.push(step);
        }
        Ok(())
    }

    fn limit_v2(&self, limits: &Limits) -> Result<()> {
        let folder = self.folder("cpu")?;
        if let Some(shares) = limits.cpu_shares {
            write(&folder.join("cpu.weight"), &weight(shares).to_string())?;
        }
        if let Some(milli) = limits.cpu_milli {
            write(&folder.join("cpu.max"), &format!("{} {PERIOD}", (milli * PERIOD / 1000).max(1000)))?;
        }
        if let Some(bytes) = limits.memory {
            write(&folder.join("memory.max"), &bytes.to_string())?;
            // Without swap on the machine the file is not there.
            let swap = folder.join("memory.swap.max");
            if swap.exists() {
                write(&swap, "0")?;
            }
        }
        Ok(())
    }

    /// How many processes of this group and of those below were killed for want of memory. 0 without the group.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub fn oom_kills(&self) -> Result<u64> {
        let folder = self.folder("memory")?;
        // Version 1 counts for each group by itself, version 2 with all below.
        let (folders, file) = match self.layout {
            Layout::V1(_) => (subtree(&folder)?, "memory.oom_control"),
            Layout::V2(_) => (vec![folder], "memory.events"),
        };
        let mut sum = 0;
        for path in folders.into_iter().map(|folder| folder.join(file)) {
            match fs::read_to_string(&path) {
                Ok(text) => sum += counter(&text, "oom_kill"),
                Err(cause) if cause.kind() == ErrorKind::NotFound => (),
                Err(cause) => return Err(cause).doing(|| format!("read {}", path.display())),
            }
        }
        Ok(sum)
    }

    /// Moves a process into the group, under every controller for which the group has a folder.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, pid: Pid) -> Result<()> {
        for folder in self.folders().into_iter().filter(|folder| folder.exists()) {
            write(&folder.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// The processes in this group and in those below.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let mut pids = Vec::new();
        for root in self.folders() {
            for folder in subtree(&root)? {
                match fs::read_to_string(folder.join("cgroup.procs")) {
                    Ok(list) => pids.extend(list.lines().filter_map(|l| l.parse().ok()).map(Pid::from_raw)),
                    Err(cause) if cause.kind() == ErrorKind::NotFound => (),
                    Err(cause) => return Err(cause).doing(|| format!("list {}", folder.display())),
                }
            }
        }
        pids.sort();
        pids.dedup();
        Ok(pids)
    }

    /// Kills every process in this group and below, those that are forked meanwhile too, and waits for their end.
    ///
    /// # Errors
    /// When processes outlive SIGKILL for `patience` (a hung file system), or the kernel refuses.
    pub fn kill(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let pids = self.processes()?;
            if pids.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let doing = format!("kill the processes of the cgroup {}", self.name.display());
                return Err(Error::other(doing, format!("{} outlive SIGKILL", pids.len())));
            }
            let mut killed = Vec::new();
            for pid in pids {
                // Ended meanwhile: the number may belong to somebody else, so the list is looked at again.
                let Ok(process) = PidFd::open(pid) else { continue };
                if self.processes()?.contains(&pid) {
                    process.signal(Signal::SIGKILL)?;
                    killed.push(process);
                }
            }
            for process in killed {
                process.wait(deadline.saturating_duration_since(Instant::now()))?;
            }
        }
    }

    /// Removes the group and those below, which must hold no process. Does nothing without the group.
    ///
    /// # Errors
    /// When a process is left in it.
    pub fn remove(&self) -> Result<()> {
        for root in self.folders() {
            for folder in subtree(&root)?.into_iter().rev() {
                remove(&folder)?;
            }
        }
        Ok(())
    }
}

/// Removes one empty group. The kernel lets go of a killed process's group a moment after its parent hears of the end.
fn remove(folder: &Path) -> Result<()> {
    let doing = || format!("remove the cgroup {}", folder.display());
    let mut tries = 0;
    loop {
        match fs::remove_dir(folder) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            Err(cause) if cause.kind() == ErrorKind::ResourceBusy && tries < 200 => {
                tries += 1;
                // Version 1 has no event for it.
                let _ = poll(&mut [], PollTimeout::from(5_u8));
            }
            answer => return answer.doing(doing),
        }
    }
}

/// A folder and all below it, parents first; none without the folder.
fn subtree(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        match fs::read_dir(&folder) {
            Ok(entries) => {
                let below = entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
                open.extend(below.map(|entry| entry.path()));
                found.push(folder);
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => (),
            Err(cause) => return Err(cause).doing(|| format!("list {}", folder.display())),
        }
    }
    Ok(found)
}

fn write(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).doing(|| format!("write {value} to {}", path.display()))
}

/// Version 2's weight (1 to 10000) for version 1's shares (2 to 262144), as container runtimes convert it.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn counter(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_from_the_mounts() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let layout = Layout::parse(hybrid).unwrap();
        assert_eq!(layout.holding("cpu").unwrap(), Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(layout.mounts().len(), 3);
        assert!(layout.holding("memory").is_err());
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(Layout::parse(unified), Some(Layout::V2("/sys/fs/cgroup".into())));
        assert_eq!(Layout::parse(""), None);
    }

    #[test]
    fn shares_become_weights() {
        assert_eq!([2, 1024, 262_144].map(weight), [1, 39, 10_000]);
    }

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), 3);
        assert_eq!(counter("low 0\noom_group_kill 1\n", "oom_kill"), 0);
    }
}
