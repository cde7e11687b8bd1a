//! Images: the manifests of a repository.

use std::collections::{BTreeSet, HashSet};

use registry::Digest;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use super::image_id::{Failure, ImageId, check_ids};
use super::repository::{Repository, invalid_token, named, page_size};
use super::{Layer, RegistryId, lookup};
use crate::context::Context;
use crate::page::page;

/// A manifest that was pushed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The repository's name.
    pub repository: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes, which are JSON.
    pub manifest: String,
    /// Docker's or OCI's manifest or index.
    pub media_type: String,
    /// The config's media type; none for an index.
    pub artifact_media_type: Option<String>,
    /// Config and layers together, in bytes.
    pub size: u64,
    /// The tags that name it.
    pub tags: BTreeSet<String>,
    /// Config and layers.
    pub blobs: Vec<Digest>,
    /// An index's manifests.
    pub manifests: Vec<Digest>,
    /// When it was pushed first.
    pub pushed_at: Timestamp,
}

impl Row for Image {
    const TABLE: &'static str = "ecr_image";

    fn key(&self) -> String {
        format!("{}/{}/{}@{}", self.account, self.region, self.repository, self.digest)
    }
}

/// Deletes an image, and those of its blobs that no other image of the repository needs.
pub(super) fn delete(rows: &mut Tx, repository: &Repository, image: &Image) {
    rows.delete::<Image>(&image.key());
    let needed: HashSet<Digest> =
        lookup::images(rows, repository).iter().flat_map(|other| other.blobs.clone()).collect();
    for digest in image.blobs.iter().filter(|digest| !needed.contains(digest)) {
        if let Some(layer) = lookup::layer(rows, repository, digest) {
            rows.delete::<Layer>(&layer.key());
        }
    }
}

/// The indexes of a repository that name a manifest.
pub(super) fn indexes_of(rows: &Snapshot, repository: &Repository, digest: &Digest) -> Vec<Digest> {
    let images = lookup::images(rows, repository);
    images.iter().filter(|image| image.manifests.contains(digest)).map(|image| image.digest).collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchGetImage {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    image_ids: Vec<ImageId>,
    #[serde(default)]
    accepted_media_types: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageShape {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_manifest: String,
    image_manifest_media_type: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Images {
    images: Vec<ImageShape>,
    failures: Vec<Failure>,
}

pub(super) fn batch_get_image(
    rows: &Snapshot,
    context: &Context,
    request: BatchGetImage,
) -> Result<Images, ApiError> {
    let repository = named(rows, context, "BatchGetImage", &request.repository_name)?;
    request.registry_id.check(context)?;
    check_ids(&request.image_ids)?;
    let accepted = |media_type: &String| {
        request.accepted_media_types.is_empty() || request.accepted_media_types.contains(media_type)
    };
    let mut answer = Images { images: Vec::new(), failures: Vec::new() };
    for id in request.image_ids {
        match id.find(rows, &repository) {
            Ok(image) if accepted(&image.media_type) => answer.images.push(ImageShape {
                registry_id: repository.account.to_string(),
                repository_name: repository.name.clone(),
                image_id: ImageId { image_digest: Some(image.digest.to_string()), image_tag: id.image_tag },
                image_manifest: image.manifest.clone(),
                image_manifest_media_type: image.media_type.clone(),
            }),
            Ok(image) => answer.failures.push(Failure {
                failure_code: "ImageNotFound",
                failure_reason: format!(
                    "The image is of type '{}', which acceptedMediaTypes does not name",
                    image.media_type
                ),
                image_id: id,
            }),
            Err(why) => answer.failures.push(why.failure(id)),
        }
    }
    Ok(answer)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TagStatus {
    Tagged,
    Untagged,
    #[default]
    Any,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    tag_status: TagStatus,
}

impl Filter {
    fn takes(&self, image: &Image) -> bool {
        match self.tag_status {
            TagStatus::Tagged => !image.tags.is_empty(),
            TagStatus::Untagged => image.tags.is_empty(),
            TagStatus::Any => true,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeImages {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    #[serde(default)]
    image_ids: Vec<ImageId>,
    next_token: Option<String>,
    max_results: Option<i64>,
    #[serde(default)]
    filter: Filter,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageDetail {
    registry_id: String,
    repository_name: String,
    image_digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    image_tags: Vec<String>,
    image_size_in_bytes: u64,
    image_pushed_at: f64,
    image_manifest_media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_media_type: Option<String>,
}

impl From<&Image> for ImageDetail {
    fn from(image: &Image) -> Self {
        Self {
            registry_id: image.account.to_string(),
            repository_name: image.repository.clone(),
            image_digest: image.digest.to_string(),
            image_tags: image.tags.iter().cloned().collect(),
            image_size_in_bytes: image.size,
            image_pushed_at: image.pushed_at.epoch_seconds(),
            image_manifest_media_type: image.media_type.clone(),
            artifact_media_type: image.artifact_media_type.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageDetails {
    image_details: Vec<ImageDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn describe_images(
    rows: &Snapshot,
    context: &Context,
    request: DescribeImages,
) -> Result<ImageDetails, ApiError> {
    let repository = named(rows, context, "DescribeImages", &request.repository_name)?;
    request.registry_id.check(context)?;
    if !request.image_ids.is_empty() {
        check_ids(&request.image_ids)?;
        let detail = |id: &ImageId| {
            let image = id.find(rows, &repository).map_err(|_| {
                ApiError::new(
                    "ImageNotFoundException",
                    format!(
                        "The image with imageId {} does not exist within the repository with name '{}' in the registry with id '{}'",
                        id.shown(),
                        repository.name,
                        repository.account
                    ),
                )
            })?;
            Ok(ImageDetail::from(&*image))
        };
        let image_details = request.image_ids.iter().map(detail).collect::<Result<_, ApiError>>()?;
        return Ok(ImageDetails { image_details, next_token: None });
    }
    let found = lookup::images(rows, &repository).into_iter().filter(|image| request.filter.takes(image));
    let most = page_size(request.max_results)?;
    let page = page(found, |image| image.key(), Some(most), request.next_token.as_deref());
    let page = page.map_err(invalid_token)?;
    let image_details = page.items.iter().map(|image| ImageDetail::from(&**image)).collect();
    Ok(ImageDetails { image_details, next_token: page.next_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListImages {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    next_token: Option<String>,
    max_results: Option<i64>,
    #[serde(default)]
    filter: Filter,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageIds {
    image_ids: Vec<ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// One id for each tag of an image, and one without a tag for an image that has none.
fn ids(image: &Image) -> Vec<ImageId> {
    let id = |tag| ImageId { image_digest: Some(image.digest.to_string()), image_tag: tag };
    if image.tags.is_empty() {
        return vec![id(None)];
    }
    image.tags.iter().map(|tag| id(Some(tag.clone()))).collect()
}

pub(super) fn list_images(
    rows: &Snapshot,
    context: &Context,
    request: ListImages,
) -> Result<ImageIds, ApiError> {
    let repository = named(rows, context, "ListImages", &request.repository_name)?;
    request.registry_id.check(context)?;
    let images = lookup::images(rows, &repository);
    let all = images.iter().filter(|image| request.filter.takes(image)).flat_map(|image| ids(image));
    let name = |id: &ImageId| {
        format!(
            "{}:{}",
            id.image_digest.as_deref().unwrap_or_default(),
            id.image_tag.as_deref().unwrap_or_default()
        )
    };
    let most = page_size(request.max_results)?;
    let page = page(all, name, Some(most), request.next_token.as_deref()).map_err(invalid_token)?;
    Ok(ImageIds { image_ids: page.items, next_token: page.next_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchDeleteImage {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    image_ids: Vec<ImageId>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeletedImages {
    image_ids: Vec<ImageId>,
    failures: Vec<Failure>,
}

/// By digest an image goes with all its tags. By tag the tag goes, and with the last one the image.
pub(super) fn batch_delete_image(
    rows: &mut Tx,
    context: &Context,
    request: BatchDeleteImage,
) -> Result<DeletedImages, ApiError> {
    let repository = named(rows, context, "BatchDeleteImage", &request.repository_name)?;
    request.registry_id.check(context)?;
    check_ids(&request.image_ids)?;
    let mut answer = DeletedImages { image_ids: Vec::new(), failures: Vec::new() };
    for id in request.image_ids {
        let image = match id.find(rows, &repository) {
            Ok(image) => image,
            Err(why) => {
                answer.failures.push(why.failure(id));
                continue;
            }
        };
        let mut rest = (*image).clone();
        let mut gone = ids(&image);
        if let Some(tag) = &id.image_tag {
            rest.tags.remove(tag);
            gone.retain(|gone| gone.image_tag.as_ref() == Some(tag));
        }
        if id.image_tag.is_some() && !rest.tags.is_empty() {
            rows.put(rest);
            answer.image_ids.extend(gone);
            continue;
        }
        let indexes = indexes_of(rows, &repository, &image.digest);
        if indexes.is_empty() {
            delete(rows, &repository, &image);
            answer.image_ids.extend(gone);
        } else {
            let indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
            answer.failures.push(Failure {
                image_id: id,
                failure_code: "ImageReferencedByManifestList",
                failure_reason: format!(
                    "Requested image referenced by manifest list: [{}]",
                    indexes.join(", ")
                ),
            });
        }
    }
    Ok(answer)
}
