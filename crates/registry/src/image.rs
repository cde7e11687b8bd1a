//! Images in hand: what is pushed, and a builder that makes one from files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::digest::{Digest, Hasher};
use crate::manifest::OCI_MANIFEST;

pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image, complete and with all digests verified.
#[derive(Debug, Clone)]
pub struct Image {
    /// What the manifests name, each once.
    pub blobs: Vec<Blob>,
    /// An index's manifests, each before the one that names it.
    pub parts: Vec<ManifestFile>,
    /// The image's manifest or index.
    pub manifest: ManifestFile,
}

/// A manifest's bytes.
#[derive(Debug, Clone)]
pub struct ManifestFile {
    /// Its type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Itself.
    pub bytes: Bytes,
}

/// A config or layer.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Bytes),
    File(Section),
}

impl Blob {
    pub(crate) fn memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), size: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    pub(crate) fn file(digest: Digest, section: Section) -> Self {
        Self { digest, size: section.length, source: Source::File(section) }
    }

    /// Reads it from its start.
    pub fn reader(&self) -> Box<dyn Read + Send> {
        match &self.source {
            Source::Memory(bytes) => Box::new(bytes.clone().reader()),
            Source::File(section) => Box::new(section.clone()),
        }
    }
}

/// A part of a file, read without moving the file's own position.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.length).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        self.length -= count as u64;
        Ok(count)
    }
}

/// Makes an image of one layer from files. The same files give the same digests on every machine.
#[derive(Debug, Clone)]
pub struct Builder {
    files: BTreeMap<String, (u32, Bytes)>,
    config: BTreeMap<&'static str, Value>,
    architecture: String,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty image for this machine's architecture, on Linux.
    pub fn new() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { files: BTreeMap::new(), config: BTreeMap::new(), architecture: architecture.to_owned() }
    }

    /// Go's name of another architecture: `amd64`, `arm64`.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// A file of root's, at a path such as `/usr/bin/echo`, with permissions such as 0o755. Its folders are made.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: impl Into<Bytes>) -> Self {
        self.files.insert(path.trim_matches('/').to_owned(), (mode, content.into()));
        self
    }

    /// The program and its first arguments.
    #[must_use]
    pub fn entry_point(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    /// Arguments that a task may replace.
    #[must_use]
    pub fn command(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    /// Variables, as `NAME=value`.
    #[must_use]
    pub fn environment(self, variables: &[&str]) -> Self {
        self.set("Env", json!(variables))
    }

    /// Ports that the program listens on, as `8080/tcp`.
    #[must_use]
    pub fn exposed_ports(self, ports: &[&str]) -> Self {
        let ports: BTreeMap<&str, Value> = ports.iter().map(|port| (*port, json!({}))).collect();
        self.set("ExposedPorts", json!(ports))
    }

    /// Who runs the program, as `uid:gid`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    fn set(mut self, name: &'static str, value: Value) -> Self {
        self.config.insert(name, value);
        self
    }

    /// The image. Fails when a path does not fit into a tar archive.
    pub fn build(&self) -> io::Result<Image> {
        let (layer, diff_id) = self.layer()?;
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            // A constant: the time of building would make every digest new.
            "created": "1970-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        });
        let (config, layer) = (Blob::memory(config.to_string()), Blob::memory(layer));
        let manifest = manifest(OCI_MANIFEST, (OCI_CONFIG, &config), &[(OCI_LAYER, &layer)]);
        Ok(Image { blobs: vec![config, layer], parts: Vec::new(), manifest })
    }

    /// The layer, compressed, and the digest of its tar archive.
    fn layer(&self) -> io::Result<(Vec<u8>, Digest)> {
        let folders: BTreeSet<&str> =
            self.files.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect();
        let mut archive = tar::Builder::new(Hashing {
            inner: GzEncoder::new(Vec::new(), Compression::default()),
            hasher: Hasher::new(),
        });
        for folder in folders {
            let mut header = tar_header(tar::EntryType::Directory, 0o755, 0);
            archive.append_data(&mut header, format!("{folder}/"), io::empty())?;
        }
        for (path, (mode, content)) in &self.files {
            let mut header = tar_header(tar::EntryType::Regular, *mode, content.len() as u64);
            archive.append_data(&mut header, path, content.as_ref())?;
        }
        let written = archive.into_inner()?;
        Ok((written.inner.finish()?, written.hasher.finish()))
    }
}

fn tar_header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// A manifest over a config and layers, each with its type.
pub(crate) fn manifest(media_type: &str, config: (&str, &Blob), layers: &[(&str, &Blob)]) -> ManifestFile {
    let descriptor = |(media_type, blob): &(&str, &Blob)| json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.size });
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(&config),
        "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
    });
    let bytes = Bytes::from(document.to_string());
    ManifestFile { media_type: media_type.to_owned(), digest: Digest::of(&bytes), bytes }
}

/// Passes bytes on and hashes them.
pub(crate) struct Hashing<W> {
    pub(crate) inner: W,
    pub(crate) hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Image {
        Builder::new()
            .architecture("amd64")
            .file("/usr/bin/echo-server", 0o755, &b"program"[..])
            .file("/etc/motd", 0o644, &b"hello"[..])
            .entry_point(&["/usr/bin/echo-server"])
            .exposed_ports(&["8080/tcp"])
            .build()
            .unwrap()
    }

    #[test]
    fn the_same_files_give_the_same_image() {
        let (a, b) = (sample(), sample());
        assert_eq!(a.manifest.digest, b.manifest.digest);
    }

    #[test]
    fn the_layer_holds_the_files_in_their_folders() {
        let image = sample();
        let layer = flate2::read::GzDecoder::new(image.blobs[1].reader());
        let mut archive = tar::Archive::new(layer);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        let entries: Vec<(&str, u32)> = entries.iter().map(|(path, mode)| (path.as_str(), *mode)).collect();
        assert_eq!(
            entries,
            [
                ("etc/", 0o755),
                ("usr/", 0o755),
                ("usr/bin/", 0o755),
                ("etc/motd", 0o644),
                ("usr/bin/echo-server", 0o755)
            ]
        );
    }

    #[test]
    fn the_config_names_the_layer_before_compression() {
        let image = sample();
        let config: Value = serde_json::from_reader(image.blobs[0].reader()).unwrap();
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(image.blobs[1].reader()).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], Digest::of(&layer).to_string());
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/echo-server");
        assert!(config["config"]["ExposedPorts"]["8080/tcp"].is_object());
    }
}
