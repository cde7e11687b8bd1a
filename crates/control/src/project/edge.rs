//! The host ports of the load balancers that face the internet, and AWS's names inside VPCs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{Edge, HostListener, HostRoute, InternetHost};
use store::Snapshot;
use types::{Region, VpcId};

use crate::Settings;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::vpc_endpoint::{VpcEndpoint, Way};
use crate::elbv2::listener::Listener;
use crate::elbv2::load_balancer::LoadBalancer;
use crate::internet::{self, Called, Host};

pub(super) fn project(rows: &Snapshot, settings: &Settings) -> Edge {
    let mut ports: BTreeMap<u16, Vec<HostRoute>> = BTreeMap::new();
    for balancer in rows.scan::<LoadBalancer>("").filter(|balancer| !balancer.internal) {
        let addresses = public_addresses(rows, &balancer);
        for listener in
            rows.scan::<Listener>(&balancer.scope).filter(|row| row.load_balancer_arn == balancer.arn)
        {
            ports
                .entry(listener.port)
                .or_default()
                .push(HostRoute { host: balancer.dns_name.clone(), addresses: addresses.clone() });
        }
    }
    Edge {
        api: settings.listen,
        host_address: settings.host_address,
        listeners: ports.into_iter().map(|(port, routes)| HostListener { port, routes }).collect(),
        aws_endpoints: super::endpoints(&Region::all().collect::<Vec<_>>()),
        vpc_endpoints: vpc_endpoints(rows),
        internet: internet::is_on(rows),
        internet_hosts: internet::hosts(rows).map(|host| internet_host(&host)).collect(),
        certificates: settings.certificates.clone(),
        private_key: settings.private_key.clone(),
    }
}

/// The listeners of VPC endpoints: an interface endpoint's in its interfaces, a gateway endpoint's in a namespace of its
/// own, which is there when the VPC has an interface.
fn vpc_endpoints(rows: &Snapshot) -> Vec<desired::VpcEndpoint> {
    let used: BTreeSet<VpcId> = rows
        .scan::<NetworkInterface>("")
        .filter(|interface| interface.is_attached())
        .map(|interface| interface.vpc_id.clone())
        .collect();
    let listeners = |endpoint: Arc<VpcEndpoint>| -> Vec<desired::VpcEndpoint> {
        let own = endpoint.dns_names().into_iter().map(|(name, _)| name);
        let names: Vec<String> =
            endpoint.service.private_dns_names(&endpoint.region).into_iter().chain(own).collect();
        let listener = |namespace: String, address| desired::VpcEndpoint {
            id: endpoint.id.clone(),
            namespace,
            address,
            names: names.clone(),
        };
        match &endpoint.way {
            Way::Gateway { .. } if !used.contains(&endpoint.vpc_id) => Vec::new(),
            Way::Gateway { .. } => vec![listener(endpoint.id.to_string(), endpoint.service.address())],
            Way::Interface(interfaces) => interfaces
                .nodes
                .iter()
                .map(|node| listener(node.interface_id.to_string(), node.address))
                .collect(),
        }
    };
    rows.scan::<VpcEndpoint>("").filter(|endpoint| endpoint.is_live()).flat_map(listeners).collect()
}

fn internet_host(host: &Host) -> InternetHost {
    let name = match &host.place.host {
        Called::Name(name) => Some(name.clone()),
        Called::Address(_) => None,
    };
    InternetHost { name, address: host.address, port: host.place.port, to: host.to }
}

/// The interfaces of a load balancer's nodes.
pub(super) fn nodes(rows: &Snapshot, balancer: &LoadBalancer) -> impl Iterator<Item = Arc<NetworkInterface>> {
    let interface = |id: &String| rows.get::<NetworkInterface>(&format!("{}{id}", balancer.scope));
    balancer.nodes.iter().filter_map(move |node| interface(&node.interface_id))
}

/// The public addresses of a load balancer's nodes.
pub(super) fn public_addresses(rows: &Snapshot, balancer: &LoadBalancer) -> Vec<Ipv4Addr> {
    nodes(rows, balancer).filter_map(|node| node.public_address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;
    use crate::schedule::tests::world::World;
    use crate::testing::{element, settings};

    #[test]
    fn load_balancers_that_face_the_internet_share_the_hosts_ports_by_name() {
        let world = World::new(true);
        let [a, b] = &world.subnets;
        let mut names = vec![world.rows().scan::<LoadBalancer>("").next().unwrap().dns_name.clone()];
        for (name, scheme) in [("Second", "internet-facing"), ("third", "internal")] {
            let body = format!("Name={name}&Scheme={scheme}&Subnets.member.1={a}&Subnets.member.2={b}");
            let made = world.fixture.ok(Service::Elbv2, "CreateLoadBalancer", &body);
            names.push(element(&made, "DNSName").to_owned());
            for port in [80, 81] {
                let body = format!(
                    "LoadBalancerArn={}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=200",
                    element(&made, "LoadBalancerArn")
                );
                world.fixture.ok(Service::Elbv2, "CreateListener", &body);
            }
        }
        let edge = project(&world.rows(), &settings());
        let routes: Vec<(u16, Vec<&str>)> = edge
            .listeners
            .iter()
            .map(|listener| {
                let mut hosts: Vec<&str> = listener.routes.iter().map(|route| route.host.as_str()).collect();
                hosts.sort_by_key(|host| names.iter().position(|name| name == host));
                (listener.port, hosts)
            })
            .collect();
        assert_eq!(routes, [(80, vec![names[0].as_str(), &names[1]]), (81, vec![names[1].as_str()])]);
        assert!(names[1].starts_with("second-") && names[1].ends_with(".ap-northeast-2.elb.localhost"));
        assert!(edge.listeners.iter().flat_map(|port| &port.routes).all(|route| route.addresses.len() == 2));
    }
}
