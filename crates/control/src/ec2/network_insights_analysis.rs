//! Analyses of the Reachability Analyzer: a path asked once. A call writes that it is asked; the schedule loop answers it
//! from the rows as they are then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reachability::{Analysis, Component, Transport, analyse};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, NetworkInsightsAnalysisId, NetworkInsightsPathId, Region, Timestamp};
use wire::ApiError;

use crate::Settings;
use crate::context::Context;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::network_insights_component::ids;
use crate::ec2::network_insights_description::AnalysisDescription;
use crate::ec2::network_insights_end::{self, End};
use crate::ec2::network_insights_path::NetworkInsightsPath;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{Resource, answer, invalid};
use crate::project;

/// An analysis.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkInsightsAnalysis {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: NetworkInsightsAnalysisId,
    /// The path that it asks.
    pub path_id: NetworkInsightsPathId,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// ARNs of what the way must touch.
    pub filter_in: Vec<String>,
    /// ARNs of what the way must not touch.
    pub filter_out: Vec<String>,
    /// What came out; None while it runs.
    pub outcome: Option<Outcome>,
    /// The token that its StartNetworkInsightsAnalysis call gave.
    pub client_token: Option<String>,
}

/// What came out of an analysis.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether there is a way that is as it was asked for.
    pub found: bool,
    /// Why not, where it is not a hop that blocks: AWS's explanation code.
    pub code: Option<String>,
    /// The ways, if the ends are in the network.
    pub analysis: Option<Analysis>,
}

super::row!(NetworkInsightsAnalysis, "ec2_network_insights_analysis", |_| Vec::new());

impl Resource for NetworkInsightsAnalysis {
    const TYPE: &'static str = "network-insights-analysis";
    const PREFIX: &'static str = NetworkInsightsAnalysisId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidNetworkInsightsAnalysisId.NotFound",
            format!("The Network Insights Analysis '{id}' does not exist"),
        )
    }
}

/// How long an analysis is kept. Source: "How Reachability Analyzer works".
const KEPT: Duration = Duration::from_secs(120 * 24 * 3600);

/// Answers what is asked, and forgets what is too old. For a reconciler; cheap when there is nothing to do.
pub fn settle(rows: &mut Tx, settings: &Settings, now: Timestamp) {
    let all: Vec<Arc<NetworkInsightsAnalysis>> = rows.scan::<NetworkInsightsAnalysis>("").collect();
    for analysis in all {
        let key = store::Row::key(&*analysis);
        if now.since(analysis.started_at) > KEPT {
            rows.delete::<tag::TagSet>(&key);
            rows.delete::<NetworkInsightsAnalysis>(&key);
        } else if analysis.outcome.is_none() {
            let outcome = Some(conclude(rows, settings, &analysis));
            rows.put(NetworkInsightsAnalysis { outcome, ..(*analysis).clone() });
        }
    }
}

fn conclude(rows: &Snapshot, settings: &Settings, asked: &NetworkInsightsAnalysis) -> Outcome {
    let no_way = |code: &str, analysis| Outcome { found: false, code: Some(code.to_owned()), analysis };
    let prefix = format!("{}/{}/", asked.account, asked.region);
    let Some(path) = rows.get::<NetworkInsightsPath>(&format!("{prefix}{}", asked.path_id)) else {
        return no_way("NO_SOURCE_OR_DESTINATION", None);
    };
    let detached =
        [Some(&path.source), path.destination.as_ref()].into_iter().flatten().any(|end| match end {
            End::InternetGateway(id) => rows
                .get::<InternetGateway>(&format!("{prefix}{id}"))
                .is_none_or(|gateway| gateway.vpc_id.is_none()),
            End::Interface(_) | End::GatewayEndpoint(_) | End::InterfaceEndpoint { .. } => false,
        });
    let topology = project::topology(rows, settings);
    let Ok(analysis) = analyse(&topology, &network_insights_end::query(&path)) else {
        // An interface that nothing has attached has no network.
        return no_way("UNASSOCIATED_COMPONENT", None);
    };
    if detached {
        return no_way("UNASSOCIATED_COMPONENT", None);
    }
    let code = analysis.reachable.then(|| unlike(rows, &prefix, &path, asked, &analysis)).flatten();
    Outcome {
        found: analysis.reachable && code.is_none(),
        code: code.map(ToOwned::to_owned),
        analysis: Some(analysis),
    }
}

/// In which way an open way is not the one that was asked for.
fn unlike(
    rows: &Snapshot,
    prefix: &str,
    path: &NetworkInsightsPath,
    asked: &NetworkInsightsAnalysis,
    analysis: &Analysis,
) -> Option<&'static str> {
    let through = |end: &End, out: bool| match end {
        End::InternetGateway(id) => {
            let gateway = rows.get::<InternetGateway>(&format!("{prefix}{id}"));
            let vpc = gateway.and_then(|gateway| gateway.vpc_id.clone());
            analysis.forward.iter().any(|hop| {
                matches!(hop.component, Component::InternetGateway { outwards } if outwards == out)
                    && hop.vpc == vpc
            })
        }
        End::Interface(_) | End::GatewayEndpoint(_) | End::InterfaceEndpoint { .. } => true,
    };
    if !through(&path.source, false) || path.destination.as_ref().is_some_and(|end| !through(end, true)) {
        return Some("NO_PATH");
    }
    let last = analysis.forward.last()?;
    if let Some(End::Interface(id)) = &path.destination
        && !matches!(&last.component, Component::Interface { id: found, .. } if found == id)
    {
        return Some("FILTER_AT_SOURCE_DESTINATION_ADDRESS");
    }
    let arrives = &path.filter_at_destination;
    if arrives.source_address.is_some_and(|address| address != last.header.source) {
        return Some("FILTER_AT_DESTINATION_SOURCE_ADDRESS");
    }
    if arrives.destination_address.is_some_and(|address| address != last.header.destination) {
        return Some("FILTER_AT_DESTINATION_DESTINATION_ADDRESS");
    }
    let (source, destination) = match last.header.transport {
        Transport::Tcp { source, destination } | Transport::Udp { source, destination } => {
            (source, destination)
        }
        Transport::Icmp { .. } => return None,
    };
    if arrives.source_port.is_some_and(|port| !(source.from..=source.to).contains(&port)) {
        return Some("FILTER_AT_DESTINATION_SOURCE_PORT_RANGE");
    }
    if arrives.destination_port.is_some_and(|port| port != destination.from) {
        return Some("FILTER_AT_DESTINATION_DESTINATION_PORT_RANGE");
    }
    let touched: BTreeSet<String> =
        analysis.forward.iter().chain(&analysis.back).flat_map(|hop| ids(rows, prefix, hop)).collect();
    let touches = |arn: &String| arn.rsplit('/').next().is_some_and(|id| touched.contains(id));
    if !asked.filter_in.iter().all(touches) {
        return Some("COMPONENT_FILTER_RESTRICTION");
    }
    asked.filter_out.iter().any(touches).then_some("COMPONENT_FILTER_RESTRICTION_REMOVED_COMPONENT")
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StartNetworkInsightsAnalysis {
    network_insights_path_id: String,
    #[serde(default)]
    filter_in_arn: Vec<String>,
    #[serde(default)]
    filter_out_arn: Vec<String>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartNetworkInsightsAnalysisResponse {
    network_insights_analysis: AnalysisDescription,
}

pub(super) fn start(
    rows: &mut Tx,
    context: &Context,
    request: StartNetworkInsightsAnalysis,
) -> Result<StartNetworkInsightsAnalysisResponse, ApiError> {
    let path = super::get::<NetworkInsightsPath>(rows, context, &request.network_insights_path_id)?;
    let arns = [(&request.filter_in_arn, "FilterInArn"), (&request.filter_out_arn, "FilterOutArn")];
    for (arns, parameter) in arns {
        if let Some(wrong) = arns.iter().find(|arn| arn.parse::<types::Arn>().is_err()) {
            return Err(invalid(wrong, parameter, "It is not an ARN."));
        }
    }
    let client_token = request.client_token.filter(|token| !token.is_empty());
    let prefix = context.prefix();
    let earlier = client_token.as_ref().and_then(|token| {
        rows.scan::<NetworkInsightsAnalysis>(&prefix).find(|known| known.client_token.as_ref() == Some(token))
    });
    let analysis = match earlier {
        Some(earlier)
            if earlier.path_id != path.id
                || earlier.filter_in != request.filter_in_arn
                || earlier.filter_out != request.filter_out_arn =>
        {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        Some(earlier) => earlier,
        None => {
            let analysis = rows.put(NetworkInsightsAnalysis {
                account: context.account.clone(),
                region: context.region.clone(),
                id: NetworkInsightsAnalysisId::mint(),
                path_id: path.id.clone(),
                started_at: context.now,
                filter_in: request.filter_in_arn,
                filter_out: request.filter_out_arn,
                outcome: None,
                client_token,
            });
            tag::specify::<NetworkInsightsAnalysis>(rows, context, &analysis.id, &request.tag_specification)?;
            analysis
        }
    };
    let network_insights_analysis = AnalysisDescription::new(rows, context, &analysis);
    answer(request.dry_run, StartNetworkInsightsAnalysisResponse { network_insights_analysis })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNetworkInsightsAnalysis {
    network_insights_analysis_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteNetworkInsightsAnalysisResponse {
    network_insights_analysis_id: String,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteNetworkInsightsAnalysis,
) -> Result<DeleteNetworkInsightsAnalysisResponse, ApiError> {
    let analysis =
        super::get::<NetworkInsightsAnalysis>(rows, context, &request.network_insights_analysis_id)?;
    rows.delete::<NetworkInsightsAnalysis>(&context.key(&analysis.id));
    tag::forget(rows, context, &analysis.id);
    answer(
        request.dry_run,
        DeleteNetworkInsightsAnalysisResponse { network_insights_analysis_id: analysis.id.to_string() },
    )
}
