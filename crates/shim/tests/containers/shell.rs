//! A person's own program in a container.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use desired::Container;

use crate::order::aside;
use crate::support::{Running, World, container};

fn shell(task: &Running<'_>, container: &str, command: &[&str], input: &[u8]) -> Output {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join("shim-role");
    #[allow(clippy::disallowed_methods, reason = "the command under test is a process")]
    let mut child = Command::new(program)
        .arg("shell")
        .arg(&task.dir)
        .arg(container)
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who ends without reading closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_program_runs_in_a_container_with_the_caller_s_input_output_and_exit_code() {
    let world = World::new();
    let app = Container {
        user: Some("node".to_owned()),
        environment: [("MINE".to_owned(), "1".to_owned())].into(),
        working_directory: Some("/tmp".to_owned()),
        ..container("app", &["trap"])
    };
    let mut task = world.run(world.task(vec![
        app,
        container("other", &["trap"]),
        aside(container("ended", &["exit", "0"])),
    ]));
    task.wait_running();
    task.wait("one has ended", |status| status.containers["ended"].exit_code == Some(0));
    let long = "x".repeat(300_000);
    let output = shell(&task, "app", &["/app", "cat"], long.as_bytes());
    assert_eq!((text(&output.stdout), text(&output.stderr)), (&*long, "300000 bytes\n"));
    assert_eq!(output.status.code(), Some(0));
    let output = shell(&task, "app", &["/app", "exit", "42"], b"");
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    let output = shell(&task, "app", &["/app", "environment"], b"");
    assert!(text(&output.stdout).contains("MINE=1\n"), "{output:?}");
    let output = shell(&task, "app", &["/app", "folder"], b"");
    assert_eq!(text(&output.stdout), "/tmp\n");
    let output = shell(&task, "app", &["/app", "show", "/proc/self/status", "/proc/1/cmdline"], b"");
    let seen = text(&output.stdout);
    for want in ["Uid:\t1000", "Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "/app\0trap"] {
        assert!(seen.contains(want), "{want} in {seen}");
    }
    let output = shell(&task, "app", &["/none"], b"");
    assert_eq!(text(&output.stderr), "exec: \"/none\": stat /none: no such file or directory\n");
    assert_ne!(output.status.code(), Some(0));
    let output = shell(&task, "ended", &["/app", "exit", "0"], b"");
    assert_eq!(text(&output.stderr), "the container ended does not run\n");
    // What is left behind by one is swept away by the next one.
    let sockets = std::fs::read_dir(task.dir.join("containers/app/runtime/app")).unwrap();
    let left = sockets.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("tenant-"));
    assert_eq!(left.count(), 0);
    task.wait_output("app", "ready");
    task.wait_output("other", "ready");
    task.stop();
    assert_eq!(task.wait_end().containers["app"].exit_code, Some(7));
}

#[test]
fn a_shell_has_the_container_s_secrets() {
    let world = World::new();
    world.registry.content.lock().unwrap().parameters = [("level".to_owned(), "chatty".to_owned())].into();
    let secrets = vec![desired::Secret { name: "LEVEL".to_owned(), value_from: "level".to_owned() }];
    for init_process in [false, true] {
        let linux = desired::LinuxParameters { init_process, ..desired::LinuxParameters::default() };
        let app = Container { secrets: secrets.clone(), linux, ..container("app", &["trap"]) };
        let mut task = world.run(world.task(vec![app]));
        task.wait_output("app", "ready");
        let output = shell(&task, "app", &["/app", "environment"], b"");
        assert!(text(&output.stdout).contains("LEVEL=chatty\n"), "{init_process} {output:?} {}", task.log());
        task.stop();
        task.wait_end();
    }
}

#[test]
fn a_shell_ends_with_its_container() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["trap"])]));
    task.wait_output("app", "ready");
    std::thread::scope(|scope| {
        let running = &task;
        let shell = scope.spawn(move || shell(running, "app", &["/app", "forever"], b""));
        // The stop comes whenever: before the program runs, or while it does.
        running.stop();
        assert_ne!(shell.join().unwrap().status.code(), Some(0));
    });
    assert_eq!(task.wait_end().containers["app"].exit_code, Some(7));
}
