//! `DeleteService`.

use serde::Deserialize;
use store::Tx;
use wire::ApiError;

use super::view::OneService;
use super::{ServiceStatus, record};
use crate::Context;
use crate::ecs::invalid;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteService {
    cluster: Option<String>,
    service: String,
    #[serde(default)]
    force: bool,
}

/// Begins the end of a service: its tasks are drained and stopped, then it is INACTIVE.
pub fn delete(rows: &mut Tx, context: &Context, request: DeleteService) -> Result<OneService, ApiError> {
    let mut service = super::describe::get(rows, context, request.cluster.as_deref(), &request.service)?;
    match service.status {
        ServiceStatus::Inactive => return Err(super::describe::not_found()),
        ServiceStatus::Draining => {}
        ServiceStatus::Active => {
            if service.desired_count > 0 && !request.force {
                return Err(invalid("The service cannot be stopped while it is scaled above 0."));
            }
            service.status = ServiceStatus::Draining;
            service.desired_count = 0;
            service.steady = false;
            record::change(rows, &service, context.now, |record| {
                record.stop("Service deployment was stopped because the service was deleted.", context.now);
            });
        }
    }
    let service = rows.put(service);
    Ok(OneService { service: service.print(rows, true) })
}
