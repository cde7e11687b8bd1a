//! A layer's tar stream, unpacked into an overlay's lower folder.
//!
//! Every path is resolved by openat2(2) inside the layer's own root, so that neither `..` nor a link leads out, and
//! everything is made relative to a descriptor of its parent. Whiteouts take the form of overlayfs: a character device
//! 0:0, or the attribute `trusted.overlay.opaque`. Device nodes are left out (containers get theirs from the runtime),
//! as are attributes by which a layer could speak to overlayfs itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read, sink};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, futimens, mkdirat, mknodat,
    utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, mkfifoat, symlinkat, unlinkat};
use ring::digest::{Context, SHA256};
use tar::{Archive, Entry, EntryType};
use xattr::FileExt;

use super::content::Digest;
use super::decompress;

/// The most that a layer may hold, unpacked: the ephemeral storage of a Fargate task, 20 GiB.
const LIMIT: u64 = 20 << 30;

/// Unpacks a layer, compressed or not, and gives the digest of its tar stream: the diff id.
pub(super) fn layer(blob: impl BufRead, root: &Path) -> io::Result<Digest> {
    let mut stream = Hashed { inner: decompress::open(blob)?, hash: Context::new(&SHA256), read: 0 };
    let folder = File::open(root)?;
    let mut layer = Layer { root: folder.into(), times: Vec::new() };
    let mut archive = Archive::new(&mut stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        layer.add(&mut entry).map_err(|cause| io::Error::new(cause.kind(), format!("{name}: {cause}")))?;
    }
    // A tar stream goes on behind its end mark, and the diff id is the digest of all of it.
    io::copy(&mut stream, &mut sink())?;
    layer.finish()?;
    Ok(Digest::from(stream.hash.finish()))
}

struct Hashed<R> {
    inner: R,
    hash: Context,
    read: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.read += read as u64;
        if self.read > LIMIT {
            return Err(io::Error::other(format!("the layer is larger than {} GiB", LIMIT >> 30)));
        }
        Ok(read)
    }
}

struct Layer {
    root: OwnedFd,
    /// Folders get their times last, when nothing is added to them any more.
    times: Vec<(PathBuf, TimeSpec)>,
}

/// What stood in an entry's place.
#[derive(PartialEq, Eq)]
enum Before {
    /// A file, a link, a pipe.
    File,
    Folder,
    Whiteout,
}

/// What is told about an entry beside its content.
struct Attributes {
    owner: (Uid, Gid),
    mode: Mode,
    time: TimeSpec,
    extended: Vec<(String, Vec<u8>)>,
}

impl Layer {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let bytes = entry.path_bytes().into_owned();
        let path = clean(&bytes)?;
        let mut kind = entry.header().entry_type();
        if kind.is_file() && bytes.ends_with(b"/") {
            // As old tar programs mark folders.
            kind = EntryType::Directory;
        }
        let Some(name) = path.file_name() else {
            return if kind.is_dir() { self.root_folder(&attributes(entry)?) } else { Ok(()) };
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return self.whiteout(folder, OsStr::from_bytes(hidden));
        }
        match kind {
            EntryType::Directory => {
                let attributes = attributes(entry)?;
                let parent = self.parent(folder)?;
                let made = self.folder(&parent, name)?;
                attributes.apply(&made)?;
                self.times.push((path, attributes.time));
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let attributes = attributes(entry)?;
                let parent = self.parent(folder)?;
                clear(&parent, name)?;
                let flags =
                    OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let mut file = File::from(openat(&parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
                io::copy(entry, &mut file)?;
                attributes.apply(&file)?;
                Ok(futimens(&file, &attributes.time, &attributes.time)?)
            }
            EntryType::Symlink => {
                let attributes = attributes(entry)?;
                let target = entry.link_name_bytes().ok_or_else(|| malformed("a link without a target"))?;
                let parent = self.parent(folder)?;
                clear(&parent, name)?;
                symlinkat(OsStr::from_bytes(&target), &parent, name)?;
                attributes.apply_to_link(&parent, name)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| malformed("a link without a target"))?;
                let target = clean(&target)?;
                let target_name = target.file_name().ok_or_else(|| malformed("a hard link to the root"))?;
                let target_parent = self.parent(target.parent().unwrap_or(Path::new("")))?;
                let parent = self.parent(folder)?;
                if target != path {
                    clear(&parent, name)?;
                    linkat(&target_parent, target_name, &parent, name, AtFlags::empty())?;
                }
                Ok(())
            }
            EntryType::Fifo => {
                let attributes = attributes(entry)?;
                let parent = self.parent(folder)?;
                clear(&parent, name)?;
                mkfifoat(&parent, name, Mode::S_IRUSR)?;
                attributes.apply_to_link(&parent, name)?;
                Ok(fchmodat(&parent, name, attributes.mode, FchmodatFlags::FollowSymlink)?)
            }
            // Device nodes, and headers that describe no file.
            _ => Ok(()),
        }
    }

    /// Opens a folder of the layer, following the layer's own links, never out of it.
    fn open(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            match openat2(&self.root, path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => (),
                answer => return answer,
            }
        }
    }

    /// The folder that an entry lies in, made where the layer does not list it.
    fn parent(&mut self, path: &Path) -> io::Result<OwnedFd> {
        match self.open(path, OFlag::O_PATH) {
            Ok(folder) => return Ok(folder),
            Err(Errno::ENOENT | Errno::ENOTDIR) => (),
            Err(errno) => return Err(errno.into()),
        }
        let mut folder = self.open(Path::new(""), OFlag::O_PATH)?;
        let mut so_far = PathBuf::new();
        for name in path {
            so_far.push(name);
            folder = match self.open(&so_far, OFlag::O_PATH) {
                Ok(folder) => folder,
                Err(Errno::ENOENT | Errno::ENOTDIR) => self.folder(&folder, name)?,
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(folder)
    }

    /// Opens or makes the folder `name`, in the place of whatever else stands there.
    fn folder(&mut self, parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        let before = look(parent, name)?;
        if before != Some(Before::Folder) {
            clear(parent, name)?;
            mkdirat(parent, name, Mode::from_bits_truncate(0o755))?;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(parent, name, flags, Mode::empty())?;
        if before == Some(Before::Whiteout) {
            hide_below(&made)?;
        }
        Ok(made)
    }

    fn whiteout(&mut self, folder: &Path, hidden: &OsStr) -> io::Result<()> {
        if hidden.as_bytes() == b".wh..opq" {
            let parent = self.parent(folder)?;
            return hide_below(&parent);
        }
        if hidden.as_bytes().starts_with(b".wh.") || matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            // Notes of AUFS to itself, or nothing that a file could be named.
            return Ok(());
        }
        let parent = self.parent(folder)?;
        match look(&parent, hidden)? {
            None => Ok(mknodat(&parent, hidden, SFlag::S_IFCHR, Mode::empty(), 0)?),
            // A whiteout hides what is below this layer. The layer's own folder stays, and hides as a whole.
            Some(Before::Folder) => {
                let made = self.folder(&parent, hidden)?;
                hide_below(&made)
            }
            Some(Before::Whiteout | Before::File) => Ok(()),
        }
    }

    fn root_folder(&mut self, attributes: &Attributes) -> io::Result<()> {
        let root = self.open(Path::new(""), OFlag::O_RDONLY)?;
        attributes.apply(&root)?;
        self.times.push((PathBuf::new(), attributes.time));
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        // The deepest first, and of one named twice the last.
        for (path, time) in self.times.iter().rev() {
            match self.open(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW) {
                Ok(folder) => futimens(&folder, time, time)?,
                // Replaced later in the same layer.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => (),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// The parts of an entry's name, without the root and the dots.
fn clean(bytes: &[u8]) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in bytes.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => (),
            b".." => return Err(malformed("the path leads out of the layer")),
            part if part.contains(&0) => return Err(malformed("a NUL in the path")),
            part => path.push(OsStr::from_bytes(part)),
        }
    }
    Ok(path)
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// What stands at a name; None when nothing does.
fn look(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<Before>> {
    let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(None),
        stat => stat?,
    };
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(Some(match kind {
        SFlag::S_IFDIR => Before::Folder,
        SFlag::S_IFCHR if stat.st_rdev == 0 => Before::Whiteout,
        _ => Before::File,
    }))
}

/// Removes whatever stands at a name.
fn clear(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match look(parent, name)? {
        None => Ok(()),
        Some(Before::Folder) => {
            // The kernel's own name for the descriptor: nothing in the path can lead elsewhere.
            std::fs::remove_dir_all(Path::new(&format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name))
        }
        Some(Before::Whiteout | Before::File) => Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?),
    }
}

/// Has overlayfs show nothing of this folder that lies in lower layers.
fn hide_below(folder: &OwnedFd) -> io::Result<()> {
    // A descriptor that was opened for its path alone takes no attributes.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    File::from(openat(folder, ".", flags, Mode::empty())?).set_xattr("trusted.overlay.opaque", b"y")
}

fn attributes<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Attributes> {
    let header = entry.header();
    let id = |value: u64| u32::try_from(value).map_err(|_| malformed("an owner beyond 32 bits"));
    let owner = (Uid::from_raw(id(header.uid()?)?), Gid::from_raw(id(header.gid()?)?));
    let mode = Mode::from_bits_truncate(header.mode()? & 0o7777);
    let time = TimeSpec::new(i64::try_from(header.mtime()?).unwrap_or(0), 0);
    let mut extended = Vec::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) else {
            continue;
        };
        // Never `trusted.overlay.*`: with it a layer would redirect overlayfs.
        if name == "security.capability" || name.starts_with("user.") {
            extended.push((name.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    Ok(Attributes { owner, mode, time, extended })
}

impl Attributes {
    fn apply(&self, file: &impl AsFd) -> io::Result<()> {
        // The owner first: a change of it takes setuid bits and capabilities away.
        fchown(file, Some(self.owner.0), Some(self.owner.1))?;
        fchmod(file, self.mode)?;
        if !self.extended.is_empty() {
            let file = File::from(file.as_fd().try_clone_to_owned()?);
            for (name, value) in &self.extended {
                match file.set_xattr(name, value) {
                    // A file system without user attributes: other engines go on, too.
                    Err(cause) if cause.kind() == ErrorKind::Unsupported => (),
                    answer => answer?,
                }
            }
        }
        Ok(())
    }

    fn apply_to_link(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let (owner, group) = (Some(self.owner.0), Some(self.owner.1));
        fchownat(parent, name, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(utimensat(parent, name, &self.time, &self.time, UtimensatFlags::NoFollowSymlink)?)
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
