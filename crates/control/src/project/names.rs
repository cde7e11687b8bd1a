//! The names that VPCs resolve.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{AwsEndpoint, Names, Record, VpcNames};
use store::Snapshot;
use types::{Region, VpcId};

use super::edge::{nodes, public_addresses};
use crate::Settings;
use crate::ec2::interface::{NetworkInterface, public_dns_name};
use crate::ec2::vpc::Vpc;
use crate::ec2::vpc_endpoint::{VpcEndpoint, Way};
use crate::ec2::vpc_peering;
use crate::elbv2::load_balancer::LoadBalancer;
use crate::internet::{self, Called};
use crate::servicediscovery::records;

/// The link-local address of every VPC's DNS server ("DNS attributes for your VPC", Amazon VPC User Guide).
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
/// AWS answers its load balancers' names for a minute.
const TTL: u32 = 60;
/// Pretend hosts come and go as a test does.
const HOST_TTL: u32 = 5;

pub(super) fn project(rows: &Snapshot, settings: &Settings) -> Names {
    let balancers: Vec<_> = rows.scan::<LoadBalancer>("").collect();
    let mut interfaces_of: BTreeMap<VpcId, Vec<Arc<NetworkInterface>>> = BTreeMap::new();
    for interface in rows.scan::<NetworkInterface>("").filter(|interface| interface.is_attached()) {
        interfaces_of.entry(interface.vpc_id.clone()).or_default().push(interface);
    }
    // A VPC without interfaces has no namespace, and nobody to ask.
    let vpcs: Vec<_> =
        rows.scan::<Vpc>("").filter_map(|vpc| Some((interfaces_of.get(&vpc.id)?, vpc))).collect();
    let mut public = aws_endpoints();
    let endpoints: Vec<_> = rows.scan::<VpcEndpoint>("").filter(|endpoint| endpoint.is_live()).collect();
    // An endpoint's own names are public, with private addresses.
    for (name, addresses) in endpoints.iter().flat_map(|endpoint| endpoint.dns_names()) {
        if !addresses.is_empty() {
            public.push(Record { name, addresses, ttl: TTL });
        }
    }
    public.extend(internet_hosts(rows));
    for balancer in balancers.iter().filter(|balancer| !balancer.internal) {
        let addresses = public_addresses(rows, balancer);
        let amazon = balancer.dns_name.replace(".elb.localhost", ".elb.amazonaws.com");
        for name in [balancer.dns_name.clone(), amazon] {
            public.push(Record { name, addresses: addresses.clone(), ttl: TTL });
        }
    }
    for (interfaces, _) in vpcs.iter().filter(|(_, vpc)| vpc.enable_dns_hostnames) {
        public.extend(
            interfaces.iter().filter_map(|interface| Some(public_name(interface, interface.public_address?))),
        );
    }
    let names = |(interfaces, vpc): &(&Vec<Arc<NetworkInterface>>, Arc<Vpc>)| {
        let (zones, discovered, targets) = records::of_vpc(rows, vpc);
        let mut records = own_records(rows, vpc, interfaces, &balancers, &endpoints);
        records.extend(peer_records(rows, vpc, &interfaces_of));
        records.extend(targets);
        VpcNames {
            vpc: vpc.id.clone(),
            servers: vec![vpc.dns_server(), LINK_LOCAL],
            enabled: vpc.enable_dns_support,
            records,
            zones,
            discovered,
        }
    };
    Names {
        vpcs: vpcs.iter().map(names).collect(),
        public,
        internet: internet::is_on(rows),
        api: Some(settings.listen),
    }
}

/// The names that one VPC alone resolves: its internal load balancers', its interfaces' ("DNS attributes for your VPC",
/// Amazon VPC User Guide), and the services' own names that lead to its interface endpoints (private DNS).
fn own_records(
    rows: &Snapshot,
    vpc: &Vpc,
    interfaces: &[Arc<NetworkInterface>],
    balancers: &[Arc<LoadBalancer>],
    endpoints: &[Arc<VpcEndpoint>],
) -> Vec<Record> {
    let internal =
        balancers.iter().filter(|balancer| balancer.internal && balancer.vpc_id == vpc.id.as_str());
    let mut records: Vec<Record> = internal
        .map(|balancer| Record {
            name: balancer.dns_name.to_lowercase(),
            addresses: nodes(rows, balancer).map(|node| node.private_address).collect(),
            ttl: TTL,
        })
        .collect();
    if vpc.enable_dns_support && vpc.enable_dns_hostnames {
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.vpc_id == vpc.id) {
            let Way::Interface(of) = &endpoint.way else { continue };
            if of.only_inbound || of.nodes.is_empty() {
                continue;
            }
            let addresses: Vec<Ipv4Addr> = of.nodes.iter().map(|node| node.address).collect();
            records.extend(endpoint.private_dns_names().into_iter().map(|name| Record {
                name,
                addresses: addresses.clone(),
                ttl: TTL,
            }));
        }
    }
    for interface in interfaces {
        let addresses = vec![interface.private_address];
        records.push(Record { name: interface.private_dns_name(), addresses, ttl: TTL });
        // Inside its VPC a public name leads to the private address.
        let inside = interface.public_address.filter(|_| vpc.enable_dns_hostnames);
        records.extend(inside.map(|public| Record {
            addresses: vec![interface.private_address],
            ..public_name(interface, public)
        }));
    }
    records
}

/// The names of a VPC's peers. Source: the VPC peering guide, "Enable DNS resolution for a VPC peering connection" and
/// "VPC peering limitations": a public name leads to the private address when the peer's side allows it and both VPCs
/// have DNS names; a private name is known in the same region when its address is private by RFC 1918, else when the
/// peer's side allows it.
fn peer_records(
    rows: &Snapshot,
    vpc: &Vpc,
    interfaces_of: &BTreeMap<VpcId, Vec<Arc<NetworkInterface>>>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for peering in vpc_peering::of_vpc(rows, &vpc.account, &vpc.id).iter().filter(|one| one.is_active()) {
        let Some(side) = peering.peer(&vpc.id) else { continue };
        let Some(peer) = peering.vpc(rows, side).filter(|peer| peer.enable_dns_support) else { continue };
        let allowed = side.allow_dns_resolution_from_remote_vpc;
        let public = allowed && vpc.enable_dns_hostnames && peer.enable_dns_hostnames;
        for interface in interfaces_of.get(&peer.id).into_iter().flatten() {
            let addresses = vec![interface.private_address];
            if allowed || (side.region == vpc.region && interface.private_address.is_private()) {
                let name = interface.private_dns_name();
                records.push(Record { name, addresses: addresses.clone(), ttl: TTL });
            }
            let address = interface.public_address.filter(|_| public);
            records.extend(address.map(|address| Record { addresses, ..public_name(interface, address) }));
        }
    }
    records
}

/// The public name of an interface's public address.
fn public_name(interface: &NetworkInterface, address: Ipv4Addr) -> Record {
    Record { name: public_dns_name(&interface.region, address), addresses: vec![address], ttl: TTL }
}

/// The pretend hosts of the internet that have a name; one name may have several ports, and has one address.
fn internet_hosts(rows: &Snapshot) -> impl Iterator<Item = Record> {
    let named: BTreeMap<String, Ipv4Addr> = internet::hosts(rows)
        .filter_map(|host| match &host.place.host {
            Called::Name(name) => Some((name.clone(), host.address)),
            Called::Address(_) => None,
        })
        .collect();
    named.into_iter().map(|(name, address)| Record { name, addresses: vec![address], ttl: HOST_TTL })
}

fn aws_endpoints() -> Vec<Record> {
    let records = |endpoint: AwsEndpoint| {
        let record = move |name| Record { name, addresses: vec![endpoint.address], ttl: TTL };
        endpoint.names.into_iter().map(record)
    };
    super::endpoints(&Region::all().collect::<Vec<_>>()).into_iter().flat_map(records).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;
    use crate::schedule::tests::world::World;

    fn address<'a>(records: &'a [Record], name: &str) -> &'a [Ipv4Addr] {
        let found: Vec<_> = records.iter().filter(|record| record.name == name).collect();
        match found.as_slice() {
            [one] => &one.addresses,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn interfaces_and_load_balancers_have_names() {
        let world = World::new(true);
        let [a, b] = &world.subnets;
        let body = format!("Name=in&Scheme=internal&Subnets.member.1={a}&Subnets.member.2={b}");
        world.fixture.ok(Service::Elbv2, "CreateLoadBalancer", &body);
        let names = project(&world.rows(), &world.fixture.api.settings);
        let [vpc] = names.vpcs.as_slice() else { panic!("{:?}", names.vpcs) };
        assert_eq!(vpc.servers, ["10.194.0.2".parse::<Ipv4Addr>().unwrap(), LINK_LOCAL]);
        assert!(vpc.enabled);
        let rows = world.rows();
        let balancers: Vec<_> = rows.scan::<LoadBalancer>("").collect();
        assert_eq!(balancers.len(), 2);
        for balancer in balancers {
            let private: Vec<_> = nodes(&rows, &balancer).map(|node| node.private_address).collect();
            if balancer.internal {
                assert_eq!(address(&vpc.records, &balancer.dns_name), private);
                assert!(names.public.iter().all(|record| record.name != balancer.dns_name));
            } else {
                let amazon = balancer.dns_name.replace("elb.localhost", "elb.amazonaws.com");
                let public = public_addresses(&rows, &balancer);
                assert_eq!(public.len(), 2);
                assert_eq!(address(&names.public, &balancer.dns_name), public);
                assert_eq!(address(&names.public, &amazon), public);
            }
        }
        for interface in rows.scan::<NetworkInterface>("").filter(|interface| interface.is_attached()) {
            let [x, y, z, w] = interface.private_address.octets();
            let name = format!("ip-{x}-{y}-{z}-{w}.ap-northeast-2.compute.internal");
            assert_eq!(address(&vpc.records, &name), [interface.private_address]);
        }
        assert!(!names.public.iter().any(|record| record.name.starts_with("ec2-")));
    }

    #[test]
    fn public_host_names_lead_to_the_private_address_inside() {
        let world = World::new(true);
        let body = format!("VpcId={}&EnableDnsHostnames.Value=true", world.vpc);
        world.fixture.ok(Service::Ec2, "ModifyVpcAttribute", &body);
        let (rows, names) = (world.rows(), project(&world.rows(), &world.fixture.api.settings));
        for interface in rows.scan::<NetworkInterface>("").filter(|interface| interface.is_attached()) {
            let public = interface.public_address.unwrap();
            let [x, y, z, w] = public.octets();
            let name = format!("ec2-{x}-{y}-{z}-{w}.ap-northeast-2.compute.amazonaws.com");
            assert_eq!(address(&names.public, &name), [public]);
            assert_eq!(address(&names.vpcs[0].records, &name), [interface.private_address]);
        }
    }

    #[test]
    fn a_peers_names_are_known_and_its_public_ones_only_where_that_is_allowed() {
        let world = World::new(true);
        let ec2 = |action: &str, body: &str| world.fixture.ok(Service::Ec2, action, body);
        let text = ec2("CreateVpc", "CidrBlock=10.9.0.0/16");
        let near = crate::testing::element(&text, "vpcId").to_owned();
        let text = ec2("CreateSubnet", &format!("VpcId={near}&CidrBlock=10.9.0.0/24"));
        let subnet = crate::testing::element(&text, "subnetId").to_owned();
        ec2("CreateNatGateway", &format!("SubnetId={subnet}&ConnectivityType=private"));
        for vpc in [&near, &world.vpc] {
            ec2("ModifyVpcAttribute", &format!("VpcId={vpc}&EnableDnsHostnames.Value=true"));
        }
        // How many of the far interfaces' private and public names the near VPC knows.
        let known = || {
            let rows = world.rows();
            let names = project(&rows, &world.fixture.api.settings);
            let records = &names.vpcs.iter().find(|vpc| vpc.vpc.as_str() == near).unwrap().records;
            let far = rows.scan::<NetworkInterface>("").filter(|one| one.vpc_id.as_str() != near);
            let mut counts = (0, 0);
            for interface in far {
                let public = public_dns_name(&interface.region, interface.public_address.unwrap());
                let has = |name: &str| {
                    let to = vec![interface.private_address];
                    usize::from(records.iter().any(|record| record.name == name && record.addresses == to))
                };
                counts = (counts.0 + has(&interface.private_dns_name()), counts.1 + has(&public));
            }
            counts
        };
        assert_eq!(known(), (0, 0));
        let body = format!("VpcId={near}&PeerVpcId={}", world.vpc);
        let text = ec2("CreateVpcPeeringConnection", &body);
        let id =
            format!("VpcPeeringConnectionId={}", crate::testing::element(&text, "vpcPeeringConnectionId"));
        assert_eq!(known(), (0, 0), "nobody has accepted");
        ec2("AcceptVpcPeeringConnection", &id);
        let all = known().0;
        assert!(all > 0);
        assert_eq!(known().1, 0);
        let allow = |value: bool| {
            let dns = format!("AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc={value}");
            ec2("ModifyVpcPeeringConnectionOptions", &format!("{id}&{dns}"));
        };
        allow(true);
        assert_eq!(known(), (all, all));
        allow(false);
        assert_eq!(known(), (all, 0));
        ec2("DeleteVpcPeeringConnection", &id);
        assert_eq!(known(), (0, 0));
    }
}
