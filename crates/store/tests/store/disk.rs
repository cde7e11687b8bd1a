//! A disk in memory that can lose its power: what was written and not synced is then lost, wholly or in part.
//!
//! It is modelled on what POSIX promises and no more. A write, a truncation and a removal are in a cache until the file
//! (for a removal: the folder) is synced. When the power goes, any subset of what is in the cache is on the platter, and
//! a write may be torn at a sector. What was synced is there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenKind, OpenOptions, Vfs, WalDisabled};
use store::{Store, StoreError};

use crate::rows::tables;

const SECTOR: usize = 512;

/// A change in the cache.
#[derive(Debug, Clone)]
enum Cached {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Cached {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Cached::Write(at, bytes) => {
                if content.len() < at + bytes.len() {
                    content.resize(at + bytes.len(), 0);
                }
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Cached::SetLen(size) => content.resize(*size, 0),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct File {
    content: Vec<u8>,
    /// What the platter held when the file was opened or synced last.
    synced: Vec<u8>,
    cached: Vec<Cached>,
    /// Made, and never synced since.
    is_new: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Files whose name is on the platter, with what they hold there.
    platter: BTreeMap<String, Vec<u8>>,
    /// Operations done that change the disk or ask for a sync.
    operations: u64,
    power_goes_at: Option<u64>,
    /// Bytes that fit on the disk.
    room: Option<usize>,
    syncs_that_fail: u32,
    /// Syncs are answered and not done.
    lies: bool,
}

impl State {
    /// Counts an operation; an error when the power is gone.
    fn operate(&mut self) -> Result<(), Error> {
        if self.power_goes_at.is_some_and(|at| self.operations >= at) {
            return Err(Error::other("the power is gone"));
        }
        self.operations += 1;
        Ok(())
    }
}

/// How much of what was not synced outlives the power cut.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// All of it, as after `kill -9`.
    Kept,
    /// None of it.
    Lost,
    /// Any part of it, by these dice.
    Dice(Dice),
}

/// Numbers by chance, the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// The files of a disk.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// The database's name on every disk.
pub(crate) const DATABASE: &str = "test.db";

impl Disk {
    pub(crate) fn of(image: Image) -> Self {
        let file =
            |content: &Vec<u8>| File { content: content.clone(), synced: content.clone(), ..File::default() };
        let files = image.iter().map(|(name, content)| (name.clone(), file(content))).collect();
        Self(Arc::new(Mutex::new(State { files, platter: image, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens the store on this disk, with a log that is folded into the database every few pages.
    pub(crate) fn open(&self) -> Result<Store, StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("disk-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        sqlite_vfs::register(&name, self.clone(), false).unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let opened = Connection::open_with_flags_and_vfs(DATABASE, flags, name.as_str());
        let refused =
            |error: rusqlite::Error| StoreError::Database { doing: "opened", cause: error.to_string() };
        let connection = opened.map_err(refused)?;
        connection.pragma_update(None, "wal_autocheckpoint", 20).map_err(refused)?;
        Store::with_connection(connection, &tables())
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The power goes before the operation of this number, counted from 0.
    pub(crate) fn cut_power_at(&self, operation: u64) {
        self.state().power_goes_at = Some(operation);
    }

    pub(crate) fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    pub(crate) fn size(&self) -> usize {
        self.state().files.values().map(|file| file.content.len()).sum()
    }

    pub(crate) fn lie(&self) {
        self.state().lies = true;
    }

    pub(crate) fn fail_syncs(&self, count: u32) {
        self.state().syncs_that_fail = count;
    }

    /// What is on the platter now.
    pub(crate) fn image(&self, mut fate: Fate) -> Image {
        let state = self.state();
        let mut image = Image::new();
        for (name, file) in &state.files {
            if file.is_new && !fate.survives() {
                // Its name is not on the platter; a file removed before may still stand there.
                image.extend(state.platter.get(name).map(|old| (name.clone(), old.clone())));
                continue;
            }
            let mut content = file.synced.clone();
            for cached in &file.cached {
                if let Some(change) = fate.of_change(cached) {
                    change.apply(&mut content);
                }
            }
            image.insert(name.clone(), content);
        }
        for (name, content) in &state.platter {
            // Removed, and the folder not synced since.
            if !state.files.contains_key(name) && !fate.survives() {
                image.insert(name.clone(), content.clone());
            }
        }
        image
    }
}

impl Fate {
    fn survives(&mut self) -> bool {
        match self {
            Fate::Kept => true,
            Fate::Lost => false,
            Fate::Dice(dice) => dice.roll(2) == 0,
        }
    }

    fn of_change(&mut self, change: &Cached) -> Option<Cached> {
        if !self.survives() {
            return None;
        }
        if let (Fate::Dice(dice), Cached::Write(at, bytes)) = (self, change)
            && bytes.len() > SECTOR
            && dice.roll(3) == 0
        {
            let whole = (bytes.len() - 1) / SECTOR;
            let sectors = 1 + usize::try_from(dice.roll(whole as u64)).unwrap();
            return Some(Cached::Write(*at, bytes[..sectors * SECTOR].to_vec()));
        }
        Some(change.clone())
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: Disk,
    name: String,
    lock: LockKind,
}

impl Handle {
    fn change(&self, change: &Cached) -> Result<(), Error> {
        let mut state = self.disk.state();
        state.operate()?;
        let file = state.files.entry(self.name.clone()).or_default();
        change.apply(&mut file.content);
        file.cached.push(change.clone());
        Ok(())
    }
}

impl DatabaseHandle for Handle {
    type WalIndex = WalDisabled;

    fn size(&self) -> Result<u64, Error> {
        Ok(self.disk.state().files.get(&self.name).map_or(0, |file| file.content.len() as u64))
    }

    fn read_exact_at(&mut self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        let state = self.disk.state();
        let content = state.files.get(&self.name).map_or(&[][..], |file| &file.content);
        let start = usize::try_from(offset).unwrap().min(content.len());
        let there = &content[start..(start + buf.len()).min(content.len())];
        buf.fill(0);
        buf[..there.len()].copy_from_slice(there);
        if there.len() < buf.len() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> Result<(), Error> {
        let offset = usize::try_from(offset).unwrap();
        {
            let state = self.disk.state();
            let used: usize = state.files.values().map(|file| file.content.len()).sum();
            let held = state.files.get(&self.name).map_or(0, |file| file.content.len());
            let more = (offset + buf.len()).saturating_sub(held);
            if more > 0 && state.room.is_some_and(|room| used + more > room) {
                // What SQLite takes for ENOSPC.
                return Err(ErrorKind::WriteZero.into());
            }
        }
        self.change(&Cached::Write(offset, buf.to_vec()))
    }

    fn sync(&mut self, _data_only: bool) -> Result<(), Error> {
        let mut state = self.disk.state();
        state.operate()?;
        if state.syncs_that_fail > 0 {
            state.syncs_that_fail -= 1;
            return Err(Error::other("the platter is scratched"));
        }
        if state.lies {
            return Ok(());
        }
        if let Some(file) = state.files.get_mut(&self.name) {
            file.cached.clear();
            file.is_new = false;
            file.synced = file.content.clone();
            let content = file.content.clone();
            state.platter.insert(self.name.clone(), content);
        }
        Ok(())
    }

    fn set_len(&mut self, size: u64) -> Result<(), Error> {
        self.change(&Cached::SetLen(usize::try_from(size).unwrap()))
    }

    fn lock(&mut self, lock: LockKind) -> Result<bool, Error> {
        self.lock = lock;
        Ok(true)
    }

    fn reserved(&mut self) -> Result<bool, Error> {
        Ok(self.lock > LockKind::Shared)
    }

    fn current_lock(&self) -> Result<LockKind, Error> {
        Ok(self.lock)
    }

    fn wal_index(&self, _readonly: bool) -> Result<WalDisabled, Error> {
        Err(Error::other("the store needs no shared memory"))
    }
}

impl Vfs for Disk {
    type Handle = Handle;

    fn open(&self, db: &str, opts: OpenOptions) -> Result<Handle, Error> {
        let mut state = self.state();
        let there = state.files.contains_key(db);
        match opts.access {
            OpenAccess::Read | OpenAccess::Write if !there => return Err(ErrorKind::NotFound.into()),
            OpenAccess::CreateNew if there => return Err(ErrorKind::AlreadyExists.into()),
            OpenAccess::Create | OpenAccess::CreateNew if !there => {
                state.operate()?;
                state.files.insert(db.to_owned(), File { is_new: true, ..File::default() });
            }
            _ => {}
        }
        assert!(
            matches!(opts.kind, OpenKind::MainDb | OpenKind::MainJournal | OpenKind::Wal),
            "the store opened a file of the kind {:?}",
            opts.kind
        );
        Ok(Handle { disk: self.clone(), name: db.to_owned(), lock: LockKind::None })
    }

    fn delete(&self, db: &str) -> Result<(), Error> {
        let mut state = self.state();
        state.operate()?;
        state.files.remove(db).ok_or(ErrorKind::NotFound)?;
        // SQLite syncs the folder after it removes a rollback journal (that removal is the commit), and only then.
        if db.ends_with("-journal") {
            state.platter.remove(db);
        }
        Ok(())
    }

    fn exists(&self, db: &str) -> Result<bool, Error> {
        Ok(self.state().files.contains_key(db))
    }

    fn temporary_name(&self) -> String {
        "temporary".to_owned()
    }

    fn random(&self, buffer: &mut [i8]) {
        // The same salts every time: a crash at an operation can be looked at again.
        buffer.fill(7);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }

    fn full_pathname<'a>(&self, db: &'a str) -> Result<Cow<'a, str>, Error> {
        Ok(db.into())
    }
}
