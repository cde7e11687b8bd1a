//! Signing: for what the image pull, the task metadata endpoint and the command line ask of the API, the tests and the bench.

use std::time::Duration;

use ring::hmac;
use types::Timestamp;

use super::canonical::{Request, canonical_request, hex, percent_encode, sha256, string_to_sign};
use super::instant::basic_iso;
use super::keys::derive;
use super::{ALGORITHM, TERMINATOR};

/// As whom to sign.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `AKIA…`, or `ASIA…` of a role session.
    pub access_key_id: &'a str,
    /// The secret.
    pub secret_access_key: &'a str,
    /// A role session's token.
    pub session_token: Option<&'a str>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Where a signature is good.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `ap-northeast-2`
    pub region: &'a str,
    /// The service's signing name: `ecs`, `elasticloadbalancing`…
    pub service: &'a str,
}

/// Headers that proxies change, or that come after signing.
const NEVER_SIGNED: &[&str] =
    &["authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// Signs a request and returns the headers to add: `x-amz-date`, `x-amz-security-token` where there is one, and
/// `authorization`. All of the request's headers are signed; `host` has to be among them.
pub fn sign(
    request: Request<'_>,
    body_sha256: &[u8; 32],
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let amz_date = basic_iso(now);
    let mut added = vec![("x-amz-date", amz_date.clone())];
    if let Some(token) = credentials.session_token {
        added.push(("x-amz-security-token", token.to_owned()));
    }
    let mut headers: Vec<(&str, &[u8])> = request.headers.to_vec();
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
    let signed_headers = signed_headers(&headers);
    let mut payload = Vec::with_capacity(64);
    hex(&mut payload, body_sha256);
    let request = Request { headers: &headers, ..request };
    let (scope, signature) = signature(request, &signed_headers, &payload, credentials, scope, &amz_date);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
        credentials.access_key_id
    );
    added.push(("authorization", authorization));
    added
}

/// Signs a POST of the protocol awsJson 1.1 and returns all of its headers but `host`.
pub fn sign_json(
    host: &str,
    target: &str,
    body: &[u8],
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
    let headers: [(&str, &[u8]); 3] = [
        ("content-type", CONTENT_TYPE.as_bytes()),
        ("host", host.as_bytes()),
        ("x-amz-target", target.as_bytes()),
    ];
    let request = Request { method: "POST", path: "/", query: "", headers: &headers };
    let mut all = sign(request, &sha256(body), credentials, scope, now);
    all.extend([("content-type", CONTENT_TYPE.to_owned()), ("x-amz-target", target.to_owned())]);
    all
}

/// Presigns a request and returns its whole query, the request's own parameters first. Its body's hash is `payload`,
/// in hexadecimal digits, or `UNSIGNED-PAYLOAD` with a parameter `X-Amz-Content-Sha256` that says so.
pub fn presign(
    request: Request<'_>,
    payload: &str,
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    now: Timestamp,
    expires: Duration,
) -> String {
    let amz_date = basic_iso(now);
    let signed_headers = signed_headers(request.headers);
    let credential = format!(
        "{}/{}/{}/{}/{TERMINATOR}",
        credentials.access_key_id,
        &amz_date[..8],
        scope.region,
        scope.service
    );
    let expires = expires.as_secs().to_string();
    let mut query = request.query.as_bytes().to_vec();
    let mut add = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push(b'&');
        }
        query.extend_from_slice(name.as_bytes());
        query.push(b'=');
        value.bytes().for_each(|byte| percent_encode(&mut query, byte));
    };
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &amz_date);
    add("X-Amz-Expires", &expires);
    add("X-Amz-SignedHeaders", &signed_headers);
    if let Some(token) = credentials.session_token {
        add("X-Amz-Security-Token", token);
    }
    let mut query = String::from_utf8(query).unwrap_or_default();
    let request = Request { query: &query, ..request };
    let (_, signature) =
        signature(request, &signed_headers, payload.as_bytes(), credentials, scope, &amz_date);
    query.push_str("&X-Amz-Signature=");
    query.push_str(&signature);
    query
}

fn signed_headers(headers: &[(&str, &[u8])]) -> String {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.retain(|name| !NEVER_SIGNED.contains(&name.as_str()));
    names.sort();
    names.dedup();
    names.join(";")
}

/// The credential scope and the signature in hexadecimal digits.
fn signature(
    request: Request<'_>,
    signed_headers: &str,
    payload: &[u8],
    credentials: Credentials<'_>,
    Scope { region, service }: Scope<'_>,
    amz_date: &str,
) -> (String, String) {
    let date = &amz_date[..8];
    let scope = format!("{date}/{region}/{service}/{TERMINATOR}");
    let mut canonical = Vec::with_capacity(1024);
    canonical_request(&mut canonical, request, signed_headers, payload);
    let mut to_sign = Vec::with_capacity(192);
    string_to_sign(&mut to_sign, amz_date, &scope, &canonical);
    let key = derive(credentials.secret_access_key, date, region, service);
    let mut signature = Vec::with_capacity(64);
    hex(&mut signature, hmac::sign(&key, &to_sign).as_ref());
    (scope, String::from_utf8(signature).unwrap_or_default())
}
