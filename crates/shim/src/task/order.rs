//! When a container may be started, and when it may be told to end: pure, by the words of the ECS agent.

use std::time::Duration;

use desired::{Container, ContainerHealthStatus, ContainerStatus, DependencyCondition};

/// Whether a container may be started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// All that it waits for is so.
    Ready,
    /// Not yet.
    Waiting,
    /// It never may, and why.
    Never(String),
}

/// What is known of a container that another one waits for.
#[derive(Debug)]
pub(super) struct Awaited<'a> {
    pub(super) status: &'a ContainerStatus,
    /// Whether it has had its start timeout to become what is waited for.
    pub(super) overdue: bool,
}

/// The exit code of a container that was never started, as the agent sets it ("Stop container when dependencies are
/// non-resolvable").
pub(super) const NEVER_STARTED: i32 = 143;

/// How long a container has to become what its dependents wait for, unless it says ("startTimeout": 3 minutes).
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(180);

/// Whether `container` may be started, given what is known of the others.
pub(super) fn readiness<'a>(container: &Container, known: impl Fn(&str) -> Option<Awaited<'a>>) -> Readiness {
    let mut all = true;
    for dependency in &container.depends_on {
        let Some(Awaited { status, overdue }) = known(&dependency.container) else { continue };
        let ended = status.finished_at.is_some();
        let never = |why: &str| {
            Readiness::Never(format!(
                "dependency graph: failed to resolve container ordering dependency [{}] for target [{}] as {why}",
                dependency.container, container.name
            ))
        };
        let is_so = match dependency.condition {
            DependencyCondition::Start => status.running || ended,
            DependencyCondition::Complete => ended,
            DependencyCondition::Success if ended && status.exit_code != Some(0) => {
                return never("dependency did not exit successfully.");
            }
            DependencyCondition::Success => ended,
            DependencyCondition::Healthy if ended => return never("dependency has exited."),
            DependencyCondition::Healthy => {
                status.health.as_ref().is_some_and(|health| health.status == ContainerHealthStatus::Healthy)
            }
        };
        if !is_so && overdue && dependency.condition != DependencyCondition::Start {
            return Readiness::Never(format!(
                "dependency graph: container ordering dependency [{}] for target [{}] has timed out.",
                dependency.container, container.name
            ));
        }
        all &= is_so;
    }
    if all { Readiness::Ready } else { Readiness::Waiting }
}

/// Whether a running container may be told to end: none that runs still depends on it.
pub(super) fn may_stop(name: &str, containers: &[Container], runs: impl Fn(&str) -> bool) -> bool {
    !containers.iter().any(|other| {
        other.name != name && runs(&other.name) && other.depends_on.iter().any(|on| on.container == name)
    })
}

#[cfg(test)]
mod tests {
    use desired::{ContainerHealth, Dependency};
    use types::Timestamp;

    use super::*;

    fn waiting(condition: DependencyCondition) -> Container {
        Container {
            name: "a".to_owned(),
            depends_on: vec![Dependency { container: "b".to_owned(), condition }],
            ..Container::default()
        }
    }

    #[track_caller]
    fn check(condition: DependencyCondition, other: &ContainerStatus, overdue: bool, want: &str) {
        let found = match readiness(&waiting(condition), |_| Some(Awaited { status: other, overdue })) {
            Readiness::Ready => "ready".to_owned(),
            Readiness::Waiting => "waiting".to_owned(),
            Readiness::Never(why) => why,
        };
        assert!(found.ends_with(want), "{condition:?} {other:?}: {found}");
    }

    #[test]
    fn a_container_starts_when_what_it_waits_for_is_so() {
        use DependencyCondition::{Complete, Healthy, Start, Success};
        let fresh = ContainerStatus::default();
        let running = ContainerStatus { running: true, ..fresh.clone() };
        let ended = |code| ContainerStatus {
            exit_code: Some(code),
            finished_at: Some(Timestamp::now()),
            ..fresh.clone()
        };
        let health = |status| {
            let health =
                ContainerHealth { status, since: Timestamp::now(), exit_code: None, output: String::new() };
            ContainerStatus { health: Some(health), ..running.clone() }
        };
        for condition in [Start, Complete, Success, Healthy] {
            check(condition, &fresh, false, "waiting");
        }
        check(Start, &running, false, "ready");
        check(Start, &ended(1), false, "ready");
        check(Complete, &running, false, "waiting");
        check(Complete, &ended(1), false, "ready");
        check(Success, &running, false, "waiting");
        check(Success, &ended(0), false, "ready");
        check(Success, &ended(1), false, "for target [a] as dependency did not exit successfully.");
        check(Healthy, &running, false, "waiting");
        check(Healthy, &health(ContainerHealthStatus::Unknown), false, "waiting");
        check(Healthy, &health(ContainerHealthStatus::Unhealthy), false, "waiting");
        check(Healthy, &health(ContainerHealthStatus::Healthy), false, "ready");
        check(Healthy, &ended(0), false, "for target [a] as dependency has exited.");
        for condition in [Complete, Success, Healthy] {
            check(condition, &running, true, "dependency [b] for target [a] has timed out.");
        }
        check(Start, &fresh, true, "waiting");
    }

    #[test]
    fn what_others_depend_on_ends_last() {
        let containers =
            [waiting(DependencyCondition::Start), Container { name: "b".to_owned(), ..Container::default() }];
        assert!(may_stop("a", &containers, |_| true));
        assert!(!may_stop("b", &containers, |_| true));
        assert!(may_stop("b", &containers, |name| name == "b"));
    }
}
