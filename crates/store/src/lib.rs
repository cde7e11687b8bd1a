//! Typed tables over the embedded database.
//!
//! All rows live twice: on disk in SQLite, and in an immutable in-memory copy that readers take without waiting.
//! One writer thread takes the waiting writes, runs each on its own copy-on-write view, commits all of them in one
//! SQLite transaction (`synchronous=FULL`), publishes the new copy and only then answers. A write that fails leaves
//! no trace: its view is dropped. No answer is given before its rows are on disk.
//!
//! The row change itself is the log: SQLite sees the encoded rows that a write put or deleted, never the handler's
//! queries, so that no savepoint is needed.

mod snapshot;
mod table;
mod writer;

pub use snapshot::Snapshot;
pub use table::{Row, TableDef, table};
pub use writer::{Commit, Store, StoreError, Tx};
