//! AssignPrivateIpAddresses and UnassignPrivateIpAddresses: the secondary addresses of users' interfaces.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{ApiError, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::interface::{NetworkInterface, choose_addresses};
use crate::ec2::interface_attribute::of_user;
use crate::ec2::{DONE, Done, subnet};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AssignPrivateIpAddresses {
    network_interface_id: String,
    #[serde(default)]
    private_ip_address: Vec<Ipv4Addr>,
    secondary_private_ip_address_count: Option<usize>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    allow_reassignment: OnlyDefault<False>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignPrivateIpAddressesResponse {
    network_interface_id: String,
    assigned_private_ip_addresses_set: Vec<Assigned>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Assigned {
    private_ip_address: Ipv4Addr,
}

pub(super) fn assign(
    rows: &mut Tx,
    context: &Context,
    request: AssignPrivateIpAddresses,
) -> Result<AssignPrivateIpAddressesResponse, ApiError> {
    let interface = of_user(rows, context, &request.network_interface_id)?;
    let count = request.secondary_private_ip_address_count.unwrap_or(0);
    if (count == 0) == request.private_ip_address.is_empty() {
        return Err(ApiError::new(
            if count == 0 { "MissingParameter" } else { "InvalidParameterCombination" },
            "The request must contain exactly one of privateIpAddress, secondaryPrivateIpAddressCount",
        ));
    }
    // An address that the interface has already is assigned to it.
    let mut new = request.private_ip_address.clone();
    new.retain(|address| !interface.secondary_addresses.contains(address));
    let subnet = subnet::get(rows, context, interface.subnet_id.as_str())?;
    let assigned = choose_addresses(rows, &subnet, &new, count)?;
    let mut interface = (*interface).clone();
    interface.secondary_addresses.extend(&assigned);
    let id = interface.id.to_string();
    rows.put(interface);
    let shown = if count == 0 { request.private_ip_address } else { assigned };
    Ok(AssignPrivateIpAddressesResponse {
        network_interface_id: id,
        assigned_private_ip_addresses_set: shown
            .into_iter()
            .map(|private_ip_address| Assigned { private_ip_address })
            .collect(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UnassignPrivateIpAddresses {
    network_interface_id: String,
    private_ip_address: Vec<Ipv4Addr>,
}

pub(super) fn unassign(
    rows: &mut Tx,
    context: &Context,
    request: UnassignPrivateIpAddresses,
) -> Result<Done, ApiError> {
    let interface = of_user(rows, context, &request.network_interface_id)?;
    if let Some(other) =
        request.private_ip_address.iter().find(|address| !interface.secondary_addresses.contains(address))
    {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Some of {{[{other}]}} is not assigned to interface {}", interface.id),
        ));
    }
    let mut interface: NetworkInterface = (*interface).clone();
    interface.secondary_addresses.retain(|address| !request.private_ip_address.contains(address));
    rows.put(interface);
    Ok(DONE)
}
