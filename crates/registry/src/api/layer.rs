//! The regions' layer buckets, as S3 answers.

use std::time::SystemTime;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use types::VpcEndpointId;

use super::Shared;
use super::content::content;
use crate::admit::{host, without_port};
use crate::body::{BoxBody, full};
use crate::catalog::Catalog;
use crate::layer_bucket::{Refused, object};
use crate::upload::blocking;

/// Answers GET and HEAD of a signed address.
pub(super) async fn answer<C: Catalog>(
    shared: &std::sync::Arc<Shared<C>>,
    head: &Parts,
) -> Response<BoxBody> {
    let refuse = |status, code, message: &str| error(head, status, code, message);
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let message = "The specified method is not allowed against this resource.";
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
    }
    let host = without_port(host(head)).to_ascii_lowercase();
    let query = head.uri.query().unwrap_or_default();
    let digest = match shared.layers.verify(&host, head.uri.path(), query, SystemTime::now()) {
        Ok(digest) => digest,
        Err(refused) => {
            let code = match refused {
                Refused::AccessDenied | Refused::Expired => "AccessDenied",
                Refused::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            };
            return refuse(StatusCode::FORBIDDEN, code, &refused.to_string());
        }
    };
    if let Some(through) = head.extensions.get::<VpcEndpointId>() {
        let allowed = object(&host, head.uri.path())
            .is_some_and(|(region, object)| shared.catalog.may_read_object(through, &region, &object));
        if !allowed {
            // S3 does not tell why to those of another account, as ECR's is.
            return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
        }
    }
    let blobs = std::sync::Arc::clone(&shared.blobs);
    match blocking(move || Ok(blobs.open_blob(&digest)?)).await {
        Ok(Some((file, size))) => {
            let file = (head.method == Method::GET).then_some(file);
            content(head, &digest, size, file).unwrap_or_else(|error| {
                let code = if error.status == StatusCode::RANGE_NOT_SATISFIABLE {
                    "InvalidRange"
                } else {
                    "InternalError"
                };
                refuse(error.status, code, &error.message)
            })
        }
        Ok(None) => refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &error.message),
    }
}

fn error(head: &Parts, status: StatusCode, code: &str, message: &str) -> Response<BoxBody> {
    // Neither text holds what the client sent, so that nothing needs to be escaped but a path's own characters.
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let request = types::random_hex(16).to_uppercase();
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>{request}</RequestId></Error>"
    );
    let mut response = full(document, head.method == Method::HEAD);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
