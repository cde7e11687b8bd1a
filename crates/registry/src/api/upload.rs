//! `/v2/<name>/blobs/uploads/…`

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{CONTENT_RANGE, LOCATION, RANGE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::{CONTENT_DIGEST, Call, Shared, UPLOAD_UUID, action, header, query, query_digest, status};
use crate::blobs::BlobError;
use crate::body::{BoxBody, Broken, Received};
use crate::catalog::{Catalog, Session};
use crate::digest::Digest;
use crate::error::ApiError;
use crate::names::is_repository_name;
use crate::range::content_range;
use crate::upload::Writing;

/// The repository that an upload belongs to.
fn scope<P>(session: &Session<P>, name: &str) -> String {
    format!("{}/{}/{name}", session.account, session.region)
}

impl<C: Catalog> Call<C> {
    /// POST: begins an upload, or mounts a blob of another repository, or takes a whole blob at once.
    pub(super) async fn start_upload<B>(
        &self,
        head: &Parts,
        name: String,
        body: &mut Received<B>,
    ) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let (mount, whole) = (query_digest(head, "mount")?, query_digest(head, "digest")?);
        let from = query(head, "from").filter(|from| is_repository_name(from));
        let source = mount.zip(from);
        let begun = self.admitted(action::INITIATE_UPLOAD, name.clone(), move |shared, session, name| {
            if let Some((digest, from)) = source
                && mount_from(shared, session, name, &from, &digest)?
            {
                return Ok(Err(digest));
            }
            let scope = scope(session, name);
            let uuid = shared.blobs.begin(&scope)?;
            let path = shared.blobs.upload_path(&uuid, &scope);
            Ok(Ok((uuid, path)))
        });
        let (uuid, path) = match begun.await? {
            Ok(begun) => begun,
            Err(mounted) => return created(&name, &mounted),
        };
        match whole {
            Some(digest) => self.complete(head, name, path, digest, body).await,
            None => accepted(&name, &uuid, 0),
        }
    }

    /// GET: how far an upload has come.
    pub(super) async fn upload_status(
        &self,
        name: String,
        uuid: String,
    ) -> Result<Response<BoxBody>, ApiError> {
        self.admitted(action::UPLOAD_PART, name, move |shared, session, name| {
            let path = shared.blobs.upload_path(&uuid, &scope(session, name));
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(ApiError::upload_unknown()),
                Err(error) => return Err(BlobError::io("read", &path)(error).into()),
            };
            let mut response = accepted(name, &uuid, length)?;
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().remove(hyper::header::CONTENT_LENGTH);
            Ok(response)
        })
        .await
    }

    /// PATCH: the next piece. Without `Content-Range` it goes to the end.
    pub(super) async fn patch_upload<B>(
        &self,
        head: &Parts,
        name: String,
        uuid: String,
        body: &mut Received<B>,
    ) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let path = self.upload_path(action::UPLOAD_PART, name.clone(), uuid.clone()).await?;
        let writing = self.shared.uploads.take(path.clone()).await?;
        let result = receive(head, &name, &uuid, writing, body).await;
        let length = self.keep_in_step(&path, result)?.length();
        accepted(&name, &uuid, length)
    }

    /// PUT: the last piece, which may be empty or all, and what the whole has to be.
    pub(super) async fn put_upload<B>(
        &self,
        head: &Parts,
        name: String,
        uuid: String,
        body: &mut Received<B>,
    ) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let path = self.upload_path(action::COMPLETE_UPLOAD, name.clone(), uuid).await?;
        let digest = query_digest(head, "digest")?.ok_or_else(|| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "the query parameter 'digest' is missing",
            )
        })?;
        self.complete(head, name, path, digest, body).await
    }

    /// DELETE: the upload is given up.
    pub(super) async fn cancel_upload(
        &self,
        name: String,
        uuid: String,
    ) -> Result<Response<BoxBody>, ApiError> {
        let path = self.upload_path(action::UPLOAD_PART, name, uuid).await?;
        let writing = self.shared.uploads.take(path.clone()).await?;
        crate::upload::blocking(move || {
            writing.discard();
            Ok(())
        })
        .await?;
        self.shared.uploads.forget(&path);
        Ok(status(StatusCode::NO_CONTENT))
    }

    async fn upload_path(
        &self,
        action: &'static str,
        name: String,
        uuid: String,
    ) -> Result<PathBuf, ApiError> {
        self.admitted(action, name, move |shared, session, name| {
            Ok(shared.blobs.upload_path(&uuid, &scope(session, name)))
        })
        .await
    }

    /// Forgets an upload whose file is gone after an error.
    fn keep_in_step(
        &self,
        path: &std::path::Path,
        result: Result<Writing, ApiError>,
    ) -> Result<Writing, ApiError> {
        result.inspect_err(|_| {
            if !path.exists() {
                self.shared.uploads.forget(path);
            }
        })
    }

    async fn complete<B>(
        &self,
        head: &Parts,
        name: String,
        path: PathBuf,
        digest: Digest,
        body: &mut Received<B>,
    ) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let uuid = path.file_name().map(|name| name.to_string_lossy()[..36].to_owned()).unwrap_or_default();
        let taken = self.shared.uploads.take(path.clone()).await;
        let writing = match taken {
            Err(error) if error.code == "BLOB_UPLOAD_UNKNOWN" => {
                // A client whose first answer was lost asks again: what it wants is there already.
                let done =
                    self.admitted(action::COMPLETE_UPLOAD, name.clone(), move |shared, session, name| {
                        let known = shared.catalog.has_blob(session, name, &digest)?;
                        Ok(known && shared.blobs.size(&digest)?.is_some())
                    });
                return if done.await? { created(&name, &digest) } else { Err(error) };
            }
            taken => taken?,
        };
        let result = receive(head, &name, &uuid, writing, body).await;
        let writing = self.keep_in_step(&path, result)?;
        let finished = self.admitted(action::COMPLETE_UPLOAD, name.clone(), move |shared, session, name| {
            let size = writing.finish(&shared.blobs, &digest)?;
            shared.catalog.record_blob(session, name, &digest, size)?;
            Ok(())
        });
        let finished = finished.await;
        if !path.exists() {
            self.shared.uploads.forget(&path);
        }
        finished?;
        created(&name, &digest)
    }
}

/// Mounts a blob if the client may read it where it comes from. If not, it learns no more than that it has to upload.
fn mount_from<C: Catalog>(
    shared: &Shared<C>,
    session: &Session<C::Principal>,
    name: &str,
    from: &str,
    digest: &Digest,
) -> Result<bool, ApiError> {
    let may = [action::CHECK_LAYER, action::GET_LAYER]
        .iter()
        .all(|action| shared.catalog.authorize(session, action, from).is_ok());
    Ok(may
        && shared.blobs.size(digest)?.is_some()
        && shared.catalog.mount_blob(session, name, from, digest)?)
}

/// Writes a request's body to the end of an upload.
async fn receive<B>(
    head: &Parts,
    name: &str,
    uuid: &str,
    mut writing: Writing,
    body: &mut Received<B>,
) -> Result<Writing, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    let start = writing.length();
    let mut stated = body.stated_length();
    if let Some(text) = head.headers.get(CONTENT_RANGE) {
        let range = text.to_str().ok().and_then(content_range).ok_or_else(|| {
            ApiError::upload_invalid("the header Content-Range must be <first byte>-<last byte>")
        })?;
        let length = range.end() - range.start() + 1;
        if *range.start() != start {
            let message = format!("the upload has {start} bytes; the next piece must start there");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
                .with(LOCATION, header(&location(name, uuid))?)
                .with(RANGE, header(&range_header(start))?));
        }
        if stated.is_some_and(|stated| stated != length) {
            return Err(ApiError::size_invalid("Content-Range and Content-Length do not agree"));
        }
        stated = Some(length);
    }
    loop {
        match body.next().await {
            Ok(Some(pieces)) => writing = writing.append(pieces).await?,
            Ok(None) => break,
            // What came so far stays; the client may go on from there.
            Err(broken @ Broken::Cut(_)) => return Err(ApiError::upload_invalid(broken.to_string())),
            Err(broken @ Broken::Idle) => {
                let message = broken.to_string();
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID", message));
            }
        }
    }
    if stated.is_some_and(|stated| writing.length() - start != stated) {
        writing.discard();
        return Err(ApiError::size_invalid("the piece has another length than its Content-Range says"));
    }
    Ok(writing)
}

fn location(name: &str, uuid: &str) -> String {
    // Without a host: the client comes back by the name, and the TLS, that it came by.
    format!("/v2/{name}/blobs/uploads/{uuid}")
}

/// The bytes that an upload has. An empty one has `0-0`, as clients of Docker's registry know it.
fn range_header(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}

fn accepted(name: &str, uuid: &str, length: u64) -> Result<Response<BoxBody>, ApiError> {
    let mut response = status(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(&location(name, uuid))?);
    headers.insert(RANGE, header(&range_header(length))?);
    headers.insert(UPLOAD_UUID, header(uuid)?);
    Ok(response)
}

fn created(name: &str, digest: &Digest) -> Result<Response<BoxBody>, ApiError> {
    let mut response = status(StatusCode::CREATED);
    response.headers_mut().insert(LOCATION, header(&format!("/v2/{name}/blobs/{digest}"))?);
    response.headers_mut().insert(CONTENT_DIGEST, header(&digest.to_string())?);
    Ok(response)
}
