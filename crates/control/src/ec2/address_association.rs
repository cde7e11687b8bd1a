//! AssociateAddress and DisassociateAddress: which interface an elastic address leads to.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::address::{Address, Association, get, lead_to};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::interface_attachment::no_instance;
use crate::ec2::interface_attribute::{managed_by_service, of_user};
use crate::ec2::{Nothing, answer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AssociateAddress {
    allocation_id: Option<String>,
    public_ip: Option<String>,
    instance_id: Option<String>,
    network_interface_id: Option<String>,
    private_ip_address: Option<Ipv4Addr>,
    allow_reassociation: Option<bool>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssociateAddressResponse {
    association_id: String,
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// The elastic address that an allocation id or the address itself names.
fn named(
    rows: &Snapshot,
    context: &Context,
    allocation_id: Option<&str>,
    public_ip: Option<&str>,
) -> Result<Arc<Address>, ApiError> {
    match (allocation_id, public_ip) {
        (Some(id), None) => get(rows, context, id),
        (None, Some(public)) => rows
            .scan::<Address>(&context.prefix())
            .find(|address| address.public_address.to_string() == public)
            .ok_or_else(|| {
                ApiError::new("InvalidAddress.NotFound", format!("Address '{public}' not found."))
            }),
        (None, None) => {
            Err(ApiError::new("MissingParameter", "Either public IP or allocation id must be specified"))
        }
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "You may specify public IP or allocation id, but not both in the same call",
        )),
    }
}

/// Leads an elastic address to a user's interface. It is taken from where it led before, unless AllowReassociation is
/// false.
pub(super) fn associate(
    rows: &mut Tx,
    context: &Context,
    request: AssociateAddress,
) -> Result<AssociateAddressResponse, ApiError> {
    let address =
        named(rows, context, given(request.allocation_id.as_ref()), given(request.public_ip.as_ref()))?;
    if let Some(id) = given(request.instance_id.as_ref()) {
        return Err(no_instance(id));
    }
    let Some(id) = given(request.network_interface_id.as_ref()) else {
        return Err(ApiError::new(
            "MissingParameter",
            "Either instance ID or network interface id must be specified",
        ));
    };
    let interface = of_user(rows, context, id)?;
    match request.private_ip_address {
        None => {}
        Some(private) if private == interface.private_address => {}
        Some(private) if interface.secondary_addresses.contains(&private) => {
            return Err(ApiError::unsupported(format_args!(
                "elastic addresses of secondary private addresses (PrivateIpAddress {private})"
            )));
        }
        Some(private) => {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("The private IP address {private} is not assigned to interface {id}"),
            ));
        }
    }
    let there = address.association.as_ref().filter(|there| there.interface_id == interface.id);
    let association_id = match there {
        // It leads there already.
        Some(there) => there.id.to_string(),
        None => {
            if request.allow_reassociation != Some(false) {
                if let Some(there) = &address.association {
                    end(rows, context, &address, there)?;
                }
                if let Some(other) = &interface.elastic {
                    let other = get(rows, context, other.allocation_id.as_str())?;
                    if let Some(there) = &other.association {
                        end(rows, context, &other, there)?;
                    }
                }
            }
            let address = lead_to(rows, context, address.id.as_str(), &interface.id)?;
            address.association.as_ref().map(|one| one.id.to_string()).unwrap_or_default()
        }
    };
    answer(request.dry_run, AssociateAddressResponse { association_id })
}

/// Ends an association, unless a service made it.
fn end(rows: &mut Tx, context: &Context, address: &Address, there: &Association) -> Result<(), ApiError> {
    let interface = super::get::<NetworkInterface>(rows, context, there.interface_id.as_str())?;
    if interface.is_requester_managed() {
        return Err(managed_by_service());
    }
    rows.put(NetworkInterface { public_address: None, elastic: None, ..(*interface).clone() });
    rows.put(Address { association: None, ..address.clone() });
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DisassociateAddress {
    association_id: Option<String>,
    public_ip: Option<String>,
    dry_run: Option<bool>,
}

pub(super) fn disassociate(
    rows: &mut Tx,
    context: &Context,
    request: DisassociateAddress,
) -> Result<Nothing, ApiError> {
    let address = match given(request.association_id.as_ref()) {
        Some(id) => rows
            .scan::<Address>(&context.prefix())
            .find(|address| address.association.as_ref().is_some_and(|there| there.id.as_str() == id))
            .ok_or_else(|| {
                ApiError::new(
                    "InvalidAssociationID.NotFound",
                    format!("The association ID '{id}' does not exist"),
                )
            })?,
        None => named(rows, context, None, given(request.public_ip.as_ref()))?,
    };
    let Some(there) = &address.association else {
        return Err(ApiError::new(
            "InvalidAssociationID.NotFound",
            format!("The address '{}' is not associated", address.public_address),
        ));
    };
    end(rows, context, &address, there)?;
    answer(request.dry_run, Nothing {})
}
