//! The parts on disk: `agent/desired/<part>.json`, each whole or not there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use desired::{Part, decode, encode};
use types::PartId;

use crate::Error;

/// The folder of parts. Parts hold secrets: only their owner can read them.
#[derive(Debug)]
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file(&folder))?;
        Ok(Self(folder))
    }

    /// Every part that was kept.
    pub(crate) fn load(&self) -> Result<BTreeMap<PartId, Part>, Error> {
        let mut parts = BTreeMap::new();
        for entry in std::fs::read_dir(&self.0).map_err(Error::file(&self.0))? {
            let path = entry.map_err(Error::file(&self.0))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                // The half of a write that a crash cut off.
                std::fs::remove_file(&path).map_err(Error::file(&path))?;
                continue;
            }
            let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
            let part: Part = decode(&bytes).map_err(|cause| Error::Part { path, cause })?;
            parts.insert(part.id.clone(), part);
        }
        Ok(parts)
    }

    fn path(&self, id: &PartId) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    /// Keeps parts: they are on disk when this returns.
    pub(crate) fn keep<'a>(&self, parts: impl Iterator<Item = &'a Part>) -> Result<(), Error> {
        for part in parts {
            let path = self.path(&part.id);
            let next = path.with_extension("next");
            let write = || -> std::io::Result<()> {
                let mut file =
                    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
                file.write_all(&encode(part)?)?;
                file.sync_all()?;
                std::fs::rename(&next, &path)
            };
            write().map_err(Error::file(path.clone()))?;
        }
        sync(&self.0)
    }

    /// Forgets a part.
    pub(crate) fn forget(&self, id: &PartId) -> Result<(), Error> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file(path)(cause)),
            _ => sync(&self.0),
        }
    }
}

/// Makes a folder's names durable.
pub(crate) fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_again_and_the_half_of_a_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path().join("desired")).unwrap();
        let part = |generation| Part { id: PartId::Task("abc".into()), generation, body: None };
        ledger.keep([part(1), part(2)].iter()).unwrap();
        std::fs::write(folder.path().join("desired/edge.next"), "{").unwrap();
        assert_eq!(ledger.load().unwrap(), [(part(2).id, part(2))].into());
        assert!(!folder.path().join("desired/edge.next").exists());
        ledger.forget(&part(2).id).unwrap();
        ledger.forget(&part(2).id).unwrap();
        assert!(ledger.load().unwrap().is_empty());
        std::fs::write(folder.path().join("desired/edge.json"), "{").unwrap();
        assert!(ledger.load().unwrap_err().to_string().contains("edge.json"));
    }
}
