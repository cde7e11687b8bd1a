//! `kill -9` of a process that writes: what it acknowledged is there, and of the write under way all or nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use store::Store;

use crate::disk::Dice;
use crate::rows::{Note, Target, note, tables, target};

const CHILD: &str = "LANDFALL_STORE_TEST_WRITES_TO";
/// Rows that one write changes together.
const TOGETHER: u64 = 8;

/// Ends the child also when the test fails.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child: writes and acknowledges until it is killed.
fn write_for_ever(path: &Path) -> ! {
    let store = Store::open(path, &tables()).unwrap();
    let mut out = std::io::stdout();
    let mut number = store.snapshot().get::<Target>("last").map_or(0, |row| row.value);
    loop {
        number += 1;
        let done: Result<(), ()> = store
            .write(move |tx| {
                tx.put(target("last", number, &[]));
                for row in 0..TOGETHER {
                    tx.put(note(&format!("{row}"), &format!("{number} ").repeat(100)));
                }
                tx.put(note(&format!("history/{number}"), "kept"));
                Ok(())
            })
            .unwrap();
        done.unwrap();
        writeln!(out, "acknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    if let Some(path) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut dice = Dice(3);
    let mut last = 0;
    for round in 0..12 {
        #[expect(
            clippy::disallowed_methods,
            reason = "the process to be killed is this test itself, once more"
        )]
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::what_a_killed_process_acknowledged_is_there", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Writer(child);
        let mut out = BufReader::new(child.0.stdout.take().unwrap());
        let mut acknowledged = last;
        let hear = |line: &str, acknowledged: &mut u64| {
            if let Some(number) = line.trim_end().strip_prefix("acknowledged ") {
                *acknowledged = number.parse().unwrap();
            }
        };
        // Some writes, then at once: the moment falls anywhere in the writes that follow.
        let enough = last + 1 + dice.roll(60);
        while acknowledged < enough {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "the writing process ended by itself");
            hear(&line, &mut acknowledged);
        }
        child.0.kill().unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        // A last line without its end was not acknowledged.
        let whole = rest.rfind('\n').map_or("", |end| &rest[..=end]);
        whole.lines().for_each(|line| hear(line, &mut acknowledged));
        drop(child);

        let store = Store::open(&path, &tables()).unwrap();
        let snapshot = store.snapshot();
        let number = snapshot.get::<Target>("last").unwrap().value;
        assert!(
            number == acknowledged || number == acknowledged + 1,
            "round {round}: {acknowledged} was acknowledged and {number} is there"
        );
        for row in 0..TOGETHER {
            let text = &snapshot.get::<Note>(&format!("{row}")).unwrap().text;
            assert_eq!(*text, format!("{number} ").repeat(100), "round {round}: half a write is kept");
        }
        assert_eq!(snapshot.scan::<Note>("history/").count() as u64, number);
        assert_eq!(snapshot.sequence(), number, "every write was one commit");
        last = number;
    }
}
