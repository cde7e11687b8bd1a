//! What the control plane answers for the registry: who a client is, what it may do, what exists.

use types::{AccountId, Region, VpcEndpointId};

use crate::digest::Digest;
use crate::names::Reference;

/// A client whose password was right.
#[derive(Debug, Clone)]
pub struct Session<P> {
    /// The account whose registry the token opens.
    pub account: AccountId,
    /// The region whose registry the token opens.
    pub region: Region,
    /// Whatever the catalog needs to know the principal again in [`Catalog::authorize`].
    pub principal: P,
    /// The VPC endpoint that the request came through; the registry knows it, [`Catalog::authenticate`] does not.
    pub through: Option<VpcEndpointId>,
}

/// A manifest that a client pushes. Its bytes are in [`crate::Blobs`] already, under `digest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewManifest {
    /// The tag to set, or the digest alone.
    pub reference: Reference,
    /// The manifest's own digest.
    pub digest: Digest,
    /// One of the four that the registry takes: Docker's and OCI's manifest and index.
    pub media_type: String,
    /// The manifest's length in bytes.
    pub size: u64,
    /// The sum of config's and layers' sizes as the manifest states them, in bytes: ECR's `imageSizeInBytes`. 0 for
    /// an index.
    pub image_size: u64,
    /// The config's media type (ECR's `artifactMediaType`). None for an index.
    pub artifact_media_type: Option<String>,
    /// Config and layers: each has to be in the repository.
    pub blobs: Vec<Digest>,
    /// An index's manifests: each has to be in the repository.
    pub manifests: Vec<Digest>,
}

/// A manifest that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Where its bytes are in [`crate::Blobs`].
    pub digest: Digest,
    /// The answer's `Content-Type`.
    pub media_type: String,
}

/// Why the catalog refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// User or password name nobody. The client gets 401 and may try again.
    #[error("Not Authorized")]
    NotAuthorized,
    /// The password was right once.
    #[error("Your authorization token has expired. Reauthenticate and try again.")]
    Expired,
    /// The principal may not do this. The text is IAM's: `User: … is not authorized to perform: … on resource: …`.
    #[error("{0}")]
    Denied(String),
    /// There is no such repository.
    #[error("The repository with name '{repository}' does not exist in the registry with id '{account}'")]
    RepositoryUnknown {
        /// The name asked for.
        repository: String,
        /// The registry's id is its account's.
        account: AccountId,
    },
    /// There is no such manifest in the repository.
    #[error("Requested image not found")]
    ManifestUnknown,
    /// A pushed manifest names blobs that are not in the repository.
    #[error(
        "Layers with digests '{digests:?}' required for pushing image into repository with name '{repository}' in the \
         registry with id '{account}' do not exist"
    )]
    BlobsUnknown {
        /// Those that are missing.
        digests: Vec<Digest>,
        /// The repository.
        repository: String,
        /// The registry's id.
        account: AccountId,
    },
    /// A pushed index names manifests that are not in the repository.
    #[error(
        "Images with digests '{digests:?}' required for pushing image into repository with name '{repository}' in the \
         registry with id '{account}' do not exist"
    )]
    ManifestsUnknown {
        /// Those that are missing.
        digests: Vec<Digest>,
        /// The repository.
        repository: String,
        /// The registry's id.
        account: AccountId,
    },
    /// The repository's tags are immutable and this one names another manifest.
    #[error(
        "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the \
         repository is immutable."
    )]
    TagImmutable {
        /// The tag.
        tag: String,
        /// The repository.
        repository: String,
    },
    /// The blob or manifest cannot be deleted, as a manifest of the repository refers to it.
    #[error("'{0}' is part of an image in this repository; delete that image first")]
    InUse(Digest),
    /// The catalog itself failed: its database cannot be written…
    #[error("{0}")]
    Failed(String),
}

/// The control plane's side of the registry.
///
/// Methods may block for a commit: they are called on threads that may block. Every method takes the session's
/// account and region as the registry that is meant. Each is one transaction: what it checks still holds when it
/// writes. [`crate::suite`] is what an implementation has to pass.
pub trait Catalog: Send + Sync + 'static {
    /// Knows a client again.
    type Principal: Clone + Send + Sync + 'static;

    /// Who has this Basic user (ECR: always `AWS`) and password (the token that GetAuthorizationToken gave).
    fn authenticate(&self, user: &str, password: &str) -> Result<Session<Self::Principal>, CatalogError>;

    /// Whether the client may do an action, `ecr:BatchGetImage`, on a repository (which need not exist).
    fn authorize(
        &self,
        session: &Session<Self::Principal>,
        action: &str,
        repository: &str,
    ) -> Result<(), CatalogError>;

    /// Whether a VPC endpoint lets a request by for an object, by its ARN, of a region's layer bucket.
    fn may_read_object(&self, through: &VpcEndpointId, region: &Region, object: &str) -> bool;

    /// Fails with [`CatalogError::RepositoryUnknown`] when there is no such repository. The methods below fail so too.
    fn repository(&self, session: &Session<Self::Principal>, repository: &str) -> Result<(), CatalogError>;

    /// Whether the blob was pushed to, or mounted in, this repository.
    fn has_blob(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError>;

    /// Notes that a blob (already in [`crate::Blobs`], `size` bytes) is in this repository. Noting it again is no error.
    fn record_blob(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        digest: &Digest,
        size: u64,
    ) -> Result<(), CatalogError>;

    /// Notes a blob of repository `from` in `repository` too. False: `from` does not exist or has no such blob.
    fn mount_blob(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        from: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError>;

    /// Forgets a blob in this repository. False: it was not there. [`CatalogError::InUse`] when a manifest names it.
    fn remove_blob(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError>;

    /// Stores a manifest's row and its tag. Fails with [`CatalogError::BlobsUnknown`], `ManifestsUnknown` or
    /// `TagImmutable`; pushing what is there already is no error (a retry must succeed).
    fn put_manifest(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        manifest: &NewManifest,
    ) -> Result<(), CatalogError>;

    /// The manifest that a tag or digest names, or [`CatalogError::ManifestUnknown`].
    fn manifest(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        reference: &Reference,
    ) -> Result<Manifest, CatalogError>;

    /// The repository's tags, in any order.
    fn tags(&self, session: &Session<Self::Principal>, repository: &str)
    -> Result<Vec<String>, CatalogError>;

    /// Deletes a tag, or by digest the manifest with all its tags. [`CatalogError::ManifestUnknown`] when not there,
    /// [`CatalogError::InUse`] when an index of the repository names it.
    fn delete_manifest(
        &self,
        session: &Session<Self::Principal>,
        repository: &str,
        reference: &Reference,
    ) -> Result<(), CatalogError>;
}
