//! A blob on its way: the bytes that came so far, and their hash.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{BlobError, LAYER_LIMIT, remove_quietly};
use crate::digest::Hasher;

/// How far an upload has come.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(super) length: u64,
    pub(super) hasher: Hasher,
}

/// An upload that is being written.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) length: u64,
    pub(super) hasher: Hasher,
}

impl Upload {
    /// Opens an upload. What its file holds is hashed again unless `known` is about just that much: after a restart.
    pub(crate) fn open(path: &Path, known: Option<Progress>) -> Result<Self, BlobError> {
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BlobError::UploadUnknown),
            Err(error) => return Err(BlobError::io("opened", path)(error)),
        };
        let wrong = |error| BlobError::io("read", path)(error);
        let length = file.metadata().map_err(wrong)?.len();
        let hasher = match known {
            Some(known) if known.length == length => known.hasher,
            _ => hash(&mut file).map_err(wrong)?,
        };
        Ok(Self { file, path: path.to_owned(), length, hasher })
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at its end. After an error its file is removed, and it must not be used any more.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let result = if self.length + bytes.len() as u64 > LAYER_LIMIT {
            Err(BlobError::TooLarge)
        } else {
            self.file.write_all(bytes).map_err(BlobError::io("written", &self.path))
        };
        if let Err(error) = result {
            self.discard();
            return Err(error);
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Removes its file.
    pub(crate) fn discard(&self) {
        remove_quietly(&self.path);
    }

    /// What is to be kept of it until the next request.
    pub(crate) fn progress(&self) -> Progress {
        Progress { length: self.length, hasher: self.hasher.clone() }
    }
}

fn hash(file: &mut File) -> io::Result<Hasher> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match io::Read::read(file, &mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
