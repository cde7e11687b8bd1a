//! Finding rows of repositories.

use std::collections::HashSet;
use std::sync::Arc;

use registry::{Digest, Reference};
use store::Snapshot;
use types::{AccountId, Region};

use super::{Image, Layer, Repository};

pub(super) fn repository(
    rows: &Snapshot,
    account: &AccountId,
    region: &Region,
    name: &str,
) -> Option<Arc<Repository>> {
    rows.get::<Repository>(&format!("{account}/{region}/{name}"))
}

/// What the keys of a repository's images and layers begin with. A name has slashes and never an `@`.
fn prefix(repository: &Repository) -> String {
    format!("{}/{}/{}@", repository.account, repository.region, repository.name)
}

pub(super) fn images(rows: &Snapshot, repository: &Repository) -> Vec<Arc<Image>> {
    rows.scan::<Image>(&prefix(repository)).collect()
}

pub(super) fn layers(rows: &Snapshot, repository: &Repository) -> Vec<Arc<Layer>> {
    rows.scan::<Layer>(&prefix(repository)).collect()
}

pub(super) fn layer(rows: &Snapshot, repository: &Repository, digest: &Digest) -> Option<Arc<Layer>> {
    rows.get::<Layer>(&format!("{}{digest}", prefix(repository)))
}

/// The image that a tag or digest names.
pub(super) fn image(rows: &Snapshot, repository: &Repository, reference: &Reference) -> Option<Arc<Image>> {
    match reference {
        Reference::Digest(digest) => rows.get::<Image>(&format!("{}{digest}", prefix(repository))),
        Reference::Tag(tag) => images(rows, repository).into_iter().find(|image| image.tags.contains(tag)),
    }
}

/// Every digest that a row names: what [`registry::Blobs::sweep`] keeps.
pub fn live_digests(rows: &Snapshot) -> HashSet<Digest> {
    let images = rows.scan::<Image>("").map(|image| image.digest);
    let layers = rows.scan::<Layer>("").map(|layer| layer.digest);
    images.chain(layers).collect()
}
