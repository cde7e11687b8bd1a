//! What can be changed of a repository.

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{ApiError, Empty, OnlyDefault};

use super::RegistryId;
use super::repository::{NoScanning, ScanningConfiguration, TagMutability, named};
use crate::context::Context;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutImageTagMutability {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    image_tag_mutability: TagMutability,
    #[serde(default, rename = "imageTagMutabilityExclusionFilters")]
    _exclusions: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageTagMutability {
    registry_id: String,
    repository_name: String,
    image_tag_mutability: TagMutability,
}

pub(super) fn put_image_tag_mutability(
    rows: &mut Tx,
    context: &Context,
    request: PutImageTagMutability,
) -> Result<ImageTagMutability, ApiError> {
    let mut repository = (*named(rows, context, "PutImageTagMutability", &request.repository_name)?).clone();
    request.registry_id.check(context)?;
    repository.tag_mutability = request.image_tag_mutability;
    rows.put(repository);
    Ok(ImageTagMutability {
        registry_id: context.account.to_string(),
        repository_name: request.repository_name,
        image_tag_mutability: request.image_tag_mutability,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutImageScanningConfiguration {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    #[serde(rename = "imageScanningConfiguration")]
    _scanning: NoScanning,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageScanningConfiguration {
    registry_id: String,
    repository_name: String,
    image_scanning_configuration: ScanningConfiguration,
}

/// Images are not scanned: only `scanOnPush: false` is taken, which is so already.
pub(super) fn put_image_scanning_configuration(
    rows: &mut Tx,
    context: &Context,
    request: PutImageScanningConfiguration,
) -> Result<ImageScanningConfiguration, ApiError> {
    named(rows, context, "PutImageScanningConfiguration", &request.repository_name)?;
    request.registry_id.check(context)?;
    Ok(ImageScanningConfiguration {
        registry_id: context.account.to_string(),
        repository_name: request.repository_name,
        image_scanning_configuration: ScanningConfiguration { scan_on_push: false },
    })
}
