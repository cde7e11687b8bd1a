//! DescribeFlowLogs.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::flow_log::{FlowLog, TrafficType};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeFlowLogs {
    #[serde(default)]
    flow_log_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeFlowLogsResponse {
    flow_log_set: Vec<FlowLogDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FlowLogDescription {
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_logs_error_message: Option<String>,
    deliver_logs_permission_arn: String,
    deliver_logs_status: &'static str,
    flow_log_id: String,
    flow_log_status: &'static str,
    log_group_name: String,
    resource_id: String,
    traffic_type: TrafficType,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_destination: Option<String>,
    log_destination_type: &'static str,
    log_format: String,
    max_aggregation_interval: u32,
    tag_set: Vec<Tag>,
}

impl FlowLogDescription {
    fn new(rows: &Snapshot, context: &Context, log: &FlowLog) -> Self {
        Self {
            creation_time: log.created_at.iso(),
            deliver_logs_error_message: log.error.clone(),
            deliver_logs_permission_arn: log.role_arn.clone(),
            deliver_logs_status: if log.error.is_some() { "FAILED" } else { "SUCCESS" },
            flow_log_id: log.id.to_string(),
            flow_log_status: "ACTIVE",
            log_group_name: log.group.clone(),
            resource_id: log.resource.clone(),
            traffic_type: log.traffic,
            log_destination: log.destination.clone(),
            log_destination_type: "cloud-watch-logs",
            log_format: log.format.clone(),
            max_aggregation_interval: log.interval,
            tag_set: tag::of(rows, context, &log.id),
        }
    }
}

impl Item for FlowLogDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("deliver-log-status", |log| vec![log.deliver_logs_status.to_owned()]),
        ("flow-log-id", |log| vec![log.flow_log_id.clone()]),
        ("log-destination-type", |log| vec![log.log_destination_type.to_owned()]),
        ("log-group-name", |log| vec![log.log_group_name.clone()]),
        ("resource-id", |log| vec![log.resource_id.clone()]),
        ("traffic-type", |log| vec![log.traffic_type.suffix().to_uppercase()]),
    ];

    fn id(&self) -> &str {
        &self.flow_log_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        FlowLog::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeFlowLogs,
) -> Result<DescribeFlowLogsResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows.scan::<FlowLog>(&prefix).map(|log| FlowLogDescription::new(rows, context, &log));
    let page = Ask {
        ids: &request.flow_log_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeFlowLogsResponse { flow_log_set: page.items, next_token: page.next_token },
    )
}
