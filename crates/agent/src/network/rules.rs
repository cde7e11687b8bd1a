//! A change of nothing but rules: the way from an API call to the packets without a look at the rest of the network.
//!
//! Only the chains of the security groups and network ACLs whose rules differ are compiled, and the kernel gets the
//! difference. Whether everything else is still as it should be is looked at later.

use desired::{NetworkAcl, SecurityGroup, Vpc};
use sys::{netns, nft};

use super::filter::Writer;
use super::{Memory, Network, NetworkError, TABLE, Written, lock, network_acl, security_group};

impl Network {
    /// Changes a VPC's rules, if these are all in which it differs from what was applied last. False: it is to be applied
    /// as a whole.
    ///
    /// # Errors
    /// When the kernel refuses; nothing has changed then.
    pub fn apply_rules(&self, vpc: &Vpc) -> Result<bool, NetworkError> {
        let (path, memory) = (self.path(vpc.id.as_str()), self.memory(&vpc.id));
        let mut memory = lock(&memory);
        let Memory { applied: Some(before), filter: Some(written), .. } = &mut *memory else {
            return Ok(false);
        };
        let Some([mut old, mut new]) = parts(before, vpc) else { return Ok(false) };
        if !self.logs() {
            [old, new] = [old, new].map(nft::Table::without_logs);
        }
        let changes = nft::diff(&old, &new);
        if !netns::exists(&path) {
            return Ok(false);
        }
        let commit = || nft::commit(TABLE, &changes, Some(written.generation));
        match netns::within(&path, commit)? {
            Ok(()) => (),
            Err(nft::CommitError::Stale) => return Ok(false),
            Err(nft::CommitError::Refused(error)) => return Err(error.into()),
        }
        if !changes.is_empty() {
            written.advance(&old, new);
        }
        *before = vpc.clone();
        Ok(true)
    }
}

impl Written {
    /// What a transaction has made of it that put one part in the place of another.
    fn advance(&mut self, old: &nft::Table, new: nft::Table) {
        // The kernel leaves 0 out.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.table.counters.retain(|name| !old.counters.contains(name));
        self.table.counters.extend(new.counters);
        self.table.chains.extend(new.chains);
    }
}

/// The parts of two VPCs' tables in which they differ, when these are rules alone.
fn parts(before: &Vpc, after: &Vpc) -> Option<[nft::Table; 2]> {
    // Each field by name, so that a new one is thought of here.
    let Vpc {
        id,
        cidr_blocks,
        internet_gateway,
        subnets,
        route_tables,
        network_acls,
        security_groups,
        interfaces,
        prefix_lists,
        peerings,
        gateway_endpoints,
    } = after;
    let same = before.id == *id
        && before.cidr_blocks == *cidr_blocks
        && before.internet_gateway == *internet_gateway
        && before.subnets == *subnets
        && before.route_tables == *route_tables
        && before.interfaces == *interfaces
        && before.prefix_lists == *prefix_lists
        && before.peerings == *peerings
        && before.gateway_endpoints == *gateway_endpoints;
    if !same {
        return None;
    }
    let groups = changed(&before.security_groups, security_groups, |group: &SecurityGroup| &group.id)?;
    let openings = security_group::openings;
    if groups.iter().any(|(before, after)| openings(before) != openings(after)) {
        return None;
    }
    let acls = changed(&before.network_acls, network_acls, |acl: &NetworkAcl| &acl.id)?;
    let (mut old, mut new) = (Writer::default(), Writer::default());
    for (before_group, group) in groups {
        security_group::chains(&mut old, before, before_group);
        security_group::chains(&mut new, after, group);
    }
    for (before_acl, acl) in acls {
        network_acl::chains(&mut old, before_acl);
        network_acl::chains(&mut new, acl);
    }
    Some([old.table, new.table])
}

/// The pairs that differ. None when there are others than before.
fn changed<'a, T: PartialEq, I: PartialEq + 'a>(
    before: &'a [T],
    after: &'a [T],
    id: impl Fn(&'a T) -> &'a I,
) -> Option<Vec<(&'a T, &'a T)>> {
    let same = before.len() == after.len() && before.iter().zip(after).all(|(b, a)| id(b) == id(a));
    same.then(|| before.iter().zip(after).filter(|(before, after)| before != after).collect())
}
