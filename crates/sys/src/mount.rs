//! Mounts: overlay, bind, unmounting, and which there are.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::Mode;

use crate::error::{Doing, Error, Result};

/// Whether `path` itself is the root of a mount.
///
/// # Errors
/// When the path does not exist or the kernel is older than 5.8.
pub fn is_mount_point(path: &Path) -> Result<bool> {
    let doing = || format!("look whether {} is a mount", path.display());
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::other(doing(), "NUL in the path"))?;
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    // SAFETY: statx is plain data for which all zeroes is a value.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the name is NUL-terminated and `stat` is as large as the kernel's own; both live through the call.
    let answer = unsafe { libc::statx(libc::AT_FDCWD, name.as_ptr(), flags, 0, &raw mut stat) };
    Errno::result(answer).doing(doing)?;
    let bit = u64::try_from(libc::STATX_ATTR_MOUNT_ROOT).unwrap_or_default();
    if stat.stx_attributes_mask & bit == 0 {
        return Err(Error::other(doing(), "the kernel does not tell; Linux 5.8 or newer is needed"));
    }
    Ok(stat.stx_attributes & bit != 0)
}

/// An overlay's folders.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// The layers, the uppermost first. At least one.
    pub lower: &'a [PathBuf],
    /// Where changes go. Together with `work` on one file system that is no overlay itself.
    pub upper: &'a Path,
    /// The kernel's own scratch folder, empty.
    pub work: &'a Path,
}

/// Mounts an overlay at `target`.
///
/// The folders are named to the kernel by descriptor, so that neither colons and commas in a path nor the one page
/// that mount(2) has for options limit what can be mounted: some two hundred layers fit.
///
/// # Errors
/// When a folder is missing, or the file system under `upper` cannot hold an overlay.
pub fn overlay(layers: &Overlay<'_>, target: &Path) -> Result<()> {
    let open = |path: &Path| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(path, flags, Mode::empty()).doing(|| format!("open {}", path.display()))
    };
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower = layers.lower.iter().map(|layer| open(layer)).collect::<Result<Vec<OwnedFd>>>()?;
    let (upper, work) = (open(layers.upper)?, open(layers.work)?);
    let names = lower.iter().map(name).collect::<Vec<_>>().join(":");
    let options = format!("lowerdir={names},upperdir={},workdir={}", name(&upper), name(&work));
    let doing = || format!("mount an overlay of {} layers at {}", lower.len(), target.display());
    nix::mount::mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .doing(doing)?;
    nix::mount::mount(None::<&str>, target, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>).doing(doing)
}

/// Detaches the mount at `path` and all mounts below it, at once for newcomers, for good when the last user ends.
/// Does nothing when `path` is no mount.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount(path: &Path) -> Result<()> {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        answer => answer.doing(|| format!("unmount {}", path.display())),
    }
}

/// Shows a folder or file at another place, in a mount that is not handed on to other mount namespaces.
///
/// # Errors
/// When the kernel refuses.
pub fn bind(source: &Path, target: &Path, read_only: bool) -> Result<()> {
    let doing = || format!("show {} at {}", source.display(), target.display());
    let none = None::<&str>;
    nix::mount::mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).doing(doing)?;
    nix::mount::mount(none, target, none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).doing(doing)?;
    if read_only {
        // The kernel takes the flag only on a second look at the mount.
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        nix::mount::mount(none, target, none, flags, none).doing(doing)?;
    }
    Ok(())
}

/// The mount points at and under a folder, as `/proc/self/mountinfo` lists them, the last mounted first: unmounting
/// in this order works.
///
/// # Errors
/// When the list cannot be read.
pub fn under(folder: &Path) -> Result<Vec<PathBuf>> {
    let path = "/proc/self/mountinfo";
    let list = std::fs::read(path).doing(|| format!("read {path}"))?;
    let mut mounts: Vec<PathBuf> = list
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4).map(unescape))
        .filter(|mount| mount.starts_with(folder))
        .collect();
    mounts.reverse();
    Ok(mounts)
}

/// Undoes the octal escapes (`\040`) of the kernel's mount lists.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = digits {
            bytes.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8) + (digit - b'0')));
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escapes_of_mount_lists_are_undone() {
        assert_eq!(unescape(br"/a\040b\134c\0"), Path::new(r"/a b\c\0"));
    }

    #[test]
    fn the_root_is_a_mount_and_a_folder_in_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(!is_mount_point(folder.path()).unwrap());
        assert!(under(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
