//! `DeleteTaskDefinitions`.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::{Status, TaskDefinition, TaskDefinitionView, find};
use crate::Context;
use crate::ecs::service::Service;
use crate::ecs::task::Task;
use crate::ecs::{Failure, client, invalid};

/// The most revisions of one call ("DeleteTaskDefinitions").
const MOST: usize = 10;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteTaskDefinitions {
    task_definitions: Vec<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedTaskDefinitions {
    task_definitions: Vec<TaskDefinitionView>,
    failures: Vec<Failure>,
}

/// Deletes inactive revisions. One that a service or a task has stays, DELETE_IN_PROGRESS, until nothing has it; its
/// number is never used again.
pub fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteTaskDefinitions,
) -> Result<DeletedTaskDefinitions, ApiError> {
    if request.task_definitions.is_empty() {
        return Err(invalid("Task definitions cannot be empty."));
    }
    if request.task_definitions.len() > MOST {
        return Err(invalid(format!("At most {MOST} task definitions can be deleted in one call.")));
    }
    let mut answer = DeletedTaskDefinitions { task_definitions: Vec::new(), failures: Vec::new() };
    for named in &request.task_definitions {
        if !named.rsplit('/').next().unwrap_or_default().contains(':') {
            return Err(client(format!("The specified task definition must name a revision: {named}")));
        }
        let Some(row) = find(rows, context, named) else {
            answer.failures.push(Failure::missing(context, "task-definition/", named));
            continue;
        };
        if row.status == Status::Active {
            answer.failures.push(Failure {
                arn: row.arn(),
                reason: "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
            });
            continue;
        }
        let mut row = (*row).clone();
        row.status = Status::DeleteInProgress;
        row.delete_requested_at = row.delete_requested_at.or(Some(context.now));
        let row = rows.put(row);
        answer.task_definitions.push(row.print());
    }
    Ok(answer)
}

/// The prefix under which the revisions are found whose deletion was asked for.
pub(super) const DELETING: &str = "deleting/";

/// Forgets the revisions whose deletion was asked for and that nothing has any more. The newest of a family is kept as it
/// is: the next revision's number follows from it.
pub(crate) fn sweep(rows: &mut Tx) {
    let waiting: Vec<_> = rows
        .find::<TaskDefinition>(DELETING)
        .filter(|row| !is_used(rows, row) && !is_last(rows, row))
        .collect();
    for row in waiting {
        rows.delete::<TaskDefinition>(&store::Row::key(&*row));
    }
}

fn is_used(rows: &Snapshot, definition: &TaskDefinition) -> bool {
    let arn = definition.arn();
    rows.scan::<Task>("").any(|task| task.task_definition == arn)
        || rows
            .scan::<Service>("")
            .any(|service| service.deployments.iter().any(|deployment| deployment.task_definition == arn))
}

fn is_last(rows: &Snapshot, definition: &TaskDefinition) -> bool {
    let prefix = format!("{}/{}/{}/", definition.account, definition.region, definition.family);
    rows.scan::<TaskDefinition>(&prefix).last().is_some_and(|last| last.revision == definition.revision)
}
