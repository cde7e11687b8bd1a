//! One VPC's namespaces: the router and its legs.
//!
//! The order is: links that are not wanted go, the filter changes, links come. So nothing is ever connected that the
//! filter does not know, and a crash between two steps leaves a network that forwards too little, never too much.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use desired::Vpc;
use sys::netlink::{Hop, Link, Netlink, Route, VethEnd};
use sys::netns;
use types::{NetworkInterfaceId, VpcId};

use super::flows::Addresses;
use super::plan::{GATEWAY_MAC, INTERFACE, INTERNET_GATEWAY, LOCAL_TABLE, VPC_MTU, leg_link};
use super::{LegPlan, Memory, Network, NetworkError, VpcPlan, compile, converge, lock};

/// The plan's legs by the name of their link.
type ByLink<'a> = BTreeMap<&'a str, (&'a NetworkInterfaceId, &'a LegPlan)>;

impl Network {
    /// Makes a VPC's network what it should be. May be repeated at any time; what is right already is left alone.
    ///
    /// # Errors
    /// When the VPC contradicts itself or the kernel refuses: it is to be tried again.
    pub fn apply(&self, vpc: &Vpc) -> Result<(), NetworkError> {
        let mut plan = compile(vpc)?;
        if !self.logs() {
            plan.router.table = plan.router.table.map(sys::nft::Table::without_logs);
        }
        if plan.legs.is_empty() {
            return self.remove(&vpc.id);
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
        netns::within(&path, || self.router(&plan, memory))?
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
            self.delete_interfaces(&links.into_iter().map(|link| link.name).collect())?;
        }
        netns::delete(&path)?;
        lock(&self.vpcs).remove(vpc);
        Ok(())
    }

    /// Whether an interface's namespace is as it should be since this process looked.
    pub fn has_interface(&self, vpc: &VpcId, interface: &NetworkInterfaceId) -> bool {
        lock(&self.memory(vpc)).inside.contains_key(interface)
            && netns::exists(&self.path(interface.as_str()))
    }

    /// On a thread in the router's namespace.
    fn router(&self, plan: &VpcPlan, memory: &mut Memory) -> Result<(), NetworkError> {
        converge::settings(&plan.router, false)?;
        let mut netlink = Netlink::open()?;
        let mut links: BTreeMap<String, Link> =
            netlink.links()?.into_iter().map(|link| (link.name.clone(), link)).collect();
        if links.get("lo").is_some_and(|lo| !lo.up) {
            netlink.set_up("lo")?;
        }
        let reused = reused_addresses(&mut netlink, plan)?;
        let by_link: ByLink<'_> = plan.legs.iter().map(|(id, leg)| (leg.link.as_str(), (id, leg))).collect();
        let mut deleted = BTreeSet::new();
        for link in links.values() {
            if link.name != "lo" && !self.belongs(plan, &by_link, memory, link)? {
                deleted.insert(link.name.clone());
            }
        }
        netlink.delete_links(deleted.iter().map(String::as_str))?;
        links.retain(|name, _| !deleted.contains(name));
        memory.inside.retain(|id, _| plan.legs.get(id).is_some_and(|leg| links.contains_key(&leg.link)));
        let unwanted = |name: &String| !by_link.contains_key(name.as_str());
        self.delete_interfaces(&deleted.iter().filter(|name| unwanted(name)).cloned().collect())?;

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
        for (id, leg) in plan.legs.iter().filter(|(_, leg)| !links.contains_key(&leg.link)) {
            self.make_leg(id, leg, &mut netlink)?;
        }
        for link in netlink.links()?.into_iter().filter(|link| !link.up) {
            netlink.set_up(&link.name)?;
        }
        converge::layer_three(&mut netlink, &plan.router, &|_| true)?;
        for link in netlink.links()? {
            if let Some((id, leg)) = by_link.get(link.name.as_str()).copied() {
                self.inside(id, leg, link.index, memory)?;
            }
        }
        plan.internet.as_ref().map_or(Ok(()), |internet| self.lead_addresses(internet))
    }

    /// Whether a link of the router is one of the plan and whole.
    fn belongs(
        &self,
        plan: &VpcPlan,
        by_link: &ByLink<'_>,
        memory: &Memory,
        link: &Link,
    ) -> Result<bool, NetworkError> {
        if link.name == INTERNET_GATEWAY {
            return plan
                .internet
                .as_ref()
                .map_or(Ok(false), |internet| self.gateway_is_whole(internet, link));
        }
        let Some((id, leg)) = by_link.get(link.name.as_str()).copied() else { return Ok(false) };
        let path = self.path(id.as_str());
        if link.mac != GATEWAY_MAC || link.mtu != VPC_MTU || !netns::exists(&path) {
            return Ok(false);
        }
        if memory.inside.get(id).is_some_and(|(index, _)| *index == link.index) {
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

    fn make_leg(
        &self,
        id: &NetworkInterfaceId,
        leg: &LegPlan,
        netlink: &mut Netlink,
    ) -> Result<(), NetworkError> {
        let path = self.path(id.as_str());
        netns::create(&path)?;
        // An interface whose other end was lost.
        converge::delete_links(&path, |name| name == INTERFACE)?;
        let settings = || converge::settings(&leg.inside, false);
        netns::within(&path, settings)??;
        let near = VethEnd { name: &leg.link, mac: GATEWAY_MAC, mtu: VPC_MTU };
        let far = VethEnd { name: INTERFACE, mac: leg.mac, mtu: VPC_MTU };
        Ok(netlink.add_veth(&near, &far, netns::open(&path)?.as_fd())?)
    }

    /// An interface's own namespace.
    fn inside(
        &self,
        id: &NetworkInterfaceId,
        leg: &LegPlan,
        index: u32,
        memory: &mut Memory,
    ) -> Result<(), NetworkError> {
        if memory.inside.get(id).is_some_and(|(known, plan)| *known == index && *plan == leg.inside) {
            return Ok(());
        }
        memory.inside.remove(id);
        netns::within(&self.path(id.as_str()), || {
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
        memory.inside.insert(id.clone(), (index, leg.inside.clone()));
        Ok(())
    }

    /// Forgets the flows of interfaces and public addresses that are no more, when any have changed.
    fn forget_flows(
        &self,
        plan: &VpcPlan,
        memory: &mut Memory,
        reused: BTreeSet<Ipv4Addr>,
    ) -> Result<(), NetworkError> {
        let now: BTreeSet<_> =
            plan.legs.iter().map(|(id, leg)| (id.clone(), leg.address, leg.public)).collect();
        if memory.addresses.as_ref() == Some(&now) && reused.is_empty() {
            return Ok(());
        }
        let addresses = Addresses::new(plan, reused);
        addresses.clean_router()?;
        for id in plan.legs.iter().filter(|(_, leg)| leg.nat_gateway).map(|(id, _)| id) {
            let path = self.path(id.as_str());
            if netns::exists(&path) {
                netns::within(&path, || addresses.clean_nat_gateway())??;
            }
        }
        memory.addresses = Some(now);
        Ok(())
    }

    /// Deletes the namespaces of the interfaces that have these links.
    fn delete_interfaces(&self, links: &BTreeSet<String>) -> Result<(), NetworkError> {
        for path in netns::list(&self.folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(NetworkInterfaceId::PREFIX)
                && links.contains(&leg_link(&NetworkInterfaceId::from(name)))
            {
                netns::delete(&path)?;
            }
        }
        Ok(())
    }
}

/// The addresses that led to another link than the plan has for them, in the calling thread's router.
fn reused_addresses(netlink: &mut Netlink, plan: &VpcPlan) -> Result<BTreeSet<Ipv4Addr>, NetworkError> {
    let own = |route: &Route| match &route.hop {
        Hop::Link(link) if route.table == LOCAL_TABLE => Some((route.destination.addr(), link.clone())),
        _ => None,
    };
    let wanted: BTreeSet<_> = plan.router.routes.iter().filter_map(own).collect();
    let found: BTreeSet<_> = netlink.routes()?.iter().filter_map(own).collect();
    Ok(found.difference(&wanted).map(|(address, _)| *address).collect())
}
