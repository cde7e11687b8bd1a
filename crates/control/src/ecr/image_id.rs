//! How requests name images, and what is said of those that are not there.

use std::sync::Arc;

use registry::Reference;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::repository::Repository;
use super::{Image, lookup};

/// How requests and responses name an image: by tag, by digest, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ImageId {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image_digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image_tag: Option<String>,
}

/// Why an id names no image.
pub(super) enum NoImage {
    Malformed,
    NotFound,
    /// The tag names another digest than the id says.
    Mismatch,
}

impl NoImage {
    pub(super) fn failure(self, image_id: ImageId) -> Failure {
        let (failure_code, failure_reason) = match self {
            NoImage::Malformed => {
                ("InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex")
            }
            NoImage::NotFound => ("ImageNotFound", "Requested image not found"),
            NoImage::Mismatch => {
                ("ImageTagDoesNotMatchDigest", "Provided image tag does not match provided image digest")
            }
        };
        Failure { image_id, failure_code, failure_reason: failure_reason.to_owned() }
    }
}

impl ImageId {
    pub(super) fn find(&self, rows: &Snapshot, repository: &Repository) -> Result<Arc<Image>, NoImage> {
        let by_digest = match &self.image_digest {
            None => None,
            Some(text) => {
                let digest = text.parse().map_err(|_| NoImage::Malformed)?;
                let found = lookup::image(rows, repository, &Reference::Digest(digest));
                Some(found.ok_or(NoImage::NotFound)?)
            }
        };
        match (by_digest, &self.image_tag) {
            (Some(image), Some(tag)) if image.tags.contains(tag) => Ok(image),
            (Some(_), Some(_)) => Err(NoImage::Mismatch),
            (Some(image), None) => Ok(image),
            (None, Some(tag)) => {
                lookup::image(rows, repository, &Reference::Tag(tag.clone())).ok_or(NoImage::NotFound)
            }
            (None, None) => Err(NoImage::Malformed),
        }
    }

    /// As AWS prints it in ImageNotFoundException.
    pub(super) fn shown(&self) -> String {
        let text = |member: &Option<String>| member.clone().unwrap_or_else(|| "null".to_owned());
        format!("{{imageDigest:'{}', imageTag:'{}'}}", text(&self.image_digest), text(&self.image_tag))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub(super) image_id: ImageId,
    pub(super) failure_code: &'static str,
    pub(super) failure_reason: String,
}

pub(super) fn check_ids(ids: &[ImageId]) -> Result<(), ApiError> {
    if (1..=100).contains(&ids.len()) {
        return Ok(());
    }
    Err(super::invalid("imageIds", "must have length between 1 and 100"))
}
