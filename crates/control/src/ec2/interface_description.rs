//! DescribeNetworkInterfaces.

use desired::InterfaceKind;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::SecurityGroupId;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::interface::{NetworkInterface, private_dns_name, public_dns_name};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer, security_group, vpc};

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
pub(super) struct InterfaceDescription {
    network_interface_id: String,
    subnet_id: String,
    vpc_id: String,
    availability_zone: String,
    availability_zone_id: String,
    description: String,
    owner_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    requester_id: String,
    requester_managed: bool,
    status: &'static str,
    interface_type: &'static str,
    mac_address: String,
    private_ip_address: String,
    private_dns_name: String,
    source_dest_check: bool,
    pub(super) group_set: Vec<GroupDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attachment: Option<AttachmentDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    association: Option<AssociationDescription>,
    private_ip_addresses_set: Vec<PrivateAddress>,
    ipv6_addresses_set: Vec<String>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupDescription {
    group_id: String,
    group_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentDescription {
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

impl InterfaceDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, interface: &NetworkInterface) -> Self {
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
            status: if interface.is_attached() { "in-use" } else { "available" },
            interface_type: match interface.kind {
                Some(InterfaceKind::NatGateway) => "nat_gateway",
                Some(InterfaceKind::Endpoint) => "vpc_endpoint",
                Some(InterfaceKind::Task | InterfaceKind::LoadBalancer) | None => "interface",
            },
            mac_address: interface.mac_address(),
            private_ip_address: interface.private_address.to_string(),
            private_dns_name: interface.private_dns_name(),
            source_dest_check: interface.source_dest_check,
            group_set: interface.security_groups.iter().map(group).collect(),
            attachment: interface.attachment_id.as_ref().map(|id| AttachmentDescription {
                attachment_id: id.to_string(),
                instance_owner_id: interface.requester.clone(),
                device_index: 1,
                status: "attached",
                attach_time: interface.created_at.iso(),
                delete_on_termination: false,
            }),
            private_ip_addresses_set: interface
                .private_addresses()
                .map(|address| {
                    let primary = address == interface.private_address;
                    PrivateAddress {
                        private_ip_address: address.to_string(),
                        private_dns_name: private_dns_name(&interface.region, address),
                        primary,
                        association: association.clone().filter(|_| primary),
                    }
                })
                .collect(),
            association,
            ipv6_addresses_set: Vec::new(),
            tag_set: tag::of(rows, context, &interface.id),
        }
    }

    fn of_association(&self, value: fn(&AssociationDescription) -> Option<&String>) -> Vec<String> {
        self.association.iter().filter_map(value).cloned().collect()
    }

    fn of_addresses(&self, value: fn(&PrivateAddress) -> String) -> Vec<String> {
        self.private_ip_addresses_set.iter().map(value).collect()
    }

    fn of_attachment(&self, value: fn(&AttachmentDescription) -> String) -> Vec<String> {
        self.attachment.iter().map(value).collect()
    }
}

impl Item for InterfaceDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("addresses.association.owner-id", |one| one.of_association(|of| Some(&of.ip_owner_id))),
        ("addresses.association.public-ip", |one| one.of_association(|of| Some(&of.public_ip))),
        ("addresses.primary", |one| one.of_addresses(|of| of.primary.to_string())),
        ("addresses.private-ip-address", |one| one.of_addresses(|of| of.private_ip_address.clone())),
        ("association.allocation-id", |one| one.of_association(|of| of.allocation_id.as_ref())),
        ("association.association-id", |one| one.of_association(|of| of.association_id.as_ref())),
        ("association.ip-owner-id", |one| one.of_association(|of| Some(&of.ip_owner_id))),
        ("association.public-dns-name", |one| one.of_association(|of| of.public_dns_name.as_ref())),
        ("association.public-ip", |one| one.of_association(|of| Some(&of.public_ip))),
        ("attachment.attach-time", |one| one.of_attachment(|of| of.attach_time.clone())),
        ("attachment.attachment-id", |one| one.of_attachment(|of| of.attachment_id.clone())),
        ("attachment.delete-on-termination", |one| {
            one.of_attachment(|of| of.delete_on_termination.to_string())
        }),
        ("attachment.device-index", |one| one.of_attachment(|of| of.device_index.to_string())),
        ("attachment.instance-id", |_| Vec::new()),
        ("attachment.instance-owner-id", |one| one.of_attachment(|of| of.instance_owner_id.clone())),
        ("attachment.status", |one| one.of_attachment(|of| of.status.to_owned())),
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
