//! The node's own blobs and unpacked layers, shared by all pulls of a state folder.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Trouble, snapshot, unpack};

/// A SHA-256 digest, the one kind that is known here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest(String);

impl Digest {
    /// Takes `sha256:` and 64 small hexadecimal digits, nothing else: it becomes a file's name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hex.len() == 64 && digits).then(|| Self(hex.to_owned()))
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::from(ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// The digits without the algorithm.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }
}

impl From<ring::digest::Digest> for Digest {
    fn from(digest: ring::digest::Digest) -> Self {
        Self(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `STATE/content` and `STATE/snapshots`.
#[derive(Debug)]
pub(super) struct Store {
    state: PathBuf,
}

impl Store {
    pub(super) fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    fn blobs(&self) -> PathBuf {
        self.state.join("content/blobs/sha256")
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether a blob is there, whole: only verified files get their name.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// One at a time for each name, over all helpers; the lock ends with the file.
    fn lock(&self, name: &str) -> std::io::Result<File> {
        let folder = self.state.join("content/locks");
        std::fs::create_dir_all(&folder)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(name))?;
        file.lock()?;
        Ok(file)
    }

    /// Adds a blob that `fill` writes and verifies; it is on disk for good when this returns. Whoever comes second
    /// waits and finds it there.
    pub(super) fn add(
        &self,
        digest: &Digest,
        fill: impl FnOnce(&mut File) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let say =
            |cause: std::io::Error| Trouble::Final(format!("failed to store the blob {digest}: {cause}"));
        let _lock = self.lock(digest.hex()).map_err(say)?;
        if self.has(digest) {
            return Ok(());
        }
        let blobs = self.blobs();
        std::fs::create_dir_all(&blobs).map_err(say)?;
        let partial = blobs.join(format!("{}.partial", digest.hex()));
        let mut file = File::create(&partial).map_err(say)?;
        let filled = fill(&mut file).and_then(|()| {
            file.sync_all()
                .and_then(|()| std::fs::rename(&partial, self.path(digest)))
                .and_then(|()| File::open(&blobs)?.sync_all())
                .map_err(say)
        });
        if filled.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        filled
    }

    /// Unpacks a layer's blob, unless it is unpacked. The snapshot has its name only when it is whole and on disk.
    pub(super) fn unpack(&self, blob: &Digest, diff_id: &Digest) -> Result<(), String> {
        let say = |cause: &dyn fmt::Display| format!("failed to extract layer {diff_id}: {cause}");
        let _lock = self.lock(&format!("snapshot-{}", diff_id.hex())).map_err(|e| say(&e))?;
        let target = snapshot(&self.state, diff_id.hex());
        if target.is_dir() {
            return Ok(());
        }
        let snapshots = self.state.join("snapshots");
        let (named, partial) =
            (snapshots.join(diff_id.hex()), snapshots.join(format!("{}.partial", diff_id.hex())));
        // What a helper that was killed has left.
        remove(&partial).map_err(|e| say(&e))?;
        let root = partial.join("fs");
        std::fs::create_dir_all(&root).map_err(|e| say(&e))?;
        // There are setuid programs in it, which the host's users must not reach.
        std::fs::set_permissions(&snapshots, Permissions::from_mode(0o700)).map_err(|e| say(&e))?;
        let unpacked = File::open(self.path(blob)).map_err(|e| say(&e)).and_then(|file| {
            let found =
                unpack::layer(BufReader::with_capacity(256 << 10, file), &root).map_err(|e| say(&e))?;
            if found != *diff_id {
                return Err(say(&format!("wrong diff id calculated on extraction \"{found}\"")));
            }
            let sync = || -> std::io::Result<()> {
                nix::unistd::syncfs(File::open(&root)?)?;
                std::fs::rename(&partial, &named)?;
                File::open(&snapshots)?.sync_all()
            };
            sync().map_err(|e| say(&e))
        });
        if unpacked.is_err() {
            let _ = remove(&partial);
        }
        unpacked
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_true_digests_become_file_names() {
        let good = Digest::of(b"").to_string();
        assert_eq!(Digest::parse(&good).unwrap().to_string(), good);
        for bad in
            ["", "latest", "sha256:", "sha256:../../etc", &good.to_uppercase(), &good[..70], "sha512:00"]
        {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_blob_that_could_not_be_filled_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let digest = Digest::of(b"x");
        let failed = store.add(&digest, |file| {
            file.write_all(b"half").unwrap();
            Err(Trouble::Again("cut".to_owned()))
        });
        assert!(failed.is_err() && !store.has(&digest));
        assert_eq!(std::fs::read_dir(store.blobs()).unwrap().count(), 0);
        let fill = |file: &mut File| {
            file.write_all(b"x").unwrap();
            Ok(())
        };
        store.add(&digest, fill).unwrap();
        assert_eq!(std::fs::read(store.path(&digest)).unwrap(), b"x");
        store.add(&digest, |_| panic!("it is there")).unwrap();
    }
}
