//! The answers of the load balancer itself, in the form of ALB's.

use hyper::ext::ReasonPhrase;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use crate::body::ResponseBody;

/// What the load balancer calls itself in its own answers.
const SERVER: HeaderValue = HeaderValue::from_static("awselb/2.0");

/// 463, "more than 30 IP addresses in X-Forwarded-For": a number of ALB's own.
pub(crate) fn too_many_forwarded_for() -> StatusCode {
    StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The words that ALB uses where they are not the standard's.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        405 => "Not Allowed",
        408 => "Request Time-out",
        414 => "Request-URI Too Large",
        463 => "X-Forwarded-For Too Long",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

fn html(status: StatusCode) -> String {
    let title = format!("{} {}", status.as_u16(), reason(status));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// An error page. The connection is closed behind one that says that the request cannot be understood.
pub(crate) fn error(status: StatusCode) -> Response<ResponseBody> {
    let mut response = fixed(status, HeaderValue::from_static("text/html"), html(status).into());
    response.extensions_mut().insert(ReasonPhrase::from_static(reason(status).as_bytes()));
    if matches!(status.as_u16(), 400 | 408 | 414) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer of a fixed-response action.
pub(crate) fn fixed(
    status: StatusCode,
    content_type: HeaderValue,
    body: bytes::Bytes,
) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::SERVER, SERVER);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// An error page as bytes, for a connection on which no request was understood.
pub(crate) fn bytes(status: StatusCode, date: &HeaderValue) -> Vec<u8> {
    let body = html(status);
    let line = format!("HTTP/1.1 {} {}\r\nServer: awselb/2.0\r\nDate: ", status.as_u16(), reason(status));
    let rest = format!(
        "\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    [line.as_bytes(), date.as_bytes(), rest.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_error_page_has_alb_s_form() {
        expect![[r#"
            HTTP/1.1 504 Gateway Time-out
            Server: awselb/2.0
            Date: Sun, 22 Nov 2026 20:00:00 GMT
            Content-Type: text/html
            Content-Length: 132
            Connection: close

            <html>
            <head><title>504 Gateway Time-out</title></head>
            <body>
            <center><h1>504 Gateway Time-out</h1></center>
            </body>
            </html>
        "#]]
        .assert_eq(
            &String::from_utf8(bytes(
                StatusCode::GATEWAY_TIMEOUT,
                &HeaderValue::from_static("Sun, 22 Nov 2026 20:00:00 GMT"),
            ))
            .unwrap()
            .replace('\r', ""),
        );
    }
}
