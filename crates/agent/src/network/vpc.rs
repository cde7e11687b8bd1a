//! One VPC's namespaces: the router and its legs.
//!
//! The order is: links that are not wanted go, the filter changes, links come. So nothing is ever connected that the
//! filter does not know, and a crash between two steps leaves a network that forwards too little, never too much.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use desired::Vpc;
use sys::netlink::{Hop, Link, Netlink, Route, VethEnd};
use sys::netns;
use types::{NetworkInterfaceId, VpcEndpointId, VpcId};

use super::flows::{Addresses, Standing};
use super::plan::{
    GATEWAY_MAC, GSO_IPV4_MAX, INTERFACE, INTERNET_GATEWAY, LOCAL_TABLE, NOWHERE, endpoint_link, leg_link,
};
use super::{LegPlan, Memory, Network, NetworkError, VpcPlan, compile, converge, lock, peering};

/// The plan's legs by the name of their link, with the name of their namespace.
type ByLink<'a> = BTreeMap<&'a str, (&'a str, &'a LegPlan)>;

impl Network {
    /// Makes a VPC's network what it should be. May be repeated at any time; what is right already is left alone. A
    /// peering connection whose other VPC has no network yet leads nowhere. Gives back the VPCs to which the router was
    /// connected: each is to be applied as well, as it looks after its own end.
    ///
    /// # Errors
    /// When the VPC contradicts itself or the kernel refuses: it is to be tried again.
    pub fn apply(&self, vpc: &Vpc) -> Result<BTreeSet<VpcId>, NetworkError> {
        let mut plan = compile(vpc)?;
        if !self.logs() {
            plan.router.table = plan.router.table.map(sys::nft::Table::without_logs);
        }
        if plan.legs.is_empty() {
            self.remove(&vpc.id)?;
            return Ok(BTreeSet::new());
        }
        let memory = self.memory(&vpc.id);
        let mut memory = lock(&memory);
        if plan.internet.is_some() {
            self.need_internet()?;
        }
        let path = self.path(vpc.id.as_str());
        if !netns::exists(&path) {
            *memory = Memory::default();
            netns::create(&path)?;
        }
        let memory = &mut *memory;
        let before = memory.applied.take();
        let joined = netns::within(&path, || self.router(&plan, memory))??;
        memory.applied = before.filter(|before| before == vpc).or_else(|| Some(vpc.clone()));
        Ok(joined)
    }

    /// Removes a VPC's network with its interfaces' namespaces. Does nothing when there is none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, vpc: &VpcId) -> Result<(), NetworkError> {
        let memory = self.memory(vpc);
        let mut memory = lock(&memory);
        let path = self.path(vpc.as_str());
        *memory = Memory::default();
        if netns::exists(&path) {
            // A process with a socket in the namespace keeps it alive: its links go by themselves.
            let links = netns::within(&path, || Netlink::open()?.links())??;
            converge::delete_links(&path, |_| true)?;
            self.delete_legs(&links.into_iter().map(|link| link.name).collect())?;
        }
        netns::delete(&path)?;
        lock(&self.vpcs).remove(vpc);
        Ok(())
    }

    /// Whether an interface's namespace is as it should be since this process looked.
    pub fn has_interface(&self, vpc: &VpcId, interface: &NetworkInterfaceId) -> bool {
        lock(&self.memory(vpc)).inside.contains_key(interface.as_str())
            && netns::exists(&self.path(interface.as_str()))
    }

    /// On a thread in the router's namespace.
    fn router(&self, plan: &VpcPlan, memory: &mut Memory) -> Result<BTreeSet<VpcId>, NetworkError> {
        converge::settings(&plan.router, false)?;
        let mut netlink = Netlink::open()?;
        let mut links: BTreeMap<String, Link> =
            netlink.links()?.into_iter().map(|link| (link.name.clone(), link)).collect();
        if links.get("lo").is_some_and(|lo| !lo.up) {
            netlink.set_up("lo")?;
        }
        let reused = reused_addresses(&mut netlink, plan)?;
        let by_link: ByLink<'_> =
            plan.legs.iter().map(|(name, leg)| (leg.link.as_str(), (name.as_str(), leg))).collect();
        let mut deleted = BTreeSet::new();
        for link in links.values() {
            if link.name != "lo" && !self.belongs(plan, &by_link, memory, link)? {
                deleted.insert(link.name.clone());
            }
        }
        netlink.delete_links(deleted.iter().map(String::as_str))?;
        links.retain(|name, _| !deleted.contains(name));
        memory.inside.retain(|name, _| plan.legs.get(name).is_some_and(|leg| links.contains_key(&leg.link)));
        memory.peerings.retain(|name, index| links.get(name).is_some_and(|link| link.index == *index));
        let unwanted = |name: &String| !by_link.contains_key(name.as_str());
        self.delete_legs(&deleted.iter().filter(|name| unwanted(name)).cloned().collect())?;

        if let Some(table) = &plan.router.table {
            converge::filter(table, &mut memory.filter)?;
        }
        converge::settings(&plan.router, true)?;
        self.forget_flows(plan, memory, reused)?;

        if let Some(internet) = &plan.internet
            && !links.contains_key(INTERNET_GATEWAY)
        {
            self.make_gateway(internet, &mut netlink)?;
        }
        let made: BTreeMap<&str, &LegPlan> = plan
            .legs
            .iter()
            .filter(|(_, leg)| !links.contains_key(&leg.link))
            .map(|(name, leg)| (name.as_str(), leg))
            .collect();
        self.make_legs(plan, &made)?;
        let mut joined = BTreeSet::new();
        for peering in plan.peerings.iter().filter(|peering| !links.contains_key(&peering.link)) {
            if self.join(peering, &mut netlink)? {
                joined.insert(peering.peer.clone());
            }
        }
        let links = netlink.links()?;
        for link in links.iter().filter(|link| !link.up) {
            netlink.set_up(&link.name)?;
        }
        let mut missing: BTreeSet<&str> = plan.peerings.iter().map(|peering| peering.link.as_str()).collect();
        missing.retain(|name| !links.iter().any(|link| link.name == *name));
        let without = (!missing.is_empty()).then(|| peering::without(&plan.router, &missing));
        converge::layer_three(&mut netlink, without.as_ref().unwrap_or(&plan.router), &|_| true)?;
        for link in links {
            let Some((name, leg)) = by_link.get(link.name.as_str()).copied() else { continue };
            if made.contains_key(name) {
                memory.inside.insert(name.to_owned(), (link.index, leg.inside.clone()));
            }
            self.inside(name, leg, link.index, memory)?;
        }
        plan.internet.as_ref().map_or(Ok(()), |internet| self.lead_addresses(internet))?;
        Ok(joined)
    }

    /// Whether a link of the router is one of the plan and whole.
    fn belongs(
        &self,
        plan: &VpcPlan,
        by_link: &ByLink<'_>,
        memory: &mut Memory,
        link: &Link,
    ) -> Result<bool, NetworkError> {
        if link.name == INTERNET_GATEWAY {
            return plan
                .internet
                .as_ref()
                .map_or(Ok(false), |internet| self.gateway_is_whole(internet, link));
        }
        if let Some(peering) = plan.peerings.iter().find(|peering| peering.link == link.name) {
            return self.peering_is_whole(peering, memory, link);
        }
        let Some((name, leg)) = by_link.get(link.name.as_str()).copied() else { return Ok(false) };
        let path = self.path(name);
        if link.mac != GATEWAY_MAC || link.mtu != leg.mtu || !netns::exists(&path) {
            return Ok(false);
        }
        if memory.inside.get(name).is_some_and(|(index, _)| *index == link.index) {
            return Ok(true);
        }
        let far = netns::within(&path, || Netlink::open()?.links())??;
        Ok(far.iter().any(|far| {
            far.name == INTERFACE
                && far.mac == leg.mac
                && link.peer == Some(far.index)
                && far.peer == Some(link.index)
        }))
    }

    /// Makes legs with all that is in their namespaces, on as many threads as there are processors.
    fn make_legs(&self, plan: &VpcPlan, legs: &BTreeMap<&str, &LegPlan>) -> Result<(), NetworkError> {
        if legs.is_empty() {
            return Ok(());
        }
        let router = netns::open(&self.path(plan.vpc.as_str()))?;
        let waiting = Mutex::new(legs.iter());
        let work = || -> Result<(), NetworkError> {
            loop {
                let next = lock(&waiting).next();
                let Some((name, leg)) = next else { return Ok(()) };
                self.make_leg(name, leg, router.as_fd())?;
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(legs.len());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    fn make_leg(&self, name: &str, leg: &LegPlan, router: BorrowedFd<'_>) -> Result<(), NetworkError> {
        let path = self.path(name);
        let fill = || fill(leg, router);
        if netns::exists(&path) {
            // One whose other end was lost, or what a crash has left.
            converge::delete_links(&path, |name| name == INTERFACE)?;
            return netns::within(&path, fill)?;
        }
        netns::create_and(&path, fill)?
    }

    /// A leg's own namespace.
    fn inside(&self, name: &str, leg: &LegPlan, index: u32, memory: &mut Memory) -> Result<(), NetworkError> {
        if memory.inside.get(name).is_some_and(|(known, plan)| *known == index && *plan == leg.inside) {
            return Ok(());
        }
        memory.inside.remove(name);
        netns::within(&self.path(name), || {
            converge::settings(&leg.inside, false)?;
            if let Some(table) = &leg.inside.table {
                converge::filter(table, &mut None)?;
            }
            converge::settings(&leg.inside, true)?;
            let mut netlink = Netlink::open()?;
            for link in netlink.links()?.into_iter().filter(|link| !link.up) {
                netlink.set_up(&link.name)?;
            }
            converge::layer_three(&mut netlink, &leg.inside, &|_| true)
        })??;
        memory.inside.insert(name.to_owned(), (index, leg.inside.clone()));
        Ok(())
    }

    /// Forgets the flows of interfaces, public addresses and peering connections that are no more, when any have changed.
    fn forget_flows(
        &self,
        plan: &VpcPlan,
        memory: &mut Memory,
        reused: BTreeSet<Ipv4Addr>,
    ) -> Result<(), NetworkError> {
        let now = Standing::new(plan);
        if memory.flows.as_ref() == Some(&now) && reused.is_empty() {
            return Ok(());
        }
        let addresses = Addresses::new(plan, reused, &now, memory.flows.as_ref());
        addresses.clean_router()?;
        for name in plan.legs.iter().filter(|(_, leg)| leg.nat_gateway).map(|(name, _)| name) {
            let path = self.path(name);
            if netns::exists(&path) {
                netns::within(&path, || addresses.clean_nat_gateway())??;
            }
        }
        memory.flows = Some(now);
        Ok(())
    }

    /// Deletes the namespaces of the interfaces and gateway endpoints that have these links.
    fn delete_legs(&self, links: &BTreeSet<String>) -> Result<(), NetworkError> {
        for path in netns::list(&self.folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let link = if name.starts_with(NetworkInterfaceId::PREFIX) {
                leg_link(&NetworkInterfaceId::from(name))
            } else if name.starts_with(VpcEndpointId::PREFIX) {
                endpoint_link(&VpcEndpointId::from(name))
            } else {
                continue;
            };
            if links.contains(&link) {
                netns::delete(&path)?;
            }
        }
        Ok(())
    }
}

/// The addresses that led to another link than the plan has for them, in the calling thread's router.
fn reused_addresses(netlink: &mut Netlink, plan: &VpcPlan) -> Result<BTreeSet<Ipv4Addr>, NetworkError> {
    let own = |route: &Route| match &route.hop {
        Hop::Link(link) if route.table == LOCAL_TABLE && link != NOWHERE => {
            Some((route.destination.addr(), link.clone()))
        }
        _ => None,
    };
    let wanted: BTreeSet<_> = plan.router.routes.iter().filter_map(own).collect();
    let found: BTreeSet<_> = netlink.routes()?.iter().filter_map(own).collect();
    Ok(found.difference(&wanted).map(|(address, _)| *address).collect())
}

/// Makes a leg from inside its namespace, the calling thread's. The router's end is down until the router brings it up,
/// so that nothing gets out before all is there.
fn fill(leg: &LegPlan, router: BorrowedFd<'_>) -> Result<(), NetworkError> {
    let plan = &leg.inside;
    converge::settings(plan, false)?;
    if let Some(table) = &plan.table {
        converge::filter(table, &mut None)?;
    }
    converge::settings(plan, true)?;
    let mut netlink = Netlink::open()?;
    let gso_ipv4_max = Some(GSO_IPV4_MAX);
    let near = VethEnd { name: INTERFACE, mac: leg.mac, mtu: leg.mtu, gso_ipv4_max };
    let far = VethEnd { name: &leg.link, mac: GATEWAY_MAC, mtu: leg.mtu, gso_ipv4_max };
    netlink.add_veth(&near, &far, router)?;
    for link in ["lo", INTERFACE] {
        netlink.set_up(link)?;
    }
    for address in &plan.addresses {
        netlink.add_address(address)?;
    }
    for neighbour in &plan.neighbours {
        netlink.add_neighbour(neighbour)?;
    }
    // Those on the link first: the others lead through them.
    for route in plan.routes.iter().filter(|route| matches!(route.hop, Hop::Link(_))) {
        netlink.add_route(route)?;
    }
    for route in plan.routes.iter().filter(|route| !matches!(route.hop, Hop::Link(_))) {
        netlink.add_route(route)?;
    }
    Ok(())
}
