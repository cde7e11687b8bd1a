//! What a database file may be when it is opened.

use std::path::Path;

use expect_test::{Expect, expect};
use rusqlite::Connection;
use store::{Store, StoreError, table};

use crate::rows::{Note, Target, note, rows, tables, target};

fn filled(path: &Path) {
    let store = Store::open(path, &tables()).unwrap();
    let done: Result<_, ()> = store
        .write(|tx| {
            tx.put(target("a", 1, &["x"]));
            tx.put(note("b", "two"));
            Ok(())
        })
        .unwrap();
    done.unwrap();
}

/// Spoils a good database with SQL and says how opening it then ends.
fn check_spoilt(sql: &str, expected: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    filled(&path);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    expected.assert_eq(&match Store::open(&path, &tables()) {
        Ok(store) => format!("{:?}", rows(&store.snapshot())),
        Err(error) => error.to_string(),
    });
}

#[test]
fn a_database_that_this_program_does_not_know_is_refused_and_left_as_it_is() {
    check_spoilt(
        "PRAGMA user_version = 2",
        &expect!["the state database has layout 2, made by a later Landfall; this one knows layout 1"],
    );
    check_spoilt(
        "UPDATE row SET value = CAST('{\"key\":\"a\"}' AS BLOB) WHERE key = 'a'",
        &expect![
            "the state database holds a row of target that cannot be read, 'a': missing field `value` at line 1 column 11. Another version of Landfall wrote it: use that one, or start over with `landfall down --purge`"
        ],
    );
    check_spoilt(
        "UPDATE row SET value = x'ff00' WHERE key = 'b'",
        &expect![
            "the state database holds a row of note that cannot be read, 'b': expected value at line 1 column 1. Another version of Landfall wrote it: use that one, or start over with `landfall down --purge`"
        ],
    );
}

#[test]
fn rows_of_an_unknown_table_are_left_alone() {
    check_spoilt(
        "INSERT INTO row VALUES ('of a later version', 'k', x'00')",
        &expect![[r#"{"note/b": "two", "target/a": "1 x"}"#]],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    filled(&path);
    {
        let store = Store::open(&path, &[table::<Target>()]).unwrap();
        assert!(store.snapshot().get::<Note>("b").is_none());
        let done: Result<_, ()> = store.write(|tx| Ok(tx.delete::<Target>("a").is_some())).unwrap();
        assert_eq!(done, Ok(true));
    }
    let store = Store::open(&path, &tables()).unwrap();
    expect![[r#"{"note/b": "two"}"#]].assert_eq(&format!("{:?}", rows(&store.snapshot())));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    std::fs::write(&path, "something else that somebody keeps here\n".repeat(200)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path, &tables()).unwrap_err();
    expect!["the state database cannot be opened: file is not a database"].assert_eq(&error.to_string());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&folder.path().join("no/such/folder/test.db"), &tables()).unwrap_err();
    assert!(matches!(error, StoreError::Database { doing: "opened", .. }), "{error:?}");
}

#[test]
fn a_second_open_is_refused_while_the_first_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let first = Store::open(&path, &tables()).unwrap();
    let error = Store::open(&path, &tables()).unwrap_err();
    expect!["the state database is in use by another Landfall process: end it with `landfall down`, or choose another folder with --state-dir"]
        .assert_eq(&error.to_string());
    let done: Result<_, ()> = first.write(|tx| Ok(tx.put(note("a", "still writes")))).unwrap();
    done.unwrap();
    drop(first);
    let second = Store::open(&path, &tables()).unwrap();
    assert_eq!(second.snapshot().scan::<Note>("").count(), 1);
}

#[test]
fn the_number_of_the_last_commit_only_grows_also_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut last = 0;
    for round in 0..5 {
        let store = Store::open(&path, &tables()).unwrap();
        assert_eq!(store.snapshot().sequence(), last, "in round {round}");
        for value in 0..3 {
            let told: Result<u64, ()> = store
                .write(move |tx| {
                    tx.put(target("a", value, &[]));
                    Ok(tx.next_sequence())
                })
                .unwrap();
            let now = store.snapshot().sequence();
            assert!(now > last);
            assert_eq!(told, Ok(now));
            last = now;
        }
    }
}
