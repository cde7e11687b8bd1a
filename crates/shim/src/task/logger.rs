//! The task's log driver: the `__logs` helper and the pipes that lead to it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use sys::process::SealedSelf;

use super::{Halt, Shim, complain};
use crate::awslogs::{Job, Source};
use crate::helper::{Helper, LOGS, Report};
use crate::logs::Sink;

/// How long the streams may take to be made: three tries that time out, and a pause.
const READY: Duration = Duration::from_secs(60);
/// How long what the containers said last may take to be sent once they have ended.
const FLUSH: Duration = Duration::from_secs(10);

/// The helper at work. Without a container that has a log driver there is none.
#[derive(Default)]
pub(super) struct Logger {
    helper: Option<Helper>,
    /// Where containers that have not ended write, by name.
    sinks: BTreeMap<String, Sink>,
    /// The helper's ends, until it has opened them.
    readers: Vec<std::io::PipeReader>,
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

    /// Ends the helper, whatever it has to send.
    pub(super) fn kill(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.kill();
        }
        self.sinks.clear();
        self.readers.clear();
    }
}

impl Shim<'_> {
    /// Starts the helper, which makes the log streams while images are pulled.
    pub(super) fn start_logger(&mut self, program: &SealedSelf) -> Result<(), Halt> {
        let failed = |cause: std::io::Error| {
            Halt::Failed(format!("ResourceInitializationError: failed to validate logger args: {cause}"))
        };
        let mut sources = Vec::new();
        for container in &self.task.containers {
            let Some(destination) = &container.log else { continue };
            let (reader, writer) = std::io::pipe().map_err(failed)?;
            sources.push(Source {
                container: container.name.clone(),
                destination: destination.clone(),
                lines: format!("/proc/{}/fd/{}", Pid::this(), reader.as_raw_fd()).into(),
            });
            self.logger.readers.push(reader);
            self.logger.sinks.insert(container.name.clone(), Sink::new(writer));
        }
        if sources.is_empty() {
            return Ok(());
        }
        let job = Job {
            identity: self.task.pull.clone(),
            dns_servers: self.task.dns.servers.clone(),
            task: self.dir.to_owned(),
            network: self.state.join("netns").join(self.task.interface.as_str()),
            containers: sources,
        };
        self.logger.helper = Some(Helper::start(program, LOGS, self.dir, &job, None).map_err(failed)?);
        Ok(())
    }

    /// Waits until the log streams are there.
    pub(super) fn await_logger(&mut self) -> Result<(), Halt> {
        let deadline = Instant::now() + READY;
        while let Some(helper) = &mut self.logger.helper {
            let (reports, ended) = helper.reports();
            for report in reports {
                match report {
                    Report::Ready => {
                        self.logger.readers.clear();
                        return Ok(());
                    }
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

    /// Takes in what the helper reports; whether it has ended.
    pub(super) fn hear_logger(&mut self) -> bool {
        let Some(helper) = &mut self.logger.helper else { return true };
        let (reports, ended) = helper.reports();
        let mut sent = false;
        for report in reports {
            match report {
                Report::Dropped { container, events } => {
                    if let Some(status) = self.status.containers.get_mut(&container) {
                        status.dropped_events = events;
                    }
                }
                Report::Failed(why) => complain(&why),
                Report::Sent => sent = true,
                _ => (),
            }
        }
        if ended {
            if !sent {
                complain("the log driver ended before its containers did: what they say is kept here alone");
            }
            self.logger.helper = None;
        }
        ended
    }

    /// All containers have ended: waits, but not for long, until what they said is sent.
    pub(super) fn flush_logger(&mut self) {
        self.logger.sinks.clear();
        self.logger.readers.clear();
        let deadline = Instant::now() + FLUSH;
        while !self.hear_logger() {
            if Instant::now() >= deadline {
                complain("not all that the containers said could be sent to CloudWatch Logs");
                break;
            }
            let watched: Vec<BorrowedFd<'_>> = self.logger.watched().into_iter().collect();
            if self.events.wait(&watched, Some(deadline)).is_err() {
                break;
            }
        }
        self.logger.kill();
    }
}
