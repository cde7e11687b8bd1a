//! Log events on disk, and the patterns that find them.
//!
//! A stream of events is a folder of segments below the store's folder. What is appended goes to one journal first,
//! which is synced once for all callers that wait, and then to the streams' own files, which are synced when the journal
//! has grown; the journal is then emptied. A caller that was answered has its events on disk. After a crash the journal
//! is read again, and the torn end of whatever file is cut.
//!
//! A segment that is full, or a day old, is closed: its events are in order, and an index of its blocks lies beside it.
//! Readers merge segments block by block, so that memory does not grow with what a stream holds. A segment whose newest
//! event is too old is one file to delete.

mod journal;
pub mod pattern;
mod reader;
mod record;
mod segment;
mod store;
mod stream;

pub use pattern::{Pattern, PatternError};
pub use reader::Reader;
pub use record::{Event, NewEvent, Position};
pub use store::{Error, Store};
pub use stream::Summary;
