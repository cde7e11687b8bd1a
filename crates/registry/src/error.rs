//! The error document of the distribution API.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use crate::blobs::BlobError;
use crate::body::{BoxBody, full};
use crate::catalog::CatalogError;
use crate::digest::InvalidDigest;
use crate::manifest::{InvalidManifest, MANIFEST_LIMIT};
use crate::names::InvalidReference;

/// A refusal, as the client gets it: `{"errors":[{"code":…,"message":…}]}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn unauthorized(challenge: HeaderValue) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", CatalogError::NotAuthorized.to_string())
            .with(hyper::header::WWW_AUTHENTICATE, challenge)
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub(crate) fn no_such_path(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", format!("this registry has nothing at '{path}'"))
    }

    pub(crate) fn method(method: &Method, allowed: &'static str) -> Self {
        let message = format!("{method} is not supported here ({allowed})");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
            .with(hyper::header::ALLOW, HeaderValue::from_static(allowed))
    }

    pub(crate) fn name_invalid(name: &str) -> Self {
        let name: String = name.chars().take(300).collect();
        Self::new(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            format!("'{name}' is not a valid repository name (2 to 256 characters of a-z 0-9 . _ - /)"),
        )
    }

    #[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
    pub(crate) fn digest_invalid(error: InvalidDigest) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", error.to_string())
    }

    #[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
    pub(crate) fn reference_invalid(error: InvalidReference) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", error.to_string())
    }

    pub(crate) fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    }

    pub(crate) fn upload_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
    }

    pub(crate) fn size_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
    }

    pub(crate) fn manifest_too_large() -> Self {
        let message = format!("a manifest may have {MANIFEST_LIMIT} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
    }

    pub(crate) fn into_response(self, head_only: bool) -> Response<BoxBody> {
        let document = json!({ "errors": [{ "code": self.code, "message": self.message }] }).to_string();
        let mut response = full(document, head_only);
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        let (status, code) = match &error {
            CatalogError::NotAuthorized => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            CatalogError::Expired | CatalogError::Denied(_) => (StatusCode::FORBIDDEN, "DENIED"),
            CatalogError::RepositoryUnknown { .. } => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            CatalogError::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            CatalogError::BlobsUnknown { .. } | CatalogError::ManifestsUnknown { .. } => {
                (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN")
            }
            CatalogError::TagImmutable { .. } => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            CatalogError::InUse(_) => (StatusCode::CONFLICT, "DENIED"),
            CatalogError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        let message = error.to_string();
        match error {
            BlobError::NoSpace { .. } => Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", message),
            BlobError::Io { .. } | BlobError::Lost(_) => Self::failed(message),
            BlobError::Mismatch { .. } => Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message),
            BlobError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message),
            BlobError::UploadUnknown => Self::upload_unknown(),
        }
    }
}

impl From<InvalidManifest> for ApiError {
    fn from(error: InvalidManifest) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", error.to_string())
    }
}
