//! The task's log driver: the `__logs` helper, which is started again when it dies, and the pipes that lead to it.

use std::collections::BTreeMap;
use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use desired::role::RoleDir;
use desired::{Body, ContainerStatus, PullIdentity, TaskStatus};
use sys::process::SealedSelf;
use types::random_hex;

use super::{Halt, Shim, complain};
use crate::awslogs::{Job, Source};
use crate::helper::{Helper, LOGS, Lost, Report, opened};
use crate::sink::Sink;

/// How long the streams may take to be made: three tries that time out, and a pause.
const READY: Duration = Duration::from_secs(60);
/// How long what the containers said last may take to be sent once they have ended.
const FLUSH: Duration = Duration::from_secs(10);
/// The first pause before a helper that has died is started again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, and how long a helper lives whose death is the first again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The helper at work, and what outlives it. Without a container that has a log driver there is none.
#[derive(Default)]
pub(super) struct Logger {
    helper: Option<Helper>,
    /// Where containers that have not ended write, by name.
    sinks: BTreeMap<String, Sink>,
    /// The ends that helpers read. What waits in a pipe outlives a helper, as they stay open here too.
    readers: BTreeMap<String, PipeReader>,
    /// What stands before each line in the pipes.
    marker: String,
    /// When the helper at work was started.
    started: Option<Instant>,
    /// How many have died, one soon after the other.
    deaths: u32,
    /// When the next one is started.
    due: Option<Instant>,
    /// Whether all that containers said is sent.
    sent: bool,
    losses: BTreeMap<String, Losses>,
}

/// A container's log events that do not arrive.
#[derive(Default)]
struct Losses {
    /// Dropped on the way to a helper.
    before: Arc<AtomicU64>,
    /// By helpers that have died.
    by_dead: Lost,
    /// By the one at work.
    by_living: Lost,
}

impl Losses {
    /// The helper at work has died.
    fn died(&mut self) {
        let Lost { dropped, refused, because } = std::mem::take(&mut self.by_living);
        self.by_dead.dropped += dropped;
        self.by_dead.refused += refused;
        self.by_dead.because = because.or(self.by_dead.because.take());
    }

    /// Tells of them.
    fn count(&self, status: &mut ContainerStatus) {
        let Self { before, by_dead, by_living } = self;
        status.dropped_events = before.load(Ordering::Relaxed) + by_dead.dropped + by_living.dropped;
        status.refused_events = by_dead.refused + by_living.refused;
        status.refused_because = by_living.because.clone().or_else(|| by_dead.because.clone());
    }
}

/// How long is waited after so many deaths, one soon after the other, until a helper is started again.
fn pause(deaths: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(deaths.saturating_sub(1))).min(LONGEST_PAUSE)
}

impl Logger {
    /// Where a container that is started writes.
    pub(super) fn sink(&self, container: &str) -> Option<Sink> {
        self.sinks.get(container).cloned()
    }

    /// A container has ended and is not started again: what it said is all.
    pub(super) fn close(&mut self, container: &str) {
        self.sinks.remove(container);
    }

    /// What its reports can be read from.
    pub(super) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.helper.as_ref().map(AsFd::as_fd)
    }

    /// When a helper has to be started.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Ends the helper, whatever it has to send, and for good.
    pub(super) fn kill(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.kill();
        }
        self.due = None;
        self.sinks.clear();
        self.readers.clear();
    }

    /// There is no helper any more although there is something to do.
    fn died(&mut self, now: Instant) {
        self.losses.values_mut().for_each(Losses::died);
        if self.started.take().is_some_and(|started| now - started >= LONGEST_PAUSE) {
            self.deaths = 0;
        }
        self.deaths += 1;
        let pause = pause(self.deaths);
        self.due = Some(now + pause);
        let seconds = pause.as_secs();
        complain(&format!(
            "the log driver has died, and is started again in {seconds} s; lines that it had taken and not sent are lost"
        ));
    }

    /// Tells of lost events.
    fn count(&self, status: &mut TaskStatus) {
        for (container, losses) in &self.losses {
            if let Some(status) = status.containers.get_mut(container) {
                losses.count(status);
            }
        }
    }
}

impl Shim<'_> {
    /// Starts the helper, which makes the log streams while images are pulled.
    pub(super) fn start_logger(&mut self, program: &SealedSelf) -> Result<(), Halt> {
        let begun = self.make_pipes().and_then(|()| {
            if !self.logger.readers.is_empty() {
                self.start_logs_helper(program, self.task.pull.clone())?;
            }
            Ok(())
        });
        begun.map_err(|cause| {
            Halt::Failed(format!("ResourceInitializationError: failed to validate logger args: {cause}"))
        })
    }

    fn make_pipes(&mut self) -> std::io::Result<()> {
        self.logger.marker = random_hex(16);
        for container in &self.task.containers {
            let Some(destination) = &container.log else { continue };
            let (reader, writer) = std::io::pipe()?;
            let losses = Losses::default();
            let sink = Sink::new(writer, destination.mode, &self.logger.marker, losses.before.clone())?;
            self.logger.losses.insert(container.name.clone(), losses);
            self.logger.readers.insert(container.name.clone(), reader);
            self.logger.sinks.insert(container.name.clone(), sink);
        }
        Ok(())
    }

    fn start_logs_helper(&mut self, program: &SealedSelf, identity: PullIdentity) -> std::io::Result<()> {
        let source = |(name, reader): (&String, &PipeReader)| {
            Some(Source {
                container: name.clone(),
                destination: self.container(name)?.log.clone()?,
                lines: opened(reader),
            })
        };
        let job = Job {
            identity,
            dns_servers: self.task.dns.servers.clone(),
            task: self.dir.to_owned(),
            network: self.state.join("netns").join(self.task.interface.as_str()),
            marker: self.logger.marker.clone(),
            containers: self.logger.readers.iter().filter_map(source).collect(),
        };
        self.logger.helper = Some(Helper::start(program, LOGS, self.dir, &job, None)?);
        self.logger.started = Some(Instant::now());
        Ok(())
    }

    /// Waits until the log streams are there.
    pub(super) fn await_logger(&mut self) -> Result<(), Halt> {
        let deadline = Instant::now() + READY;
        while let Some(helper) = &mut self.logger.helper {
            let (reports, ended) = helper.reports();
            for report in reports {
                match report {
                    Report::Ready => return Ok(()),
                    Report::Failed(why) => {
                        self.logger.kill();
                        return Err(Halt::Failed(why));
                    }
                    _ => (),
                }
            }
            if ended || Instant::now() >= deadline {
                self.logger.kill();
                let why = if ended { "the log driver ended unexpectedly" } else { "signal: killed" };
                return Err(Halt::Failed(format!(
                    "ResourceInitializationError: failed to validate logger args: {why}"
                )));
            }
            let watched = [helper.as_fd()];
            let woken = self.events.wait(&watched, Some(deadline));
            let woken = woken.map_err(|cause| Halt::Failed(format!("InternalError: {cause}")))?;
            if woken.stop {
                self.stop = true;
                self.logger.kill();
                return Err(Halt::Stopped);
            }
        }
        Ok(())
    }

    /// Takes in what the helper reports, and starts another one when it is time to.
    pub(super) fn tend_logger(&mut self, program: &SealedSelf) {
        let now = Instant::now();
        if let Some(helper) = &mut self.logger.helper {
            let (reports, ended) = helper.reports();
            for report in reports {
                match report {
                    Report::Lost { container, lost } => {
                        if let Some(losses) = self.logger.losses.get_mut(&container) {
                            losses.by_living = lost;
                        }
                    }
                    Report::Failed(why) => complain(&why),
                    Report::Sent => self.logger.sent = true,
                    _ => (),
                }
            }
            if ended {
                self.logger.helper = None;
                if !self.logger.sent {
                    self.logger.died(now);
                }
            }
        }
        if self.logger.due.is_some_and(|due| due <= now) {
            self.logger.due = None;
            // The part has the session's newest key pair.
            let identity = match RoleDir::new(self.dir).read_config().map(|part| part.body) {
                Ok(Some(Body::Task(task))) => task.pull,
                _ => self.task.pull.clone(),
            };
            if let Err(cause) = self.start_logs_helper(program, identity) {
                complain(&format!("the log driver cannot be started: {cause}"));
                self.logger.died(now);
            }
        }
        self.logger.count(&mut self.status);
    }

    /// All containers have ended: waits, but not for long, until what they said is sent.
    pub(super) fn flush_logger(&mut self, program: &SealedSelf) {
        self.logger.sinks.clear();
        let now = Instant::now();
        // What waits in the pipes has no other chance.
        self.logger.due = self.logger.due.map(|due| due.min(now));
        let deadline = now + FLUSH;
        loop {
            self.tend_logger(program);
            if self.logger.sent || self.logger.readers.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                complain("not all that the containers said could be sent to CloudWatch Logs");
                break;
            }
            let watched: Vec<BorrowedFd<'_>> = self.logger.watched().into_iter().collect();
            let until = self.logger.deadline().map_or(deadline, |due| due.min(deadline));
            if self.events.wait(&watched, Some(until)).is_err() {
                break;
            }
        }
        self.logger.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_dies_again_and_again_is_waited_for_longer_and_longer() {
        let seconds = [1, 2, 3, 4, 5, 6, 7, 8, 100].map(|deaths| pause(deaths).as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let mut logger = Logger::default();
        let now = Instant::now();
        for (lived, want) in [(0, 1), (5, 2), (59, 4), (60, 1), (1, 2)] {
            logger.started = Some(now);
            let died = now + Duration::from_secs(lived);
            logger.died(died);
            assert_eq!(logger.due, Some(died + Duration::from_secs(want)), "lived {lived} s");
        }
    }

    #[test]
    fn losses_are_counted_over_the_deaths_of_helpers_and_the_last_refusal_stays() {
        let refused = |dropped, refused, why: &str| Lost { dropped, refused, because: Some(why.to_owned()) };
        let mut losses = Losses { by_living: refused(1, 2, "first"), ..Losses::default() };
        losses.before.store(10, Ordering::Relaxed);
        losses.died();
        let told = |losses: &Losses| {
            let mut status = ContainerStatus::default();
            losses.count(&mut status);
            (status.dropped_events, status.refused_events, status.refused_because.unwrap())
        };
        assert_eq!(told(&losses), (11, 2, "first".to_owned()));
        losses.by_living = refused(1, 5, "second");
        assert_eq!(told(&losses), (12, 7, "second".to_owned()));
        losses.died();
        losses.died();
        assert_eq!(told(&losses), (12, 7, "second".to_owned()));
    }
}
