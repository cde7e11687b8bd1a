//! When a service whose tasks fail starts the next one ("Service throttle logic").
//!
//! AWS waits up to 27 minutes, and lets a task that was RUNNING once be replaced at once, as its own start takes half a
//! minute. Here a start takes a fraction of a second: a task that crashes early counts as failed too, and the longest
//! wait is a minute, so that a corrected image or role is picked up soon.

use std::time::Duration;

use types::Timestamp;

use crate::ecs::service::Failures;

/// A task that ran this long was no failure of the service: it is replaced at once.
const LIVED: Duration = Duration::from_secs(60);
/// Failures this close together are one: tasks that were started together fail together.
const ROUND: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// From this round on the service's events speak of it.
const NOTED: u32 = 4;

/// How long to wait after so many failed rounds: nothing, a second, two, four… a minute.
pub fn delay(rounds: u32) -> Duration {
    match rounds {
        0 | 1 => Duration::ZERO,
        rounds => Duration::from_secs(1_u64.checked_shl(rounds - 2).unwrap_or(u64::MAX)).min(LONGEST),
    }
}

/// Counts a task that ended by itself after it had run for so long. Whether it is worth an event.
pub fn task_failed(failures: &mut Failures, ran: Option<Duration>, now: Timestamp) -> bool {
    if ran.is_some_and(|ran| ran >= LIVED) {
        *failures = Failures::default();
        return false;
    }
    count(failures, 1, now)
}

/// Counts a task that could not even be made. There is always a wait, or the next attempt would follow at once.
pub fn launch_failed(failures: &mut Failures, now: Timestamp) -> bool {
    count(failures, 2, now)
}

fn count(failures: &mut Failures, least: u32, now: Timestamp) -> bool {
    if failures.last_at.is_some_and(|last| now.since(last) < ROUND)
        || failures.retry_at.is_some_and(|retry| now < retry)
    {
        return false;
    }
    failures.rounds = failures.rounds.saturating_add(1).max(least);
    failures.last_at = Some(now);
    failures.retry_at = Some(now.plus(delay(failures.rounds)));
    failures.rounds == NOTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let seconds: Vec<u64> = (0..12).map(|rounds| delay(rounds).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn tasks_that_fail_together_are_one_round() {
        let mut failures = Failures::default();
        for millis in [0, 10, 400] {
            task_failed(&mut failures, None, at(millis));
        }
        assert_eq!((failures.rounds, failures.retry_at), (1, Some(at(0))));
        task_failed(&mut failures, Some(Duration::from_secs(1)), at(900));
        assert_eq!((failures.rounds, failures.retry_at), (2, Some(at(1900))));
    }

    #[test]
    fn a_task_that_lived_is_replaced_at_once() {
        let mut failures = Failures { rounds: 5, last_at: Some(at(0)), retry_at: Some(at(8000)) };
        task_failed(&mut failures, Some(Duration::from_secs(61)), at(70_000));
        assert_eq!(failures, Failures::default());
    }

    #[test]
    fn a_launch_that_fails_always_waits() {
        let mut failures = Failures::default();
        launch_failed(&mut failures, at(0));
        assert_eq!(failures.retry_at, Some(at(1000)));
    }
}
