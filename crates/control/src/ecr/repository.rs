//! Repositories.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Empty, False, OnlyDefault, documented_default};

use super::lookup::{self, images, layers};
use super::tags::set_tags;
use super::{Image, Layer, RegistryId, Tag, allowed, invalid, repository_arn};
use crate::context::Context;
use crate::page::page;

/// A repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Repository {
    /// The account, which is the registry's id.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// Whether a tag that exists may be given to another image.
    pub tag_mutability: TagMutability,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether a tag that exists may be given to another image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TagMutability {
    /// It may.
    #[default]
    Mutable,
    /// It may not.
    Immutable,
}

impl Row for Repository {
    const TABLE: &'static str = "ecr_repository";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

/// A repository as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RepositoryShape {
    repository_arn: String,
    registry_id: String,
    repository_name: String,
    repository_uri: String,
    created_at: f64,
    image_tag_mutability: TagMutability,
    image_scanning_configuration: ScanningConfiguration,
    encryption_configuration: EncryptionConfiguration,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanningConfiguration {
    pub(super) scan_on_push: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EncryptionConfiguration {
    encryption_type: &'static str,
}

impl RepositoryShape {
    fn of(context: &Context, repository: &Repository) -> Self {
        Self {
            repository_arn: repository_arn(context, &repository.name),
            registry_id: repository.account.to_string(),
            // The one form that every docker can push to without set-up: loopback needs no TLS.
            repository_uri: format!("{}/{}", context.settings.listen, repository.name),
            repository_name: repository.name.clone(),
            created_at: repository.created_at.epoch_seconds(),
            image_tag_mutability: repository.tag_mutability,
            image_scanning_configuration: ScanningConfiguration { scan_on_push: false },
            encryption_configuration: EncryptionConfiguration { encryption_type: "AES256" },
        }
    }
}

/// A response with one repository.
#[derive(Debug, Serialize)]
pub(super) struct OneRepository {
    repository: RepositoryShape,
}

/// What a request says of scanning: only that there is none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NoScanning {
    #[serde(default, rename = "scanOnPush")]
    _scan_on_push: OnlyDefault<False>,
}

documented_default!(
    /// The encryption that a repository has by default.
    Aes256 = "AES256"
);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DefaultEncryption {
    #[serde(default, rename = "encryptionType")]
    _encryption_type: OnlyDefault<Aes256>,
    #[serde(default, rename = "kmsKey")]
    _kms_key: OnlyDefault<Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateRepository {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    image_tag_mutability: TagMutability,
    #[serde(default, rename = "imageTagMutabilityExclusionFilters")]
    _exclusions: OnlyDefault<Empty>,
    #[serde(default, rename = "imageScanningConfiguration")]
    _scanning: NoScanning,
    #[serde(default, rename = "encryptionConfiguration")]
    _encryption: DefaultEncryption,
}

pub(super) fn create_repository(
    rows: &mut Tx,
    context: &Context,
    request: CreateRepository,
) -> Result<OneRepository, ApiError> {
    let name = request.repository_name;
    allowed(rows, context, "CreateRepository", &name)?;
    request.registry_id.check(context)?;
    if !registry::is_repository_name(&name) {
        return Err(invalid(
            "repositoryName",
            "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'",
        ));
    }
    if lookup::repository(rows, &context.account, &context.region, &name).is_some() {
        return Err(ApiError::new(
            "RepositoryAlreadyExistsException",
            format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                context.account
            ),
        ));
    }
    let mut tags = BTreeMap::new();
    set_tags(&mut tags, request.tags)?;
    let repository = rows.put(Repository {
        account: context.account.clone(),
        region: context.region.clone(),
        name,
        tag_mutability: request.image_tag_mutability,
        tags,
        created_at: context.now,
    });
    Ok(OneRepository { repository: RepositoryShape::of(context, &repository) })
}

/// The repository that a request names; it must exist and the caller be allowed to do `action` on it.
pub(super) fn named(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    name: &str,
) -> Result<Arc<Repository>, ApiError> {
    allowed(rows, context, action, name)?;
    lookup::repository(rows, &context.account, &context.region, name).ok_or_else(|| not_found(context, name))
}

pub(super) fn not_found(context: &Context, name: &str) -> ApiError {
    ApiError::new(
        "RepositoryNotFoundException",
        format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            context.account
        ),
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeRepositories {
    #[serde(default)]
    registry_id: RegistryId,
    #[serde(default)]
    repository_names: Vec<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repositories {
    repositories: Vec<RepositoryShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// How many items a page of ECR's has: 100, or what the request says up to 1000.
pub(super) fn page_size(max_results: Option<i64>) -> Result<usize, ApiError> {
    let most = usize::try_from(max_results.unwrap_or(100)).ok().filter(|most| (1..=1000).contains(most));
    most.ok_or_else(|| invalid("maxResults", "must be between 1 and 1000"))
}

pub(super) fn invalid_token(_: crate::page::InvalidToken) -> ApiError {
    ApiError::new("InvalidParameterException", "The nextToken is not one that this listing gave.")
}

pub(super) fn describe_repositories(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRepositories,
) -> Result<Repositories, ApiError> {
    request.registry_id.check(context)?;
    if !request.repository_names.is_empty() {
        let named = |name: &String| {
            let repository = named(rows, context, "DescribeRepositories", name)?;
            Ok(RepositoryShape::of(context, &repository))
        };
        let repositories = request.repository_names.iter().map(named).collect::<Result<_, ApiError>>()?;
        return Ok(Repositories { repositories, next_token: None });
    }
    allowed(rows, context, "DescribeRepositories", "*")?;
    let prefix = context.prefix();
    let most = page_size(request.max_results)?;
    let found = rows.scan::<Repository>(&prefix);
    let page =
        page(found, |row| row.key(), Some(most), request.next_token.as_deref()).map_err(invalid_token)?;
    Ok(Repositories {
        repositories: page.items.iter().map(|row| RepositoryShape::of(context, row)).collect(),
        next_token: page.next_token,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteRepository {
    #[serde(default)]
    registry_id: RegistryId,
    repository_name: String,
    #[serde(default)]
    force: bool,
}

pub(super) fn delete_repository(
    rows: &mut Tx,
    context: &Context,
    request: DeleteRepository,
) -> Result<OneRepository, ApiError> {
    let repository = named(rows, context, "DeleteRepository", &request.repository_name)?;
    request.registry_id.check(context)?;
    let images: Vec<String> = images(rows, &repository).iter().map(|image| image.key()).collect();
    if !images.is_empty() && !request.force {
        return Err(ApiError::new(
            "RepositoryNotEmptyException",
            format!(
                "The repository with name '{}' in registry with id '{}' cannot be deleted because it still contains images",
                repository.name, repository.account
            ),
        ));
    }
    for key in images {
        rows.delete::<Image>(&key);
    }
    // Also those of pushes that never came to an end.
    let layers: Vec<String> = layers(rows, &repository).iter().map(|layer| layer.key()).collect();
    for key in layers {
        rows.delete::<Layer>(&key);
    }
    rows.delete::<Repository>(&repository.key());
    Ok(OneRepository { repository: RepositoryShape::of(context, &repository) })
}
