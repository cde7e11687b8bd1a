//! Network ACLs as they are listed and shown.

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::network_acl::{Association, NetworkAcl};
use crate::ec2::network_acl_entry::Entry;
use crate::ec2::permission::protocol_number;
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

/// The number that the entry shows that denies all.
const LAST: u16 = 32_767;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNetworkAcls {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    network_acl_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkAclsResponse {
    network_acl_set: Vec<NetworkAclDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkAclDescription {
    network_acl_id: String,
    vpc_id: String,
    owner_id: String,
    default: bool,
    entry_set: Vec<EntryDescription>,
    association_set: Vec<AssociationDescription>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryDescription {
    rule_number: u16,
    protocol: String,
    rule_action: &'static str,
    egress: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidr_block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_cidr_block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_range: Option<PortRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type_code: Option<IcmpTypeCode>,
}

#[derive(Debug, Serialize)]
struct PortRange {
    from: i32,
    to: i32,
}

#[derive(Debug, Serialize)]
struct IcmpTypeCode {
    r#type: i32,
    code: i32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AssociationDescription {
    network_acl_association_id: String,
    network_acl_id: String,
    subnet_id: String,
}

impl EntryDescription {
    fn new(egress: bool, entry: &Entry) -> Self {
        let (icmp, ports): (Vec<_>, Vec<_>) = entry.ports.into_iter().partition(|_| entry.is_icmp());
        Self {
            rule_number: entry.number,
            protocol: protocol_number(entry.protocol),
            rule_action: if entry.allow { "allow" } else { "deny" },
            egress,
            cidr_block: matches!(entry.cidr_block, IpNet::V4(_)).then(|| entry.cidr_block.to_string()),
            ipv6_cidr_block: matches!(entry.cidr_block, IpNet::V6(_)).then(|| entry.cidr_block.to_string()),
            port_range: ports.first().map(|ports| PortRange { from: ports.from, to: ports.to }),
            icmp_type_code: icmp.first().map(|icmp| IcmpTypeCode { r#type: icmp.from, code: icmp.to }),
        }
    }
}

impl NetworkAclDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, acl: &NetworkAcl) -> Self {
        let last = Entry {
            number: LAST,
            allow: false,
            protocol: desired::Protocol::All,
            ports: None,
            cidr_block: Ipv4Net::default().into(),
        };
        let both = [(true, &acl.egress), (false, &acl.ingress)].into_iter();
        let entries = both.flat_map(|(egress, some)| {
            some.iter().chain([&last]).map(move |entry| EntryDescription::new(egress, entry))
        });
        let association = |one: &Association| AssociationDescription {
            network_acl_association_id: one.id.to_string(),
            network_acl_id: acl.id.to_string(),
            subnet_id: one.subnet_id.to_string(),
        };
        Self {
            network_acl_id: acl.id.to_string(),
            vpc_id: acl.vpc_id.to_string(),
            owner_id: acl.account.to_string(),
            default: acl.is_default,
            entry_set: entries.collect(),
            association_set: acl.associations.iter().map(association).collect(),
            tag_set: tag::of(rows, context, &acl.id),
        }
    }

    fn of_entries(&self, value: impl Fn(&EntryDescription) -> Option<String>) -> Vec<String> {
        self.entry_set.iter().filter_map(value).collect()
    }
}

impl Item for NetworkAclDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("association.association-id", |acl| {
            acl.association_set.iter().map(|one| one.network_acl_association_id.clone()).collect()
        }),
        ("association.network-acl-id", |acl| {
            acl.association_set.iter().map(|one| one.network_acl_id.clone()).collect()
        }),
        ("association.subnet-id", |acl| {
            acl.association_set.iter().map(|one| one.subnet_id.clone()).collect()
        }),
        ("default", |acl| vec![acl.default.to_string()]),
        ("entry.cidr", |acl| acl.of_entries(|entry| entry.cidr_block.clone())),
        ("entry.egress", |acl| acl.of_entries(|entry| Some(entry.egress.to_string()))),
        ("entry.icmp.code", |acl| {
            acl.of_entries(|entry| entry.icmp_type_code.as_ref().map(|icmp| icmp.code.to_string()))
        }),
        ("entry.icmp.type", |acl| {
            acl.of_entries(|entry| entry.icmp_type_code.as_ref().map(|icmp| icmp.r#type.to_string()))
        }),
        ("entry.ipv6-cidr", |acl| acl.of_entries(|entry| entry.ipv6_cidr_block.clone())),
        ("entry.port-range.from", |acl| {
            acl.of_entries(|entry| entry.port_range.as_ref().map(|range| range.from.to_string()))
        }),
        ("entry.port-range.to", |acl| {
            acl.of_entries(|entry| entry.port_range.as_ref().map(|range| range.to.to_string()))
        }),
        ("entry.protocol", |acl| acl.of_entries(|entry| Some(entry.protocol.clone()))),
        ("entry.rule-action", |acl| acl.of_entries(|entry| Some(entry.rule_action.to_owned()))),
        ("entry.rule-number", |acl| acl.of_entries(|entry| Some(entry.rule_number.to_string()))),
        ("network-acl-id", |acl| vec![acl.network_acl_id.clone()]),
        ("owner-id", |acl| vec![acl.owner_id.clone()]),
        ("vpc-id", |acl| vec![acl.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.network_acl_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        NetworkAcl::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNetworkAcls,
) -> Result<DescribeNetworkAclsResponse, ApiError> {
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.network_acl_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<NetworkAcl>(&prefix).map(|acl| NetworkAclDescription::new(rows, context, &acl)))?;
    answer(
        request.dry_run,
        DescribeNetworkAclsResponse { network_acl_set: page.items, next_token: page.next_token },
    )
}
