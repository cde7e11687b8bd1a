//! What a write leaves: all of it, or nothing.

use std::sync::{Arc, Mutex, mpsc};

use expect_test::{Expect, expect};
use store::{Commit, Snapshot, Store, StoreError, Tx};

use crate::rows::{Note, Target, balancers, note, rows, tables, target};

struct Fixture {
    store: Store,
    commits: Arc<Mutex<Vec<Commit>>>,
    folder: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db"), &tables()).unwrap();
    let commits: Arc<Mutex<Vec<Commit>>> = Arc::default();
    let heard = commits.clone();
    store.watch(move |commit| heard.lock().unwrap().push(commit.clone()));
    Fixture { store, commits, folder }
}

impl Fixture {
    fn write(&self, write: impl FnOnce(&mut Tx) + Send + 'static) {
        let done: Result<(), String> = self
            .store
            .write(move |tx| {
                write(tx);
                Ok(())
            })
            .unwrap();
        done.unwrap();
    }
}

fn check_scan(prefix: &str, expected: &Expect) {
    let fixture = fixture();
    fixture.write(|tx| {
        for key in ["a/1", "a/10", "a/2", "ab/1", "b/1", "é/1"] {
            tx.put(target(key, 0, &[]));
        }
        tx.put(note("a/3", "of another table"));
    });
    let snapshot = fixture.store.snapshot();
    let keys: Vec<String> = snapshot.scan::<Target>(prefix).map(|row| row.key.clone()).collect();
    expected.assert_eq(&keys.join(" "));
}

#[test]
fn a_scan_gives_the_rows_of_one_table_below_a_prefix_in_the_order_of_their_keys() {
    check_scan("", &expect!["a/1 a/10 a/2 ab/1 b/1 é/1"]);
    check_scan("a", &expect!["a/1 a/10 a/2 ab/1"]);
    check_scan("a/", &expect!["a/1 a/10 a/2"]);
    check_scan("a/1", &expect!["a/1 a/10"]);
    check_scan("é", &expect!["é/1"]);
    check_scan("c", &expect![""]);
}

#[test]
fn a_write_reads_its_own_changes_and_nobody_else_does_before_it_is_done() {
    let fixture = fixture();
    fixture.write(|tx| {
        tx.put(target("old", 1, &[]));
    });
    let before = fixture.store.snapshot();
    let (inside, seen) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let (done, ended) = mpsc::channel();
    fixture.store.submit(
        move |tx| {
            tx.put(target("new", 2, &[]));
            tx.delete::<Target>("old");
            inside.send(rows(tx)).unwrap();
            wait.recv().unwrap();
            Ok::<_, ()>(())
        },
        move |result| done.send(result).unwrap(),
    );
    expect![[r#"{"target/new": "2 "}"#]].assert_eq(&format!("{:?}", seen.recv().unwrap()));
    assert_eq!(rows(&fixture.store.snapshot()), rows(&before), "a reader saw a write that was under way");
    go_on.send(()).unwrap();
    ended.recv().unwrap().unwrap().unwrap();
    expect![[r#"{"target/new": "2 "}"#]].assert_eq(&format!("{:?}", rows(&fixture.store.snapshot())));
    expect![[r#"{"target/old": "1 "}"#]].assert_eq(&format!("{:?}", rows(&before)));
}

type Write = Box<dyn FnOnce(&mut Tx) -> Result<(), &'static str> + Send>;

/// Runs a write that must fail after it changed rows, between two that succeed in the same batch.
fn check_no_trace(
    write: impl FnOnce(&mut Tx) -> Result<(), &'static str> + Send + 'static,
    expected: &Expect,
) {
    let fixture = fixture();
    fixture.write(|tx| {
        tx.put(target("kept", 1, &["a"]));
    });
    let before = fixture.store.snapshot();
    let (hold, held) = mpsc::channel::<()>();
    let (answers, answered) = mpsc::channel();
    let first = answers.clone();
    // The writer is held here, so that the next three are one batch.
    fixture.store.submit(
        move |_| {
            held.recv().unwrap();
            Ok::<_, &str>(())
        },
        move |result| first.send(format!("{result:?}")).unwrap(),
    );
    let submit = |write: Write| {
        let answers = answers.clone();
        fixture.store.submit(write, move |result| answers.send(format!("{result:?}")).unwrap());
    };
    submit(Box::new(|tx| {
        tx.put(note("one", "before"));
        Ok(())
    }));
    submit(Box::new(move |tx| {
        tx.put(target("new", 2, &["b"]));
        tx.delete::<Target>("kept");
        tx.delete::<Note>("one");
        write(tx)
    }));
    submit(Box::new(|tx| {
        assert!(tx.get::<Target>("new").is_none(), "a failed write was seen by the next");
        tx.put(note("two", "after"));
        Ok(())
    }));
    hold.send(()).unwrap();
    let answers: Vec<String> = (0..4).map(|_| answered.recv().unwrap()).collect();
    expected.assert_eq(&answers.join("\n"));
    let after = fixture.store.snapshot();
    expect![[r#"{"note/one": "before", "note/two": "after", "target/kept": "1 a"}"#]]
        .assert_eq(&format!("{:?}", rows(&after)));
    assert_eq!(after.sequence(), before.sequence() + 1, "the batch is one commit");
    let dirty = fixture.commits.lock().unwrap().last().unwrap().dirty.clone();
    assert!(dirty.is_empty(), "parts of the failed write were told as dirty: {dirty:?}");

    let Fixture { store, folder, .. } = fixture;
    drop(store);
    let reopened = Store::open(&folder.path().join("test.db"), &tables()).unwrap();
    assert_eq!(rows(&reopened.snapshot()), rows(&after), "the disk says something else");
}

#[test]
fn a_write_that_fails_leaves_no_trace() {
    check_no_trace(
        |_| Err("refused"),
        &expect![[r#"
            Ok(Ok(()))
            Ok(Ok(()))
            Ok(Err("refused"))
            Ok(Ok(()))"#]],
    );
}

#[test]
fn a_write_that_panics_leaves_no_trace() {
    check_no_trace(
        |_| panic!("a bug"),
        &expect![[r#"
            Ok(Ok(()))
            Ok(Ok(()))
            Err(Panicked("a bug"))
            Ok(Ok(()))"#]],
    );
}

#[test]
fn a_row_of_a_table_that_was_not_opened_is_an_error_of_the_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db"), &[store::table::<Note>()]).unwrap();
    let result = store.write(|tx| {
        tx.put(target("a", 1, &[]));
        Ok::<_, ()>(())
    });
    expect!["a write failed inside Landfall and nothing of it was kept: the store was opened without the table target"]
        .assert_eq(&result.unwrap_err().to_string());
}

fn check_dirty(write: impl FnOnce(&mut Tx) + Send + 'static, expected: &[&str]) {
    let fixture = fixture();
    fixture.write(|tx| {
        tx.put(target("row", 1, &["old", "both"]));
    });
    fixture.write(write);
    let commits = fixture.commits.lock().unwrap();
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[1].dirty, balancers(expected));
    assert_eq!(commits[1].sequence, fixture.store.snapshot().sequence());
}

#[test]
fn a_change_makes_the_parts_of_the_old_and_of_the_new_row_dirty() {
    check_dirty(
        |tx| {
            tx.put(target("row", 1, &["both", "new"]));
        },
        &["old", "both", "new"],
    );
    check_dirty(
        |tx| {
            tx.put(target("other", 1, &["new"]));
        },
        &["new"],
    );
    check_dirty(
        |tx| {
            tx.delete::<Target>("row");
        },
        &["old", "both"],
    );
    check_dirty(
        |tx| {
            // Put and taken back: those who saw the row in between do not exist, but being told once more is harmless.
            tx.put(target("row", 2, &["passing"]));
            tx.put(target("row", 1, &["old", "both"]));
        },
        &["old", "both", "passing"],
    );
    check_dirty(
        |tx| {
            tx.put(note("a", "shows nowhere"));
        },
        &[],
    );
}

#[test]
fn a_write_that_changes_no_row_is_no_commit() {
    let fixture = fixture();
    let before = fixture.store.snapshot().sequence();
    fixture.write(|tx| {
        assert!(tx.delete::<Target>("nothing there").is_none());
    });
    assert_eq!(fixture.store.snapshot().sequence(), before);
    assert!(fixture.commits.lock().unwrap().is_empty());
}

#[test]
fn watchers_hear_of_a_commit_before_its_writes_are_answered() {
    let fixture = fixture();
    for value in 0..50 {
        fixture.write(move |tx| {
            tx.put(target("row", value, &["a"]));
        });
        let commits = fixture.commits.lock().unwrap();
        let last = commits.last().expect("the write was answered and no watcher had heard of it");
        assert_eq!(last.sequence, fixture.store.snapshot().sequence());
        assert_eq!(fixture.store.snapshot().get::<Target>("row").unwrap().value, value);
    }
}

#[test]
fn the_panic_of_a_watcher_or_an_answer_ends_nobody_elses_writes() {
    let fixture = fixture();
    fixture.store.watch(|_| panic!("a watcher's bug"));
    fixture.store.submit(
        |tx| {
            tx.put(target("row", 1, &[]));
            Ok::<_, ()>(())
        },
        |_| panic!("an answer's bug"),
    );
    fixture.write(|tx| {
        tx.put(target("row", 2, &[]));
    });
    assert_eq!(fixture.store.snapshot().get::<Target>("row").unwrap().value, 2);
}

#[test]
fn many_threads_write_and_each_gets_its_own_answer() {
    let fixture = fixture();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let store = &fixture.store;
            scope.spawn(move || {
                for step in 0..40 {
                    let counted: Result<u64, StoreError> = store
                        .write(move |tx| {
                            let old = tx.get::<Target>("counter").map_or(0, |row| row.value);
                            tx.put(target("counter", old + 1, &[]));
                            tx.put(target(&format!("own/{thread}"), step, &[]));
                            Ok::<_, ()>(step)
                        })
                        .map(|result| result.unwrap());
                    assert_eq!(counted.unwrap(), step);
                    let snapshot = store.snapshot();
                    assert_eq!(snapshot.get::<Target>(&format!("own/{thread}")).unwrap().value, step);
                }
            });
        }
    });
    assert_eq!(fixture.store.snapshot().get::<Target>("counter").unwrap().value, 320);
}

#[test]
fn writes_that_wait_when_the_store_is_dropped_are_still_done() {
    let Fixture { store, folder, .. } = fixture();
    let (answers, answered) = mpsc::channel();
    for value in 0..20 {
        let answers = answers.clone();
        store.submit(
            move |tx| {
                tx.put(target(&format!("{value:02}"), value, &[]));
                Ok::<_, ()>(())
            },
            move |result| answers.send(result.is_ok()).unwrap(),
        );
    }
    drop(store);
    assert_eq!((0..20).filter(|_| answered.recv().unwrap()).count(), 20);
    let reopened = Store::open(&folder.path().join("test.db"), &tables()).unwrap();
    assert_eq!(reopened.snapshot().scan::<Target>("").count(), 20);
}

#[test]
fn a_row_is_found_by_its_further_keys_as_they_are_now_also_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let found = |rows: &Snapshot, part: &str| -> Vec<String> {
        rows.find::<Target>(&format!("in/{part}/")).map(|row| row.key.clone()).collect()
    };
    let store = Store::open(&path, &tables()).unwrap();
    let write = |write: fn(&mut Tx)| {
        let done: Result<(), std::convert::Infallible> = store
            .write(move |tx| {
                write(tx);
                Ok(())
            })
            .unwrap();
        done.unwrap();
    };
    write(|tx| {
        tx.put(target("a", 1, &["x", "y"]));
        tx.put(target("b", 2, &["x"]));
        assert_eq!(tx.find::<Target>("in/x/").count(), 2, "a write sees its own rows");
    });
    write(|tx| {
        tx.put(target("a", 3, &["y"]));
        tx.put(target("c", 4, &["y"]));
    });
    write(|tx| drop(tx.delete::<Target>("c")));
    assert_eq!(found(&store.snapshot(), "x"), ["b"]);
    assert_eq!(found(&store.snapshot(), "y"), ["a"]);
    assert_eq!(store.snapshot().find::<Target>("in/y/").next().unwrap().value, 3);
    drop(store);
    let rows = Store::open(&path, &tables()).unwrap().snapshot();
    assert_eq!((found(&rows, "x"), found(&rows, "y")), (vec!["b".to_owned()], vec!["a".to_owned()]));
}
