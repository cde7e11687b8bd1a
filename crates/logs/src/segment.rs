//! Segments: files of records. The newest of a stream is open; a closed one is in order and has an index beside it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::{self, Event, Position};

/// The size in bytes from which a segment is closed.
pub(crate) const FULL: u64 = 4 << 20;

/// How many bytes of records lie between two entries of an index at least.
const BLOCK: u64 = 64 << 10;

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) number: u64,
    /// Of its oldest event.
    pub(crate) first: Position,
    /// Of its newest event.
    pub(crate) last: Position,
    pub(crate) last_sequence: u64,
    pub(crate) last_ingested: i64,
    pub(crate) first_ingested: i64,
    pub(crate) events: u64,
    /// Of the messages alone.
    pub(crate) bytes: u64,
    /// Of the file.
    pub(crate) length: u64,
}

/// The beginning of a block: the position of its first event, and where it is in the file.
pub(crate) type Block = (Position, u64);

/// The index of a closed segment, as it lies beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) meta: Meta,
    pub(crate) blocks: Vec<Block>,
}

/// The segment that is written to.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) meta: Meta,
    pub(crate) blocks: Vec<Block>,
    /// Whether its events are in order as they lie.
    pub(crate) sorted: bool,
}

impl Open {
    /// A segment's facts from its first event.
    pub(crate) fn begin(number: u64, event: &Event) -> Self {
        let meta = Meta {
            number,
            first: event.position,
            last: event.position,
            last_sequence: event.position.sequence,
            last_ingested: event.ingested,
            first_ingested: event.ingested,
            events: 0,
            bytes: 0,
            length: 0,
        };
        Self { meta, blocks: Vec::new(), sorted: true }
    }

    /// Notes an event that lies at the end of the file.
    pub(crate) fn add(&mut self, event: &Event, offset: u64) {
        let meta = &mut self.meta;
        self.sorted &= meta.events == 0 || event.position > meta.last;
        if self.blocks.last().is_none_or(|(_, begin)| offset - begin >= BLOCK) {
            self.blocks.push((event.position, offset));
        }
        meta.first = meta.first.min(event.position);
        meta.last = meta.last.max(event.position);
        meta.last_sequence = meta.last_sequence.max(event.position.sequence);
        meta.last_ingested = meta.last_ingested.max(event.ingested);
        meta.first_ingested = meta.first_ingested.min(event.ingested);
        meta.events += 1;
        meta.bytes += event.message.len() as u64;
    }

    /// The facts of the events of a file.
    pub(crate) fn of(number: u64, events: &[(Event, u64)], length: u64) -> Option<Self> {
        let mut open = Self::begin(number, &events.first()?.0);
        events.iter().for_each(|(event, offset)| open.add(event, *offset));
        open.meta.length = length;
        Some(open)
    }
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

pub(crate) fn index_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.index"))
}

pub(crate) fn read_index(dir: &Path, number: u64) -> std::io::Result<Index> {
    Ok(serde_json::from_slice(&std::fs::read(index_path(dir, number))?)?)
}

/// Closes a segment: puts it in order if it is not, syncs it and writes its index.
pub(crate) fn close(dir: &Path, open: &Open) -> std::io::Result<Meta> {
    let file = path(dir, open.meta.number);
    let mut closed = open.clone();
    if open.sorted {
        File::open(&file)?.sync_all()?;
    } else {
        let bytes = read_range(&File::open(&file)?, 0, open.meta.length)?;
        let mut events = record::decode_all(&bytes).0;
        events.sort_by_key(|(event, _)| event.position);
        let mut ordered = Vec::with_capacity(bytes.len());
        for (event, offset) in &mut events {
            *offset = ordered.len() as u64;
            record::encode(&mut ordered, event);
        }
        closed = Open::of(open.meta.number, &events, ordered.len() as u64).unwrap_or(closed);
        replace(&file, &ordered)?;
    }
    let index = Index { meta: closed.meta, blocks: closed.blocks };
    replace(&index_path(dir, open.meta.number), &serde_json::to_vec(&index)?)?;
    Ok(index.meta)
}

/// Writes a file beside, syncs it and renames it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The bytes of a file from one offset to another.
pub(crate) fn read_range(file: &File, from: u64, to: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
