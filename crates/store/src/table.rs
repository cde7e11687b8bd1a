//! What a table is.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use types::PartId;

/// A row without its type, as the in-memory copy holds it.
pub(crate) type Erased = Arc<dyn Any + Send + Sync>;

/// A row of a table of its own. Rows are kept as JSON, so that a field added later needs `#[serde(default)]` alone.
pub trait Row: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The table's name; it never changes once released.
    const TABLE: &'static str;

    /// The row's key. Keys order the table; the parts of a compound key are joined by `/`, account and region first.
    fn key(&self) -> String;

    /// The parts of the desired state in which this row shows. Putting or deleting the row makes them dirty, for the
    /// row as it was as well as for the row as it is.
    fn parts(&self) -> Vec<PartId> {
        Vec::new()
    }

    /// Further keys under which [`crate::Snapshot::find`] finds this row, all of them this row's own: they end with what
    /// tells it from others. They may change with the row.
    fn found_by(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A table as [`crate::Store::open`] takes it: made by [`table`].
#[derive(Debug, Clone, Copy)]
pub struct TableDef {
    pub(crate) name: &'static str,
    pub(crate) decode: fn(&[u8]) -> Result<Decoded, serde_json::Error>,
}

/// A row from disk, and what finds it besides its key.
pub(crate) struct Decoded {
    pub(crate) row: Erased,
    pub(crate) found_by: Vec<String>,
}

/// The definition of the table of rows `R`.
pub const fn table<R: Row>() -> TableDef {
    fn decode<R: Row>(bytes: &[u8]) -> Result<Decoded, serde_json::Error> {
        let row: R = serde_json::from_slice(bytes)?;
        Ok(Decoded { found_by: row.found_by(), row: Arc::new(row) })
    }
    TableDef { name: R::TABLE, decode: decode::<R> }
}
