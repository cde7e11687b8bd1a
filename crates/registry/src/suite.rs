//! What every [`Catalog`] has to do, to be called by its implementation's tests.

use crate::catalog::{Catalog, CatalogError, NewManifest};
use crate::digest::Digest;
use crate::names::Reference;

/// What a test has prepared: two empty repositories and one whose tags are immutable, all of one account and region.
#[derive(Debug, Clone, Copy)]
pub struct Prepared<'a> {
    /// The password of user `AWS` who may do everything.
    pub password: &'a str,
    /// A repository with mutable tags.
    pub repository: &'a str,
    /// A second one.
    pub other: &'a str,
    /// One with immutable tags.
    pub immutable: &'a str,
}

fn manifest(tag: &str, content: &str, blobs: &[Digest]) -> NewManifest {
    NewManifest {
        reference: Reference::Tag(tag.to_owned()),
        digest: Digest::of(content.as_bytes()),
        media_type: crate::manifest::OCI_MANIFEST.to_owned(),
        size: content.len() as u64,
        image_size: 1,
        artifact_media_type: Some("application/vnd.oci.image.config.v1+json".to_owned()),
        blobs: blobs.to_vec(),
        manifests: Vec::new(),
    }
}

/// Runs all checks.
///
/// # Panics
/// At the first thing that the catalog does otherwise.
pub fn check<C: Catalog>(catalog: &C, prepared: Prepared<'_>) {
    let Prepared { password, repository, other, immutable } = prepared;
    assert_eq!(catalog.authenticate("AWS", "wrong").err(), Some(CatalogError::NotAuthorized));
    assert_eq!(catalog.authenticate("root", password).err(), Some(CatalogError::NotAuthorized));
    let session = match catalog.authenticate("AWS", password) {
        Ok(session) => session,
        Err(error) => panic!("the right password is refused: {error}"),
    };
    let session = &session;
    assert_eq!(catalog.authorize(session, "ecr:PutImage", repository), Ok(()));
    assert_eq!(catalog.repository(session, repository), Ok(()));
    let unknown = CatalogError::RepositoryUnknown {
        repository: "no-such-repository".to_owned(),
        account: session.account.clone(),
    };
    assert_eq!(catalog.repository(session, "no-such-repository"), Err(unknown.clone()));
    assert_eq!(catalog.tags(session, "no-such-repository"), Err(unknown));

    // A blob shows only where it was pushed or mounted.
    let blob = Digest::of(b"blob");
    assert_eq!(catalog.has_blob(session, repository, &blob), Ok(false));
    assert_eq!(catalog.mount_blob(session, other, repository, &blob), Ok(false));
    assert_eq!(catalog.record_blob(session, repository, &blob, 4), Ok(()));
    assert_eq!(catalog.record_blob(session, repository, &blob, 4), Ok(()));
    assert_eq!(catalog.has_blob(session, repository, &blob), Ok(true));
    assert_eq!(catalog.has_blob(session, other, &blob), Ok(false));
    assert_eq!(catalog.mount_blob(session, other, "no-such-repository", &blob), Ok(false));
    assert_eq!(catalog.mount_blob(session, other, repository, &blob), Ok(true));
    assert_eq!(catalog.has_blob(session, other, &blob), Ok(true));
    assert_eq!(catalog.remove_blob(session, other, &blob), Ok(true));
    assert_eq!(catalog.remove_blob(session, other, &blob), Ok(false));

    // A manifest needs its blobs, in its own repository.
    let first = manifest("v1", "first", &[blob]);
    let missing = CatalogError::BlobsUnknown {
        digests: vec![blob],
        repository: other.to_owned(),
        account: session.account.clone(),
    };
    assert_eq!(catalog.put_manifest(session, other, &first), Err(missing));
    assert_eq!(catalog.put_manifest(session, repository, &first), Ok(()));
    assert_eq!(catalog.put_manifest(session, repository, &first), Ok(()), "a retry");
    for reference in [first.reference.clone(), Reference::Digest(first.digest)] {
        let found = catalog.manifest(session, repository, &reference);
        assert_eq!(
            found.map(|found| (found.digest, found.media_type)),
            Ok((first.digest, first.media_type.clone()))
        );
        assert_eq!(catalog.manifest(session, other, &reference), Err(CatalogError::ManifestUnknown));
    }
    assert_eq!(catalog.remove_blob(session, repository, &blob), Err(CatalogError::InUse(blob)));

    // A tag moves; what it named stays under its digest.
    let second = manifest("v1", "second", &[blob]);
    assert_eq!(catalog.put_manifest(session, repository, &second), Ok(()));
    assert_eq!(
        catalog.manifest(session, repository, &second.reference).map(|found| found.digest),
        Ok(second.digest)
    );
    assert!(catalog.manifest(session, repository, &Reference::Digest(first.digest)).is_ok());
    assert_eq!(catalog.tags(session, repository), Ok(vec!["v1".to_owned()]));

    // An index needs its manifests, which it then holds.
    let mut index = manifest("all", "index", &[]);
    index.manifests = vec![first.digest, Digest::of(b"no such manifest")];
    let refused = catalog.put_manifest(session, repository, &index);
    assert!(matches!(refused, Err(CatalogError::ManifestsUnknown { ref digests, .. }) if digests.len() == 1));
    index.manifests.truncate(1);
    assert_eq!(catalog.put_manifest(session, repository, &index), Ok(()));
    let held = catalog.delete_manifest(session, repository, &Reference::Digest(first.digest));
    assert_eq!(held, Err(CatalogError::InUse(first.digest)));

    // Deleting a tag leaves the manifest; deleting a manifest takes its tags.
    let tag = |tag: &str| Reference::Tag(tag.to_owned());
    assert_eq!(catalog.delete_manifest(session, repository, &tag("all")), Ok(()));
    assert_eq!(catalog.delete_manifest(session, repository, &tag("all")), Err(CatalogError::ManifestUnknown));
    for digest in [index.digest, first.digest, second.digest] {
        assert_eq!(catalog.delete_manifest(session, repository, &Reference::Digest(digest)), Ok(()));
    }
    assert_eq!(catalog.manifest(session, repository, &tag("v1")), Err(CatalogError::ManifestUnknown));
    assert_eq!(catalog.tags(session, repository), Ok(Vec::new()));

    // An immutable tag takes the same manifest again and no other.
    assert_eq!(catalog.record_blob(session, immutable, &blob, 4), Ok(()));
    assert_eq!(catalog.put_manifest(session, immutable, &first), Ok(()));
    assert_eq!(catalog.put_manifest(session, immutable, &first), Ok(()), "a retry");
    let refused = CatalogError::TagImmutable { tag: "v1".to_owned(), repository: immutable.to_owned() };
    assert_eq!(catalog.put_manifest(session, immutable, &second), Err(refused));
    let untagged = NewManifest { reference: Reference::Digest(second.digest), ..second };
    assert_eq!(catalog.put_manifest(session, immutable, &untagged), Ok(()));
}
