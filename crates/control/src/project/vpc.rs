//! From a VPC's rows to its network: `desired::Vpc`. A security group rule becomes a packet filter's rule here.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use store::{Row, Snapshot};
use types::{AccountId, Region, SecurityGroupId, VpcId};

use crate::ec2::interface::NetworkInterface;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::network_acl::NetworkAcl;
use crate::ec2::network_acl_entry::Entry;
use crate::ec2::prefix_list;
use crate::ec2::route_table::{Destination, RouteTable};
use crate::ec2::route_target;
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::security_group_rule::{Peer, SecurityGroupRule};
use crate::ec2::subnet::Subnet;
use crate::ec2::vpc::Vpc;
use crate::ec2::vpc_endpoint;
use crate::ec2::vpc_endpoint_service::EndpointType;
use crate::project::reference::{active_peerings, peerings, prefix_lists};

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
            .filter_map(|one| interface(&one))
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
    let security_groups = security_groups(rows, &prefix, &vpc);
    Some(desired::Vpc {
        id: vpc.id.clone(),
        cidr_blocks: vpc.cidr_blocks(),
        internet_gateway: rows
            .scan::<InternetGateway>(&prefix)
            .any(|gateway| gateway.vpc_id.as_ref() == Some(vpc_id)),
        subnets: of_vpc(rows, &prefix, |one: &Subnet| &one.vpc_id == vpc_id)
            .map(|one| subnet(&one))
            .collect(),
        route_tables: tables.iter().map(|table| route_table(rows, &vpc, table)).collect(),
        network_acls: acls.iter().map(|acl| network_acl(acl)).collect(),
        interfaces,
        prefix_lists: prefix_lists(rows, &vpc, &security_groups),
        peerings: peerings(rows, &vpc, &security_groups),
        security_groups,
        gateway_endpoints: vpc_endpoint::of_vpc(rows, &prefix, vpc_id)
            .filter(|endpoint| endpoint.kind() == EndpointType::Gateway)
            .map(|endpoint| desired::GatewayEndpoint {
                id: endpoint.id.clone(),
                addresses: vec![endpoint.service.address()],
            })
            .collect(),
    })
}

/// The rows of a table that belong to a VPC, by id.
pub(super) fn of_vpc<'a, R: Row>(
    rows: &'a Snapshot,
    prefix: &'a str,
    belongs: impl Fn(&R) -> bool + 'a,
) -> impl Iterator<Item = std::sync::Arc<R>> + 'a {
    rows.scan::<R>(prefix).filter(move |row| belongs(row))
}

/// None for an interface that is attached to nothing.
fn interface(row: &NetworkInterface) -> Option<desired::Interface> {
    Some(desired::Interface {
        id: row.id.clone(),
        subnet: row.subnet_id.clone(),
        address: row.private_address,
        mac: row.mac,
        public_address: row.public_address,
        security_groups: row.security_groups.clone(),
        source_dest_check: row.source_dest_check,
        kind: row.kind?,
    })
}

/// A table's routes, a route by prefix list as one for each entry. Source: "Route priority and prefix lists" in the VPC
/// user guide: the local route and a route of the table's own come before a list's entry with the same range. Which of
/// two lists with the same range wins is AWS's secret; here it is the first by id.
fn route_table(rows: &Snapshot, vpc: &Vpc, table: &RouteTable) -> desired::RouteTable {
    let target = |target| route_target::resolve(rows, &table.account, &table.region, &table.vpc_id, target);
    let mut routes: BTreeMap<Ipv4Net, desired::Route> = BTreeMap::new();
    let mut by_list = Vec::new();
    for route in &table.routes {
        match &route.destination {
            Destination::Cidr(range) => {
                let target = target(&route.target);
                routes.insert(*range, desired::Route { destination: *range, target, prefix_list: None });
            }
            Destination::PrefixList(id) => by_list.push((id, &route.target)),
        }
    }
    for (endpoint, list) in vpc_endpoint::of_route_table(rows, table) {
        let destination = endpoint.service.address().into();
        routes.entry(destination).or_insert_with(|| desired::Route {
            destination,
            target: desired::RouteTarget::Endpoint(endpoint.id.clone()),
            prefix_list: Some(list),
        });
    }
    by_list.sort_by_key(|(id, _)| *id);
    let own = vpc.cidr_blocks();
    for (id, to) in by_list {
        let target = target(to);
        for range in prefix_list::ranges(rows, &table.account, &table.region, id).unwrap_or_default() {
            if own.iter().any(|own| own.contains(&range)) {
                continue;
            }
            routes.entry(range).or_insert_with(|| desired::Route {
                destination: range,
                target: target.clone(),
                prefix_list: Some(id.clone()),
            });
        }
    }
    desired::RouteTable { id: table.id.clone(), number: table.number, routes: routes.into_values().collect() }
}

fn network_acl(acl: &NetworkAcl) -> desired::NetworkAcl {
    let entries = |some: &[Entry]| some.iter().filter_map(Entry::desired).collect();
    desired::NetworkAcl { id: acl.id.clone(), ingress: entries(&acl.ingress), egress: entries(&acl.egress) }
}

/// All of the VPC's groups, worn or not: a group that no interface wears has no members and costs a chain.
fn security_groups(rows: &Snapshot, prefix: &str, vpc: &Vpc) -> Vec<desired::SecurityGroup> {
    let vpc_id = &vpc.id;
    let peerings = active_peerings(rows, vpc);
    let mut groups: BTreeMap<SecurityGroupId, desired::SecurityGroup> =
        of_vpc(rows, prefix, |group: &SecurityGroup| &group.vpc_id == vpc_id)
            .map(|group| {
                let empty =
                    desired::SecurityGroup { id: group.id.clone(), ingress: Vec::new(), egress: Vec::new() };
                (group.id.clone(), empty)
            })
            .collect();
    for row in of_vpc(rows, prefix, |rule: &SecurityGroupRule| &rule.vpc_id == vpc_id) {
        // A rule over a connection that is gone is stale, also when the VPCs are peered again: it matches nothing.
        if row.peered.as_ref().is_some_and(|peered| !peerings.contains(&peered.peering_id)) {
            continue;
        }
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
        Peer::PrefixList(id) => desired::Peer::PrefixList(id.clone()),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use desired::{InterfaceKind, RouteTarget};
    use types::{PartId, Region, Timestamp};

    use super::*;
    use crate::ec2::interface::{self, NewInterface};
    use crate::testing::{Fixture, element, settings};
    use crate::{Context, Principal, Service};

    fn context(fixture: &Fixture) -> Context {
        Context {
            settings: Arc::new(settings()),
            account: settings().account,
            region: Region::new("ap-northeast-2").unwrap(),
            principal: Principal::Root,
            through: None,
            now: Timestamp::now(),
            machine: fixture.api.machine.clone(),
            request_id: "test".to_owned(),
        }
    }

    fn projected(fixture: &Fixture, vpc: &str) -> Option<desired::Vpc> {
        let context = context(fixture);
        project(&fixture.api.store.snapshot(), &context.account, &context.region, &VpcId::from(vpc))
    }

    fn make(fixture: &Fixture, action: &str, body: &str, name: &str) -> String {
        element(&fixture.ok(Service::Ec2, action, body), name).to_owned()
    }

    /// Every call of a stack's life; after each one, what changed in the network must have been marked dirty.
    #[test]
    fn a_changed_network_is_always_marked_dirty() {
        let fixture = Fixture::new();
        let dirty: Arc<Mutex<Vec<PartId>>> = Arc::default();
        let marks = dirty.clone();
        fixture.api.store.watch(move |commit| marks.lock().unwrap().extend(commit.dirty.iter().cloned()));
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        let mut before = projected(&fixture, &vpc);
        let mut changes = 0;
        let mut step = |what: &str| {
            let after = projected(&fixture, &vpc);
            let parts: BTreeSet<PartId> = dirty.lock().unwrap().drain(..).collect();
            let parts = crate::reconcile::with_peers(&fixture.api.store.snapshot(), parts);
            let marked = parts.contains(&PartId::Vpc(VpcId::from(vpc.as_str())));
            if after != before {
                changes += 1;
                assert!(marked, "{what} changed the network unnoticed");
            }
            before = after;
        };
        let run = |action: &str, body: &str| fixture.ok(Service::Ec2, action, body);
        let a = make(&fixture, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24"), "subnetId");
        let gateway = make(&fixture, "CreateInternetGateway", "", "internetGatewayId");
        run("AttachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
        let eip = make(&fixture, "AllocateAddress", "", "allocationId");
        let nat =
            make(&fixture, "CreateNatGateway", &format!("SubnetId={a}&AllocationId={eip}"), "natGatewayId");
        step("CreateNatGateway");
        let b = make(&fixture, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.1.0/24"), "subnetId");
        step("CreateSubnet");
        let table = make(&fixture, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTableId");
        step("CreateRouteTable");
        let association = make(
            &fixture,
            "AssociateRouteTable",
            &format!("RouteTableId={table}&SubnetId={b}"),
            "associationId",
        );
        step("AssociateRouteTable");
        let default = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0");
        run("CreateRoute", &format!("{default}&NatGatewayId={nat}"));
        step("CreateRoute");
        let group = make(
            &fixture,
            "CreateSecurityGroup",
            &format!("VpcId={vpc}&GroupName=g&GroupDescription=d"),
            "groupId",
        );
        step("CreateSecurityGroup");
        let rule = format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=2&IpPermissions.1.Groups.1.GroupId={group}"
        );
        run("AuthorizeSecurityGroupIngress", &rule);
        step("AuthorizeSecurityGroupIngress");
        run("RevokeSecurityGroupIngress", &rule);
        step("RevokeSecurityGroupIngress");
        let list = make(
            &fixture,
            "CreateManagedPrefixList",
            "PrefixListName=l&MaxEntries=3&AddressFamily=IPv4&Entry.1.Cidr=1.2.3.0/24",
            "prefixListId",
        );
        let by_list = format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.PrefixListIds.1.PrefixListId={list}"
        );
        run("AuthorizeSecurityGroupIngress", &by_list);
        step("AuthorizeSecurityGroupIngress by list");
        let more = format!("PrefixListId={list}&CurrentVersion=1&AddEntry.1.Cidr=1.2.4.0/24");
        run("ModifyManagedPrefixList", &more);
        step("ModifyManagedPrefixList");
        run("RevokeSecurityGroupIngress", &by_list);
        step("RevokeSecurityGroupIngress by list");
        let by_list = format!("RouteTableId={table}&DestinationPrefixListId={list}");
        run("CreateRoute", &format!("{by_list}&NatGatewayId={nat}"));
        step("CreateRoute by list");
        let back = format!("PrefixListId={list}&CurrentVersion=2&PreviousVersion=1");
        run("RestoreManagedPrefixListVersion", &back);
        step("RestoreManagedPrefixListVersion");
        run("DeleteRoute", &by_list);
        step("DeleteRoute by list");
        let peer = make(&fixture, "CreateVpc", "CidrBlock=10.9.0.0/16", "vpcId");
        let theirs = make(
            &fixture,
            "CreateSecurityGroup",
            &format!("VpcId={peer}&GroupName=g&GroupDescription=d"),
            "groupId",
        );
        let body = format!("VpcId={peer}&CidrBlock=10.9.0.0/24");
        let far = make(&fixture, "CreateSubnet", &body, "subnetId");
        let peering = make(
            &fixture,
            "CreateVpcPeeringConnection",
            &format!("VpcId={peer}&PeerVpcId={vpc}"),
            "vpcPeeringConnectionId",
        );
        let to_peer = format!("RouteTableId={table}&DestinationCidrBlock=10.9.0.0/16");
        run("CreateRoute", &format!("{to_peer}&VpcPeeringConnectionId={peering}"));
        step("CreateRoute to a peer");
        run("AcceptVpcPeeringConnection", &format!("VpcPeeringConnectionId={peering}"));
        step("AcceptVpcPeeringConnection");
        let from_peer = format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={theirs}"
        );
        run("AuthorizeSecurityGroupIngress", &from_peer);
        step("AuthorizeSecurityGroupIngress from a peer");
        let surroundings = context(&fixture);
        let member: Result<_, wire::ApiError> = fixture
            .api
            .store
            .write(move |rows| {
                let new = NewInterface {
                    subnet: &far,
                    security_groups: &[theirs],
                    description: String::new(),
                    kind: InterfaceKind::Task,
                    public_address: false,
                    requester: "amazon-ecs",
                };
                interface::create(rows, &surroundings, new)
            })
            .unwrap();
        member.unwrap();
        step("a peer's interface");
        run("DeleteVpcPeeringConnection", &format!("VpcPeeringConnectionId={peering}"));
        step("DeleteVpcPeeringConnection");
        run("DeleteRoute", &to_peer);
        step("DeleteRoute to a peer");
        run("DeleteSecurityGroup", &format!("GroupId={group}"));
        step("DeleteSecurityGroup");
        let s3 = format!("VpcId={vpc}&ServiceName=com.amazonaws.ap-northeast-2.s3");
        let by_routes =
            make(&fixture, "CreateVpcEndpoint", &format!("{s3}&RouteTableId.1={table}"), "vpcEndpointId");
        step("CreateVpcEndpoint");
        let modify = format!("VpcEndpointId={by_routes}&RemoveRouteTableId.1={table}");
        run("ModifyVpcEndpoint", &modify);
        step("ModifyVpcEndpoint");
        let interface = format!("{s3}&VpcEndpointType=Interface&PrivateDnsEnabled=false&SubnetId.1={b}");
        let by_interface = make(&fixture, "CreateVpcEndpoint", &interface, "vpcEndpointId");
        step("CreateVpcEndpoint");
        run("DeleteVpcEndpoints", &format!("VpcEndpointId.1={by_routes}&VpcEndpointId.2={by_interface}"));
        step("DeleteVpcEndpoints");
        run("ReplaceRoute", &format!("{default}&GatewayId={gateway}"));
        step("ReplaceRoute");
        run("ReplaceRoute", &format!("{default}&NatGatewayId={nat}"));
        step("ReplaceRoute");
        let context = context(&fixture);
        let other: Result<_, wire::ApiError> = fixture
            .api
            .store
            .write(move |rows| {
                let new = NewInterface {
                    subnet: &b,
                    security_groups: &[],
                    description: String::new(),
                    kind: InterfaceKind::Task,
                    public_address: false,
                    requester: "amazon-ecs",
                };
                interface::create(rows, &context, new)
            })
            .unwrap();
        other.unwrap();
        step("an interface");
        run("DeleteNatGateway", &format!("NatGatewayId={nat}"));
        step("DeleteNatGateway");
        run("DetachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
        step("DetachInternetGateway");
        run("DeleteRoute", &default);
        step("DeleteRoute");
        run("DisassociateRouteTable", &format!("AssociationId={association}"));
        step("DisassociateRouteTable");
        run("DeleteRouteTable", &format!("RouteTableId={table}"));
        step("DeleteRouteTable");
        let range = format!("VpcId={vpc}&CidrBlock=100.64.0.0/16");
        let range = make(&fixture, "AssociateVpcCidrBlock", &range, "associationId");
        step("AssociateVpcCidrBlock");
        let ranges = projected(&fixture, &vpc).unwrap().cidr_blocks;
        assert_eq!(ranges, ["10.0.0.0/16".parse().unwrap(), "100.64.0.0/16".parse().unwrap()]);
        run("DisassociateVpcCidrBlock", &format!("AssociationId={range}"));
        step("DisassociateVpcCidrBlock");
        let acl = make(&fixture, "CreateNetworkAcl", &format!("VpcId={vpc}"), "networkAclId");
        step("CreateNetworkAcl");
        let shown =
            run("DescribeNetworkAcls", &format!("Filter.1.Name=association.subnet-id&Filter.1.Value.1={a}"));
        let association = element(&shown, "networkAclAssociationId");
        run("ReplaceNetworkAclAssociation", &format!("AssociationId={association}&NetworkAclId={acl}"));
        step("ReplaceNetworkAclAssociation");
        let entry = format!("NetworkAclId={acl}&RuleNumber=1&Egress=true");
        run("CreateNetworkAclEntry", &format!("{entry}&Protocol=-1&RuleAction=allow&CidrBlock=0.0.0.0/0"));
        step("CreateNetworkAclEntry");
        run("ReplaceNetworkAclEntry", &format!("{entry}&Protocol=-1&RuleAction=deny&CidrBlock=0.0.0.0/0"));
        step("ReplaceNetworkAclEntry");
        run("DeleteNetworkAclEntry", &entry);
        step("DeleteNetworkAclEntry");
        run("DeleteSubnet", &format!("SubnetId={a}"));
        step("DeleteSubnet");
        assert_eq!(changes, 41, "every step above shows in the network");
    }

    #[test]
    fn a_vpc_without_interfaces_needs_no_network() {
        let fixture = Fixture::new();
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        assert_eq!(projected(&fixture, &vpc), None);
        assert_eq!(projected(&fixture, "vpc-1"), None);
        let owner = find(&fixture.api.store.snapshot(), &VpcId::from(vpc.as_str())).unwrap();
        assert_eq!(owner.1.as_str(), "ap-northeast-2");
    }

    #[test]
    fn a_route_whose_target_is_gone_is_a_black_hole() {
        let fixture = Fixture::new();
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        let subnet =
            make(&fixture, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24"), "subnetId");
        let gateway = make(&fixture, "CreateInternetGateway", "", "internetGatewayId");
        let attachment = format!("InternetGatewayId={gateway}&VpcId={vpc}");
        fixture.ok(Service::Ec2, "AttachInternetGateway", &attachment);
        let private = format!("SubnetId={subnet}&ConnectivityType=private");
        let keep = make(&fixture, "CreateNatGateway", &private, "networkInterfaceId");
        let nat = make(&fixture, "CreateNatGateway", &private, "natGatewayId");
        let table = make(&fixture, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTableId");
        for (destination, target) in [
            ("1.0.0.0/8", format!("GatewayId={gateway}")),
            ("2.0.0.0/8", format!("NatGatewayId={nat}")),
            ("3.0.0.0/8", format!("NetworkInterfaceId={keep}")),
        ] {
            let body = format!("RouteTableId={table}&DestinationCidrBlock={destination}&{target}");
            fixture.ok(Service::Ec2, "CreateRoute", &body);
        }
        let targets = || -> Vec<RouteTarget> {
            let vpc = projected(&fixture, &vpc).unwrap();
            let found = vpc.route_tables.into_iter().find(|one| one.id.as_str() == table).unwrap();
            found.routes.into_iter().map(|route| route.target).collect()
        };
        assert_eq!(targets()[0], RouteTarget::InternetGateway);
        assert!(matches!(targets()[1], RouteTarget::Interface(_)));
        assert_eq!(targets()[2], RouteTarget::Interface(keep.as_str().into()));
        fixture.ok(Service::Ec2, "DetachInternetGateway", &attachment);
        fixture.ok(Service::Ec2, "DeleteNatGateway", &format!("NatGatewayId={nat}"));
        assert_eq!(targets()[..2], [RouteTarget::Blackhole, RouteTarget::Blackhole]);
        let shown = fixture.ok(Service::Ec2, "DescribeRouteTables", &format!("RouteTableId.1={table}"));
        assert_eq!(shown.matches("<state>blackhole</state>").count(), 2);
    }

    #[test]
    fn entries_of_a_network_acl_become_what_the_filter_knows() {
        let fixture = Fixture::new();
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        let subnet =
            make(&fixture, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24"), "subnetId");
        fixture.ok(Service::Ec2, "CreateNatGateway", &format!("SubnetId={subnet}&ConnectivityType=private"));
        let acl = make(&fixture, "CreateNetworkAcl", &format!("VpcId={vpc}"), "networkAclId");
        let check = |entry: &str, expected: Option<(desired::Protocol, Option<(i32, i32)>)>| {
            let number = format!("NetworkAclId={acl}&Egress=false&RuleNumber=7");
            let body = format!("{number}&RuleAction=deny&{entry}");
            fixture.ok(Service::Ec2, "CreateNetworkAclEntry", &body);
            let acls = projected(&fixture, &vpc).unwrap().network_acls;
            let found = acls.into_iter().find(|one| one.id.as_str() == acl).unwrap();
            let entry = |(protocol, ports): (_, Option<(i32, i32)>)| desired::NetworkAclEntry {
                number: 7,
                allow: false,
                protocol,
                ports: ports.map(|(from, to)| desired::Ports { from, to }),
                cidr_block: "10.1.0.0/16".parse().unwrap(),
            };
            assert_eq!(found.ingress, expected.map(entry).into_iter().collect::<Vec<_>>(), "{body}");
            fixture.ok(Service::Ec2, "DeleteNetworkAclEntry", &number);
        };
        use desired::Protocol::{All, Icmp, Number, Tcp, Udp};
        let v4 = "CidrBlock=10.1.2.0/16";
        check(&format!("Protocol=6&PortRange.From=80&PortRange.To=81&{v4}"), Some((Tcp, Some((80, 81)))));
        check(&format!("Protocol=udp&PortRange.From=0&PortRange.To=0&{v4}"), Some((Udp, Some((0, 0)))));
        check(&format!("Protocol=-1&PortRange.From=22&PortRange.To=22&{v4}"), Some((All, None)));
        check(&format!("Protocol=1&Icmp.Type=8&Icmp.Code=-1&{v4}"), Some((Icmp, Some((8, -1)))));
        check(&format!("Protocol=1&Icmp.Type=-1&Icmp.Code=0&{v4}"), Some((Icmp, Some((-1, -1)))));
        check(&format!("Protocol=58&Icmp.Type=1&Icmp.Code=1&{v4}"), Some((Number(58), None)));
        check(&format!("Protocol=50&{v4}"), Some((Number(50), None)));
        check("Protocol=-1&Ipv6CidrBlock=::/0", None);
        check("Protocol=58&Icmp.Type=1&Icmp.Code=1&Ipv6CidrBlock=::/0", None);
    }

    #[test]
    fn a_stale_rule_matches_nothing_also_when_the_vpcs_are_peered_again() {
        let fixture = Fixture::new();
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        let peer = make(&fixture, "CreateVpc", "CidrBlock=10.9.0.0/16", "vpcId");
        let body = format!("VpcId={vpc}&CidrBlock=10.0.0.0/24");
        let subnet = make(&fixture, "CreateSubnet", &body, "subnetId");
        fixture.ok(Service::Ec2, "CreateNatGateway", &format!("SubnetId={subnet}&ConnectivityType=private"));
        let group = |vpc: &str| {
            let body = format!("VpcId={vpc}&GroupName=g&GroupDescription=d");
            make(&fixture, "CreateSecurityGroup", &body, "groupId")
        };
        let (own, theirs) = (group(&vpc), group(&peer));
        let peered = || {
            let body = format!("VpcId={vpc}&PeerVpcId={peer}");
            let id = make(&fixture, "CreateVpcPeeringConnection", &body, "vpcPeeringConnectionId");
            let id = format!("VpcPeeringConnectionId={id}");
            fixture.ok(Service::Ec2, "AcceptVpcPeeringConnection", &id);
            id
        };
        // How many rules the group has in the network, and how many of the peer's groups are known there.
        let seen = || {
            let network = projected(&fixture, &vpc).unwrap();
            let found = network.security_groups.into_iter().find(|one| one.id.as_str() == own).unwrap();
            (found.ingress.len(), network.peerings.iter().map(|one| one.security_groups.len()).sum::<usize>())
        };
        let first = peered();
        let rule =
            format!("GroupId={own}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={theirs}");
        fixture.ok(Service::Ec2, "AuthorizeSecurityGroupIngress", &rule);
        assert_eq!(seen(), (1, 1));
        fixture.ok(Service::Ec2, "DeleteVpcPeeringConnection", &first);
        assert_eq!(seen(), (0, 0));
        peered();
        assert_eq!(seen(), (0, 0));
        fixture.ok(Service::Ec2, "RevokeSecurityGroupIngress", &rule);
        fixture.ok(Service::Ec2, "AuthorizeSecurityGroupIngress", &rule);
        assert_eq!(seen(), (1, 1));
    }

    #[test]
    fn rules_become_what_the_filter_knows() {
        let fixture = Fixture::new();
        let vpc = make(&fixture, "CreateVpc", "CidrBlock=10.0.0.0/16", "vpcId");
        let subnet =
            make(&fixture, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24"), "subnetId");
        fixture.ok(Service::Ec2, "CreateNatGateway", &format!("SubnetId={subnet}&ConnectivityType=private"));
        let group = make(
            &fixture,
            "CreateSecurityGroup",
            &format!("VpcId={vpc}&GroupName=g&GroupDescription=d"),
            "groupId",
        );
        let check = |permission: &str, expected: &[desired::Rule]| {
            let body = format!("GroupId={group}&{}", permission.replace('~', "IpPermissions.1."));
            fixture.ok(Service::Ec2, "AuthorizeSecurityGroupIngress", &body);
            let groups = projected(&fixture, &vpc).unwrap().security_groups;
            let found = groups.into_iter().find(|one| one.id.as_str() == group).unwrap();
            assert_eq!(found.ingress, expected, "{permission}");
            fixture.ok(Service::Ec2, "RevokeSecurityGroupIngress", &body);
        };
        let any = desired::Peer::Cidr("0.0.0.0/0".parse().unwrap());
        let rule = |protocol, ports: Option<(i32, i32)>, peer: &desired::Peer| desired::Rule {
            protocol,
            ports: ports.map(|(from, to)| desired::Ports { from, to }),
            peer: peer.clone(),
        };
        use desired::Protocol::{All, Icmp, Number, Tcp};
        check(
            "~IpProtocol=tcp&~FromPort=80&~ToPort=81&~IpRanges.1.CidrIp=0.0.0.0/0",
            &[rule(Tcp, Some((80, 81)), &any)],
        );
        check("~IpProtocol=-1&~FromPort=0&~ToPort=0&~IpRanges.1.CidrIp=0.0.0.0/0", &[rule(All, None, &any)]);
        check(
            "~IpProtocol=icmp&~FromPort=8&~ToPort=-1&~IpRanges.1.CidrIp=0.0.0.0/0",
            &[rule(Icmp, Some((8, -1)), &any)],
        );
        check("~IpProtocol=50&~IpRanges.1.CidrIp=0.0.0.0/0", &[rule(Number(50), None, &any)]);
        check(
            &format!("~IpProtocol=tcp&~FromPort=1&~ToPort=1&~Groups.1.GroupId={group}"),
            &[rule(Tcp, Some((1, 1)), &desired::Peer::Group(group.as_str().into()))],
        );
        check("~IpProtocol=tcp&~FromPort=1&~ToPort=1&~Ipv6Ranges.1.CidrIpv6=::/0", &[]);
    }
}
