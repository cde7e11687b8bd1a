//! What a load balancer changes in heads: "HTTP headers and Application Load Balancers", "Request tracing".

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri, Version};

use crate::page;

/// The limits of the page "Quotas for your Application Load Balancers": a request line, a header line, a whole head.
pub(crate) const LONGEST_LINE: usize = 16 << 10;
/// See [`LONGEST_LINE`]: the whole head of a request.
pub(crate) const LONGEST_REQUEST_HEAD: usize = 64 << 10;
/// See [`LONGEST_LINE`]: the whole head of a response.
pub(crate) const LONGEST_RESPONSE_HEAD: usize = 32 << 10;

/// The most addresses that `X-Forwarded-For` may have ("HTTP 463" on the page "Troubleshoot").
const MOST_FORWARDED_FOR: usize = 30;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Refuses a request that is not forwarded at all.
pub(crate) fn check(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), StatusCode> {
    if *method == Method::TRACE {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let asterisk = uri.path() == "*" && *method == Method::OPTIONS;
    if *method == Method::CONNECT || !(uri.path().starts_with('/') || asterisk || uri.path().is_empty()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let line = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if line > LONGEST_LINE {
        return Err(StatusCode::URI_TOO_LONG);
    }
    if headers.iter().any(|(name, value)| name.as_str().len() + value.len() > LONGEST_LINE) {
        return Err(StatusCode::BAD_REQUEST);
    }
    // RFC 9112, 3.2: exactly one Host in HTTP/1.1, at most one before.
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if headers.contains_key(&X_FORWARDED_FOR) {
        let several = headers.get_all(&X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        let addresses = several.map(|value| 1 + value.iter().filter(|byte| **byte == b',').count());
        if addresses.sum::<usize>() > MOST_FORWARDED_FOR {
            return Err(page::too_many_forwarded_for());
        }
    }
    Ok(())
}

/// Removes the headers whose names are not of letters, digits and hyphens alone, as a load balancer does that is told so
/// ("Drop invalid header fields": names are to match `[-A-Za-z0-9]+`).
pub(crate) fn remove_invalid(headers: &mut HeaderMap) {
    let valid = |name: &HeaderName| name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let invalid: Vec<HeaderName> = headers.keys().filter(|name| !valid(name)).cloned().collect();
    for name in invalid {
        headers.remove(name);
    }
}

/// Whether the client asks for a WebSocket, the one upgrade that is passed on.
pub(crate) fn is_websocket(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && version == Version::HTTP_11
        && headers
            .get(header::UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Removes what holds for one connection only (RFC 9110, 7.6.1), the framing included: a message is framed anew. With
/// `upgrade` the two headers of an upgrade stay.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap, upgrade: bool) {
    if headers.contains_key(header::CONNECTION) {
        // Names that a message needs are not taken away by a client that lists them.
        let kept = [
            header::HOST,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::COOKIE,
            header::AUTHORIZATION,
        ];
        let listed: Vec<HeaderName> = tokens(headers)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .filter(|name| !kept.contains(name))
            .collect();
        headers.remove(header::CONNECTION);
        for name in listed {
            headers.remove(name);
        }
    }
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, header::TE] {
        headers.remove(name);
    }
    if upgrade {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    } else {
        headers.remove(header::UPGRADE);
    }
}

/// What the rewriting of a request's head needs to know.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// The client's address.
    pub(crate) client: IpAddr,
    /// Its address as a header value.
    pub(crate) client_value: &'a HeaderValue,
    /// The listener's port as a header value.
    pub(crate) port: &'a HeaderValue,
    /// Seconds since 1970.
    pub(crate) seconds: u64,
    /// 96 random bits in the low bits.
    pub(crate) random: u128,
}

/// Adds what tells the target of the client, and what traces the request.
pub(crate) fn forward(headers: &mut HeaderMap, origin: &Origin<'_>) {
    // The load balancer itself says "100 Continue".
    headers.remove(header::EXPECT);
    let before =
        if headers.contains_key(&X_FORWARDED_FOR) { joined(headers, &X_FORWARDED_FOR) } else { None };
    let chain = before.and_then(|before| HeaderValue::from_str(&format!("{before}, {}", origin.client)).ok());
    headers.insert(X_FORWARDED_FOR, chain.unwrap_or_else(|| origin.client_value.clone()));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(X_FORWARDED_PORT, origin.port.clone());
    let before =
        if headers.contains_key(&X_AMZN_TRACE_ID) { joined(headers, &X_AMZN_TRACE_ID) } else { None };
    let trace = trace(before.as_deref(), origin.seconds, origin.random);
    if let Ok(value) = HeaderValue::try_from(trace) {
        headers.insert(X_AMZN_TRACE_ID, value);
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::trim).collect();
    Some(values.join(", ")).filter(|all| !all.is_empty())
}

/// The trace header's value: a `Root` when there is none, else a `Self` of this request in front.
fn trace(before: Option<&str>, seconds: u64, random: u128) -> String {
    let id = format!("1-{:08x}-{:024x}", seconds & 0xffff_ffff, random & ((1 << 96) - 1));
    let is = |field: &str, name: &str| {
        field.trim().split_once('=').is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case(name))
    };
    let fields: Vec<&str> = before
        .into_iter()
        .flat_map(|before| before.split(';'))
        .map(str::trim)
        .filter(|field| !field.is_empty() && !is(field, "self"))
        .collect();
    let own = if fields.iter().any(|field| is(field, "root")) { "Self" } else { "Root" };
    let rest: String = fields.iter().flat_map(|field| [";", field]).collect();
    format!("{own}={id}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn forwarded(mut headers: HeaderMap) -> HeaderMap {
        let origin = Origin {
            client: "203.0.113.7".parse().unwrap(),
            client_value: &HeaderValue::from_static("203.0.113.7"),
            port: &HeaderValue::from_static("80"),
            seconds: 0x6789_1233,
            random: 0xabcd_ef01_2345_6789_1234_5678,
        };
        forward(&mut headers, &origin);
        headers
    }

    fn checked(method: &Method, uri: &str, headers: &HeaderMap) -> Result<(), StatusCode> {
        check(method, &uri.parse().unwrap(), Version::HTTP_11, headers)
    }

    #[test]
    fn names_of_letters_digits_and_hyphens_alone_are_valid() {
        let mut headers = HeaderMap::new();
        for name in ["host", "x-a1", "x_user", "x.user", "x-user", "a!b"] {
            headers.append(name, HeaderValue::from_static("1"));
        }
        remove_invalid(&mut headers);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "x-a1", "x-user"]);
    }

    #[test]
    fn a_request_without_the_headers_gets_them() {
        let headers = forwarded(HeaderMap::new());
        assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-port"], "80");
        assert_eq!(headers["x-amzn-trace-id"], "Root=1-67891233-abcdef012345678912345678");
    }

    #[test]
    fn the_client_is_appended_to_those_before_and_what_it_claims_is_overwritten() {
        let headers = forwarded(headers(&[
            ("x-forwarded-for", "10.1.1.1, 10.2.2.2"),
            ("x-forwarded-for", "10.3.3.3"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
        ]));
        assert_eq!(headers["x-forwarded-for"], "10.1.1.1, 10.2.2.2, 10.3.3.3, 203.0.113.7");
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-port"], "80");
    }

    #[test]
    fn a_trace_goes_on_as_the_request_tracing_page_shows() {
        let id = "1-00000001-000000000000000000000002";
        let trace = |before| trace(before, 1, 2);
        assert_eq!(trace(None), format!("Root={id}"));
        assert_eq!(trace(Some("Root=1-2-3")), format!("Self={id};Root=1-2-3"));
        assert_eq!(trace(Some("Root=1-2-3;CalledFrom=app")), format!("Self={id};Root=1-2-3;CalledFrom=app"));
        assert_eq!(trace(Some("Self=1-9-9;Root=1-2-3")), format!("Self={id};Root=1-2-3"));
        assert_eq!(trace(Some("CalledFrom=app")), format!("Root={id};CalledFrom=app"));
    }

    #[test]
    fn what_holds_for_one_connection_is_removed() {
        let mut headers = headers(&[
            ("connection", "keep-alive, X-Private, Host"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("host", "example.com"),
            ("x-public", "1"),
        ]);
        remove_hop_by_hop(&mut headers, false);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "x-public"]);
    }

    #[test]
    fn an_upgrade_keeps_its_two_headers() {
        let mut headers =
            headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("host", "a")]);
        assert!(is_websocket(&Method::GET, Version::HTTP_11, &headers));
        remove_hop_by_hop(&mut headers, true);
        assert_eq!(
            (&headers["connection"], &headers["upgrade"]),
            (&"Upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
    }

    #[test]
    fn what_is_not_forwarded_is_refused_with_alb_s_status() {
        let host = headers(&[("host", "a")]);
        assert_eq!(checked(&Method::GET, "/", &host), Ok(()));
        assert_eq!(checked(&Method::OPTIONS, "*", &host), Ok(()));
        assert_eq!(checked(&Method::GET, "http://a/b", &host), Ok(()));
        assert_eq!(checked(&Method::TRACE, "/", &host), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(checked(&Method::CONNECT, "a:80", &host), Err(StatusCode::BAD_REQUEST));
        assert_eq!(checked(&Method::GET, "/", &HeaderMap::new()), Err(StatusCode::BAD_REQUEST));
        assert_eq!(
            checked(&Method::GET, "/", &headers(&[("host", "a"), ("host", "b")])),
            Err(StatusCode::BAD_REQUEST)
        );
        let long = format!("/{}", "a".repeat(LONGEST_LINE));
        assert_eq!(checked(&Method::GET, &long, &host), Err(StatusCode::URI_TOO_LONG));
        let mut heavy = host.clone();
        heavy.insert("x", HeaderValue::try_from("a".repeat(LONGEST_LINE)).unwrap());
        assert_eq!(checked(&Method::GET, "/", &heavy), Err(StatusCode::BAD_REQUEST));
        let mut chain = host.clone();
        chain.insert("x-forwarded-for", HeaderValue::try_from(vec!["10.0.0.1"; 30].join(",")).unwrap());
        assert_eq!(checked(&Method::GET, "/", &chain), Ok(()));
        chain.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
        assert_eq!(checked(&Method::GET, "/", &chain).unwrap_err().as_u16(), 463);
    }
}
