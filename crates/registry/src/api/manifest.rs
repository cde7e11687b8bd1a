//! `/v2/<name>/manifests/<reference>`

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, ETAG, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::{CONTENT_DIGEST, Call, action, header, status};
use crate::blobs::BlobError;
use crate::body::{BoxBody, Received, full, set_length};
use crate::catalog::{Catalog, NewManifest};
use crate::digest::Digest;
use crate::error::ApiError;
use crate::manifest::{MANIFEST_LIMIT, parse};
use crate::names::Reference;

impl<C: Catalog> Call<C> {
    /// GET and HEAD. Whatever types the client accepts, it gets what was pushed, as from ECR.
    pub(super) async fn get_manifest(
        &self,
        head: &Parts,
        name: String,
        reference: Reference,
    ) -> Result<Response<BoxBody>, ApiError> {
        let head_only = head.method == Method::HEAD;
        let found = self.admitted(action::GET_IMAGE, name, move |shared, session, name| {
            let manifest = shared.catalog.manifest(session, name, &reference)?;
            if head_only {
                let size = shared.blobs.size(&manifest.digest)?.ok_or(BlobError::Lost(manifest.digest))?;
                return Ok((manifest, Vec::new(), size));
            }
            let bytes = shared.blobs.read(&manifest.digest)?;
            let size = bytes.len() as u64;
            Ok((manifest, bytes, size))
        });
        let (manifest, bytes, size) = found.await?;
        let mut response = full(bytes, head_only);
        set_length(&mut response, size);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, header(&manifest.media_type)?);
        headers.insert(CONTENT_DIGEST, header(&manifest.digest.to_string())?);
        headers.insert(ETAG, header(&format!("\"{}\"", manifest.digest))?);
        Ok(response)
    }

    /// PUT: after everything that the manifest names.
    pub(super) async fn put_manifest<B>(
        &self,
        head: &Parts,
        name: String,
        reference: Reference,
        body: &mut Received<B>,
    ) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        // Asked before the body is taken, so that a stranger cannot fill the memory.
        self.admitted(action::PUT_IMAGE, name.clone(), |_, _, _| Ok(())).await?;
        let received = body.collect(MANIFEST_LIMIT).await;
        let bytes = received
            .map_err(|broken| ApiError::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", broken.to_string()))?
            .ok_or_else(ApiError::manifest_too_large)?;
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let parsed = parse(&bytes, content_type)?;
        let digest = Digest::of(&bytes);
        if let Reference::Digest(expected) = &reference
            && *expected != digest
        {
            return Err(BlobError::Mismatch { expected: *expected, found: digest }.into());
        }
        let manifest = NewManifest {
            reference,
            digest,
            media_type: parsed.media_type,
            size: bytes.len() as u64,
            image_size: parsed.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.size)),
            artifact_media_type: parsed.artifact_media_type,
            blobs: parsed.blobs.iter().map(|blob| blob.digest).collect(),
            manifests: parsed.manifests.iter().map(|manifest| manifest.digest).collect(),
        };
        let stored = self.admitted(action::PUT_IMAGE, name.clone(), move |shared, session, name| {
            shared.blobs.put(&bytes)?;
            shared.catalog.put_manifest(session, name, &manifest)?;
            Ok(())
        });
        stored.await?;
        let mut response = status(StatusCode::CREATED);
        response.headers_mut().insert(LOCATION, header(&format!("/v2/{name}/manifests/{digest}"))?);
        response.headers_mut().insert(CONTENT_DIGEST, header(&digest.to_string())?);
        Ok(response)
    }

    /// DELETE: a tag, or a manifest with its tags.
    pub(super) async fn delete_manifest(
        &self,
        name: String,
        reference: Reference,
    ) -> Result<Response<BoxBody>, ApiError> {
        self.admitted(action::DELETE_IMAGE, name, move |shared, session, name| {
            shared.catalog.delete_manifest(session, name, &reference)?;
            Ok(status(StatusCode::ACCEPTED))
        })
        .await
    }
}
