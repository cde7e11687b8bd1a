//! What a machine shall be, from the rows: pure functions, one part of the desired state each.

mod edge;
mod load_balancer;
mod names;
mod reference;
pub mod task;
mod task_metadata;
mod topology;
pub mod vpc;

use std::net::Ipv4Addr;

use desired::{AwsEndpoint, Body};
use store::Snapshot;
use types::{PartId, Region};

pub use topology::topology;

use crate::Settings;
use crate::ec2::vpc_endpoint_service::EndpointService;

/// AWS's own names that lead to Landfall inside VPCs, each service with a public address of its own in the `internet`
/// namespace. The addresses are Landfall's (198.19.0.0/24, of the benchmarking range of RFC 2544).
pub fn endpoints(regions: &[Region]) -> Vec<AwsEndpoint> {
    let regional = EndpointService::ALL.into_iter().map(|service| {
        let mut names: Vec<String> =
            regions.iter().flat_map(|region| service.private_dns_names(region)).collect();
        // Its older name, which no VPC endpoint takes over ("AWS STS Regions and endpoints", IAM User Guide).
        names.extend((service == EndpointService::Sts).then(|| "sts.amazonaws.com".to_owned()));
        AwsEndpoint { names, address: service.address() }
    });
    regional.chain([AwsEndpoint { names: vec!["iam.amazonaws.com".to_owned()], address: IAM }]).collect()
}

/// The address of IAM, which has one name for all regions.
const IAM: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 9);

/// The names that AWS gives to a region's interface endpoints, `<endpoint's id>-….<service>.<region>.vpce.amazonaws.com`,
/// each service's as one wildcard ("Access an AWS service using an interface VPC endpoint", AWS PrivateLink).
pub fn interface_endpoint_names(region: &Region) -> Vec<String> {
    EndpointService::ALL.map(|service| format!("*.{}", service.base_dns_name(region))).to_vec()
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
        PartId::Names => Some(Body::Names(names::project(rows, settings))),
    }
}
