//! CreateNetworkInterface and DeleteNetworkInterface: interfaces of users.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{ApiError, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::interface::{self, NetworkInterface, Wanted, new_row};
use crate::ec2::interface_description::InterfaceDescription;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{DONE, Done, answer};

/// The most interfaces of a region. Source: "Amazon VPC quotas".
const MOST: usize = 5000;
/// The longest description. Source: CreateSecurityGroup's and CreateNetworkInterface's pages.
const LONGEST_DESCRIPTION: usize = 255;

/// A private address of a new interface.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddressSpecification {
    private_ip_address: Ipv4Addr,
    #[serde(default)]
    primary: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateNetworkInterface {
    subnet_id: String,
    description: Option<String>,
    private_ip_address: Option<Ipv4Addr>,
    #[serde(default)]
    private_ip_addresses: Vec<AddressSpecification>,
    secondary_private_ip_address_count: Option<usize>,
    #[serde(default)]
    security_group_id: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    enable_primary_ipv6: OnlyDefault<False>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNetworkInterfaceResponse {
    network_interface: InterfaceDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

/// The addresses that a request asks for. Source: CreateNetworkInterface's page.
fn wanted(request: &CreateNetworkInterface) -> Result<Wanted, ApiError> {
    let combination = |message: &str| Err(ApiError::new("InvalidParameterCombination", message));
    let primaries: Vec<Ipv4Addr> = request
        .private_ip_addresses
        .iter()
        .filter(|one| one.primary)
        .map(|one| one.private_ip_address)
        .chain(request.private_ip_address)
        .collect();
    if primaries.len() > 1 {
        return combination("Only one primary private IP address can be specified.");
    }
    let secondary: Vec<Ipv4Addr> = request
        .private_ip_addresses
        .iter()
        .filter(|one| !one.primary)
        .map(|one| one.private_ip_address)
        .collect();
    let secondary_count = request.secondary_private_ip_address_count.unwrap_or(0);
    if secondary_count > 0 && !secondary.is_empty() {
        return combination(
            "The parameters secondaryPrivateIpAddressCount and privateIpAddresses cannot be used together.",
        );
    }
    Ok(Wanted { primary: primaries.first().copied(), secondary, secondary_count })
}

/// The description of a user's interface, when it is one.
pub(super) fn check_description(description: &str) -> Result<(), ApiError> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(super::invalid(description, "description", "It is longer than 255 characters."));
    }
    Ok(())
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateNetworkInterface,
) -> Result<CreateNetworkInterfaceResponse, ApiError> {
    let token = request.client_token.clone().filter(|token| !token.is_empty());
    let prefix = context.prefix();
    let earlier = token.as_ref().and_then(|token| {
        rows.scan::<NetworkInterface>(&prefix).find(|one| one.client_token.as_ref() == Some(token))
    });
    let description = request.description.clone().unwrap_or_default();
    let interface = match earlier {
        Some(one) if one.subnet_id.as_str() != request.subnet_id || one.description != description => {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        Some(one) => one,
        None => {
            if rows.scan::<NetworkInterface>(&prefix).count() >= MOST {
                return Err(ApiError::new(
                    "NetworkInterfaceLimitExceeded",
                    "The maximum number of network interfaces has been reached.",
                ));
            }
            check_description(&description)?;
            let wanted = wanted(&request)?;
            let made = new_row(rows, context, &request.subnet_id, &request.security_group_id, None, &wanted)?;
            let one = rows.put(NetworkInterface { description, client_token: token.clone(), ..made });
            tag::specify::<NetworkInterface>(rows, context, &one.id, &request.tag_specification)?;
            one
        }
    };
    let network_interface = InterfaceDescription::new(rows, context, &interface);
    answer(request.dry_run, CreateNetworkInterfaceResponse { network_interface, client_token: token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNetworkInterface {
    network_interface_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteNetworkInterface,
) -> Result<Done, ApiError> {
    let interface = super::get::<NetworkInterface>(rows, context, &request.network_interface_id)?;
    if interface.is_attached() {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Network interface '{}' is currently in use.", interface.id),
        ));
    }
    interface::delete(rows, context, interface.id.as_str());
    answer(request.dry_run, DONE)
}
