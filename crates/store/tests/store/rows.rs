//! Two tables to test with, and what they hold in plain words.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, TableDef, table};
use types::PartId;

/// A row that shows in the load balancers it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) key: String,
    pub(crate) value: u64,
    pub(crate) shows_in: Vec<String>,
}

/// A row that shows nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) key: String,
    pub(crate) text: String,
}

impl Row for Target {
    const TABLE: &'static str = "target";

    fn key(&self) -> String {
        self.key.clone()
    }

    fn parts(&self) -> Vec<PartId> {
        self.shows_in.iter().cloned().map(PartId::LoadBalancer).collect()
    }

    fn found_by(&self) -> Vec<String> {
        self.shows_in.iter().map(|part| format!("in/{part}/{}", self.key)).collect()
    }
}

impl Row for Note {
    const TABLE: &'static str = "note";

    fn key(&self) -> String {
        self.key.clone()
    }
}

pub(crate) fn target(key: &str, value: u64, shows_in: &[&str]) -> Target {
    Target { key: key.to_owned(), value, shows_in: shows_in.iter().map(|&part| part.to_owned()).collect() }
}

pub(crate) fn note(key: &str, text: &str) -> Note {
    Note { key: key.to_owned(), text: text.to_owned() }
}

pub(crate) fn tables() -> [TableDef; 2] {
    [table::<Target>(), table::<Note>()]
}

pub(crate) fn balancers(names: &[&str]) -> BTreeSet<PartId> {
    names.iter().map(|&name| PartId::LoadBalancer(name.to_owned())).collect()
}

/// All rows of both tables.
pub(crate) type Rows = BTreeMap<String, String>;

/// All rows of a snapshot: `table/key` to what the row says.
pub(crate) fn rows(snapshot: &Snapshot) -> Rows {
    let targets = snapshot
        .scan::<Target>("")
        .map(|row| (format!("target/{}", row.key), format!("{} {}", row.value, row.shows_in.join(","))));
    let notes = snapshot.scan::<Note>("").map(|row| (format!("note/{}", row.key), row.text.clone()));
    targets.chain(notes).collect()
}
