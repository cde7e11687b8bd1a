//! A blob as an answer, or the part of it that the client wants.

use std::fs::File;

use http_body_util::BodyExt;
use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_RANGE, RANGE};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::{CONTENT_DIGEST, header};
use crate::body::{BoxBody, FileBody, full, set_length};
use crate::digest::Digest;
use crate::error::ApiError;
use crate::range::{Wanted, wanted};

/// Answers GET or HEAD of a blob of `size` bytes. `file` may be missing for HEAD only.
pub(super) fn content(
    head: &Parts,
    digest: &Digest,
    size: u64,
    file: Option<File>,
) -> Result<Response<BoxBody>, ApiError> {
    let tag = format!("\"{digest}\"");
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let range = text(RANGE)
        .filter(|_| head.method == Method::GET && text(IF_RANGE).is_none_or(|condition| condition == tag));
    let (code, part) = match wanted(range, size) {
        Wanted::Unsatisfiable => {
            let message = format!("the blob has {size} bytes; none of them is in the range asked for");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message)
                .with(CONTENT_RANGE, header(&format!("bytes */{size}"))?));
        }
        Wanted::Whole => (StatusCode::OK, (size > 0).then(|| 0..=size - 1)),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
    };
    let mut response = match (&part, file) {
        (Some(part), Some(file)) => Response::new(FileBody::new(file, part).boxed()),
        _ => full("", true),
    };
    let length = part.as_ref().map_or(0, |part| part.end() - part.start() + 1);
    set_length(&mut response, length);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    if code == StatusCode::PARTIAL_CONTENT
        && let Some(part) = part
    {
        headers.insert(CONTENT_RANGE, header(&format!("bytes {}-{}/{size}", part.start(), part.end()))?);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, header(&tag)?);
    headers.insert(CONTENT_DIGEST, header(&digest.to_string())?);
    Ok(response)
}
