//! Images made by the tests: the app as a static program, in layers.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use ring::digest::{SHA256, digest};
use tar::{Builder, EntryType, Header};

pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The app's binary, compiled once.
pub fn app() -> &'static [u8] {
    static APP: OnceLock<Vec<u8>> = OnceLock::new();
    APP.get_or_init(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/containers/support/app.rs");
        let name = sha256(&std::fs::read(&source).unwrap());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let binary = folder.join(format!("app-{}", &name["sha256:".len()..][..16]));
        if !binary.exists() {
            let own = binary.with_extension(std::process::id().to_string());
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            #[allow(clippy::disallowed_methods, reason = "a test compiles the program of its images")]
            let status = Command::new(rustc)
                .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols"])
                .args(["-C", "panic=abort", "--crate-name", "app", "-o"])
                .args([&own, &source])
                .status()
                .unwrap();
            assert!(status.success(), "the app does not compile");
            std::fs::rename(&own, &binary).unwrap();
        }
        std::fs::read(&binary).unwrap()
    })
}

/// A file, a folder (path with a slash at its end) or a link (`-> target` as content) of a layer.
pub fn layer(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, content, mode) in entries {
        let mut header = Header::new_gnu();
        header.set_mode(*mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        if path.ends_with('/') {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, path, std::io::empty()).unwrap();
        } else if let Some(target) = content.strip_prefix(b"-> ") {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path, std::str::from_utf8(target).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, *content).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image of these layers (tar streams, the lowest first): its blobs, and its manifest.
pub struct Image {
    pub blobs: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

pub fn image(config: &serde_json::Value, layers: &[Vec<u8>]) -> Image {
    let diff_ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = serde_json::to_vec(&config).unwrap();
    let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
    let describe = |kind: &str, bytes: &[u8]| serde_json::json!({ "mediaType": kind, "digest": sha256(bytes), "size": bytes.len() });
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": describe("application/vnd.oci.image.config.v1+json", &config),
        "layers": packed
            .iter()
            .map(|layer| describe("application/vnd.oci.image.layer.v1.tar+gzip", layer))
            .collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let blobs = packed.into_iter().chain([config]).collect();
    Image { blobs, manifest }
}

/// The image that most tests run: the app at `/app`, with two users.
pub fn standard() -> Image {
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n";
    let base = layer(&[
        ("app", app(), 0o755),
        ("etc/", b"", 0o755),
        ("etc/passwd", passwd, 0o644),
        ("etc/group", b"root:x:0:\nnode:x:1001:\n", 0o644),
        ("etc/old", b"old", 0o644),
        ("etc/broken", b"this is no program", 0o755),
        ("tmp/", b"", 0o1777),
    ]);
    let top = layer(&[("etc/.wh.old", b"", 0o644), ("etc/new", b"new\n", 0o644)]);
    image(&serde_json::json!({ "Entrypoint": ["/app"], "Env": ["FROM=image"] }), &[base, top])
}
