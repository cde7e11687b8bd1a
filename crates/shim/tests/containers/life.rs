//! A task from its start to its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use desired::role::Request;
use desired::{Container, Task, TaskPhase};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shim::logs::Stream;

use crate::support::{PATIENCE, World, container, image, only};

const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";

#[test]
fn a_container_s_output_and_exit_code_are_kept() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["say", "to stdout", "to stderr"])]));
    let status = task.wait_end();
    assert_eq!(only(&status).exit_code, Some(0), "{status:?}");
    let lines: BTreeMap<_, _> =
        shim::logs::read(&task.dir, "app").unwrap().map(|line| (line.message, line.stream)).collect();
    let want = [("to stdout", Stream::Stdout), ("to stderr", Stream::Stderr)];
    assert_eq!(lines, want.map(|(text, stream)| (text.into(), stream)).into());
    let (status, _) = world.finish(&["exit", "42"]);
    let app = only(&status);
    assert_eq!((app.exit_code, app.running, app.reason.as_deref()), (Some(42), false, None));
    assert_eq!(status.error, None);
    let (of, digits) = app.runtime_id.split_once('-').unwrap();
    assert_eq!(of, status.task.as_str());
    assert!(digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    assert!(
        status.pull_started_at <= status.pull_stopped_at && status.pull_stopped_at <= status.started_at,
        "{status:?}"
    );
    assert!(status.started_at.is_some() && status.execution_stopped_at.is_some());
}

#[test]
fn a_stopped_container_may_handle_sigterm() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["trap"])]));
    let status = task.wait_running();
    assert!(only(&status).running);
    task.wait_output("app", "ready");
    task.stop();
    let status = task.wait_end();
    assert_eq!((only(&status).exit_code, &only(&status).reason), (Some(7), &None));
    assert_eq!(task.output("app"), "ready\ngot SIGTERM\n");
}

#[test]
fn what_ignores_sigterm_is_killed_after_the_stop_timeout() {
    let world = World::new();
    let stop_timeout = Duration::from_secs(1);
    let app = Container { stop_timeout, ..container("app", &["ignore"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_running();
    task.wait_output("app", "ready");
    let asked = Instant::now();
    // The other way to stop a task: its role is told to end.
    task.role.ask(&Request::Stop, PATIENCE).unwrap();
    let stopping = task.wait("stopping", |status| status.phase == TaskPhase::Stopping);
    assert!(only(&stopping).running);
    let status = task.wait_end();
    assert!(asked.elapsed() >= stop_timeout);
    assert_eq!((only(&status).exit_code, &only(&status).reason), (Some(137), &None), "no lack of memory");
}

#[test]
fn a_shim_that_is_told_to_end_stops_its_task() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["trap"])]));
    task.wait_output("app", "ready");
    kill(Pid::from_raw(task.shim().id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(only(&task.wait_end()).exit_code, Some(7));
}

#[test]
fn a_container_beyond_its_memory_or_the_task_s_is_killed_and_says_so() {
    let world = World::new();
    let (status, _) = world.finish(&["eat"]);
    let app = only(&status);
    assert_eq!((app.exit_code, app.reason.as_deref()), (Some(137), Some(OUT_OF_MEMORY)), "the task's");
    let small = Container { memory: Some(16), ..container("app", &["eat"]) };
    let mut task = world.run(world.task(vec![small]));
    let status = task.wait_end();
    let app = only(&status);
    assert_eq!((app.exit_code, app.reason.as_deref()), (Some(137), Some(OUT_OF_MEMORY)), "its own");
}

#[test]
fn many_tasks_at_once_end_with_codes_of_their_own() {
    let world = World::new();
    let mut tasks: Vec<_> = (0..12)
        .map(|number| {
            let code = number.to_string();
            let arguments = if number % 4 == 3 { vec!["eat"] } else { vec!["exit", &code] };
            let memory = Some(16);
            world.run(world.task(vec![Container { memory, ..container("app", &arguments) }]))
        })
        .collect();
    for (number, task) in (0..).zip(&mut tasks) {
        let status = task.wait_end();
        let app = only(&status);
        let want = if number % 4 == 3 { (Some(137), Some(OUT_OF_MEMORY)) } else { (Some(number), None) };
        assert_eq!((app.exit_code, app.reason.as_deref()), want, "{status:?}");
    }
}

#[test]
fn a_command_that_is_not_there_cannot_be_started() {
    let world = World::new();
    #[track_caller]
    fn check(world: &World, entry_point: &str, want: &str) {
        let app = Container { entry_point: Some(vec![entry_point.to_owned()]), ..container("app", &[]) };
        let mut task = world.run(world.task(vec![app]));
        let status = task.wait_end();
        let error = status.error.as_deref().unwrap_or_default();
        assert!(error.starts_with("CannotStartContainerError: ResourceInitializationError: "), "{error}");
        assert!(error.contains(want), "{error}");
        assert_eq!((only(&status).exit_code, only(&status).reason.as_deref()), (None, Some(error)));
        assert_eq!(status.started_at, None);
    }
    check(&world, "nothing", r#"exec: "nothing": executable file not found in $PATH"#);
    check(&world, "/no/thing", r#"exec: "/no/thing": stat /no/thing: no such file or directory"#);
    check(&world, "/etc/passwd", r#"exec: "/etc/passwd": permission denied"#);
    check(&world, "/etc/broken", "exec /etc/broken: exec format error");
}

#[test]
fn the_command_its_environment_and_its_folder_are_as_asked() {
    let world = World::new();
    let (_, output) = world.finish(&["arguments", "a b", "", "c"]);
    assert_eq!(output, "[\"a b\", \"\", \"c\"]\n");
    let environment = [("MINE".to_owned(), "1".to_owned()), ("FROM".to_owned(), "task".to_owned())].into();
    let app = Container { environment, ..container("app", &["environment"]) };
    let mut task = world.run(world.task(vec![app]));
    task.wait_end();
    let output = task.output("app");
    for want in ["FROM=task\n", "MINE=1\n", "HOME=/root\n", "PATH=/usr/local/sbin:", "HOSTNAME=ip-"] {
        assert!(output.contains(want), "{want} in {output}");
    }
    assert!(!output.contains("CARGO"), "nothing of the host's: {output}");
    for folder in ["/tmp", "/made/for it"] {
        let app = Container { working_directory: Some(folder.to_owned()), ..container("app", &["folder"]) };
        let mut task = world.run(world.task(vec![app]));
        task.wait_end();
        assert_eq!(task.output("app"), format!("{folder}\n"));
    }
}

#[test]
fn a_container_is_told_where_it_runs_and_where_its_own_metadata_and_credentials_are() {
    let world = World::new();
    let (_, output) = world.finish(&["environment"]);
    for want in ["AWS_EXECUTION_ENV=AWS_ECS_FARGATE\n", "AWS_REGION=", "AWS_DEFAULT_REGION="] {
        assert!(output.contains(want), "{want} in {output}");
    }
    assert!(!output.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "it has no role: {output}");

    let environment = [("AWS_REGION", "eu-west-1"), ("ECS_CONTAINER_METADATA_URI_V4", "mine")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let app = Container { environment, endpoint: "0a-1".to_owned(), ..container("app", &["environment"]) };
    let mut wanted = world.task(vec![app]);
    wanted.role = Some(desired::RoleSession {
        id: "0b-2".to_owned(),
        role_arn: "arn:aws:iam::000000000001:role/app".to_owned(),
        access_key_id: "ASIAROLE".to_owned(),
        secret_access_key: "hidden".to_owned(),
        session_token: "token".to_owned(),
        expires_at: types::Timestamp::now(),
    });
    let mut task = world.run(wanted);
    task.wait_end();
    let output = task.output("app");
    for want in [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/0b-2\n",
        "AWS_REGION=eu-west-1\n",
        "ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/0a-1\n",
        "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/0a-1\n",
        "ECS_AGENT_URI=http://169.254.170.2/api/0a-1\n",
    ] {
        assert!(output.contains(want), "{want} in {output}");
    }
    assert!(!output.contains("ASIAROLE") && !output.contains("hidden"), "{output}");
}

#[test]
fn a_container_may_trust_the_local_authority() {
    let world = World::new();
    let bundle = "/etc/landfall/ca-bundle.crt";
    let plain = container("app", &["show", bundle]);
    let trusting = Container { trust_ca: true, readonly_root_filesystem: true, ..plain.clone() };
    let told = Container { trust_ca: true, ..container("app", &["environment"]) };
    for (app, wanted) in [
        (plain, "No such file"),
        (trusting, world.registry.authority.as_str()),
        (told, "AWS_CA_BUNDLE=/etc/landfall/ca-bundle.crt\n"),
    ] {
        let mut task = world.run(world.task(vec![app]));
        task.wait_end();
        let output = task.output("app");
        assert!(output.contains(wanted.trim_end()), "{wanted} in {output}");
    }
}

#[test]
fn the_end_of_an_essential_container_stops_the_others() {
    let world = World::new();
    let stop_timeout = Duration::from_secs(2);
    let other = Container { stop_timeout, ..container("other", &["trap"]) };
    let first = container("first", &["fetch", "7000"]);
    let third = Container { stop_timeout, essential: false, ..container("third", &["serve", "7000"]) };
    let mut task = world.run(world.task(vec![other, third, first]));
    let status = task.wait_end();
    assert_eq!(status.error, None);
    let code = |name: &str| status.containers[name].exit_code;
    // A first process without a handler does not hear SIGTERM.
    assert_eq!((code("first"), code("third")), (Some(0), Some(137)));
    assert!(matches!(code("other"), Some(7 | 137)), "it may not have got to its handler: {status:?}");
    // Two containers, one network: what one serves on its loopback the other fetches.
    assert_eq!(task.output("first"), "hello from the neighbour\n");
}

#[test]
fn the_end_of_another_container_does_not() {
    let world = World::new();
    let aside = Container { essential: false, ..container("aside", &["exit", "3"]) };
    let mut task = world.run(world.task(vec![container("app", &["trap"]), aside]));
    let status = task.wait("one has ended", |status| status.containers["aside"].exit_code == Some(3));
    assert!(status.containers["app"].running);
    let status = task.wait_running();
    assert_eq!(status.execution_stopped_at, None);
    task.wait_output("app", "ready");
    task.stop();
    let status = task.wait_end();
    assert_eq!(status.containers["app"].exit_code, Some(7));
}

#[test]
fn a_container_that_cannot_start_takes_those_that_run_with_it() {
    let world = World::new();
    let bad = Container { user: Some("nobody".to_owned()), ..container("bad", &["exit", "0"]) };
    let app = Container { stop_timeout: Duration::from_secs(2), ..container("app", &["trap"]) };
    let mut task = world.run(world.task(vec![app, bad]));
    let status = task.wait_end();
    let error = status.error.unwrap();
    assert!(error.contains("unable to find user nobody: no matching entries in passwd file"), "{error}");
    assert!(matches!(status.containers["app"].exit_code, Some(7 | 137)));
    assert_eq!(status.containers["bad"].exit_code, None);
}

#[test]
fn a_task_that_shall_stop_before_it_starts_never_pulls() {
    let world = World::new();
    let task = Task { stop: true, ..world.task(vec![container("app", &["exit", "0"])]) };
    let mut task = world.run(task);
    let status = task.wait_end();
    assert_eq!((status.error, status.pull_started_at), (None, None));
    assert_eq!(world.registry.asked(), Vec::<String>::new());
}

#[test]
fn a_flood_of_output_takes_neither_the_disk_nor_the_shim_s_memory() {
    let world = World::new();
    let mut task = world.run(world.task(vec![container("app", &["flood", "60000"])]));
    task.wait_output("app", "done");
    let status = std::fs::read_to_string(format!("/proc/{}/status", task.shim().id()));
    if let Ok(status) = status {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        // The debug binary itself is most of it.
        assert!(kilobytes < 64 << 10, "{kilobytes} kB");
    }
    let status = task.wait_end();
    assert_eq!(only(&status).exit_code, Some(0));
    let bytes: u64 = std::fs::read_dir(task.dir.join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes > shim::logs::FILE_LIMIT && bytes <= 2 * shim::logs::FILE_LIMIT, "{bytes}");
}

#[test]
fn a_stop_signal_of_the_image_is_used() {
    let world = World::new();
    let app = image::layer(&[("app", image::app(), 0o755)]);
    let config = serde_json::json!({ "Entrypoint": ["/app"], "StopSignal": "SIGKILL" });
    world.registry.add("app", "1", &image::image(&config, &[app]));
    let mut task = world.run(world.task(vec![container("app", &["trap"])]));
    task.wait_output("app", "ready");
    task.stop();
    assert_eq!(only(&task.wait_end()).exit_code, Some(137));
}
