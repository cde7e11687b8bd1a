//! Real containers, started by real shims, from images pulled over TLS inside a network namespace.

#[allow(unreachable_pub, reason = "a module of tests has no public")]
mod support;

use support::{World, container, only};

#[test]
fn a_container_s_output_and_exit_code_are_kept() {
    let world = World::new();
    let (status, output) = world.finish(&["say", "to stdout", "to stderr"]);
    assert_eq!(only(&status).exit_code, Some(0), "{status:?}");
    assert_eq!(output, "to stdout\nto stderr\n");
    let (status, _) = world.finish(&["exit", "42"]);
    let app = only(&status);
    assert_eq!((app.exit_code, app.running, app.reason.as_deref()), (Some(42), false, None));
    assert_eq!(status.error, None);
    assert_eq!(app.runtime_id.len(), 64);
    assert!(status.pull_started_at <= status.pull_stopped_at && status.pull_stopped_at <= status.started_at);
    assert!(status.started_at.is_some() && status.execution_stopped_at.is_some());
    let _ = container;
}
