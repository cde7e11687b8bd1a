//! The way of a container's lines to the log driver: a pipe. It outlives the driver's helper, which may die and be started
//! again.

use std::io::{PipeWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use desired::LogMode;

use crate::awslogs::frame;
use crate::logs::Stream;

/// Where a container's two streams go besides its log. The pipe ends with the last clone, and what waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    /// What stands before each line in the pipe.
    marker: Arc<str>,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    /// Whoever writes waits while nobody reads.
    Blocking(Arc<Mutex<PipeWriter>>),
    /// What nobody has read yet waits here, up to a limit; what does not fit is dropped and counted.
    NonBlocking {
        frames: Sender<Vec<u8>>,
        /// In bytes.
        waiting: Arc<AtomicU64>,
        /// In bytes.
        limit: u64,
        dropped: Arc<AtomicU64>,
    },
}

impl Sink {
    /// A way to a pipe. Lines that are dropped before they reach it are counted in `dropped`.
    ///
    /// # Errors
    /// When the thread that writes to the pipe in non-blocking mode cannot be started.
    pub(crate) fn new(
        pipe: PipeWriter,
        mode: LogMode,
        marker: &str,
        dropped: Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        let way = match mode {
            LogMode::Blocking => Way::Blocking(Arc::new(Mutex::new(pipe))),
            LogMode::NonBlocking { max_buffer: limit } => {
                let (frames, source) = channel();
                let waiting = Arc::new(AtomicU64::new(0));
                let held = waiting.clone();
                std::thread::Builder::new()
                    .name("to-driver".to_owned())
                    .spawn(move || carry(&source, pipe, &held))?;
                Way::NonBlocking { frames, waiting, limit, dropped }
            }
        };
        Ok(Self { marker: marker.into(), way })
    }

    /// Adds a line, or a piece of one, to what [`Sink::write`] takes.
    pub(crate) fn frame(&self, out: &mut Vec<u8>, time: i64, stream: Stream, partial: bool, bytes: &[u8]) {
        frame::write(out, &self.marker, time, stream, partial, bytes);
    }

    /// Hands on so many lines.
    pub(crate) fn write(&self, bytes: &[u8], lines: u64) {
        match &self.way {
            Way::Blocking(pipe) => {
                // It has a reader for as long as there are containers.
                let _ = pipe.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes);
            }
            Way::NonBlocking { frames, waiting, limit, dropped } => {
                let size = bytes.len() as u64;
                let before = waiting.fetch_add(size, Ordering::Relaxed);
                // Some always have room.
                let fits = before == 0 || before + size <= *limit;
                if !fits || frames.send(bytes.to_vec()).is_err() {
                    waiting.fetch_sub(size, Ordering::Relaxed);
                    dropped.fetch_add(lines, Ordering::Relaxed);
                }
            }
        }
    }
}

fn carry(source: &Receiver<Vec<u8>>, mut pipe: PipeWriter, waiting: &AtomicU64) {
    for frames in source {
        let written = pipe.write_all(&frames);
        waiting.fetch_sub(frames.len() as u64, Ordering::Relaxed);
        if written.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Read};

    const MARKER: &str = "0123456789abcdef";

    fn sink(mode: LogMode) -> (Sink, PipeReader, Arc<AtomicU64>) {
        let (reader, writer) = std::io::pipe().unwrap();
        let dropped = Arc::new(AtomicU64::new(0));
        (Sink::new(writer, mode, MARKER, dropped.clone()).unwrap(), reader, dropped)
    }

    fn all(mut reader: PipeReader) -> usize {
        let mut lines = 0;
        while frame::read(&mut reader, MARKER).unwrap().is_some() {
            lines += 1;
        }
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        lines
    }

    #[test]
    fn while_nobody_reads_lines_wait_up_to_the_limit_and_the_others_are_dropped_and_counted() {
        let (sink, reader, dropped) = sink(LogMode::NonBlocking { max_buffer: 256 << 10 });
        let mut frames = Vec::new();
        // Twice what the buffer and the pipe hold.
        for _ in 0..640 {
            frames.clear();
            sink.frame(&mut frames, 0, Stream::Stdout, false, &[b'x'; 1000]);
            sink.write(&frames, 1);
        }
        let lost = dropped.load(Ordering::Relaxed);
        drop(sink);
        assert!(lost > 200, "{lost}");
        assert_eq!(all(reader) as u64, 640 - lost, "what waits arrives once somebody reads");
    }

    #[test]
    fn in_blocking_mode_the_one_who_writes_waits_and_nothing_is_dropped() {
        let (sink, reader, dropped) = sink(LogMode::Blocking);
        let writer = std::thread::spawn(move || {
            let mut frames = Vec::new();
            for _ in 0..1000 {
                frames.clear();
                sink.frame(&mut frames, 0, Stream::Stderr, false, &[b'x'; 1000]);
                sink.write(&frames, 1);
            }
        });
        assert_eq!(all(reader), 1000);
        writer.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }
}
