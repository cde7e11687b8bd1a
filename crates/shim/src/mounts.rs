//! What is mounted in a container, in which order, and which places it may not have. Only [`check`] looks at files.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use desired::Container;
use libcontainer::oci_spec::OciSpecError;
use libcontainer::oci_spec::runtime::{Mount, MountBuilder, get_default_mounts};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};

use crate::{executor, trust};

/// What stands in /dev and is no folder.
const DEVICES: [&str; 12] = [
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "fd", "stdin", "stdout", "stderr",
];

/// The files that are mounted into a container, each with its name in the folder that they come from.
fn files(container: &Container) -> impl Iterator<Item = (&'static str, PathBuf)> {
    let named = ["resolv.conf", "hosts", "hostname"].map(|name| (name, Path::new("/etc").join(name)));
    let trusted = container.trust_ca.then(|| (trust::FILE, PathBuf::from(trust::BUNDLE)));
    named.into_iter().chain(trusted)
}

/// All mounts of a container, each behind those that it lies in.
///
/// `etc`: the folder with the files of [`files`]; `volumes`: the folder with the task's volumes, each a folder of its name.
pub(crate) fn all(container: &Container, etc: &Path, volumes: &Path) -> Result<Vec<Mount>, OciSpecError> {
    let mut own = Vec::new();
    for tmpfs in &container.linux.tmpfs {
        // Docker's own options stand before the task definition's, which take them back one by one.
        let docker = ["nosuid", "nodev", "noexec"].map(str::to_owned).into_iter();
        let size = [format!("size={}m", tmpfs.size), "mode=1777".to_owned()];
        own.push(
            MountBuilder::default()
                .destination(&tmpfs.path)
                .typ("tmpfs")
                .source("tmpfs")
                .options(docker.chain(tmpfs.options.iter().cloned()).chain(size).collect::<Vec<_>>())
                .build()?,
        );
    }
    for mount in &container.mounts {
        let access = if mount.read_only { "ro" } else { "rw" };
        own.push(
            MountBuilder::default()
                .destination(&mount.path)
                .typ("bind")
                .source(volumes.join(&mount.volume))
                .options(["bind", "rprivate", "nosuid", "nodev", access].map(str::to_owned).to_vec())
                .build()?,
        );
    }
    let access = if container.readonly_root_filesystem { "ro" } else { "rw" };
    for (name, destination) in files(container) {
        let options = ["bind", "rprivate", "nosuid", "nodev", "noexec", access].map(str::to_owned).to_vec();
        own.push(
            MountBuilder::default()
                .destination(destination)
                .typ("bind")
                .source(etc.join(name))
                .options(options)
                .build()?,
        );
    }
    own.sort_by_key(|mount| depth(mount.destination()));
    let mut mounts = usual();
    mounts.extend(own);
    Ok(mounts)
}

/// What every container has mounted. No /sys/fs/cgroup: version 1 mounts it writable, and a container would raise its own
/// limits.
pub(crate) fn usual() -> Vec<Mount> {
    let mut mounts = get_default_mounts();
    mounts.retain(|mount| mount.destination() != Path::new("/sys/fs/cgroup"));
    mounts
}

/// How deep a place lies. Docker mounts in this order, so that nothing hides what lies in it.
fn depth(path: &Path) -> usize {
    path.components().count()
}

/// Why nothing may be mounted at a place whose links are resolved, in runc's words where it is runc that refuses.
fn refused(place: &Path) -> Option<String> {
    for (folder, kind) in [("/proc", "proc"), ("/sys", "sysfs")] {
        if place == Path::new(folder) {
            return Some(format!("\"{folder}\" cannot be mounted because it is not of type {kind}"));
        }
        if place.starts_with(folder) {
            return Some(format!("\"{}\" cannot be mounted because it is inside {folder}", place.display()));
        }
    }
    let device = place.strip_prefix("/dev").ok()?;
    match device.to_str() {
        Some("") => Some("\"/dev\" cannot be mounted because the container's devices are in it".to_owned()),
        Some(name) if DEVICES.contains(&name) => Some("not a directory".to_owned()),
        _ => None,
    }
}

/// The innermost mount of a container's own that a place lies in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cover<'a> {
    /// Where it is mounted.
    path: &'a Path,
    /// The volume. None: it is a file system in memory.
    volume: Option<&'a str>,
    is_read_only: bool,
}

impl<'a> Cover<'a> {
    /// What covers a place. A mount at the place itself does not.
    fn over(container: &'a Container, place: &Path) -> Option<Self> {
        let volumes = container.mounts.iter().map(|mount| Self {
            path: Path::new(&mount.path),
            volume: Some(&mount.volume),
            is_read_only: mount.read_only,
        });
        let tmpfs = container.linux.tmpfs.iter().map(|tmpfs| Self {
            path: Path::new(&tmpfs.path),
            volume: None,
            is_read_only: tmpfs.options.iter().any(|option| option == "ro"),
        });
        let over = |cover: &Self| place.starts_with(cover.path) && place != cover.path;
        volumes.chain(tmpfs).filter(over).max_by_key(|cover| depth(cover.path))
    }

    /// The folder of the machine's that holds a place once all is mounted, and the place's path in it. None: it will be in
    /// memory.
    pub(crate) fn base<'p>(
        container: &'a Container,
        place: &'p Path,
        rootfs: &Path,
        volumes: &Path,
    ) -> Option<(PathBuf, &'p Path)> {
        match Self::over(container, place) {
            None => Some((rootfs.to_owned(), place)),
            Some(cover) => {
                Some((volumes.join(cover.volume?), place.strip_prefix(cover.path).unwrap_or(place)))
            }
        }
    }
}

/// Looks whether what is mounted in a container finds its places.
///
/// # Errors
/// In runc's words, which name no folder of the machine's.
pub(crate) fn check(container: &Container, rootfs: &Path, volumes: &Path) -> Result<(), String> {
    let mounted = container.mounts.iter().map(|mount| (mount.volume.as_str(), PathBuf::from(&mount.path)));
    let tmpfs = container.linux.tmpfs.iter().map(|tmpfs| ("tmpfs", PathBuf::from(&tmpfs.path)));
    let own = files(container).collect::<Vec<_>>();
    let folders = mounted.chain(tmpfs).map(|(source, path)| (source, path, true));
    for (source, path, is_folder) in
        folders.chain(own.iter().cloned().map(|(name, path)| (name, path, false)))
    {
        let refuse = |why: &str| {
            Err(format!(
                "error during container init: error mounting \"{source}\" to rootfs at \"{}\": {why}",
                path.display()
            ))
        };
        let cover = Cover::over(container, &path);
        let mut is_there = false;
        let mut place = path.clone();
        if let Some((base, inside)) = Cover::base(container, &path, rootfs, volumes) {
            let found = File::open(base)
                .map_err(|cause| Errno::from_raw(cause.raw_os_error().unwrap_or_default()))
                .and_then(|base| find(&base.into(), inside, is_folder));
            let there = match found {
                Ok((there, is)) => {
                    is_there = is;
                    there
                }
                Err(Errno::ENOTDIR) => return refuse("not a directory"),
                Err(errno) => return refuse(&executor::words(errno)),
            };
            place = cover.map_or(Path::new("/"), |cover| cover.path).join(there);
        }
        if cover.is_some_and(|cover| cover.is_read_only) && !is_there {
            return refuse(&format!("create mountpoint for {} mount: read-only file system", path.display()));
        }
        if is_folder && own.iter().any(|(_, file)| place.starts_with(file)) {
            return refuse("not a directory");
        }
        if let Some(why) = refused(&place) {
            return refuse(&why);
        }
    }
    Ok(())
}

/// Where a folder or a file is, in a root file system or in a volume, once links are followed, which lead nowhere but into it,
/// and whether it is there; what is not yet is where it is named. A path without a slash before it.
fn find(base: &OwnedFd, path: &Path, is_folder: bool) -> nix::Result<(PathBuf, bool)> {
    let named = |file: &OwnedFd| {
        nix::fcntl::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str()).map(PathBuf::from)
    };
    let top = named(base)?;
    let path = path.strip_prefix("/").unwrap_or(path);
    for there in path.ancestors() {
        let wanted = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let mut flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if is_folder || there != path {
            flags |= OFlag::O_DIRECTORY;
        }
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        match openat2(base, wanted, how) {
            Err(Errno::ENOENT) => (),
            Err(errno) => return Err(errno),
            Ok(found) => {
                let is_a_folder = fstat(&found)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
                if there == path && is_a_folder != is_folder {
                    return Err(Errno::ENOTDIR);
                }
                let found = named(&found)?;
                let inside = found.strip_prefix(&top).unwrap_or(&found);
                let rest = path.strip_prefix(there).unwrap_or(path);
                return Ok((inside.join(rest), there == path));
            }
        }
    }
    Ok((path.to_owned(), false))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use desired::{LinuxParameters, Tmpfs, VolumeMount};

    use super::*;

    fn container(mounts: &[(&str, &str)], tmpfs: &[&str]) -> Container {
        let mount = |(volume, path): &(&str, &str)| VolumeMount {
            volume: (*volume).to_owned(),
            path: (*path).to_owned(),
            read_only: false,
        };
        let in_memory = |path: &&str| Tmpfs { path: (*path).to_owned(), size: 1, options: Vec::new() };
        let tmpfs = tmpfs.iter().map(in_memory).collect();
        Container {
            mounts: mounts.iter().map(mount).collect(),
            linux: LinuxParameters { tmpfs, ..LinuxParameters::default() },
            trust_ca: true,
            ..crate::spec::tests::container()
        }
    }

    #[test]
    fn nothing_hides_what_lies_in_it() {
        let container = container(
            &[("v", "/data/sub"), ("w", "/data"), ("x", "/data/sub/memory/deep"), ("e", "/etc/")],
            &["/data/sub/memory", "/srv"],
        );
        let mounts = all(&container, Path::new("/e"), Path::new("/v")).unwrap();
        let places: Vec<&str> = mounts.iter().filter_map(|mount| mount.destination().to_str()).collect();
        let defaults = get_default_mounts().len() - 1;
        assert_eq!(
            places[defaults..],
            [
                "/srv",
                "/data",
                "/etc/",
                "/data/sub",
                "/etc/resolv.conf",
                "/etc/hosts",
                "/etc/hostname",
                "/data/sub/memory",
                "/etc/landfall/ca-bundle.crt",
                "/data/sub/memory/deep",
            ]
        );
    }

    #[test]
    fn the_kernel_s_file_systems_and_files_are_no_places_for_mounts() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["proc", "etc", "sys", "dev/shm", "srv", "volumes/data"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        std::fs::write(folder.path().join("etc/passwd"), "").unwrap();
        symlink("/proc", folder.path().join("procs")).unwrap();
        symlink("../../../srv", folder.path().join("up")).unwrap();
        for (path, want) in [
            ("/proc", Some("\"/proc\" cannot be mounted because it is not of type proc")),
            ("//proc/", Some("\"/proc\" cannot be mounted because it is not of type proc")),
            ("/proc/sys/net", Some("\"/proc/sys/net\" cannot be mounted because it is inside /proc")),
            ("/procs", Some("\"/proc\" cannot be mounted because it is not of type proc")),
            ("/procs/a", Some("\"/proc/a\" cannot be mounted because it is inside /proc")),
            ("/process", None),
            ("/sys", Some("\"/sys\" cannot be mounted because it is not of type sysfs")),
            ("/sys/fs/cgroup", Some("\"/sys/fs/cgroup\" cannot be mounted because it is inside /sys")),
            ("/dev/", Some("\"/dev\" cannot be mounted because the container's devices are in it")),
            ("/dev/null", Some("not a directory")),
            ("/dev/shm", None),
            ("/dev/other", None),
            ("/etc", None),
            ("/etc/passwd", Some("not a directory")),
            ("/etc/passwd/x/y", Some("not a directory")),
            ("/etc/hosts", Some("not a directory")),
            ("/up", None),
            ("/new/er", None),
        ] {
            for (container, source) in
                [(container(&[("data", path)], &[]), "data"), (container(&[], &[path]), "tmpfs")]
            {
                let want = want.map(|why| {
                    format!(
                        "error during container init: error mounting \"{source}\" to rootfs at \"{path}\": {why}"
                    )
                });
                assert_eq!(
                    check(&container, folder.path(), &folder.path().join("volumes")).err(),
                    want,
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn what_is_mounted_in_a_volume_finds_its_place_there_or_can_be_made_there() {
        let folder = tempfile::tempdir().unwrap();
        let (rootfs, volumes) = (folder.path().join("rootfs"), folder.path().join("volumes"));
        for path in ["rootfs/data", "volumes/w/there", "volumes/e"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        std::fs::write(rootfs.join("data/hidden"), "").unwrap();
        std::fs::write(volumes.join("w/file"), "").unwrap();
        let why = |mounts: &[(&str, &str)], tmpfs: &[&str], read_only: bool| {
            let mut container = container(mounts, tmpfs);
            container.mounts[0].read_only = read_only;
            check(&container, &rootfs, &volumes)
                .err()
                .map(|why| why.replace("error during container init: ", ""))
        };
        assert_eq!(why(&[("w", "/data")], &["/data/hidden"], false), None);
        assert_eq!(why(&[("w", "/data")], &["/data/there"], true), None);
        for (mounts, tmpfs, read_only, want) in [
            (
                [("w", "/data")],
                ["/data/new"],
                true,
                r#"error mounting "tmpfs" to rootfs at "/data/new": create mountpoint for /data/new mount: read-only file system"#,
            ),
            (
                [("w", "/data")],
                ["/data/file"],
                false,
                r#"error mounting "tmpfs" to rootfs at "/data/file": not a directory"#,
            ),
            (
                [("e", "/etc")],
                ["/srv"],
                true,
                r#"error mounting "resolv.conf" to rootfs at "/etc/resolv.conf": create mountpoint for /etc/resolv.conf mount: read-only file system"#,
            ),
        ] {
            assert_eq!(why(&mounts, &tmpfs, read_only).as_deref(), Some(want));
        }
        for name in ["resolv.conf", "hosts", "hostname", "landfall/ca-bundle.crt"] {
            let file = volumes.join("e").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        assert_eq!(why(&[("e", "/etc")], &[], true), None);
    }
}
