//! `/v2/<name>/blobs/<digest>`

use std::time::SystemTime;

use hyper::header::LOCATION;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::content::content;
use super::{CONTENT_DIGEST, Call, action, header, status};
use crate::admit::Endpoint;
use crate::body::BoxBody;
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::error::ApiError;

impl<C: Catalog> Call<C> {
    /// GET and HEAD. Inside VPCs GET leads to the region's layer bucket.
    pub(super) async fn get_blob(
        &self,
        head: &Parts,
        name: String,
        digest: Digest,
    ) -> Result<Response<BoxBody>, ApiError> {
        let body = head.method == Method::GET;
        let action = if body { action::GET_LAYER } else { action::CHECK_LAYER };
        let opened = self.admitted(action, name, move |shared, session, name| {
            let known = shared.catalog.has_blob(session, name, &digest)?;
            // A blob that is known but lost on disk is told as unknown: the client then pushes it again.
            let opened = if known { shared.blobs.open_blob(&digest)? } else { None };
            opened.ok_or_else(ApiError::blob_unknown)
        });
        let (file, size) = opened.await?;
        match &self.endpoint {
            Endpoint::Ecr { region, .. } if body => {
                let url = self.shared.layers.url(region, &digest, SystemTime::now());
                let mut response = status(StatusCode::TEMPORARY_REDIRECT);
                response.headers_mut().insert(LOCATION, header(&url)?);
                response.headers_mut().insert(CONTENT_DIGEST, header(&digest.to_string())?);
                Ok(response)
            }
            _ => content(head, &digest, size, body.then_some(file)),
        }
    }

    /// DELETE: the blob is forgotten in this repository; the sweep removes its bytes once no repository has it.
    pub(super) async fn delete_blob(
        &self,
        name: String,
        digest: Digest,
    ) -> Result<Response<BoxBody>, ApiError> {
        self.admitted(action::DELETE_IMAGE, name, move |shared, session, name| {
            if shared.catalog.remove_blob(session, name, &digest)? {
                Ok(status(StatusCode::ACCEPTED))
            } else {
                Err(ApiError::blob_unknown())
            }
        })
        .await
    }
}
