//! The host ports of the load balancers that face the internet, and AWS's names inside VPCs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{Edge, HostListener, HostRoute};
use store::Snapshot;
use types::Region;

use crate::Settings;
use crate::ec2::interface::NetworkInterface;
use crate::elbv2::listener::Listener;
use crate::elbv2::load_balancer::LoadBalancer;

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
        certificate_chain: settings.certificate_chain.clone(),
        private_key: settings.private_key.clone(),
    }
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
