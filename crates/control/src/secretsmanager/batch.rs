//! `BatchGetSecretValue`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::ApiError;

use super::list::{Filter, check, found};
use super::secret;
use super::value::ValueShape;
use super::version::{self, CURRENT};
use super::{invalid_parameter, invalid_token, not_found, page_size};
use crate::context::Context;
use crate::iam::{self, Resource};
use crate::page::page;

/// The most secrets of one request.
const SECRETS: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct BatchGetSecretValue {
    secret_id_list: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Why one secret's value is not among the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ApiErrorShape {
    secret_id: String,
    error_code: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    secret_values: Vec<ValueShape>,
    errors: Vec<ApiErrorShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The call itself is of no one secret; each value is asked for by itself.
pub(super) fn of_batch(_: &Snapshot, _: &Context, _: &BatchGetSecretValue) -> Vec<Resource> {
    vec![Resource::of("*")]
}

pub(super) fn batch_get_secret_value(
    rows: &Snapshot,
    context: &Context,
    request: BatchGetSecretValue,
) -> Result<Batch, ApiError> {
    let filters = request.filters.unwrap_or_default();
    let ids = request.secret_id_list.unwrap_or_default();
    if ids.is_empty() == filters.is_empty() {
        return Err(invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both."));
    }
    if ids.len() > SECRETS {
        return Err(invalid_parameter("SecretIdList can have at most 20 secrets."));
    }
    if !ids.is_empty() && (request.max_results.is_some() || request.next_token.is_some()) {
        return Err(invalid_parameter("MaxResults and NextToken can be used with Filters alone."));
    }
    let (ids, next_token) = if ids.is_empty() {
        iam::authorize_each(rows, context, "secretsmanager:ListSecrets", &[Resource::of("*")])?;
        check(&filters)?;
        let size = page_size(request.max_results, SECRETS)?;
        let all = found(rows, context, &filters, false);
        let page = page(all, |secret| secret.key(), Some(size), request.next_token.as_deref())
            .map_err(invalid_token)?;
        (page.items.iter().map(|secret| secret.arn()).collect(), page.next_token)
    } else {
        (ids, None)
    };
    let (mut secret_values, mut errors) = (Vec::new(), Vec::new());
    for id in ids {
        match one(rows, context, &id) {
            Ok(value) => secret_values.push(value),
            Err(error) => errors.push(ApiErrorShape {
                secret_id: id,
                error_code: error.code.into_owned(),
                message: error.message,
            }),
        }
    }
    Ok(Batch { secret_values, errors, next_token })
}

fn one(rows: &Snapshot, context: &Context, id: &str) -> Result<ValueShape, ApiError> {
    let resource = secret::resource(rows, context, id);
    iam::authorize_each(rows, context, "secretsmanager:GetSecretValue", &[resource])?;
    let secret = secret::live(rows, context, id)?;
    let version = version::by_stage(rows, &secret, CURRENT).ok_or_else(|| {
        not_found(format!(
            "Secrets Manager can't find the specified secret value for staging label: {CURRENT}"
        ))
    })?;
    ValueShape::of(context, &secret, &version)
}
