//! Reading a stream in order, forwards or backwards, a block at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::record::{self, Event, Position};
use crate::segment::{self, Block};
use crate::stream::Stream;

/// The events of a stream between two positions. What is appended after it was made may or may not be seen.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    range: Range<Position>,
    backwards: bool,
    cursors: Vec<Cursor>,
    read: u64,
}

/// One segment, as far as it was read.
#[derive(Debug)]
struct Cursor {
    number: u64,
    length: u64,
    last: Position,
    /// The open segment's file, held because it may be put in order and replaced meanwhile.
    file: Option<File>,
    /// None: the index was not read yet.
    blocks: Option<VecDeque<Block>>,
    held: VecDeque<Event>,
    /// No event that is not held comes before this one in the order of reading.
    bound: Position,
}

impl Reader {
    pub(crate) fn new(stream: &Stream, range: Range<Position>, backwards: bool) -> std::io::Result<Self> {
        let mut reader = Self { dir: stream.dir.clone(), range, backwards, cursors: Vec::new(), read: 0 };
        let open = stream.open.as_ref().map(|open| &open.meta);
        for meta in stream.closed.iter().map(AsRef::as_ref).chain(open) {
            if meta.last < reader.range.start || meta.first >= reader.range.end {
                continue;
            }
            reader.cursors.push(Cursor {
                number: meta.number,
                length: meta.length,
                last: meta.last,
                file: None,
                blocks: None,
                held: VecDeque::new(),
                bound: if backwards { meta.last } else { meta.first },
            });
        }
        let Some(open) = &stream.open else { return Ok(reader) };
        if let Some(cursor) = reader.cursors.last_mut().filter(|cursor| cursor.number == open.meta.number) {
            let file = File::open(segment::path(&reader.dir, cursor.number))?;
            if open.sorted {
                cursor.blocks = Some(open.blocks.iter().copied().collect());
                cursor.file = Some(file);
            } else {
                let bytes = segment::read_range(&file, 0, cursor.length)?;
                reader.read += cursor.length;
                cursor.blocks = Some(VecDeque::new());
                cursor.hold(&bytes, &reader.range, backwards);
            }
        }
        Ok(reader)
    }

    /// How many bytes were read from disk so far.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next event; None at the end.
    ///
    /// # Errors
    /// When a file cannot be read. A segment that retention deletes meanwhile just ends.
    pub fn next_event(&mut self) -> std::io::Result<Option<Event>> {
        loop {
            let backwards = self.backwards;
            let place = |cursor: &Cursor| cursor.held.front().map_or(cursor.bound, |event| event.position);
            let all = self.cursors.iter().enumerate();
            let next = if backwards {
                all.max_by_key(|(_, cursor)| place(cursor))
            } else {
                all.min_by_key(|(_, cursor)| place(cursor))
            };
            let Some((at, _)) = next else { return Ok(None) };
            let cursor = &mut self.cursors[at];
            if let Some(event) = cursor.held.pop_front() {
                cursor.bound = event.position;
                return Ok(Some(event));
            }
            match cursor.load(&self.dir, &self.range, backwards) {
                Ok(Some(read)) => self.read += read,
                Ok(None) => drop(self.cursors.swap_remove(at)),
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                    self.cursors.swap_remove(at);
                }
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Cursor {
    /// Reads the next block; how many bytes that were, or None at the end.
    fn load(&mut self, dir: &Path, range: &Range<Position>, backwards: bool) -> std::io::Result<Option<u64>> {
        if self.blocks.is_none() {
            self.blocks = Some(segment::read_index(dir, self.number)?.blocks.into());
        }
        let Some(blocks) = &mut self.blocks else { return Ok(None) };
        // Blocks that end before the range, or begin behind it.
        while blocks.get(1).is_some_and(|(next, _)| *next <= range.start) {
            blocks.pop_front();
        }
        while blocks.back().is_some_and(|(first, _)| *first >= range.end) {
            let (first, offset) = blocks.pop_back().unwrap_or((range.end, 0));
            (self.length, self.last) = (offset, first);
        }
        let (from, to) = if backwards {
            let Some((first, from)) = blocks.pop_back() else { return Ok(None) };
            let to = self.length;
            (self.length, self.bound) = (from, first);
            (from, to)
        } else {
            let Some((_, from)) = blocks.pop_front() else { return Ok(None) };
            let (bound, to) = blocks.front().copied().unwrap_or((self.last, self.length));
            self.bound = bound;
            (from, to)
        };
        let bytes = match &self.file {
            Some(file) => segment::read_range(file, from, to)?,
            None => segment::read_range(&File::open(segment::path(dir, self.number))?, from, to)?,
        };
        self.hold(&bytes, range, backwards);
        Ok(Some(to - from))
    }

    fn hold(&mut self, bytes: &[u8], range: &Range<Position>, backwards: bool) {
        let events = record::decode_all(bytes).0.into_iter().map(|(event, _)| event);
        let mut events: Vec<Event> = events.filter(|event| range.contains(&event.position)).collect();
        events.sort_by_key(|event| event.position);
        if backwards {
            events.reverse();
        }
        self.held = events.into();
    }
}
