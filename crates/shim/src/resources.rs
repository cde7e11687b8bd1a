//! What a task holds in the kernel: control groups, and a root file system for each container.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use desired::{Dns, Task};
use nix::poll::{PollTimeout, poll};
use sys::cgroup::{Cgroup, Layout, Limits};
use sys::mount;

use crate::{Error, Result, volume};

/// After SIGKILL, processes end at once; only a hung file system holds one this long.
pub(crate) const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// The control group of all tasks of a state folder (see [`desired::tasks_cgroup`]). No shim removes it.
///
/// # Errors
/// When the machine has no control groups.
pub fn tasks_cgroup(state: &Path) -> Result<Cgroup> {
    Ok(Cgroup::new(Layout::of_this_machine()?, desired::tasks_cgroup(state)))
}

/// A task's control group; its containers' lie below it.
///
/// # Errors
/// When the machine has no control groups.
pub fn task_cgroup(state: &Path, task: &str) -> Result<Cgroup> {
    Ok(Cgroup::new(Layout::of_this_machine()?, desired::tasks_cgroup(state).join(task)))
}

pub(crate) fn container_cgroup(state: &Path, task: &str, container: &str) -> Result<Cgroup> {
    Ok(Cgroup::new(Layout::of_this_machine()?, desired::tasks_cgroup(state).join(task).join(container)))
}

/// The limits of the whole task, from the task definition's `cpu` and `memory`.
pub(crate) fn limits(task: &Task) -> Limits {
    let cpu = u64::from(task.cpu);
    Limits {
        cpu_shares: (cpu > 0).then_some(cpu),
        cpu_milli: (cpu > 0).then(|| (cpu * 1000).div_ceil(1024)),
        memory: (task.memory > 0).then(|| u64::from(task.memory) << 20),
    }
}

/// The file that a task's helpers, and what they fork up to its exec, hold a shared lock on: they are in no control
/// group of the task's yet.
pub(crate) fn helpers_lock(dir: &Path) -> PathBuf {
    dir.join("helpers.lock")
}

/// Kills whatever is left of a task, and waits until no helper is at work any more. While the returned file lives, none
/// begins.
pub(crate) fn kill(dir: &Path, state: &Path, task: &str) -> Result<File> {
    let (path, group) = (helpers_lock(dir), task_cgroup(state, task)?);
    let helpers = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let helpers = helpers.map_err(Error::file(&path))?;
    let deadline = Instant::now() + KILL_PATIENCE;
    loop {
        group.kill(KILL_PATIENCE)?;
        match helpers.try_lock() {
            Ok(()) => return Ok(helpers),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                // Helpers die with their shim; what one has forked comes to the group or ends.
                let _ = poll(&mut [], PollTimeout::from(2_u8));
            }
            Err(TryLockError::WouldBlock) => {
                let cause = std::io::Error::other("a helper process outlives its shim");
                return Err(Error::File { path, cause });
            }
            Err(TryLockError::Error(cause)) => return Err(Error::File { path, cause }),
        }
    }
}

/// Removes all that a task held: mounts, control groups, containers' folders. May be repeated.
pub(crate) fn remove(dir: &Path, state: &Path, task: &str) -> Result<()> {
    let containers = containers_folder(dir);
    // mountinfo tells resolved paths.
    let resolved = containers.canonicalize().unwrap_or_else(|_| containers.clone());
    for mounted in mount::under(&resolved)? {
        mount::unmount(&mounted)?;
    }
    task_cgroup(state, task)?.remove()?;
    for folder in [containers, volume::folder(dir)] {
        match std::fs::remove_dir_all(&folder) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                return Err(Error::File { path: folder, cause });
            }
            _ => (),
        }
    }
    Ok(())
}

pub(crate) fn containers_folder(dir: &Path) -> PathBuf {
    dir.join("containers")
}

/// The folders of one container.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// OCI's bundle: `config.json` is here.
    pub(crate) folder: PathBuf,
    /// Where the overlay is mounted.
    pub(crate) rootfs: PathBuf,
    /// libcontainer's own state.
    pub(crate) runtime: PathBuf,
    /// `hosts`, `hostname` and `resolv.conf`.
    pub(crate) etc: PathBuf,
}

impl Bundle {
    /// Where they are.
    pub(crate) fn new(dir: &Path, container: &str) -> Self {
        let folder = containers_folder(dir).join(container);
        Self {
            rootfs: folder.join("rootfs"),
            runtime: folder.join("runtime"),
            etc: folder.join("etc"),
            folder,
        }
    }

    /// Makes the folders and mounts the image's layers, the lowest first, with a fresh one on top.
    pub(crate) fn mount(dir: &Path, container: &str, layers: &[PathBuf]) -> Result<Self> {
        let bundle = Self::new(dir, container);
        let (upper, work) = (bundle.folder.join("upper"), bundle.folder.join("work"));
        for folder in [&bundle.rootfs, &bundle.runtime, &bundle.etc, &upper, &work] {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        // The upper folder's own mode is what the container sees of `/`.
        std::fs::set_permissions(&upper, Permissions::from_mode(0o755)).map_err(Error::file(&upper))?;
        let lower: Vec<PathBuf> = layers.iter().rev().cloned().collect();
        mount::overlay(&mount::Overlay { lower: &lower, upper: &upper, work: &work }, &bundle.rootfs)?;
        Ok(bundle)
    }

    /// Forgets the container that ran here, so that another one of its name can be made in the same root file system.
    pub(crate) fn forget(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.runtime)
            .and_then(|()| std::fs::create_dir(&self.runtime))
            .map_err(Error::file(&self.runtime))
    }

    /// Writes the files that name the container and its DNS server.
    pub(crate) fn name(&self, hostname: &str, address: Option<std::net::Ipv4Addr>, dns: &Dns) -> Result<()> {
        let own = address.map(|address| format!("{address} {hostname}\n")).unwrap_or_default();
        let files = [
            ("hosts", format!("127.0.0.1 localhost\n{own}")),
            ("hostname", format!("{hostname}\n")),
            ("resolv.conf", resolv_conf(dns)),
        ];
        for (name, content) in files {
            let path = self.etc.join(name);
            std::fs::write(&path, content).map_err(Error::file(&path))?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(Error::file(path))?;
        }
        Ok(())
    }
}

/// resolv.conf(5), as a DHCP client writes it.
fn resolv_conf(dns: &Dns) -> String {
    let search = (!dns.search.is_empty()).then(|| format!("search {}\n", dns.search.join(" ")));
    let servers = dns.servers.iter().map(|server| format!("nameserver {server}\n"));
    search.into_iter().chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_of_its_domains_and_dns_servers() {
        assert_eq!(resolv_conf(&Dns::default()), "nameserver 169.254.169.253\n");
        let dns = Dns {
            search: vec!["example.com".to_owned(), "example.org".to_owned()],
            servers: vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()],
        };
        let text = "search example.com example.org\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        assert_eq!(resolv_conf(&dns), text);
    }

    #[test]
    fn two_state_folders_have_two_groups_with_eight_digits() {
        let (a, b) =
            (desired::tasks_cgroup(Path::new("/nowhere/a")), desired::tasks_cgroup(Path::new("/nowhere/b")));
        assert_ne!(a, b);
        let name = a.to_str().unwrap();
        assert_eq!(name.len(), "landfall-".len() + 8);
    }
}
