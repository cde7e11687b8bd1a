//! The task's volumes: empty folders that its containers share and that go with it ("Use bind mounts with Amazon ECS").

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use desired::VolumeMount;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::{Error, Result};

/// Where the volumes of a task lie, each a folder of its name.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("volumes")
}

/// Makes the volumes: of root's, open to read.
pub(crate) fn make(dir: &Path, volumes: &[String]) -> Result<()> {
    let well_named = |name: &&String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    for name in volumes.iter().filter(well_named) {
        let folder = folder(dir).join(name);
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).map_err(Error::file(&folder))?;
    }
    Ok(())
}

/// Gives the volumes what the image has at their places, if it declares these with `VOLUME` and nothing was put into them
/// yet: files, owner and mode.
pub(crate) fn fill(dir: &Path, mounts: &[VolumeMount], declared: &[String], rootfs: &Path) -> io::Result<()> {
    let place = |path: &str| PathBuf::from_iter(Path::new(path).components());
    for mount in mounts {
        let target = folder(dir).join(&mount.volume);
        let is_declared = declared.iter().any(|path| place(path) == place(&mount.path));
        if !is_declared || std::fs::read_dir(&target)?.next().is_some() {
            continue;
        }
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        // A link in the image leads nowhere but into the image.
        match openat2(File::open(rootfs)?, mount.path.as_str(), how) {
            Ok(source) => copy(Path::new(&format!("/proc/self/fd/{}", source.as_raw_fd())), &target)?,
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => (),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Copies a folder's content, owner and mode. No container runs in it yet, so that nothing changes meanwhile.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let own = std::fs::metadata(source)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.metadata()?;
        if kind.is_dir() {
            match std::fs::create_dir(&to) {
                Err(cause) if cause.kind() != ErrorKind::AlreadyExists => return Err(cause),
                _ => copy(&from, &to)?,
            }
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&from)?, &to)?;
            lchown(&to, Some(kind.uid()), Some(kind.gid()))?;
        } else if kind.is_file() {
            std::fs::copy(&from, &to)?;
            lchown(&to, Some(kind.uid()), Some(kind.gid()))?;
            std::fs::set_permissions(&to, kind.permissions())?;
        }
    }
    lchown(target, Some(own.uid()), Some(own.gid()))?;
    std::fs::set_permissions(target, own.permissions())
}
