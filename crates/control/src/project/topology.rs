//! Everything that a packet can meet, for the analysis of paths.

use std::net::Ipv4Addr;

use reachability::{Internet, Service, Topology};
use store::Snapshot;

use super::{IAM, edge, vpc};
use crate::Settings;
use crate::ec2::vpc::Vpc;
use crate::ec2::vpc_endpoint_service::EndpointService;

/// The machine itself as VPCs see it.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

/// The networks as the machine is told of them, of all accounts and regions, and what is behind internet gateways.
pub fn topology(rows: &Snapshot, settings: &Settings) -> Topology {
    let edge = edge::project(rows, settings);
    let network = |row: std::sync::Arc<Vpc>| vpc::project(rows, &row.account, &row.region, &row.id);
    Topology {
        vpcs: rows.scan::<Vpc>("").filter_map(network).collect(),
        internet: Internet {
            host: HOST,
            services: EndpointService::ALL
                .into_iter()
                .map(|service| Service { name: service.short().to_owned(), address: service.address() })
                .chain([Service { name: "iam".to_owned(), address: IAM }])
                .collect(),
            hosts: edge.internet_hosts,
            on: edge.internet,
        },
    }
}
