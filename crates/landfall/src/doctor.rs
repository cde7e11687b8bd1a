//! Whether this machine can run Landfall: each problem with its remedy.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// Landfall runs, with a limit.
    Warning,
    /// Landfall cannot run.
    Problem,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// What was seen, in a few words.
    pub seen: String,
    /// What to do about it; empty when all is well.
    pub remedy: String,
}

impl Check {
    fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, seen: seen.into(), remedy: String::new() }
    }

    fn warning(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, seen: seen.into(), remedy: remedy.into() }
    }

    fn problem(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, seen: seen.into(), remedy: remedy.into() }
    }
}

/// Free space below which images and the database may not fit, in bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// Looks at everything. `running`: Landfall itself holds the ports now.
pub fn examine(state: &Path, listen: SocketAddr, host_address: Ipv4Addr, running: bool) -> Vec<Check> {
    let mut checks = vec![root(), nf_tables(), overlay(), cgroups()];
    let folder = existing(state);
    checks.push(path_length(state));
    checks.push(file_system(&folder));
    checks.push(disk(&folder));
    if running {
        checks.push(Check::ok("ports", format!("{listen} is answered by this Landfall")));
    } else {
        checks.push(port("API port", listen, "--listen"));
        checks.push(match port("port 80", SocketAddr::from((host_address, 80)), "--host-address") {
            Check { verdict: Verdict::Problem, seen, remedy, .. } => Check::warning(
                "port 80",
                seen,
                format!("no load balancer's listener on port 80 will be reachable from this host: {remedy}"),
            ),
            fine => fine,
        });
    }
    checks
}

/// The nearest folder that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn root() -> Check {
    if nix::unistd::geteuid().is_root() {
        Check::ok("root", "running as root")
    } else {
        Check::problem(
            "root",
            "not running as root",
            "network namespaces, mounts and cgroups need root: run it with sudo",
        )
    }
}

fn nf_tables() -> Check {
    match sys::nft::generation() {
        Ok(_) => Check::ok("nf_tables", "the kernel has nf_tables"),
        Err(_) if !nix::unistd::geteuid().is_root() => {
            Check::warning("nf_tables", "only root can ask the kernel for it", "run it as root, with sudo")
        }
        Err(error) => Check::problem(
            "nf_tables",
            error.to_string(),
            "load it with `modprobe nf_tables`, or use a kernel with CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, \
             CONFIG_NFT_CT and CONFIG_NFT_NAT",
        ),
    }
}

fn overlay() -> Check {
    match std::fs::read_to_string("/proc/filesystems") {
        Ok(text) if text.lines().any(|line| line.split_whitespace().last() == Some("overlay")) => {
            Check::ok("overlay", "the kernel has overlayfs")
        }
        Ok(_) => Check::problem("overlay", "the kernel has no overlayfs", "load it with `modprobe overlay`"),
        Err(error) => Check::problem("overlay", error.to_string(), "mount proc on /proc"),
    }
}

fn cgroups() -> Check {
    let v1 = Path::new("/sys/fs/cgroup/memory").is_dir();
    if v1 {
        return Check::ok("cgroups", "version 1 (or hybrid) hierarchies");
    }
    match std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
        Ok(text)
            if ["cpu", "memory", "pids"].iter().all(|name| text.split_whitespace().any(|c| c == *name)) =>
        {
            Check::warning(
                "cgroups",
                "version 2",
                "version 2 is supported but not tested yet: tell us how it went",
            )
        }
        Ok(text) => Check::problem(
            "cgroups",
            format!("version 2 with controllers: {}", text.trim()),
            "tasks need the controllers cpu, memory and pids: enable them in the parent's cgroup.subtree_control",
        ),
        Err(_) => Check::problem("cgroups", "no cgroups at /sys/fs/cgroup", "mount them, as systemd does"),
    }
}

/// The longest path of a state folder: the socket of a task's shim, 50 bytes below it, fits a Unix socket's 108.
const LONGEST_PATH: usize = 108 - 1 - "/tasks/0123456789abcdef0123456789abcdef/role.sock".len();

fn path_length(state: &Path) -> Check {
    let length = state.as_os_str().len();
    let seen = format!("{} has {length} bytes", state.display());
    if length > LONGEST_PATH {
        Check::problem(
            "path",
            seen,
            format!(
                "Unix sockets below it would have too long names: choose a --state-dir of at most {LONGEST_PATH} bytes"
            ),
        )
    } else {
        Check::ok("path", seen)
    }
}

fn file_system(folder: &Path) -> Check {
    let name = "state folder";
    match nix::sys::statfs::statfs(folder) {
        Ok(stat) => {
            let kind = stat.filesystem_type();
            let bad = [
                (nix::sys::statfs::OVERLAYFS_SUPER_MAGIC, "overlay"),
                (nix::sys::statfs::NFS_SUPER_MAGIC, "NFS"),
                (nix::sys::statfs::FUSE_SUPER_MAGIC, "FUSE"),
            ];
            match bad.iter().find(|(magic, _)| *magic == kind) {
                Some((_, what)) => Check::problem(
                    name,
                    format!("{} is on {what}", folder.display()),
                    "container layers need a file system that overlayfs can stand on (ext4, xfs, btrfs): choose \
                     another --state-dir",
                ),
                None => Check::ok(name, format!("{} can hold container layers", folder.display())),
            }
        }
        Err(error) => {
            Check::problem(name, format!("{}: {error}", folder.display()), "choose another --state-dir")
        }
    }
}

fn disk(folder: &Path) -> Check {
    match nix::sys::statvfs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let seen = format!("{} MiB free in {}", free >> 20, folder.display());
            if free < LITTLE_SPACE {
                Check::warning("disk", seen, "images and the database may not fit: free some space")
            } else {
                Check::ok("disk", seen)
            }
        }
        Err(error) => {
            Check::problem("disk", format!("{}: {error}", folder.display()), "choose another --state-dir")
        }
    }
}

/// `option` is the one that chooses the address.
fn port(name: &'static str, address: SocketAddr, option: &str) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(name, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Check::problem(
            name,
            format!("{address} is used by another program"),
            format!("end that program, or choose another address with {option}"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Check::problem(name, format!("{address}: {error}"), "run it as root, with sudo")
        }
        Err(error) => Check::problem(
            name,
            format!("{address}: {error}"),
            format!("choose another address with {option}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_a_problem_with_a_remedy() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = port("API port", held.local_addr().unwrap(), "--listen");
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.remedy.contains("--listen"), "{found:?}");
    }

    #[test]
    fn this_machine_s_checks_have_remedies_wherever_they_find_fault() {
        let folder = tempfile::tempdir().unwrap();
        for check in examine(
            &folder.path().join("not/yet"),
            "127.0.0.1:0".parse().unwrap(),
            Ipv4Addr::LOCALHOST,
            false,
        ) {
            assert_eq!(check.remedy.is_empty(), check.verdict == Verdict::Ok, "{check:?}");
        }
    }
}
