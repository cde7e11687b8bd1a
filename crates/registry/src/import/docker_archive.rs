//! `docker save` archives by their `manifest.json`: a config and layers, the layers mostly without compression.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;

use super::ImportError;
use super::files::Files;
use crate::digest::{Digest, Hasher};
use crate::image::{Blob, Hashing, Image, Section, manifest};
use crate::manifest::DOCKER_MANIFEST;

const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

pub(super) fn image(files: &Files, list: Section, name: Option<&str>) -> Result<Image, ImportError> {
    let bytes = files.document("manifest.json", list)?;
    let list: Vec<Saved> = serde_json::from_slice(&bytes)
        .map_err(|error| ImportError::form("manifest.json", error.to_string()))?;
    let saved = choose(list, name)?;
    let bytes = files.document(&saved.config, files.need(&saved.config)?)?;
    let config: Config = serde_json::from_slice(&bytes)
        .map_err(|error| ImportError::form(&saved.config, error.to_string()))?;
    if config.rootfs.diff_ids.len() != saved.layers.len() {
        return Err(ImportError::form(&saved.config, "it names another number of layers than manifest.json"));
    }
    let mut layers: Vec<Blob> = Vec::new();
    for (at, (path, diff_id)) in saved.layers.iter().zip(&config.rootfs.diff_ids).enumerate() {
        // Empty layers repeat.
        let known = config.rootfs.diff_ids[..at].iter().position(|earlier| earlier == diff_id);
        layers.push(match known {
            Some(known) => layers[known].clone(),
            None => layer(files, path, diff_id)?,
        });
    }
    let config = Blob::memory(bytes);
    let typed: Vec<(&str, &Blob)> = layers.iter().map(|layer| (DOCKER_LAYER, layer)).collect();
    let manifest = manifest(DOCKER_MANIFEST, (DOCKER_CONFIG, &config), &typed);
    let mut blobs = vec![config];
    for layer in layers {
        if blobs.iter().all(|blob| blob.digest != layer.digest) {
            blobs.push(layer);
        }
    }
    Ok(Image { blobs, parts: Vec::new(), manifest })
}

fn choose(mut list: Vec<Saved>, name: Option<&str>) -> Result<Saved, ImportError> {
    let has = |saved: &Saved, name: &str| saved.repo_tags.iter().flatten().any(|tag| tag == name);
    if let Some(name) = name {
        if let Some(at) = list.iter().position(|saved| has(saved, name)) {
            return Ok(list.swap_remove(at));
        }
    } else if list.len() == 1 {
        return Ok(list.swap_remove(0));
    }
    let label = |saved: &Saved| saved.repo_tags.iter().flatten().next().unwrap_or(&saved.config).clone();
    Err(ImportError::WhichImage { names: list.iter().map(label).collect() })
}

/// A layer, compressed as `docker push` sends it, when its archive is what the config says.
fn layer(files: &Files, path: &str, expected: &Digest) -> Result<Blob, ImportError> {
    let section = files.need(path)?;
    let mut magic = Vec::new();
    section.clone().take(2).read_to_end(&mut magic).map_err(files.reading())?;
    let (blob, found) = if magic == [0x1f, 0x8b] {
        let mut plain = Hashing { inner: io::sink(), hasher: Hasher::new() };
        io::copy(&mut MultiGzDecoder::new(section.clone()), &mut plain).map_err(files.reading())?;
        (Blob::file(files.digest(section.clone())?, section), plain.hasher.finish())
    } else {
        compressed(section).map_err(files.reading())?
    };
    if found != *expected {
        return Err(ImportError::Damaged { name: path.to_owned(), expected: *expected, found });
    }
    Ok(blob)
}

/// Compresses into an unnamed temporary file; gives the plain content's digest too.
fn compressed(mut section: Section) -> io::Result<(Blob, Digest)> {
    let written = Hashing { inner: tempfile::tempfile()?, hasher: Hasher::new() };
    let encoder = GzEncoder::new(written, Compression::fast());
    let mut plain = Hashing { inner: encoder, hasher: Hasher::new() };
    io::copy(&mut section, &mut plain)?;
    let diff_id = plain.hasher.finish();
    let written = plain.inner.finish()?;
    let length = written.inner.metadata()?.len();
    let section = Section { file: Arc::new(written.inner), offset: 0, length };
    Ok((Blob::file(written.hasher.finish(), section), diff_id))
}
