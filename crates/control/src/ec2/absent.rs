//! Listings of what no account here can have: they are asked for all the same, and are empty.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::answer;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::Tag;
use crate::ec2::vpc_endpoint;

/// A listing without items: what it would list, its call, the member of ids in its request, the member of items in its
/// answer, the page sizes that it takes, its filters besides those of tags, and the error for an id.
macro_rules! absent {
    (
        $(#[$doc:meta])*
        $item:ident by $handler:ident,
        $request:ident($($ids:ident)?) -> $response:ident.$set:ident, $sizes:expr,
        [$($filter:literal),* $(,)?],
        $code:literal, $words:literal
    ) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        enum $item {}

        impl Item for $item {
            const FILTERS: &'static [(&'static str, Values<Self>)] = &[$(($filter, |one| match *one {})),*];
            const PAGE_SIZES: RangeInclusive<i32> = $sizes;

            fn id(&self) -> &str {
                match *self {}
            }

            fn tags(&self) -> &[Tag] {
                match *self {}
            }

            fn not_found(id: &str) -> ApiError {
                ApiError::new($code, $words.replace("{}", id))
            }
        }

        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $request {
            $(#[serde(default)]
            $ids: Vec<String>,)?
            #[serde(default)]
            filter: Vec<Filter>,
            max_results: Option<i32>,
            next_token: Option<String>,
            dry_run: Option<bool>,
        }

        #[derive(Debug, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $response {
            $set: Vec<$item>,
        }

        pub(super) fn $handler(
            _: &Snapshot,
            _: &Context,
            request: $request,
        ) -> Result<$response, ApiError> {
            let ids: &[&[String]] = &[$(&request.$ids)?];
            let ask = Ask {
                ids: ids.first().copied().unwrap_or_default(),
                filters: &request.filter,
                max_results: request.max_results,
                next_token: request.next_token.as_deref(),
            };
            let page = ask.page(std::iter::empty())?;
            answer(request.dry_run, $response { $set: page.items })
        }
    };
}

absent! {
    /// A carrier gateway. There can be none: there are no Wavelength Zones.
    CarrierGateway by describe_carrier_gateways,
    DescribeCarrierGateways(carrier_gateway_id) -> DescribeCarrierGatewaysResponse.carrier_gateway_set, 5..=1000,
    ["carrier-gateway-id", "state", "owner-id", "vpc-id"],
    "InvalidCarrierGatewayID.NotFound", "The carrierGateway ID '{}' does not exist"
}

absent! {
    /// A customer gateway. There can be none: no VPN leads here.
    CustomerGateway by describe_customer_gateways,
    DescribeCustomerGateways(customer_gateway_id) -> DescribeCustomerGatewaysResponse.customer_gateway_set, 5..=1000,
    ["bgp-asn", "customer-gateway-id", "ip-address", "state", "type"],
    "InvalidCustomerGatewayID.NotFound", "The customerGateway ID '{}' does not exist"
}

absent! {
    /// An egress-only internet gateway. There can be none: no VPC has IPv6.
    EgressOnlyInternetGateway by describe_egress_only_internet_gateways,
    DescribeEgressOnlyInternetGateways(egress_only_internet_gateway_id) -> DescribeEgressOnlyInternetGatewaysResponse.egress_only_internet_gateway_set, 5..=255,
    [],
    "InvalidGatewayID.NotFound", "The egress only internet gateway ID '{}' does not exist"
}

absent! {
    /// An EC2 Instance Connect Endpoint. There can be none: there are no instances.
    InstanceConnectEndpoint by describe_instance_connect_endpoints,
    DescribeInstanceConnectEndpoints(instance_connect_endpoint_id) -> DescribeInstanceConnectEndpointsResponse.instance_connect_endpoint_set, 1..=50,
    ["instance-connect-endpoint-id", "state", "subnet-id", "vpc-id"],
    "InvalidInstanceConnectEndpointId.NotFound", "The instance connect endpoint ID '{}' does not exist"
}

absent! {
    /// Instances that were started together. There can be none: tasks run on Fargate.
    Reservation by describe_instances,
    DescribeInstances(instance_id) -> DescribeInstancesResponse.reservation_set, 5..=1000,
    [
        "affinity", "architecture", "availability-zone", "availability-zone-id",
        "block-device-mapping.attach-time", "block-device-mapping.delete-on-termination",
        "block-device-mapping.device-name", "block-device-mapping.status",
        "block-device-mapping.volume-id", "boot-mode", "capacity-reservation-id",
        "capacity-reservation-specification.capacity-reservation-preference",
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id",
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn",
        "client-token", "current-instance-boot-mode", "dns-name", "ebs-optimized", "ena-support",
        "enclave-options.enabled", "hibernation-options.configured", "host-id", "hypervisor",
        "iam-instance-profile.arn", "iam-instance-profile.id", "image-id", "instance-id",
        "instance-lifecycle", "instance-state-code", "instance-state-name", "instance-type",
        "instance.group-id", "instance.group-name", "ip-address", "ipv6-address", "kernel-id", "key-name",
        "launch-index", "launch-time", "maintenance-options.auto-recovery",
        "metadata-options.http-endpoint", "metadata-options.http-protocol-ipv4",
        "metadata-options.http-protocol-ipv6", "metadata-options.http-put-response-hop-limit",
        "metadata-options.http-tokens", "metadata-options.instance-metadata-tags",
        "metadata-options.state", "monitoring-state",
        "network-interface.addresses.association.allocation-id",
        "network-interface.addresses.association.association-id",
        "network-interface.addresses.association.carrier-ip",
        "network-interface.addresses.association.customer-owned-ip",
        "network-interface.addresses.association.ip-owner-id",
        "network-interface.addresses.association.public-dns-name",
        "network-interface.addresses.association.public-ip", "network-interface.addresses.primary",
        "network-interface.addresses.private-dns-name", "network-interface.addresses.private-ip-address",
        "network-interface.association.allocation-id", "network-interface.association.association-id",
        "network-interface.association.carrier-ip", "network-interface.association.customer-owned-ip",
        "network-interface.association.ip-owner-id", "network-interface.association.public-dns-name",
        "network-interface.association.public-ip", "network-interface.attachment.attach-time",
        "network-interface.attachment.attachment-id",
        "network-interface.attachment.delete-on-termination", "network-interface.attachment.device-index",
        "network-interface.attachment.instance-id", "network-interface.attachment.instance-owner-id",
        "network-interface.attachment.network-card-index", "network-interface.attachment.status",
        "network-interface.availability-zone", "network-interface.deny-all-igw-traffic",
        "network-interface.description", "network-interface.group-id", "network-interface.group-name",
        "network-interface.ipv4-prefixes.ipv4-prefix", "network-interface.ipv6-address",
        "network-interface.ipv6-addresses.ipv6-address",
        "network-interface.ipv6-addresses.is-primary-ipv6", "network-interface.ipv6-native",
        "network-interface.ipv6-prefixes.ipv6-prefix", "network-interface.mac-address",
        "network-interface.network-interface-id", "network-interface.operator.managed",
        "network-interface.operator.principal", "network-interface.outpost-arn",
        "network-interface.owner-id", "network-interface.private-dns-name",
        "network-interface.private-ip-address", "network-interface.public-dns-name",
        "network-interface.requester-id", "network-interface.requester-managed",
        "network-interface.status", "network-interface.source-dest-check", "network-interface.subnet-id",
        "network-interface.tag-key", "network-interface.tag-value", "network-interface.vpc-id",
        "network-performance-options.bandwidth-weighting", "operator.managed", "operator.principal",
        "outpost-arn", "owner-id", "placement-group-name", "placement-partition-number", "platform",
        "platform-details", "private-dns-name",
        "private-dns-name-options.enable-resource-name-dns-a-record",
        "private-dns-name-options.enable-resource-name-dns-aaaa-record",
        "private-dns-name-options.hostname-type", "private-ip-address", "product-code",
        "product-code.type", "ramdisk-id", "reason", "requester-id", "reservation-id", "root-device-name",
        "root-device-type", "source-dest-check", "spot-instance-request-id", "state-reason-code",
        "state-reason-message", "subnet-id", "tenancy", "tpm-support", "usage-operation",
        "usage-operation-update-time", "virtualization-type", "vpc-id"
    ],
    "InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"
}

absent! {
    /// A permission to attach another account's interface. There can be none: CreateNetworkInterfacePermission is refused.
    NetworkInterfacePermission by describe_network_interface_permissions,
    DescribeNetworkInterfacePermissions(network_interface_permission_id) -> DescribeNetworkInterfacePermissionsResponse.network_interface_permissions, 5..=255,
    [
        "network-interface-permission.network-interface-permission-id",
        "network-interface-permission.network-interface-id",
        "network-interface-permission.aws-account-id", "network-interface-permission.aws-service",
        "network-interface-permission.permission"
    ],
    "InvalidPermissionID.NotFound", "The network interface permission ID '{}' does not exist"
}

absent! {
    /// A security group in a VPC that is not its own. There can be none: AssociateSecurityGroupVpc is refused.
    SecurityGroupVpcAssociation by describe_security_group_vpc_associations,
    DescribeSecurityGroupVpcAssociations() -> DescribeSecurityGroupVpcAssociationsResponse.security_group_vpc_association_set, 5..=1000,
    ["group-id", "group-owner-id", "vpc-id", "vpc-owner-id", "state"],
    "InvalidSecurityGroupID.NotFound", "The security group '{}' does not exist"
}

absent! {
    /// What is attached to a transit gateway. There can be none.
    TransitGatewayAttachment by describe_transit_gateway_attachments,
    DescribeTransitGatewayAttachments(transit_gateway_attachment_ids) -> DescribeTransitGatewayAttachmentsResponse.transit_gateway_attachments, 5..=1000,
    [
        "association.state", "association.transit-gateway-route-table-id", "resource-id",
        "resource-owner-id", "resource-type", "state", "transit-gateway-attachment-id",
        "transit-gateway-id", "transit-gateway-owner-id"
    ],
    "InvalidTransitGatewayAttachmentID.NotFound", "Transit Gateway Attachment {} was deleted or does not exist."
}

absent! {
    /// A transit gateway's route table. There can be none.
    TransitGatewayRouteTable by describe_transit_gateway_route_tables,
    DescribeTransitGatewayRouteTables(transit_gateway_route_table_ids) -> DescribeTransitGatewayRouteTablesResponse.transit_gateway_route_tables, 5..=1000,
    [
        "default-association-route-table", "default-propagation-route-table", "state",
        "transit-gateway-id", "transit-gateway-route-table-id"
    ],
    "InvalidRouteTableID.NotFound", "Transit Gateway Route Table {} was deleted or does not exist."
}

absent! {
    /// A VPC at a transit gateway. There can be none.
    TransitGatewayVpcAttachment by describe_transit_gateway_vpc_attachments,
    DescribeTransitGatewayVpcAttachments(transit_gateway_attachment_ids) -> DescribeTransitGatewayVpcAttachmentsResponse.transit_gateway_vpc_attachments, 5..=1000,
    ["state", "transit-gateway-attachment-id", "transit-gateway-id", "vpc-id"],
    "InvalidTransitGatewayAttachmentID.NotFound", "Transit Gateway Attachment {} was deleted or does not exist."
}

absent! {
    /// A transit gateway. There can be none: VPCs are connected by peering here.
    TransitGateway by describe_transit_gateways,
    DescribeTransitGateways(transit_gateway_ids) -> DescribeTransitGatewaysResponse.transit_gateway_set, 5..=1000,
    [
        "options.propagation-default-route-table-id", "options.amazon-side-asn",
        "options.association-default-route-table-id", "options.auto-accept-shared-attachments",
        "options.default-route-table-association", "options.default-route-table-propagation",
        "options.dns-support", "options.vpn-ecmp-support", "owner-id", "state", "transit-gateway-id"
    ],
    "InvalidTransitGatewayID.NotFound", "Transit Gateway {} was deleted or does not exist."
}

absent! {
    /// An endpoint that asks for a customer's own service. There can be none, as there are no such services.
    VpcEndpointConnection by describe_vpc_endpoint_connections,
    DescribeVpcEndpointConnections() -> DescribeVpcEndpointConnectionsResponse.vpc_endpoint_connection_set, 5..=1000,
    [
        "ip-address-type", "service-id", "vpc-endpoint-owner", "vpc-endpoint-region",
        "vpc-endpoint-state", "vpc-endpoint-id"
    ],
    "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"
}

absent! {
    /// A customer's own endpoint service. There can be none: it stands behind load balancers of other kinds.
    ServiceConfiguration by describe_vpc_endpoint_service_configurations,
    DescribeVpcEndpointServiceConfigurations(service_id) -> DescribeVpcEndpointServiceConfigurationsResponse.service_configuration_set, 5..=1000,
    ["service-name", "service-id", "service-state", "supported-ip-address-types"],
    "InvalidVpcEndpointServiceId.NotFound", "The VpcEndpointService Id '{}' does not exist"
}

absent! {
    /// A VPN connection. There can be none: no VPN leads here.
    VpnConnection by describe_vpn_connections,
    DescribeVpnConnections(vpn_connection_id) -> DescribeVpnConnectionsResponse.vpn_connection_set, 5..=1000,
    [
        "customer-gateway-configuration", "customer-gateway-id", "state", "option.static-routes-only",
        "route.destination-cidr-block", "bgp-asn", "type", "vpn-connection-id", "vpn-gateway-id",
        "transit-gateway-id"
    ],
    "InvalidVpnConnectionID.NotFound", "The vpnConnection ID '{}' does not exist"
}

absent! {
    /// A virtual private gateway. There can be none: no VPN leads here.
    VpnGateway by describe_vpn_gateways,
    DescribeVpnGateways(vpn_gateway_id) -> DescribeVpnGatewaysResponse.vpn_gateway_set, 5..=1000,
    [
        "amazon-side-asn", "attachment.state", "attachment.vpc-id", "availability-zone", "state", "type",
        "vpn-gateway-id"
    ],
    "InvalidVpnGatewayID.NotFound", "The vpnGateway ID '{}' does not exist"
}

/// What an endpoint of a resource or of a service network is associated with. There can be none: such endpoints are
/// refused. The ids are those of endpoints, which there may be.
#[derive(Debug, Serialize)]
enum VpcEndpointAssociation {}

impl Item for VpcEndpointAssociation {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("vpc-endpoint-id", |one| match *one {}),
        ("associated-resource-accessibility", |one| match *one {}),
        ("association-id", |one| match *one {}),
        ("associated-resource-id", |one| match *one {}),
        ("service-network-arn", |one| match *one {}),
        ("resource-configuration-group-arn", |one| match *one {}),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 1..=100;

    fn id(&self) -> &str {
        match *self {}
    }

    fn tags(&self) -> &[Tag] {
        match *self {}
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcEndpointAssociations {
    #[serde(default)]
    vpc_endpoint_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcEndpointAssociationsResponse {
    vpc_endpoint_association_set: Vec<VpcEndpointAssociation>,
}

pub(super) fn describe_vpc_endpoint_associations(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcEndpointAssociations,
) -> Result<DescribeVpcEndpointAssociationsResponse, ApiError> {
    for id in &request.vpc_endpoint_id {
        vpc_endpoint::get(rows, context, id)?;
    }
    let ask = Ask {
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
        ..Ask::default()
    };
    let page = ask.page(std::iter::empty())?;
    answer(
        request.dry_run,
        DescribeVpcEndpointAssociationsResponse { vpc_endpoint_association_set: page.items },
    )
}

/// Why some actions are refused that a stack may well ask for.
pub(crate) const REASONS: &[(&str, &str)] = &[
    ("CreateEgressOnlyInternetGateway", "No VPC has IPv6."),
    ("AssociateSubnetCidrBlock", "No VPC has IPv6."),
    ("CreateCarrierGateway", "There are no Wavelength Zones."),
    ("CreateTransitGateway", "VPCs are connected by peering here."),
    ("CreateTransitGatewayVpcAttachment", "VPCs are connected by peering here."),
    ("RunInstances", "Landfall runs containers: tasks of ECS on Fargate."),
    ("CreateVpcEndpointServiceConfiguration", "Endpoints lead to AWS's own services alone."),
    ("AssociateSecurityGroupVpc", "A security group is its own VPC's."),
    ("CreateNetworkInterfacePermission", "An interface is its own account's."),
    ("CreateInstanceConnectEndpoint", "There are no instances."),
    ("CreateVpnGateway", "No VPN leads to a VPC here."),
    ("AttachVpnGateway", "No VPN leads to a VPC here."),
    ("CreateCustomerGateway", "No VPN leads to a VPC here."),
];
