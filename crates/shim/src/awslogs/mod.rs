//! The log driver `awslogs`: the `__logs` helper, one a task.
//!
//! It enters the task's network namespace, makes each container's log stream as the execution role, and says so; before
//! that no container starts. Then it takes each container's lines from a pipe and sends them to CloudWatch Logs along the
//! task's own network path. What cannot be sent waits in a buffer: in blocking mode the container waits with it, in
//! non-blocking mode what does not fit is dropped and counted. It ends when all pipes have, and their lines are sent. When it
//! dies another one goes on with what is still in the pipes; what it had taken and not sent is lost.

mod api;
mod buffer;
pub(crate) mod frame;
mod message;
mod pattern;

use std::fs::File;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use desired::role::RoleDir;
use desired::{Body, LogDestination, PullIdentity};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use types::Backoff;

use crate::helper::{Lost, Report, tell};
use api::{Api, Refused};
use buffer::Buffer;
use message::Assembler;

/// How often lost events are reported.
const REPORT: Duration = Duration::from_secs(1);
/// How long the next line of a message is waited for, in milliseconds.
const LAST_LINE: u16 = 5000;
/// Before what failed is tried again.
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) identity: PullIdentity,
    /// Who is asked for names.
    pub(crate) dns_servers: Vec<Ipv4Addr>,
    /// The task's folder: its part has newer key pairs in time.
    pub(crate) task: PathBuf,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
    /// What stands before each line.
    pub(crate) marker: String,
    pub(crate) containers: Vec<Source>,
}

/// A container whose lines are sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) container: String,
    pub(crate) destination: LogDestination,
    /// Where its lines can be opened for reading.
    pub(crate) lines: PathBuf,
}

/// Makes the streams, then sends until all pipes have ended.
pub(crate) fn main(job: &Job, shim: &Arc<UnixStream>) -> Result<Report, String> {
    let failed = |why: String| format!("ResourceInitializationError: failed to validate logger args: {why}");
    let enter = || sys::netns::enter(sys::netns::open(&job.network)?);
    enter().map_err(|error| failed(error.to_string()))?;
    let identity = Identity { task: RoleDir::new(&job.task), current: job.identity.clone() };
    // A pattern that is none keeps containers from starting: nobody could say later which lines belong together.
    let assembler = |source: &Source| Assembler::new(source.destination.message_start.as_deref());
    let assemblers = job.containers.iter().map(assembler).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut opened = Vec::new();
    for (source, assembler) in job.containers.iter().zip(assemblers) {
        let mut api = Api::new(&job.identity.ca_certificate, &job.dns_servers, &source.destination.region)
            .map_err(failed)?;
        make_stream(&mut api, identity.current(), &source.destination).map_err(|why| failed(why.words()))?;
        let lines = File::open(&source.lines).map_err(|cause| failed(cause.to_string()))?;
        opened.push((source, api, lines, assembler));
    }
    tell(shim, &Report::Ready).map_err(|cause| cause.to_string())?;

    let (done, ended) = channel();
    let mut buffers = Vec::new();
    for (source, api, lines, assembler) in opened {
        let buffer = Arc::new(Buffer::new(source.destination.mode));
        let (filled, emptied, done) = (buffer.clone(), buffer.clone(), done.clone());
        let marker = job.marker.clone();
        let sender = Sender { api, identity: identity.clone(), destination: source.destination.clone() };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("lines")
            .spawn(move || take_in(BufReader::with_capacity(64 << 10, lines), &marker, assembler, &filled))
            .map_err(|cause| failed(cause.to_string()))?;
        thread("send")
            .spawn(move || {
                sender.run(&emptied);
                drop(done);
            })
            .map_err(|cause| failed(cause.to_string()))?;
        buffers.push((source.container.clone(), buffer, Lost::default()));
    }
    drop(done);
    loop {
        let over = ended.recv_timeout(REPORT) == Err::<(), _>(RecvTimeoutError::Disconnected);
        for (container, buffer, told) in &mut buffers {
            let lost = buffer.lost();
            if lost != *told {
                *told = lost.clone();
                let report = Report::Lost { container: container.clone(), lost };
                tell(shim, &report).map_err(|cause| cause.to_string())?;
            }
        }
        if over {
            return Ok(Report::Sent);
        }
    }
}

/// The key pair of the execution role's session, which the task's part renews.
#[derive(Debug, Clone)]
struct Identity {
    task: RoleDir,
    current: PullIdentity,
}

impl Identity {
    fn current(&self) -> &PullIdentity {
        &self.current
    }

    /// Reads the part again: it has another session once the agent was told of one.
    fn renew(&mut self) {
        if let Ok(part) = self.task.read_config()
            && let Some(Body::Task(task)) = part.body
        {
            self.current = task.pull;
        }
    }
}

fn make_stream(api: &mut Api, identity: &PullIdentity, destination: &LogDestination) -> Result<(), Refused> {
    match api.create_stream(identity, &destination.group, &destination.stream) {
        Err(refused) if destination.create_group && refused.is("ResourceNotFoundException") => {
            api.create_group(identity, &destination.group)?;
            api.create_stream(identity, &destination.group, &destination.stream)
        }
        result => result,
    }
}

/// Reads a container's lines until their pipe ends, and makes messages of them.
fn take_in(mut lines: BufReader<File>, marker: &str, mut assembler: Assembler, buffer: &Buffer) {
    let mut messages = Vec::new();
    loop {
        // A message of several lines ends with the next one's first line, or when there is none for a while.
        if !assembler.is_empty() && lines.buffer().is_empty() {
            let mut fds = [PollFd::new(lines.get_ref().as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::from(LAST_LINE)) == Ok(0) {
                assembler.end(&mut messages);
            }
        }
        messages.drain(..).for_each(|message| buffer.push(message));
        match frame::read(&mut lines, marker) {
            Ok(Some(line)) => assembler.add(&line, &mut messages),
            _ => break,
        }
    }
    assembler.finish(&mut messages);
    messages.drain(..).for_each(|message| buffer.push(message));
    buffer.close();
}

/// Sends one container's messages.
struct Sender {
    api: Api,
    identity: Identity,
    destination: LogDestination,
}

impl Sender {
    fn run(mut self, buffer: &Buffer) {
        while let Some(batch) = buffer.take() {
            let mut retry = RETRY;
            loop {
                let LogDestination { group, stream, .. } = &self.destination;
                let refused = match self.api.put(self.identity.current(), group, stream, &batch) {
                    Ok(()) => break,
                    Err(refused) => refused,
                };
                if refused.is_of_the_session() {
                    self.identity.renew();
                } else if !refused.may_pass() {
                    crate::task::complain(&format!("awslogs: {stream}: {}", refused.reason()));
                    buffer.refused(batch.len(), refused.because());
                    break;
                }
                std::thread::park_timeout(retry.pause());
                retry.grow();
            }
        }
    }
}
