//! Names of repositories and tags.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// Whether a text may name an ECR repository: 2 to 256 characters, lower-case words joined by single `.`, `_`, `-` (or
/// `__`, or several `-`), in folders joined by `/`. ECR API reference, CreateRepository, repositoryName. No such name
/// has an empty part or `..`.
pub fn is_repository_name(name: &str) -> bool {
    (2..=256).contains(&name.len()) && name.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|b| word(*b)) || !bytes.last().is_some_and(|b| word(*b)) {
        return false;
    }
    bytes
        .split(|b| word(*b))
        .all(|joint| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|b| *b == b'-'))
}

/// Whether a text may be a tag: 1 to 128 word characters, `.` and `-`, the first a word character (OCI
/// distribution specification, "Pulling manifests").
pub fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().enumerate().all(|(at, b)| word(b) || (at > 0 && matches!(b, b'.' | b'-')))
}

/// How a manifest is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By a tag that [`is_tag`] takes.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

/// A text that is neither tag nor digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither a tag nor a digest")]
pub struct InvalidReference(pub String);

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if is_tag(text) {
            return Ok(Self::Tag(text.to_owned()));
        }
        text.parse().map(Self::Digest).map_err(|_| InvalidReference(text.chars().take(150).collect()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ecr_s_names_are_taken() {
        for name in ["simon-sample", "a1", "team/app", "a.b_c-d/e__f/g--h", "nginx"] {
            assert!(is_repository_name(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = "a".repeat(257);
        for name in
            ["", "a", "A", "a/", "/a", "a//b", "../x", "a/../b", "a/..", "-a", "a-", "a..b", "a b", &long]
        {
            assert!(!is_repository_name(name), "{name}");
        }
    }

    #[test]
    fn references_are_tags_or_digests() {
        assert_eq!("latest".parse(), Ok(Reference::Tag("latest".into())));
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
        for text in ["", ".hidden", "-x", "a/b", "..", "sha256:zz", "a\0b", &"a".repeat(129)] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_that_is_taken_leaves_its_folder(name in "[a-z./_-]{1,20}") {
            if is_repository_name(&name) {
                prop_assert!(name.split('/').all(|part| !part.is_empty() && !part.contains("..")));
            }
        }
    }
}
