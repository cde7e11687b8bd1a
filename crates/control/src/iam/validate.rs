//! The forms of IAM's names, paths, documents and tags ("IAM and AWS STS quotas", IAM User Guide).

use std::collections::BTreeMap;

use types::random_hex;
use wire::ApiError;

use super::policy::{Kind, Malformed, Policy};
use super::{Tag, conflict};

/// One member's value that does not fit, in the words of the query services.
fn failed(member: &str, value: &str, constraint: &str) -> ApiError {
    ApiError::new(
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ),
    )
}

/// A role's, policy's or session's name: word characters and `+=,.@-`, at most `most` of them.
pub(crate) fn name(member: &str, value: &str, most: usize) -> Result<(), ApiError> {
    if value.is_empty() {
        return Err(failed(member, value, "Member must have length greater than or equal to 1"));
    }
    if value.chars().count() > most {
        return Err(failed(member, value, &format!("Member must have length less than or equal to {most}")));
    }
    if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)) {
        return Err(failed(member, value, r"Member must satisfy regular expression pattern: [\w+=,.@-]+"));
    }
    Ok(())
}

/// A path: begins and ends with a slash.
pub(super) fn path(value: Option<String>) -> Result<String, ApiError> {
    let path = value.unwrap_or_else(|| "/".to_owned());
    let graphic = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if path.starts_with('/') && path.ends_with('/') && graphic && path.len() <= 512 {
        return Ok(path);
    }
    Err(ApiError::new(
        "ValidationError",
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// 3600 to 43200 seconds.
pub(super) fn session_duration(seconds: Option<u32>) -> Result<u32, ApiError> {
    match seconds {
        None => Ok(3600),
        Some(seconds @ 3600..=43_200) => Ok(seconds),
        Some(seconds) => Err(failed(
            "maxSessionDuration",
            &seconds.to_string(),
            if seconds < 3600 {
                "Member must have value greater than or equal to 3600"
            } else {
                "Member must have value less than or equal to 43200"
            },
        )),
    }
}

/// A description of at most 1000 characters.
pub(super) fn description(text: Option<String>) -> Result<Option<String>, ApiError> {
    match &text {
        Some(long) if long.chars().count() > 1000 => {
            Err(failed("description", long, "Member must have length less than or equal to 1000"))
        }
        _ => Ok(text),
    }
}

/// What a document's length counts: all but white space.
pub(super) fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy document that can be honoured, of at most `most` characters.
pub(super) fn document(text: &str, kind: Kind, quota: &str, most: usize) -> Result<Policy, ApiError> {
    if size(text) > most {
        return Err(conflict("LimitExceeded", format!("Cannot exceed quota for {quota}: {most}")));
    }
    Policy::parse(text, kind).map_err(|Malformed(message)| ApiError::new("MalformedPolicyDocument", message))
}

/// Sets tags in `all`: at most fifty in the end, no key twice in the request, none of AWS's own.
pub(super) fn set_tags(all: &mut BTreeMap<String, String>, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut given = std::collections::BTreeSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::new(
                "ValidationError",
                "A tag's key has 1 to 128 characters and its value at most 256.",
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new(
                "InvalidInput",
                "System tag keys are reserved: a tag key must not begin with 'aws:'.",
            ));
        }
        if !given.insert(key.to_ascii_lowercase()) {
            return Err(ApiError::new(
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        // Tag keys differ by more than case; a new spelling replaces the old one.
        all.retain(|old, _| !old.eq_ignore_ascii_case(&key));
        all.insert(key, value);
    }
    if all.len() > 50 {
        return Err(conflict("LimitExceeded", "The number of tags has reached the maximum limit."));
    }
    Ok(())
}

/// Tags as responses list them.
pub(super) fn listed_tags(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// A new unique id: its prefix (`AROA`, `ANPA`, `ASIA`) and `length` letters and digits, at most 32.
pub(crate) fn unique_id(prefix: &str, length: usize) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (one, two) = (random_hex(32), random_hex(32));
    let letter = |pair: &[u8]| {
        let value = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        char::from(LETTERS[usize::from(value.unwrap_or(0) & 31)])
    };
    let random = one.as_bytes().chunks(2).chain(two.as_bytes().chunks(2)).take(length).map(letter);
    prefix.chars().chain(random).collect()
}

/// A policy document as IAM's responses carry it: percent-encoded (RFC 3986).
pub(super) fn url_encoded(document: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// How many items a page has: 100, or what the request says up to 1000.
pub(super) fn page_size(max_items: Option<usize>) -> Result<usize, ApiError> {
    match max_items {
        None => Ok(100),
        Some(most @ 1..=1000) => Ok(most),
        Some(other) => {
            Err(failed("maxItems", &other.to_string(), "Member must have value between 1 and 1000"))
        }
    }
}

pub(super) fn invalid_marker(_: crate::page::InvalidToken) -> ApiError {
    ApiError::new("ValidationError", "Invalid Marker.")
}
