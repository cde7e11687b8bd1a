//! Elastic IP addresses.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, AddressAssociationId, AllocationId, NetworkInterfaceId, Region};
use wire::{ApiError, OnlyDefault};

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values, matcher};
use crate::ec2::interface::{Elastic, NetworkInterface};
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::{Nothing, Resource, answer, public_address};

/// An elastic IP address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its allocation's id.
    pub id: AllocationId,
    /// The address.
    pub public_address: Ipv4Addr,
    /// The interface that it leads to.
    pub association: Option<Association>,
}

/// Where an elastic address leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// Its id.
    pub id: AddressAssociationId,
    /// The interface.
    pub interface_id: NetworkInterfaceId,
    /// The interface's private address.
    pub private_address: Ipv4Addr,
}

// The association shows in the network through the interface's public address; an unused address shows nowhere.
super::row!(Address, "ec2_address", |_| Vec::new());

impl Resource for Address {
    const TYPE: &'static str = "elastic-ip";
    const PREFIX: &'static str = AllocationId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidAllocationID.NotFound", format!("The allocation ID '{id}' does not exist"))
    }
}

/// The elastic address of this allocation id in the caller's account and region.
///
/// # Errors
/// InvalidAllocationID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<Address>, ApiError> {
    super::get(rows, context, id)
}

/// Leads a free elastic address to an interface.
///
/// # Errors
/// Resource.AlreadyAssociated when it leads somewhere already, or the interface has another public address.
pub fn lead_to(
    rows: &mut Tx,
    context: &Context,
    allocation_id: &str,
    interface_id: &NetworkInterfaceId,
) -> Result<Arc<Address>, ApiError> {
    let address = get(rows, context, allocation_id)?;
    if let Some(there) = &address.association {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {} is already associated with associate-id {}", address.id, there.id),
        ));
    }
    let interface = super::get::<NetworkInterface>(rows, context, interface_id.as_str())?;
    if let Some(public) = interface.public_address {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {} is already associated with address {public}", interface.id),
        ));
    }
    let id = AddressAssociationId::mint();
    rows.put(NetworkInterface {
        public_address: Some(address.public_address),
        elastic: Some(Elastic { allocation_id: address.id.clone(), association_id: id.clone() }),
        ..(*interface).clone()
    });
    let association =
        Association { id, interface_id: interface.id.clone(), private_address: interface.private_address };
    Ok(rows.put(Address { association: Some(association), ..(*address).clone() }))
}

/// Frees an elastic address whose interface is going.
pub(super) fn free(rows: &mut Tx, context: &Context, allocation_id: &AllocationId) {
    if let Some(address) = rows.get::<Address>(&context.key(allocation_id)) {
        rows.put(Address { association: None, ..(*address).clone() });
    }
}

/// The most elastic addresses of a region. Source: "Amazon VPC quotas".
const MOST: usize = 5;

wire::documented_default!(
    /// The only domain since EC2-Classic ended.
    Vpc = "vpc"
);
wire::documented_default!(
    /// The pool that AWS gives addresses from.
    Amazon = "amazon"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AllocateAddress {
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    domain: OnlyDefault<Vpc>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    public_ipv4_pool: OnlyDefault<Amazon>,
    network_border_group: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllocateAddressResponse {
    allocation_id: String,
    public_ip: String,
    domain: &'static str,
    public_ipv4_pool: &'static str,
    network_border_group: String,
}

/// A region has one border group: itself.
fn check_border_group(context: &Context, group: Option<&str>) -> Result<(), ApiError> {
    match group {
        Some(group) if group != context.region.as_str() => {
            Err(super::invalid(group, "networkBorderGroup", "It is not one of this region's."))
        }
        _ => Ok(()),
    }
}

pub(super) fn allocate(
    rows: &mut Tx,
    context: &Context,
    request: AllocateAddress,
) -> Result<AllocateAddressResponse, ApiError> {
    check_border_group(context, request.network_border_group.as_deref())?;
    if rows.scan::<Address>(&context.prefix()).count() >= MOST {
        return Err(ApiError::new(
            "AddressLimitExceeded",
            "The maximum number of addresses has been reached.",
        ));
    }
    let public_address = public_address::take(rows)?;
    let address = rows.put(Address {
        account: context.account.clone(),
        region: context.region.clone(),
        id: AllocationId::mint(),
        public_address,
        association: None,
    });
    tag::specify::<Address>(rows, context, &address.id, &request.tag_specification)?;
    answer(
        request.dry_run,
        AllocateAddressResponse {
            allocation_id: address.id.to_string(),
            public_ip: address.public_address.to_string(),
            domain: "vpc",
            public_ipv4_pool: "amazon",
            network_border_group: context.region.to_string(),
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReleaseAddress {
    allocation_id: String,
    network_border_group: Option<String>,
    dry_run: Option<bool>,
}

pub(super) fn release(
    rows: &mut Tx,
    context: &Context,
    request: ReleaseAddress,
) -> Result<Nothing, ApiError> {
    check_border_group(context, request.network_border_group.as_deref())?;
    let address = get(rows, context, &request.allocation_id)?;
    if address.association.is_some() {
        return Err(ApiError::new(
            "InvalidIPAddress.InUse",
            format!("Address {} is in use.", address.public_address),
        ));
    }
    public_address::give_back(rows, address.public_address);
    tag::forget(rows, context, &address.id);
    rows.delete::<Address>(&context.key(&address.id));
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeAddresses {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    allocation_id: Vec<String>,
    #[serde(default)]
    public_ip: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeAddressesResponse {
    addresses_set: Vec<AddressDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AddressDescription {
    allocation_id: String,
    public_ip: String,
    domain: &'static str,
    public_ipv4_pool: &'static str,
    network_border_group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    association_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_owner_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_ip_address: Option<String>,
    tag_set: Vec<Tag>,
}

impl AddressDescription {
    fn new(rows: &Snapshot, context: &Context, address: &Address) -> Self {
        let association = address.association.as_ref();
        Self {
            allocation_id: address.id.to_string(),
            public_ip: address.public_address.to_string(),
            domain: "vpc",
            public_ipv4_pool: "amazon",
            network_border_group: address.region.to_string(),
            association_id: association.map(|one| one.id.to_string()),
            network_interface_id: association.map(|one| one.interface_id.to_string()),
            network_interface_owner_id: association.map(|_| address.account.to_string()),
            private_ip_address: association.map(|one| one.private_address.to_string()),
            tag_set: tag::of(rows, context, &address.id),
        }
    }
}

impl Item for AddressDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("allocation-id", |address| vec![address.allocation_id.clone()]),
        ("association-id", |address| address.association_id.iter().cloned().collect()),
        ("domain", |address| vec![address.domain.to_owned()]),
        ("instance-id", |_| Vec::new()),
        ("network-border-group", |address| vec![address.network_border_group.clone()]),
        ("network-interface-id", |address| address.network_interface_id.iter().cloned().collect()),
        ("network-interface-owner-id", |address| {
            address.network_interface_owner_id.iter().cloned().collect()
        }),
        ("private-ip-address", |address| address.private_ip_address.iter().cloned().collect()),
        ("public-ip", |address| vec![address.public_ip.clone()]),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 1..=1000;

    fn id(&self) -> &str {
        &self.allocation_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        Address::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeAddresses,
) -> Result<DescribeAddressesResponse, ApiError> {
    let prefix = context.prefix();
    // The call has no pages.
    let matches = matcher::<AddressDescription>(&request.filter)?;
    let all: Vec<_> = rows
        .scan::<Address>(&prefix)
        .map(|address| AddressDescription::new(rows, context, &address))
        .collect();
    for wanted in &request.public_ip {
        if !all.iter().any(|address| address.public_ip == *wanted) {
            return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{wanted}' not found.")));
        }
    }
    let ids = Ask { ids: &request.allocation_id, ..Ask::default() };
    let mut addresses_set = ids.page(all.into_iter())?.items;
    addresses_set.retain(|address| {
        matches(address) && (request.public_ip.is_empty() || request.public_ip.contains(&address.public_ip))
    });
    answer(request.dry_run, DescribeAddressesResponse { addresses_set })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeAddressesAttribute {
    #[serde(default)]
    allocation_id: Vec<String>,
    attribute: Option<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeAddressesAttributeResponse {
    address_set: Vec<AddressAttribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// No address has a domain name (ptrRecord): ModifyAddressAttribute is not supported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AddressAttribute {
    public_ip: String,
    allocation_id: String,
}

pub(super) fn describe_attribute(
    rows: &Snapshot,
    context: &Context,
    request: DescribeAddressesAttribute,
) -> Result<DescribeAddressesAttributeResponse, ApiError> {
    if let Some(attribute) = request.attribute.as_deref().filter(|attribute| *attribute != "domain-name") {
        return Err(super::invalid(attribute, "attribute", "The only attribute is domain-name."));
    }
    let prefix = context.prefix();
    let page = Ask {
        ids: &request.allocation_id,
        filters: &[],
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(rows.scan::<Address>(&prefix).map(|address| AddressDescription::new(rows, context, &address)))?;
    let show = |address: AddressDescription| AddressAttribute {
        public_ip: address.public_ip,
        allocation_id: address.allocation_id,
    };
    answer(
        request.dry_run,
        DescribeAddressesAttributeResponse {
            address_set: page.items.into_iter().map(show).collect(),
            next_token: page.next_token,
        },
    )
}
