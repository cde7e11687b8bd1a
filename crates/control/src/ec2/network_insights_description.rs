//! DescribeNetworkInsightsAnalyses: an analysis in AWS's form.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::network_insights_analysis::NetworkInsightsAnalysis;
use crate::ec2::network_insights_component::{Explanation, PathComponent, Shown};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNetworkInsightsAnalyses {
    #[serde(default)]
    network_insights_analysis_id: Vec<String>,
    network_insights_path_id: Option<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkInsightsAnalysesResponse {
    network_insights_analysis_set: Vec<AnalysisDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnalysisDescription {
    network_insights_analysis_id: String,
    network_insights_analysis_arn: String,
    network_insights_path_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filter_in_arn_set: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filter_out_arn_set: Vec<String>,
    start_date: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_path_found: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forward_path_component_set: Vec<PathComponent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    return_path_component_set: Vec<PathComponent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanation_set: Vec<Explanation>,
    tag_set: Vec<Tag>,
}

impl AnalysisDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, row: &NetworkInsightsAnalysis) -> Self {
        let outcome = row.outcome.as_ref();
        let analysis = outcome.and_then(|outcome| outcome.analysis.as_ref());
        let shown = Shown::new(rows, context);
        let (mut forward, mut back, mut explanations) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(analysis) = analysis {
            forward = shown.components(&analysis.forward);
            back = shown.components(&analysis.back);
            explanations = analysis.blockers().map(|(_, hop, block)| shown.explanation(hop, block)).collect();
        }
        if let Some(code) = outcome.and_then(|outcome| outcome.code.clone()) {
            explanations.push(Explanation::of_code(code));
        }
        Self {
            network_insights_analysis_id: row.id.to_string(),
            network_insights_analysis_arn: context
                .arn("ec2", format!("network-insights-analysis/{}", row.id))
                .to_string(),
            network_insights_path_id: row.path_id.to_string(),
            filter_in_arn_set: row.filter_in.clone(),
            filter_out_arn_set: row.filter_out.clone(),
            start_date: row.started_at.iso(),
            status: if outcome.is_some() { "succeeded" } else { "running" },
            network_path_found: outcome.map(|outcome| outcome.found),
            forward_path_component_set: forward,
            return_path_component_set: back,
            explanation_set: explanations,
            tag_set: tag::of(rows, context, &row.id),
        }
    }
}

impl Item for AnalysisDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("path-found", |analysis| analysis.network_path_found.iter().map(ToString::to_string).collect()),
        ("status", |analysis| vec![analysis.status.to_owned()]),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 1..=100;

    fn id(&self) -> &str {
        &self.network_insights_analysis_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        NetworkInsightsAnalysis::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNetworkInsightsAnalyses,
) -> Result<DescribeNetworkInsightsAnalysesResponse, ApiError> {
    let prefix = context.prefix();
    let path = request.network_insights_path_id.filter(|id| !id.is_empty());
    if let Some(id) = &path {
        super::get::<super::network_insights_path::NetworkInsightsPath>(rows, context, id)?;
    }
    let items = rows
        .scan::<NetworkInsightsAnalysis>(&prefix)
        .filter(|row| path.as_ref().is_none_or(|path| row.path_id.as_str() == path))
        .map(|row| AnalysisDescription::new(rows, context, &row));
    let page = Ask {
        ids: &request.network_insights_analysis_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeNetworkInsightsAnalysesResponse {
            network_insights_analysis_set: page.items,
            next_token: page.next_token,
        },
    )
}
