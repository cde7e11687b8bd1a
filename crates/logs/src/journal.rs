//! The journal: what was appended since the streams' own files were synced last.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file, open for writing at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    length: u64,
    /// What follows `length` in the file could not be cut off: nothing may be written behind it.
    spoiled: bool,
}

/// One stream's part of a group, as it stands in the journal.
pub(crate) struct Entry<'a> {
    pub(crate) stream: &'a str,
    /// Whole records.
    pub(crate) records: &'a [u8],
}

/// Appends an entry's bytes: checksum, lengths, the stream's name, the records.
pub(crate) fn encode(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32::try_from(entry.stream.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&u32::try_from(entry.records.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(entry.stream.as_bytes());
    out.extend_from_slice(entry.records);
    let sum = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
}

fn decode(bytes: &[u8]) -> Option<(Entry<'_>, usize)> {
    let four = |at: usize| {
        bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(u32::from_le_bytes)
    };
    let (sum, name, records) = (four(0)?, four(4)? as usize, four(8)? as usize);
    let end = 12_usize.checked_add(name)?.checked_add(records)?;
    let whole = bytes.get(..end)?;
    if crc32fast::hash(&whole[4..]) != sum {
        return None;
    }
    let stream = std::str::from_utf8(&whole[12..12 + name]).ok()?;
    Some((Entry { stream, records: &whole[12 + name..] }, end))
}

impl Journal {
    /// Opens the journal; `replay` is given each entry in it, up to the torn end.
    pub(crate) fn open(
        path: &Path,
        mut replay: impl FnMut(&Entry<'_>) -> std::io::Result<()>,
    ) -> std::io::Result<Self> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut at = 0;
        while let Some((entry, length)) = decode(&bytes[at..]) {
            replay(&entry)?;
            at += length;
        }
        file.set_len(at as u64)?;
        Ok(Self { file, length: at as u64, spoiled: false })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes and syncs them; all of them or none.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.spoiled {
            self.file.set_len(self.length)?;
            self.spoiled = false;
        }
        let written = self.file.write_all_at(bytes, self.length).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(cause) => {
                self.spoiled = self.file.set_len(self.length).is_err();
                Err(cause)
            }
        }
    }

    /// Empties it: everything in it is in synced files.
    pub(crate) fn clear(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.file.sync_data()
    }
}
