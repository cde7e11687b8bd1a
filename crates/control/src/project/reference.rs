//! What a VPC's rules refer to outside of it: prefix lists, and the VPCs that it is peered with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use store::Snapshot;
use types::{PrefixListId, SecurityGroupId, VpcPeeringConnectionId};

use super::vpc::of_vpc;
use crate::ec2::interface::NetworkInterface;
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::vpc::Vpc;
use crate::ec2::{prefix_list, vpc_peering};

/// What the rules of groups speak of.
fn peers(groups: &[desired::SecurityGroup]) -> impl Iterator<Item = &desired::Peer> {
    groups.iter().flat_map(|group| group.ingress.iter().chain(&group.egress)).map(|rule| &rule.peer)
}

/// The prefix lists that the groups' rules name, by id.
pub(super) fn prefix_lists(
    rows: &Snapshot,
    vpc: &Vpc,
    groups: &[desired::SecurityGroup],
) -> Vec<desired::PrefixList> {
    let named: BTreeSet<&PrefixListId> = peers(groups)
        .filter_map(|peer| match peer {
            desired::Peer::PrefixList(id) => Some(id),
            desired::Peer::Cidr(_) | desired::Peer::Group(_) => None,
        })
        .collect();
    let list = |id: &PrefixListId| {
        let mut entries = prefix_list::ranges(rows, &vpc.account, &vpc.region, id)?;
        entries.sort_unstable();
        Some(desired::PrefixList { id: id.clone(), entries })
    };
    named.into_iter().filter_map(list).collect()
}

/// The ids of a VPC's active peering connections.
pub(super) fn active_peerings(rows: &Snapshot, vpc: &Vpc) -> BTreeSet<VpcPeeringConnectionId> {
    let all = vpc_peering::of_vpc(rows, &vpc.account, &vpc.id);
    all.iter().filter(|peering| peering.is_active()).map(|peering| peering.id.clone()).collect()
}

/// The active peering connections, by id, each with those of the peer's groups that this VPC's rules name.
pub(super) fn peerings(
    rows: &Snapshot,
    vpc: &Vpc,
    groups: &[desired::SecurityGroup],
) -> Vec<desired::Peering> {
    let named: BTreeSet<&SecurityGroupId> = peers(groups)
        .filter_map(|peer| match peer {
            desired::Peer::Group(id) => Some(id),
            desired::Peer::Cidr(_) | desired::Peer::PrefixList(_) => None,
        })
        .collect();
    let peering = |peering: Arc<vpc_peering::VpcPeeringConnection>| {
        let side = peering.peer(&vpc.id).filter(|_| peering.is_active())?;
        let other = peering.vpc(rows, side)?;
        let prefix = format!("{}/{}/", peering.account, side.region);
        let mut members: BTreeMap<SecurityGroupId, Vec<Ipv4Addr>> = BTreeMap::new();
        // A rule cannot refer to a group of another region.
        if side.region == vpc.region {
            let theirs = |group: &SecurityGroup| group.vpc_id == other.id && named.contains(&group.id);
            members.extend(of_vpc(rows, &prefix, theirs).map(|group| (group.id.clone(), Vec::new())));
            for one in
                of_vpc(rows, &prefix, |one: &NetworkInterface| one.vpc_id == other.id && one.is_attached())
            {
                for group in &one.security_groups {
                    if let Some(addresses) = members.get_mut(group) {
                        addresses.push(one.private_address);
                    }
                }
            }
        }
        let group = |(id, mut members): (SecurityGroupId, Vec<Ipv4Addr>)| {
            members.sort_unstable();
            desired::PeerGroup { id, members }
        };
        Some(desired::Peering {
            id: peering.id.clone(),
            peer: other.id.clone(),
            between_regions: other.region != vpc.region,
            cidr_blocks: other.cidr_blocks(),
            security_groups: members.into_iter().map(group).collect(),
        })
    };
    vpc_peering::of_vpc(rows, &vpc.account, &vpc.id).into_iter().filter_map(peering).collect()
}
