//! What containers of a task share, and what Linux gives them.

use desired::{Container, DependencyCondition, LinuxParameters, Task, Tmpfs, VolumeMount};

use crate::order::{after, aside};
use crate::support::{World, container, image, only};

fn mount(path: &str, read_only: bool) -> VolumeMount {
    VolumeMount { volume: "data".to_owned(), path: path.to_owned(), read_only }
}

#[test]
fn containers_share_a_volume_that_goes_with_the_task() {
    let world = World::new();
    let writer = Container {
        mounts: vec![mount("/out", false)],
        ..aside(container("writer", &["write", "/out/file"]))
    };
    let reader = Container {
        mounts: vec![mount("/in/it", true)],
        readonly_root_filesystem: true,
        ..container("reader", &["write", "/in/it/file", "/in/it/other"])
    };
    let shower = Container { mounts: vec![mount("/in", true)], ..container("shower", &["show", "/in/file"]) };
    let done = DependencyCondition::Complete;
    let mut task = world.run(Task {
        volumes: vec!["data".to_owned()],
        ..world.task(vec![
            writer,
            after(aside(reader), &[("writer", done)]),
            after(shower, &[("reader", done)]),
        ])
    });
    task.wait_end();
    assert_eq!(task.output("writer"), "/out/file: written\n");
    assert!(
        task.output("reader").starts_with("/in/it/file: ReadOnlyFilesystem"),
        "{}",
        task.output("reader")
    );
    assert_eq!(task.output("shower"), "0\n");
    assert!(!task.dir.join("volumes").exists());
}

#[test]
fn outer_mounts_hide_no_inner_ones_and_not_the_task_s_own_files() {
    let world = World::new();
    let at = |path: &str, volume: &str| VolumeMount { volume: volume.to_owned(), ..mount(path, false) };
    let linux = LinuxParameters {
        tmpfs: vec![Tmpfs { path: "/data/sub/memory".to_owned(), size: 1, options: Vec::new() }],
        ..LinuxParameters::default()
    };
    let writer = Container {
        mounts: vec![at("/data/sub", "v"), at("/data", "w"), at("/etc", "e")],
        linux,
        working_directory: Some("/data/sub/work/here".to_owned()),
        ..aside(container("writer", &["write", "/data/sub/x", "/data/y", "/data/sub/memory/z", "local"]))
    };
    let shower = Container {
        mounts: vec![at("/v", "v"), at("/w", "w"), at("/etc", "e")],
        trust_ca: true,
        ..container(
            "shower",
            &[
                "show",
                "/v/x",
                "/w/y",
                "/v/work/here/local",
                "/v/memory/z",
                "/etc/hostname",
                "/etc/landfall/ca-bundle.crt",
            ],
        )
    };
    let volumes = ["v", "w", "e"].map(str::to_owned).to_vec();
    let mut task = world.run(Task {
        volumes,
        ..world.task(vec![writer, after(shower, &[("writer", DependencyCondition::Complete)])])
    });
    task.wait_end();
    assert_eq!(
        task.output("writer"),
        "/data/sub/x: written\n/data/y: written\n/data/sub/memory/z: written\nlocal: written\n"
    );
    let output = task.output("shower");
    assert!(output.starts_with("000/v/memory/z: No such file"), "{output}");
    assert!(output.contains("\nip-") && output.contains("BEGIN CERTIFICATE"), "{output}");
}

#[test]
fn what_cannot_be_mounted_or_be_a_folder_keeps_a_container_from_starting_in_runc_s_words() {
    let world = World::new();
    let with =
        |path: &str| Container { mounts: vec![mount(path, false)], ..container("app", &["exit", "0"]) };
    let with_read_only =
        |path: &str| Container { mounts: vec![mount(path, true)], ..container("app", &["exit", "0"]) };
    let folder = |path: &str| Container {
        working_directory: Some(path.to_owned()),
        ..container("app", &["exit", "0"])
    };
    for (app, why) in [
        (
            with("/proc"),
            "error mounting \"data\" to rootfs at \"/proc\": \"/proc\" cannot be mounted because it is not of type proc",
        ),
        (
            with("/proc/fs"),
            "error mounting \"data\" to rootfs at \"/proc/fs\": \"/proc/fs\" cannot be mounted because it is inside /proc",
        ),
        (with("/etc/broken"), "error mounting \"data\" to rootfs at \"/etc/broken\": not a directory"),
        (
            with_read_only("/etc"),
            "error mounting \"resolv.conf\" to rootfs at \"/etc/resolv.conf\": create mountpoint for /etc/resolv.conf mount: read-only file system",
        ),
        (folder("/etc/broken"), "mkdir /etc/broken: not a directory"),
        (folder("/etc/broken/in"), "mkdir /etc/broken/in: not a directory"),
    ] {
        let mut task = world.run(Task { volumes: vec!["data".to_owned()], ..world.task(vec![app]) });
        let status = task.wait_end();
        let want = format!(
            "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed to create shim task: OCI \
             runtime create failed: unable to start container process: error during container init: {why}: unknown"
        );
        assert_eq!(status.error, Some(want));
    }
}

#[test]
fn a_volume_gets_what_the_image_declares_at_its_place() {
    let world = World::new();
    let app = image::layer(&[
        ("app", image::app(), 0o755),
        ("data/", b"", 0o750),
        ("data/seed", b"from the image\n", 0o640),
        ("data/link", b"-> seed", 0o777),
        ("plain/", b"", 0o755),
        ("plain/seed", b"no", 0o644),
    ]);
    let config = serde_json::json!({ "Entrypoint": ["/app"], "Volumes": { "/data": {} } });
    world.registry.add("app", "1", &image::image(&config, &[app]));
    let at = |path: &str, volume: &str| VolumeMount { volume: volume.to_owned(), ..mount(path, false) };
    let shows = Container {
        mounts: vec![at("/data", "data"), at("/plain", "plain")],
        ..container("app", &["show", "/data/seed", "/data/link", "/plain/seed"])
    };
    let mut task =
        world.run(Task { volumes: vec!["data".to_owned(), "plain".to_owned()], ..world.task(vec![shows]) });
    task.wait_end();
    let output = task.output("app");
    assert!(output.starts_with("from the image\nfrom the image\n/plain/seed: No such file"), "{output}");
}

#[test]
fn file_systems_in_memory_have_a_size_and_options() {
    let world = World::new();
    let linux = LinuxParameters {
        tmpfs: vec![Tmpfs { path: "/scratch".to_owned(), size: 3, options: vec!["exec".to_owned()] }],
        ..LinuxParameters::default()
    };
    let app = Container {
        linux,
        readonly_root_filesystem: true,
        ..container("app", &["show", "/proc/self/mountinfo"])
    };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    let output = task.output("app");
    let line = output.lines().find(|line| line.contains(" /scratch ")).unwrap();
    assert!(
        line.contains("nosuid,nodev") && line.contains("size=3072k") && !line.contains("noexec"),
        "{line}"
    );
}

#[test]
fn capabilities_are_dropped_and_added() {
    let world = World::new();
    let linux = LinuxParameters {
        drop_capabilities: vec!["ALL".to_owned()],
        add_capabilities: vec!["SYS_PTRACE".to_owned()],
        ..LinuxParameters::default()
    };
    let app = Container { linux, ..container("app", &["show", "/proc/self/status"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    assert!(task.output("app").contains("CapBnd:\t0000000000080000"), "{}", task.output("app"));
}

#[test]
fn an_init_process_passes_signals_on_and_hands_the_exit_code_out() {
    let world = World::new();
    let init = || LinuxParameters { init_process: true, ..LinuxParameters::default() };
    let app = Container { linux: init(), ..container("app", &["show", "/proc/self/status"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    let output = task.output("app");
    assert!(output.contains("Pid:\t2\nPPid:\t1\n"), "{output}");
    assert!(output.contains("Seccomp:\t2") && output.contains("SigBlk:\t0000000000000000"), "{output}");
    // Without a handler of its own a program ends at SIGTERM, as it is not process 1.
    for (program, code) in [("trap", 7), ("forever", 143)] {
        let app = Container { linux: init(), ..container("app", &[program]) };
        let mut task = world.run(world.task(vec![app]));
        task.wait_output("app", "ready");
        task.stop();
        assert_eq!(only(&task.wait_end()).exit_code, Some(code), "{program}");
    }
    let app = Container {
        linux: init(),
        entry_point: Some(vec!["/etc/broken".to_owned()]),
        ..container("app", &[])
    };
    let mut task = world.run(world.task(vec![app]));
    let error = task.wait_end().error.unwrap();
    assert!(error.contains("exec /etc/broken: exec format error"), "{error}");
}

#[test]
fn system_controls_and_a_memory_reservation_hold() {
    let world = World::new();
    let app = Container {
        system_controls: [
            ("net.core.somaxconn".to_owned(), "777".to_owned()),
            ("kernel.msgmax".to_owned(), "4321".to_owned()),
        ]
        .into(),
        memory_reservation: Some(32),
        ..container("app", &["show", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax"])
    };
    let other = Container {
        ..after(
            container("other", &["show", "/proc/sys/net/core/somaxconn"]),
            &[("app", DependencyCondition::Complete)],
        )
    };
    let mut task = world.run(world.task(vec![aside(app), other]));
    task.wait_end();
    assert_eq!((&*task.output("app"), &*task.output("other")), ("777\n4321\n", "777\n"));
}
