//! What a container sees and may do.

use desired::{Container, Task};

use crate::support::{World, container, image};

fn field<'a>(output: &'a str, name: &str) -> &'a str {
    let line = output.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {output}")).trim()
}

#[test]
fn system_calls_are_filtered_and_privileges_are_dropped() {
    let world = World::new();
    let (_, output) = world.finish(&["show", "/proc/self/status"]);
    assert_eq!((field(&output, "Seccomp:"), field(&output, "NoNewPrivs:")), ("2", "1"));
    assert_eq!((field(&output, "Pid:"), field(&output, "NSpid:")), ("1", "1"));
    // Docker's fourteen without MKNOD (bit 27).
    let docker = 0xa804_25fb_u64;
    let bounding = u64::from_str_radix(field(&output, "CapBnd:"), 16).unwrap();
    assert_eq!(bounding, docker & !(1 << 27));
    assert_eq!(field(&output, "CapInh:"), "0000000000000000");
    assert_eq!(field(&output, "CapAmb:"), "0000000000000000");
}

#[test]
fn signals_do_what_a_program_expects() {
    let world = World::new();
    let (_, output) = world.finish(&["sigpipe"]);
    assert_eq!(output, "0\n", "SIG_DFL");
    let (_, output) = world.finish(&["show", "/proc/self/status"]);
    assert_eq!(field(&output, "SigBlk:"), "0000000000000000");
}

#[test]
fn a_user_is_looked_up_in_the_image_and_has_no_capabilities() {
    let world = World::new();
    let app = Container { user: Some("node".to_owned()), ..container("app", &["show", "/proc/self/status"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    let output = task.output("app");
    assert!(field(&output, "Uid:").starts_with("1000\t1000"), "{output}");
    assert!(field(&output, "Gid:").starts_with("1001\t1001"), "{output}");
    assert_eq!(field(&output, "CapEff:"), "0000000000000000");
    assert_eq!(field(&output, "Seccomp:"), "2");
}

#[test]
fn control_groups_the_kernel_and_other_processes_are_out_of_reach() {
    let world = World::new();
    let files = [
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/kernel/mm/ksm/run",
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/etc/mine",
    ];
    let arguments: Vec<&str> = ["write"].into_iter().chain(files).collect();
    let (_, output) = world.finish(&arguments);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), files.len(), "{output}");
    for line in &lines[..5] {
        assert!(!line.ends_with(": written"), "{line}");
    }
    assert_eq!(lines[5], "/etc/mine: written");
    let (_, output) = world.finish(&["show", "/proc/self/cgroup", "/proc/kcore", "/proc/self/mountinfo"]);
    assert!(!output.contains("landfall-"), "{output}");
    assert!(!output.contains("cgroup"), "no mount of control groups: {output}");
}

#[test]
fn a_read_only_root_takes_no_file() {
    let world = World::new();
    let readonly_root_filesystem = true;
    let app = Container {
        readonly_root_filesystem,
        ..container("app", &["write", "/etc/mine", "/etc/hosts", "/dev/shm/x"])
    };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    let output = task.output("app");
    assert!(output.contains("/etc/mine: ReadOnlyFilesystem"), "{output}");
    assert!(output.contains("/etc/hosts: ReadOnlyFilesystem"), "{output}");
    assert!(output.contains("/dev/shm/x: written"), "{output}");
}

#[test]
fn names_are_asked_of_the_task_s_own_servers() {
    let world = World::new();
    let files = ["show", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc/new"];
    // Nobody answers at the first address, also not to the pull.
    let dns = desired::Dns {
        search: vec!["example.com".to_owned()],
        servers: vec![[169, 254, 169, 252].into(), [169, 254, 169, 253].into()],
    };
    let mut task = world.run(Task { dns, ..world.task(vec![container("app", &files)]) });
    task.wait_end();
    let output = task.output("app");
    let text = "search example.com\nnameserver 169.254.169.252\nnameserver 169.254.169.253\n";
    assert!(output.contains(text), "{output}");
    assert_eq!(field(&output, "127.0.0.1 "), "localhost");
    assert!(output.contains(".ap-northeast-2.compute.internal\n"), "{output}");
    assert!(output.ends_with("new\n"));
}

#[test]
fn links_in_an_image_lead_no_mount_and_no_folder_out_of_it() {
    let world = World::new();
    let outside = world.state().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let (deep, up) =
        (format!("-> {}", outside.display()), format!("-> ../../../../../../..{}", outside.display()));
    let base = image::layer(&[
        ("app", image::app(), 0o755),
        ("etc/resolv.conf", format!("{deep}/resolv.conf").as_bytes(), 0o777),
        ("etc/hosts", format!("{up}/hosts").as_bytes(), 0o777),
        ("out", up.as_bytes(), 0o777),
    ]);
    world.registry.add("app", "1", &image::image(&serde_json::json!({ "Entrypoint": ["/app"] }), &[base]));
    let working_directory = Some("/out/made/here".to_owned());
    let show = ["show", "/etc/resolv.conf", "/etc/hosts"];
    let mut task = world.run(world.task(vec![Container { working_directory, ..container("app", &show) }]));
    let status = task.wait_end();
    // Whether such an image runs is one thing; the host is not touched.
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{status:?}");
    assert!(
        status.error.is_some() || task.output("app").contains("nameserver 169.254.169.253"),
        "{status:?}"
    );
}

#[test]
fn the_task_s_limits_are_the_kernel_s() {
    let world = World::new();
    let ulimits = [("nofile".to_owned(), (512, 1024))].into();
    let app = Container { memory: Some(64), cpu: 128, ulimits, ..container("app", &["trap"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_output("app", "ready");
    let name = shim::task_cgroup(world.state(), task.task.id.as_str()).unwrap().oci_path();
    let read = |controller: &str, below: &str| {
        let path = format!("/sys/fs/cgroup/{controller}{}/{below}", name.display());
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
    };
    // A quarter of a core, to the thousandth above.
    assert_eq!(
        (read("cpu", "cpu.cfs_quota_us").as_str(), read("cpu", "cpu.cfs_period_us").as_str()),
        ("25000", "100000")
    );
    assert_eq!(read("memory", "memory.limit_in_bytes"), (128_u64 << 20).to_string());
    assert_eq!(read("memory", "app/memory.limit_in_bytes"), (64_u64 << 20).to_string());
    assert_eq!(read("cpu", "app/cpu.shares"), "128");
    assert_eq!(read("pids", "app/pids.max"), "4096");
    let pids = read("memory", "app/cgroup.procs");
    let limits = std::fs::read_to_string(format!("/proc/{pids}/limits")).unwrap();
    let files: Vec<&str> = field(&limits, "Max open files").split_whitespace().collect();
    assert_eq!(files, ["512", "1024", "files"]);
    task.stop();
    task.wait_end();
}

#[test]
fn a_ulimit_that_does_not_exist_is_refused() {
    let world = World::new();
    let ulimits = [("nonsense".to_owned(), (1, 1))].into();
    let mut task = world.run(world.task(vec![Container { ulimits, ..container("app", &["exit", "0"]) }]));
    let error = task.wait_end().error.unwrap();
    assert!(error.contains("the ulimit 'nonsense' is unknown"), "{error}");
}
