//! A folder's or an archive's files by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::ImportError;
use crate::digest::{Digest, Hasher};
use crate::image::Section;
use crate::manifest::MANIFEST_LIMIT;

/// How many links lead from a name to its file at most.
const LINKS: usize = 8;

pub(super) enum Files {
    Folder(PathBuf),
    Archive { path: PathBuf, file: Arc<File>, entries: HashMap<String, Entry> },
}

pub(super) enum Entry {
    Content { offset: u64, length: u64 },
    Link(String),
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let read = |source| ImportError::Read { path: path.to_owned(), source };
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut file = File::open(path).map_err(read)?;
        let mut magic = [0; 2];
        let compressed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        if compressed {
            // Its parts are read at random: it has to be plain.
            let mut plain = tempfile::tempfile().map_err(read)?;
            io::copy(&mut MultiGzDecoder::new(file), &mut plain).map_err(read)?;
            plain.seek(SeekFrom::Start(0)).map_err(read)?;
            file = plain;
        }
        let entries = entries(&file).map_err(|source| match source.kind() {
            // What is no archive at all.
            ErrorKind::Other | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                ImportError::NoImage { path: path.to_owned() }
            }
            _ => read(source),
        })?;
        Ok(Self::Archive { path: path.to_owned(), file: Arc::new(file), entries })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive { path, .. } => path,
        }
    }

    /// A file by its name. In a folder only names that cannot lead out of it are looked for.
    pub(super) fn find(&self, name: &str) -> io::Result<Option<Section>> {
        match self {
            Self::Folder(folder) => {
                if !Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
                    return Ok(None);
                }
                let file = match File::open(folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                };
                let length = file.metadata()?.len();
                Ok(Some(Section { file: Arc::new(file), offset: 0, length }))
            }
            Self::Archive { file, entries, .. } => {
                let mut name = normal(name);
                for _ in 0..LINKS {
                    match entries.get(&name) {
                        Some(Entry::Content { offset, length }) => {
                            return Ok(Some(Section {
                                file: Arc::clone(file),
                                offset: *offset,
                                length: *length,
                            }));
                        }
                        Some(Entry::Link(target)) => name.clone_from(target),
                        None => return Ok(None),
                    }
                }
                Ok(None)
            }
        }
    }

    pub(super) fn need(&self, name: &str) -> Result<Section, ImportError> {
        self.find(name).map_err(self.reading())?.ok_or_else(|| ImportError::Missing(name.to_owned()))
    }

    /// A small document.
    pub(super) fn document(&self, name: &str, mut section: Section) -> Result<Vec<u8>, ImportError> {
        if section.length > MANIFEST_LIMIT as u64 {
            return Err(ImportError::form(name, format!("it has more than {MANIFEST_LIMIT} bytes")));
        }
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).map_err(self.reading())?;
        Ok(bytes)
    }

    pub(super) fn digest(&self, mut section: Section) -> Result<Digest, ImportError> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match section.read(&mut buffer).map_err(self.reading())? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    pub(super) fn reading(&self) -> impl Fn(io::Error) -> ImportError + use<> {
        let path = self.path().to_owned();
        move |source| ImportError::Read { path: path.clone(), source }
    }
}

fn entries(file: &File) -> io::Result<HashMap<String, Entry>> {
    let mut entries = HashMap::new();
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let entry = entry?;
        let name = normal(&entry.path()?.to_string_lossy());
        let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
        let kind = entry.header().entry_type();
        let found = match (kind, target) {
            // Older archives of docker's hold a layer once and link to it; a symbolic link's target is relative.
            (tar::EntryType::Symlink, Some(target)) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                Entry::Link(normal(&format!("{folder}/{target}")))
            }
            (tar::EntryType::Link, Some(target)) => Entry::Link(normal(&target)),
            (kind, _) if kind.is_file() => {
                Entry::Content { offset: entry.raw_file_position(), length: entry.size() }
            }
            _ => continue,
        };
        entries.insert(name, found);
    }
    Ok(entries)
}

/// A name without `.`, `..` and doubled slashes.
fn normal(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_brought_into_one_form() {
        for (name, expected) in [("./a/b", "a/b"), ("a//../b/", "b"), ("../../x", "x"), ("", "")] {
            assert_eq!(super::normal(name), expected);
        }
    }
}
