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
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, address, answer, dhcp_options, public_address, security_group, subnet, vpc};

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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNetworkInterfaces {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    network_interface_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkInterfacesResponse {
    network_interface_set: Vec<InterfaceDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InterfaceDescription {
    network_interface_id: String,
    subnet_id: String,
    vpc_id: String,
    availability_zone: String,
    availability_zone_id: String,
    description: String,
    owner_id: String,
    requester_id: String,
    requester_managed: bool,
    status: &'static str,
    interface_type: &'static str,
    mac_address: String,
    private_ip_address: String,
    private_dns_name: String,
    source_dest_check: bool,
    group_set: Vec<GroupDescription>,
    attachment: AttachmentDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    association: Option<AssociationDescription>,
    private_ip_addresses_set: Vec<PrivateAddress>,
    ipv6_addresses_set: Vec<String>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupDescription {
    group_id: String,
    group_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentDescription {
    attachment_id: String,
    instance_owner_id: String,
    device_index: u8,
    status: &'static str,
    attach_time: String,
    delete_on_termination: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct AssociationDescription {
    public_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_dns_name: Option<String>,
    ip_owner_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    association_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateAddress {
    private_ip_address: String,
    private_dns_name: String,
    primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    association: Option<AssociationDescription>,
}

/// The public name of a public address. Source: "DNS attributes for your VPC" in the VPC user guide.
pub fn public_dns_name(region: &Region, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    match region.as_str() {
        "us-east-1" => format!("ec2-{a}-{b}-{c}-{d}.compute-1.amazonaws.com"),
        region => format!("ec2-{a}-{b}-{c}-{d}.{region}.compute.amazonaws.com"),
    }
}

impl InterfaceDescription {
    fn new(rows: &Snapshot, context: &Context, interface: &NetworkInterface) -> Self {
        let named =
            vpc::get(rows, context, interface.vpc_id.as_str()).is_ok_and(|vpc| vpc.enable_dns_hostnames);
        let association = interface.public_address.map(|public| AssociationDescription {
            public_ip: public.to_string(),
            public_dns_name: named.then(|| public_dns_name(&interface.region, public)),
            ip_owner_id: match interface.elastic {
                Some(_) => interface.account.to_string(),
                None if interface.requester == "amazon-elb" => "amazon-elb".to_owned(),
                None => "amazon".to_owned(),
            },
            allocation_id: interface.elastic.as_ref().map(|elastic| elastic.allocation_id.to_string()),
            association_id: interface.elastic.as_ref().map(|elastic| elastic.association_id.to_string()),
        });
        let group = |id: &SecurityGroupId| GroupDescription {
            group_id: id.to_string(),
            group_name: security_group::get(rows, context, id.as_str())
                .map(|group| group.name.clone())
                .unwrap_or_default(),
        };
        let zones = context.region.zones();
        let zone = zones.into_iter().find(|zone| zone.name == interface.availability_zone);
        Self {
            network_interface_id: interface.id.to_string(),
            subnet_id: interface.subnet_id.to_string(),
            vpc_id: interface.vpc_id.to_string(),
            availability_zone: interface.availability_zone.clone(),
            availability_zone_id: zone.map(|zone| zone.id).unwrap_or_default(),
            description: interface.description.clone(),
            owner_id: interface.account.to_string(),
            requester_id: interface.requester.clone(),
            requester_managed: interface.is_requester_managed(),
            status: "in-use",
            interface_type: match interface.kind {
                InterfaceKind::NatGateway => "nat_gateway",
                InterfaceKind::Task | InterfaceKind::LoadBalancer => "interface",
            },
            mac_address: interface.mac_address(),
            private_ip_address: interface.private_address.to_string(),
            private_dns_name: interface.private_dns_name(),
            source_dest_check: interface.source_dest_check,
            group_set: interface.security_groups.iter().map(group).collect(),
            attachment: AttachmentDescription {
                attachment_id: interface.attachment_id.to_string(),
                instance_owner_id: interface.requester.clone(),
                device_index: 1,
                status: "attached",
                attach_time: interface.created_at.iso(),
                delete_on_termination: false,
            },
            association: association.clone(),
            private_ip_addresses_set: vec![PrivateAddress {
                private_ip_address: interface.private_address.to_string(),
                private_dns_name: interface.private_dns_name(),
                primary: true,
                association,
            }],
            ipv6_addresses_set: Vec::new(),
            tag_set: tag::of(rows, context, &interface.id),
        }
    }

    fn of_association(&self, value: fn(&AssociationDescription) -> Option<&String>) -> Vec<String> {
        self.association.iter().filter_map(value).cloned().collect()
    }
}

impl Item for InterfaceDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("addresses.association.owner-id", |one| one.of_association(|of| Some(&of.ip_owner_id))),
        ("addresses.association.public-ip", |one| one.of_association(|of| Some(&of.public_ip))),
        ("addresses.primary", |_| vec!["true".to_owned()]),
        ("addresses.private-ip-address", |one| vec![one.private_ip_address.clone()]),
        ("association.allocation-id", |one| one.of_association(|of| of.allocation_id.as_ref())),
        ("association.association-id", |one| one.of_association(|of| of.association_id.as_ref())),
        ("association.ip-owner-id", |one| one.of_association(|of| Some(&of.ip_owner_id))),
        ("association.public-dns-name", |one| one.of_association(|of| of.public_dns_name.as_ref())),
        ("association.public-ip", |one| one.of_association(|of| Some(&of.public_ip))),
        ("attachment.attach-time", |one| vec![one.attachment.attach_time.clone()]),
        ("attachment.attachment-id", |one| vec![one.attachment.attachment_id.clone()]),
        ("attachment.delete-on-termination", |one| vec![one.attachment.delete_on_termination.to_string()]),
        ("attachment.device-index", |one| vec![one.attachment.device_index.to_string()]),
        ("attachment.instance-id", |_| Vec::new()),
        ("attachment.instance-owner-id", |one| vec![one.attachment.instance_owner_id.clone()]),
        ("attachment.status", |one| vec![one.attachment.status.to_owned()]),
        ("availability-zone", |one| vec![one.availability_zone.clone()]),
        ("availability-zone-id", |one| vec![one.availability_zone_id.clone()]),
        ("description", |one| vec![one.description.clone()]),
        ("group-id", |one| one.group_set.iter().map(|group| group.group_id.clone()).collect()),
        ("group-name", |one| one.group_set.iter().map(|group| group.group_name.clone()).collect()),
        ("interface-type", |one| vec![one.interface_type.to_owned()]),
        ("ipv6-addresses.ipv6-address", |_| Vec::new()),
        ("mac-address", |one| vec![one.mac_address.clone()]),
        ("network-interface-id", |one| vec![one.network_interface_id.clone()]),
        ("owner-id", |one| vec![one.owner_id.clone()]),
        ("private-dns-name", |one| vec![one.private_dns_name.clone()]),
        ("private-ip-address", |one| vec![one.private_ip_address.clone()]),
        ("requester-id", |one| vec![one.requester_id.clone()]),
        ("requester-managed", |one| vec![one.requester_managed.to_string()]),
        ("source-dest-check", |one| vec![one.source_dest_check.to_string()]),
        ("status", |one| vec![one.status.to_owned()]),
        ("subnet-id", |one| vec![one.subnet_id.clone()]),
        ("vpc-id", |one| vec![one.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.network_interface_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        NetworkInterface::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNetworkInterfaces,
) -> Result<DescribeNetworkInterfacesResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows
        .scan::<NetworkInterface>(&prefix)
        .map(|interface| InterfaceDescription::new(rows, context, &interface));
    let page = Ask {
        ids: &request.network_interface_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeNetworkInterfacesResponse { network_interface_set: page.items, next_token: page.next_token },
    )
}
