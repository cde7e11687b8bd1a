//! The service `ecr`: repositories and what is in them. The bytes are the registry's (crate `registry`), which asks
//! [`catalog`] what exists and who may.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]

pub mod catalog;
mod image;
mod image_id;
mod layer;
mod lookup;
mod policies;
mod repository;
mod repository_settings;
mod tags;
#[cfg(test)]
mod tests;
pub mod token;

use serde::{Deserialize, Serialize};
use store::{Snapshot, TableDef, table};
use wire::ApiError;

pub use image::Image;
pub use layer::Layer;
pub use lookup::live_digests;
pub use repository::Repository;

use crate::context::Context;
use crate::operation::{Operation, read, write};

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[
    read!(Ecr, BatchCheckLayerAvailability, layer::batch_check_layer_availability),
    write!(Ecr, BatchDeleteImage, image::batch_delete_image),
    read!(Ecr, BatchGetImage, image::batch_get_image),
    write!(Ecr, CreateRepository, repository::create_repository),
    read!(Ecr, DeleteLifecyclePolicy, policies::delete_lifecycle_policy),
    write!(Ecr, DeleteRepository, repository::delete_repository),
    read!(Ecr, DeleteRepositoryPolicy, policies::delete_repository_policy),
    read!(Ecr, DescribeImages, image::describe_images),
    read!(Ecr, DescribeRepositories, repository::describe_repositories),
    read!(Ecr, GetAuthorizationToken, token::get_authorization_token),
    read!(Ecr, GetDownloadUrlForLayer, layer::get_download_url_for_layer),
    read!(Ecr, GetLifecyclePolicy, policies::get_lifecycle_policy),
    read!(Ecr, GetRepositoryPolicy, policies::get_repository_policy),
    read!(Ecr, ListImages, image::list_images),
    read!(Ecr, ListTagsForResource, tags::list_tags_for_resource),
    write!(Ecr, PutImageScanningConfiguration, repository_settings::put_image_scanning_configuration),
    write!(Ecr, PutImageTagMutability, repository_settings::put_image_tag_mutability),
    read!(Ecr, PutLifecyclePolicy, policies::put_lifecycle_policy),
    read!(Ecr, SetRepositoryPolicy, policies::set_repository_policy),
    write!(Ecr, TagResource, tags::tag_resource),
    write!(Ecr, UntagResource, tags::untag_resource),
];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[table::<Repository>(), table::<Image>(), table::<Layer>()];

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// A member that takes the caller's own account alone: there are no others' registries to ask.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct RegistryId(Option<String>);

impl RegistryId {
    fn check(&self, context: &Context) -> Result<(), ApiError> {
        match &self.0 {
            Some(id) if id != context.account.as_str() => Err(ApiError::new(
                "InvalidParameterException",
                format!("Landfall serves one account's registry, {}, and not that of {id}.", context.account),
            )),
            _ => Ok(()),
        }
    }
}

fn invalid(member: &str, constraint: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterException",
        format!("Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'"),
    )
}

/// The ARN of a repository, which need not exist.
fn repository_arn(context: &Context, name: &str) -> String {
    context.arn("ecr", format!("repository/{name}")).to_string()
}

/// Whether the caller may do `ecr:<action>` on a repository.
fn allowed(rows: &Snapshot, context: &Context, action: &str, repository: &str) -> Result<(), ApiError> {
    let arn = repository_arn(context, repository);
    crate::iam::authorize_on(rows, context, &format!("ecr:{action}"), &arn)
}
