//! Network interfaces (ENIs). Services make them: NAT gateways, load balancers, tasks.

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
    /// Its private address.
    pub private_address: Ipv4Addr,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its public address, automatic or elastic.
    pub public_address: Option<Ipv4Addr>,
    /// The elastic address that leads to it. None beside a public address: that one is automatic and goes with it.
    pub elastic: Option<Elastic>,
    /// Its security groups; none for a NAT gateway.
    pub security_groups: Vec<SecurityGroupId>,
    /// What it belongs to.
    pub kind: InterfaceKind,
    /// Whether packets from or to other addresses are dropped.
    pub source_dest_check: bool,
    /// The service's words.
    pub description: String,
    /// The service that made it, `amazon-elb`.
    pub requester: String,
    /// Its attachment's id.
    pub attachment_id: NetworkInterfaceAttachmentId,
    /// When it was made, and attached.
    pub created_at: Timestamp,
}

/// The elastic address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elastic {
    /// Its allocation.
    pub allocation_id: AllocationId,
    /// Its association with the interface.
    pub association_id: AddressAssociationId,
}

// A VPC's names are served where the VPC has interfaces.
super::row!(NetworkInterface, "ec2_network_interface", |interface| vec![
    PartId::Vpc(interface.vpc_id.clone()),
    PartId::Names
]);

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

    /// The MAC address as AWS prints it.
    pub fn mac_address(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    /// The name that the VPC's DNS server has for the private address: `ip-10-0-0-5.<region>.compute.internal`.
    pub fn private_dns_name(&self) -> String {
        let [a, b, c, d] = self.private_address.octets();
        format!("ip-{a}-{b}-{c}-{d}.{}", dhcp_options::domain_name(&self.region))
    }
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

/// Makes an interface: allocates a free private address of the subnet, a MAC address, and a public address if asked.
///
/// # Errors
/// InvalidSubnetID.NotFound, InvalidGroup.NotFound, InvalidParameter when a group is of another VPC,
/// SecurityGroupsPerInterfaceLimitExceeded, InsufficientFreeAddressesInSubnet, InsufficientAddressCapacity.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    new: NewInterface<'_>,
) -> Result<Arc<NetworkInterface>, ApiError> {
    let subnet = subnet::get(rows, context, new.subnet)?;
    let vpc = vpc::get(rows, context, subnet.vpc_id.as_str())?;
    let mut security_groups = Vec::new();
    for id in new.security_groups {
        let group = security_group::get(rows, context, id)?;
        if group.vpc_id != vpc.id {
            return Err(ApiError::new(
                "InvalidParameter",
                format!("Security group {id} and subnet {} belong to different networks.", subnet.id),
            ));
        }
        if !security_groups.contains(&group.id) {
            security_groups.push(group.id.clone());
        }
    }
    if security_groups.is_empty() && new.kind != InterfaceKind::NatGateway {
        security_groups.push(vpc.default_security_group.clone());
    }
    if security_groups.len() > MOST_GROUPS {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        ));
    }
    let (mut taken, mut macs) = (BTreeSet::new(), BTreeSet::new());
    for other in rows.scan::<NetworkInterface>(&context.prefix()).filter(|other| other.vpc_id == vpc.id) {
        taken.insert(other.private_address);
        macs.insert(other.mac);
    }
    // From a random place on, so that an address given back a moment ago is hardly met again while peers still keep
    // connections to it.
    let all = subnet.assignable();
    let size = u32::from(subnet.cidr_block.broadcast()) - u32::from(subnet.cidr_block.network());
    let start = usize::try_from(u32::from_str_radix(&random_hex(6), 16).unwrap_or(0) % size).unwrap_or(0);
    let free = all.clone().skip(start).chain(all).find(|address| !taken.contains(address));
    let Some(private_address) = free else {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            "The specified subnet does not have enough free addresses to satisfy the request.",
        ));
    };
    let mac = loop {
        let mac = random_mac();
        if !macs.contains(&mac) {
            break mac;
        }
    };
    let public_address = if new.public_address { Some(public_address::take(rows)?) } else { None };
    Ok(rows.put(NetworkInterface {
        account: context.account.clone(),
        region: context.region.clone(),
        id: NetworkInterfaceId::mint(),
        vpc_id: vpc.id.clone(),
        subnet_id: subnet.id.clone(),
        availability_zone: subnet.availability_zone.clone(),
        private_address,
        mac,
        public_address,
        elastic: None,
        security_groups,
        kind: new.kind,
        source_dest_check: new.kind != InterfaceKind::NatGateway,
        description: new.description,
        requester: new.requester.to_owned(),
        attachment_id: NetworkInterfaceAttachmentId::mint(),
        created_at: context.now,
    }))
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
    let mut groups: Vec<SecurityGroupId> = Vec::new();
    for group_id in security_groups {
        let group = security_group::get(rows, context, group_id)?;
        if group.vpc_id != interface.vpc_id {
            return Err(ApiError::new(
                "InvalidParameter",
                format!("Security group {group_id} and interface {id} belong to different networks."),
            ));
        }
        if !groups.contains(&group.id) {
            groups.push(group.id.clone());
        }
    }
    if groups.is_empty() || groups.len() > MOST_GROUPS {
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
