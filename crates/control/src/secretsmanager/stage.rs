//! `UpdateSecretVersionStage`.

use serde::Deserialize;
use store::{Snapshot, Tx};
use wire::ApiError;

use super::secret::{self, Secret};
use super::version::{self, CURRENT, move_stage};
use super::{Named, invalid_parameter, not_found};
use crate::context::Context;
use crate::iam::Resource;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

pub(super) fn of_stage(
    rows: &Snapshot,
    context: &Context,
    request: &UpdateSecretVersionStage,
) -> Vec<Resource> {
    vec![secret::resource(rows, context, &request.secret_id)]
}

pub(super) fn update_secret_version_stage(
    rows: &mut Tx,
    context: &Context,
    request: UpdateSecretVersionStage,
) -> Result<Named, ApiError> {
    let found = secret::live(rows, context, &request.secret_id)?;
    let stage = request.version_stage;
    let (from, to) = (request.remove_from_version_id, request.move_to_version_id);
    for id in from.iter().chain(&to) {
        if version::by_id(rows, &found, id).is_none() {
            return Err(not_found(format!(
                "Secrets Manager can't find the specified secret value for VersionId: {id}"
            )));
        }
    }
    let holder = version::by_stage(rows, &found, &stage).map(|holder| holder.id.clone());
    match (&holder, &from) {
        (Some(holder), None) if to.as_ref().is_some_and(|to| to != holder) => {
            return Err(invalid_parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version \
                 {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )));
        }
        (holder, Some(from)) if holder.as_ref() != Some(from) => {
            return Err(invalid_parameter(format!(
                "You tried to remove staging label {stage} from version {from}, which it is not attached to."
            )));
        }
        _ => (),
    }
    match (&from, &to) {
        (_, Some(to)) => move_stage(rows, &found, &stage, to),
        (Some(_), None) if stage == CURRENT => {
            return Err(invalid_parameter(
                "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
            ));
        }
        (Some(from), None) => {
            if let Some(version) = version::by_id(rows, &found, from) {
                let mut version = (*version).clone();
                version.stages.remove(&stage);
                rows.put(version);
            }
        }
        (None, None) => {
            return Err(invalid_parameter(
                "You must provide at least one of RemoveFromVersionId and MoveToVersionId.",
            ));
        }
    }
    rows.put(Secret { changed_at: context.now, ..(*found).clone() });
    Ok(found.named())
}
