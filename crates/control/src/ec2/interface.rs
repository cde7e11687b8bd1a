//! Network interfaces (ENIs). Services make them (NAT gateways, load balancers, tasks, interface endpoints), and so do
//! users. A user's interface is attached to nothing, as there are no instances: it is a row with its addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::InterfaceKind;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, AddressAssociationId, AllocationId, NetworkInterfaceAttachmentId, NetworkInterfaceId, PartId,
    Region, SecurityGroupId, SubnetId, Timestamp, VpcId, random_hex,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::{Resource, address, dhcp_options, public_address, security_group, subnet, tag, vpc};

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: NetworkInterfaceId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// The name of its zone.
    pub availability_zone: String,
    /// Its primary private address.
    pub private_address: Ipv4Addr,
    /// Its secondary private addresses.
    #[serde(default)]
    pub secondary_addresses: Vec<Ipv4Addr>,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its public address, automatic or elastic.
    pub public_address: Option<Ipv4Addr>,
    /// The elastic address that leads to it. None beside a public address: that one is automatic and goes with it.
    pub elastic: Option<Elastic>,
    /// Its security groups; none for a NAT gateway.
    pub security_groups: Vec<SecurityGroupId>,
    /// What it is attached to; None: to nothing, so that it has no place in the network.
    pub kind: Option<InterfaceKind>,
    /// Whether packets from or to other addresses are dropped.
    pub source_dest_check: bool,
    /// The maker's words.
    pub description: String,
    /// The service that made it, `amazon-elb`. Empty: a user did.
    pub requester: String,
    /// Its attachment's id, when it is attached.
    pub attachment_id: Option<NetworkInterfaceAttachmentId>,
    /// When it was made, and attached.
    pub created_at: Timestamp,
    /// The token that its CreateNetworkInterface call gave.
    #[serde(default)]
    pub client_token: Option<String>,
}

/// The elastic address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elastic {
    /// Its allocation.
    pub allocation_id: AllocationId,
    /// Its association with the interface.
    pub association_id: AddressAssociationId,
}

// A VPC's names are served where the VPC has interfaces, and its gateway endpoints have listeners there alone.
super::row!(
    NetworkInterface,
    "ec2_network_interface",
    |interface| vec![PartId::Vpc(interface.vpc_id.clone()), PartId::Names, PartId::Edge],
    |interface| vec![format!("{}{}", found_by_vpc(&interface.vpc_id), interface.id)]
);

/// The prefix under which a VPC's interfaces are found.
fn found_by_vpc(vpc: &VpcId) -> String {
    format!("vpc/{vpc}/")
}

impl Resource for NetworkInterface {
    const TYPE: &'static str = "network-interface";
    const PREFIX: &'static str = NetworkInterfaceId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new(
            "InvalidNetworkInterfaceID.NotFound",
            format!("The networkInterface ID '{id}' does not exist"),
        )
    }
}

impl NetworkInterface {
    /// Whether a service made it; only that service may change it then.
    pub fn is_requester_managed(&self) -> bool {
        !self.requester.is_empty()
    }

    /// Whether it is attached to something, and thus has a place in the network.
    pub fn is_attached(&self) -> bool {
        self.kind.is_some()
    }

    /// Its private addresses, the primary one first.
    pub fn private_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        [self.private_address].into_iter().chain(self.secondary_addresses.iter().copied())
    }

    /// The MAC address as AWS prints it.
    pub fn mac_address(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    /// The name that the VPC's DNS server has for the private address: `ip-10-0-0-5.<region>.compute.internal`.
    pub fn private_dns_name(&self) -> String {
        private_dns_name(&self.region, self.private_address)
    }
}

/// The name that a VPC's DNS server has for a private address.
pub(super) fn private_dns_name(region: &Region, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("ip-{a}-{b}-{c}-{d}.{}", dhcp_options::domain_name(region))
}

/// What [`create`] makes.
#[derive(Debug, Clone)]
pub struct NewInterface<'a> {
    /// The subnet's id.
    pub subnet: &'a str,
    /// The groups' ids. Empty: the VPC's default group, but for a NAT gateway none.
    pub security_groups: &'a [String],
    /// The description, as DescribeNetworkInterfaces shows it.
    pub description: String,
    /// What it is for.
    pub kind: InterfaceKind,
    /// Whether it gets an automatic public address, which it keeps until it goes.
    pub public_address: bool,
    /// The service that makes it, `amazon-elb`; it also owns what the interface is attached to.
    pub requester: &'static str,
}

/// The most groups of an interface. Source: "Amazon VPC quotas".
const MOST_GROUPS: usize = 5;

/// The private addresses that a new interface shall have.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The primary one. None: a free one.
    pub(super) primary: Option<Ipv4Addr>,
    /// Secondary ones.
    pub(super) secondary: Vec<Ipv4Addr>,
    /// How many free ones more it gets as secondary ones.
    pub(super) secondary_count: usize,
}

/// Makes a service's interface: allocates a free private address of the subnet, a MAC address, and a public address if
/// asked.
///
/// # Errors
/// InvalidSubnetID.NotFound, InvalidGroup.NotFound, InvalidParameter when a group is of another VPC,
/// SecurityGroupsPerInterfaceLimitExceeded, InsufficientFreeAddressesInSubnet, InsufficientAddressCapacity.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    new: NewInterface<'_>,
) -> Result<Arc<NetworkInterface>, ApiError> {
    create_at(rows, context, new, &Wanted::default())
}

/// As [`create`], at addresses that were asked for.
///
/// # Errors
/// As [`create`], and as [`choose_addresses`].
pub(super) fn create_at(
    rows: &mut Tx,
    context: &Context,
    new: NewInterface<'_>,
    wanted: &Wanted,
) -> Result<Arc<NetworkInterface>, ApiError> {
    let made = new_row(rows, context, new.subnet, new.security_groups, Some(new.kind), wanted)?;
    let public_address = if new.public_address { Some(public_address::take(rows)?) } else { None };
    Ok(rows.put(NetworkInterface {
        public_address,
        source_dest_check: new.kind != InterfaceKind::NatGateway,
        description: new.description,
        requester: new.requester.to_owned(),
        attachment_id: Some(NetworkInterfaceAttachmentId::mint()),
        ..made
    }))
}

/// A user's interface, not yet put: attached to nothing.
///
/// # Errors
/// As [`create`], and as [`choose_addresses`].
pub(super) fn new_row(
    rows: &Snapshot,
    context: &Context,
    subnet: &str,
    security_groups: &[String],
    kind: Option<InterfaceKind>,
    wanted: &Wanted,
) -> Result<NetworkInterface, ApiError> {
    let subnet = subnet::get(rows, context, subnet)?;
    let vpc = vpc::get(rows, context, subnet.vpc_id.as_str())?;
    let mut groups = groups_of(rows, context, &vpc.id, security_groups, &format!("subnet {}", subnet.id))?;
    if groups.is_empty() && kind != Some(InterfaceKind::NatGateway) {
        groups.push(vpc.default_security_group.clone());
    }
    let mut addresses =
        choose_addresses(rows, &subnet, wanted.primary.as_slice(), usize::from(wanted.primary.is_none()))?;
    let private_address = addresses.remove(0);
    let mut all = wanted.secondary.clone();
    all.push(private_address);
    let mut secondary_addresses = choose_addresses(rows, &subnet, &all, wanted.secondary_count)?;
    secondary_addresses.retain(|address| *address != private_address);
    let macs: BTreeSet<[u8; 6]> =
        rows.find::<NetworkInterface>(&found_by_vpc(&vpc.id)).map(|other| other.mac).collect();
    let mac = loop {
        let mac = random_mac();
        if !macs.contains(&mac) {
            break mac;
        }
    };
    Ok(NetworkInterface {
        account: context.account.clone(),
        region: context.region.clone(),
        id: NetworkInterfaceId::mint(),
        vpc_id: vpc.id.clone(),
        subnet_id: subnet.id.clone(),
        availability_zone: subnet.availability_zone.clone(),
        private_address,
        secondary_addresses,
        mac,
        public_address: None,
        elastic: None,
        security_groups: groups,
        kind,
        source_dest_check: true,
        description: String::new(),
        requester: String::new(),
        attachment_id: None,
        created_at: context.now,
        client_token: None,
    })
}

/// The groups of these ids, each once; they are of the VPC, and not more than an interface may have. `other` is what
/// the refusal names beside a group of another VPC.
///
/// # Errors
/// InvalidGroup.NotFound, InvalidParameter, SecurityGroupsPerInterfaceLimitExceeded.
pub(super) fn groups_of(
    rows: &Snapshot,
    context: &Context,
    vpc_id: &VpcId,
    ids: &[String],
    other: &str,
) -> Result<Vec<SecurityGroupId>, ApiError> {
    let mut groups = Vec::new();
    for id in ids {
        let group = security_group::get(rows, context, id)?;
        if group.vpc_id != *vpc_id {
            return Err(ApiError::new(
                "InvalidParameter",
                format!("Security group {id} and {other} belong to different networks."),
            ));
        }
        if !groups.contains(&group.id) {
            groups.push(group.id.clone());
        }
    }
    if groups.len() > MOST_GROUPS {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        ));
    }
    Ok(groups)
}

/// The given addresses of a subnet, which must be free, and as many free ones more as `count`.
///
/// # Errors
/// InvalidParameterValue for an address out of the subnet's range or reserved in it, InvalidIPAddress.InUse,
/// InsufficientFreeAddressesInSubnet.
pub(super) fn choose_addresses(
    rows: &Snapshot,
    subnet: &subnet::Subnet,
    given: &[Ipv4Addr],
    count: usize,
) -> Result<Vec<Ipv4Addr>, ApiError> {
    let mut taken: BTreeSet<Ipv4Addr> = rows
        .find::<NetworkInterface>(&found_by_vpc(&subnet.vpc_id))
        .flat_map(|other| other.private_addresses().collect::<Vec<_>>())
        .collect();
    let invalid = |message: String| ApiError::new("InvalidParameterValue", message);
    let mut chosen = Vec::new();
    for address in given {
        if !subnet.cidr_block.contains(address) {
            return Err(invalid(format!(
                "Address {address} does not fall within the subnet's address range"
            )));
        }
        if !subnet.assignable().any(|free| free == *address) {
            return Err(invalid(format!("Address {address} is in subnet's reserved address range")));
        }
        if !taken.insert(*address) {
            return Err(ApiError::new(
                "InvalidIPAddress.InUse",
                format!("The specified address {address} is already in use."),
            ));
        }
        chosen.push(*address);
    }
    // From a random place on, so that an address given back a moment ago is hardly met again while peers still keep
    // connections to it.
    let all = subnet.assignable();
    let size = u32::from(subnet.cidr_block.broadcast()) - u32::from(subnet.cidr_block.network());
    let start = usize::try_from(u32::from_str_radix(&random_hex(6), 16).unwrap_or(0) % size).unwrap_or(0);
    for _ in 0..count {
        let Some(free) = all.clone().skip(start).chain(all.clone()).find(|address| !taken.contains(address))
        else {
            return Err(ApiError::new(
                "InsufficientFreeAddressesInSubnet",
                "The specified subnet does not have enough free addresses to satisfy the request.",
            ));
        };
        taken.insert(free);
        chosen.push(free);
    }
    Ok(chosen)
}

/// A locally administered address that begins as AWS's do. 0a:00:… is left to the routers' ends.
fn random_mac() -> [u8; 6] {
    let random = u64::from_str_radix(&random_hex(10), 16).unwrap_or(0);
    let [_, _, _, b, c, d, e, f] = random.to_be_bytes();
    [0x0a, b.max(1), c, d, e, f]
}

/// Deletes an interface: gives back its automatic public address, frees its elastic one. No error if there is none.
pub fn delete(rows: &mut Tx, context: &Context, id: &str) {
    let Some(interface) = rows.delete::<NetworkInterface>(&context.key(id)) else { return };
    tag::forget(rows, context, id);
    match (&interface.elastic, interface.public_address) {
        (Some(elastic), _) => address::free(rows, context, &elastic.allocation_id),
        (None, Some(automatic)) => public_address::give_back(rows, automatic),
        (None, None) => {}
    }
}

/// The interface of this id in the caller's account and region.
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Option<Arc<NetworkInterface>> {
    rows.get::<NetworkInterface>(&context.key(id))
}

/// Gives an interface other security groups: SetSecurityGroups of a load balancer.
///
/// # Errors
/// As [`create`].
pub fn set_security_groups(
    rows: &mut Tx,
    context: &Context,
    id: &str,
    security_groups: &[String],
) -> Result<Arc<NetworkInterface>, ApiError> {
    let interface = super::get::<NetworkInterface>(rows, context, id)?;
    let groups = groups_of(rows, context, &interface.vpc_id, security_groups, &format!("interface {id}"))?;
    if groups.is_empty() {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            format!("An interface has one to {MOST_GROUPS} security groups."),
        ));
    }
    Ok(rows.put(NetworkInterface { security_groups: groups, ..(*interface).clone() }))
}

/// The public name of a public address. Source: "DNS attributes for your VPC" in the VPC user guide.
pub fn public_dns_name(region: &Region, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    match region.as_str() {
        "us-east-1" => format!("ec2-{a}-{b}-{c}-{d}.compute-1.amazonaws.com"),
        region => format!("ec2-{a}-{b}-{c}-{d}.{region}.compute.amazonaws.com"),
    }
}
