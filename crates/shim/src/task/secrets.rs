//! A task's secrets, before anything else of it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use sys::process::SealedSelf;

use super::{Halt, Shim, complain};
use crate::events::Woken;
use crate::helper::{Helper, Report, SECRETS};
use crate::secrets::{self, Values};

impl Shim<'_> {
    /// Reads the values of all containers' secrets, by a helper that enters the task's network namespace.
    pub(super) fn read_secrets(&mut self, program: &SealedSelf) -> Result<Values, Halt> {
        let all = self.task.containers.iter().flat_map(|container| &container.secrets);
        let values_from: BTreeSet<String> = all.map(|secret| secret.value_from.clone()).collect();
        if values_from.is_empty() {
            return Ok(Values::default());
        }
        let failed = |why: &dyn std::fmt::Display| {
            Halt::Failed(format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: {why}"
            ))
        };
        let job = secrets::Job {
            values_from: values_from.into_iter().collect(),
            identity: self.task.pull.clone(),
            dns_servers: self.task.dns.servers.clone(),
            network: self.state.join("netns").join(self.task.interface.as_str()),
        };
        let mut helper =
            Helper::start(program, SECRETS, self.dir, &job, None).map_err(|cause| failed(&cause))?;
        loop {
            match self.events.wait(&[helper.as_fd()], None) {
                Err(cause) => {
                    helper.kill();
                    return Err(failed(&cause));
                }
                Ok(Woken { stop: true, .. }) => {
                    self.stop = true;
                    helper.kill();
                    return Err(Halt::Stopped);
                }
                Ok(_) => (),
            }
            let (reports, ended) = helper.reports();
            for report in reports {
                match report {
                    Report::Secrets(values) => return Ok(values),
                    Report::Failed(why) => return Err(Halt::Failed(why)),
                    Report::Progress(text) => complain(&text),
                    _ => (),
                }
            }
            if ended {
                return Err(failed(&"the helper ended unexpectedly"));
            }
        }
    }
}
