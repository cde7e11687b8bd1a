//! What a manifest says of the blobs and manifests that it needs.

use serde::Deserialize;

use crate::digest::Digest;

/// The largest manifest that is taken, in bytes (OCI distribution specification: at least 4 MiB).
pub const MANIFEST_LIMIT: usize = 4 << 20;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Why a document is no manifest that the registry takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// It is not JSON, or a member has a wrong form.
    #[error("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax' ({0})")]
    Syntax(String),
    /// Its type is none of Docker's schema 2 and OCI's.
    #[error(
        "Manifest type '{0}' is not supported; OCI image manifests and indexes and Docker's schema 2 are"
    )]
    Type(String),
    /// `Content-Type` and `mediaType` name different types.
    #[error("the request's Content-Type is '{header}' but the manifest's mediaType is '{document}'")]
    Types {
        /// The header's.
        header: String,
        /// The document's.
        document: String,
    },
    /// It has another schema version than 2.
    #[error("the manifest's schemaVersion is {0}; only 2 is supported")]
    Version(u64),
    /// It lacks what its type needs, or has what its type does not know.
    #[error("a manifest of type '{media_type}' {wrong}")]
    Members {
        /// The type.
        media_type: String,
        /// What is wrong.
        wrong: &'static str,
    },
}

/// What was read in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) media_type: String,
    /// Config and layers, without those that are fetched from elsewhere.
    pub(crate) blobs: Vec<Descriptor>,
    /// Of an index.
    pub(crate) manifests: Vec<Descriptor>,
    pub(crate) artifact_media_type: Option<String>,
}

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) annotations: std::collections::BTreeMap<String, String>,
}

impl Descriptor {
    /// Layers that no registry keeps: Windows' base layers.
    fn is_elsewhere(&self) -> bool {
        self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a manifest. `content_type` is the request's header, which may be missing when the document has a `mediaType`.
pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Parsed, InvalidManifest> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| InvalidManifest::Syntax(error.to_string()))?;
    // `application/json` is what clients say that know nothing of the type.
    let header = content_type
        .and_then(|text| text.split(';').next())
        .map(str::trim)
        .filter(|text| !text.is_empty() && *text != "application/json");
    let media_type = match (header, document.media_type) {
        (Some(header), Some(document)) if header != document => {
            return Err(InvalidManifest::Types { header: header.to_owned(), document });
        }
        (Some(header), _) => header.to_owned(),
        (None, Some(document)) => document,
        // An OCI document need not state its type.
        (None, None) if document.manifests.is_some() => OCI_INDEX.to_owned(),
        (None, None) => OCI_MANIFEST.to_owned(),
    };
    if document.schema_version != 2 {
        return Err(InvalidManifest::Version(document.schema_version));
    }
    let wrong = |wrong| InvalidManifest::Members { media_type: media_type.clone(), wrong };
    match media_type.as_str() {
        OCI_INDEX | DOCKER_LIST => {
            // A document that can be read in two ways is refused: CVE-2021-41190.
            if document.config.is_some() || document.layers.is_some() {
                return Err(wrong("may not have 'config' or 'layers'"));
            }
            let manifests = document.manifests.ok_or_else(|| wrong("needs 'manifests'"))?;
            Ok(Parsed { media_type, blobs: Vec::new(), manifests, artifact_media_type: None })
        }
        OCI_MANIFEST | DOCKER_MANIFEST => {
            if document.manifests.is_some() {
                return Err(wrong("may not have 'manifests'"));
            }
            let config = document.config.ok_or_else(|| wrong("needs 'config'"))?;
            let layers = document.layers.ok_or_else(|| wrong("needs 'layers'"))?;
            let artifact_media_type = Some(config.media_type.clone());
            let mut blobs = vec![config];
            blobs.extend(layers.into_iter().filter(|layer| !layer.is_elsewhere()));
            Ok(Parsed { media_type, blobs, manifests: Vec::new(), artifact_media_type })
        }
        _ => Err(InvalidManifest::Type(media_type)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn descriptor(content: &str) -> serde_json::Value {
        json!({ "mediaType": "x", "digest": Digest::of(content.as_bytes()), "size": content.len() })
    }

    #[test]
    fn a_manifest_needs_its_config_and_layers() {
        let document = json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [
            descriptor("l"),
            { "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": 1,
              "digest": Digest::of(b"f"), "urls": ["https://example.com"] },
        ] });
        let parsed = parse(document.to_string().as_bytes(), Some(DOCKER_MANIFEST)).unwrap();
        let digests: Vec<_> = parsed.blobs.iter().map(|blob| blob.digest).collect();
        assert_eq!(digests, [Digest::of(b"c"), Digest::of(b"l")]);
        assert_eq!(parse(document.to_string().as_bytes(), None).unwrap().media_type, OCI_MANIFEST);
    }

    #[test]
    fn an_index_needs_its_manifests() {
        let document = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor("m")] });
        let parsed = parse(document.to_string().as_bytes(), None).unwrap();
        assert_eq!(parsed.manifests[0].digest, Digest::of(b"m"));
    }

    #[test]
    fn other_documents_are_refused() {
        let both = json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [], "manifests": [] });
        let schema1 = json!({ "schemaVersion": 1, "name": "x" });
        let sha512 =
            json!({ "schemaVersion": 2, "config": { "digest": "sha512:00", "size": 1 }, "layers": [] });
        let none = json!({ "schemaVersion": 2 });
        for (document, header) in [
            (&both, OCI_INDEX),
            (&both, OCI_MANIFEST),
            (&schema1, OCI_MANIFEST),
            (&sha512, OCI_MANIFEST),
            (&none, OCI_MANIFEST),
            (&none, DOCKER_LIST),
            (&none, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        ] {
            assert!(parse(document.to_string().as_bytes(), Some(header)).is_err(), "{document} {header}");
        }
        let typed = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }).to_string();
        assert!(parse(typed.as_bytes(), Some(OCI_MANIFEST)).is_err());
        assert!(parse(b"{", None).is_err());
        assert!(parse(&b"[".repeat(100_000), None).is_err());
    }
}
