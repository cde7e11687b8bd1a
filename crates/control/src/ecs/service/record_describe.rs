//! `DescribeServiceDeployments`, `ListServiceDeployments` and `StopServiceDeployment`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::Timestamp;
use wire::ApiError;

use super::record::{self, Monitor, Record, Status};
use super::revision::MOST;
use super::view::ConfigurationView;
use super::{RolloutState, Service};
use crate::Context;
use crate::ecs::task::{LastStatus, Task};
use crate::ecs::{Failure, invalid};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordView {
    service_deployment_arn: String,
    service_arn: String,
    cluster_arn: String,
    created_at: f64,
    started_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<f64>,
    updated_at: f64,
    source_service_revisions: Vec<RevisionSummary>,
    target_service_revision: RevisionSummary,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    deployment_configuration: ConfigurationView,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackView>,
    deployment_circuit_breaker: MonitorView,
    alarms: AlarmsView,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisionSummary {
    arn: String,
    requested_task_count: usize,
    running_task_count: usize,
    pending_task_count: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RollbackView {
    reason: String,
    started_at: f64,
    service_revision_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MonitorView {
    status: Monitor,
    failure_count: u32,
    threshold: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlarmsView {
    status: Monitor,
    alarm_names: Vec<String>,
    triggered_alarm_names: Vec<String>,
}

impl Record {
    fn arn_of(&self, kind: &str, id: &str) -> String {
        let resource = format!("{kind}/{}/{}/{id}", self.cluster, self.service);
        crate::ecs::arn(&self.account, &self.region, &resource)
    }

    fn service_arn(&self) -> String {
        let resource = format!("service/{}/{}", self.cluster, self.service);
        crate::ecs::arn(&self.account, &self.region, &resource)
    }

    fn cluster_arn(&self) -> String {
        crate::ecs::arn(&self.account, &self.region, &format!("cluster/{}", self.cluster))
    }

    fn print(&self, rows: &Snapshot) -> RecordView {
        let seconds = |time: Option<Timestamp>| time.map(Timestamp::epoch_seconds);
        let key = format!("{}/{}/{}/{}", self.account, self.region, self.cluster, self.service);
        let service = rows.get::<Service>(&key);
        let deployment = format!("ecs-svc/{}", self.target);
        let known = service.as_ref().and_then(|service| {
            service.deployments.iter().enumerate().find(|(_, known)| known.id == deployment)
        });
        let own = || {
            let prefix = crate::ecs::task::found_by_service(&key);
            let tasks: Vec<Arc<Task>> = rows.find::<Task>(&prefix).collect();
            tasks.into_iter().filter(|task| task.started_by == deployment)
        };
        let open = self.status.is_open();
        let failed = known.filter(|_| open && self.rollback.is_none()).map(|(_, known)| known.failed_tasks);
        RecordView {
            service_deployment_arn: self.arn_of("service-deployment", &self.id),
            service_arn: self.service_arn(),
            cluster_arn: self.cluster_arn(),
            created_at: self.created_at.epoch_seconds(),
            started_at: self.created_at.epoch_seconds(),
            finished_at: seconds(self.finished_at),
            stopped_at: seconds(self.stopped_at),
            updated_at: self.updated_at.epoch_seconds(),
            source_service_revisions: self
                .sources
                .iter()
                .map(|source| RevisionSummary {
                    arn: self.arn_of("service-revision", &source.revision),
                    requested_task_count: source.requested,
                    running_task_count: source.running,
                    pending_task_count: source.pending,
                })
                .collect(),
            target_service_revision: RevisionSummary {
                arn: self.arn_of("service-revision", &self.target),
                requested_task_count: match (known, &service) {
                    (Some((0, _)), Some(service)) => {
                        usize::try_from(service.desired_count).unwrap_or(usize::MAX)
                    }
                    _ => own().filter(|task| task.is_wanted()).count(),
                },
                running_task_count: own().filter(|task| task.last_status == LastStatus::Running).count(),
                pending_task_count: own().filter(|task| task.last_status < LastStatus::Running).count(),
            },
            status: self.status,
            status_reason: self.status_reason.clone(),
            deployment_configuration: ConfigurationView::new(
                self.minimum_healthy_percent,
                self.maximum_percent,
                self.circuit_breaker,
                self.alarms.clone(),
            ),
            rollback: self.rollback.as_ref().map(|rollback| RollbackView {
                reason: rollback.reason.clone(),
                started_at: rollback.started_at.epoch_seconds(),
                service_revision_arn: self.arn_of("service-revision", &rollback.revision),
            }),
            deployment_circuit_breaker: MonitorView {
                status: self.monitor,
                failure_count: failed.unwrap_or(self.failed_tasks),
                threshold: self.threshold,
            },
            alarms: AlarmsView {
                status: self.alarm_monitor,
                alarm_names: self
                    .alarms
                    .as_ref()
                    .map(|alarms| alarms.alarm_names.clone())
                    .unwrap_or_default(),
                triggered_alarm_names: self.triggered.clone(),
            },
        }
    }
}

/// The record of an ARN.
fn find(rows: &Snapshot, context: &Context, arn: &str) -> Option<Arc<Record>> {
    let prefix = crate::ecs::arn(&context.account, &context.region, "service-deployment/");
    rows.get::<Record>(&context.key(arn.strip_prefix(&*prefix)?))
}

/// `DescribeServiceDeployments`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeServiceDeployments {
    service_deployment_arns: Vec<String>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordList {
    service_deployments: Vec<RecordView>,
    failures: Vec<Failure>,
}

/// Describes the deployments named.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeServiceDeployments,
) -> Result<RecordList, ApiError> {
    let arns = request.service_deployment_arns;
    if arns.is_empty() || arns.len() > MOST {
        return Err(invalid(format!("serviceDeploymentArns must name 1 to {MOST} service deployments.")));
    }
    let mut list = RecordList { service_deployments: Vec::new(), failures: Vec::new() };
    for arn in &arns {
        match find(rows, context, arn) {
            Some(record) => list.service_deployments.push(record.print(rows)),
            None => list.failures.push(Failure::missing(context, "service-deployment/", arn)),
        }
    }
    Ok(list)
}

/// `ListServiceDeployments`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListServiceDeployments {
    service: String,
    cluster: Option<String>,
    #[serde(default)]
    status: Vec<Status>,
    created_at: Option<CreatedAt>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// Bounds of a time, in seconds of the epoch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreatedAt {
    before: Option<f64>,
    after: Option<f64>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BriefList {
    service_deployments: Vec<Brief>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Brief {
    service_deployment_arn: String,
    service_arn: String,
    cluster_arn: String,
    started_at: f64,
    created_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<f64>,
    target_service_revision_arn: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
}

/// A service's deployments, the newest first.
pub fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListServiceDeployments,
) -> Result<BriefList, ApiError> {
    let service = super::describe::get(rows, context, request.cluster.as_deref(), &request.service)?;
    let prefix = format!("{}/", service.key());
    let within = |record: &Record| {
        let at = record.created_at.epoch_seconds();
        request.created_at.as_ref().is_none_or(|bounds| {
            bounds.before.is_none_or(|before| at <= before) && bounds.after.is_none_or(|after| at >= after)
        })
    };
    let mut records: Vec<_> = rows
        .scan::<Record>(&prefix)
        .filter(|record| request.status.is_empty() || request.status.contains(&record.status))
        .filter(|record| within(record))
        .collect();
    // The newest first; of the same time, the one under way.
    let order = |record: &Arc<Record>| {
        format!(
            "{:020}/{}/{}",
            i64::MAX - record.created_at.as_millis(),
            record.id != service.record,
            record.id
        )
    };
    records.sort_by_key(order);
    let page = crate::ecs::page_by(records, order, request.max_results, 20, request.next_token.as_deref())?;
    let brief = |record: &Arc<Record>| Brief {
        service_deployment_arn: record.arn_of("service-deployment", &record.id),
        service_arn: record.service_arn(),
        cluster_arn: record.cluster_arn(),
        started_at: record.created_at.epoch_seconds(),
        created_at: record.created_at.epoch_seconds(),
        finished_at: record.finished_at.map(Timestamp::epoch_seconds),
        target_service_revision_arn: record.arn_of("service-revision", &record.target),
        status: record.status,
        status_reason: record.status_reason.clone(),
    };
    Ok(BriefList { service_deployments: page.items.iter().map(brief).collect(), next_token: page.next_token })
}

/// `StopServiceDeployment`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopServiceDeployment {
    service_deployment_arn: String,
    stop_type: Option<StopType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum StopType {
    Abort,
    Rollback,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    service_deployment_arn: String,
}

/// Takes a deployment that is under way back: the last revision that completed is rolled out again.
pub fn stop(rows: &mut Tx, context: &Context, request: StopServiceDeployment) -> Result<Stopped, ApiError> {
    if request.stop_type == Some(StopType::Abort) {
        return Err(ApiError::unsupported("stopType ABORT: only ROLLBACK"));
    }
    let record = find(rows, context, &request.service_deployment_arn).ok_or_else(|| {
        ApiError::new("ServiceDeploymentNotFoundException", "Service deployment not found.")
    })?;
    let key = format!("{}/{}/{}/{}", record.account, record.region, record.cluster, record.service);
    let service = rows.get::<Service>(&key).filter(|service| service.is_active());
    let stoppable = record.status == Status::InProgress;
    let mut service = (*service.filter(|_| stoppable).ok_or_else(|| {
        ApiError::new(
            "ConflictException",
            format!(
                "The service deployment is in the status {} and cannot be stopped.",
                printed(record.status)
            ),
        )
    })?)
    .clone();
    let target = service.rollback_target().map(str::to_owned).ok_or_else(|| {
        ApiError::new("ConflictException", "There is no completed service revision to roll back to.")
    })?;
    if let Some(primary) = service.deployments.first_mut() {
        primary.rollout_state = RolloutState::Failed;
        primary.updated_at = context.now;
    }
    record::change(rows, &service, context.now, |record| {
        let reason = "Service deployment was stopped by StopServiceDeployment.".to_owned();
        record.take_back(reason, Some(&target), context.now);
    });
    service.roll_back(rows, context.now);
    rows.put(service);
    Ok(Stopped { service_deployment_arn: request.service_deployment_arn })
}

/// A status as AWS spells it.
fn printed(status: Status) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
