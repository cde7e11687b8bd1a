//! A container's input and output: pipes, or a terminal.

use std::io::{PipeReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc::{Receiver, Sender, channel};

use desired::Container;

use crate::console::Console;
use crate::helper::opened;
use crate::logs::{self, Log, Stream};
use crate::sink::Sink;

/// The shim's ends.
pub(super) enum Stdio {
    Pipes {
        /// Both ends of an input that stays open.
        input: Option<(PipeReader, PipeWriter)>,
        stdout: PipeReader,
        stderr: PipeReader,
    },
    /// A terminal is input and output, and stays open as long as its container.
    Terminal(Console),
}

impl Stdio {
    /// Beside the shim's ends, the container's: what its helper has as standard output and error.
    pub(super) fn new(
        dir: &Path,
        container: &Container,
    ) -> std::io::Result<(Self, (process::Stdio, process::Stdio))> {
        if container.pseudo_terminal {
            let none = (process::Stdio::null(), process::Stdio::null());
            return Ok((Self::Terminal(Console::new(dir)?), none));
        }
        let input = container.interactive.then(std::io::pipe).transpose()?;
        let (stdout, out) = std::io::pipe()?;
        let (stderr, err) = std::io::pipe()?;
        Ok((Self::Pipes { input, stdout, stderr }, (out.into(), err.into())))
    }

    /// Where the helper finds the container's input.
    pub(super) fn input(&self) -> Option<PathBuf> {
        match self {
            Self::Pipes { input: Some((reader, _)), .. } => Some(opened(reader)),
            _ => None,
        }
    }

    /// Where the container hands over its terminal.
    pub(super) fn terminal(&self) -> Option<PathBuf> {
        match self {
            Self::Pipes { .. } => None,
            Self::Terminal(console) => Some(console.path().to_owned()),
        }
    }

    /// The container's program runs: starts the threads that keep its output. Gives what keeps its input open, and a
    /// receiver that is closed when all output has ended.
    pub(super) fn keep(
        self,
        log: &Log,
        sink: Option<&Sink>,
    ) -> std::io::Result<(Option<PipeWriter>, Receiver<()>)> {
        let (open, done) = channel();
        let input = match self {
            Self::Pipes { input, stdout, stderr } => {
                pump(stdout, Stream::Stdout, log, sink, open.clone())?;
                pump(stderr, Stream::Stderr, log, sink, open)?;
                input.map(|(_, writer)| writer)
            }
            Self::Terminal(console) => {
                pump(console.receive()?, Stream::Stdout, log, sink, open)?;
                None
            }
        };
        Ok((input, done))
    }
}

fn pump(
    source: impl Read + Send + 'static,
    stream: Stream,
    log: &Log,
    sink: Option<&Sink>,
    open: Sender<()>,
) -> std::io::Result<()> {
    let (log, sink) = (log.clone(), sink.cloned());
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        logs::pump(source, stream, &log, sink.as_ref());
        // Before the end is told: the driver's pipe ends with the last of them.
        drop((sink, open));
    })?;
    Ok(())
}
