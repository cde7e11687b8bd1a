//! The canonical request: the one text that both sides sign.

use ring::digest;

/// A request as the signature sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`…
    pub method: &'a str,
    /// The path as it stands in the request line, percent-encoded, without the query.
    pub path: &'a str,
    /// The query as it stands in the request line, without `?`; empty if there is none.
    pub query: &'a str,
    /// All headers in order, names in any case. The host is among them.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Request<'a> {
    /// The values of a header, by its lower-case name.
    pub(crate) fn values(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }
}

/// The SHA-256 of a body.
pub fn sha256(body: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    hash
}

/// The SHA-256 of a body in lower-case hexadecimal digits.
pub fn hex_sha256(body: &[u8]) -> String {
    let mut text = Vec::with_capacity(64);
    hex(&mut text, &sha256(body));
    String::from_utf8(text).unwrap_or_default()
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Appends a request's canonical form.
///
/// `signed_headers` are lower-case names joined by `;`, `payload` is the last line: the body's hash in hexadecimal
/// digits, or `UNSIGNED-PAYLOAD`. A parameter `X-Amz-Signature` is left out, as it cannot sign itself.
pub fn canonical_request(out: &mut Vec<u8>, request: Request<'_>, signed_headers: &str, payload: &[u8]) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    canonical_path(out, request.path);
    out.push(b'\n');
    canonical_query(out, request.query);
    out.push(b'\n');
    for name in signed_headers.split(';') {
        out.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        out.push(b':');
        for (index, value) in request.values(name).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            trimmed(out, value);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload);
}

/// Appends a header's value without white space around it, and with one space for each run of white space in it.
fn trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(crate) fn percent_encode(out: &mut Vec<u8>, byte: u8) {
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        out.extend([b'%', HEX_UPPER[usize::from(byte >> 4)], HEX_UPPER[usize::from(byte & 15)]]);
    }
}

/// RFC 3986 section 5.2.4, runs of slashes taken for one, then encoded once more (the path is already encoded once).
fn canonical_path(out: &mut Vec<u8>, path: &str) {
    if path.is_empty() || path == "/" {
        out.push(b'/');
        return;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    for segment in &segments {
        out.push(b'/');
        segment.bytes().for_each(|byte| percent_encode(out, byte));
    }
    if segments.is_empty() || path.ends_with('/') {
        out.push(b'/');
    }
}

/// The byte that begins at `at`, percent-decoding undone, and where the next begins. A `%` without two digits stands
/// for itself and `+` for a space, as where the parameters are read: the signature covers what the service will see.
fn decoded(text: &[u8], at: usize) -> (u8, usize) {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match text[at] {
        b'+' => (b' ', at + 1),
        b'%' => match (digit(at + 1), digit(at + 2)) {
            #[allow(clippy::cast_possible_truncation, reason = "two hexadecimal digits fit a byte")]
            (Some(high), Some(low)) => ((high * 16 + low) as u8, at + 3),
            _ => (b'%', at + 1),
        },
        byte => (byte, at + 1),
    }
}

/// Decodes a parameter's name or value as [`canonical_query`] does.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let (byte, next) = decoded(bytes, at);
        out.push(byte);
        at = next;
    }
    out
}

/// The parameters of a query: name and value, both still encoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn canonical_query(out: &mut Vec<u8>, query: &str) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len() + 16);
    let mut append = |text: &str| {
        let (bytes, start, mut at) = (text.as_bytes(), encoded.len(), 0);
        while at < bytes.len() {
            let (byte, next) = decoded(bytes, at);
            percent_encode(&mut encoded, byte);
            at = next;
        }
        start..encoded.len()
    };
    let mut pairs = Vec::new();
    // Compared as it is spelled: in another spelling it is no signature, and has to be signed.
    for (name, value) in parameters(query).filter(|(name, _)| *name != "X-Amz-Signature") {
        let name = append(name);
        pairs.push((name, append(value)));
    }
    // By name, then by value: never by the joined text, in which `=` would take part in the order.
    pairs.sort_by(|(a, x), (b, y)| {
        (&encoded[a.clone()], &encoded[x.clone()]).cmp(&(&encoded[b.clone()], &encoded[y.clone()]))
    });
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&encoded[name]);
        out.push(b'=');
        out.extend_from_slice(&encoded[value]);
    }
}

/// Appends the string to sign over a canonical request. `scope` is `date/region/service/aws4_request`.
pub(crate) fn string_to_sign(out: &mut Vec<u8>, amz_date: &str, scope: &str, canonical: &[u8]) {
    for line in [super::ALGORITHM, amz_date, scope] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    hex(out, &sha256(canonical));
}
