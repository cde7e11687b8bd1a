//! `StopTask`.

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::ApiError;

use super::view::TaskView;
use super::{LastStatus, StopCode, describe};
use crate::Context;
use crate::ecs::{cluster, invalid};

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopTask {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
pub struct OneTask {
    task: TaskView,
}

/// Tells a task to end. It leaves its target groups first.
pub fn stop(rows: &mut Tx, context: &Context, request: StopTask) -> Result<OneTask, ApiError> {
    let cluster = cluster::get_active(rows, context, request.cluster.as_deref())?;
    let task = describe::find(rows, context, &cluster, &request.task)
        .ok_or_else(|| invalid("The referenced task was not found."))?;
    let mut task = (*task).clone();
    if task.is_wanted() && task.last_status != LastStatus::Stopped {
        let reason = request.reason.filter(|reason| !reason.is_empty());
        task.end(StopCode::UserInitiated, reason.unwrap_or_else(|| "Task stopped by user".to_owned()));
        task.version += 1;
        task = (*rows.put(task)).clone();
    }
    Ok(OneTask { task: task.print(true) })
}
