//! AWS's explanation codes, those that can come up here. Source: "Reachability Analyzer explanation codes" in the
//! Reachability Analyzer guide.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a packet does not get on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// As AWS writes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The route's target is gone or does not work: the state `blackhole`.
    BadStateRoute = "BAD_STATE_ROUTE";
    /// The ends are in VPCs that nothing connects.
    DisconnectedVpcs = "DISCONNECTED_VPCS";
    /// No rule of an interface's security groups fits.
    EniSgRulesMismatch = "ENI_SG_RULES_MISMATCH";
    /// The source/destination check of an interface.
    EniSourceDestCheckRestriction = "ENI_SOURCE_DEST_CHECK_RESTRICTION";
    /// Something comes through a gateway that cannot have come from there.
    GatewayRejectsSpoofedTraffic = "GATEWAY_REJECTS_SPOOFED_TRAFFIC";
    /// An internet gateway does not carry private addresses (RFC 1918) out.
    IgwDestinationAddressNotInRfc1918Egress = "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS";
    /// An internet gateway does not carry shared addresses (RFC 6598) out.
    IgwDestinationAddressNotInRfc6598Egress = "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS";
    /// From the internet only an interface's public address can be reached.
    IgwPrivateIpAssociationForIngress = "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS";
    /// Only an interface with a public address gets out through an internet gateway.
    IgwPublicIpAssociationForEgress = "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS";
    /// A NAT gateway carries only what interfaces of its own VPC send.
    NgwRequiresSourceInVpc = "NGW_REQUIRES_SOURCE_IN_VPC";
    /// There is no way at all, for example as a gateway is missing.
    NoPath = "NO_PATH";
    /// The component has nobody to hand the packet to.
    NoPossibleDestination = "NO_POSSIBLE_DESTINATION";
    /// The route table has no route that leads there.
    NoRouteToDestination = "NO_ROUTE_TO_DESTINATION";
    /// A peering connection carries only what goes to, and comes from, the two VPCs' own ranges.
    PcxRequiresAddressInVpcCidr = "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR";
    /// The component does not take this protocol or port.
    ProtocolRestriction = "PROTOCOL_RESTRICTION";
    /// A subnet's network ACL.
    SubnetAclRestriction = "SUBNET_ACL_RESTRICTION";
    /// A gateway endpoint takes only TCP and ICMP echo.
    VpceGatewayProtocolRestriction = "VPCE_GATEWAY_PROTOCOL_RESTRICTION";
    /// A VPC endpoint only answers.
    VpceIntraVpcTraffic = "VPCE_INTRA_VPC_TRAFFIC";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
