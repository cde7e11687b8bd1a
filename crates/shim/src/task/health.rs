//! A container's own health check: a program that is run in it time and again ("HealthCheck").

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use desired::{ContainerHealth, ContainerHealthCheck, ContainerHealthStatus};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use types::Timestamp;

use crate::helper::{Helper, Report};

/// How much of a check's output is kept, in bytes, as Docker does.
const OUTPUT: usize = 4096;

/// The checks of one container.
#[derive(Debug)]
pub(super) struct Checks {
    check: ContainerHealthCheck,
    started: Instant,
    /// When the next check begins, while none runs.
    due: Instant,
    failures: u32,
    probe: Option<Probe>,
}

/// A check at work.
#[derive(Debug)]
struct Probe {
    helper: Helper,
    output: PipeReader,
    /// What was printed so far.
    printed: Vec<u8>,
    /// Its process, once it is known.
    pid: Option<Pid>,
    code: Option<i32>,
    /// Why there was none.
    failed: Option<String>,
    deadline: Instant,
    overdue: bool,
}

impl Checks {
    pub(super) fn new(check: ContainerHealthCheck) -> Self {
        let started = Instant::now();
        let due = started + check.interval;
        Self { check, started, due, failures: 0, probe: None }
    }

    /// The program, when it is time to run it.
    pub(super) fn due(&self) -> Option<&[String]> {
        (self.probe.is_none() && self.due <= Instant::now()).then_some(&self.check.command)
    }

    /// Puts off the check that could not be run.
    pub(super) fn postpone(&mut self) {
        self.due = Instant::now() + self.check.interval;
    }

    /// When something has to be done at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.probe {
            None => Some(self.due),
            Some(probe) => (!probe.overdue).then_some(probe.deadline),
        }
    }

    pub(super) fn begin(&mut self, helper: Helper, output: PipeReader) -> std::io::Result<()> {
        fcntl(output.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.probe = Some(Probe {
            helper,
            output,
            printed: Vec::new(),
            pid: None,
            code: None,
            failed: None,
            deadline: Instant::now() + self.check.timeout,
            overdue: false,
        });
        Ok(())
    }

    /// What has to be waited for.
    pub(super) fn watched(&self) -> Option<[BorrowedFd<'_>; 2]> {
        let probe = self.probe.as_ref()?;
        Some([probe.helper.as_fd(), probe.output.as_fd()])
    }

    /// Tells of a child that has ended; whether it was this check's program.
    pub(super) fn ended(&mut self, pid: Pid, code: i32) -> bool {
        match &mut self.probe {
            Some(probe) if probe.pid == Some(pid) => {
                probe.code = Some(code);
                true
            }
            _ => false,
        }
    }

    /// Hears what the helper says and the program prints; ends what takes too long. `early` gives the exit code of a
    /// process that ended before it was known who it is. Gives the container's health when a check is over.
    pub(super) fn hear(
        &mut self,
        before: Option<&ContainerHealth>,
        mut early: impl FnMut(Pid) -> Option<i32>,
    ) -> Option<ContainerHealth> {
        let probe = self.probe.as_mut()?;
        let closed = probe.hear(&mut early);
        if !probe.overdue && probe.code.is_none() && probe.deadline <= Instant::now() {
            probe.overdue = true;
            probe.kill();
        }
        let over = probe.code.is_some() || (closed && probe.pid.is_none());
        if !over {
            return None;
        }
        let seconds = self.check.timeout.as_secs();
        let code = probe.code.filter(|_| !probe.overdue);
        let output = match (&probe.failed, probe.overdue) {
            (_, true) => format!("Health check exceeded timeout ({seconds}s)"),
            (Some(why), _) => why.clone(),
            (None, _) => String::from_utf8_lossy(&probe.printed).into_owned(),
        };
        self.probe = None;
        self.due = Instant::now() + self.check.interval;
        let was = before.map_or(ContainerHealthStatus::Unknown, |health| health.status);
        let in_start_period = self.started.elapsed() < self.check.start_period;
        let status;
        (status, self.failures) =
            judge(was, self.failures, code == Some(0), in_start_period, self.check.retries);
        let now = Timestamp::now();
        let since = before.filter(|health| health.status == status).map_or(now, |health| health.since);
        Some(ContainerHealth { status, since, exit_code: Some(code.unwrap_or(-1)), output })
    }

    /// Ends a check at work.
    pub(super) fn kill(&mut self) {
        if let Some(probe) = self.probe.take() {
            probe.kill();
        }
    }
}

impl Probe {
    /// Whether the helper has closed its side.
    fn hear(&mut self, early: &mut impl FnMut(Pid) -> Option<i32>) -> bool {
        let (reports, closed) = self.helper.reports();
        for report in reports {
            match report {
                Report::Created { pid } => self.pid = Some(Pid::from_raw(pid)),
                Report::Failed(why) => self.failed = Some(why),
                _ => (),
            }
        }
        if let Some(pid) = self.pid.filter(|_| self.code.is_none()) {
            self.code = early(pid);
        }
        let mut chunk = [0; 1024];
        while let Ok(read @ 1..) = self.output.read(&mut chunk) {
            let room = OUTPUT.saturating_sub(self.printed.len());
            self.printed.extend_from_slice(&chunk[..read.min(room)]);
        }
        closed
    }

    fn kill(&self) {
        self.helper.kill();
        // It is the leader of a session of its own: what it has started goes with it.
        if let Some(pid) = self.pid.filter(|_| self.code.is_none()) {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

/// A container's next health and how many checks in a row have failed, after one more check.
fn judge(
    was: ContainerHealthStatus,
    failures: u32,
    success: bool,
    in_start_period: bool,
    retries: u32,
) -> (ContainerHealthStatus, u32) {
    use ContainerHealthStatus::{Healthy, Unhealthy, Unknown};
    match success {
        true => (Healthy, 0),
        // Nothing counts before the first success of a start period.
        false if in_start_period && was == Unknown => (Unknown, 0),
        false if failures + 1 >= retries => (Unhealthy, failures + 1),
        false => (was, failures + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_failures_in_a_row_as_retries_make_a_container_unhealthy() {
        use ContainerHealthStatus::{Healthy, Unhealthy, Unknown};
        #[track_caller]
        fn check(checks: &str, retries: u32, want: ContainerHealthStatus) {
            // s: success, f: failure, F: failure in the start period
            let last = checks.chars().fold((Unknown, 0), |(was, failures), check| {
                judge(was, failures, check == 's', check == 'F', retries)
            });
            assert_eq!(last.0, want, "{checks}");
        }
        check("", 3, Unknown);
        check("ff", 3, Unknown);
        check("fff", 3, Unhealthy);
        check("ffsff", 3, Healthy);
        check("sff", 3, Healthy);
        check("sfff", 3, Unhealthy);
        check("fffs", 3, Healthy);
        check("FFFFFF", 3, Unknown);
        check("FFFff", 3, Unknown);
        check("sFFF", 3, Unhealthy);
        check("f", 1, Unhealthy);
    }
}
