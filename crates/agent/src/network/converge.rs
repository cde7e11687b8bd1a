//! One namespace: what it holds against what it should.

use std::collections::BTreeSet;
use std::path::Path;

use nix::errno::Errno;
use sys::netlink::Netlink;
use sys::{netns, nft};

use super::{NamespacePlan, NetworkError, Written};

/// Writes kernel settings of the calling thread's namespace; those under `net/netfilter` only if `netfilter`.
///
/// conntrack's settings are there once something uses conntrack, the others must come before any link.
pub(super) fn settings(plan: &NamespacePlan, netfilter: bool) -> Result<(), NetworkError> {
    for (key, value) in &plan.sysctls {
        if key.starts_with("net/netfilter/") != netfilter {
            continue;
        }
        let path = Path::new("/proc/sys").join(key);
        // Reading is cheaper than writing, and a second look mostly finds what the first wrote.
        if std::fs::read_to_string(&path).is_ok_and(|found| found.trim_end() == value) {
            continue;
        }
        std::fs::write(&path, value).map_err(|cause| NetworkError::Setting {
            key: key.clone(),
            value: value.clone(),
            cause,
        })?;
    }
    Ok(())
}

/// Brings the filter of the calling thread's namespace to `table`: by the difference when it is known to be what was
/// written last, else as a whole. One transaction either way.
pub(super) fn filter(table: &nft::Table, written: &mut Option<Written>) -> Result<(), NetworkError> {
    if let Some(last) = written.as_ref()
        && nft::generation()? == last.generation
    {
        let changes = nft::diff(&last.table, table);
        if changes.is_empty() {
            return Ok(());
        }
        match nft::commit(&table.name, &changes, Some(last.generation)) {
            Ok(()) => {
                *written = Some(Written { table: table.clone(), generation: nft::generation()? });
                return Ok(());
            }
            Err(nft::CommitError::Stale) => (),
            Err(nft::CommitError::Refused(error)) => return Err(error.into()),
        }
    }
    *written = None;
    nft::replace(table)?;
    *written = Some(Written { table: table.clone(), generation: nft::generation()? });
    Ok(())
}

/// Brings addresses, neighbours, routes and rules to the plan. `ours` says whether something on a link is in the
/// plan's care.
pub(super) fn layer_three(
    netlink: &mut Netlink,
    plan: &NamespacePlan,
    ours: &dyn Fn(&str) -> bool,
) -> Result<(), NetworkError> {
    let found: BTreeSet<_> = netlink.addresses()?.into_iter().filter(|a| ours(&a.link)).collect();
    for address in plan.addresses.difference(&found) {
        netlink.add_address(address)?;
    }
    for address in found.difference(&plan.addresses) {
        gone(netlink.delete_address(address))?;
    }

    let found: BTreeSet<_> = netlink.neighbours()?.into_iter().filter(|n| ours(&n.link)).collect();
    for neighbour in plan.neighbours.difference(&found) {
        netlink.add_neighbour(neighbour)?;
    }
    for neighbour in found.difference(&plan.neighbours) {
        // One that only has another MAC address was overwritten.
        let same = |n: &&sys::netlink::Neighbour| n.link == neighbour.link && n.address == neighbour.address;
        if !plan.neighbours.iter().any(|wanted| same(&wanted)) {
            gone(netlink.delete_neighbour(neighbour))?;
        }
    }

    let found: BTreeSet<_> = netlink.routes()?.into_iter().collect();
    for route in plan.routes.difference(&found) {
        netlink.add_route(route)?;
    }
    let keys: BTreeSet<_> = plan.routes.iter().map(|route| (route.table, route.destination)).collect();
    if let Some(rules) = &plan.rules {
        let found: BTreeSet<_> = netlink.rules()?.into_iter().collect();
        // A subnet that changes its table has both rules for a moment, the old one first: never none.
        for rule in rules.difference(&found) {
            netlink.add_rule(rule)?;
        }
        for rule in found.difference(rules) {
            gone(netlink.delete_rule(rule))?;
        }
    }
    for route in found.difference(&plan.routes) {
        let link = match &route.hop {
            sys::netlink::Hop::Link(link) | sys::netlink::Hop::Gateway { link, .. } => Some(link),
            sys::netlink::Hop::Blackhole | sys::netlink::Hop::Throw | sys::netlink::Hop::Local => None,
        };
        // Adding a route has put it in the place of the one before.
        if !keys.contains(&(route.table, route.destination)) && link.is_none_or(|link| ours(link)) {
            gone(netlink.delete_route(route))?;
        }
    }
    Ok(())
}

/// What is gone need not be deleted: the kernel takes routes and neighbours away with their links.
pub(super) fn gone(answer: sys::Result<()>) -> sys::Result<()> {
    match answer {
        Err(error)
            if [Errno::ENOENT, Errno::ESRCH, Errno::ENODEV, Errno::EADDRNOTAVAIL]
                .iter()
                .any(|e| error.is(*e)) =>
        {
            Ok(())
        }
        answer => answer,
    }
}

/// Deletes the links of a namespace that satisfy a condition, `lo` never. Nothing without the namespace.
pub(super) fn delete_links(
    path: &Path,
    condition: impl Fn(&str) -> bool + Send + Sync,
) -> Result<(), NetworkError> {
    if !netns::exists(path) {
        return Ok(());
    }
    netns::within(path, || {
        let mut netlink = Netlink::open()?;
        let links = netlink.links()?;
        let names = links.iter().map(|link| link.name.as_str());
        Ok(netlink.delete_links(names.filter(|name| *name != "lo" && condition(name)))?)
    })?
}
