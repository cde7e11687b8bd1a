//! What may be an end of a path of the Reachability Analyzer, and the question that a path comes to.

use reachability::{Query, Traffic};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{InternetGatewayId, NetworkInterfaceId, VpcEndpointId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::internet_gateway::InternetGateway;
use crate::ec2::network_insights_path::NetworkInsightsPath;
use crate::ec2::vpc_endpoint::{VpcEndpoint, Way};
use crate::ec2::{Resource, invalid};

/// An end of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A network interface.
    Interface(NetworkInterfaceId),
    /// An internet gateway: all of the internet.
    InternetGateway(InternetGatewayId),
    /// A gateway endpoint; only a destination.
    GatewayEndpoint(VpcEndpointId),
    /// An interface endpoint, by the first of its interfaces; only a destination.
    InterfaceEndpoint {
        /// Its id.
        id: VpcEndpointId,
        /// The interface.
        interface: NetworkInterfaceId,
    },
}

impl End {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            End::Interface(id) => id.as_str(),
            End::InternetGateway(id) => id.as_str(),
            End::GatewayEndpoint(id) | End::InterfaceEndpoint { id, .. } => id.as_str(),
        }
    }

    /// Its ARN.
    pub(super) fn arn(&self, context: &Context) -> String {
        let kind = match self {
            End::Interface(_) => NetworkInterface::TYPE,
            End::InternetGateway(_) => InternetGateway::TYPE,
            End::GatewayEndpoint(_) | End::InterfaceEndpoint { .. } => VpcEndpoint::TYPE,
        };
        context.arn("ec2", format!("{kind}/{}", self.id())).to_string()
    }
}

/// The end that a request names by id or ARN.
///
/// # Errors
/// When there is none, or it is none that a path can have here.
pub(super) fn find(
    rows: &Snapshot,
    context: &Context,
    named: &str,
    parameter: &str,
) -> Result<End, ApiError> {
    let id = named.rsplit('/').next().unwrap_or(named);
    if id.starts_with(NetworkInterfaceId::PREFIX) {
        let interface = super::get::<NetworkInterface>(rows, context, id)?;
        return Ok(End::Interface(interface.id.clone()));
    }
    if id.starts_with(InternetGatewayId::PREFIX) {
        let gateway = super::get::<InternetGateway>(rows, context, id)?;
        return Ok(End::InternetGateway(gateway.id.clone()));
    }
    if id.starts_with(VpcEndpointId::PREFIX) {
        let endpoint = super::get::<VpcEndpoint>(rows, context, id)?;
        return match &endpoint.way {
            Way::Gateway { .. } => Ok(End::GatewayEndpoint(endpoint.id.clone())),
            Way::Interface(interfaces) => match interfaces.nodes.first() {
                Some(node) => Ok(End::InterfaceEndpoint {
                    id: endpoint.id.clone(),
                    interface: node.interface_id.clone(),
                }),
                None => Err(invalid(named, parameter, "The VPC endpoint has no network interface.")),
            },
        };
    }
    Err(invalid(
        named,
        parameter,
        "Landfall takes network interfaces, internet gateways and VPC endpoints as ends of a path, and IP addresses as destinations.",
    ))
}

/// The question that a path asks.
pub(super) fn query(path: &NetworkInsightsPath) -> Query {
    let (at_source, at_destination) = (&path.filter_at_source, &path.filter_at_destination);
    let source_address = path.source_ip.or(at_source.source_address);
    let wanted = path.destination_ip.or(at_source.destination_address).or(at_destination.destination_address);
    let from = match (&path.source, source_address) {
        (End::InternetGateway(_), Some(address)) => reachability::End::Address(address),
        (End::InternetGateway(_), None) => reachability::End::Internet,
        (End::Interface(id) | End::InterfaceEndpoint { interface: id, .. }, _) => {
            reachability::End::Interface(id.clone())
        }
        (End::GatewayEndpoint(id), _) => reachability::End::GatewayEndpoint(id.clone()),
    };
    let to = match (&path.destination, wanted) {
        (Some(End::GatewayEndpoint(id)), _) => reachability::End::GatewayEndpoint(id.clone()),
        (Some(End::Interface(id) | End::InterfaceEndpoint { interface: id, .. }), None) => {
            reachability::End::Interface(id.clone())
        }
        (_, Some(address)) => reachability::End::Address(address),
        (Some(End::InternetGateway(_)) | None, None) => reachability::End::Internet,
    };
    // No gateway changes a destination port, so that what is asked for there holds here too.
    let destination_port =
        path.destination_port.or(at_source.destination_port).or(at_destination.destination_port);
    let source_port = at_source.source_port;
    let traffic = if path.tcp {
        Traffic::Tcp { source_port, destination_port }
    } else {
        Traffic::Udp { source_port, destination_port }
    };
    let source_address = source_address.filter(|_| matches!(path.source, End::Interface(_)));
    Query { from, to, traffic, source_address }
}
