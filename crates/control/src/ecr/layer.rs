//! Layers: the blobs of a repository.

use std::time::SystemTime;

use registry::{Digest, LayerKey};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use types::{AccountId, Region};
use wire::ApiError;

use super::repository::named;
use super::{RegistryId, lookup};
use crate::context::Context;

/// A blob that was pushed to a repository, or mounted in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layer {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The repository's name.
    pub repository: String,
    /// The blob.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Row for Layer {
    const TABLE: &'static str = "ecr_layer";

    fn key(&self) -> String {
        format!("{}/{}/{}@{}", self.account, self.region, self.repository, self.digest)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetDownloadUrlForLayer {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    layer_digest: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DownloadUrl {
    download_url: String,
    layer_digest: String,
}

/// The address in the region's layer bucket, which only VPCs resolve.
pub(super) fn get_download_url_for_layer(
    rows: &Snapshot,
    context: &Context,
    request: GetDownloadUrlForLayer,
) -> Result<DownloadUrl, ApiError> {
    let repository = named(rows, context, "GetDownloadUrlForLayer", &request.repository_name)?;
    request.registry_id.check(context)?;
    let digest = request.layer_digest.parse::<Digest>().map_err(|error| {
        ApiError::new("InvalidParameterException", format!("Invalid parameter at 'layerDigest': {error}"))
    })?;
    if lookup::layer(rows, &repository, &digest).is_none() {
        return Err(ApiError::new(
            "LayersNotFoundException",
            format!(
                "The layer with digest '{digest}' does not exist in the repository with name '{}' in the registry with id '{}'",
                repository.name, repository.account
            ),
        ));
    }
    let key = LayerKey::new(&context.settings.token_key);
    Ok(DownloadUrl {
        download_url: key.url(&context.region, &digest, SystemTime::now()),
        layer_digest: request.layer_digest,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchCheckLayerAvailability {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    layer_digests: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerShape {
    layer_digest: String,
    layer_availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_size: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerFailure {
    layer_digest: String,
    failure_code: &'static str,
    failure_reason: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Availability {
    layers: Vec<LayerShape>,
    failures: Vec<LayerFailure>,
}

pub(super) fn batch_check_layer_availability(
    rows: &Snapshot,
    context: &Context,
    request: BatchCheckLayerAvailability,
) -> Result<Availability, ApiError> {
    let repository = named(rows, context, "BatchCheckLayerAvailability", &request.repository_name)?;
    request.registry_id.check(context)?;
    if !(1..=100).contains(&request.layer_digests.len()) {
        return Err(super::invalid("layerDigests", "must have length between 1 and 100"));
    }
    let mut answer = Availability { layers: Vec::new(), failures: Vec::new() };
    for text in request.layer_digests {
        match text.parse::<Digest>() {
            Ok(digest) => {
                let size = lookup::layer(rows, &repository, &digest).map(|layer| layer.size);
                answer.layers.push(LayerShape {
                    layer_digest: text,
                    layer_availability: if size.is_some() { "AVAILABLE" } else { "UNAVAILABLE" },
                    layer_size: size,
                });
            }
            Err(_) => answer.failures.push(LayerFailure {
                layer_digest: text,
                failure_code: "InvalidLayerDigest",
                failure_reason: "Invalid layer digest",
            }),
        }
    }
    Ok(answer)
}
