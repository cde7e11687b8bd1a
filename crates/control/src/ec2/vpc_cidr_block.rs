//! The ranges of a VPC: which it may have, and those that are added to the primary one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::VpcCidrAssociationId;
use wire::{ApiError, Empty, False, OnlyDefault};

use crate::context::Context;
use crate::ec2::route_table::{Destination, RouteTable};
use crate::ec2::subnet::Subnet;
use crate::ec2::vpc::{Vpc, get, overlap, parse_cidr};
use crate::ec2::vpc_peering::{self, VpcPeeringConnection};

/// A secondary range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CidrBlock {
    /// The id of its association.
    pub association_id: VpcCidrAssociationId,
    /// The range.
    pub cidr_block: Ipv4Net,
}

/// The most IPv4 ranges of a VPC, the primary one included. Source: "Amazon VPC quotas".
const MOST: usize = 5;

const fn range(address: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(address[0], address[1], address[2], address[3]), length)
}

/// Ranges that AWS gives to no VPC: loopback, link-local (metadata lives there), multicast and beyond, "this network";
/// and the range of Landfall's own public addresses, to which no route could lead any more.
const RESERVED: [Ipv4Net; 5] = [
    range([0, 0, 0, 0], 8),
    range([127, 0, 0, 0], 8),
    range([169, 254, 0, 0], 16),
    range([198, 18, 0, 0], 15),
    range([224, 0, 0, 0], 3),
];

const TEN: Ipv4Net = range([10, 0, 0, 0], 8);
const ONE_SEVEN_TWO: Ipv4Net = range([172, 16, 0, 0], 12);
const ONE_NINE_TWO: Ipv4Net = range([192, 168, 0, 0], 16);

/// Refuses a range that no VPC may have.
///
/// # Errors
/// InvalidVpc.Range
pub(super) fn check_range(cidr_block: Ipv4Net) -> Result<(), ApiError> {
    let reserved = RESERVED.into_iter().any(|reserved| overlap(reserved, cidr_block));
    if reserved || !(16..=28).contains(&cidr_block.prefix_len()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{cidr_block}' is invalid.")));
    }
    Ok(())
}

/// Whether a range may not be added to a VPC with these ones, the primary one first.
/// Source: "IPv4 CIDR block association restrictions" in the VPC user guide.
fn is_restricted(ranges: &[Ipv4Net], new: Ipv4Net) -> bool {
    let Some(primary) = ranges.first() else { return false };
    let within = |family: Ipv4Net| family.contains(&new);
    let others: &[Ipv4Net] = match primary {
        primary if TEN.contains(primary) => &[ONE_SEVEN_TWO, ONE_NINE_TWO],
        primary if ONE_SEVEN_TWO.contains(primary) => &[TEN, ONE_NINE_TWO, range([172, 31, 0, 0], 16)],
        primary if ONE_NINE_TWO.contains(primary) => &[TEN, ONE_SEVEN_TWO],
        _ => &[TEN, ONE_SEVEN_TWO, ONE_NINE_TWO],
    };
    // "If any of the CIDR blocks associated with the VPC are from the 10.0.0.0/15 range, you can't add a CIDR block from
    // the 10.0.0.0/16 range."
    let ten = range([10, 0, 0, 0], 15);
    let crowded = ranges.iter().any(|range| ten.contains(range)) && within(range([10, 0, 0, 0], 16));
    crowded || others.iter().any(|family| within(*family))
}

/// A range of a VPC, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CidrBlockAssociation {
    association_id: String,
    cidr_block: String,
    cidr_block_state: State,
}

#[derive(Debug, Serialize)]
struct State {
    state: &'static str,
}

impl CidrBlockAssociation {
    fn new(id: &VpcCidrAssociationId, cidr_block: Ipv4Net, state: &'static str) -> Self {
        Self {
            association_id: id.to_string(),
            cidr_block: cidr_block.to_string(),
            cidr_block_state: State { state },
        }
    }

    /// All of a VPC's.
    pub(super) fn of(vpc: &Vpc) -> Vec<Self> {
        let primary = Self::new(&vpc.cidr_association_id, vpc.cidr_block, "associated");
        let secondary = vpc
            .secondary_cidr_blocks
            .iter()
            .map(|block| Self::new(&block.association_id, block.cidr_block, "associated"));
        std::iter::once(primary).chain(secondary).collect()
    }

    pub(super) fn association_id(&self) -> &str {
        &self.association_id
    }

    pub(super) fn cidr_block(&self) -> &str {
        &self.cidr_block
    }

    pub(super) fn state(&self) -> &'static str {
        self.cidr_block_state.state
    }
}

fn active_peerings(rows: &Snapshot, vpc: &Vpc) -> Vec<Arc<VpcPeeringConnection>> {
    let all = vpc_peering::of_vpc(rows, &vpc.account, &vpc.id);
    all.into_iter().filter(|peering| peering.is_active()).collect()
}

/// A VPC's ranges show in its peers' networks, too: a connection's row that is put again makes both change.
fn show_to_peers(rows: &mut Tx, vpc: &Vpc) {
    for peering in active_peerings(rows, vpc) {
        rows.put((*peering).clone());
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AssociateVpcCidrBlock {
    vpc_id: String,
    cidr_block: Option<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    amazon_provided_ipv6_cidr_block: OnlyDefault<False>,
    #[serde(default)]
    #[allow(dead_code, reason = "decoding it is the check")]
    ipv6_cidr_block: OnlyDefault<Empty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CidrBlockAssociationResponse {
    vpc_id: String,
    cidr_block_association: CidrBlockAssociation,
}

pub(super) fn associate(
    rows: &mut Tx,
    context: &Context,
    request: AssociateVpcCidrBlock,
) -> Result<CidrBlockAssociationResponse, ApiError> {
    let mut vpc = (*get(rows, context, &request.vpc_id)?).clone();
    let Some(cidr_block) = request.cidr_block else {
        return Err(ApiError::new(
            "MissingParameter",
            "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.",
        ));
    };
    let cidr_block = parse_cidr(&cidr_block, "cidrBlock")?;
    check_range(cidr_block)?;
    let ranges = vpc.cidr_blocks();
    if ranges.iter().any(|range| overlap(*range, cidr_block)) {
        return Err(ApiError::new(
            "InvalidVpc.Range",
            format!("The CIDR '{cidr_block}' conflicts with one of the CIDRs of the VPC '{}'.", vpc.id),
        ));
    }
    if is_restricted(&ranges, cidr_block) {
        return Err(ApiError::new(
            "InvalidVpc.Range",
            format!(
                "The CIDR '{cidr_block}' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use a publicly-routable CIDR. For additional restrictions, see https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"
            ),
        ));
    }
    if ranges.len() >= MOST {
        return Err(ApiError::new(
            "CidrLimitExceeded",
            format!("This network '{}' has met its maximum number of allowed CIDRs: {MOST}", vpc.id),
        ));
    }
    // "The CIDR block must not be the same or larger than a destination CIDR range in a route in any of the VPC route
    // tables."
    let prefix = context.prefix();
    let shadowed =
        rows.scan::<RouteTable>(&prefix).filter(|table| table.vpc_id == vpc.id).find_map(|table| {
            let range = table.routes.iter().find_map(|route| match &route.destination {
                Destination::Cidr(range) if cidr_block.contains(range) => Some(*range),
                Destination::Cidr(_) | Destination::PrefixList(_) => None,
            })?;
            Some((table.id.clone(), range))
        });
    if let Some((table, destination)) = shadowed {
        return Err(ApiError::new(
            "InvalidVpc.Range",
            format!(
                "The CIDR '{cidr_block}' is the same as or larger than the destination '{destination}' of a route in the route table '{table}'."
            ),
        ));
    }
    // "You can add CIDR blocks to a VPC provided they do not overlap with a CIDR block of the peer VPC."
    let peers = active_peerings(rows, &vpc);
    let peer = peers
        .iter()
        .filter_map(|peering| peering.peer(&vpc.id).and_then(|side| peering.vpc(rows, side)))
        .find(|peer| peer.cidr_blocks().iter().any(|range| overlap(*range, cidr_block)));
    if let Some(peer) = peer {
        return Err(ApiError::new(
            "InvalidVpc.Range",
            format!("The CIDR '{cidr_block}' overlaps with a CIDR of the peer VPC '{}'.", peer.id),
        ));
    }
    let block = CidrBlock { association_id: VpcCidrAssociationId::mint(), cidr_block };
    let response = CidrBlockAssociationResponse {
        vpc_id: vpc.id.to_string(),
        cidr_block_association: CidrBlockAssociation::new(&block.association_id, cidr_block, "associating"),
    };
    vpc.secondary_cidr_blocks.push(block);
    show_to_peers(rows, &vpc);
    rows.put(vpc);
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DisassociateVpcCidrBlock {
    association_id: String,
}

pub(super) fn disassociate(
    rows: &mut Tx,
    context: &Context,
    request: DisassociateVpcCidrBlock,
) -> Result<CidrBlockAssociationResponse, ApiError> {
    let id = &request.association_id;
    let mut found = None;
    for vpc in rows.scan::<Vpc>(&context.prefix()) {
        if vpc.cidr_association_id.as_str() == *id {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The vpc CIDR block with association ID {id} may not be disassociated. It is the primary IPv4 CIDR block of the VPC"
                ),
            ));
        }
        if let Some(at) =
            vpc.secondary_cidr_blocks.iter().position(|block| block.association_id.as_str() == *id)
        {
            found = Some(((*vpc).clone(), at));
        }
    }
    let Some((mut vpc, at)) = found else {
        return Err(ApiError::new(
            "InvalidVpcCidrBlockAssociationID.NotFound",
            format!("The vpc CIDR block association ID '{id}' does not exist"),
        ));
    };
    let block = vpc.secondary_cidr_blocks.remove(at);
    let in_use = rows
        .scan::<Subnet>(&context.prefix())
        .any(|subnet| subnet.vpc_id == vpc.id && block.cidr_block.contains(&subnet.cidr_block));
    if in_use {
        return Err(ApiError::new(
            "InvalidCidrBlock.InUse",
            format!("The vpc currently has a subnet within CIDR block {}", block.cidr_block),
        ));
    }
    let response = CidrBlockAssociationResponse {
        vpc_id: vpc.id.to_string(),
        cidr_block_association: CidrBlockAssociation::new(
            &block.association_id,
            block.cidr_block,
            "disassociating",
        ),
    };
    show_to_peers(rows, &vpc);
    rows.put(vpc);
    Ok(response)
}
