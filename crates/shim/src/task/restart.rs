//! A container that ends by itself and is started again in its place ("Restart individual containers in Amazon ECS tasks
//! with container restart policies"): the same root file system, control group and log, a new process.

use std::collections::BTreeMap;
use std::time::Duration;

use desired::RestartPolicy;
use sys::process::SealedSelf;

use super::{End, Shim, complain};
use crate::pull::Pulled;

/// Whether a container that has ended with this code, and has run this long since it was last started, is started again.
pub(super) fn is_due(policy: Option<&RestartPolicy>, code: i32, ran: Duration) -> bool {
    policy.is_some_and(|policy| !policy.ignored_exit_codes.contains(&code) && ran >= policy.attempt_period)
}

impl Shim<'_> {
    /// Starts again what has ended and shall be. To everybody else such a container has never stopped running.
    pub(super) fn restart(&mut self, program: &SealedSelf, images: &BTreeMap<String, Pulled>) {
        while let Some((name, end)) = self.restarting.pop_first() {
            let container = self.container(&name).cloned();
            let (Some(container), Some(image), false) = (container, images.get(&name), self.stop) else {
                self.end(&name, end);
                continue;
            };
            complain(&format!("{name} has ended with {} and is started again", end.code));
            if let Err(why) = self.start_again(program, &container, image) {
                let why = format!("CannotStartContainerError: ResourceInitializationError: {why}");
                complain(&format!("{name}: {why}"));
                self.end(&name, End { reason: Some(why), ..end });
            }
            self.publish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ignored: &[i32], code: i32, ran: u64, want: bool) {
        let policy =
            RestartPolicy { ignored_exit_codes: ignored.to_vec(), attempt_period: Duration::from_secs(60) };
        let ran = Duration::from_secs(ran);
        assert_eq!(is_due(Some(&policy), code, ran), want, "{ignored:?} {code} {ran:?}");
        assert!(!is_due(None, code, ran), "without a policy");
    }

    #[test]
    fn a_container_is_started_again_once_it_has_run_for_the_period_unless_its_code_is_ignored() {
        check(&[], 1, 60, true);
        check(&[], 0, 3600, true);
        check(&[], 137, 61, true);
        check(&[], 1, 59, false);
        check(&[0], 0, 3600, false);
        check(&[0, 143], 143, 3600, false);
        check(&[0, 143], 1, 3600, true);
    }
}
