//! Tags of load balancers, target groups and listeners.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use super::target_group::TargetGroup;
use super::{EmptyResponse, Tag, check_tags, listener, load_balancer, target_group, validation};
use crate::Context;

/// DescribeTags' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeRequest {
    resource_arns: Vec<String>,
}

/// DescribeTags' response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeResponse {
    tag_descriptions: Vec<TagDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagDescription {
    resource_arn: String,
    tags: Vec<Tag>,
}

/// The tags of the resource of an ARN.
fn tags(rows: &Snapshot, context: &Context, arn: &str) -> Result<Vec<Tag>, ApiError> {
    Ok(match arn.split(':').nth(5).and_then(|resource| resource.split('/').next()) {
        Some("loadbalancer") => load_balancer::get(rows, context, arn)?.tags.clone(),
        Some("targetgroup") => target_group::require(rows, context, arn)?.tags.clone(),
        Some("listener") => listener::require(rows, context, arn)?.tags.clone(),
        _ => {
            return Err(validation(format!(
                "'{arn}' is not a valid load balancer, target group or listener ARN"
            )));
        }
    })
}

fn set(rows: &mut Tx, context: &Context, arn: &str, tags: Vec<Tag>) -> Result<(), ApiError> {
    check_tags(&tags)?;
    match arn.split(':').nth(5).and_then(|resource| resource.split('/').next()) {
        Some("loadbalancer") => {
            let row = load_balancer::get(rows, context, arn)?;
            rows.put(LoadBalancer { tags, ..(*row).clone() });
        }
        Some("targetgroup") => {
            let row = target_group::require(rows, context, arn)?;
            rows.put(TargetGroup { tags, ..(*row).clone() });
        }
        _ => {
            let row = listener::require(rows, context, arn)?;
            rows.put(Listener { tags, ..(*row).clone() });
        }
    }
    Ok(())
}

/// DescribeTags.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRequest,
) -> Result<DescribeResponse, ApiError> {
    if request.resource_arns.len() > 20 {
        return Err(validation("At most 20 resources can be described at once"));
    }
    let describe = |arn: String| {
        let tags = tags(rows, context, &arn)?;
        Ok(TagDescription { resource_arn: arn, tags })
    };
    Ok(DescribeResponse {
        tag_descriptions: request.resource_arns.into_iter().map(describe).collect::<Result<_, ApiError>>()?,
    })
}

/// AddTags' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AddRequest {
    resource_arns: Vec<String>,
    tags: Vec<Tag>,
}

/// AddTags.
pub fn add(rows: &mut Tx, context: &Context, request: AddRequest) -> Result<EmptyResponse, ApiError> {
    check_tags(&request.tags)?;
    for arn in &request.resource_arns {
        let mut all = tags(rows, context, arn)?;
        all.retain(|tag| request.tags.iter().all(|new| new.key != tag.key));
        all.extend(request.tags.iter().cloned());
        set(rows, context, arn, all)?;
    }
    Ok(EmptyResponse {})
}

/// RemoveTags' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RemoveRequest {
    resource_arns: Vec<String>,
    tag_keys: Vec<String>,
}

/// RemoveTags.
pub fn remove(rows: &mut Tx, context: &Context, request: RemoveRequest) -> Result<EmptyResponse, ApiError> {
    for arn in &request.resource_arns {
        let mut all = tags(rows, context, arn)?;
        all.retain(|tag| !request.tag_keys.contains(&tag.key));
        set(rows, context, arn, all)?;
    }
    Ok(EmptyResponse {})
}
