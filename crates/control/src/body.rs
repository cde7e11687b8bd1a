//! A request's body as its action reads it: unpacked, and with the parameters of the URI.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use http::{Request, StatusCode};
use wire::ApiError;

/// The longest body that is read, in bytes, packed or not: no call of these services comes near it.
pub const LONGEST_BODY: usize = 4 << 20;

/// The body, unpacked if it came in gzip: AWS's clients pack PutMetricData's from 10 KiB on ("Request compression", AWS
/// SDKs and Tools Reference Guide). The signature is that of the body as it came.
///
/// # Errors
/// When it is too long, packed otherwise, or broken.
pub(crate) fn unpacked(request: &Request<Bytes>) -> Result<Bytes, ApiError> {
    let body = request.body();
    if body.len() > LONGEST_BODY {
        return Err(too_long());
    }
    let encoding = request.headers().get(CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
    match encoding {
        b"" | b"identity" => return Ok(body.clone()),
        b"gzip" => (),
        other => {
            let other = String::from_utf8_lossy(other);
            let message =
                format!("The content encoding {other} is not supported: send gzip, or the body as it is");
            return Err(ApiError::new("UnsupportedMediaTypeException", message)
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
    }
    let mut whole = Vec::new();
    let limit = LONGEST_BODY as u64 + 1;
    MultiGzDecoder::new(&body[..])
        .take(limit)
        .read_to_end(&mut whole)
        .map_err(|cause| ApiError::new("SerializationException", format!("The body is not gzip: {cause}")))?;
    if whole.len() > LONGEST_BODY { Err(too_long()) } else { Ok(whole.into()) }
}

fn too_long() -> ApiError {
    let message = format!("The request's body is longer than {LONGEST_BODY} bytes");
    ApiError::new("RequestEntityTooLarge", message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

/// The parameters of a query request: the body's, or a GET's without those of its signature.
pub(crate) fn parameters(query: &str, body: Bytes) -> Bytes {
    if query.is_empty() {
        return body;
    }
    let mut all = form_urlencoded::Serializer::new(String::new());
    for (name, value) in
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !name.starts_with("X-Amz-"))
    {
        all.append_pair(&name, &value);
    }
    let mut all = all.finish().into_bytes();
    if !all.is_empty() && !body.is_empty() {
        all.push(b'&');
    }
    all.extend_from_slice(&body);
    Bytes::from(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(encoding: &str, body: &[u8], want: Result<&[u8], &str>) {
        let request = Request::builder().header("content-encoding", encoding);
        let request = request.body(Bytes::copy_from_slice(body)).unwrap();
        let found = unpacked(&request).map_err(|error| error.code.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), want, "{encoding}");
    }

    #[test]
    fn a_body_in_gzip_is_unpacked_and_others_are_as_they_came() {
        check("gzip", &packed(b"{}"), Ok(b"{}"));
        check("identity", b"{}", Ok(b"{}"));
        check("", b"{}", Ok(b"{}"));
        check("gzip", b"{}", Err("SerializationException"));
        check("gzip", &packed(b"whole")[..12], Err("SerializationException"));
        check("br", b"{}", Err("UnsupportedMediaTypeException"));
    }

    #[test]
    fn a_body_that_is_too_long_once_it_is_unpacked_is_refused() {
        check("gzip", &packed(&vec![b' '; LONGEST_BODY + 1]), Err("RequestEntityTooLarge"));
        check("gzip", &packed(&vec![b' '; LONGEST_BODY]), Ok(&vec![b' '; LONGEST_BODY]));
    }
}
