//! Paths of the Reachability Analyzer: a question that is kept, to be asked again and again.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, NetworkInsightsPathId, Region, Timestamp};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::network_insights_analysis::NetworkInsightsAnalysis;
use crate::ec2::network_insights_end::{self, End};
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::{Resource, answer, invalid};

/// A path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkInsightsPath {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: NetworkInsightsPathId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The source, as the request named it.
    pub source: End,
    /// The destination; None when it is an address alone.
    pub destination: Option<End>,
    /// The source's address, where the request gave one.
    pub source_ip: Option<Ipv4Addr>,
    /// The destination's address, where the request gave one.
    pub destination_ip: Option<Ipv4Addr>,
    /// The destination port, where the request gave one.
    pub destination_port: Option<u16>,
    /// TCP; else UDP.
    pub tcp: bool,
    /// What must hold of the packet as it leaves the source.
    pub filter_at_source: PathFilter,
    /// What must hold of the packet as it comes to the destination.
    pub filter_at_destination: PathFilter,
    /// The token that its CreateNetworkInsightsPath call gave.
    pub client_token: Option<String>,
}

/// What must hold of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFilter {
    /// Its source address.
    pub source_address: Option<Ipv4Addr>,
    /// Its source port.
    pub source_port: Option<u16>,
    /// Its destination address.
    pub destination_address: Option<Ipv4Addr>,
    /// Its destination port.
    pub destination_port: Option<u16>,
}

super::row!(NetworkInsightsPath, "ec2_network_insights_path", |_| Vec::new());

impl Resource for NetworkInsightsPath {
    const TYPE: &'static str = "network-insights-path";
    const PREFIX: &'static str = NetworkInsightsPathId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidNetworkInsightsPathId.NotFound",
            format!("The Network Insights Path '{id}' does not exist"),
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestPortRange {
    from_port: Option<i32>,
    to_port: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestFilter {
    source_address: Option<String>,
    source_port_range: Option<RequestPortRange>,
    destination_address: Option<String>,
    destination_port_range: Option<RequestPortRange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateNetworkInsightsPath {
    source: String,
    destination: Option<String>,
    source_ip: Option<String>,
    destination_ip: Option<String>,
    destination_port: Option<i32>,
    protocol: String,
    filter_at_source: Option<RequestFilter>,
    filter_at_destination: Option<RequestFilter>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNetworkInsightsPathResponse {
    network_insights_path: PathDescription,
}

fn address(text: Option<String>, parameter: &str) -> Result<Option<Ipv4Addr>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(&text, parameter, "It is not an IPv4 address."))
}

fn port(port: i32, parameter: &str) -> Result<u16, ApiError> {
    u16::try_from(port).map_err(|_| invalid(port, parameter, "A port is from 0 to 65535."))
}

/// A range of one port, or of all of them (None): a path is analysed for one packet.
fn one_port(range: Option<RequestPortRange>, parameter: &str) -> Result<Option<u16>, ApiError> {
    let Some(range) = range else { return Ok(None) };
    let from = port(range.from_port.unwrap_or(0), parameter)?;
    let to = port(range.to_port.unwrap_or(65535), parameter)?;
    match (from, to) {
        (from, to) if from == to => Ok(Some(from)),
        (0 | 1, u16::MAX) => Ok(None),
        _ => Err(invalid(
            format!("{from}-{to}"),
            parameter,
            "Landfall takes a range of one port, or of all ports, here.",
        )),
    }
}

fn filter(filter: Option<RequestFilter>, name: &str) -> Result<PathFilter, ApiError> {
    let filter = filter.unwrap_or_default();
    Ok(PathFilter {
        source_address: address(filter.source_address, &format!("{name}.SourceAddress"))?,
        source_port: one_port(filter.source_port_range, &format!("{name}.SourcePortRange"))?,
        destination_address: address(filter.destination_address, &format!("{name}.DestinationAddress"))?,
        destination_port: one_port(filter.destination_port_range, &format!("{name}.DestinationPortRange"))?,
    })
}

fn combination(words: &str) -> ApiError {
    ApiError::new("InvalidParameterCombination", words.to_owned())
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateNetworkInsightsPath,
) -> Result<CreateNetworkInsightsPathResponse, ApiError> {
    // "If you specify this parameter, you can't specify …" of the API reference.
    if request.filter_at_source.is_some()
        && (request.source_ip.is_some() || request.destination_port.is_some())
    {
        return Err(combination("FilterAtSource cannot be specified with SourceIp or DestinationPort"));
    }
    if request.filter_at_destination.is_some() && request.destination_ip.is_some() {
        return Err(combination("FilterAtDestination cannot be specified with DestinationIp"));
    }
    let destination = request.destination.filter(|id| !id.is_empty());
    let path = NetworkInsightsPath {
        account: context.account.clone(),
        region: context.region.clone(),
        id: NetworkInsightsPathId::mint(),
        created_at: context.now,
        source: network_insights_end::find(rows, context, &request.source, "Source")?,
        destination: match &destination {
            Some(id) => Some(network_insights_end::find(rows, context, id, "Destination")?),
            None => None,
        },
        source_ip: address(request.source_ip, "SourceIp")?,
        destination_ip: address(request.destination_ip, "DestinationIp")?,
        destination_port: match request.destination_port {
            Some(number) => Some(port(number, "DestinationPort")?),
            None => None,
        },
        tcp: match request.protocol.as_str() {
            "tcp" => true,
            "udp" => false,
            other => return Err(invalid(other, "Protocol", "It must be one of tcp, udp.")),
        },
        filter_at_source: filter(request.filter_at_source, "FilterAtSource")?,
        filter_at_destination: filter(request.filter_at_destination, "FilterAtDestination")?,
        client_token: request.client_token.filter(|token| !token.is_empty()),
    };
    if path.destination.is_none()
        && path.destination_ip.or(path.filter_at_source.destination_address).is_none()
    {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter Destination, DestinationIp or FilterAtSource.DestinationAddress",
        ));
    }
    if matches!(path.source, End::GatewayEndpoint(_) | End::InterfaceEndpoint { .. }) {
        return Err(invalid(path.source.id(), "Source", "A VPC endpoint begins no connection."));
    }
    let prefix = context.prefix();
    let earlier = path.client_token.as_ref().and_then(|token| {
        rows.scan::<NetworkInsightsPath>(&prefix).find(|known| known.client_token.as_ref() == Some(token))
    });
    if let Some(earlier) = earlier {
        let same =
            NetworkInsightsPath { id: earlier.id.clone(), created_at: earlier.created_at, ..path.clone() };
        if serde_json::to_value(&same).ok() != serde_json::to_value(&*earlier).ok() {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        let network_insights_path = PathDescription::new(rows, context, &earlier);
        return answer(request.dry_run, CreateNetworkInsightsPathResponse { network_insights_path });
    }
    let path = rows.put(path);
    tag::specify::<NetworkInsightsPath>(rows, context, &path.id, &request.tag_specification)?;
    let network_insights_path = PathDescription::new(rows, context, &path);
    answer(request.dry_run, CreateNetworkInsightsPathResponse { network_insights_path })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNetworkInsightsPath {
    network_insights_path_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteNetworkInsightsPathResponse {
    network_insights_path_id: String,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteNetworkInsightsPath,
) -> Result<DeleteNetworkInsightsPathResponse, ApiError> {
    let path = super::get::<NetworkInsightsPath>(rows, context, &request.network_insights_path_id)?;
    let prefix = context.prefix();
    if rows.scan::<NetworkInsightsAnalysis>(&prefix).any(|analysis| analysis.path_id == path.id) {
        return Err(ApiError::new(
            "AnalysisExistsForNetworkInsightsPath",
            format!("The Network Insights Path '{}' has analyses and cannot be deleted.", path.id),
        ));
    }
    rows.delete::<NetworkInsightsPath>(&context.key(&path.id));
    tag::forget(rows, context, &path.id);
    answer(
        request.dry_run,
        DeleteNetworkInsightsPathResponse { network_insights_path_id: path.id.to_string() },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNetworkInsightsPaths {
    #[serde(default)]
    network_insights_path_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkInsightsPathsResponse {
    network_insights_path_set: Vec<PathDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PathDescription {
    network_insights_path_id: String,
    network_insights_path_arn: String,
    created_date: String,
    source: String,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_ip: Option<Ipv4Addr>,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_at_source: Option<FilterDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_at_destination: Option<FilterDescription>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FilterDescription {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_address: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port_range: Option<PortRangeDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_address: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_port_range: Option<PortRangeDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PortRangeDescription {
    from_port: u16,
    to_port: u16,
}

impl FilterDescription {
    fn new(filter: &PathFilter) -> Option<Self> {
        let range = |port: u16| PortRangeDescription { from_port: port, to_port: port };
        (*filter != PathFilter::default()).then(|| Self {
            source_address: filter.source_address,
            source_port_range: filter.source_port.map(range),
            destination_address: filter.destination_address,
            destination_port_range: filter.destination_port.map(range),
        })
    }
}

impl PathDescription {
    fn new(rows: &Snapshot, context: &Context, path: &NetworkInsightsPath) -> Self {
        Self {
            network_insights_path_id: path.id.to_string(),
            network_insights_path_arn: context
                .arn("ec2", format!("network-insights-path/{}", path.id))
                .to_string(),
            created_date: path.created_at.iso(),
            source: path.source.id().to_owned(),
            source_arn: path.source.arn(context),
            destination: path.destination.as_ref().map(|end| end.id().to_owned()),
            destination_arn: path.destination.as_ref().map(|end| end.arn(context)),
            source_ip: path.source_ip,
            destination_ip: path.destination_ip,
            protocol: if path.tcp { "tcp" } else { "udp" },
            destination_port: path.destination_port,
            filter_at_source: FilterDescription::new(&path.filter_at_source),
            filter_at_destination: FilterDescription::new(&path.filter_at_destination),
            tag_set: tag::of(rows, context, &path.id),
        }
    }
}

impl Item for PathDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("destination", |path| path.destination.iter().cloned().collect()),
        ("protocol", |path| vec![path.protocol.to_owned()]),
        ("source", |path| vec![path.source.clone()]),
        ("destination-port", |path| path.destination_port.iter().map(ToString::to_string).collect()),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 1..=100;

    fn id(&self) -> &str {
        &self.network_insights_path_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        NetworkInsightsPath::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNetworkInsightsPaths,
) -> Result<DescribeNetworkInsightsPathsResponse, ApiError> {
    let prefix = context.prefix();
    let items =
        rows.scan::<NetworkInsightsPath>(&prefix).map(|path| PathDescription::new(rows, context, &path));
    let page = Ask {
        ids: &request.network_insights_path_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeNetworkInsightsPathsResponse {
            network_insights_path_set: page.items,
            next_token: page.next_token,
        },
    )
}
