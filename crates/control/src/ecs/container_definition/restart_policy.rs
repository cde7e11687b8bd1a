//! `restartPolicy`: a container that is started again in its place ("ContainerRestartPolicy").

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::ApiError;

use crate::ecs::client;

/// The most exit codes that are ignored.
const MOST_CODES: usize = 50;

/// How long a container runs before it is started again, in seconds: without a period of its own, and the bounds of one.
const PERIOD: u32 = 300;
const SHORTEST: u32 = 60;
const LONGEST: u32 = 1800;

/// When a container that has ended by itself is started again without a new task. Printed as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartPolicy {
    /// Whether it is at all.
    pub enabled: bool,
    /// Exit codes with which it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_exit_codes: Option<Vec<i32>>,
    /// How many seconds it must have run since it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_attempt_period: Option<u32>,
}

impl RestartPolicy {
    /// Checks the bounds that ECS documents.
    ///
    /// # Errors
    /// With the member and the container's name.
    pub(super) fn check(&self, container: &str) -> Result<(), ApiError> {
        let wrong = |what: String| {
            client(format!("Invalid 'restartPolicy' setting for container '{container}': {what}."))
        };
        if self.ignored_exit_codes.as_ref().is_some_and(|codes| codes.len() > MOST_CODES) {
            return Err(wrong(format!("ignoredExitCodes must have at most {MOST_CODES} exit codes")));
        }
        if self.restart_attempt_period.is_some_and(|period| !(SHORTEST..=LONGEST).contains(&period)) {
            return Err(wrong(format!("restartAttemptPeriod must be from {SHORTEST} to {LONGEST} seconds")));
        }
        Ok(())
    }

    /// The policy as a task's shim keeps to it. None: it is not enabled.
    pub(crate) fn desired(&self) -> Option<desired::RestartPolicy> {
        self.enabled.then(|| desired::RestartPolicy {
            ignored_exit_codes: self.ignored_exit_codes.clone().unwrap_or_default(),
            attempt_period: Duration::from_secs(self.restart_attempt_period.unwrap_or(PERIOD).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_bounds_are_those_that_ecs_documents() {
        for (policy, want) in [
            (json!({"enabled": true}), None),
            (json!({"enabled": true, "ignoredExitCodes": vec![0; 50], "restartAttemptPeriod": 60}), None),
            (json!({"enabled": true, "restartAttemptPeriod": 1800}), None),
            (json!({"enabled": false, "restartAttemptPeriod": 59}), Some("restartAttemptPeriod")),
            (json!({"enabled": true, "restartAttemptPeriod": 1801}), Some("restartAttemptPeriod")),
            (json!({"enabled": true, "ignoredExitCodes": vec![0; 51]}), Some("ignoredExitCodes")),
        ] {
            let known: RestartPolicy = serde_json::from_value(policy.clone()).unwrap();
            assert_eq!(serde_json::to_value(&known).unwrap(), policy, "printed as given");
            let found = known.check("app").err().map(|error| error.message);
            assert_eq!(found.is_some(), want.is_some(), "{policy}");
            assert!(found.unwrap_or_default().contains(want.unwrap_or_default()), "{policy}");
        }
    }

    #[test]
    fn without_a_period_a_container_runs_for_five_minutes_first() {
        let policy = RestartPolicy { enabled: true, ignored_exit_codes: None, restart_attempt_period: None };
        assert_eq!(policy.desired().unwrap().attempt_period, Duration::from_secs(300));
        assert_eq!(RestartPolicy { enabled: false, ..policy }.desired(), None);
    }
}
