//! A catalog in memory, of one account in one region.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use registry::{Catalog, CatalogError, Digest, Manifest, NewManifest, Reference, Session};
use types::{AccountId, Region, VpcEndpointId};

/// What the principal may not do.
pub type Denied = BTreeSet<String>;

#[derive(Default)]
pub struct Repository {
    immutable: bool,
    blobs: HashMap<Digest, u64>,
    manifests: HashMap<Digest, NewManifest>,
    tags: BTreeMap<String, Digest>,
}

#[derive(Default)]
pub struct MemoryCatalog {
    repositories: Mutex<HashMap<String, Repository>>,
    tokens: Mutex<HashMap<String, Denied>>,
    readable: Mutex<BTreeSet<String>>,
}

impl MemoryCatalog {
    pub fn create(&self, name: &str, immutable: bool) {
        self.repositories
            .lock()
            .unwrap()
            .insert(name.to_owned(), Repository { immutable, ..Default::default() });
    }

    /// A password of one who may do everything but these actions (`<action> <repository>`).
    pub fn token(&self, password: &str, denied: &[&str]) {
        let denied = denied.iter().map(|text| (*text).to_owned()).collect();
        self.tokens.lock().unwrap().insert(password.to_owned(), denied);
    }

    /// Lets requests for an object of a layer bucket by at a VPC endpoint, where nothing else passes.
    pub fn let_by(&self, through: &str, object: &str) {
        self.readable.lock().unwrap().insert(format!("{through} {object}"));
    }

    fn with<T>(
        &self,
        session: &Session<Denied>,
        name: &str,
        job: impl FnOnce(&mut Repository) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut repositories: MutexGuard<'_, _> = self.repositories.lock().unwrap();
        job(repositories.get_mut(name).ok_or_else(|| unknown(session, name))?)
    }
}

fn unknown(session: &Session<Denied>, name: &str) -> CatalogError {
    CatalogError::RepositoryUnknown { repository: name.to_owned(), account: session.account.clone() }
}

impl Catalog for MemoryCatalog {
    type Principal = Denied;

    fn authenticate(&self, user: &str, password: &str) -> Result<Session<Denied>, CatalogError> {
        let tokens = self.tokens.lock().unwrap();
        let denied = tokens.get(password).filter(|_| user == "AWS").ok_or(CatalogError::NotAuthorized)?;
        Ok(Session {
            account: AccountId::new("000000000001").unwrap(),
            region: Region::new("ap-northeast-2").unwrap(),
            principal: denied.clone(),
            through: None,
        })
    }

    fn authorize(&self, session: &Session<Denied>, action: &str, name: &str) -> Result<(), CatalogError> {
        if session.principal.contains(&format!("{action} {name}")) {
            return Err(CatalogError::Denied(format!(
                "User is not authorized to perform: {action} on {name}"
            )));
        }
        Ok(())
    }

    fn may_read_object(&self, through: &VpcEndpointId, _: &Region, object: &str) -> bool {
        self.readable.lock().unwrap().contains(&format!("{through} {object}"))
    }

    fn repository(&self, session: &Session<Denied>, name: &str) -> Result<(), CatalogError> {
        self.with(session, name, |_| Ok(()))
    }

    fn has_blob(&self, session: &Session<Denied>, name: &str, digest: &Digest) -> Result<bool, CatalogError> {
        self.with(session, name, |repository| Ok(repository.blobs.contains_key(digest)))
    }

    fn record_blob(
        &self,
        session: &Session<Denied>,
        name: &str,
        digest: &Digest,
        size: u64,
    ) -> Result<(), CatalogError> {
        self.with(session, name, |repository| {
            repository.blobs.insert(*digest, size);
            Ok(())
        })
    }

    fn mount_blob(
        &self,
        session: &Session<Denied>,
        name: &str,
        from: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError> {
        let mut repositories = self.repositories.lock().unwrap();
        let size = repositories.get(from).and_then(|source| source.blobs.get(digest).copied());
        let target = repositories.get_mut(name).ok_or_else(|| unknown(session, name))?;
        if let Some(size) = size {
            target.blobs.insert(*digest, size);
        }
        Ok(size.is_some())
    }

    fn remove_blob(
        &self,
        session: &Session<Denied>,
        name: &str,
        digest: &Digest,
    ) -> Result<bool, CatalogError> {
        self.with(session, name, |repository| {
            if repository.manifests.values().any(|manifest| manifest.blobs.contains(digest)) {
                return Err(CatalogError::InUse(*digest));
            }
            Ok(repository.blobs.remove(digest).is_some())
        })
    }

    fn put_manifest(
        &self,
        session: &Session<Denied>,
        name: &str,
        manifest: &NewManifest,
    ) -> Result<(), CatalogError> {
        self.with(session, name, |repository| {
            let (account, repository_name) = (session.account.clone(), name.to_owned());
            let blobs: Vec<_> =
                manifest.blobs.iter().filter(|it| !repository.blobs.contains_key(*it)).copied().collect();
            if !blobs.is_empty() {
                return Err(CatalogError::BlobsUnknown {
                    digests: blobs,
                    repository: repository_name,
                    account,
                });
            }
            let manifests: Vec<_> = manifest
                .manifests
                .iter()
                .filter(|it| !repository.manifests.contains_key(*it))
                .copied()
                .collect();
            if !manifests.is_empty() {
                let (digests, repository) = (manifests, repository_name);
                return Err(CatalogError::ManifestsUnknown { digests, repository, account });
            }
            if let Reference::Tag(tag) = &manifest.reference {
                let other = repository.tags.get(tag).is_some_and(|digest| *digest != manifest.digest);
                if repository.immutable && other {
                    return Err(CatalogError::TagImmutable { tag: tag.clone(), repository: repository_name });
                }
                repository.tags.insert(tag.clone(), manifest.digest);
            }
            repository.manifests.insert(manifest.digest, manifest.clone());
            Ok(())
        })
    }

    fn manifest(
        &self,
        session: &Session<Denied>,
        name: &str,
        reference: &Reference,
    ) -> Result<Manifest, CatalogError> {
        self.with(session, name, |repository| {
            let digest = match reference {
                Reference::Tag(tag) => repository.tags.get(tag),
                Reference::Digest(digest) => Some(digest),
            };
            let manifest = digest.and_then(|digest| repository.manifests.get(digest));
            let manifest = manifest.ok_or(CatalogError::ManifestUnknown)?;
            Ok(Manifest { digest: manifest.digest, media_type: manifest.media_type.clone() })
        })
    }

    fn tags(&self, session: &Session<Denied>, name: &str) -> Result<Vec<String>, CatalogError> {
        self.with(session, name, |repository| Ok(repository.tags.keys().cloned().collect()))
    }

    fn delete_manifest(
        &self,
        session: &Session<Denied>,
        name: &str,
        reference: &Reference,
    ) -> Result<(), CatalogError> {
        self.with(session, name, |repository| {
            let existed = match reference {
                Reference::Tag(tag) => repository.tags.remove(tag).is_some(),
                Reference::Digest(digest) => {
                    if repository.manifests.values().any(|index| index.manifests.contains(digest)) {
                        return Err(CatalogError::InUse(*digest));
                    }
                    repository.tags.retain(|_, named| named != digest);
                    repository.manifests.remove(digest).is_some()
                }
            };
            if existed { Ok(()) } else { Err(CatalogError::ManifestUnknown) }
        })
    }
}
