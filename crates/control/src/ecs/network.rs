//! Where a task's interface is: `networkConfiguration`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::VpcId;
use wire::ApiError;

use super::invalid;
use crate::Context;
use crate::ec2::{security_group, subnet};

/// The most subnets and security groups of an `awsvpcConfiguration` ("AwsVpcConfiguration").
const MOST_SUBNETS: usize = 16;
const MOST_GROUPS: usize = 5;

/// `networkConfiguration`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkConfiguration {
    awsvpc_configuration: Option<AwsvpcConfiguration>,
}

/// `awsvpcConfiguration`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AwsvpcConfiguration {
    subnets: Vec<String>,
    security_groups: Option<Vec<String>>,
    assign_public_ip: Option<AssignPublicIp>,
}

/// Whether tasks get a public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AssignPublicIp {
    /// They do.
    Enabled,
    /// They do not.
    #[default]
    Disabled,
}

/// Where tasks are put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The subnets, all in one VPC.
    pub subnets: Vec<String>,
    /// The security groups; without any, the VPC's default one.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    pub assign_public_ip: AssignPublicIp,
}

/// A network as responses print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkView {
    awsvpc_configuration: Network,
}

impl From<&Network> for NetworkView {
    fn from(network: &Network) -> Self {
        Self { awsvpc_configuration: network.clone() }
    }
}

/// Checks a request's network configuration.
///
/// # Errors
/// When it is missing, or names what does not exist or is in another VPC.
pub(crate) fn take(
    rows: &Snapshot,
    context: &Context,
    requested: Option<NetworkConfiguration>,
) -> Result<Network, ApiError> {
    let requested = requested.and_then(|requested| requested.awsvpc_configuration).ok_or_else(|| {
        invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    })?;
    let network = Network {
        subnets: requested.subnets,
        security_groups: requested.security_groups.unwrap_or_default(),
        assign_public_ip: requested.assign_public_ip.unwrap_or_default(),
    };
    if network.subnets.is_empty() {
        return Err(invalid("subnets can not be empty."));
    }
    if network.subnets.len() > MOST_SUBNETS {
        return Err(invalid(format!("The number of subnets must be at most {MOST_SUBNETS}.")));
    }
    if network.security_groups.len() > MOST_GROUPS {
        return Err(invalid(format!("The number of security groups must be at most {MOST_GROUPS}.")));
    }
    let mut vpcs = BTreeSet::new();
    for id in &network.subnets {
        let subnet = subnet::get(rows, context, id)
            .map_err(|_| invalid(format!("The subnet ID '{id}' does not exist")))?;
        vpcs.insert(subnet.vpc_id.clone());
    }
    if vpcs.len() > 1 {
        return Err(invalid("The subnets must be in the same VPC."));
    }
    for id in &network.security_groups {
        let group = security_group::get(rows, context, id)
            .map_err(|_| invalid(format!("The security group '{id}' does not exist")))?;
        if !vpcs.contains(&group.vpc_id) {
            return Err(invalid("Security group and subnet belong to different networks."));
        }
    }
    Ok(network)
}

/// The VPC of a network whose subnets exist.
pub(crate) fn vpc(rows: &Snapshot, context: &Context, network: &Network) -> Option<VpcId> {
    let first = network.subnets.first()?;
    subnet::get(rows, context, first).ok().map(|subnet| subnet.vpc_id.clone())
}
