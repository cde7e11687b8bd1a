//! The OCI distribution API (specification 1.1) over a content-addressed store.
//!
//! A request goes through the files in this order: [`Registry::handle`] → `route` (what is asked for) →
//! `admit` (who asks; the [`Catalog`] decides) → `api/…` (one file a resource) → [`Blobs`] (bytes on disk).
//!
//! Which repositories, tags and manifests exist and who may touch them is the control plane's: it implements
//! [`Catalog`]. Here are only bytes. A blob shows in a repository only when the catalog says that it was pushed or
//! mounted there.
//!
//! [`import`], [`image`] and [`push`] are the client's side: what `landfall image import` and the demo use.

mod admit;
mod api;
mod blobs;
mod body;
mod catalog;
mod digest;
mod error;
pub mod image;
pub mod import;
mod layer_bucket;
mod manifest;
mod names;
pub mod push;
mod range;
mod route;
pub mod suite;
mod upload;

pub use api::Registry;
pub use blobs::{BlobError, Blobs, SWEEP_GRACE, Swept, UPLOAD_LIFE};
pub use body::BoxBody;
pub use catalog::{Catalog, CatalogError, Manifest, NewManifest, Session};
pub use digest::{Digest, Hasher, InvalidDigest};
pub use layer_bucket::{LayerKey, layer_bucket_host};
pub use manifest::MANIFEST_LIMIT;
pub use names::{Reference, is_repository_name, is_tag};
