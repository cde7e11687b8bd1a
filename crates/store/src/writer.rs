//! The one writer.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rusqlite::{Connection, ErrorCode, params};
use types::PartId;

use crate::snapshot::Snapshot;
use crate::table::{Row, TableDef};

/// The layout of the database file that this program reads and writes.
const SCHEMA: i64 = 1;
/// How many waiting writes one transaction takes at most.
const BATCH: usize = 256;
/// How long opening waits for a process that is just ending.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database could not be read or written: the disk is full, the file is damaged, another process holds it…
    #[error("the state database cannot be {doing}: {cause}")]
    Database {
        /// `opened`, `read`, `written`
        doing: &'static str,
        /// SQLite's words.
        cause: String,
    },
    /// Another process has the database open.
    #[error(
        "the state database is in use by another Landfall process: end it with `landfall down`, or choose another \
         folder with --state-dir"
    )]
    InUse,
    /// The file was made by a later version.
    #[error(
        "the state database has layout {found}, made by a later Landfall; this one knows layout {SCHEMA}"
    )]
    Newer {
        /// The layout found.
        found: i64,
    },
    /// A row on disk does not have the form that this program knows.
    #[error(
        "the state database holds a row of {table} that cannot be read, '{key}': {cause}. Another version of Landfall \
         wrote it: use that one, or start over with `landfall down --purge`"
    )]
    Row {
        /// The row's table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// The decoder's words.
        cause: String,
    },
    /// The write ended in a panic. Nothing of it was kept.
    #[error("a write failed inside Landfall and nothing of it was kept: {0}")]
    Panicked(String),
    /// The store is closing.
    #[error("the state database is closed")]
    Closed,
}

/// What a batch of writes changed, for those who watch.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The commit's number, the snapshot's [`Snapshot::sequence`].
    pub sequence: u64,
    /// The parts in which a changed row shows.
    pub dirty: BTreeSet<PartId>,
    /// The rows that were put or deleted, as table and key.
    pub changed: Arc<[(&'static str, String)]>,
}

/// A write's own view: reads see its own changes. Dropped without a trace when the write fails.
#[derive(Debug)]
pub struct Tx {
    view: Snapshot,
    changes: Vec<Change>,
    dirty: BTreeSet<PartId>,
}

#[derive(Debug)]
struct Change {
    table: &'static str,
    key: String,
    value: Option<Vec<u8>>,
}

impl Deref for Tx {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.view
    }
}

impl Tx {
    /// Puts a row, in the place of the row with the same key if there is one.
    ///
    /// # Panics
    /// When the row cannot be encoded as JSON (a map with keys that are no text), or is of a table that the store was
    /// not opened with. Both are errors of the program; the store turns them into [`StoreError::Panicked`].
    pub fn put<R: Row>(&mut self, row: R) -> Arc<R> {
        let key = row.key();
        let value = match serde_json::to_vec(&row) {
            Ok(value) => value,
            Err(error) => panic!("a row of {} cannot be encoded: {error}", R::TABLE),
        };
        if let Some(old) = self.view.get::<R>(&key) {
            self.forget(&*old);
        }
        self.dirty.extend(row.parts());
        let row = Arc::new(row);
        let Some(table) = self.view.tables.get_mut(R::TABLE) else {
            panic!("the store was opened without the table {}", R::TABLE);
        };
        table.insert(key.clone(), row.clone());
        for further in row.found_by() {
            self.view.found_by.entry(R::TABLE).or_default().insert(further, row.clone());
        }
        self.changes.push(Change { table: R::TABLE, key, value: Some(value) });
        row
    }

    /// Deletes the row at a key and returns it.
    pub fn delete<R: Row>(&mut self, key: &str) -> Option<Arc<R>> {
        let old = self.view.get::<R>(key)?;
        self.forget(&*old);
        if let Some(table) = self.view.tables.get_mut(R::TABLE) {
            table.remove(key);
        }
        self.changes.push(Change { table: R::TABLE, key: key.to_owned(), value: None });
        Some(old)
    }

    /// A row as it was goes: it shows no more where it did.
    fn forget<R: Row>(&mut self, old: &R) {
        self.dirty.extend(old.parts());
        if let Some(found_by) = self.view.found_by.get_mut(R::TABLE) {
            for further in old.found_by() {
                found_by.remove(&further);
            }
        }
    }

    /// The number that this write's commit will have.
    pub fn next_sequence(&self) -> u64 {
        self.view.sequence + 1
    }
}

/// A write in the queue: runs on a view, then gives its answer once it is known whether the commit is on disk.
type Job = Box<dyn FnOnce(&mut Tx) -> (bool, Answer) + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

type Watcher = Box<dyn Fn(&Commit) + Send + Sync>;

/// The open database: hands out snapshots and takes writes. Dropping it ends the writer after the writes that wait.
pub struct Store {
    current: Arc<ArcSwap<Snapshot>>,
    jobs: Option<Sender<Job>>,
    watchers: Arc<Mutex<Vec<Watcher>>>,
    writer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("current", &self.current.load().sequence).finish_non_exhaustive()
    }
}

fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse,
        _ => StoreError::Database { doing, cause: error.to_string() },
    }
}

impl Store {
    /// Opens or makes the database at `path` with these tables and reads all rows.
    ///
    /// # Errors
    /// When another process holds the database, the file cannot be read, or it holds what this program does not know.
    pub fn open(path: &Path, tables: &[TableDef]) -> Result<Self, StoreError> {
        Self::with_connection(Connection::open(path).map_err(failed("opened"))?, tables)
    }

    /// As [`Store::open`], over a connection that the caller made (a test's own VFS).
    pub fn with_connection(connection: Connection, tables: &[TableDef]) -> Result<Self, StoreError> {
        let snapshot = load(&connection, tables)?;
        let current = Arc::new(ArcSwap::from_pointee(snapshot));
        let watchers: Arc<Mutex<Vec<Watcher>>> = Arc::default();
        let (jobs, waiting) = channel();
        let writer = Writer { connection, current: current.clone(), watchers: watchers.clone() };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|error| StoreError::Database { doing: "opened", cause: error.to_string() })?;
        Ok(Self { current, jobs: Some(jobs), watchers, writer: Some(writer) })
    }

    /// The rows as of the last commit. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Calls `watcher` on the writer's thread after each commit that changed rows, before the writes are answered.
    /// It must not wait: hand the news on.
    pub fn watch(&self, watcher: impl Fn(&Commit) + Send + Sync + 'static) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(watcher));
    }

    /// Queues a write. `done` is called on the writer's thread when the write has failed or is on disk.
    pub fn submit<T, E>(
        &self,
        write: impl FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<Result<T, E>, StoreError>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: Send + 'static,
    {
        let job: Job = Box::new(move |tx| match catch_unwind(AssertUnwindSafe(|| write(tx))) {
            Ok(result) => (result.is_ok(), Box::new(move |committed| done(committed.map(|()| result)))),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message")
                    .to_owned();
                (false, Box::new(move |_| done(Err(StoreError::Panicked(words)))))
            }
        });
        if let Some(jobs) = &self.jobs {
            // The writer outlives the sender, so that a send cannot fail.
            let _ = jobs.send(job);
        }
    }

    /// Runs a write and waits until it has failed or is on disk.
    ///
    /// # Errors
    /// [`StoreError`] when the store itself failed; the inner error is the write's own.
    pub fn write<T, E>(
        &self,
        write: impl FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (send, receive) = channel();
        self.submit(write, move |result| {
            let _ = send.send(result);
        });
        receive.recv().map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
        {
            let _ = writer.join();
        }
    }
}

fn load(connection: &Connection, tables: &[TableDef]) -> Result<Snapshot, StoreError> {
    let open = |connection: &Connection| -> rusqlite::Result<i64> {
        connection.busy_timeout(PATIENCE)?;
        // One process at a time; in exclusive mode the WAL needs no shared memory file.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    let found = open(connection).map_err(failed("opened"))?;
    if found > SCHEMA {
        return Err(StoreError::Newer { found });
    }
    let create = |connection: &Connection| -> rusqlite::Result<()> {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS row (tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                 PRIMARY KEY (tbl, key)) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS sequence (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
             INSERT OR IGNORE INTO sequence VALUES (1, 0);",
        )?;
        connection.pragma_update(None, "user_version", SCHEMA)
    };
    create(connection).map_err(failed("written"))?;
    let mut snapshot = Snapshot::default();
    let read = |snapshot: &mut Snapshot| -> rusqlite::Result<Option<StoreError>> {
        snapshot.sequence = connection
            .query_row("SELECT value FROM sequence", [], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
        let mut statement = connection.prepare("SELECT key, value FROM row WHERE tbl = ?1")?;
        for table in tables {
            let rows = snapshot.tables.entry(table.name).or_default();
            let further = snapshot.found_by.entry(table.name).or_default();
            let mut found = statement.query([table.name])?;
            while let Some(row) = found.next()? {
                let key: String = row.get(0)?;
                match (table.decode)(row.get_ref(1)?.as_blob()?) {
                    Ok(decoded) => {
                        further.extend(decoded.found_by.into_iter().map(|key| (key, decoded.row.clone())));
                        rows.insert(key, decoded.row);
                    }
                    Err(error) => {
                        return Ok(Some(StoreError::Row {
                            table: table.name,
                            key,
                            cause: error.to_string(),
                        }));
                    }
                }
            }
        }
        Ok(None)
    };
    match read(&mut snapshot).map_err(failed("read"))? {
        Some(error) => Err(error),
        None => Ok(snapshot),
    }
}

/// Runs what others handed in. Its panic has been printed where it happened; the writes of everybody else go on.
fn outlive(foreign: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(foreign));
}

struct Writer {
    connection: Connection,
    current: Arc<ArcSwap<Snapshot>>,
    watchers: Arc<Mutex<Vec<Watcher>>>,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut jobs = vec![first];
            jobs.extend(waiting.try_iter().take(BATCH - 1));
            self.batch(jobs);
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let before = self.current.load_full();
        let mut view = (*before).clone();
        let (mut changes, mut dirty, mut answers) =
            (Vec::new(), BTreeSet::new(), Vec::with_capacity(jobs.len()));
        for job in jobs {
            let mut tx = Tx { view: view.clone(), changes: Vec::new(), dirty: BTreeSet::new() };
            let (keep, answer) = job(&mut tx);
            if keep {
                view = tx.view;
                changes.append(&mut tx.changes);
                dirty.append(&mut tx.dirty);
            }
            answers.push(answer);
        }
        let result = if changes.is_empty() {
            Ok(())
        } else {
            view.sequence = before.sequence + 1;
            self.commit(view.sequence, &changes).map_err(failed("written"))
        };
        if result.is_ok() && !changes.is_empty() {
            let changed = changes.into_iter().map(|change| (change.table, change.key)).collect();
            let commit = Commit { sequence: view.sequence, dirty, changed };
            self.current.store(Arc::new(view));
            for watcher in self.watchers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                outlive(|| watcher(&commit));
            }
        }
        for answer in answers {
            outlive(|| answer(result.clone()));
        }
    }

    fn commit(&mut self, sequence: u64, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO row VALUES (?1, ?2, ?3)")?;
            let mut delete = transaction.prepare_cached("DELETE FROM row WHERE tbl = ?1 AND key = ?2")?;
            for change in changes {
                match &change.value {
                    Some(value) => put.execute(params![change.table, change.key, value])?,
                    None => delete.execute(params![change.table, change.key])?,
                };
            }
            transaction.execute("UPDATE sequence SET value = ?1", [sequence.cast_signed()])?;
        }
        transaction.commit()
    }
}
