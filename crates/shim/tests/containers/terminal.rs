//! Containers with an input that stays open, and with a terminal.

use std::time::Duration;

use desired::{Container, ContainerHealthStatus};
use shim::logs::Stream;

use crate::logging::{NON_BLOCKING, logged, messages};
use crate::order::check;
use crate::support::{World, container, only};

#[test]
fn an_interactive_container_s_input_stays_open_and_another_one_s_is_empty() {
    let world = World::new();
    let (status, output) = world.finish(&["cat"]);
    assert_eq!((only(&status).exit_code, output.as_str()), (Some(0), "0 bytes\n"));
    let waits = Container {
        interactive: true,
        stop_timeout: Duration::from_secs(1),
        health_check: check(&["/app", "exit", "0"]),
        ..container("app", &["cat"])
    };
    let mut task = world.run(world.task(vec![waits]));
    task.wait("healthy", |status| {
        let health = only(status).health.as_ref();
        health.is_some_and(|health| health.status == ContainerHealthStatus::Healthy)
    });
    task.stop();
    assert_eq!(only(&task.wait_end()).exit_code, Some(137), "it reads until it is killed");
    assert_eq!(task.output("app"), "");
}

#[test]
fn a_terminal_is_a_container_s_input_and_output_and_all_it_shows_is_standard_output() {
    let world = World::new();
    let app = Container { pseudo_terminal: true, ..logged(&["terminal", "5"], NON_BLOCKING) };
    let mut task = world.run(world.task(vec![app]));
    assert_eq!(only(&task.wait_end()).exit_code, Some(5));
    let want = ["[true, true, true] xterm", "an error", "to the terminal"];
    let lines: Vec<_> =
        shim::logs::read(&task.dir, "app").unwrap().map(|line| (line.stream, line.message)).collect();
    assert_eq!(lines, want.map(|text| (Stream::Stdout, text.into())));
    assert_eq!(messages(&world), want);
    let left = std::fs::read_dir(&task.dir).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("tty-")), "no socket is left");
}

#[test]
fn what_waits_at_a_terminal_is_checked_and_stopped_as_any_other() {
    let world = World::new();
    let app = Container {
        pseudo_terminal: true,
        interactive: true,
        health_check: check(&["/app", "exit", "0"]),
        environment: [("TERM".to_owned(), "dumb".to_owned())].into(),
        ..container("app", &["trap"])
    };
    let mut task = world.run(world.task(vec![app]));
    task.wait("healthy", |status| {
        let health = only(status).health.as_ref();
        health.is_some_and(|health| health.status == ContainerHealthStatus::Healthy)
    });
    task.wait_output("app", "ready");
    task.stop();
    assert_eq!(only(&task.wait_end()).exit_code, Some(7));
    assert_eq!(task.output("app"), "ready\ngot SIGTERM\n");
}
