//! The log driver: what containers say arrives, waits, or is dropped and counted.

use std::time::{Duration, Instant};

use desired::{Container, LogDestination, LogMode, PullIdentity, Task, TaskStatus};

use crate::support::registry::{LOGS, REGION};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{PATIENCE, Running, World, container, only, part, pause};

pub(crate) const NON_BLOCKING: LogMode = LogMode::NonBlocking { max_buffer: 10 << 20 };

pub(crate) fn logged(arguments: &[&str], mode: LogMode) -> Container {
    let log = LogDestination {
        region: REGION.to_owned(),
        group: "/app".to_owned(),
        stream: "ecs/app/1".to_owned(),
        create_group: false,
        mode,
        message_start: None,
    };
    Container { log: Some(log), ..container("app", arguments) }
}

pub(crate) fn messages(world: &World) -> Vec<String> {
    let content = world.registry.content.lock().unwrap();
    assert!(content.log_events.iter().all(|(stream, _)| stream == "ecs/app/1"));
    content.log_events.iter().map(|(_, message)| message.clone()).collect()
}

pub(crate) fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never {what}");
        pause();
    }
}

fn run(world: &World, container: Container) -> TaskStatus {
    world.run(world.task(vec![container])).wait_end()
}

#[test]
fn last_words_arrive_before_the_task_is_over() {
    let world = World::new();
    let status = run(&world, logged(&["lines", "first", "last words", "!3"], NON_BLOCKING));
    assert_eq!((only(&status).exit_code, only(&status).dropped_events), (Some(3), 0));
    assert_eq!(messages(&world), ["first", "last words"]);
    let calls = world.registry.content.lock().unwrap().log_calls.clone();
    assert_eq!(calls[0], "CreateLogStream");
}

#[test]
fn a_stream_that_cannot_be_made_keeps_the_task_from_starting_in_fargate_s_words() {
    for code in ["ResourceNotFoundException", "AccessDeniedException"] {
        let world = World::new();
        let refusal = ("400 Bad Request", code.to_owned());
        world.registry.content.lock().unwrap().log_errors.insert("CreateLogStream".to_owned(), refusal);
        let status = run(&world, logged(&["exit", "0"], NON_BLOCKING));
        let want = format!(
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: \
             failed to create Cloudwatch log stream: {code}: no status code: 400, request id: 4f7b: exit status 1"
        );
        assert_eq!(status.error, Some(want));
        assert_eq!(only(&status).exit_code, None);
    }
}

#[test]
fn a_pattern_that_is_none_keeps_the_task_from_starting_in_docker_s_words() {
    for (pattern, why) in [
        ("[", "unclosed character class"),
        ("^(?=x)", "look-around, including look-ahead and look-behind, is not supported"),
    ] {
        let world = World::new();
        let mut container = logged(&["lines", "lost"], NON_BLOCKING);
        container.log.as_mut().unwrap().message_start = Some(pattern.to_owned());
        let status = run(&world, container);
        let want = format!(
            "ResourceInitializationError: failed to validate logger args: awslogs could not parse multiline pattern \
             key \"{pattern}\": error parsing regexp: {why}"
        );
        assert_eq!(status.error, Some(want));
        assert_eq!(only(&status).exit_code, None);
    }
}

#[test]
fn without_a_path_the_task_says_so() {
    let world = World::blackhole(&[LOGS]);
    let error = run(&world, logged(&["exit", "0"], NON_BLOCKING)).error.unwrap();
    let end = format!("Post \"https://{LOGS}/\": dial tcp 198.19.0.10:443: i/o timeout: exit status 1");
    assert!(error.starts_with("ResourceInitializationError: failed to validate logger args: "), "{error}");
    assert!(
        error.contains("RequestError: send request failed caused by: ") && error.ends_with(&end),
        "{error}"
    );
}

#[test]
fn a_flood_beyond_the_buffer_is_dropped_counted_and_stalls_nothing() {
    let world = World::new();
    let failing = ("503 Service Unavailable", "ServiceUnavailableException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("PutLogEvents".to_owned(), failing);
    let mode = LogMode::NonBlocking { max_buffer: 256 << 10 };
    let mut task = world.run(world.task(vec![logged(&["flood", "60000"], mode)]));
    task.wait_output("app", "done");
    task.wait("dropped events", |status| only(status).dropped_events > 1000);
    world.registry.content.lock().unwrap().log_errors.clear();
    let status = task.wait_end();
    let (arrived, dropped) = (messages(&world).len() as u64, only(&status).dropped_events);
    assert!(arrived > 0 && arrived + dropped > 59_000, "{arrived} arrived, {dropped} were dropped");
}

#[test]
fn events_that_are_refused_for_good_are_told_apart_from_dropped_ones_with_the_service_s_reason() {
    let world = World::new();
    let refusal = ("400 Bad Request", "ResourceNotFoundException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("PutLogEvents".to_owned(), refusal);
    let status = run(&world, logged(&["lines", "one", "two"], NON_BLOCKING));
    let app = only(&status);
    assert_eq!((app.exit_code, app.dropped_events, app.refused_events), (Some(0), 0, 2));
    assert_eq!(app.refused_because.as_deref(), Some("ResourceNotFoundException: no"));
}

#[test]
fn in_blocking_mode_the_container_waits_and_nothing_is_lost() {
    let world = World::new();
    let failing = ("503 Service Unavailable", "ServiceUnavailableException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("PutLogEvents".to_owned(), failing);
    let mut task = world.run(world.task(vec![logged(&["flood", "60000"], LogMode::Blocking)]));
    task.wait_running();
    wait_for("a try", || {
        world.registry.content.lock().unwrap().log_calls.iter().any(|call| call == "PutLogEvents")
    });
    // It would have said all within this time.
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        assert!(!task.output("app").contains("done"));
        pause();
    }
    world.registry.content.lock().unwrap().log_errors.clear();
    let status = task.wait_end();
    assert_eq!((only(&status).exit_code, only(&status).dropped_events), (Some(0), 0));
    let messages = messages(&world);
    assert_eq!(messages.last().map(String::as_str), Some("done"));
    assert_eq!(messages.len(), 60_001);
}

#[test]
fn a_renewed_session_is_taken_from_the_task_s_part() {
    let world = World::new();
    let mut task = world.run(world.task(vec![logged(&["lines", "one", "~3000", "two"], NON_BLOCKING)]));
    task.wait_running();
    wait_for("one", || messages(&world).contains(&"one".to_owned()));
    let renewed = Task {
        pull: PullIdentity { access_key_id: "ASIARENEWED".to_owned(), ..task.task.pull.clone() },
        ..task.task.clone()
    };
    task.role.write_config(&part(&renewed, 2)).unwrap();
    let refusal = ("400 Bad Request", "ExpiredTokenException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("PutLogEvents".to_owned(), refusal);
    let tried = || {
        world.registry.content.lock().unwrap().log_calls.iter().filter(|call| *call == "PutLogEvents").count()
    };
    let before = tried();
    wait_for("tries with the old session", || tried() > before);
    world.registry.content.lock().unwrap().log_errors.clear();
    task.wait_end();
    assert_eq!(messages(&world), ["one", "two"]);
}

/// The log driver's helper: the one process of the shim's that is called so.
fn helper(task: &mut Running<'_>) -> Option<Pid> {
    let shim = task.shim().id();
    let children = std::fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    let is_helper = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("__logs"))
    };
    children.split_whitespace().find(is_helper).map(|pid| Pid::from_raw(pid.parse().unwrap()))
}

fn kill_helper(task: &mut Running<'_>) {
    let helper = helper(task).expect("there is a helper");
    kill(helper, Signal::SIGKILL).unwrap();
}

#[test]
fn what_is_said_while_the_helper_is_dead_arrives_once_there_is_another_one() {
    let world = World::new();
    let mut app = logged(&["lines", "one", "~3000", "two", "three", "~600000"], NON_BLOCKING);
    app.stop_timeout = Duration::from_secs(1);
    let mut task = world.run(world.task(vec![app]));
    wait_for("one", || messages(&world).contains(&"one".to_owned()));
    // Another one cannot begin.
    let refusal = ("503 Service Unavailable", "ServiceUnavailableException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("CreateLogStream".to_owned(), refusal);
    kill_helper(&mut task);
    task.wait_output("app", "three");
    wait_for("a try to begin", || {
        let content = world.registry.content.lock().unwrap();
        content.log_calls.iter().filter(|call| *call == "CreateLogStream").count() > 1
    });
    assert_eq!(messages(&world), ["one"]);
    world.registry.content.lock().unwrap().log_errors.clear();
    wait_for("three", || messages(&world).contains(&"three".to_owned()));
    task.stop();
    assert_eq!(only(&task.wait_end()).dropped_events, 0);
    assert_eq!(messages(&world), ["one", "two", "three"]);
    assert!(task.log().contains("the log driver has died, and is started again in 1 s"), "{}", task.log());
}

#[test]
fn a_task_that_ends_while_the_helper_is_dead_starts_it_once_more_for_its_last_words() {
    let world = World::new();
    let mut app = logged(&["lines", "one", "~600000"], NON_BLOCKING);
    app.stop_timeout = Duration::from_secs(1);
    let mut last = logged(&["trap"], NON_BLOCKING);
    last.name = "last".to_owned();
    let mut task = world.run(world.task(vec![app, last]));
    wait_for("both first lines", || messages(&world).len() == 2);
    let refusal = ("503 Service Unavailable", "ServiceUnavailableException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("CreateLogStream".to_owned(), refusal);
    kill_helper(&mut task);
    // The next one is more than FLUSH away.
    wait_for("a long pause", || task.log().contains("is started again in 16 s"));
    world.registry.content.lock().unwrap().log_errors.clear();
    task.stop();
    task.wait_end();
    let mut messages = messages(&world);
    messages.sort();
    assert_eq!(messages, ["got SIGTERM", "one", "ready"]);
}

#[test]
fn without_a_helper_a_flood_stalls_nothing_in_non_blocking_mode() {
    let world = World::new();
    let mode = LogMode::NonBlocking { max_buffer: 256 << 10 };
    let mut task = world.run(world.task(vec![logged(&["waits", "/go", "flood", "60000"], mode)]));
    task.wait_output("app", "waiting");
    wait_for("a first line", || messages(&world).contains(&"waiting".to_owned()));
    let refusal = ("503 Service Unavailable", "ServiceUnavailableException".to_owned());
    world.registry.content.lock().unwrap().log_errors.insert("CreateLogStream".to_owned(), refusal);
    kill_helper(&mut task);
    std::fs::write(task.dir.join("containers/app/rootfs/go"), "").unwrap();
    task.wait_output("app", "done");
    let status = task.wait_end();
    let (arrived, dropped) = (messages(&world).len() as u64, only(&status).dropped_events);
    assert_eq!(only(&status).exit_code, Some(0));
    assert_eq!(arrived, 1);
    assert!(dropped > 59_000, "{dropped} were dropped");
}

#[test]
fn in_blocking_mode_the_container_waits_for_the_next_helper() {
    let world = World::new();
    let mut task = world.run(world.task(vec![logged(&["flood", "60000"], LogMode::Blocking)]));
    wait_for("events", || messages(&world).len() > 1000);
    kill_helper(&mut task);
    let status = task.wait_end();
    assert_eq!((only(&status).exit_code, only(&status).dropped_events), (Some(0), 0));
    let messages = messages(&world);
    assert_eq!(messages.last().map(String::as_str), Some("done"));
    // What the dead one held, a few megabytes at most, is lost. No line arrives in pieces.
    assert!(messages.len() > 40_000, "{} arrived", messages.len());
    assert!(messages[..messages.len() - 1].iter().all(|line| line.len() == 999));
}

#[test]
fn lines_that_belong_together_are_one_event_and_a_group_is_made_when_asked_for() {
    let world = World::new();
    let mut container = logged(&["lines", "INFO a", "  more", "INFO b"], NON_BLOCKING);
    let log = container.log.as_mut().unwrap();
    log.message_start = Some("^INFO".to_owned());
    run(&world, container);
    assert_eq!(messages(&world), ["INFO a\n  more", "INFO b"]);
}
