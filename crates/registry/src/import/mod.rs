//! Reads images from files: what `docker save`, `skopeo copy … oci:` and their like write.

mod docker_archive;
mod files;
mod oci_layout;

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::image::Image;
use crate::manifest::InvalidManifest;
use files::Files;

/// Why a file gives no image.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "{} holds no image: it has neither an OCI image layout (index.json) nor Docker's manifest.json; \
         make one with `docker save <image> -o image.tar`", path.display()
    )]
    NoImage {
        /// The file.
        path: PathBuf,
    },
    /// Several images are in it, or none has the name asked for.
    #[error("name one of the images in the file: {}", names.join(", "))]
    WhichImage {
        /// Their names, or digests where they have none.
        names: Vec<String>,
    },
    /// Something that the image names is not in the file.
    #[error("the file is not complete: {0} is missing")]
    Missing(String),
    /// Content is not what its digest says.
    #[error("the file is damaged: {name} has digest {found}, not {expected}")]
    Damaged {
        /// The content's name.
        name: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A content's size is not what its manifest says.
    #[error("the file is damaged: {digest} has {found} bytes, not {expected}")]
    Size {
        /// The content.
        digest: Digest,
        /// What it should have.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// A manifest in it has a wrong form.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A document in it has a wrong form.
    #[error("{name} has a wrong form: {cause}")]
    Form {
        /// The document.
        name: String,
        /// What is wrong.
        cause: String,
    },
}

impl ImportError {
    fn form(name: &str, cause: impl Into<String>) -> Self {
        Self::Form { name: name.to_owned(), cause: cause.into() }
    }
}

/// Reads an image: a `docker save` archive of either form, an OCI image layout as a folder or as an archive; archives
/// may be compressed with gzip. `name` chooses among several (`app:latest`). Every digest is verified. Layers that the
/// archive holds without compression are compressed into unnamed temporary files.
pub fn open(path: &Path, name: Option<&str>) -> Result<Image, ImportError> {
    let files = Files::open(path)?;
    let read = |source| ImportError::Read { path: path.to_owned(), source };
    let (oci, docker) = (files.find("index.json").map_err(read)?, files.find("manifest.json").map_err(read)?);
    match (oci, docker) {
        (Some(index), None) => oci_layout::image(&files, index, name),
        (Some(index), Some(manifest)) => match oci_layout::image(&files, index, name) {
            // A newer docker's archive names every platform of an image but holds one; its other list names just that.
            Err(ImportError::Missing(_) | ImportError::WhichImage { .. }) => {
                docker_archive::image(&files, manifest, name)
            }
            result => result,
        },
        (None, Some(manifest)) => docker_archive::image(&files, manifest, name),
        (None, None) => Err(ImportError::NoImage { path: path.to_owned() }),
    }
}
