//! What the registry asks: who a client is, what it may do, what exists.

use std::collections::BTreeSet;
use std::sync::Arc;

use registry::{Blobs, CatalogError, Digest, Manifest, NewManifest, Reference, Session};
use store::{Snapshot, Store, Tx};
use types::{Arn, Region, Timestamp, VpcEndpointId};

use super::repository::{Repository, TagMutability};
use super::token::{self, Refused};
use super::{Image, Layer, image, lookup};
use crate::context::{Principal, Settings};
use crate::iam::{self, Asker};

/// Reads a manifest's bytes, which the registry has stored before its row is made.
type ReadManifest = dyn Fn(&Digest) -> Result<Vec<u8>, String> + Send + Sync;

/// ECR's rows as the registry sees them.
pub struct Catalog {
    store: Arc<Store>,
    settings: Arc<Settings>,
    manifest: Box<ReadManifest>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

type SessionOf = Session<Principal>;

impl Catalog {
    /// Over the rows, and the registry's own blobs.
    pub fn new(store: Arc<Store>, settings: Arc<Settings>, blobs: Arc<Blobs>) -> Self {
        let manifest = move |digest: &Digest| blobs.read(digest).map_err(|error| error.to_string());
        Self::with_manifests(store, settings, Box::new(manifest))
    }

    pub(crate) fn with_manifests(
        store: Arc<Store>,
        settings: Arc<Settings>,
        manifest: Box<ReadManifest>,
    ) -> Self {
        Self { store, settings, manifest }
    }

    /// Runs a change and waits until it is on disk.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        self.store.write(change).map_err(|error| CatalogError::Failed(error.to_string()))?
    }
}

fn find(rows: &Snapshot, session: &SessionOf, name: &str) -> Result<Arc<Repository>, CatalogError> {
    lookup::repository(rows, &session.account, &session.region, name).ok_or_else(|| {
        CatalogError::RepositoryUnknown { repository: name.to_owned(), account: session.account.clone() }
    })
}

fn record(rows: &mut Tx, repository: &Repository, digest: Digest, size: u64) {
    rows.put(Layer {
        account: repository.account.clone(),
        region: repository.region.clone(),
        repository: repository.name.clone(),
        digest,
        size,
    });
}

impl registry::Catalog for Catalog {
    type Principal = Principal;

    fn authenticate(&self, user: &str, password: &str) -> Result<SessionOf, CatalogError> {
        if user != token::USER {
            return Err(CatalogError::NotAuthorized);
        }
        match token::redeem(&self.settings.token_key, password, Timestamp::now()) {
            Ok(bearer) => {
                let token::Bearer { account, region, principal } = bearer;
                Ok(Session { account, region, principal, through: None })
            }
            Err(Refused::Unknown) => Err(CatalogError::NotAuthorized),
            Err(Refused::Expired) => Err(CatalogError::Expired),
        }
    }

    fn authorize(&self, session: &SessionOf, action: &str, repository: &str) -> Result<(), CatalogError> {
        let (account, region) = (session.account.as_str(), session.region.as_str());
        let resource = Arn::new("ecr", region, account, format!("repository/{repository}")).to_string();
        let asker = Asker {
            account: &session.account,
            principal: &session.principal,
            region,
            now: Timestamp::now(),
            through: session.through.as_ref(),
        };
        iam::check(&self.store.snapshot(), asker, action, &resource)
            .map_err(|denied| CatalogError::Denied(denied.to_string()))
    }

    fn may_read_object(&self, through: &VpcEndpointId, region: &Region, object: &str) -> bool {
        let (rows, now) = (self.store.snapshot(), Timestamp::now());
        iam::endpoint_allows_object(&rows, through, region.as_str(), now, object)
    }

    fn repository(&self, session: &SessionOf, repository: &str) -> Result<(), CatalogError> {
        find(&self.store.snapshot(), session, repository).map(drop)
    }

    fn has_blob(&self, session: &SessionOf, repository: &str, digest: &Digest) -> Result<bool, CatalogError> {
        let rows = self.store.snapshot();
        let repository = find(&rows, session, repository)?;
        Ok(lookup::layer(&rows, &repository, digest).is_some())
    }

    fn record_blob(
        &self,
        session: &SessionOf,
        repository: &str,
        digest: &Digest,
        size: u64,
    ) -> Result<(), CatalogError> {
        let (session, name, digest) = (session.clone(), repository.to_owned(), *digest);
        self.write(move |rows| {
            let repository = find(rows, &session, &name)?;
            record(rows, &repository, digest, size);
            Ok(())
        })
    }

    fn mount_blob(
        &self,
        session: &SessionOf,
        repository: &str,
        from: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError> {
        let (session, name, from, digest) =
            (session.clone(), repository.to_owned(), from.to_owned(), *digest);
        self.write(move |rows| {
            let repository = find(rows, &session, &name)?;
            let Ok(from) = find(rows, &session, &from) else { return Ok(false) };
            let Some(layer) = lookup::layer(rows, &from, &digest) else { return Ok(false) };
            record(rows, &repository, digest, layer.size);
            Ok(true)
        })
    }

    fn remove_blob(
        &self,
        session: &SessionOf,
        repository: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError> {
        let (session, name, digest) = (session.clone(), repository.to_owned(), *digest);
        self.write(move |rows| {
            let repository = find(rows, &session, &name)?;
            let Some(layer) = lookup::layer(rows, &repository, &digest) else { return Ok(false) };
            if lookup::images(rows, &repository).iter().any(|image| image.blobs.contains(&digest)) {
                return Err(CatalogError::InUse(digest));
            }
            rows.delete::<Layer>(&store::Row::key(&*layer));
            Ok(true)
        })
    }

    fn put_manifest(
        &self,
        session: &SessionOf,
        repository: &str,
        manifest: &NewManifest,
    ) -> Result<(), CatalogError> {
        let bytes = (self.manifest)(&manifest.digest).map_err(CatalogError::Failed)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| CatalogError::Failed(format!("the manifest {} is not UTF-8", manifest.digest)))?;
        let (session, name, manifest) = (session.clone(), repository.to_owned(), manifest.clone());
        self.write(move |rows| {
            let repository = find(rows, &session, &name)?;
            put(rows, &repository, manifest, text)
        })
    }

    fn manifest(
        &self,
        session: &SessionOf,
        repository: &str,
        reference: &Reference,
    ) -> Result<Manifest, CatalogError> {
        let rows = self.store.snapshot();
        let repository = find(&rows, session, repository)?;
        let image = lookup::image(&rows, &repository, reference).ok_or(CatalogError::ManifestUnknown)?;
        Ok(Manifest { digest: image.digest, media_type: image.media_type.clone() })
    }

    fn tags(&self, session: &SessionOf, repository: &str) -> Result<Vec<String>, CatalogError> {
        let rows = self.store.snapshot();
        let repository = find(&rows, session, repository)?;
        Ok(lookup::images(&rows, &repository).iter().flat_map(|image| image.tags.clone()).collect())
    }

    fn delete_manifest(
        &self,
        session: &SessionOf,
        repository: &str,
        reference: &Reference,
    ) -> Result<(), CatalogError> {
        let (session, name, reference) = (session.clone(), repository.to_owned(), reference.clone());
        self.write(move |rows| {
            let repository = find(rows, &session, &name)?;
            let found = lookup::image(rows, &repository, &reference).ok_or(CatalogError::ManifestUnknown)?;
            if let Reference::Tag(tag) = &reference {
                let mut rest = (*found).clone();
                rest.tags.remove(tag);
                rows.put(rest);
                return Ok(());
            }
            if !image::indexes_of(rows, &repository, &found.digest).is_empty() {
                return Err(CatalogError::InUse(found.digest));
            }
            image::delete(rows, &repository, &found);
            Ok(())
        })
    }
}

/// Stores an image's row and gives it the tag that it was pushed under.
fn put(rows: &mut Tx, repository: &Repository, new: NewManifest, text: String) -> Result<(), CatalogError> {
    let missing = |digests: &[Digest], is_there: &dyn Fn(&Digest) -> bool| -> Vec<Digest> {
        digests.iter().filter(|digest| !is_there(digest)).copied().collect()
    };
    let (name, account) = (repository.name.clone(), repository.account.clone());
    let blobs = missing(&new.blobs, &|digest| lookup::layer(rows, repository, digest).is_some());
    if !blobs.is_empty() {
        return Err(CatalogError::BlobsUnknown { digests: blobs, repository: name, account });
    }
    let by_digest = |digest: &Digest| lookup::image(rows, repository, &Reference::Digest(*digest));
    let manifests = missing(&new.manifests, &|digest| by_digest(digest).is_some());
    if !manifests.is_empty() {
        return Err(CatalogError::ManifestsUnknown { digests: manifests, repository: name, account });
    }
    let mut image = match by_digest(&new.digest) {
        Some(image) => (*image).clone(),
        None => Image {
            account,
            region: repository.region.clone(),
            repository: name,
            digest: new.digest,
            manifest: text,
            media_type: new.media_type,
            artifact_media_type: new.artifact_media_type,
            size: new.image_size,
            tags: BTreeSet::new(),
            blobs: new.blobs,
            manifests: new.manifests,
            pushed_at: Timestamp::now(),
        },
    };
    if let Reference::Tag(tag) = new.reference {
        let before = lookup::image(rows, repository, &Reference::Tag(tag.clone()));
        if let Some(before) = before.filter(|before| before.digest != image.digest) {
            if repository.tag_mutability == TagMutability::Immutable {
                return Err(CatalogError::TagImmutable { tag, repository: repository.name.clone() });
            }
            let mut before = (*before).clone();
            before.tags.remove(&tag);
            rows.put(before);
        }
        image.tags.insert(tag);
    }
    rows.put(image);
    Ok(())
}
