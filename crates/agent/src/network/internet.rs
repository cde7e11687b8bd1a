//! The `internet` namespace: public addresses, and what stands on the other side of every internet gateway.
//!
//! What is sent to no address in it disappears by a route that is a black hole. The filter takes out of that what the
//! edge shall carry on: by TPROXY it is handed to the edge's sockets in the namespace, whatever its destination.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use desired::{CARRIER, NEVER_OUTWARD};
use ipnet::Ipv4Net;
use sys::netlink::{Address, Hop, Link, Neighbour, Netlink, Route, Rule, RuleAction, VethEnd};
use sys::netns;
use sys::nft::{Base, Chain, Expression as E, Field, Hook, Kind, Operator, Table, Verdict};

use super::plan::{
    GSO_IPV4_MAX, INTERNET_GATEWAY, INTERNET_GATEWAY_MAC, INTERNET_MAC, INTERNET_MTU, VPC_SIDE,
    router_sysctls,
};
use super::{INTERNET, InternetPlan, Known, NamespacePlan, Network, NetworkError, converge, lock};

/// The machine itself as it is seen from inside: the source of what comes in through a host port.
pub const HOST: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

/// The mark of packets that are handed to the edge.
const CARRIED: u32 = 1;
/// The routing table of these packets: all of them are for the namespace itself.
const CARRIED_TABLE: u32 = 100;
/// The filter's table.
const TABLE: &str = "internet";
/// The chain that hands a packet to the edge, and the one that decides which.
const CARRY: &str = "carry";
const CHOOSE: &str = "choose";
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What is in the `internet` namespace beside [`HOST`] and the VPCs' public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// AWS endpoints' addresses.
    pub endpoints: BTreeSet<Ipv4Addr>,
    /// Pretend hosts, each by its address and port (None: every port). What is sent to one is handed to the edge.
    pub hosts: BTreeSet<(Ipv4Addr, Option<u16>)>,
    /// Whether what is sent to any other public address is handed to the edge as well.
    pub internet: bool,
}

impl<const N: usize> From<[Ipv4Addr; N]> for Outside {
    /// AWS endpoints alone.
    fn from(endpoints: [Ipv4Addr; N]) -> Self {
        Self { endpoints: endpoints.into(), ..Self::default() }
    }
}

/// The filter. The edge's sockets take the packets of what they carry already, also when others are not taken.
fn table(outside: &Outside) -> Table {
    let nothing = Table { name: TABLE.to_owned(), ..Table::default() };
    if outside.hosts.is_empty() && !outside.internet {
        return nothing;
    }
    let base = Base { kind: Kind::Filter, hook: Hook::Prerouting, priority: -150, accept: true };
    let to = |range| E::Within(Field::Destination, Operator::Is, range);
    let goto = |chain: &str| E::Verdict(Verdict::Goto(chain.to_owned()));
    let both = [TCP, UDP];
    let mut choose = Vec::new();
    for (address, port) in &outside.hosts {
        let port = port.map(|port| E::Ports { destination: true, from: port, to: port });
        choose.push([to(Ipv4Net::from(*address))].into_iter().chain(port).chain([goto(CARRY)]).collect());
    }
    if outside.internet {
        choose.extend(NEVER_OUTWARD.map(|range| vec![to(range), E::Verdict(Verdict::Return)]));
        choose.push(vec![goto(CARRY)]);
    }
    let hand = |protocol| {
        // Without the edge there is no socket: the rule does not match, and the packet disappears as any other.
        vec![E::Protocol(protocol), E::HandTo(CARRIER), E::SetMark(CARRIED), E::Verdict(Verdict::Accept)]
    };
    let chains = [
        ("prerouting", Some(base), both.map(|protocol| vec![E::Protocol(protocol), goto(CHOOSE)]).into()),
        (CHOOSE, None, choose),
        (CARRY, None, both.map(hand).into()),
    ];
    let chains = chains.map(|(name, base, rules)| (name.to_owned(), Chain { base, rules, unordered: false }));
    Table { chains: chains.into(), ..nothing }
}

impl Network {
    /// Makes the `internet` namespace with this in it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_internet(&self, outside: Outside) -> Result<(), NetworkError> {
        let mut known = lock(&self.outside);
        known.outside = outside;
        self.make_internet(&mut known)
    }

    /// Makes the namespace for a VPC with an internet gateway, if it is not there yet.
    pub(super) fn need_internet(&self) -> Result<(), NetworkError> {
        let mut known = lock(&self.outside);
        if netns::exists(&self.path(INTERNET)) { Ok(()) } else { self.make_internet(&mut known) }
    }

    fn make_internet(&self, known: &mut Known) -> Result<(), NetworkError> {
        let path = self.path(INTERNET);
        if !netns::exists(&path) {
            known.filter = None;
        }
        netns::create(&path)?;
        let address = |ip| Address { link: "lo".to_owned(), address: Ipv4Net::from(ip) };
        let mut sysctls = router_sysctls();
        sysctls.retain(|key, _| !key.starts_with("net/netfilter/"));
        let route = |table, hop| Route { table, destination: Ipv4Net::default(), hop };
        let rule = |priority, mark, table| Rule { priority, mark, action: RuleAction::Table(table) };
        let plan = NamespacePlan {
            sysctls,
            addresses: known.outside.endpoints.iter().copied().chain([HOST]).map(address).collect(),
            routes: [route(Route::MAIN, Hop::Blackhole), route(CARRIED_TABLE, Hop::Local)].into(),
            // Behind ours those that every namespace has.
            rules: Some(
                [
                    rule(100, Some(CARRIED), CARRIED_TABLE),
                    rule(32_766, None, Route::MAIN),
                    rule(32_767, None, Route::MAIN - 1),
                ]
                .into(),
            ),
            ..NamespacePlan::default()
        };
        netns::within(&path, || {
            converge::settings(&plan, false)?;
            let mut netlink = Netlink::open()?;
            netlink.set_up("lo")?;
            converge::layer_three(&mut netlink, &plan, &|link| link == "lo")?;
            converge::filter(&table(&known.outside), &mut known.filter)
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
        let gso_ipv4_max = Some(GSO_IPV4_MAX);
        let near =
            VethEnd { name: INTERNET_GATEWAY, mac: INTERNET_GATEWAY_MAC, mtu: INTERNET_MTU, gso_ipv4_max };
        let far = VethEnd { name: &plan.link, mac: INTERNET_MAC, mtu: INTERNET_MTU, gso_ipv4_max };
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn nothing_is_handed_to_the_edge_but_what_is_sent_to_pretend_hosts_or_with_the_internet_on_anywhere_public()
     {
        let outside = Outside::default();
        expect![[r#"
            table ip internet {
            }"#]]
        .assert_eq(&table(&outside).to_string());
        let host = |last, port| (Ipv4Addr::new(198, 19, 128, last), port);
        let outside = Outside { hosts: [host(1, None), host(2, Some(443))].into(), ..outside };
        expect![[r#"
            table ip internet {
              chain carry {
                meta l4proto 6 tproxy to 127.0.0.1:198 meta mark set 0x1 accept
                meta l4proto 17 tproxy to 127.0.0.1:198 meta mark set 0x1 accept
              }
              chain choose {
                ip daddr 198.19.128.1/32 goto carry
                ip daddr 198.19.128.2/32 th dport 443 goto carry
              }
              chain prerouting {
                type filter hook prerouting priority -150; policy accept;
                meta l4proto 6 goto choose
                meta l4proto 17 goto choose
              }
            }"#]]
        .assert_eq(&table(&outside).to_string());
        let outside = Outside { hosts: BTreeSet::new(), internet: true, ..outside };
        expect![[r#"
            table ip internet {
              chain carry {
                meta l4proto 6 tproxy to 127.0.0.1:198 meta mark set 0x1 accept
                meta l4proto 17 tproxy to 127.0.0.1:198 meta mark set 0x1 accept
              }
              chain choose {
                ip daddr 0.0.0.0/8 return
                ip daddr 10.0.0.0/8 return
                ip daddr 100.64.0.0/10 return
                ip daddr 127.0.0.0/8 return
                ip daddr 169.254.0.0/16 return
                ip daddr 172.16.0.0/12 return
                ip daddr 192.0.0.0/24 return
                ip daddr 192.0.2.0/24 return
                ip daddr 192.88.99.0/24 return
                ip daddr 192.168.0.0/16 return
                ip daddr 198.18.0.0/15 return
                ip daddr 198.51.100.0/24 return
                ip daddr 203.0.113.0/24 return
                ip daddr 224.0.0.0/4 return
                ip daddr 240.0.0.0/4 return
                goto carry
              }
              chain prerouting {
                type filter hook prerouting priority -150; policy accept;
                meta l4proto 6 goto choose
                meta l4proto 17 goto choose
              }
            }"#]]
        .assert_eq(&table(&outside).to_string());
    }
}
