//! When a target becomes healthy or unhealthy: "Health checks for Application Load Balancer target groups".

use desired::{HealthReason, HealthState};

/// Results in a row that turn a target over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    /// HealthyThresholdCount.
    pub(crate) healthy: u32,
    /// UnhealthyThresholdCount.
    pub(crate) unhealthy: u32,
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The status matches.
    Pass,
    /// It does not, or there was none.
    Fail(Failure),
}

/// Why a check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This status does not match.
    Status(u16),
    /// No connection or no answer in time.
    TimedOut,
    /// Refused, reset, or no HTTP.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Initial,
    Healthy,
    Unhealthy(Failure),
}

/// A target's health as one node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    condition: Condition,
    /// Results in a row that speak against the condition.
    contrary: u32,
}

impl Health {
    /// No check has decided yet.
    pub(crate) const INITIAL: Self = Self { condition: Condition::Initial, contrary: 0 };

    /// The health after a check. A new target needs one success, or as many failures as any other.
    #[must_use]
    pub(crate) fn after(self, verdict: Verdict, thresholds: Thresholds) -> Self {
        let turned = |condition| Self { condition, contrary: 0 };
        let contrary = self.contrary.saturating_add(1);
        match (self.condition, verdict) {
            (Condition::Initial, Verdict::Pass) => turned(Condition::Healthy),
            (Condition::Initial | Condition::Healthy, Verdict::Fail(failure)) => {
                if contrary >= thresholds.unhealthy {
                    turned(Condition::Unhealthy(failure))
                } else {
                    Self { contrary, ..self }
                }
            }
            (Condition::Healthy, Verdict::Pass) => turned(Condition::Healthy),
            (Condition::Unhealthy(_), Verdict::Pass) => {
                if contrary >= thresholds.healthy {
                    turned(Condition::Healthy)
                } else {
                    Self { contrary, ..self }
                }
            }
            (Condition::Unhealthy(_), Verdict::Fail(failure)) => turned(Condition::Unhealthy(failure)),
        }
    }

    /// Whether the target takes requests in the ordinary way.
    pub(crate) fn is_healthy(self) -> bool {
        self.condition == Condition::Healthy
    }

    /// Whether no check has decided yet.
    pub(crate) fn is_initial(self) -> bool {
        self.condition == Condition::Initial
    }

    /// The health in AWS's words.
    pub(crate) fn state(self) -> HealthState {
        let failure = match self.condition {
            Condition::Initial => return HealthState::Initial,
            Condition::Healthy => return HealthState::Healthy,
            Condition::Unhealthy(failure) => failure,
        };
        let (reason, description) = match failure {
            Failure::Status(status) => (
                HealthReason::ResponseCodeMismatch,
                format!("Health checks failed with these codes: [{status}]"),
            ),
            Failure::TimedOut => (HealthReason::Timeout, "Request timed out".to_owned()),
            Failure::Broken => (HealthReason::FailedHealthChecks, "Health checks failed".to_owned()),
        };
        HealthState::Unhealthy { reason, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THRESHOLDS: Thresholds = Thresholds { healthy: 3, unhealthy: 2 };
    const FAIL: Verdict = Verdict::Fail(Failure::TimedOut);

    fn after(verdicts: &[Verdict]) -> Health {
        verdicts.iter().fold(Health::INITIAL, |health, verdict| health.after(*verdict, THRESHOLDS))
    }

    #[test]
    fn a_new_target_needs_one_success() {
        assert!(after(&[Verdict::Pass]).is_healthy());
        assert!(after(&[FAIL, Verdict::Pass]).is_healthy());
    }

    #[test]
    fn a_new_target_stays_initial_until_the_unhealthy_threshold() {
        assert!(after(&[FAIL]).is_initial());
        assert!(matches!(after(&[FAIL, FAIL]).state(), HealthState::Unhealthy { .. }));
    }

    #[test]
    fn a_healthy_target_turns_only_after_failures_in_a_row() {
        assert!(after(&[Verdict::Pass, FAIL, Verdict::Pass, FAIL]).is_healthy());
        assert!(!after(&[Verdict::Pass, FAIL, FAIL]).is_healthy());
    }

    #[test]
    fn an_unhealthy_target_needs_the_healthy_threshold_in_a_row() {
        let down = [FAIL, FAIL, Verdict::Pass, Verdict::Pass];
        assert!(!after(&down).is_healthy());
        assert!(!after(&[&down[..], &[FAIL, Verdict::Pass, Verdict::Pass]].concat()).is_healthy());
        assert!(after(&[&down[..], &[Verdict::Pass]].concat()).is_healthy());
    }

    #[test]
    fn the_newest_failure_gives_the_reason_in_aws_s_words() {
        let code = after(&[FAIL, FAIL, Verdict::Fail(Failure::Status(404))]).state();
        let description = "Health checks failed with these codes: [404]".to_owned();
        assert_eq!(code, HealthState::Unhealthy { reason: HealthReason::ResponseCodeMismatch, description });
        let HealthState::Unhealthy { reason, description } = after(&[FAIL, FAIL]).state() else { panic!() };
        assert_eq!((reason, &*description), (HealthReason::Timeout, "Request timed out"));
        let broken = Verdict::Fail(Failure::Broken);
        let HealthState::Unhealthy { reason, description } = after(&[broken, broken]).state() else {
            panic!()
        };
        assert_eq!((reason, &*description), (HealthReason::FailedHealthChecks, "Health checks failed"));
    }

    proptest! {
        /// The state machine agrees with a look at the whole history: the last run of equal results that reached its
        /// threshold decides.
        #[test]
        fn the_last_run_that_reached_its_threshold_decides(
            results in proptest::collection::vec(any::<bool>(), 0..60),
            healthy in 1_u32..6,
            unhealthy in 1_u32..6,
        ) {
            let thresholds = Thresholds { healthy, unhealthy };
            let mut health = Health::INITIAL;
            // None: initial.
            let mut expected = None;
            for end in 1..=results.len() {
                let passed = results[end - 1];
                let run = results[..end].iter().rev().take_while(|result| **result == passed).count();
                // The first success of a target that is still initial counts by itself. A run is counted anew
                // when the condition turns, which cannot come in the middle of a run of the other kind.
                let needed = match (expected, passed) { (None, true) => 1, (_, true) => healthy, (_, false) => unhealthy };
                if run >= needed as usize {
                    expected = Some(passed);
                }
                let verdict = if passed { Verdict::Pass } else { Verdict::Fail(Failure::Broken) };
                health = health.after(verdict, thresholds);
                prop_assert_eq!(health.is_healthy(), expected == Some(true));
                // Failures before the first decision add up only in a row, as nothing else can come between.
                prop_assert_eq!(health.is_initial(), expected.is_none());
            }
        }
    }
}
