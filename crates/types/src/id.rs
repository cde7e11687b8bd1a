//! Resource ids in AWS's forms, minted from the operating system's random numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `digits` random lower-case hexadecimal digits, at most 32.
///
/// # Panics
/// When the operating system has no random numbers to give, as nothing may be minted then.
pub fn random_hex(digits: usize) -> String {
    let mut bytes = [0_u8; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the operating system gives no random numbers: {error}");
    }
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    text
}

macro_rules! resource_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What every such id begins with, the hyphen included.
            pub const PREFIX: &'static str = $prefix;

            /// A new random id: the prefix and seventeen hexadecimal digits.
            pub fn mint() -> Self {
                Self(format!("{}{}", $prefix, random_hex(17)))
            }

            /// Whether a text has the form of such an id (8 or 17 hexadecimal digits behind the prefix).
            pub fn is_well_formed(text: &str) -> bool {
                text.strip_prefix($prefix).is_some_and(|rest| {
                    matches!(rest.len(), 8 | 17) && rest.bytes().all(|b| b.is_ascii_hexdigit())
                })
            }

            /// The id as AWS prints it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            /// Takes the text as it is: an id that names nothing is found out by looking it up.
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    )*};
}

resource_ids! {
    /// A virtual private cloud.
    VpcId = "vpc-";
    /// A subnet.
    SubnetId = "subnet-";
    /// A route table.
    RouteTableId = "rtb-";
    /// The association of a route table with a subnet, or as the main table with a VPC.
    RouteTableAssociationId = "rtbassoc-";
    /// An internet gateway.
    InternetGatewayId = "igw-";
    /// A NAT gateway.
    NatGatewayId = "nat-";
    /// An elastic IP address's allocation.
    AllocationId = "eipalloc-";
    /// An elastic IP address's association with a network interface.
    AddressAssociationId = "eipassoc-";
    /// A security group.
    SecurityGroupId = "sg-";
    /// A security group's rule.
    SecurityGroupRuleId = "sgr-";
    /// A network ACL.
    NetworkAclId = "acl-";
    /// The association of a network ACL with a subnet.
    NetworkAclAssociationId = "aclassoc-";
    /// An elastic network interface (ENI).
    NetworkInterfaceId = "eni-";
    /// The attachment of an elastic network interface.
    NetworkInterfaceAttachmentId = "eni-attach-";
    /// A set of DHCP options.
    DhcpOptionsId = "dopt-";
    /// A VPC peering connection.
    VpcPeeringConnectionId = "pcx-";
    /// A VPC endpoint.
    VpcEndpointId = "vpce-";
    /// A prefix list, customer-managed or AWS's own.
    PrefixListId = "pl-";
    /// The association of a VPC with one of its CIDR blocks.
    VpcCidrAssociationId = "vpc-cidr-assoc-";
    /// A path of the Reachability Analyzer.
    NetworkInsightsPathId = "nip-";
    /// A flow log.
    FlowLogId = "fl-";
    /// An analysis of the Reachability Analyzer.
    NetworkInsightsAnalysisId = "nia-";
}

/// An ECS task's id: 32 hexadecimal digits, the last part of its ARN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(String);

impl TaskId {
    /// A new random id.
    pub fn mint() -> Self {
        Self(random_hex(32))
    }

    /// The id as AWS prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for TaskId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_are_well_formed_and_differ() {
        let (a, b) = (VpcId::mint(), VpcId::mint());
        assert!(VpcId::is_well_formed(a.as_str()), "{a}");
        assert_ne!(a, b);
        assert_eq!(TaskId::mint().as_str().len(), 32);
    }

    #[test]
    fn other_texts_are_not_well_formed() {
        for text in ["vpc-", "vpc-xyz", "subnet-0123456789abcdef0", "vpc-0123456789abcdef01"] {
            assert!(!VpcId::is_well_formed(text), "{text}");
        }
    }
}
