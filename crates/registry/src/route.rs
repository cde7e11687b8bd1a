//! What a request's path asks for.

use percent_encoding::percent_decode_str;

use crate::digest::Digest;
use crate::error::ApiError;
use crate::names::{Reference, is_repository_name};

/// A path of the distribution API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/<name>/blobs/<digest>`
    Blob { name: String, digest: Digest },
    /// `/v2/<name>/blobs/uploads/`
    Uploads { name: String },
    /// `/v2/<name>/blobs/uploads/<uuid>`
    Upload { name: String, uuid: String },
    /// `/v2/<name>/manifests/<reference>`
    Manifest { name: String, reference: Reference },
    /// `/v2/<name>/tags/list`
    Tags { name: String },
}

/// Reads a path from its end, as a repository's name may hold slashes and words such as `blobs`.
pub(crate) fn route(path: &str) -> Result<Route, ApiError> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| ApiError::no_such_path(path))?;
    if matches!(&*path, "/v2" | "/v2/") {
        return Ok(Route::Ping);
    }
    let unknown = || ApiError::no_such_path(&path);
    let rest = path.strip_prefix("/v2/").ok_or_else(unknown)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let named = |length: usize| {
        let name = parts[..parts.len() - length].join("/");
        if is_repository_name(&name) { Ok(name) } else { Err(ApiError::name_invalid(&name)) }
    };
    match parts.as_slice() {
        [_, .., "blobs", "uploads"] => Ok(Route::Uploads { name: named(2)? }),
        [_, .., "blobs", "uploads", ""] => Ok(Route::Uploads { name: named(3)? }),
        [_, .., "blobs", "uploads", uuid] => {
            let name = named(3)?;
            // The id becomes part of a file's name: nothing but the form that was handed out goes on.
            if is_uuid(uuid) {
                Ok(Route::Upload { name, uuid: (*uuid).to_owned() })
            } else {
                Err(ApiError::upload_unknown())
            }
        }
        [_, .., "blobs", digest] => {
            let name = named(2)?;
            Ok(Route::Blob { name, digest: digest.parse().map_err(ApiError::digest_invalid)? })
        }
        [_, .., "manifests", reference] => {
            let name = named(2)?;
            Ok(Route::Manifest { name, reference: reference.parse().map_err(ApiError::reference_invalid)? })
        }
        [_, .., "tags", "list"] => Ok(Route::Tags { name: named(2)? }),
        // `referrers` too: 404 is how a registry says that clients are to use the referrers tag, which works here
        // (specification, "Unavailable Referrers API").
        _ => Err(unknown()),
    }
}

/// Whether a text has the form 8-4-4-4-12 of lower-case hexadecimal digits.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "00000000-1111-2222-3333-444444444444";

    fn name() -> String {
        "team/blobs/app".into()
    }

    #[test]
    fn every_path_of_the_specification_is_known() {
        let digest = Digest::of(b"x");
        assert_eq!(route("/v2/").unwrap(), Route::Ping);
        let at = |tail: String| route(&format!("/v2/team/blobs/app/{tail}")).unwrap();
        assert_eq!(at(format!("blobs/{digest}")), Route::Blob { name: name(), digest });
        assert_eq!(at(format!("blobs/sha256%3A{}", digest.hex())), Route::Blob { name: name(), digest });
        assert_eq!(at("blobs/uploads/".into()), Route::Uploads { name: name() });
        assert_eq!(at(format!("blobs/uploads/{UUID}")), Route::Upload { name: name(), uuid: UUID.into() });
        let reference = Reference::Tag("v1.0".into());
        assert_eq!(at("manifests/v1.0".into()), Route::Manifest { name: name(), reference });
        assert_eq!(at("tags/list".into()), Route::Tags { name: name() });
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "/",
            "/v3/",
            "/v2/_catalog",
            "/v2/../../etc/passwd",
            "/v2/../x/tags/list",
            "/v2/a1/../b1/tags/list",
            "/v2/a1%2F..%2F..%2Fb1/tags/list",
            "/v2/a1/blobs/uploads/..%2F..%2Fetc",
            "/v2/a1/blobs/uploads/00000000-1111-2222-3333-4444444444../",
            "/v2/a1/blobs/sha256:../../x",
            "/v2/a1/manifests/..",
            "/v2/a1/manifests/%00",
            "/v2/a1/referrers/sha256:00",
            "/v2/manifests/x",
            "/v2/%ff/tags/list",
        ] {
            assert!(route(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/|v2|blobs|uploads|manifests|tags|list|a1|\\.\\.|%2F|sha256:|\\PC){0,12}") {
            let _ = route(&format!("/v2/{path}"));
            let _ = route(&path);
        }
    }
}
