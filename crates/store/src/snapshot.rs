//! The immutable copy of all tables that readers take.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use crate::table::{Erased, Row};

/// All rows as of one commit. Cloning shares the rows.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub(crate) sequence: u64,
    pub(crate) tables: BTreeMap<&'static str, OrdMap<String, Erased>>,
    /// The rows again, by the keys of [`Row::found_by`].
    pub(crate) found_by: BTreeMap<&'static str, OrdMap<String, Erased>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The number of the commit that made this copy. It only grows, also over restarts.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The row at a key.
    pub fn get<R: Row>(&self, key: &str) -> Option<Arc<R>> {
        self.tables.get(R::TABLE)?.get(key).cloned().and_then(|row| row.downcast::<R>().ok())
    }

    /// The rows whose keys begin with `prefix`, in the order of their keys. The empty prefix gives all.
    pub fn scan<'a, R: Row>(&'a self, prefix: &'a str) -> impl Iterator<Item = Arc<R>> + 'a {
        below(self.tables.get(R::TABLE), prefix)
    }

    /// The rows one of whose further keys ([`Row::found_by`]) begins with `prefix`, in the order of those keys.
    pub fn find<'a, R: Row>(&'a self, prefix: &'a str) -> impl Iterator<Item = Arc<R>> + 'a {
        below(self.found_by.get(R::TABLE), prefix)
    }
}

fn below<'a, R: Row>(
    rows: Option<&'a OrdMap<String, Erased>>,
    prefix: &'a str,
) -> impl Iterator<Item = Arc<R>> + 'a {
    rows.into_iter()
        .flat_map(move |rows| rows.range(prefix.to_owned()..))
        .take_while(move |(key, _)| key.starts_with(prefix))
        .filter_map(|(_, row)| Arc::clone(row).downcast::<R>().ok())
}
