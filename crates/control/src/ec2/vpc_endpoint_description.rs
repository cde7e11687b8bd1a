//! DescribeVpcEndpoints.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag};
use crate::ec2::vpc_endpoint::{Interfaces, VpcEndpoint, Way};
use crate::ec2::vpc_endpoint_policy::FULL_ACCESS;
use crate::ec2::vpc_endpoint_service::digest;
use crate::ec2::{Resource, answer, security_group};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcEndpoints {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    vpc_endpoint_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcEndpointsResponse {
    vpc_endpoint_set: Vec<EndpointDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointDescription {
    vpc_endpoint_id: String,
    vpc_endpoint_type: &'static str,
    vpc_id: String,
    service_name: String,
    service_region: String,
    state: &'static str,
    policy_document: String,
    route_table_id_set: Vec<String>,
    subnet_id_set: Vec<String>,
    group_set: Vec<GroupDescription>,
    ip_address_type: &'static str,
    dns_options: DnsOptions,
    private_dns_enabled: bool,
    requester_managed: bool,
    network_interface_id_set: Vec<String>,
    dns_entry_set: Vec<DnsEntry>,
    creation_timestamp: String,
    owner_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupDescription {
    group_id: String,
    group_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DnsOptions {
    dns_record_ip_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DnsEntry {
    dns_name: String,
    hosted_zone_id: String,
}

#[derive(Debug, Serialize)]
struct LastError {
    code: String,
    message: String,
}

/// The id of the hosted zone of a name: the same in every answer.
fn hosted_zone_id(of: &str) -> String {
    format!("Z{}", digest(of)[..13].to_uppercase())
}

impl EndpointDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, endpoint: &VpcEndpoint) -> Self {
        let (state, error) =
            endpoint.shown(&context.machine.reports(), context.now).unwrap_or(("deleted", None));
        let interfaces: Option<&Interfaces> = match &endpoint.way {
            Way::Gateway { .. } => None,
            Way::Interface(interfaces) => Some(interfaces),
        };
        let nodes = interfaces.map_or(&[][..], |interfaces| &interfaces.nodes);
        let private_dns = interfaces.is_some_and(|interfaces| interfaces.private_dns);
        let group = |id: &types::SecurityGroupId| GroupDescription {
            group_id: id.to_string(),
            group_name: security_group::get(rows, context, id.as_str())
                .map(|group| group.name.clone())
                .unwrap_or_default(),
        };
        let base = endpoint.service.base_dns_name(&endpoint.region);
        let own = endpoint
            .dns_names()
            .into_iter()
            .map(|(dns_name, _)| DnsEntry { dns_name, hosted_zone_id: hosted_zone_id(&base) });
        let private = endpoint
            .private_dns_names()
            .into_iter()
            .map(|dns_name| DnsEntry { dns_name, hosted_zone_id: hosted_zone_id(endpoint.id.as_str()) });
        Self {
            vpc_endpoint_id: endpoint.id.to_string(),
            vpc_endpoint_type: endpoint.kind().name(),
            vpc_id: endpoint.vpc_id.to_string(),
            service_name: endpoint.service.name(&endpoint.region),
            service_region: endpoint.region.to_string(),
            state,
            policy_document: endpoint.policy.clone().unwrap_or_else(|| FULL_ACCESS.to_owned()),
            route_table_id_set: endpoint.route_tables().iter().map(ToString::to_string).collect(),
            subnet_id_set: nodes.iter().map(|node| node.subnet_id.to_string()).collect(),
            group_set: interfaces
                .map(|interfaces| interfaces.security_groups.iter().map(group).collect())
                .unwrap_or_default(),
            ip_address_type: "ipv4",
            dns_options: DnsOptions {
                dns_record_ip_type: "ipv4",
                private_dns_only_for_inbound_resolver_endpoint: interfaces
                    .filter(|interfaces| interfaces.private_dns)
                    .map(|interfaces| interfaces.only_inbound),
            },
            private_dns_enabled: private_dns,
            requester_managed: false,
            network_interface_id_set: nodes.iter().map(|node| node.interface_id.to_string()).collect(),
            dns_entry_set: own.chain(private).collect(),
            creation_timestamp: endpoint.created_at.iso(),
            owner_id: endpoint.account.to_string(),
            last_error: error.map(|(code, message)| LastError { code, message }),
            tag_set: tag::of(rows, context, &endpoint.id),
        }
    }
}

impl Item for EndpointDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("ip-address-type", |one| vec![one.ip_address_type.to_owned()]),
        ("service-name", |one| vec![one.service_name.clone()]),
        ("service-region", |one| vec![one.service_region.clone()]),
        ("vpc-endpoint-id", |one| vec![one.vpc_endpoint_id.clone()]),
        ("vpc-endpoint-state", |one| vec![one.state.to_owned()]),
        ("vpc-endpoint-type", |one| vec![one.vpc_endpoint_type.to_owned()]),
        ("vpc-id", |one| vec![one.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.vpc_endpoint_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        VpcEndpoint::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcEndpoints,
) -> Result<DescribeVpcEndpointsResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows
        .scan::<VpcEndpoint>(&prefix)
        .filter(|endpoint| endpoint.shown(&context.machine.reports(), context.now).is_some())
        .map(|endpoint| EndpointDescription::new(rows, context, &endpoint));
    let page = Ask {
        ids: &request.vpc_endpoint_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeVpcEndpointsResponse { vpc_endpoint_set: page.items, next_token: page.next_token },
    )
}
