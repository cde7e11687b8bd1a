//! What surrounds a response in XML, and how texts are put into it.

/// Opens the awsQuery envelope, `<XResponse><XResult>…</XResult><ResponseMetadata/></XResponse>`.
pub(crate) fn open_query(action: &str, xmlns: &str) -> String {
    format!("<{action}Response xmlns=\"{xmlns}\">")
}

/// Closes what [`open_query`] opened.
pub(crate) fn close_query(action: &str, request_id: &str) -> String {
    format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>")
}

/// Opens the ec2Query envelope: the request id, then the response's fields, flat.
pub(crate) fn open_ec2(action: &str, xmlns: &str, request_id: &str) -> String {
    format!("<{action}Response xmlns=\"{xmlns}\"><requestId>{request_id}</requestId>")
}

/// Closes what [`open_ec2`] opened.
pub(crate) fn close_ec2(action: &str) -> String {
    format!("</{action}Response>")
}

/// A text as [`escape`] writes it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    escape(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Puts a text into XML: the five characters that mark up, and control characters, which XML 1.0 cannot hold, as
/// U+FFFD.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            b'\r' => out.extend_from_slice(b"&#13;"),
            b'\t' | b'\n' => out.push(byte),
            0..b' ' => out.extend_from_slice("\u{fffd}".as_bytes()),
            // Also a part of a character of several bytes.
            _ => out.push(byte),
        }
    }
}
