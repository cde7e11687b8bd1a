//! Uploads between their requests: one writer at a time, and what is known of their hash.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

use crate::blobs::{BlobError, Blobs, Progress, Upload};
use crate::digest::Digest;
use crate::error::ApiError;

/// How long a request waits for another that writes to the same upload, such as one whose client has gone.
const PATIENCE: Duration = Duration::from_secs(10);

type Slot = Arc<tokio::sync::Mutex<Option<Progress>>>;

/// The uploads that this process has written to. The files alone say which uploads exist: what is forgotten here is
/// hashed again.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    slots: Mutex<HashMap<PathBuf, Slot>>,
}

impl Uploads {
    /// Takes an upload for writing, by its file.
    pub(crate) async fn take(&self, path: PathBuf) -> Result<Writing, ApiError> {
        let probe = path.clone();
        if !blocking(move || Ok(probe.exists())).await? {
            self.forget(&path);
            return Err(ApiError::upload_unknown());
        }
        let slot = Arc::clone(self.lock().entry(path.clone()).or_default());
        let Ok(held) = tokio::time::timeout(PATIENCE, slot.lock_owned()).await else {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "BLOB_UPLOAD_INVALID",
                "another request is writing to this upload",
            ));
        };
        let file = path.clone();
        let opened = blocking(move || {
            let mut held = held;
            let upload = Upload::open(&file, held.take())?;
            Ok(Writing { held, upload: Some(upload) })
        });
        opened.await.inspect_err(|_| self.forget(&path))
    }

    /// Forgets an upload that has ended.
    pub(crate) fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    /// Forgets the uploads whose files are gone.
    pub(crate) fn prune(&self) {
        self.lock().retain(|path, _| path.exists());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a job that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match spawn_blocking(job).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::failed(format!("the registry failed inside: {error}"))),
    }
}

/// An upload that one request writes to. It moves into the jobs that write, so that it stays held while one runs, even
/// when the request has been dropped meanwhile.
#[derive(Debug)]
pub(crate) struct Writing {
    held: OwnedMutexGuard<Option<Progress>>,
    /// None once it has ended.
    upload: Option<Upload>,
}

impl Writing {
    pub(crate) fn length(&self) -> u64 {
        self.upload.as_ref().map_or(0, Upload::length)
    }

    pub(crate) async fn append(mut self, pieces: Vec<Bytes>) -> Result<Self, ApiError> {
        blocking(move || {
            // After an error the upload has ended: it is not put back.
            let mut upload = self.upload.take().ok_or(BlobError::UploadUnknown)?;
            pieces.iter().try_for_each(|piece| upload.append(piece))?;
            self.upload = Some(upload);
            Ok(self)
        })
        .await
    }

    /// Turns it into a blob; says the blob's length. May block.
    pub(crate) fn finish(mut self, blobs: &Blobs, digest: &Digest) -> Result<u64, BlobError> {
        let upload = self.upload.take().ok_or(BlobError::UploadUnknown)?;
        blobs.finish(upload, digest)
    }

    /// Ends it without a blob. May block.
    pub(crate) fn discard(mut self) {
        if let Some(upload) = self.upload.take() {
            upload.discard();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        *self.held = self.upload.as_ref().map(Upload::progress);
    }
}
