//! The `internet` namespace: public addresses, and what stands on the other side of every internet gateway.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use ipnet::Ipv4Net;
use sys::netlink::{Address, Hop, Link, Neighbour, Netlink, Route, VethEnd};
use sys::netns;

use super::plan::{
    INTERNET_GATEWAY, INTERNET_GATEWAY_MAC, INTERNET_MAC, INTERNET_MTU, VPC_SIDE, router_sysctls,
};
use super::{INTERNET, InternetPlan, NamespacePlan, Network, NetworkError, converge, lock};

/// The machine itself as it is seen from inside: the source of what comes in through a host port.
pub const HOST: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

impl Network {
    /// Makes the `internet` namespace, with these addresses of AWS endpoints beside [`HOST`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_internet(&self, endpoints: BTreeSet<Ipv4Addr>) -> Result<(), NetworkError> {
        let mut known = lock(&self.endpoints);
        *known = endpoints;
        self.make_internet(&known)
    }

    /// Makes the namespace for a VPC with an internet gateway, if it is not there yet.
    pub(super) fn need_internet(&self) -> Result<(), NetworkError> {
        let known = lock(&self.endpoints);
        if netns::exists(&self.path(INTERNET)) { Ok(()) } else { self.make_internet(&known) }
    }

    fn make_internet(&self, endpoints: &BTreeSet<Ipv4Addr>) -> Result<(), NetworkError> {
        let path = self.path(INTERNET);
        netns::create(&path)?;
        let address = |ip| Address { link: "lo".to_owned(), address: Ipv4Net::from(ip) };
        let mut sysctls = router_sysctls();
        sysctls.retain(|key, _| !key.starts_with("net/netfilter/"));
        let nowhere = Route { table: Route::MAIN, destination: Ipv4Net::default(), hop: Hop::Blackhole };
        let plan = NamespacePlan {
            sysctls,
            addresses: endpoints.iter().copied().chain([HOST]).map(address).collect(),
            routes: [nowhere].into(),
            ..NamespacePlan::default()
        };
        netns::within(&path, || {
            converge::settings(&plan, false)?;
            let mut netlink = Netlink::open()?;
            netlink.set_up("lo")?;
            converge::layer_three(&mut netlink, &plan, &|link| link == "lo")
        })?
    }

    /// Whether a VPC's internet gateway, as its router has it, is whole: both ends are there and belong together.
    pub(super) fn gateway_is_whole(&self, plan: &InternetPlan, near: &Link) -> Result<bool, NetworkError> {
        let path = self.path(INTERNET);
        if near.mac != INTERNET_GATEWAY_MAC || !netns::exists(&path) {
            return Ok(false);
        }
        let links = netns::within(&path, || Netlink::open()?.links())??;
        Ok(links
            .iter()
            .any(|far| far.name == plan.link && near.peer == Some(far.index) && far.peer == Some(near.index)))
    }

    /// Makes a VPC's internet gateway; `router` is a connection in the VPC's namespace.
    pub(super) fn make_gateway(&self, plan: &InternetPlan, router: &mut Netlink) -> Result<(), NetworkError> {
        // The half of a gateway whose VPC's namespace was lost.
        converge::delete_links(&self.path(INTERNET), |name| name == plan.link)?;
        let near = VethEnd { name: INTERNET_GATEWAY, mac: INTERNET_GATEWAY_MAC, mtu: INTERNET_MTU };
        let far = VethEnd { name: &plan.link, mac: INTERNET_MAC, mtu: INTERNET_MTU };
        Ok(router.add_veth(&near, &far, netns::open(&self.path(INTERNET))?.as_fd())?)
    }

    /// Leads public addresses to a VPC, and those that it no longer has nowhere.
    pub(super) fn lead_addresses(&self, plan: &InternetPlan) -> Result<(), NetworkError> {
        let link = || plan.link.clone();
        let route = |address: &Ipv4Addr| Route {
            table: Route::MAIN,
            destination: Ipv4Net::from(*address),
            hop: Hop::Gateway { link: link(), address: VPC_SIDE },
        };
        let wanted: BTreeSet<Route> = plan.addresses.iter().map(route).collect();
        let pinned = Neighbour { link: link(), address: VPC_SIDE, mac: INTERNET_GATEWAY_MAC };
        netns::within(&self.path(INTERNET), || {
            let mut netlink = Netlink::open()?;
            if !netlink.links()?.iter().any(|found| found.name == plan.link && found.up) {
                netlink.set_up(&plan.link)?;
            }
            if !netlink.neighbours()?.contains(&pinned) {
                netlink.add_neighbour(&pinned)?;
            }
            // Routes by other links are other VPCs'.
            let own = |route: &Route| matches!(&route.hop, Hop::Gateway { link, .. } if *link == plan.link);
            let found: BTreeSet<Route> = netlink.routes()?.into_iter().filter(own).collect();
            for route in wanted.difference(&found) {
                netlink.add_route(route)?;
            }
            for route in found.difference(&wanted) {
                converge::gone(netlink.delete_route(route))?;
            }
            Ok(())
        })?
    }
}
