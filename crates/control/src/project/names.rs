//! The names that VPCs resolve.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use desired::{Names, Record, VpcNames};
use store::Snapshot;
use types::{Region, VpcId};

use super::edge::public_addresses;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::vpc::Vpc;
use crate::elbv2::load_balancer::LoadBalancer;

/// The link-local address of every VPC's DNS server ("DNS attributes for your VPC", Amazon VPC User Guide).
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
/// AWS answers its load balancers' names for a minute.
const TTL: u32 = 60;

/// The DNS server's other address: base + 2 of the primary range ("Amazon DNS server", Amazon VPC User Guide).
fn dns_server(range: ipnet::Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()).saturating_add(2))
}

pub(super) fn project(rows: &Snapshot) -> Names {
    let balancers: Vec<_> = rows.scan::<LoadBalancer>("").collect();
    let in_use: BTreeSet<VpcId> =
        rows.scan::<NetworkInterface>("").map(|interface| interface.vpc_id.clone()).collect();
    let vpc_names = |vpc: &Vpc| {
        let internal =
            balancers.iter().filter(|balancer| balancer.internal && balancer.vpc_id == vpc.id.as_str());
        let record = |balancer: &std::sync::Arc<LoadBalancer>| {
            let interface = |id: &String| rows.get::<NetworkInterface>(&format!("{}{id}", balancer.scope));
            Record {
                name: balancer.dns_name.to_lowercase(),
                addresses: balancer
                    .nodes
                    .iter()
                    .filter_map(|node| Some(interface(&node.interface_id)?.private_address))
                    .collect(),
                ttl: TTL,
            }
        };
        VpcNames {
            vpc: vpc.id.clone(),
            servers: vec![dns_server(vpc.cidr_block), LINK_LOCAL],
            enabled: vpc.enable_dns_support,
            records: internal.map(record).collect(),
        }
    };
    let mut public: Vec<Record> = super::endpoints(&Region::all().collect::<Vec<_>>())
        .into_iter()
        .flat_map(|endpoint| {
            endpoint.names.into_iter().map(move |name| Record {
                name,
                addresses: vec![endpoint.address],
                ttl: TTL,
            })
        })
        .collect();
    for balancer in balancers.iter().filter(|balancer| !balancer.internal) {
        let addresses = public_addresses(rows, balancer);
        let amazon = balancer.dns_name.replace(".elb.localhost", ".elb.amazonaws.com");
        for name in [balancer.dns_name.clone(), amazon] {
            public.push(Record { name, addresses: addresses.clone(), ttl: TTL });
        }
    }
    Names {
        vpcs: rows
            .scan::<Vpc>("")
            .filter(|vpc| in_use.contains(&vpc.id))
            .map(|vpc| vpc_names(&vpc))
            .collect(),
        public,
    }
}
