//! The store: all streams, and the one thread that writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::{self, Entry, Journal};
use crate::reader::Reader;
use crate::record::{self, NewEvent, Position};
use crate::stream::{Stream, Summary};

/// The journal's length in bytes from which the streams' files are synced and it is emptied.
const JOURNAL_FULL: u64 = 16 << 20;
/// How many callers are written in one go at most.
const GROUP: usize = 64;

/// Why events are not stored, or not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk's words.
    #[error("the store of log events: {0}")]
    Disk(#[from] std::io::Error),
    /// The thread that writes has ended.
    #[error("the store of log events has ended")]
    Ended,
    /// A stream's name that is no name of a folder.
    #[error("'{0}' cannot name a stream of log events")]
    Name(String),
}

/// All streams below a folder. One process at a time may have it open.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    writer: SyncSender<Append>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    streams: Mutex<HashMap<String, Arc<Mutex<Stream>>>>,
}

struct Append {
    stream: String,
    events: Vec<NewEvent>,
    now: i64,
    done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Append").field("stream", &self.stream).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A stream, read from disk when it is asked for the first time.
    fn stream(&self, name: &str) -> Result<Arc<Mutex<Stream>>, Error> {
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(name) {
            return Ok(stream.clone());
        }
        let well_named =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !well_named {
            return Err(Error::Name(name.to_owned()));
        }
        let stream = Arc::new(Mutex::new(Stream::load(&self.dir.join(name))?));
        streams.insert(name.to_owned(), stream.clone());
        Ok(stream)
    }
}

impl Store {
    /// Opens the store, puts right what a crash left, and starts its thread.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir)?;
        let shared = Arc::new(Shared { dir: dir.to_owned(), streams: Mutex::default() });
        let mut dirty = BTreeSet::new();
        let mut journal = Journal::open(&dir.join("journal"), |Entry { stream, records }| {
            let events = record::decode_all(records).0.into_iter().map(|(event, _)| event).collect();
            let stream = shared.stream(stream).map_err(std::io::Error::other)?;
            dirty.extend(lock(&stream).replay(events)?);
            Ok(())
        })?;
        empty(&mut journal, &mut dirty)?;
        let (writer, appends) = sync_channel(GROUP);
        let own = shared.clone();
        std::thread::Builder::new()
            .name("log-events".to_owned())
            .spawn(move || write(&own, &appends, journal))?;
        Ok(Self { shared, writer })
    }

    /// Appends events to a stream, which need not exist; waits until they are on disk.
    ///
    /// # Errors
    /// When they cannot be written. After an error of the disk's they may come back when the store is opened again.
    pub fn append(&self, stream: &str, events: Vec<NewEvent>, now: i64) -> Result<(), Error> {
        let (send, answer) = sync_channel(1);
        self.submit(stream, events, now, move |result| {
            let _ = send.send(result);
        });
        answer.recv().map_err(|_| Error::Ended)?
    }

    /// As [`Store::append`], without waiting but for a place in the queue: `done` is called on the writing thread.
    pub fn submit(
        &self,
        stream: &str,
        events: Vec<NewEvent>,
        now: i64,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let append = Append { stream: stream.to_owned(), events, now, done: Box::new(done) };
        if let Err(refused) = self.writer.send(append) {
            (refused.0.done)(Err(Error::Ended));
        }
    }

    /// The events of a stream from one position up to, not including, another.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn read(&self, stream: &str, range: Range<Position>, backwards: bool) -> Result<Reader, Error> {
        let stream = self.shared.stream(stream)?;
        let stream = lock(&stream);
        Ok(Reader::new(&stream, range, backwards)?)
    }

    /// What a stream holds.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn summary(&self, stream: &str) -> Result<Summary, Error> {
        let stream = self.shared.stream(stream)?;
        let summary = lock(&stream).summary();
        Ok(summary)
    }

    /// Deletes what is older than `cutoff` (milliseconds since 1970), a segment at a time.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub fn expire(&self, stream: &str, cutoff: Option<i64>, now: i64) -> Result<(), Error> {
        let stream = self.shared.stream(stream)?;
        lock(&stream).expire(cutoff, now)?;
        Ok(())
    }

    /// The streams that have a folder.
    ///
    /// # Errors
    /// When the store's folder cannot be read.
    pub fn streams(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.shared.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    /// Deletes a stream with all its events.
    ///
    /// # Errors
    /// When its folder cannot be deleted.
    pub fn remove(&self, stream: &str) -> Result<(), Error> {
        let known = self.shared.stream(stream)?;
        // The writer waits for the stream while its files go, and finds it empty.
        let mut known = lock(&known);
        match std::fs::remove_dir_all(&known.dir) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause.into()),
            _ => (),
        }
        *known = Stream::load(&known.dir)?;
        lock(&self.shared.streams).remove(stream);
        Ok(())
    }
}

/// The writing thread: takes all that wait, writes them to the journal with one sync, then to their streams.
fn write(shared: &Shared, appends: &Receiver<Append>, mut journal: Journal) {
    let mut dirty = BTreeSet::new();
    while let Ok(first) = appends.recv() {
        let group: Vec<Append> = std::iter::once(first).chain(appends.try_iter()).take(GROUP).collect();
        let (mut bytes, mut placed) = (Vec::new(), Vec::new());
        for Append { stream: name, events, now, done } in group {
            match shared.stream(&name) {
                Err(error) => done(Err(error)),
                Ok(stream) => {
                    let events = lock(&stream).place(events, now);
                    let mut records = Vec::new();
                    events.iter().for_each(|event| record::encode(&mut records, event));
                    journal::encode(&mut bytes, &Entry { stream: &name, records: &records });
                    placed.push((stream, events, done));
                }
            }
        }
        let journaled = journal.append(&bytes);
        for (stream, events, done) in placed {
            let written = match &journaled {
                Err(cause) => Err(std::io::Error::new(cause.kind(), cause.to_string())),
                Ok(()) => lock(&stream).write(&events),
            };
            done(written.map(|path| dirty.extend(path)).map_err(Error::from));
        }
        if journal.length() >= JOURNAL_FULL {
            // When it fails, the journal goes on growing and is emptied another time.
            let _ = empty(&mut journal, &mut dirty);
        }
    }
}

/// Syncs the streams' files, and what leads to them, and empties the journal.
fn empty(journal: &mut Journal, dirty: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    let mut folders: BTreeMap<PathBuf, ()> = BTreeMap::new();
    for path in dirty.iter() {
        sync(path)?;
        folders.extend(path.parent().map(|dir| (dir.to_owned(), ())));
        folders.extend(path.parent().and_then(Path::parent).map(|dir| (dir.to_owned(), ())));
    }
    for folder in folders.keys() {
        sync(folder)?;
    }
    journal.clear()?;
    dirty.clear();
    Ok(())
}

/// Syncs a file or a folder; one that was deleted meanwhile needs none.
fn sync(path: &Path) -> std::io::Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Range<Position> = Position::at(i64::MIN)..Position::at(i64::MAX);

    fn event(timestamp: i64, message: impl Into<String>) -> NewEvent {
        NewEvent { timestamp, message: message.into() }
    }

    fn messages(store: &Store, stream: &str, range: Range<Position>, backwards: bool) -> Vec<String> {
        let mut reader = store.read(stream, range, backwards).unwrap();
        std::iter::from_fn(|| reader.next_event().unwrap()).map(|event| event.message).collect()
    }

    /// As a killed process leaves it: the files as they are, the thread forgotten.
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    #[test]
    fn events_are_in_the_order_of_their_time_whenever_they_came() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.append("a", vec![event(10, "ten"), event(20, "twenty")], 1).unwrap();
        store.append("a", vec![event(5, "five"), event(10, "ten again")], 2).unwrap();
        assert_eq!(messages(&store, "a", ALL, false), ["five", "ten", "ten again", "twenty"]);
        assert_eq!(messages(&store, "a", ALL, true), ["twenty", "ten again", "ten", "five"]);
        assert_eq!(messages(&store, "a", Position::at(10)..Position::at(20), false), ["ten", "ten again"]);
        assert_eq!(messages(&store, "b", ALL, false), [""; 0]);
        let want = Summary { first: Some(5), last: Some(20), last_ingested: Some(2), events: 4, bytes: 22 };
        assert_eq!(store.summary("a").unwrap(), want);
        assert!(matches!(store.append("../a", vec![event(1, "")], 1), Err(Error::Name(_))));
    }

    #[test]
    fn what_was_acknowledged_is_there_after_a_crash_also_when_the_stream_s_own_file_was_not_synced() {
        let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(dir.path()).unwrap();
        for number in 0..10 {
            store.append("a", vec![event(number, format!("event {number}"))], number).unwrap();
        }
        copy(dir.path(), after.path());
        let segment = after.path().join("a/00000001.log");
        let length = std::fs::metadata(&segment).unwrap().len();
        for lost in [1, 100, length] {
            File::options().write(true).open(&segment).unwrap().set_len(length - lost).unwrap();
            let copied = tempfile::tempdir().unwrap();
            copy(after.path(), copied.path());
            let store = Store::open(copied.path()).unwrap();
            let want: Vec<String> = (0..10).map(|number| format!("event {number}")).collect();
            assert_eq!(messages(&store, "a", ALL, false), want);
            store.append("a", vec![event(11, "more")], 11).unwrap();
            assert_eq!(messages(&store, "a", ALL, false).len(), 11);
        }
    }

    #[test]
    fn the_torn_end_of_the_journal_is_cut() {
        let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(dir.path()).unwrap();
        store.append("a", vec![event(1, "one")], 1).unwrap();
        store.append("a", vec![event(2, "two")], 1).unwrap();
        copy(dir.path(), after.path());
        std::fs::remove_dir_all(after.path().join("a")).unwrap();
        let journal = after.path().join("journal");
        let length = std::fs::metadata(&journal).unwrap().len();
        File::options().write(true).open(&journal).unwrap().set_len(length - 3).unwrap();
        let store = Store::open(after.path()).unwrap();
        assert_eq!(messages(&store, "a", ALL, false), ["one"]);
        assert_eq!(std::fs::metadata(&journal).unwrap().len(), 0);
    }

    #[test]
    fn a_long_stream_is_read_by_segments_and_old_segments_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let long = "x".repeat(10_000);
        for batch in 0..13_i64 {
            // Every other batch is older than the one before, so that segments have to be put in order and overlap.
            let begin = (batch ^ 1) * 100;
            let events = (0..100).map(|at| event(begin + at, format!("{:04}{long}", begin + at))).collect();
            store.append("a", events, batch).unwrap();
        }
        let read = |store: &Store, range, backwards| -> Vec<i64> {
            messages(store, "a", range, backwards).iter().map(|text| text[..4].parse().unwrap()).collect()
        };
        let whole: Vec<i64> = (0..1200).chain(1300..1400).collect();
        let again = |store: &Store| {
            assert_eq!(read(store, ALL, false), whole);
            assert_eq!(read(store, ALL, true), whole.iter().rev().copied().collect::<Vec<_>>());
            let part = Position::at(555)..Position::at(1111);
            assert_eq!(read(store, part.clone(), false), (555..1111).collect::<Vec<_>>());
            assert_eq!(read(store, part, true), (555..1111).rev().collect::<Vec<_>>());
        };
        again(&store);
        assert!(dir.path().join("a/00000002.index").exists());
        let mut reader = store.read("a", Position::at(700)..Position::at(701), false).unwrap();
        assert!(reader.next_event().unwrap().is_some() && reader.next_event().unwrap().is_none());
        assert!(reader.bytes_read() < 5 << 20, "{}", reader.bytes_read());
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        again(&store);
        store.expire("a", Some(800), 20).unwrap();
        assert!(!dir.path().join("a/00000001.log").exists());
        assert!(read(&store, ALL, false).contains(&800));
        store.expire("a", Some(5000), 20).unwrap();
        assert_eq!(store.summary("a").unwrap(), Summary::default());
        store.append("a", vec![event(9000, "9000")], 30).unwrap();
        assert_eq!(read(&store, ALL, false), [9000]);
        store.expire("a", None, 40 + 24 * 3600 * 1000).unwrap();
        assert_eq!(read(&store, ALL, false), [9000], "a day old, closed, and there");
    }

    #[test]
    fn a_removed_stream_is_gone_and_may_begin_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.append("a", vec![event(1, "one")], 1).unwrap();
        assert_eq!(store.streams().unwrap(), ["a"]);
        store.remove("a").unwrap();
        assert_eq!(store.streams().unwrap(), [""; 0]);
        store.append("a", vec![event(2, "two")], 1).unwrap();
        assert_eq!(messages(&store, "a", ALL, false), ["two"]);
    }

    #[test]
    fn many_callers_are_written_together() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for stream in 0..16 {
                let store = &store;
                scope.spawn(move || {
                    for at in 0..20 {
                        store.append(&format!("s{stream}"), vec![event(at, "x")], at).unwrap();
                    }
                });
            }
        });
        for stream in 0..16 {
            assert_eq!(store.summary(&format!("s{stream}")).unwrap().events, 20);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_stream_holds_what_was_appended(
            batches in prop::collection::vec(prop::collection::vec((0_i64..50, 1_usize..4), 1..20), 1..12),
            from in 0_i64..50, to in 0_i64..50,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::open(dir.path()).unwrap();
            let (mut model, mut sequence) = (Vec::new(), 0);
            for (number, batch) in batches.into_iter().enumerate() {
                let mut events = Vec::new();
                for (timestamp, size) in batch {
                    // Large ones, so that segments are closed.
                    let message = format!("{sequence:08}{}", "x".repeat(size * 60_000));
                    model.push((Position { timestamp, sequence }, sequence));
                    events.push(NewEvent { timestamp, message });
                    sequence += 1;
                }
                store.append("a", events, 1).unwrap();
                if number % 3 == 2 {
                    drop(store);
                    store = Store::open(dir.path()).unwrap();
                }
            }
            model.sort();
            let range = Position::at(from)..Position::at(to);
            let mut want: Vec<u64> =
                model.iter().filter(|(position, _)| range.contains(position)).map(|(_, s)| *s).collect();
            let got = |backwards| -> Vec<u64> {
                messages(&store, "a", range.clone(), backwards).iter().map(|m| m[..8].parse().unwrap()).collect()
            };
            prop_assert_eq!(got(false), want.clone());
            want.reverse();
            prop_assert_eq!(got(true), want);
        }
    }
}
