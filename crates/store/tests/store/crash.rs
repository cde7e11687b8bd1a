//! An acknowledged write is on disk: whatever was synced last, and any part of what was not, gives back exactly the
//! acknowledged writes, and of the one that was under way all or nothing.

use proptest::prelude::*;
use store::Store;

use crate::disk::{DATABASE, Dice, Disk, Fate, Image};
use crate::model::{Change, Model, change, make};
use crate::rows::{Rows, rows};

/// What the database must hold after each of the writes, the empty one first.
fn states(writes: &[Vec<Change>]) -> Vec<Rows> {
    let mut model = Model::default();
    let mut states = vec![model.rows()];
    for write in writes {
        for change in write {
            model.apply(change);
        }
        states.push(model.rows());
    }
    states
}

/// Writes one after the other until one fails; how many were acknowledged.
fn acknowledged(store: &Store, writes: &[Vec<Change>]) -> usize {
    let write = |write: &Vec<Change>| {
        let write = write.clone();
        store.write(move |tx| {
            for change in write {
                make(tx, change);
            }
            Ok::<_, ()>(())
        })
    };
    writes.iter().take_while(|changes| write(changes).is_ok()).count()
}

/// Opens what is left and says which state it holds. Then the store must work on, and close cleanly.
fn recovered(image: Image, states: &[Rows], from: usize) -> Result<usize, String> {
    let disk = Disk::of(image);
    let found = {
        let store = disk.open().map_err(|error| format!("does not open any more: {error}"))?;
        let found = rows(&store.snapshot());
        let sequence = store.snapshot().sequence();
        let changes = vec![vec![Change::PutNote("after".to_owned(), "the crash".to_owned())]];
        if acknowledged(&store, &changes) != 1 || store.snapshot().sequence() != sequence + 1 {
            return Err("cannot be written any more".to_owned());
        }
        found
    };
    let store = disk.open().map_err(|error| format!("does not open a second time: {error}"))?;
    let mut again = rows(&store.snapshot());
    if again.remove("note/after").is_none() || again != found {
        return Err(format!("holds {again:?} after it was closed, and {found:?} before"));
    }
    let at = states.iter().skip(from).take(2).position(|state| *state == found);
    at.ok_or_else(|| {
        format!("holds {found:?}, no state at or just after write {from}: {:?}", states.get(from))
    })
}

/// Writes that fill pages, move them, and fold the log into the database several times.
fn workload() -> Vec<Vec<Change>> {
    let text = |seed: usize| format!("{seed} ").repeat(150);
    let mut writes = Vec::new();
    for step in 0..24 {
        let mut write = vec![
            Change::PutTarget(format!("{}", step % 7), step as u64, vec!["x".to_owned()]),
            Change::PutNote(format!("{}", step % 5), text(step)),
            Change::PutNote(format!("own/{step}"), text(step)),
        ];
        if step % 4 == 3 {
            write.push(Change::DeleteNote(format!("own/{}", step - 2)));
            write.push(Change::DeleteTarget(format!("{}", (step + 1) % 7)));
        }
        writes.push(write);
    }
    writes
}

fn check_crash(
    writes: &[Vec<Change>],
    states: &[Rows],
    operation: u64,
    fates: &[Fate],
) -> Result<(), String> {
    let disk = Disk::default();
    disk.cut_power_at(operation);
    let done = match disk.open() {
        // Closing is part of it: the power may go while the log is folded in for the last time.
        Ok(store) => acknowledged(&store, writes),
        Err(_) => 0,
    };
    for fate in fates {
        let image = disk.image(fate.clone());
        recovered(image, states, done).map_err(|error| {
            format!("power cut at operation {operation}, {done} writes acknowledged, {fate:?}: the database {error}")
        })?;
    }
    Ok(())
}

#[test]
fn every_acknowledged_write_outlives_a_power_cut_at_every_operation() {
    let writes = workload();
    let states = states(&writes);
    let disk = Disk::default();
    assert_eq!(acknowledged(&disk.open().unwrap(), &writes), writes.len());
    let operations = disk.operations();
    assert!(operations > 200, "too little happens for this to prove anything: {operations} operations");
    for operation in 0..=operations {
        let fates = [Fate::Lost, Fate::Kept, Fate::Dice(Dice(operation)), Fate::Dice(Dice(!operation))];
        check_crash(&writes, &states, operation, &fates).unwrap();
    }
}

#[test]
fn a_disk_that_answers_a_sync_without_doing_it_is_found_out() {
    let writes = workload();
    let states = states(&writes);
    let disk = Disk::default();
    let store = disk.open().unwrap();
    assert_eq!(acknowledged(&store, &writes[..4]), 4);
    disk.lie();
    assert_eq!(acknowledged(&store, &writes[4..8]), 4);
    let error = recovered(disk.image(Fate::Lost), &states, 8).unwrap_err();
    assert!(error.contains("no state at or just after write 8"), "{error}");
    assert_eq!(recovered(disk.image(Fate::Kept), &states, 8), Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_writes_of_any_kind_outlive_a_power_cut(
        writes in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..16),
        moment in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let states = states(&writes);
        let disk = Disk::default();
        acknowledged(&disk.open().unwrap(), &writes);
        let at = moment.index(usize::try_from(disk.operations()).unwrap()) as u64;
        let fates = [Fate::Lost, Fate::Kept, Fate::Dice(Dice(seed))];
        check_crash(&writes, &states, at, &fates).map_err(TestCaseError::fail)?;
    }
}

/// The last known image before the log is folded in, torn by `tear`: what is left must be one of the states.
fn check_torn(tear: impl Fn(&mut Vec<u8>, usize)) {
    let writes: Vec<_> = workload().into_iter().take(3).collect();
    let states = states(&writes);
    let disk = Disk::default();
    let store = disk.open().unwrap();
    assert_eq!(acknowledged(&store, &writes), writes.len());
    let image = disk.image(Fate::Kept);
    let log = format!("{DATABASE}-wal");
    let whole = image[&log].len();
    let mut best = 0;
    for at in (0..whole).step_by(97) {
        let mut torn = image.clone();
        tear(torn.get_mut(&log).unwrap(), at);
        let disk = Disk::of(torn);
        let store = disk.open().unwrap_or_else(|error| panic!("torn at byte {at}: {error}"));
        let found = rows(&store.snapshot());
        let state = states.iter().position(|state| *state == found);
        best =
            best.max(state.unwrap_or_else(|| panic!("torn at byte {at}, half a write is kept: {found:?}")));
    }
    assert!(best > 0, "no torn log gave any write back");
}

#[test]
fn a_torn_log_gives_back_whole_writes_only() {
    check_torn(Vec::truncate);
}

#[test]
fn a_damaged_log_gives_back_whole_writes_only() {
    check_torn(|log, at| log[at] ^= 0x40);
}

#[test]
fn a_sync_that_fails_refuses_the_write_and_the_next_one_is_kept() {
    let writes = workload();
    let (first, rest) = writes.split_at(5);
    let disk = Disk::default();
    let store = disk.open().unwrap();
    assert_eq!(acknowledged(&store, first), first.len());
    let before = store.snapshot();
    disk.fail_syncs(1);
    assert_eq!(acknowledged(&store, &rest[..1]), 0, "a write was acknowledged whose sync failed");
    assert_eq!(rows(&store.snapshot()), rows(&before));
    assert_eq!(store.snapshot().sequence(), before.sequence());

    let next = vec![vec![Change::PutNote("next".to_owned(), "kept".to_owned())]];
    assert_eq!(acknowledged(&store, &next), 1);
    let mut expected = rows(&before);
    expected.insert("note/next".to_owned(), "kept".to_owned());
    assert_eq!(rows(&store.snapshot()), expected);
    let after_the_cut = Disk::of(disk.image(Fate::Lost)).open().unwrap();
    assert_eq!(rows(&after_the_cut.snapshot()), expected);
}
