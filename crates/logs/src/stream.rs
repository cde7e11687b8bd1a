//! One stream: its segments and what they hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::record::{self, Event, NewEvent, Position};
use crate::segment::{self, FULL, Meta, Open};

/// How old the first event of an open segment becomes, in milliseconds, until the segment is closed: so that what
/// retention deletes is at most a day older than it must be.
const DAY: i64 = 24 * 3600 * 1000;

/// What a stream holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// The timestamp of the oldest event.
    pub first: Option<i64>,
    /// The timestamp of the newest event.
    pub last: Option<i64>,
    /// When something was stored last.
    pub last_ingested: Option<i64>,
    /// How many events there are.
    pub events: u64,
    /// The bytes of their messages.
    pub bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) dir: PathBuf,
    pub(crate) closed: Vec<Arc<Meta>>,
    pub(crate) open: Option<Open>,
    next_sequence: u64,
    next_number: u64,
}

impl Stream {
    /// Reads what is known of a stream; one that has no folder is empty.
    pub(crate) fn load(dir: &Path) -> std::io::Result<Self> {
        let mut numbers: Vec<u64> = Vec::new();
        let listed = match std::fs::read_dir(dir) {
            Ok(listed) => listed.collect::<std::io::Result<Vec<_>>>()?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(cause),
        };
        for file in listed {
            let name = file.file_name();
            let name = name.to_str().unwrap_or_default();
            match name.split_once('.') {
                Some((number, "log")) => numbers.extend(number.parse::<u64>()),
                // An index whose segment was deleted, or half a file.
                Some((number, "index")) if dir.join(format!("{number}.log")).exists() => (),
                _ => std::fs::remove_file(file.path())?,
            }
        }
        numbers.sort_unstable();
        let mut stream =
            Self { dir: dir.to_owned(), closed: Vec::new(), open: None, next_sequence: 0, next_number: 1 };
        for (at, &number) in numbers.iter().enumerate() {
            stream.next_number = number + 1;
            let meta = match segment::read_index(dir, number) {
                Ok(index) => index.meta,
                Err(_) => {
                    let path = segment::path(dir, number);
                    let (events, length) = record::decode_all(&std::fs::read(&path)?);
                    File::options().write(true).open(&path)?.set_len(length)?;
                    let Some(open) = Open::of(number, &events, length) else {
                        std::fs::remove_file(path)?;
                        continue;
                    };
                    if at + 1 == numbers.len() {
                        stream.next_sequence = stream.next_sequence.max(open.meta.last_sequence + 1);
                        stream.open = Some(open);
                        break;
                    }
                    segment::close(dir, &open)?
                }
            };
            stream.next_sequence = stream.next_sequence.max(meta.last_sequence + 1);
            stream.closed.push(Arc::new(meta));
        }
        Ok(stream)
    }

    /// Gives events their places.
    pub(crate) fn place(&mut self, events: Vec<NewEvent>, now: i64) -> Vec<Event> {
        let placed = events.into_iter().map(|NewEvent { timestamp, message }| {
            let position = Position { timestamp, sequence: self.next_sequence };
            self.next_sequence += 1;
            Event { position, ingested: now, message }
        });
        placed.collect()
    }

    /// Writes events to the open segment; all of them or none. Gives the file, which is not synced.
    pub(crate) fn write(&mut self, events: &[Event]) -> std::io::Result<Option<PathBuf>> {
        let Some(first) = events.first() else { return Ok(None) };
        if self.open.is_none() {
            std::fs::create_dir_all(&self.dir)?;
            self.next_number += 1;
        }
        let mut open = self.open.clone().unwrap_or_else(|| Open::begin(self.next_number - 1, first));
        let (mut bytes, begin) = (Vec::new(), open.meta.length);
        for event in events {
            let offset = begin + bytes.len() as u64;
            record::encode(&mut bytes, event);
            open.add(event, offset);
        }
        let path = segment::path(&self.dir, open.meta.number);
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        if let Err(cause) = file.write_all_at(&bytes, begin) {
            // What was written of it is behind the end, where the next try begins.
            let _ = file.set_len(begin);
            return Err(cause);
        }
        open.meta.length = begin + bytes.len() as u64;
        let full = open.meta.length >= FULL;
        self.open = Some(open);
        if full {
            self.close()?;
        }
        Ok(Some(path))
    }

    /// What came again from the journal: events that the files have already are left out.
    pub(crate) fn replay(&mut self, events: Vec<Event>) -> std::io::Result<Option<PathBuf>> {
        let from = self.next_sequence;
        let missing: Vec<Event> =
            events.into_iter().filter(|event| event.position.sequence >= from).collect();
        if let Some(last) = missing.last() {
            self.next_sequence = last.position.sequence + 1;
        }
        self.write(&missing)
    }

    fn close(&mut self) -> std::io::Result<()> {
        if let Some(open) = &self.open {
            let meta = segment::close(&self.dir, open)?;
            self.closed.push(Arc::new(meta));
            self.open = None;
        }
        Ok(())
    }

    /// Deletes segments whose newest event is older than `cutoff`, and closes a segment that has been open for a day.
    pub(crate) fn expire(&mut self, cutoff: Option<i64>, now: i64) -> std::io::Result<()> {
        if let Some(open) = &self.open
            && open.meta.first_ingested < now - DAY
        {
            self.close()?;
        }
        let Some(cutoff) = cutoff else { return Ok(()) };
        let old = |meta: &Meta| meta.last.timestamp < cutoff;
        if let Some(open) = self.open.take_if(|open| old(&open.meta)) {
            std::fs::remove_file(segment::path(&self.dir, open.meta.number))?;
        }
        for meta in self.closed.iter().filter(|meta| old(meta)) {
            std::fs::remove_file(segment::path(&self.dir, meta.number))?;
            std::fs::remove_file(segment::index_path(&self.dir, meta.number))?;
        }
        self.closed.retain(|meta| !old(meta));
        Ok(())
    }

    pub(crate) fn summary(&self) -> Summary {
        let all = || self.closed.iter().map(AsRef::as_ref).chain(self.open.as_ref().map(|open| &open.meta));
        Summary {
            first: all().map(|meta| meta.first.timestamp).min(),
            last: all().map(|meta| meta.last.timestamp).max(),
            last_ingested: all().map(|meta| meta.last_ingested).max(),
            events: all().map(|meta| meta.events).sum(),
            bytes: all().map(|meta| meta.bytes).sum(),
        }
    }
}
