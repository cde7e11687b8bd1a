//! Real clients against the registry, and what they write against the importer.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{PASSWORD, Server, catalog};
use registry::image::{Builder, Image};
use registry::push::{Progress, PushError, Target, push};
use registry::{Digest, import};
use serde_json::json;

/// Runs a tool of Debian's, with everything that it writes below `home`.
fn run(home: &Path, package: &str, words: &[&str]) -> String {
    #[allow(clippy::disallowed_methods, reason = "these tests are about other programs")]
    let mut command = Command::new(package);
    for variable in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"] {
        command.env(variable, home);
    }
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable);
    }
    let output = match command.args(words).output() {
        Ok(output) => output,
        Err(error) => panic!("{package} cannot be run ({error}); install it: apt-get install -y {package}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{package} {words:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn sample(architecture: &str) -> Image {
    Builder::new()
        .architecture(architecture)
        .file("/app/server", 0o755, architecture.as_bytes().to_vec())
        .file("/app/data", 0o644, vec![3; 300_000])
        .entry_point(&["/app/server"])
        .exposed_ports(&["80/tcp"])
        .build()
        .unwrap()
}

/// Writes an OCI layout with an index over two platforms; gives the index's digest.
fn write_layout(folder: &Path) -> Digest {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let image = sample(architecture);
        for blob in &image.blobs {
            let mut file = fs::File::create(blobs.join(blob.digest.hex())).unwrap();
            std::io::copy(&mut blob.reader(), &mut file).unwrap();
        }
        fs::write(blobs.join(image.manifest.digest.hex()), &image.manifest.bytes).unwrap();
        manifests.push(json!({ "mediaType": image.manifest.media_type, "digest": image.manifest.digest,
            "size": image.manifest.bytes.len(), "platform": { "os": "linux", "architecture": architecture } }));
    }
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": manifests }).to_string();
    let digest = Digest::of(index.as_bytes());
    fs::write(blobs.join(digest.hex()), &index).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let root = json!({ "schemaVersion": 2, "manifests": [{ "mediaType": index_type, "digest": digest,
        "size": index.len(), "annotations": { "org.opencontainers.image.ref.name": "latest" } }] });
    fs::write(folder.join("index.json"), root.to_string()).unwrap();
    digest
}

fn credentials() -> String {
    format!("AWS:{PASSWORD}")
}

fn push_image(server: &Server, image: &Image, tag: &str) -> Digest {
    let registry = server.address.to_string();
    let target = Target { registry: &registry, repository: "team/app", tag: Some(tag), password: PASSWORD };
    push(image, &target, &mut |_| {}).unwrap()
}

#[test]
fn skopeo_pushes_and_pulls_an_image_for_two_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("registry"), &catalog());
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let digest = write_layout(&from);
    let remote = format!("docker://{}/team/app:multi", server.address);
    let from = format!("oci:{}:latest", from.display());
    let copy = ["--insecure-policy", "copy", "--all", "--preserve-digests"];
    let pushed = ["--dest-tls-verify=false", "--dest-creds", &credentials(), &from, &remote];
    run(folder.path(), "skopeo", &[&copy[..], &pushed].concat());
    let local = format!("oci:{}:latest", to.display());
    let pulled = ["--src-tls-verify=false", "--src-creds", &credentials(), &remote, &local];
    run(folder.path(), "skopeo", &[&copy[..], &pulled].concat());
    let image = import::open(&to, Some("latest")).unwrap();
    assert_eq!((image.manifest.digest, image.parts.len(), image.blobs.len()), (digest, 2, 4));

    let tls = ["--tls-verify=false", "--creds", &credentials()];
    let inspected = run(folder.path(), "skopeo", &[&["inspect"][..], &tls, &[&remote]].concat());
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], digest.to_string());
    assert_eq!(inspected["RepoTags"], json!(["multi"]));
    // A second push to another repository mounts or sends; either way the image is whole there.
    let other = format!("docker://{}/other:multi", server.address);
    let both = ["--src-tls-verify=false", "--src-creds", &credentials()];
    let pushed = ["--dest-tls-verify=false", "--dest-creds", &credentials(), &remote, &other];
    run(folder.path(), "skopeo", &[&copy[..], &both, &pushed].concat());
    run(folder.path(), "skopeo", &[&["delete"][..], &tls, &[&remote]].concat());
    run(folder.path(), "skopeo", &[&["inspect"][..], &tls, &[&other]].concat());
}

#[test]
fn buildah_builds_pushes_and_pulls() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("registry"), &catalog());
    let (root, runroot) = (folder.path().join("root"), folder.path().join("run"));
    let store =
        ["--storage-driver", "vfs", "--root", root.to_str().unwrap(), "--runroot", runroot.to_str().unwrap()];
    let buildah = |words: &[&str]| run(folder.path(), "buildah", &[&store[..], words].concat());
    let policy = folder.path().join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let content = folder.path().join("hello");
    fs::write(&content, "hello").unwrap();
    let container = buildah(&["from", "scratch"]);
    let container = container.trim();
    buildah(&["copy", container, content.to_str().unwrap(), "/hello"]);
    buildah(&["config", "--entrypoint", "[\"/hello\"]", container]);
    buildah(&["commit", "--signature-policy", policy.to_str().unwrap(), container, "sample"]);
    let remote = format!("docker://{}/team/app:built", server.address);
    let signed = ["--signature-policy", policy.to_str().unwrap()];
    let tls = ["--tls-verify=false", "--creds", &credentials()];
    buildah(&[&["push"][..], &signed, &tls, &["--format", "v2s2", "sample", &remote]].concat());
    buildah(&["rm", container]);
    buildah(&["rmi", "sample"]);
    buildah(&[&["pull"][..], &signed, &tls, &[&remote]].concat());
}

#[test]
fn archives_that_skopeo_writes_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("registry"), &catalog());
    let image = sample("amd64");
    let digest = push_image(&server, &image, "one");
    let remote = format!("docker://{}/team/app:one", server.address);
    let tls = ["--src-tls-verify=false", "--src-creds", &credentials()];
    for (kind, file) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        let path = folder.path().join(file);
        let local = format!("{kind}:{}:app:one", path.display());
        let words = [&["--insecure-policy", "copy"][..], &tls, &[&remote, &local]].concat();
        run(folder.path(), "skopeo", &words);
        let imported = import::open(&path, None).unwrap();
        if kind == "oci-archive" {
            assert_eq!(imported.manifest.digest, digest);
        }
        // Compressed anew, the layer's content is the same: its digest stands in the same config.
        assert_eq!(imported.blobs.len(), 2);
        push_image(&server, &imported, kind);
        let again = format!("docker://{}/team/app:{kind}", server.address);
        let inspect = ["inspect", "--config", "--tls-verify=false", "--creds", &credentials(), &again];
        let config: serde_json::Value =
            serde_json::from_str(&run(folder.path(), "skopeo", &inspect)).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/app/server"]));
        let check = format!("dir:{}", folder.path().join(format!("{kind}-dir")).display());
        run(folder.path(), "skopeo", &[&["--insecure-policy", "copy"][..], &tls, &[&again, &check]].concat());
    }
}

#[test]
fn our_push_sends_each_blob_once_and_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog());
    let registry = server.address.to_string();
    let target = Target { registry: &registry, repository: "team/app", tag: Some("v1"), password: PASSWORD };
    let image = sample("amd64");
    let mut sent = Vec::new();
    push(&image, &target, &mut |progress| sent.push(progress)).unwrap();
    let layer = &image.blobs[1];
    let (digest, total) = (layer.digest, layer.size);
    assert!(sent.contains(&Progress::Sent { digest, sent: total, total }), "{sent:?}");
    let mut again = Vec::new();
    push(&image, &target, &mut |progress| again.push(progress)).unwrap();
    let manifest = Progress::Manifest { digest: image.manifest.digest };
    let exists = |at: usize| Progress::Exists { digest: image.blobs[at].digest };
    assert_eq!(again, [exists(0), exists(1), manifest]);
    let wrong = Target { repository: "no/such", ..target };
    let refused = push(&image, &wrong, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, PushError::Refused { ref code, .. } if code == "NAME_UNKNOWN"), "{refused}");
    let wrong = Target { password: "wrong", ..target };
    let refused = push(&image, &wrong, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, PushError::Refused { status: 401, .. }), "{refused}");
}
