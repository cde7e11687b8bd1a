//! Operations: the records of what was asked for. On AWS they take a while; here each is done when it is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp};
use wire::ApiError;

use super::filter::{self, Filter};
use super::{Begun, letters};
use crate::Context;

/// How many operations of an account and region are kept: Terraform asks for the last ones alone.
const KEPT: usize = 1000;

/// An operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperationRow {
    account: AccountId,
    region: Region,
    id: String,
    kind: Kind,
    /// What it was about.
    targets: BTreeMap<Target, String>,
    created_at: Timestamp,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    CreateNamespace,
    DeleteNamespace,
    UpdateNamespace,
    UpdateService,
    RegisterInstance,
    DeregisterInstance,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::CreateNamespace => "CREATE_NAMESPACE",
            Kind::DeleteNamespace => "DELETE_NAMESPACE",
            Kind::UpdateNamespace => "UPDATE_NAMESPACE",
            Kind::UpdateService => "UPDATE_SERVICE",
            Kind::RegisterInstance => "REGISTER_INSTANCE",
            Kind::DeregisterInstance => "DEREGISTER_INSTANCE",
        }
    }
}

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Target {
    Namespace,
    Service,
    Instance,
}

impl Row for OperationRow {
    const TABLE: &'static str = "servicediscovery_operation";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.id)
    }
}

/// Records something that was done.
pub(super) fn record<const N: usize>(
    rows: &mut Tx,
    context: &Context,
    kind: Kind,
    targets: [(Target, &str); N],
) -> Begun {
    let prefix = context.key("");
    let mut kept: Vec<_> =
        rows.scan::<OperationRow>(&prefix).map(|row| (row.created_at, row.key())).collect();
    if kept.len() >= KEPT {
        kept.sort();
        for (_, key) in kept.into_iter().take(KEPT / 10) {
            rows.delete::<OperationRow>(&key);
        }
    }
    let row = rows.put(OperationRow {
        account: context.account.clone(),
        region: context.region.clone(),
        id: format!("{}-{}", letters(32), letters(8)),
        kind,
        targets: targets.into_iter().map(|(target, id)| (target, id.to_owned())).collect(),
        created_at: context.now,
    });
    Begun { operation_id: row.id.clone() }
}

/// `GetOperation`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetOperation {
    operation_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneOperation {
    operation: OperationView,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OperationView {
    id: String,
    r#type: Kind,
    status: &'static str,
    create_date: f64,
    update_date: f64,
    targets: BTreeMap<Target, String>,
}

pub(super) fn get(
    rows: &Snapshot,
    context: &Context,
    request: GetOperation,
) -> Result<OneOperation, ApiError> {
    let row = rows.get::<OperationRow>(&context.key(&request.operation_id)).ok_or_else(|| {
        ApiError::new("OperationNotFound", format!("Operation not found: {}", request.operation_id))
    })?;
    let operation = OperationView {
        id: row.id.clone(),
        r#type: row.kind,
        status: "SUCCESS",
        create_date: row.created_at.epoch_seconds(),
        update_date: row.created_at.epoch_seconds(),
        targets: row.targets.clone(),
    };
    Ok(OneOperation { operation })
}

/// `ListOperations`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListOperations {
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Operations {
    operations: Vec<OperationSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OperationSummary {
    id: String,
    status: &'static str,
}

pub(super) fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListOperations,
) -> Result<Operations, ApiError> {
    filter::check(&request.filters, &["NAMESPACE_ID", "SERVICE_ID", "STATUS", "TYPE", "UPDATE_DATE"])?;
    let fits = |row: &OperationRow| {
        let date = row.created_at.as_millis().to_string();
        // A filter on the date names milliseconds.
        filter::all_hold(&request.filters, |name| match name {
            "NAMESPACE_ID" => row.targets.get(&Target::Namespace).map(String::as_str),
            "SERVICE_ID" => row.targets.get(&Target::Service).map(String::as_str),
            "STATUS" => Some("SUCCESS"),
            "TYPE" => Some(row.kind.name()),
            _ => Some(date.as_str()),
        })
    };
    let found: Vec<String> = rows
        .scan::<OperationRow>(&context.key(""))
        .filter(|row| fits(row))
        .map(|row| row.id.clone())
        .collect();
    let page = super::page(found, String::clone, request.max_results, request.next_token.as_deref())?;
    let summary = |id| OperationSummary { id, status: "SUCCESS" };
    Ok(Operations { operations: page.items.into_iter().map(summary).collect(), next_token: page.next_token })
}
