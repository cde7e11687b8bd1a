//! Archives as docker of several ages writes them, whole and damaged.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use registry::Digest;
use registry::import::{ImportError, open};
use serde_json::{Value, json};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

enum Entry {
    File(String, Vec<u8>),
    Link(String, String),
}

fn file(name: &str, content: impl Into<Vec<u8>>) -> Entry {
    Entry::File(name.to_owned(), content.into())
}

fn blob(content: &[u8]) -> Entry {
    file(&format!("blobs/sha256/{}", Digest::of(content).hex()), content)
}

fn archive(folder: &Path, entries: &[Entry]) -> PathBuf {
    let path = folder.join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match entry {
            Entry::File(name, content) => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, name, &content[..]).unwrap();
            }
            Entry::Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    archive.into_inner().unwrap();
    path
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids } }).to_string().into_bytes()
}

fn saved(tag: &str, config: &str, layers: &[&str]) -> Value {
    json!({ "Config": config, "RepoTags": [tag], "Layers": layers })
}

/// What docker wrote before version 25: a layer that repeats is a link.
fn legacy(folder: &Path, second: &[u8]) -> PathBuf {
    let list = json!([saved("app:latest", "c.json", &["a/layer.tar", "b/layer.tar", "c/layer.tar"])]);
    archive(
        folder,
        &[
            file("a/layer.tar", "first"),
            file("./b/layer.tar", second),
            Entry::Link("c/layer.tar".into(), "../a/layer.tar".into()),
            file("c.json", config(&[b"first", b"second", b"first"])),
            file("manifest.json", list.to_string()),
        ],
    )
}

#[test]
fn an_old_docker_s_archive_is_read_with_its_links() {
    let folder = tempfile::tempdir().unwrap();
    let image = open(&legacy(folder.path(), b"second"), None).unwrap();
    assert_eq!((image.manifest.media_type.as_str(), image.blobs.len()), (DOCKER, 3));
    let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[0], layers[2]);
    let mut content = String::new();
    let mut layer = flate2::read::GzDecoder::new(image.blobs[1].reader());
    std::io::Read::read_to_string(&mut layer, &mut content).unwrap();
    assert_eq!(content, "first");
}

#[test]
fn an_archive_may_be_compressed_and_gives_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = legacy(folder.path(), b"second");
    let plain = open(&path, None).unwrap().manifest.digest;
    let compressed = folder.path().join("image.tar.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&compressed).unwrap(), flate2::Compression::fast());
    encoder.write_all(&fs::read(&path).unwrap()).unwrap();
    encoder.finish().unwrap();
    assert_eq!(open(&compressed, None).unwrap().manifest.digest, plain);
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&legacy(folder.path(), b"forged"), None).unwrap_err();
    assert!(matches!(error, ImportError::Damaged { ref name, .. } if name == "b/layer.tar"), "{error}");
}

/// What docker writes since version 25; with containerd's image store the index also names what is not in the archive.
#[test]
fn a_new_docker_s_archive_is_read_although_other_platforms_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (layer, config) = (b"layer", config(&[b"layer"]));
    let path = |content: &[u8]| format!("blobs/sha256/{}", Digest::of(content).hex());
    let oci = "application/vnd.oci.image.index.v1+json";
    let platforms = json!({ "schemaVersion": 2, "mediaType": oci, "manifests": [
        { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b"elsewhere"), "size": 9 },
    ] })
    .to_string();
    let index = json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": oci, "digest": Digest::of(platforms.as_bytes()), "size": platforms.len() },
    ] });
    let list = json!([saved("app:latest", &path(&config), &[&path(layer)])]);
    let archive = archive(
        folder.path(),
        &[
            blob(layer),
            blob(&config),
            blob(platforms.as_bytes()),
            file("index.json", index.to_string()),
            file("manifest.json", list.to_string()),
        ],
    );
    assert_eq!(open(&archive, None).unwrap().blobs.len(), 2);
}

#[test]
fn one_of_several_images_has_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let list = json!([saved("a:1", "a.json", &["l"]), saved("b:1", "b.json", &["l"])]);
    let (one, other) = (config(&[b"layer"]), json!({ "rootfs": { "diff_ids": [Digest::of(b"layer")] } }));
    let archive = archive(
        folder.path(),
        &[
            file("a.json", one.clone()),
            file("b.json", other.to_string()),
            file("l", "layer"),
            file("manifest.json", list.to_string()),
        ],
    );
    for name in [None, Some("c:1")] {
        let error = open(&archive, name).unwrap_err();
        assert_eq!(error.to_string(), "name one of the images in the file: a:1, b:1");
    }
    assert_eq!(open(&archive, Some("a:1")).unwrap().blobs[0].digest, Digest::of(&one));
}

#[test]
fn a_damaged_or_incomplete_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let descriptor = |content: &[u8]| json!({ "digest": Digest::of(content), "size": content.len() });
    let manifest =
        json!({ "schemaVersion": 2, "config": descriptor(b"{}"), "layers": [descriptor(b"layer")] });
    let manifest = manifest.to_string();
    let write = |of: &[u8], content: &[u8]| fs::write(blobs.join(Digest::of(of).hex()), content).unwrap();
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(manifest.as_bytes())] });
    fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    write(manifest.as_bytes(), manifest.as_bytes());
    write(b"{}", b"{}");
    let error = open(folder.path(), None).unwrap_err();
    assert!(matches!(error, ImportError::Missing(_)), "{error}");
    write(b"layer", b"lawer");
    let error = open(folder.path(), None).unwrap_err();
    assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
    write(b"layer", b"longer layer");
    let error = open(folder.path(), None).unwrap_err();
    assert!(matches!(error, ImportError::Size { expected: 5, found: 12, .. }), "{error}");
    write(b"layer", b"layer");
    assert_eq!(open(folder.path(), None).unwrap().blobs.len(), 2);
    write(manifest.as_bytes(), b"{}");
    assert!(matches!(open(folder.path(), None), Err(ImportError::Damaged { .. })));
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    for (content, what) in [(&b""[..], "empty"), (b"hello", "short"), (&[7; 4096], "long")] {
        fs::write(&empty, content).unwrap();
        let error = open(&empty, None).unwrap_err();
        assert!(matches!(error, ImportError::NoImage { .. }), "{what}: {error}");
    }
    assert!(matches!(open(folder.path(), None), Err(ImportError::NoImage { .. })));
    let nowhere = folder.path().join("nowhere");
    assert!(matches!(open(&nowhere, None), Err(ImportError::Read { .. })));
    // Names in an archive are looked up in the archive only.
    let list = json!([saved("a:1", "/etc/hostname", &[])]);
    let archive = archive(folder.path(), &[file("manifest.json", list.to_string())]);
    assert!(matches!(open(&archive, None), Err(ImportError::Missing(_))));
}
