//! VPC endpoints: ways from a VPC to AWS's services without the internet.
//!
//! A gateway endpoint is a route to the service's prefix list in each of its route tables. The routes are not kept in
//! the tables: they follow from the endpoint's row, so that they come and go with the association. An interface
//! endpoint is a network interface in each of its subnets, and names for them.
//!
//! The row keeps what was asked; whether an interface endpoint works already is what the machine reports.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, NetworkInterfaceId, PartId, PrefixListId, Region, RouteTableId, SecurityGroupId, SubnetId,
    Timestamp, VpcEndpointId, VpcId,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::route_table::RouteTable;
use crate::ec2::vpc_endpoint_service::{EndpointService, EndpointType, prefix_list};
use crate::ec2::{Resource, answer, interface, tag};
use crate::machine::Reports;

/// A VPC endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: VpcEndpointId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// The service that it leads to.
    pub service: EndpointService,
    /// How it leads there.
    pub way: Way,
    /// Its policy, as it was given. None: everything is allowed.
    pub policy: Option<String>,
    /// How far it is.
    pub state: EndpointState,
    /// When it was made.
    pub created_at: Timestamp,
    /// The token that its CreateVpcEndpoint call gave.
    pub client_token: Option<String>,
}

/// How an endpoint leads to its service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By routes.
    Gateway {
        /// The tables that have its route.
        route_tables: Vec<RouteTableId>,
    },
    /// By interfaces.
    Interface(Interfaces),
}

/// What an interface endpoint has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    /// One a subnet, at most one a zone.
    pub nodes: Vec<Node>,
    /// The groups of all of them.
    pub security_groups: Vec<SecurityGroupId>,
    /// Whether the service's own names lead to it inside the VPC.
    pub private_dns: bool,
    /// Whether they do so for an inbound Resolver endpoint alone, so that the VPC itself takes its gateway endpoint.
    pub only_inbound: bool,
    /// What follows the id in its names.
    pub dns_suffix: String,
}

/// An interface of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// The name of the subnet's zone.
    pub zone: String,
    /// The interface.
    pub interface_id: NetworkInterfaceId,
    /// Its private address.
    pub address: Ipv4Addr,
}

/// How far an endpoint is, as far as rows know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointState {
    /// Its interfaces were asked for; it works when the machine says so.
    Pending {
        /// The commit that asked.
        sequence: u64,
        /// When.
        at: Timestamp,
    },
    /// It works.
    Available,
    /// It is gone; it is shown until the machine says so.
    Deleting {
        /// The commit that deleted it.
        sequence: u64,
    },
}

// Its routes and interfaces show in the VPC, its names in the DNS, its listeners in the edge.
super::row!(VpcEndpoint, "ec2_vpc_endpoint", |endpoint| vec![
    PartId::Vpc(endpoint.vpc_id.clone()),
    PartId::Names,
    PartId::Edge
]);

impl Resource for VpcEndpoint {
    const TYPE: &'static str = "vpc-endpoint";
    const PREFIX: &'static str = VpcEndpointId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist"))
    }
}

/// How long the machine may report errors before an endpoint counts as failed: the error may be of an earlier change.
const PATIENCE: Duration = Duration::from_secs(20);

impl VpcEndpoint {
    /// Whether it is not deleted.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, EndpointState::Deleting { .. })
    }

    /// Whether it leads by routes or by interfaces.
    pub fn kind(&self) -> EndpointType {
        match self.way {
            Way::Gateway { .. } => EndpointType::Gateway,
            Way::Interface(_) => EndpointType::Interface,
        }
    }

    /// The tables that have its route; none for an interface endpoint.
    pub fn route_tables(&self) -> &[RouteTableId] {
        match &self.way {
            Way::Gateway { route_tables } => route_tables,
            Way::Interface(_) => &[],
        }
    }

    /// Whether a security group is one of its own.
    pub(super) fn wears(&self, group: &SecurityGroupId) -> bool {
        self.is_live()
            && matches!(&self.way, Way::Interface(interfaces) if interfaces.security_groups.contains(group))
    }

    /// The destination of its routes; None for an interface endpoint.
    pub fn prefix_list(&self) -> Option<PrefixListId> {
        match self.way {
            Way::Gateway { .. } => prefix_list(self.service, &self.region),
            Way::Interface(_) => None,
        }
    }

    /// Its own names with the addresses that they lead to: one for the region and one a zone. For S3 they stand for all
    /// names one label longer, as buckets have names of their own.
    pub fn dns_names(&self) -> Vec<(String, Vec<Ipv4Addr>)> {
        let Way::Interface(interfaces) = &self.way else { return Vec::new() };
        let base = self.service.base_dns_name(&self.region);
        let star = if self.service == EndpointService::S3 { "*." } else { "" };
        let own = format!("{star}{}-{}", self.id, interfaces.dns_suffix);
        let all = interfaces.nodes.iter().map(|node| node.address).collect();
        let zonal =
            interfaces.nodes.iter().map(|node| (format!("{own}-{}.{base}", node.zone), vec![node.address]));
        [(format!("{own}.{base}"), all)].into_iter().chain(zonal).collect()
    }

    /// The service's own names, when they lead to the endpoint.
    pub fn private_dns_names(&self) -> Vec<String> {
        match &self.way {
            Way::Interface(interfaces) if interfaces.private_dns => {
                self.service.private_dns_names(&self.region)
            }
            _ => Vec::new(),
        }
    }

    /// The state that AWS shows, and for a failed endpoint the code and the words. None: it is gone.
    pub(super) fn shown(
        &self,
        reports: &Reports,
        now: Timestamp,
    ) -> Option<(&'static str, Option<(String, String)>)> {
        let status = reports.vpcs.get(&self.vpc_id);
        let applied = |sequence: u64| status.is_some_and(|status| status.generation >= sequence);
        let listens = |sequence: u64| {
            let edge = reports.edge.as_ref();
            edge.is_some_and(|edge| edge.generation >= sequence && !edge.unanswered.contains(&self.id))
        };
        match self.state {
            EndpointState::Available => Some(("available", None)),
            EndpointState::Pending { sequence, .. } if applied(sequence) && listens(sequence) => {
                Some(("available", None))
            }
            EndpointState::Pending { at, .. } => match status.and_then(|status| status.error.clone()) {
                Some(error) if now.since(at) > PATIENCE => {
                    Some(("failed", Some(("InternalError".to_owned(), error))))
                }
                _ => Some(("pending", None)),
            },
            EndpointState::Deleting { sequence } if status.is_none() || applied(sequence) => None,
            EndpointState::Deleting { .. } => Some(("deleting", None)),
        }
    }
}

/// The endpoint of this id, which is not deleted.
///
/// # Errors
/// InvalidVpcEndpointId.NotFound
pub(super) fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<VpcEndpoint>, ApiError> {
    let endpoint = super::get::<VpcEndpoint>(rows, context, id)?;
    if endpoint.is_live() { Ok(endpoint) } else { Err(VpcEndpoint::not_found(id)) }
}

/// The endpoint of this id, whoever's it is; also one that is being deleted.
pub fn by_id(rows: &Snapshot, id: &VpcEndpointId) -> Option<Arc<VpcEndpoint>> {
    rows.scan::<VpcEndpoint>("").find(|endpoint| endpoint.id == *id)
}

/// A VPC's endpoints that are not deleted, by id.
pub fn of_vpc<'a>(
    rows: &'a Snapshot,
    prefix: &'a str,
    vpc_id: &'a VpcId,
) -> impl Iterator<Item = Arc<VpcEndpoint>> + 'a {
    rows.scan::<VpcEndpoint>(prefix).filter(move |one| one.vpc_id == *vpc_id && one.is_live())
}

/// The gateway endpoints that have a route in a table, with the prefix lists that their routes name.
pub fn of_route_table(rows: &Snapshot, table: &RouteTable) -> Vec<(Arc<VpcEndpoint>, PrefixListId)> {
    let prefix = format!("{}/{}/", table.account, table.region);
    of_vpc(rows, &prefix, &table.vpc_id)
        .filter(|one| one.route_tables().contains(&table.id))
        .filter_map(|one| one.prefix_list().map(|list| (one, list)))
        .collect()
}

/// Ends the associations of a route table that is deleted.
pub(super) fn forget_route_table(rows: &mut Tx, table: &RouteTable) {
    for (endpoint, _) in of_route_table(rows, table) {
        let mut endpoint = (*endpoint).clone();
        if let Way::Gateway { route_tables } = &mut endpoint.way {
            route_tables.retain(|id| *id != table.id);
        }
        rows.put(endpoint);
    }
}

/// Writes down which endpoints the machine has working, so that they stay available while it says nothing (after a
/// restart), and forgets those that it has removed. For a reconciler; cheap when there is nothing to do.
pub fn settle(rows: &mut Tx, reports: &Reports, now: Timestamp) {
    let all: Vec<Arc<VpcEndpoint>> = rows.scan::<VpcEndpoint>("").collect();
    for endpoint in all {
        let key = store::Row::key(&*endpoint);
        match (endpoint.shown(reports, now), &endpoint.state) {
            (None, _) => {
                rows.delete::<tag::TagSet>(&key);
                rows.delete::<VpcEndpoint>(&key);
            }
            (Some(("available", _)), EndpointState::Pending { .. }) => {
                rows.put(VpcEndpoint { state: EndpointState::Available, ..(*endpoint).clone() });
            }
            _ => {}
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteVpcEndpoints {
    vpc_endpoint_id: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct DeleteVpcEndpointsResponse {
    unsuccessful: Vec<Unsuccessful>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unsuccessful {
    resource_id: String,
    error: UnsuccessfulError,
}

#[derive(Debug, Serialize)]
struct UnsuccessfulError {
    code: String,
    message: String,
}

/// Deletes the endpoints that there are, and says which ones there are not.
pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteVpcEndpoints,
) -> Result<DeleteVpcEndpointsResponse, ApiError> {
    let mut unsuccessful = Vec::new();
    for id in request.vpc_endpoint_id {
        match get(rows, context, &id) {
            Ok(endpoint) => {
                if let Way::Interface(interfaces) = &endpoint.way {
                    for node in &interfaces.nodes {
                        interface::delete(rows, context, node.interface_id.as_str());
                    }
                }
                let state = EndpointState::Deleting { sequence: rows.next_sequence() };
                rows.put(VpcEndpoint { state, ..(*endpoint).clone() });
            }
            Err(error) => unsuccessful.push(Unsuccessful {
                resource_id: id,
                error: UnsuccessfulError { code: error.code.to_string(), message: error.message },
            }),
        }
    }
    answer(request.dry_run, DeleteVpcEndpointsResponse { unsuccessful })
}
