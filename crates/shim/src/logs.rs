//! Containers' output: `logs/<container>.log` in the task's folder, one JSON document a line.
//!
//! A stream is read on a thread of its own. When a file is full the one before it goes, so that a container's logs
//! never take more than [`FILE_LIMIT`] twice; a container that writes faster than the disk takes it waits.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use types::Timestamp;

use crate::sink::Sink;

/// The size in bytes at which a log file becomes `<container>.log.1` and a new one begins.
pub const FILE_LIMIT: u64 = 10 << 20;

/// A longer line is kept in pieces of this many bytes, as Docker's log drivers do.
const LINE_LIMIT: usize = 16 << 10;

/// How much is read at once, in bytes: what a pipe holds.
const PIPE: usize = 64 << 10;

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Where the container wrote it.
    pub stream: Stream,
    /// The line without its end. Bytes that are no UTF-8 are replaced.
    pub message: Cow<'a, str>,
    /// Whether the line goes on in the next message of the stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// Which of a container's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// A container's lines, the oldest first, as they are on disk now. A line that is half written is left out.
///
/// # Errors
/// When a file is there and cannot be opened. A container that has not written yet has no lines.
pub fn read(dir: &Path, container: &str) -> std::io::Result<impl Iterator<Item = Line<'static>> + use<>> {
    let current = path(dir, container);
    let mut files = Vec::new();
    for path in [older(&current), current] {
        match File::open(&path) {
            Ok(file) => files.push(file),
            Err(cause) if cause.kind() == ErrorKind::NotFound => (),
            Err(cause) => return Err(cause),
        }
    }
    let lines = |file: File| BufReader::new(file).split(b'\n').map_while(Result::ok);
    Ok(files.into_iter().flat_map(lines).filter_map(|line| serde_json::from_slice(&line).ok()))
}

/// Where a container's newest lines are.
pub fn path(dir: &Path, container: &str) -> PathBuf {
    dir.join("logs").join(format!("{container}.log"))
}

fn older(current: &Path) -> PathBuf {
    current.with_extension("log.1")
}

/// A container's log, shared by its two streams.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<LogFile>>);

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    limit: u64,
    /// Whether the last lines were lost.
    failing: bool,
}

impl Log {
    pub(crate) fn open(dir: &Path, container: &str) -> std::io::Result<Self> {
        Self::with_limit(dir, container, FILE_LIMIT)
    }

    fn with_limit(dir: &Path, container: &str, limit: u64) -> std::io::Result<Self> {
        let path = path(dir, container);
        std::fs::create_dir_all(dir.join("logs"))?;
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(LogFile { path, file: Some(file), size, limit, failing: false }))))
    }

    fn write(&self, lines: &[u8]) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // With a full disk the lines are lost, and the container lives on.
        let written = log.write(lines);
        if let (Err(cause), false) = (&written, log.failing) {
            crate::task::complain(&format!("{}: {cause}", log.path.display()));
        }
        log.failing = written.is_err();
    }
}

impl LogFile {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let added = lines.len() as u64;
        if self.file.is_none() || self.size + added > self.limit {
            self.file = None;
            match std::fs::rename(&self.path, older(&self.path)) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
                _ => (),
            }
            self.file = Some(OpenOptions::new().create(true).append(true).open(&self.path)?);
            self.size = 0;
        }
        if let Some(file) = &mut self.file {
            file.write_all(lines)?;
            self.size += added;
        }
        Ok(())
    }
}

/// Copies a stream into a log, and to the log driver, until it ends.
pub(crate) fn pump(mut source: impl Read, stream: Stream, log: &Log, sink: Option<&Sink>) {
    let (mut chunk, mut held, mut out) = (vec![0; PIPE], Vec::new(), Vec::new());
    let mut frames = Vec::new();
    loop {
        let read = match source.read(&mut chunk) {
            Ok(read) => read,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        out.clear();
        frames.clear();
        let mut lines = 0;
        let time = Timestamp::now();
        split(&mut held, &chunk[..read], read == 0, |line, partial| {
            if let Some(sink) = sink {
                sink.frame(&mut frames, time.as_millis(), stream, partial, line);
                lines += 1;
            }
            // A line of plain data always becomes JSON.
            let message = String::from_utf8_lossy(line);
            let _ = serde_json::to_writer(&mut out, &Line { time, stream, message, partial });
            out.push(b'\n');
        });
        if !out.is_empty() {
            log.write(&out);
            if let Some(sink) = sink {
                sink.write(&frames, lines);
            }
        }
        if read == 0 {
            return;
        }
    }
}

/// Hands out the whole lines in what is held and what came, and pieces of longer ones; at the end, the rest too.
fn split(held: &mut Vec<u8>, mut came: &[u8], end: bool, mut line: impl FnMut(&[u8], bool)) {
    while !came.is_empty() {
        let room = &came[..came.len().min(LINE_LIMIT - held.len())];
        let (piece, after, whole) = match memchr::memchr(b'\n', room) {
            Some(at) => (&room[..at], at + 1, true),
            None => (room, room.len(), false),
        };
        came = &came[after..];
        let full = held.len() + piece.len() >= LINE_LIMIT;
        if held.is_empty() && (whole || full) {
            line(if whole { without_return(piece) } else { piece }, !whole);
            continue;
        }
        held.extend_from_slice(piece);
        if whole || full {
            line(if whole { without_return(held) } else { held }, !whole);
            held.clear();
        }
    }
    if end && !held.is_empty() {
        line(held, false);
        held.clear();
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_with_their_stream_and_odd_bytes_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), "app").unwrap();
        pump(&b"one\r\ntwo \xff\nlast"[..], Stream::Stdout, &log, None);
        pump(&b"bad\n"[..], Stream::Stderr, &log, None);
        let lines: Vec<_> =
            read(dir.path(), "app").unwrap().map(|line| (line.stream, line.message)).collect();
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        let want = [(out, "one"), (out, "two \u{fffd}"), (out, "last"), (err, "bad")];
        assert_eq!(lines, want.map(|(stream, text)| (stream, text.into())));
        assert_eq!(read(dir.path(), "other").unwrap().count(), 0);
    }

    #[test]
    fn a_line_without_end_is_kept_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), "app").unwrap();
        pump(&vec![b'x'; LINE_LIMIT * 2 + 5][..], Stream::Stdout, &log, None);
        let lines: Vec<_> = read(dir.path(), "app").unwrap().collect();
        let seen: Vec<_> = lines.iter().map(|line| (line.message.len(), line.partial)).collect();
        assert_eq!(seen, [(LINE_LIMIT, true), (LINE_LIMIT, true), (5, false)]);
    }

    proptest::proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            lines in proptest::collection::vec("[a\r]{0,3}|x{16380,16390}", 0..6), cut in 1_usize..20_000,
        ) {
            let text = lines.join("\n");
            let said = |pieces: std::slice::Chunks<'_, u8>| {
                let (mut held, mut said) = (Vec::new(), Vec::new());
                let mut take = |line: &[u8], partial| said.push((line.to_vec(), partial));
                pieces.for_each(|piece| split(&mut held, piece, false, &mut take));
                split(&mut held, &[], true, &mut take);
                said
            };
            let whole = said(text.as_bytes().chunks(usize::MAX));
            proptest::prop_assert_eq!(&said(text.as_bytes().chunks(cut)), &whole);
            let mut joined = Vec::new();
            for (line, partial) in &whole {
                joined.extend_from_slice(line);
                joined.extend((!partial).then_some(b'\n'));
            }
            let mut want: String = lines.iter().map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned() + "\n").collect();
            // What ends without a line's end is no line when it is empty, and keeps its carriage return.
            let last = lines.last().map_or("", String::as_str);
            want.truncate(want.len().saturating_sub(last.strip_suffix('\r').unwrap_or(last).len() + 1));
            want += last;
            if !last.is_empty() {
                want.push('\n');
            }
            if whole.last().is_some_and(|(_, partial)| *partial) {
                joined.push(b'\n');
            }
            proptest::prop_assert_eq!(String::from_utf8(joined).unwrap(), want);
        }
    }

    #[test]
    fn a_flood_keeps_the_newest_lines_within_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::with_limit(dir.path(), "app", 1 << 20).unwrap();
        let flood: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        pump(flood.as_bytes(), Stream::Stdout, &log, None);
        let size = |path: PathBuf| std::fs::metadata(path).unwrap().len();
        let current = path(dir.path(), "app");
        assert!(size(current.clone()) <= 1 << 20);
        assert!(size(older(&current)) <= 1 << 20);
        let lines: Vec<_> = read(dir.path(), "app").unwrap().collect();
        assert_eq!(lines.last().unwrap().message, "line 19999");
        let first: usize = lines[0].message["line ".len()..].parse().unwrap();
        assert_eq!(lines.len(), 20_000 - first, "no line is missing in between");
    }
}
