//! Images, over the task's own network and as its execution role.

use std::time::{Duration, Instant};

use desired::{Container, ImageReference, PullIdentity, Task, TaskPhase, TaskStatus};

use crate::support::image::{app, gzip, image, layer, sha256, standard};
use crate::support::registry::{API, BUCKET, REGISTRY};
use crate::support::{Running, World, container, only};

/// Runs a task that cannot be pulled; its error, which is the container's reason too.
#[track_caller]
fn fails(world: &World, task: Task) -> String {
    let mut task = world.run(task);
    let status = task.wait_end();
    let error = status.error.unwrap_or_else(|| panic!("it ran; log: {}", task.log()));
    assert_eq!((status.started_at, status.pull_stopped_at), (None, None));
    let told = status.containers.values().filter(|container| container.reason.as_ref() == Some(&error));
    assert_eq!(told.count(), 1);
    error
}

fn one(world: &World) -> Task {
    world.task(vec![container("app", &["exit", "0"])])
}

fn of(image: ImageReference) -> Vec<Container> {
    vec![Container { image, ..container("app", &["exit", "0"]) }]
}

#[test]
fn every_start_asks_for_all_and_fetches_bodies_once() {
    let world = World::new();
    world.finish(&["exit", "0"]);
    let image = standard();
    let blobs: Vec<String> = [2, 0, 1].map(|index: usize| sha256(&image.blobs[index])).to_vec();
    let mut want = vec![
        format!("POST {API}/"),
        format!("HEAD {REGISTRY}/v2/app/manifests/1"),
        format!("GET {REGISTRY}/v2/app/manifests/{}", sha256(&image.manifest)),
    ];
    for digest in &blobs {
        want.extend([format!("GET {REGISTRY}/v2/app/blobs/{digest}"), format!("GET {BUCKET}/{digest}")]);
    }
    let probed = || std::mem::take(&mut world.registry.content.lock().unwrap().probed);
    assert_eq!((world.registry.asked(), probed()), (want.clone(), vec![]));
    let (status, _) = world.finish(&["exit", "0"]);
    assert_eq!((world.registry.asked(), probed()), (want, blobs), "the same way, for a byte each");
    assert_eq!(only(&status).image_digest, Some(sha256(&image.manifest)));
}

#[test]
fn layers_lie_on_each_other_with_their_whiteouts() {
    let world = World::new();
    let (_, output) = world.finish(&["show", "/etc/old", "/etc/new"]);
    assert_eq!(output, "/etc/old: No such file or directory (os error 2)\nnew\n");
}

#[test]
fn an_image_may_hold_a_layer_twice() {
    let world = World::new();
    let app = layer(&[("app", app(), 0o755), ("file", b"first\n", 0o644)]);
    let other = layer(&[("file", b"second\n", 0o644), ("other", b"other\n", 0o644)]);
    let config = serde_json::json!({ "Entrypoint": ["/app"] });
    world.registry.add("app", "1", &image(&config, &[app.clone(), other, app]));
    let (status, output) = world.finish(&["show", "/file", "/other"]);
    assert_eq!(output, "first\nother\n", "{status:?}");
}

#[test]
fn a_role_that_may_not_is_told_which_action() {
    let world = World::new();
    for action in ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] {
        world.registry.content.lock().unwrap().denied = [action.to_owned()].into();
        let error = fails(&world, one(&world));
        assert!(error.starts_with("CannotPullContainerError: "), "{error}");
        assert!(error.contains(&format!("is not authorized to perform: {action}")), "{error}");
    }
    let role_arn = None;
    let task = one(&world);
    let error = fails(&world, Task { pull: PullIdentity { role_arn, ..task.pull.clone() }, ..task });
    assert!(error.starts_with("CannotPullContainerError: ") && error.contains("executionRoleArn"), "{error}");
}

#[test]
fn an_image_that_is_not_there_is_not_found() {
    let world = World::new();
    let name = ImageReference { reference: "9".to_owned(), ..container("app", &[]).image };
    let error = fails(&world, world.task(of(name.clone())));
    assert!(
        error.starts_with("CannotPullContainerError: pull image manifest has been retried 7 time(s): "),
        "{error}"
    );
    assert!(error.ends_with(&format!("{REGISTRY}/app:9: not found")), "{error}");
    let elsewhere = ImageReference { image: "nginx".to_owned(), registry: None, ..name };
    let error = fails(&world, world.task(of(elsewhere)));
    assert!(
        error.starts_with("CannotPullContainerError: ") && error.contains("failed to resolve ref nginx"),
        "{error}"
    );
    assert!(error.contains("`landfall image import"), "{error}");
}

/// Loses the packets to one host before or after the image has come on disk; what the task says that is started then,
/// and that it gives up in time.
#[track_caller]
fn lost(host: &str, on_disk: bool) -> String {
    let world = World::blackhole(if on_disk { &[] } else { std::slice::from_ref(&host) });
    if on_disk {
        world.finish(&["exit", "0"]);
        world.lose(&[host]);
    }
    let started = Instant::now();
    let error = fails(&world, one(&world));
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&started.elapsed()));
    error
}

#[test]
fn packets_to_the_api_that_get_lost_fail_the_task_in_fargate_s_words() {
    assert_eq!(
        lost(API, false),
        format!(
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth \
             from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network \
             configuration. operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https \
             response error StatusCode: 0, RequestID: , request send failed, Post \"https://{API}/\": dial tcp \
             198.19.0.10:443: i/o timeout"
        )
    );
}

#[test]
fn packets_to_the_registry_that_get_lost_do_too() {
    assert_eq!(
        lost(REGISTRY, false),
        format!(
            "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref \
             {REGISTRY}/app:1: failed to do request: Head \"https://{REGISTRY}/v2/app/manifests/1\": dial tcp \
             198.19.0.10:443: i/o timeout"
        )
    );
}

#[test]
fn packets_to_the_layers_bucket_that_get_lost_do_too_whether_the_layers_are_on_disk_or_not() {
    for on_disk in [false, true] {
        assert_eq!(
            lost(BUCKET, on_disk),
            format!(
                "CannotPullContainerError: The task cannot pull {REGISTRY}/app:1 from the registry {REGISTRY}/app:1. \
                 There is a connection issue between the task and the registry. Check your task network \
                 configuration. : failed to copy: httpReadSeeker: failed open: failed to do request: Get \
                 {REGISTRY}/app:1: dial tcp 198.19.0.10:443: i/o timeout"
            )
        );
    }
}

#[test]
fn a_name_that_the_vpc_does_not_know_is_told() {
    let world = World::new();
    let task = one(&world);
    let region = "eu-north-1".to_owned();
    let error = fails(&world, Task { pull: PullIdentity { region, ..task.pull.clone() }, ..task });
    let host = "api.ecr.eu-north-1.amazonaws.com";
    assert!(
        error.ends_with(&format!("dial tcp: lookup {host} on 169.254.169.253:53: no such host")),
        "{error}"
    );
}

#[test]
fn a_vpc_without_a_dns_server_is_told() {
    let world = World::new();
    world.registry.content.lock().unwrap().no_dns = true;
    let error = fails(&world, one(&world));
    let asked = format!("dial tcp: lookup {API} on 169.254.169.253:53: read udp 169.254.169.253:");
    assert!(error.contains(&asked) && error.ends_with("->169.254.169.253:53: i/o timeout"), "{error}");
}

#[test]
fn a_task_that_is_stopped_while_it_pulls_ends_at_once() {
    let world = World::blackhole(&[API]);
    let mut task = world.run(one(&world));
    task.wait("pulling", |status| status.phase == TaskPhase::Pulling && status.pull_started_at.is_some());
    let asked = Instant::now();
    task.stop();
    let status = task.wait_end();
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!((status.error, status.started_at), (None, None));
}

#[test]
fn another_authority_is_not_trusted() {
    let (world, other) = (World::new(), World::new());
    let task = one(&world);
    let ca_certificate = other.registry.authority.clone();
    let error = fails(&world, Task { pull: PullIdentity { ca_certificate, ..task.pull.clone() }, ..task });
    assert!(error.contains("tls: failed to verify certificate"), "{error}");
}

#[test]
fn a_blob_with_another_digest_is_not_kept() {
    let world = World::new();
    let digest = sha256(&standard().blobs[1]);
    let mut bytes = standard().blobs[1].clone();
    bytes[20] ^= 1;
    world.registry.content.lock().unwrap().blobs.insert(digest.clone(), bytes);
    let error = fails(&world, one(&world));
    assert!(error.contains(&format!("the blob {digest} has the digest ")), "{error}");
    let kept = world.state().join("content/blobs/sha256").join(&digest["sha256:".len()..]);
    assert!(!kept.exists());
}

#[test]
fn a_layer_with_another_diff_id_is_not_kept() {
    let world = World::new();
    let mut image = image(&serde_json::json!({ "Cmd": ["/app"] }), &[layer(&[("app", app(), 0o755)])]);
    // The configuration promises another tar stream than the layer holds.
    let other = gzip(&layer(&[("app", b"other", 0o755)]));
    let manifest = String::from_utf8(image.manifest).unwrap();
    let size = |bytes: &[u8]| format!("\"size\":{}", bytes.len());
    image.manifest = manifest
        .replace(&sha256(&image.blobs[0]), &sha256(&other))
        .replace(&size(&image.blobs[0]), &size(&other))
        .into_bytes();
    image.blobs[0] = other;
    world.registry.add("app", "1", &image);
    let error = fails(&world, one(&world));
    assert!(error.contains("wrong diff id calculated on extraction"), "{error}");
    let snapshots = std::fs::read_dir(world.state().join("snapshots")).unwrap();
    assert_eq!(snapshots.count(), 0);
}

#[test]
fn an_index_leads_to_this_machine_s_image() {
    let world = World::new();
    let manifest = standard().manifest;
    let index = |architecture: &str| {
        let platform = serde_json::json!({ "architecture": architecture, "os": "linux" });
        let entry =
            serde_json::json!({ "digest": sha256(&manifest), "size": manifest.len(), "platform": platform });
        serde_json::to_vec(&serde_json::json!({ "schemaVersion": 2, "manifests": [entry] })).unwrap()
    };
    let serve = |index: Vec<u8>| {
        for reference in ["1".to_owned(), sha256(&index)] {
            let mut content = world.registry.content.lock().unwrap();
            content.manifests.insert(format!("app/manifests/{reference}"), index.clone());
        }
    };
    let own = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    serve(index(own));
    let (status, _) = world.finish(&["exit", "0"]);
    assert_eq!(only(&status).image_digest, Some(sha256(&index(own))));
    serve(index("s390x"));
    let error = fails(&world, one(&world));
    assert!(error.contains("does not contain descriptor matching platform 'linux/"), "{error}");
}

#[test]
fn tasks_that_start_together_share_what_they_pull() {
    let world = World::new();
    let mut tasks: Vec<_> = (0..4).map(|_| world.run(one(&world))).collect();
    let ended: Vec<TaskStatus> = tasks.iter_mut().map(Running::wait_end).collect();
    for status in &ended {
        assert_eq!(only(status).exit_code, Some(0), "{status:?}");
    }
    let layers = std::fs::read_dir(world.state().join("snapshots")).unwrap().count();
    let blobs = std::fs::read_dir(world.state().join("content/blobs/sha256")).unwrap().count();
    assert_eq!((layers, blobs), (2, 3), "nothing half made beside them");
}
