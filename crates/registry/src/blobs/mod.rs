//! The content-addressed store on disk.
//!
//! `blobs/sha256/<hex>` are finished and never change; `uploads/` holds what is on its way there. A blob arrives by
//! write, fsync, rename, fsync of the folder, so that its name always means its whole content.

mod upload;

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use types::random_hex;

use crate::digest::Digest;
pub(crate) use upload::{Progress, Upload};

/// How long an upload may lie untouched before [`Blobs::sweep_uploads`] removes it.
pub const UPLOAD_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long a blob that no row names is left alone by [`Blobs::sweep`]: between a blob's arrival and its row's commit
/// lies a moment in which nothing names it.
pub const SWEEP_GRACE: Duration = Duration::from_secs(3600);

/// The largest layer, in bytes: ECR's service quota "Maximum layer size", 52,000 MiB.
const LAYER_LIMIT: u64 = 52_000 << 20;

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk is full. What was half written is gone.
    #[error("the disk that holds {} is full; free some space and push again", path.display())]
    NoSpace {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be {doing}: {source}", path.display())]
    Io {
        /// `read`, `written`…
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// The content is not what its digest says. What was uploaded is gone.
    #[error("provided digest {expected} did not match uploaded content, which has {found}")]
    Mismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A blob is larger than a layer may be.
    #[error("a layer may have {LAYER_LIMIT} bytes at most")]
    TooLarge,
    /// There is no such upload.
    #[error("blob upload unknown to registry")]
    UploadUnknown,
    /// A blob that should exist is gone from the disk.
    #[error("blob {0} is missing in the registry's folder; push the image again")]
    Lost(Digest),
}

impl BlobError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { doing, path, source },
        }
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

/// The store.
#[derive(Debug)]
pub struct Blobs {
    blobs: PathBuf,
    uploads: PathBuf,
    /// Held while a blob gets its name, and while a sweep looks at one and unlinks it: a blob that arrives again must
    /// not be swept for the age of its former copy.
    naming: Mutex<()>,
}

impl Blobs {
    /// Opens the store in a folder, which is made when it is missing, for its owner only.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let (blobs, uploads) = (root.join("blobs/sha256"), root.join("uploads"));
        for folder in [&blobs, &uploads] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(BlobError::io("created", folder))?;
        }
        // A blob is only as durable as the folders that lead to it.
        let above = root.canonicalize().map_err(BlobError::io("read", root))?;
        for folder in [Some(root), blobs.parent(), above.parent()].into_iter().flatten() {
            sync_folder(folder)?;
        }
        Ok(Self { blobs, uploads, naming: Mutex::new(()) })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// A blob's length in bytes, if it exists.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("read", &path)(error)),
        }
    }

    /// A blob's file, to read from its start, and its length in bytes. It stays readable when the blob is swept.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, BlobError> {
        let path = self.path(digest);
        match File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata.len()))) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("read", &path)(error)),
        }
    }

    /// A small blob's bytes: a manifest. [`BlobError::Lost`] when it is not on disk.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => BlobError::Lost(*digest),
            _ => BlobError::io("read", &path)(error),
        })
    }

    /// Stores a small blob, a manifest, durably.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let wrong = |error| BlobError::io("written", &self.uploads)(error);
        let mut file = tempfile::Builder::new().prefix("put-").tempfile_in(&self.uploads).map_err(wrong)?;
        file.write_all(bytes).map_err(wrong)?;
        let (file, path) = file.keep().map_err(|error| wrong(error.error))?;
        self.name(&file, &path, &digest).inspect_err(|_| remove_quietly(&path))?;
        Ok(digest)
    }

    /// Gives a complete file its name, durably.
    fn name(&self, file: &File, path: &Path, digest: &Digest) -> Result<(), BlobError> {
        // The sweep goes by the time of arrival, also for what lay long as an upload.
        file.set_modified(SystemTime::now()).map_err(BlobError::io("written", path))?;
        file.sync_all().map_err(BlobError::io("written", path))?;
        let named = self.path(digest);
        {
            let _naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            fs::rename(path, &named).map_err(|error| match error.kind() {
                ErrorKind::NotFound => BlobError::UploadUnknown,
                _ => BlobError::io("written", &named)(error),
            })?;
        }
        File::open(&self.blobs)
            .and_then(|folder| folder.sync_all())
            .map_err(BlobError::io("written", &self.blobs))
    }

    /// Removes every blob that is not in `live` and arrived longer than `grace` ago ([`SWEEP_GRACE`]; tests take
    /// less). `live` is every digest that a row names: manifests, and blobs of repositories.
    pub fn sweep(&self, live: &HashSet<Digest>, grace: Duration) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        for entry in fs::read_dir(&self.blobs).map_err(BlobError::io("read", &self.blobs))? {
            let entry = entry.map_err(BlobError::io("read", &self.blobs))?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy()).parse::<Digest>();
            let Ok(digest) = digest else { continue };
            if live.contains(&digest) {
                continue;
            }
            let _naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(metadata) = entry.metadata() else { continue };
            if is_older(&metadata, grace) {
                fs::remove_file(entry.path()).map_err(BlobError::io("removed", &entry.path()))?;
                swept.blobs += 1;
                swept.bytes += metadata.len();
            }
        }
        Ok(swept)
    }

    /// Removes uploads that nobody has touched for `life` ([`UPLOAD_LIFE`]); says how many.
    pub fn sweep_uploads(&self, life: Duration) -> Result<u64, BlobError> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.uploads).map_err(BlobError::io("read", &self.uploads))? {
            let entry = entry.map_err(BlobError::io("read", &self.uploads))?;
            // One that is finished meanwhile is gone.
            if entry.metadata().is_ok_and(|metadata| is_older(&metadata, life)) {
                removed += u64::from(fs::remove_file(entry.path()).is_ok());
            }
        }
        Ok(removed)
    }

    /// Begins an upload and gives its id. `scope` is the repository that it belongs to: in any other, the id names
    /// nothing.
    pub(crate) fn begin(&self, scope: &str) -> Result<String, BlobError> {
        let hex = random_hex(32);
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let path = self.upload_path(&uuid, scope);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(BlobError::io("created", &path))?;
        Ok(uuid)
    }

    /// The file of an upload. The scope is part of its name, so that no second file needs to say whose it is.
    pub(crate) fn upload_path(&self, uuid: &str, scope: &str) -> PathBuf {
        self.uploads.join(format!("{uuid}-{}", &Digest::of(scope.as_bytes()).hex()[..32]))
    }

    /// Turns a complete upload into a blob; says its length. With a wrong digest the upload is gone.
    pub(crate) fn finish(&self, upload: Upload, expected: &Digest) -> Result<u64, BlobError> {
        let Upload { file, path, length, hasher } = upload;
        let found = hasher.finish();
        let result = if found == *expected {
            self.name(&file, &path, expected)
        } else {
            Err(BlobError::Mismatch { expected: *expected, found })
        };
        result.inspect_err(|_| remove_quietly(&path))?;
        Ok(length)
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(BlobError::io("written", folder))
}

fn is_older(metadata: &fs::Metadata, age: Duration) -> bool {
    metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age))
}

/// For a file that is of no use after an error which is reported already; should this fail too, the sweep takes it.
fn remove_quietly(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;

    fn store() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        (folder, blobs)
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_blob_is_found_under_its_digest() {
        let (_folder, blobs) = store();
        let digest = blobs.put(b"hello").unwrap();
        assert_eq!(digest, Digest::of(b"hello"));
        assert_eq!(blobs.put(b"hello").unwrap(), digest);
        assert_eq!(blobs.read(&digest).unwrap(), b"hello");
        assert_eq!(blobs.size(&digest).unwrap(), Some(5));
        assert_eq!(blobs.size(&Digest::of(b"other")).unwrap(), None);
        assert!(matches!(blobs.read(&Digest::of(b"other")), Err(BlobError::Lost(_))));
        assert_eq!(files(&blobs.uploads), 0);
    }

    #[test]
    fn an_upload_goes_on_after_a_restart() {
        let (folder, blobs) = store();
        let uuid = blobs.begin("scope").unwrap();
        Upload::open(&blobs.upload_path(&uuid, "scope"), None).unwrap().append(b"hello ").unwrap();
        drop(blobs);
        let blobs = Blobs::open(folder.path()).unwrap();
        let mut upload = Upload::open(&blobs.upload_path(&uuid, "scope"), None).unwrap();
        assert_eq!(upload.length(), 6);
        upload.append(b"world").unwrap();
        let digest = Digest::of(b"hello world");
        assert_eq!(blobs.finish(upload, &digest).unwrap(), 11);
        assert_eq!(blobs.read(&digest).unwrap(), b"hello world");
        assert_eq!(files(&blobs.uploads), 0);
    }

    #[test]
    fn progress_that_does_not_fit_the_file_is_not_believed() {
        let (_folder, blobs) = store();
        let path = blobs.upload_path(&blobs.begin("s").unwrap(), "s");
        let mut upload = Upload::open(&path, None).unwrap();
        upload.append(b"abc").unwrap();
        let stale = upload.progress();
        upload.append(b"def").unwrap();
        let upload = Upload::open(&path, Some(stale)).unwrap();
        blobs.finish(upload, &Digest::of(b"abcdef")).unwrap();
    }

    #[test]
    fn an_upload_is_unknown_in_another_repository() {
        let (_folder, blobs) = store();
        let uuid = blobs.begin("1/r/a").unwrap();
        let opened = Upload::open(&blobs.upload_path(&uuid, "1/r/b"), None);
        assert!(matches!(opened, Err(BlobError::UploadUnknown)));
    }

    #[test]
    fn a_wrong_digest_leaves_nothing() {
        let (_folder, blobs) = store();
        let path = blobs.upload_path(&blobs.begin("s").unwrap(), "s");
        let mut upload = Upload::open(&path, None).unwrap();
        upload.append(b"abc").unwrap();
        let error = blobs.finish(upload, &Digest::of(b"abd")).unwrap_err();
        assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
        assert_eq!((files(&blobs.uploads), files(&blobs.blobs)), (0, 0));
    }

    #[test]
    fn a_full_disk_leaves_no_half_file() {
        let (_folder, blobs) = store();
        let path = blobs.upload_path(&blobs.begin("s").unwrap(), "s");
        // Linux's own full disk stands in for the upload's file.
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut upload = Upload { file, path, length: 0, hasher: Hasher::new() };
        let error = upload.append(b"abc").unwrap_err();
        assert!(matches!(error, BlobError::NoSpace { .. }), "{error}");
        assert_eq!(files(&blobs.uploads), 0);
    }

    #[test]
    fn a_layer_has_a_largest_size() {
        let (_folder, blobs) = store();
        let path = blobs.upload_path(&blobs.begin("s").unwrap(), "s");
        let mut upload = Upload { length: LAYER_LIMIT - 1, ..Upload::open(&path, None).unwrap() };
        upload.append(b"a").unwrap();
        assert!(matches!(upload.append(b"b"), Err(BlobError::TooLarge)));
    }

    #[test]
    fn the_sweep_takes_what_nothing_names_and_what_is_not_new() {
        let (_folder, blobs) = store();
        let (kept, dead) = (blobs.put(b"kept").unwrap(), blobs.put(b"dead").unwrap());
        let live = HashSet::from([kept]);
        assert_eq!(blobs.sweep(&live, SWEEP_GRACE).unwrap(), Swept::default());
        assert_eq!(blobs.sweep(&live, Duration::ZERO).unwrap(), Swept { blobs: 1, bytes: 4 });
        assert_eq!(blobs.size(&dead).unwrap(), None);
        assert_eq!(blobs.size(&kept).unwrap(), Some(4));
    }

    #[test]
    fn stale_uploads_are_swept() {
        let (_folder, blobs) = store();
        let (old, new) = (blobs.begin("s").unwrap(), blobs.begin("s").unwrap());
        let file = OpenOptions::new().write(true).open(blobs.upload_path(&old, "s")).unwrap();
        file.set_modified(SystemTime::now() - UPLOAD_LIFE - Duration::from_secs(1)).unwrap();
        assert_eq!(blobs.sweep_uploads(UPLOAD_LIFE).unwrap(), 1);
        assert!(!blobs.upload_path(&old, "s").exists());
        assert!(blobs.upload_path(&new, "s").exists());
    }

    proptest::proptest! {
        #[test]
        fn pieces_and_restarts_never_change_what_is_stored(
            pieces in proptest::collection::vec((proptest::collection::vec(0_u8.., 0..50), proptest::bool::ANY), 0..8),
        ) {
            let (_folder, blobs) = store();
            let path = blobs.upload_path(&blobs.begin("s").unwrap(), "s");
            let (mut whole, mut known) = (Vec::new(), None);
            for (piece, restart) in pieces {
                let mut upload = Upload::open(&path, known).unwrap();
                upload.append(&piece).unwrap();
                known = (!restart).then(|| upload.progress());
                whole.extend(piece);
            }
            let digest = Digest::of(&whole);
            blobs.finish(Upload::open(&path, known).unwrap(), &digest).unwrap();
            proptest::prop_assert_eq!(blobs.read(&digest).unwrap(), whole);
        }
    }
}
