//! `ListMetrics`.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot};
use wire::{ApiError, OnlyDefault};

use super::query::MetricName;
use super::series::MetricSeries;
use super::{invalid_token, seconds};
use crate::Context;
use crate::page::page;

/// How many metrics a page has ("ListMetrics").
const PAGE: usize = 500;
/// How long a metric without new points is listed, in seconds: two weeks.
const LISTED: i64 = 14 * 86_400;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<RecentlyActive>,
    #[serde(default, rename = "IncludeLinkedAccounts")]
    _include_linked_accounts: OnlyDefault<wire::False>,
    #[serde(default, rename = "OwningAccount")]
    _owning_account: OnlyDefault<wire::Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
enum RecentlyActive {
    #[serde(rename = "PT3H")]
    ThreeHours,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metrics {
    metrics: Vec<MetricName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Lists the metrics that have points.
pub fn list(rows: &Snapshot, context: &Context, request: ListMetrics) -> Result<Metrics, ApiError> {
    let kept = match request.recently_active {
        Some(RecentlyActive::ThreeHours) => 3 * 3600,
        None => LISTED,
    };
    let since = seconds(context.now) - kept;
    let named = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let prefix = context.prefix();
    let fits = |row: &MetricSeries| {
        let metric = &row.metric;
        named(&request.namespace, &metric.namespace)
            && named(&request.metric_name, &metric.name)
            && request.dimensions.iter().all(|filter| {
                let value = metric.dimensions.get(&filter.name);
                value.is_some_and(|value| named(&filter.value, value))
            })
            && row.last_at(rows).is_some_and(|at| at >= since)
    };
    let mut all: Vec<_> = rows.scan::<MetricSeries>(&prefix).filter(|row| fits(row)).collect();
    // One metric in two units is one metric.
    all.dedup_by(|a, b| a.metric == b.metric);
    let page =
        page(all, |row| row.key(), Some(PAGE), request.next_token.as_deref()).map_err(|_| invalid_token())?;
    let metrics = page.items.iter().map(|row| MetricName::from(&row.metric)).collect();
    Ok(Metrics { metrics, next_token: page.next_token })
}
