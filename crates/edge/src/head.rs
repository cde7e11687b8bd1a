//! The first request's head: whom it is for. Pure. Nothing of it is judged but what names the host; the load balancer
//! that gets the bytes judges the rest.

/// How long a request's head may be, in bytes, ALB's own bound (64 KB for the whole header) being the same.
pub(crate) const LONGEST: usize = 64 << 10;

/// What the bytes that came so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The beginning of a head; the rest is to come.
    Begun,
    /// A TLS ClientHello.
    Tls,
    /// No HTTP/1 request that names a host, and why.
    Malformed(&'static str),
    /// A request for this host: lower case, without port and final dot.
    For(String),
}

/// Reads what came so far of a connection.
pub fn read(bytes: &[u8]) -> Head {
    // A handshake record (RFC 8446, section 5.1). No HTTP method begins so.
    if bytes.first() == Some(&0x16) {
        return Head::Tls;
    }
    let mut lines = Lines(bytes);
    // RFC 9112, section 2.2: empty lines in front are passed over.
    let request = loop {
        match lines.next() {
            Some([]) => (),
            Some(line) => break line,
            None => return Head::Begun,
        }
    };
    let mut words = request.split(|byte| *byte == b' ');
    let (Some(_), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Head::Malformed("this is no HTTP request");
    };
    if !version.starts_with(b"HTTP/1.") {
        return Head::Malformed("only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    let mut host = None;
    loop {
        match lines.next() {
            None => return Head::Begun,
            Some([]) => break,
            Some(line) => {
                let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
                if line[..colon].eq_ignore_ascii_case(b"host") && host.replace(&line[colon + 1..]).is_some() {
                    return Head::Malformed("the request has two Host headers");
                }
            }
        }
    }
    // RFC 9112, section 3.2.2: a host in the target wins over the header.
    match authority(target).or(host).map(normal) {
        Some(host) if !host.is_empty() => Head::For(host),
        _ => Head::Malformed("the request has no Host header"),
    }
}

/// Lines that are complete, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The authority of a target in absolute form, `http://host:port/path`.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let after = ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    })?;
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let authority = &after[..end];
    let user = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    Some(&authority[user..])
}

/// `App.Example.:8080` → `app.example`; an IPv6 address keeps its brackets.
fn normal(host: &[u8]) -> String {
    let host = String::from_utf8_lossy(host).trim().to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &host,
    };
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(text: &str) -> Head {
        read(text.as_bytes())
    }

    #[test]
    fn the_host_is_found_in_the_header_or_in_the_target() {
        for text in [
            "GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\nbody",
            "GET / HTTP/1.1\r\nAccept: */*\r\nhOST:App.LocalHost:8080\r\n\r\n",
            "\r\nGET / HTTP/1.0\nHost: \tapp.localhost. \n\n",
            "POST http://App.localhost:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
            "GET HTTPS://user:secret@app.localhost?q=a@b HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(host(text), Head::For("app.localhost".to_owned()), "{text:?}");
        }
        assert_eq!(host("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), Head::For("[::1]".to_owned()));
    }

    #[test]
    fn every_beginning_of_a_head_waits_for_the_rest() {
        let text = "GET /path HTTP/1.1\r\nHost: app.localhost\r\nAccept: */*\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(host(&text[..end]), Head::Begun, "{end}");
        }
    }

    #[test]
    fn what_names_no_host_is_told_so_as_soon_as_that_is_sure() {
        for (text, why) in [
            ("SSH-2.0-OpenSSH_9.2\r\n", "this is no HTTP request"),
            ("GET /\r\n", "this is no HTTP request"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "only HTTP/1.0 and HTTP/1.1 are spoken here"),
            ("GET / HTTP/1.1\r\n\r\n", "the request has no Host header"),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "the request has no Host header"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "the request has two Host headers"),
        ] {
            assert_eq!(host(text), Head::Malformed(why), "{text:?}");
        }
    }

    #[test]
    fn tls_is_known_by_its_first_byte() {
        assert_eq!(read(&[0x16]), Head::Tls);
        assert_eq!(read(&[0x16, 3, 1, 2, 0]), Head::Tls);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
        }

        #[test]
        fn a_name_that_is_found_is_in_normal_form(text in "(GET|POST) [ -~]{0,20} HTTP/1.1\r\nHost:[ -~]{0,30}\r\n\r\n") {
            if let Head::For(host) = read(text.as_bytes()) {
                prop_assert_eq!(host.to_ascii_lowercase(), host.clone());
                prop_assert!(!host.is_empty());
            }
        }
    }
}
