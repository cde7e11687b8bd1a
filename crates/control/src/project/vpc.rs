//! From a VPC's rows to its network: `desired::Vpc`. A security group rule becomes a packet filter's rule here.

use std::collections::BTreeMap;

use store::{Row, Snapshot};
use types::{AccountId, Region, SecurityGroupId, VpcId};

use crate::ec2::interface::NetworkInterface;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::network_acl::NetworkAcl;
use crate::ec2::route_table::{self, RouteTable};
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::security_group_rule::{Peer, SecurityGroupRule};
use crate::ec2::subnet::Subnet;
use crate::ec2::vpc::Vpc;

/// Whose a VPC is: parts are named by the VPC alone.
pub fn find(rows: &Snapshot, vpc_id: &VpcId) -> Option<(AccountId, Region)> {
    rows.scan::<Vpc>("").find(|vpc| vpc.id == *vpc_id).map(|vpc| (vpc.account.clone(), vpc.region.clone()))
}

/// The network that a VPC's rows ask for. None when the VPC is gone or has no interface, as it needs no namespace then.
/// All lists are in the order of ids, so that equal rows give equal parts.
pub fn project(
    rows: &Snapshot,
    account: &AccountId,
    region: &Region,
    vpc_id: &VpcId,
) -> Option<desired::Vpc> {
    let prefix = format!("{account}/{region}/");
    let vpc = rows.get::<Vpc>(&format!("{prefix}{vpc_id}"))?;
    let interfaces: Vec<desired::Interface> =
        of_vpc(rows, &prefix, |one: &NetworkInterface| &one.vpc_id == vpc_id)
            .map(|one| interface(&one))
            .collect();
    if interfaces.is_empty() {
        return None;
    }
    let tables: Vec<_> = of_vpc(rows, &prefix, |table: &RouteTable| &table.vpc_id == vpc_id).collect();
    let acls: Vec<_> = of_vpc(rows, &prefix, |acl: &NetworkAcl| &acl.vpc_id == vpc_id).collect();
    let main = tables.iter().find(|table| table.is_main())?;
    let subnet = |subnet: &Subnet| {
        let own_table = tables.iter().find(|table| {
            table.associations.iter().any(|association| association.subnet_id.as_ref() == Some(&subnet.id))
        });
        let own_acl = acls
            .iter()
            .find(|acl| acl.associations.iter().any(|association| association.subnet_id == subnet.id));
        desired::Subnet {
            id: subnet.id.clone(),
            number: subnet.number,
            cidr_block: subnet.cidr_block,
            route_table: own_table.unwrap_or(main).id.clone(),
            network_acl: own_acl.map_or_else(|| vpc.default_network_acl.clone(), |acl| acl.id.clone()),
        }
    };
    Some(desired::Vpc {
        id: vpc.id.clone(),
        cidr_blocks: vec![vpc.cidr_block],
        internet_gateway: rows
            .scan::<InternetGateway>(&prefix)
            .any(|gateway| gateway.vpc_id.as_ref() == Some(vpc_id)),
        subnets: of_vpc(rows, &prefix, |one: &Subnet| &one.vpc_id == vpc_id)
            .map(|one| subnet(&one))
            .collect(),
        route_tables: tables.iter().map(|table| route_table(rows, table)).collect(),
        network_acls: acls.iter().map(|acl| network_acl(acl)).collect(),
        security_groups: security_groups(rows, &prefix, vpc_id),
        interfaces,
    })
}

/// The rows of a table that belong to a VPC, by id.
fn of_vpc<'a, R: Row>(
    rows: &'a Snapshot,
    prefix: &'a str,
    belongs: impl Fn(&R) -> bool + 'a,
) -> impl Iterator<Item = std::sync::Arc<R>> + 'a {
    rows.scan::<R>(prefix).filter(move |row| belongs(row))
}

fn interface(row: &NetworkInterface) -> desired::Interface {
    desired::Interface {
        id: row.id.clone(),
        subnet: row.subnet_id.clone(),
        address: row.private_address,
        mac: row.mac,
        public_address: row.public_address,
        security_groups: row.security_groups.clone(),
        source_dest_check: row.source_dest_check,
        kind: row.kind,
    }
}

fn route_table(rows: &Snapshot, table: &RouteTable) -> desired::RouteTable {
    let route = |route: &route_table::Route| desired::Route {
        destination: route.destination,
        target: crate::ec2::route::resolve(rows, &table.account, &table.region, &table.vpc_id, &route.target),
    };
    desired::RouteTable {
        id: table.id.clone(),
        number: table.number,
        routes: table.routes.iter().map(route).collect(),
    }
}

fn network_acl(acl: &NetworkAcl) -> desired::NetworkAcl {
    desired::NetworkAcl { id: acl.id.clone(), ingress: acl.ingress.clone(), egress: acl.egress.clone() }
}

/// All of the VPC's groups, worn or not: a group that no interface wears has no members and costs a chain.
fn security_groups(rows: &Snapshot, prefix: &str, vpc_id: &VpcId) -> Vec<desired::SecurityGroup> {
    let mut groups: BTreeMap<SecurityGroupId, desired::SecurityGroup> =
        of_vpc(rows, prefix, |group: &SecurityGroup| &group.vpc_id == vpc_id)
            .map(|group| {
                let empty =
                    desired::SecurityGroup { id: group.id.clone(), ingress: Vec::new(), egress: Vec::new() };
                (group.id.clone(), empty)
            })
            .collect();
    for row in of_vpc(rows, prefix, |rule: &SecurityGroupRule| &rule.vpc_id == vpc_id) {
        let (Some(group), Some(rule)) = (groups.get_mut(&row.group_id), rule(&row)) else { continue };
        if row.egress { group.egress.push(rule) } else { group.ingress.push(rule) }
    }
    groups.into_values().collect()
}

/// None for a rule about IPv6: no interface has such an address.
fn rule(row: &SecurityGroupRule) -> Option<desired::Rule> {
    let peer = match &row.permission.peer {
        Peer::Ipv4(net) => desired::Peer::Cidr(*net),
        Peer::Group(id) => desired::Peer::Group(id.clone()),
        Peer::Ipv6(_) => return None,
    };
    let protocol = row.permission.protocol;
    let ports = match protocol {
        desired::Protocol::Tcp | desired::Protocol::Udp | desired::Protocol::Icmp => row.permission.ports,
        // ICMPv6 keeps type and code in its row, and no IPv4 packet has either.
        desired::Protocol::All | desired::Protocol::Number(_) => None,
    };
    Some(desired::Rule { protocol, ports, peer })
}
