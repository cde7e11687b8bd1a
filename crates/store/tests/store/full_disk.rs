//! A full disk refuses writes, keeps nothing of them, and takes writes again once there is room.

use std::io::Write;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use store::{Store, StoreError};

use crate::disk::{Disk, Fate};
use crate::rows::{note, rows, tables};

fn write(store: &Store, key: &str, size: usize) -> Result<(), StoreError> {
    let (key, text) = (key.to_owned(), "x".repeat(size));
    let done: Result<(), ()> = store.write(move |tx| {
        tx.put(note(&format!("{key}/first"), "whole or not at all"));
        tx.put(note(&key, &text));
        Ok(())
    })?;
    done.unwrap();
    Ok(())
}

/// Fills the disk up, checks that nothing half is kept, makes room and writes on.
fn check_full(store: Store, make_room: impl FnOnce(), reopen: impl FnOnce() -> Store) {
    let mut step = 0;
    let error = loop {
        let before = store.snapshot();
        match write(&store, &format!("{step}"), 40_000) {
            Ok(()) => step += 1,
            Err(error) => {
                assert_eq!(rows(&store.snapshot()), rows(&before), "a refused write is seen");
                assert_eq!(store.snapshot().sequence(), before.sequence());
                break error;
            }
        }
        assert!(step < 1000, "the disk never gets full");
    };
    assert!(step > 0, "not even one write fits");
    assert_eq!(error.to_string(), "the state database cannot be written: database or disk is full");
    for _ in 0..3 {
        write(&store, "again", 40_000).unwrap_err();
    }
    make_room();
    write(&store, "after", 40_000).unwrap();
    let expected = rows(&store.snapshot());
    assert_eq!(expected.len(), 2 * (step + 1));
    drop(store);
    assert_eq!(rows(&reopen().snapshot()), expected);
}

#[test]
fn a_disk_without_room_refuses_writes_until_there_is_room() {
    let disk = Disk::default();
    let store = disk.open().unwrap();
    write(&store, "before", 10).unwrap();
    disk.set_room(Some(disk.size() + 300_000));
    let same = disk.clone();
    check_full_from(store, || disk.set_room(None), move || Disk::of(same.image(Fate::Lost)).open().unwrap());
}

/// As [`check_full`], for a store that holds the rows of one write already.
fn check_full_from(store: Store, make_room: impl FnOnce(), reopen: impl FnOnce() -> Store) {
    let done: Result<(), ()> = store
        .write(|tx| {
            tx.delete::<crate::rows::Note>("before");
            tx.delete::<crate::rows::Note>("before/first");
            Ok(())
        })
        .unwrap();
    done.unwrap();
    check_full(store, make_room, reopen);
}

/// A file system in memory of a few pages, unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn new(at: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=0700");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .expect("these tests run as root: a file system is mounted in their own folder");
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_file_system_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let tmpfs = Tmpfs::new(folder.path(), "2m");
    let ballast = tmpfs.0.join("ballast");
    std::fs::File::create(&ballast).unwrap().write_all(&vec![1; 1 << 20]).unwrap();
    let path = tmpfs.0.join("test.db");
    let store = Store::open(&path, &tables()).unwrap();
    check_full(store, || std::fs::remove_file(&ballast).unwrap(), || Store::open(&path, &tables()).unwrap());
}
