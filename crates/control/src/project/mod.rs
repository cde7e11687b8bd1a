//! What a machine shall be, from the rows: pure functions, one part of the desired state each.

mod edge;
mod load_balancer;
mod names;
mod reference;
pub mod task;
mod topology;
pub mod vpc;

use desired::{AwsEndpoint, Body};
use store::Snapshot;
use types::{PartId, Region};

pub use topology::topology;

use crate::Settings;
use crate::ec2::vpc_endpoint_service::EndpointService;

/// AWS's own names that lead to Landfall inside VPCs, each service with a public address of its own in the `internet`
/// namespace. The addresses are Landfall's (198.19.0.0/24, of the benchmarking range of RFC 2544).
pub fn endpoints(regions: &[Region]) -> Vec<AwsEndpoint> {
    EndpointService::ALL
        .into_iter()
        .map(|service| AwsEndpoint {
            names: regions.iter().flat_map(|region| service.private_dns_names(region)).collect(),
            address: service.address(),
        })
        .collect()
}

/// The names that AWS gives to interface endpoints, `<endpoint's id>-….<service>.<region>.vpce.amazonaws.com`, each
/// service's as one wildcard ("Access an AWS service using an interface VPC endpoint", AWS PrivateLink).
pub fn interface_endpoint_names(regions: &[Region]) -> Vec<String> {
    let of =
        |region: &Region| EndpointService::ALL.map(|service| format!("*.{}", service.base_dns_name(region)));
    regions.iter().flat_map(of).collect()
}

/// One part of the desired state. None: the part shall not be.
pub fn project(rows: &Snapshot, settings: &Settings, part: &PartId) -> Option<Body> {
    match part {
        PartId::Vpc(id) => {
            let (account, region) = vpc::find(rows, id)?;
            vpc::project(rows, &account, &region, id).map(Body::Vpc)
        }
        PartId::Task(id) => task::project(rows, settings, id).map(|task| Body::Task(Box::new(task))),
        PartId::LoadBalancer(id) => load_balancer::project(rows, id).map(Body::LoadBalancer),
        PartId::Edge => Some(Body::Edge(edge::project(rows, settings))),
        PartId::Names => Some(Body::Names(names::project(rows))),
    }
}
