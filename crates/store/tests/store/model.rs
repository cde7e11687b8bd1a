//! Random writes against a plain map that says what must come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use store::{Commit, Store, StoreError, Tx};
use types::PartId;

use crate::rows::{Note, Rows, Target, note, rows, tables, target};

/// One change inside a write.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    PutTarget(String, u64, Vec<String>),
    PutNote(String, String),
    DeleteTarget(String),
    DeleteNote(String),
}

/// How a write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    Err,
    Panic,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Change>, End),
    Reopen,
}

/// The plain map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    targets: BTreeMap<String, (u64, Vec<String>)>,
    notes: BTreeMap<String, String>,
}

impl Model {
    /// Makes a change and says which parts it touched; `None` when there was nothing to change.
    pub(crate) fn apply(&mut self, change: &Change) -> Option<BTreeSet<PartId>> {
        let parts = |old: Option<(u64, Vec<String>)>, new: &[String]| {
            let old = old.map(|(_, parts)| parts).unwrap_or_default();
            old.into_iter().chain(new.iter().cloned()).map(PartId::LoadBalancer).collect()
        };
        match change {
            Change::PutTarget(key, value, shows_in) => {
                let old = self.targets.insert(key.clone(), (*value, shows_in.clone()));
                Some(parts(old, shows_in))
            }
            Change::PutNote(key, text) => {
                self.notes.insert(key.clone(), text.clone());
                Some(BTreeSet::new())
            }
            Change::DeleteTarget(key) => self.targets.remove(key).map(|old| parts(Some(old), &[])),
            Change::DeleteNote(key) => self.notes.remove(key).map(|_| BTreeSet::new()),
        }
    }

    pub(crate) fn rows(&self) -> Rows {
        let targets = self.targets.iter();
        let targets = targets
            .map(|(key, (value, parts))| (format!("target/{key}"), format!("{value} {}", parts.join(","))));
        let notes = self.notes.iter().map(|(key, text)| (format!("note/{key}"), text.clone()));
        targets.chain(notes).collect()
    }
}

pub(crate) fn make(tx: &mut Tx, change: Change) {
    match change {
        Change::PutTarget(key, value, shows_in) => {
            let shows_in: Vec<&str> = shows_in.iter().map(String::as_str).collect();
            tx.put(target(&key, value, &shows_in));
        }
        Change::PutNote(key, text) => {
            tx.put(note(&key, &text));
        }
        Change::DeleteTarget(key) => {
            tx.delete::<Target>(&key);
        }
        Change::DeleteNote(key) => {
            tx.delete::<Note>(&key);
        }
    }
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let key = || "[abé]{1,2}(/[ab])?";
    prop_oneof![
        (key(), any::<u64>(), prop::collection::vec("[xyz]", 0..3))
            .prop_map(|(key, value, parts)| Change::PutTarget(key, value, parts)),
        (key(), ".{0,40}").prop_map(|(key, text)| Change::PutNote(key, text)),
        key().prop_map(Change::DeleteTarget),
        key().prop_map(Change::DeleteNote),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![6 => Just(End::Ok), 2 => Just(End::Err), 1 => Just(End::Panic)];
    prop_oneof![
        9 => (prop::collection::vec(change(), 0..6), end).prop_map(|(changes, end)| Step::Write(changes, end)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_plain_map_does(steps in prop::collection::vec(step(), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let commits: Arc<Mutex<Vec<Commit>>> = Arc::default();
        let open = || {
            let store = Store::open(&path, &tables()).unwrap();
            let heard = commits.clone();
            store.watch(move |commit| heard.lock().unwrap().push(commit.clone()));
            store
        };
        let mut store = open();
        let mut model = Model::default();
        for step in steps {
            let before = store.snapshot().sequence();
            let heard = commits.lock().unwrap().len();
            match step {
                Step::Reopen => {
                    drop(store);
                    store = open();
                    prop_assert_eq!(store.snapshot().sequence(), before);
                }
                Step::Write(changes, end) => {
                    let todo = changes.clone();
                    let result = store.write(move |tx| {
                        for change in todo {
                            make(tx, change);
                        }
                        match end {
                            End::Ok => Ok(()),
                            End::Err => Err("refused"),
                            End::Panic => std::panic::resume_unwind(Box::new("a bug")),
                        }
                    });
                    let mut touched = Vec::new();
                    match (end, result) {
                        (End::Ok, Ok(Ok(()))) => {
                            touched = changes.iter().filter_map(|change| model.apply(change)).collect();
                        }
                        (End::Err, Ok(Err("refused"))) | (End::Panic, Err(StoreError::Panicked(_))) => {}
                        (_, other) => prop_assert!(false, "a write that ends in {end:?} was answered {other:?}"),
                    }
                    let grown = u64::from(!touched.is_empty());
                    prop_assert_eq!(store.snapshot().sequence(), before + grown);
                    let commits = commits.lock().unwrap();
                    prop_assert_eq!(commits.len() as u64, heard as u64 + grown);
                    if grown == 1 {
                        let dirty: BTreeSet<PartId> = touched.into_iter().flatten().collect();
                        prop_assert_eq!(&commits.last().unwrap().dirty, &dirty);
                    }
                }
            }
            prop_assert_eq!(rows(&store.snapshot()), model.rows());
        }
    }
}
