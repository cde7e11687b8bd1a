//! A group's rules as DescribeSecurityGroups shows them: one permission for all peers of a protocol and its ports.

use serde::Serialize;
use store::Snapshot;

use crate::context::Context;
use crate::ec2::permission::{Peer, protocol_name};
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::security_group_reference;
use crate::ec2::security_group_rule::SecurityGroupRule;

/// A permission with its peers, as DescribeSecurityGroups shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IpPermissionDescription {
    ip_protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_port: Option<i32>,
    groups: Vec<GroupDescription>,
    ip_ranges: Vec<IpRangeDescription>,
    ipv6_ranges: Vec<Ipv6RangeDescription>,
    prefix_list_ids: Vec<PrefixListDescription>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupDescription {
    group_id: String,
    /// For the filters alone: in a VPC a group is named by its id.
    #[serde(skip)]
    group_name: Option<String>,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_peering_connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peering_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrefixListDescription {
    prefix_list_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct IpRangeDescription {
    cidr_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ipv6RangeDescription {
    cidr_ipv6: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Groups rules by protocol and ports.
pub(super) fn grouped<'a>(
    rows: &Snapshot,
    context: &Context,
    rules: impl Iterator<Item = &'a SecurityGroupRule>,
) -> Vec<IpPermissionDescription> {
    let mut all: Vec<IpPermissionDescription> = Vec::new();
    for rule in rules {
        let permission = &rule.permission;
        let (protocol, from, to) = (
            protocol_name(permission.protocol),
            permission.ports.map(|ports| ports.from),
            permission.ports.map(|ports| ports.to),
        );
        let at = all
            .iter()
            .position(|one| one.ip_protocol == protocol && one.from_port == from && one.to_port == to);
        let at = at.unwrap_or_else(|| {
            all.push(IpPermissionDescription {
                ip_protocol: protocol,
                from_port: from,
                to_port: to,
                groups: Vec::new(),
                ip_ranges: Vec::new(),
                ipv6_ranges: Vec::new(),
                prefix_list_ids: Vec::new(),
            });
            all.len() - 1
        });
        let description = rule.description.clone();
        match &permission.peer {
            Peer::Ipv4(net) => {
                all[at].ip_ranges.push(IpRangeDescription { cidr_ip: net.to_string(), description });
            }
            Peer::Ipv6(net) => {
                all[at].ipv6_ranges.push(Ipv6RangeDescription { cidr_ipv6: net.to_string(), description });
            }
            Peer::Group(id) => all[at].groups.push(GroupDescription {
                group_id: id.to_string(),
                group_name: rows.get::<SecurityGroup>(&context.key(id)).map(|group| group.name.clone()),
                user_id: rule.account.to_string(),
                vpc_id: rule.peered.as_ref().map(|peered| peered.vpc_id.to_string()),
                vpc_peering_connection_id: rule.peered.as_ref().map(|peered| peered.peering_id.to_string()),
                peering_status: security_group_reference::status(rows, context, rule),
                description,
            }),
            Peer::PrefixList(id) => all[at]
                .prefix_list_ids
                .push(PrefixListDescription { prefix_list_id: id.to_string(), description }),
        }
    }
    all
}

/// A permission of stale rules: their peers are groups alone.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StaleIpPermission {
    ip_protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_port: Option<i32>,
    groups: Vec<GroupDescription>,
    ip_ranges: Vec<String>,
    prefix_list_ids: Vec<String>,
}

impl From<IpPermissionDescription> for StaleIpPermission {
    fn from(all: IpPermissionDescription) -> Self {
        Self {
            ip_protocol: all.ip_protocol,
            from_port: all.from_port,
            to_port: all.to_port,
            groups: all.groups,
            ip_ranges: Vec::new(),
            prefix_list_ids: Vec::new(),
        }
    }
}

/// What filters compare.
impl IpPermissionDescription {
    pub(super) fn protocols(&self) -> Vec<String> {
        vec![self.ip_protocol.clone()]
    }

    pub(super) fn first_ports(&self) -> Vec<String> {
        self.from_port.iter().map(ToString::to_string).collect()
    }

    pub(super) fn last_ports(&self) -> Vec<String> {
        self.to_port.iter().map(ToString::to_string).collect()
    }

    pub(super) fn cidrs(&self) -> Vec<String> {
        self.ip_ranges.iter().map(|range| range.cidr_ip.clone()).collect()
    }

    pub(super) fn ipv6_cidrs(&self) -> Vec<String> {
        self.ipv6_ranges.iter().map(|range| range.cidr_ipv6.clone()).collect()
    }

    pub(super) fn group_ids(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.group_id.clone()).collect()
    }

    pub(super) fn group_names(&self) -> Vec<String> {
        self.groups.iter().filter_map(|group| group.group_name.clone()).collect()
    }

    pub(super) fn prefix_list_ids(&self) -> Vec<String> {
        self.prefix_list_ids.iter().map(|list| list.prefix_list_id.clone()).collect()
    }

    pub(super) fn user_ids(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.user_id.clone()).collect()
    }
}
