//! OCI image layouts: `index.json` and `blobs/sha256/<hex>` (OCI image specification, "Image Layout").

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::ImportError;
use super::files::Files;
use crate::digest::Digest;
use crate::image::{Blob, Image, ManifestFile, Section};
use crate::manifest::{Descriptor, parse};

/// An index may name indexes; deeper than this nobody goes.
const DEPTH: usize = 4;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

pub(super) fn image(files: &Files, index: Section, name: Option<&str>) -> Result<Image, ImportError> {
    let bytes = files.document("index.json", index)?;
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|error| ImportError::form("index.json", error.to_string()))?;
    let root = choose(index.manifests, name)?;
    let mut found = Found::default();
    found.manifest(files, &root, 0)?;
    let manifest = found.manifests.pop().ok_or_else(|| ImportError::Missing(root.digest.to_string()))?;
    Ok(Image { blobs: found.blobs.into_values().collect(), parts: found.manifests, manifest })
}

/// The image with that name; without a name, the only one.
fn choose(mut images: Vec<Descriptor>, name: Option<&str>) -> Result<Descriptor, ImportError> {
    if let Some(name) = name {
        if let Some(at) = images.iter().position(|image| names(image).any(|own| own == name)) {
            return Ok(images.swap_remove(at));
        }
    } else if images.len() == 1 {
        return Ok(images.swap_remove(0));
    }
    let label = |image: &Descriptor| names(image).next().unwrap_or_default();
    Err(ImportError::WhichImage { names: images.iter().map(label).collect() })
}

/// The names by which an image in a layout goes: docker's full name, the reference, the digest.
fn names(image: &Descriptor) -> impl Iterator<Item = String> {
    ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
        .into_iter()
        .filter_map(|key| image.annotations.get(key).cloned())
        .chain([image.digest.to_string()])
}

#[derive(Default)]
struct Found {
    blobs: BTreeMap<Digest, Blob>,
    manifests: Vec<ManifestFile>,
}

impl Found {
    fn manifest(&mut self, files: &Files, image: &Descriptor, depth: usize) -> Result<(), ImportError> {
        if self.manifests.iter().any(|known| known.digest == image.digest) {
            return Ok(());
        }
        let name = image.digest.to_string();
        if depth == DEPTH {
            return Err(ImportError::form(&name, "its indexes are nested too deeply"));
        }
        let bytes = files.document(&name, section(files, &image.digest)?)?;
        let found = Digest::of(&bytes);
        if found != image.digest {
            return Err(ImportError::Damaged { name, expected: image.digest, found });
        }
        let parsed = parse(&bytes, Some(&image.media_type))?;
        for blob in &parsed.blobs {
            self.blob(files, blob)?;
        }
        for child in &parsed.manifests {
            self.manifest(files, child, depth + 1)?;
        }
        let bytes = Bytes::from(bytes);
        self.manifests.push(ManifestFile { media_type: parsed.media_type, digest: found, bytes });
        Ok(())
    }

    fn blob(&mut self, files: &Files, blob: &Descriptor) -> Result<(), ImportError> {
        if self.blobs.contains_key(&blob.digest) {
            return Ok(());
        }
        let section = section(files, &blob.digest)?;
        if section.length != blob.size {
            let (expected, found) = (blob.size, section.length);
            return Err(ImportError::Size { digest: blob.digest, expected, found });
        }
        let found = files.digest(section.clone())?;
        if found != blob.digest {
            let name = blob.digest.to_string();
            return Err(ImportError::Damaged { name, expected: blob.digest, found });
        }
        self.blobs.insert(found, Blob::file(found, section));
        Ok(())
    }
}

fn section(files: &Files, digest: &Digest) -> Result<Section, ImportError> {
    files.need(&format!("blobs/sha256/{}", digest.hex()))
}
