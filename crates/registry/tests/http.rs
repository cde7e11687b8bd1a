//! The distribution API over loopback.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{PASSWORD, Server, catalog, code, header};
use registry::Digest;
use serde_json::json;
use tempfile::TempDir;
use ureq::http::Method;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const UPLOADS: &str = "/v2/team/app/blobs/uploads/";
const ECR: &str = "000000000001.dkr.ecr.ap-northeast-2.amazonaws.com";

fn start() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog());
    (folder, server)
}

fn digest(content: &[u8]) -> String {
    Digest::of(content).to_string()
}

/// Pushes a config and a layer; gives the manifest over them.
fn prepared(server: &Server, repository: &str) -> String {
    for content in [&b"{}"[..], b"layer"] {
        assert_eq!(server.push_blob(repository, content, &digest(content)), 201);
    }
    manifest("")
}

fn manifest(comment: &str) -> String {
    json!({ "schemaVersion": 2, "mediaType": OCI, "annotations": { "comment": comment },
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(b"layer"), "size": 5 }] })
    .to_string()
}

fn uploads_left(folder: &TempDir) -> usize {
    fs::read_dir(folder.path().join("uploads")).unwrap().count()
}

#[test]
fn the_test_catalog_keeps_the_contract() {
    let prepared = registry::suite::Prepared {
        password: PASSWORD,
        repository: "team/app",
        other: "other",
        immutable: "fixed",
    };
    registry::suite::check(&*catalog(), prepared);
}

#[test]
fn strangers_are_asked_who_they_are_and_learn_nothing() {
    let (_folder, server) = start();
    for path in ["/v2/", "/v2/team/app/tags/list", "/v2/no/such/manifests/x", "/v2/_catalog", "/v2/%2e%2e/x"]
    {
        for password in [None, Some("wrong")] {
            let response = server.call(Method::GET, path).password(password).empty();
            assert_eq!(
                (response.status().as_u16(), code(&response).as_str()),
                (401, "UNAUTHORIZED"),
                "{path}"
            );
            let realm = format!("Basic realm=\"http://{}/\",service=\"ecr.amazonaws.com\"", server.address);
            assert_eq!(header(&response, "www-authenticate"), realm);
            assert_eq!(header(&response, "docker-distribution-api-version"), "registry/2.0");
        }
    }
    let inside = server.call(Method::GET, "/v2/").header("Host", ECR).password(None).empty();
    assert_eq!(
        header(&inside, "www-authenticate"),
        format!("Basic realm=\"https://{ECR}/\",service=\"ecr.amazonaws.com\"")
    );
    assert_eq!(server.call(Method::GET, "/v2/").empty().status(), 200);
}

#[test]
fn a_blob_is_pushed_in_pieces_and_read_back_whole_and_in_parts() {
    let (folder, server) = start();
    let content: Vec<u8> = (0..2_000_003_u32).map(|at| (at % 251) as u8).collect();
    let digest = digest(&content);
    let begun = server.call(Method::POST, UPLOADS).empty();
    assert_eq!(begun.status(), 202);
    let location = header(&begun, "location").to_owned();
    let (first, rest) = content.split_at(1_000_000);
    let patched = server.call(Method::PATCH, &location).header("Content-Range", "0-999999").send(first);
    assert_eq!((patched.status().as_u16(), header(&patched, "range")), (202, "0-999999"));
    // A piece that does not follow is refused and changes nothing.
    let wrong = server.call(Method::PATCH, &location).header("Content-Range", "5-6").send(b"xx");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "range")), (416, "0-999999"));
    let status = server.call(Method::GET, &location).empty();
    assert_eq!((status.status().as_u16(), header(&status, "range")), (204, "0-999999"));
    let (second, third) = rest.split_at(1_000_000);
    assert_eq!(server.call(Method::PATCH, &location).send(second).status(), 202);
    let put = server.call(Method::PUT, &format!("{location}?digest={digest}")).send(third);
    assert_eq!((put.status().as_u16(), header(&put, "docker-content-digest")), (201, digest.as_str()));
    assert_eq!(header(&put, "location"), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(uploads_left(&folder), 0);
    // Asked again after a lost answer, it is still done.
    let again = server.call(Method::PUT, &format!("{location}?digest={digest}")).empty();
    assert_eq!(again.status(), 201);

    let path = format!("/v2/team/app/blobs/{digest}");
    let head = server.call(Method::HEAD, &path).empty();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "2000003"));
    assert!(head.body().is_empty());
    assert_eq!(server.call(Method::GET, &path).empty().into_body(), content);
    let part = server.call(Method::GET, &path).header("Range", "bytes=1000000-1999999").empty();
    assert_eq!(
        (part.status().as_u16(), header(&part, "content-range")),
        (206, "bytes 1000000-1999999/2000003")
    );
    assert_eq!(part.body(), second);
    let tail = server.call(Method::GET, &path).header("Range", "bytes=-3").empty();
    assert_eq!(tail.body(), third);
    let beyond = server.call(Method::GET, &path).header("Range", "bytes=2000003-").empty();
    assert_eq!((beyond.status().as_u16(), header(&beyond, "content-range")), (416, "bytes */2000003"));
}

#[test]
fn an_empty_blob_is_a_blob() {
    let (_folder, server) = start();
    assert_eq!(server.push_blob("other", b"", &digest(b"")), 201);
    let got = server.call(Method::GET, &format!("/v2/other/blobs/{}", digest(b""))).empty();
    assert_eq!((got.status().as_u16(), header(&got, "content-length"), got.body().len()), (200, "0", 0));
}

#[test]
fn content_that_is_not_what_its_digest_says_is_refused_and_gone() {
    let (folder, server) = start();
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    let put = server.call(Method::PUT, &format!("{location}?digest={}", digest(b"one"))).send(b"two");
    assert_eq!((put.status().as_u16(), code(&put).as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(server.call(Method::GET, &location).empty().status(), 404);
    assert_eq!(server.push_blob("team/app", b"two", &digest(b"one")), 400);
    assert_eq!(uploads_left(&folder), 0);
    let none = server.call(Method::POST, UPLOADS).empty();
    let missing = server.call(Method::PUT, header(&none, "location")).send(b"x");
    assert_eq!(code(&missing), "DIGEST_INVALID");
    let sha512 = format!("{}?digest=sha512:{}", header(&none, "location"), "0".repeat(128));
    assert_eq!(code(&server.call(Method::PUT, &sha512).send(b"x")), "DIGEST_INVALID");
}

#[test]
fn an_upload_survives_a_restart_of_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog();
    let server = Server::start(folder.path(), &catalog);
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    assert_eq!(server.call(Method::PATCH, &location).send(b"hello ").status(), 202);
    drop(server);
    let server = Server::start(folder.path(), &catalog);
    assert_eq!(header(&server.call(Method::GET, &location).empty(), "range"), "0-5");
    assert_eq!(server.call(Method::PATCH, &location).send(b"world").status(), 202);
    let put = server.call(Method::PUT, &format!("{location}?digest={}", digest(b"hello world"))).empty();
    assert_eq!(put.status(), 201);
}

#[test]
fn an_upload_goes_on_where_its_connection_broke() {
    let (_folder, server) = start();
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let authorization =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("AWS:{PASSWORD}"));
    write!(
        stream,
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n\
         Content-Length: 100\r\n\r\nhello "
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    drop(stream);
    // What was sent before the break is there as soon as the server has seen it.
    let deadline = Instant::now() + Duration::from_secs(10);
    while header(&server.call(Method::GET, &location).empty(), "range") != "0-5" {
        assert!(Instant::now() < deadline, "the bytes sent before the break are lost");
        std::thread::yield_now();
    }
    let put =
        server.call(Method::PUT, &format!("{location}?digest={}", digest(b"hello world"))).send(b"world");
    assert_eq!(put.status(), 201);
}

#[test]
fn an_upload_is_given_up_and_never_known_elsewhere() {
    let (folder, server) = start();
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    let elsewhere = location.replace("team/app", "other");
    let response = server.call(Method::PATCH, &elsewhere).send(b"x");
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    assert_eq!(server.call(Method::DELETE, &location).empty().status(), 204);
    assert_eq!(server.call(Method::GET, &location).empty().status(), 404);
    assert_eq!(
        server.call(Method::PUT, &format!("{location}?digest={}", digest(b"x"))).send(b"x").status(),
        404
    );
    assert_eq!(uploads_left(&folder), 0);
    for uuid in ["..%2F..%2Fblobs", "x", "../../blobs"] {
        let response = server.call(Method::PATCH, &format!("{UPLOADS}{uuid}")).send(b"x");
        assert_eq!(response.status(), 404, "{uuid}");
    }
}

#[test]
fn many_may_push_the_same_blob_at_once() {
    let (folder, server) = start();
    let content = vec![7; 700_000];
    let digest = digest(&content);
    std::thread::scope(|scope| {
        for repository in ["team/app", "other", "fixed"].into_iter().cycle().take(12) {
            let (server, content, digest) = (&server, &content, &digest);
            scope.spawn(move || assert_eq!(server.push_blob(repository, content, digest), 201));
        }
    });
    for repository in ["team/app", "other", "fixed"] {
        let got = server.call(Method::GET, &format!("/v2/{repository}/blobs/{digest}")).empty();
        assert_eq!(got.body(), &content);
    }
    assert_eq!(uploads_left(&folder), 0);
    assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 1);
}

#[test]
fn two_writers_of_one_upload_take_turns() {
    let (_folder, server) = start();
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(server.call(Method::PATCH, &location).send(&[1; 100_000]).status(), 202);
            });
        }
    });
    let whole = digest(&vec![1; 800_000]);
    assert_eq!(server.call(Method::PUT, &format!("{location}?digest={whole}")).empty().status(), 201);
}

#[test]
fn a_blob_shows_only_where_it_was_pushed_or_mounted() {
    let catalog = catalog();
    catalog.token("limited", &["ecr:GetDownloadUrlForLayer team/app"]);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog);
    let digest = digest(b"layer");
    assert_eq!(server.push_blob("team/app", b"layer", &digest), 201);
    let elsewhere = server.call(Method::GET, &format!("/v2/other/blobs/{digest}")).empty();
    assert_eq!((elsewhere.status().as_u16(), code(&elsewhere).as_str()), (404, "BLOB_UNKNOWN"));
    let mount = format!("/v2/other/blobs/uploads/?mount={digest}&from=team/app");
    // Who may not read it there has to upload it.
    assert_eq!(server.call(Method::POST, &mount).password(Some("limited")).empty().status(), 202);
    assert_eq!(server.call(Method::GET, &format!("/v2/other/blobs/{digest}")).empty().status(), 404);
    assert_eq!(server.call(Method::POST, &mount.replace("team/app", "no/such")).empty().status(), 202);
    assert_eq!(server.call(Method::POST, &mount).empty().status(), 201);
    assert_eq!(server.call(Method::GET, &format!("/v2/other/blobs/{digest}")).empty().body(), b"layer");
    assert_eq!(server.call(Method::DELETE, &format!("/v2/other/blobs/{digest}")).empty().status(), 202);
    assert_eq!(server.call(Method::DELETE, &format!("/v2/other/blobs/{digest}")).empty().status(), 404);
    assert_eq!(server.call(Method::GET, &format!("/v2/team/app/blobs/{digest}")).empty().status(), 200);
}

#[test]
fn a_manifest_is_found_by_tag_and_digest_and_deleted() {
    let (_folder, server) = start();
    let manifest = prepared(&server, "team/app");
    let digest = digest(manifest.as_bytes());
    let put = server.call(Method::PUT, "/v2/team/app/manifests/v1").header("Content-Type", OCI);
    let put = put.send(manifest.as_bytes());
    assert_eq!((put.status().as_u16(), header(&put, "docker-content-digest")), (201, digest.as_str()));
    for reference in ["v1", &digest] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let got = server.call(Method::GET, &path).empty();
        assert_eq!((got.status().as_u16(), header(&got, "content-type")), (200, OCI));
        assert_eq!(got.body(), manifest.as_bytes());
        let head = server.call(Method::HEAD, &path).empty();
        assert_eq!(header(&head, "content-length"), manifest.len().to_string());
        assert_eq!(header(&head, "docker-content-digest"), digest);
    }
    let layer = server.call(Method::DELETE, &format!("/v2/team/app/blobs/{}", layer_digest())).empty();
    assert_eq!((layer.status().as_u16(), code(&layer).as_str()), (409, "DENIED"));
    assert_eq!(server.call(Method::DELETE, "/v2/team/app/manifests/v1").empty().status(), 202);
    let gone = server.call(Method::GET, "/v2/team/app/manifests/v1").empty();
    assert_eq!((gone.status().as_u16(), code(&gone).as_str()), (404, "MANIFEST_UNKNOWN"));
    let path = format!("/v2/team/app/manifests/{digest}");
    assert_eq!(server.call(Method::GET, &path).empty().status(), 200);
    assert_eq!(server.call(Method::DELETE, &path).empty().status(), 202);
    assert_eq!(server.call(Method::HEAD, &path).empty().status(), 404);
}

fn layer_digest() -> String {
    digest(b"layer")
}

#[test]
fn manifests_that_cannot_be_are_refused() {
    let (_folder, server) = start();
    let put = |reference: &str, body: &[u8]| {
        let call = server.call(Method::PUT, &format!("/v2/team/app/manifests/{reference}"));
        let response = call.header("Content-Type", OCI).send(body);
        (response.status().as_u16(), code(&response))
    };
    let document = manifest("");
    assert_eq!(put("v1", document.as_bytes()), (400, "MANIFEST_BLOB_UNKNOWN".into()));
    prepared(&server, "team/app");
    assert_eq!(put("v1", b"{"), (400, "MANIFEST_INVALID".into()));
    assert_eq!(put(&digest(b"x"), document.as_bytes()), (400, "DIGEST_INVALID".into()));
    assert_eq!(put(".v1", document.as_bytes()), (400, "TAG_INVALID".into()));
    let huge = manifest(&"x".repeat(4 << 20));
    assert_eq!(put("v1", huge.as_bytes()), (413, "SIZE_INVALID".into()));
    let largest = manifest(&"x".repeat((4 << 20) - document.len()));
    assert_eq!(largest.len(), 4 << 20);
    assert_eq!(put("v1", largest.as_bytes()).0, 201);
}

#[test]
fn an_immutable_tag_stays() {
    let (_folder, server) = start();
    let first = prepared(&server, "fixed");
    let put = |body: &str| {
        let call = server.call(Method::PUT, "/v2/fixed/manifests/v1").header("Content-Type", OCI);
        let response = call.send(body.as_bytes());
        (response.status().as_u16(), code(&response))
    };
    assert_eq!(put(&first).0, 201);
    assert_eq!(put(&first).0, 201);
    assert_eq!(put(&manifest("another")), (400, "TAG_INVALID".into()));
}

#[test]
fn tags_come_in_pages() {
    let (_folder, server) = start();
    let manifest = prepared(&server, "team/app");
    for tag in ["b", "c", "a"] {
        let call = server.call(Method::PUT, &format!("/v2/team/app/manifests/{tag}"));
        assert_eq!(call.header("Content-Type", OCI).send(manifest.as_bytes()).status(), 201);
    }
    let list = |path: &str| {
        let response = server.call(Method::GET, path).empty();
        let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        (document["tags"].clone(), header(&response, "link").to_owned())
    };
    assert_eq!(list("/v2/team/app/tags/list"), (json!(["a", "b", "c"]), String::new()));
    let (tags, link) = list("/v2/team/app/tags/list?n=2");
    assert_eq!(tags, json!(["a", "b"]));
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    assert_eq!(list(next), (json!(["c"]), String::new()));
    let wrong = server.call(Method::GET, "/v2/team/app/tags/list?n=x").empty();
    assert_eq!(code(&wrong), "PAGINATION_NUMBER_INVALID");
}

#[test]
fn what_does_not_exist_or_is_not_allowed_is_said_in_ecr_s_words() {
    let catalog = catalog();
    catalog.token("limited", &["ecr:PutImage team/app"]);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog);
    let unknown = server.call(Method::POST, "/v2/no/such/blobs/uploads/").empty();
    assert_eq!(unknown.status(), 404);
    assert_eq!(
        String::from_utf8(unknown.into_body()).unwrap(),
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'no/such' does not exist in the registry with id '000000000001'"}]}"#
    );
    let call = server.call(Method::PUT, "/v2/team/app/manifests/v1").password(Some("limited"));
    let denied = call.send(b"{}");
    assert_eq!((denied.status().as_u16(), code(&denied).as_str()), (403, "DENIED"));
    let method = server.call(Method::PUT, "/v2/team/app/tags/list").send(b"");
    assert_eq!((method.status().as_u16(), code(&method).as_str()), (405, "UNSUPPORTED"));
    for path in
        ["/v2/../../etc/passwd", "/v2/Upper/tags/list", "/v2/a1/blobs/sha256:..", "/v2/a1/manifests/.."]
    {
        let response = server.call(Method::GET, path).empty();
        assert!(response.status().is_client_error(), "{path}: {}", response.status());
    }
    let referrers = server.call(Method::GET, &format!("/v2/team/app/referrers/{}", digest(b"x"))).empty();
    assert_eq!(referrers.status(), 404);
}

#[test]
fn inside_a_vpc_layers_come_from_the_layer_bucket() {
    let (folder, server) = start();
    let digest = digest(b"layer");
    assert_eq!(server.push_blob("team/app", b"layer", &digest), 201);
    let path = format!("/v2/team/app/blobs/{digest}");
    let other = ECR.replace("000000000001", "000000000002");
    for host in [other.as_str(), "000000000001.dkr.ecr.us-east-1.amazonaws.com", "x.dkr.ecr.y.amazonaws.com"]
    {
        let response = server.call(Method::GET, &path).header("Host", host).empty();
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (403, "DENIED"), "{host}");
    }
    assert_eq!(server.call(Method::HEAD, &path).header("Host", ECR).empty().status(), 200);
    let redirect = server.call(Method::GET, &path).header("Host", ECR).empty();
    assert_eq!(redirect.status(), 307);
    let bucket = "prod-ap-northeast-2-starport-layer-bucket.s3.ap-northeast-2.amazonaws.com";
    let signed = header(&redirect, "location").strip_prefix(&format!("https://{bucket}")).unwrap().to_owned();
    let get = |method, path: &str| server.call(method, path).header("Host", bucket).password(None);
    assert_eq!(get(Method::GET, &signed).empty().body(), b"layer");
    assert_eq!(get(Method::HEAD, &signed).empty().status(), 200);
    let part = get(Method::GET, &signed).header("Range", "bytes=1-2").empty();
    assert_eq!((part.status().as_u16(), part.body().as_slice()), (206, &b"ay"[..]));
    let unsigned = get(Method::GET, signed.split('?').next().unwrap()).empty();
    assert_eq!(unsigned.status(), 403);
    assert!(String::from_utf8_lossy(unsigned.body()).contains("<Code>AccessDenied</Code>"));
    let forged = get(Method::GET, &signed.replace("Expires=", "Expires=9")).empty();
    assert!(String::from_utf8_lossy(forged.body()).contains("<Code>SignatureDoesNotMatch</Code>"));
    assert_eq!(get(Method::PUT, &signed).send(b"x").status(), 405);
    fs::remove_file(folder.path().join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap();
    let gone = get(Method::GET, &signed).empty();
    assert!(String::from_utf8_lossy(gone.body()).contains("<Code>NoSuchKey</Code>"));
    // Lost on disk, it is told as unknown, so that a client pushes it again.
    assert_eq!(server.call(Method::HEAD, &path).empty().status(), 404);
    assert_eq!(server.push_blob("team/app", b"layer", &digest), 201);
    assert_eq!(server.call(Method::HEAD, &path).empty().status(), 200);
}

#[test]
fn a_vpc_endpoint_that_does_not_let_a_layer_by_is_answered_as_by_s3() {
    let catalog = catalog();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &catalog);
    let digest = digest(b"layer");
    assert_eq!(server.push_blob("team/app", b"layer", &digest), 201);
    let redirect =
        server.call(Method::GET, &format!("/v2/team/app/blobs/{digest}")).header("Host", ECR).empty();
    let bucket = "prod-ap-northeast-2-starport-layer-bucket";
    let host = format!("{bucket}.s3.ap-northeast-2.amazonaws.com");
    let signed = header(&redirect, "location").strip_prefix(&format!("https://{host}")).unwrap().to_owned();
    catalog.let_by("vpce-1", &format!("arn:aws:s3:::{bucket}/{}", digest.replace(':', "/")));
    let get = |through: &str| {
        let call = server.call(Method::GET, &signed).header("Host", &host).password(None);
        call.header(common::THROUGH, through).empty()
    };
    assert_eq!(get("vpce-1").body(), b"layer");
    let refused = get("vpce-2");
    assert_eq!(refused.status(), 403);
    let text = String::from_utf8_lossy(refused.body()).into_owned();
    assert!(text.contains("<Code>AccessDenied</Code><Message>Access Denied</Message>"), "{text}");
}

#[test]
fn stale_uploads_are_swept_and_live_ones_stay() {
    let (folder, server) = start();
    let location = header(&server.call(Method::POST, UPLOADS).empty(), "location").to_owned();
    assert_eq!(server.call(Method::PATCH, &location).send(b"x").status(), 202);
    assert_eq!(server.registry.sweep_uploads(registry::UPLOAD_LIFE).unwrap(), 0);
    assert_eq!(server.registry.sweep_uploads(Duration::ZERO).unwrap(), 1);
    assert_eq!(server.call(Method::GET, &location).empty().status(), 404);
    assert_eq!(uploads_left(&folder), 0);
}

/// Runs on a thread with mounts of its own, so that nothing is mounted for anybody else.
#[test]
fn a_full_disk_is_said_and_leaves_nothing_half() {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    // Made and removed outside, where it is an ordinary empty folder.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let test = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("this test needs root: it mounts a small file system");
        let (none, all) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, all, none).unwrap();
        mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
        let server = Server::start(&root, &Arc::clone(&catalog()));
        let large = vec![5; 3 << 20];
        let response =
            server.call(Method::POST, &format!("{UPLOADS}?digest={}", digest(&large))).send(&large);
        assert_eq!(response.status(), 507);
        assert!(String::from_utf8_lossy(response.body()).contains("is full"), "{response:?}");
        assert_eq!(fs::read_dir(root.join("uploads")).unwrap().count(), 0);
        assert_eq!(server.push_blob("team/app", b"small", &digest(b"small")), 201);
        drop(server);
        nix::mount::umount(&root).unwrap();
    });
    test.join().unwrap();
}
