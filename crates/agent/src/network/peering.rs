//! A peering connection: a link between two routers, made by the one that finds both of them there.
//!
//! Each router looks after its own end. A link of which one end goes, or whose router goes, is gone at both ends; the
//! routes that lead to it then lead nowhere until it is there again.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use nix::errno::Errno;
use sys::netlink::{Hop, Link, Netlink, VethEnd};
use sys::netns;

use super::plan::{GSO_IPV4_MAX, NOWHERE, PEERING_MAC};
use super::{Memory, NamespacePlan, Network, NetworkError, PeeringPlan, converge, lock};

impl Network {
    /// Whether a link of the router is a peering connection that is whole.
    pub(super) fn peering_is_whole(
        &self,
        plan: &PeeringPlan,
        memory: &mut Memory,
        near: &Link,
    ) -> Result<bool, NetworkError> {
        if near.mac != PEERING_MAC || near.mtu != plan.mtu {
            return Ok(false);
        }
        // With one end the other would have gone as well.
        if memory.peerings.get(&plan.link) == Some(&near.index) {
            return Ok(true);
        }
        let links = || -> Result<Vec<Link>, NetworkError> {
            Ok(netns::within(&self.path(plan.peer.as_str()), || Netlink::open()?.links())??)
        };
        let Some(links) = if_there(links())? else { return Ok(false) };
        let whole = links
            .iter()
            .any(|far| far.name == plan.link && near.peer == Some(far.index) && far.peer == Some(near.index));
        if whole {
            memory.peerings.insert(plan.link.clone(), near.index);
        }
        Ok(whole)
    }

    /// Connects the router with a peer's, if that is there and has not done so itself meanwhile. Says whether it did;
    /// `router` is a connection in the router's namespace.
    pub(super) fn join(&self, plan: &PeeringPlan, router: &mut Netlink) -> Result<bool, NetworkError> {
        let _one = lock(&self.joining);
        if router.links()?.iter().any(|link| link.name == plan.link) {
            return Ok(false);
        }
        let path = self.path(plan.peer.as_str());
        let mut make = || -> Result<(), NetworkError> {
            let namespace = netns::open(&path)?;
            // One that leads to a router which was lost.
            converge::delete_links(&path, |name| name == plan.link)?;
            let end = VethEnd {
                name: &plan.link,
                mac: PEERING_MAC,
                mtu: plan.mtu,
                gso_ipv4_max: Some(GSO_IPV4_MAX),
            };
            Ok(router.add_veth(&end, &end, namespace.as_fd())?)
        };
        Ok(if_there(make())?.is_some())
    }
}

/// None for what failed because the peer has no namespace.
fn if_there<T>(result: Result<T, NetworkError>) -> Result<Option<T>, NetworkError> {
    match result {
        Err(NetworkError::Kernel(error)) if error.is(Errno::ENOENT) => Ok(None),
        result => result.map(Some),
    }
}

/// A router's plan with the routes by links that are not there leading nowhere.
pub(super) fn without(plan: &NamespacePlan, missing: &BTreeSet<&str>) -> NamespacePlan {
    let mut plan = plan.clone();
    plan.neighbours.retain(|neighbour| !missing.contains(neighbour.link.as_str()));
    let led = std::mem::take(&mut plan.routes).into_iter().map(|mut route| {
        if matches!(&route.hop, Hop::Gateway { link, .. } if missing.contains(link.as_str())) {
            route.hop = Hop::Link(NOWHERE.to_owned());
        }
        route
    });
    plan.routes = led.collect();
    plan
}
