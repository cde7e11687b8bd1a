//! rtnetlink in namespaces of the test's own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::fd::AsFd;
use std::path::PathBuf;

use sys::netlink::{Address, Hop, Neighbour, Netlink, Route, Rule, RuleAction, VethEnd};
use sys::netns;

struct Folder(PathBuf, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = netns::delete_all(&self.0);
    }
}

#[test]
fn what_is_added_is_listed_again_in_the_same_words_until_it_is_deleted() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder(temp.path().join("netns"), temp);
    let (near, far) = (folder.0.join("near"), folder.0.join("far"));
    netns::create(&near).unwrap();
    netns::create(&far).unwrap();
    let far_end = netns::open(&far).unwrap();
    let (mac, other) = ([0x0a, 0, 0, 0, 0, 1], [0x0a, 0, 0, 0, 0, 2]);
    netns::within(&near, || {
        let mut netlink = Netlink::open().unwrap();
        let ends = ["leg0", "eth0"].map(|name| VethEnd {
            name,
            mac: if name == "leg0" { mac } else { other },
            mtu: 9001,
            gso_ipv4_max: Some(128 << 10),
        });
        netlink.add_veth(&ends[0], &ends[1], far_end.as_fd()).unwrap();
        assert!(netlink.add_veth(&ends[0], &ends[1], far_end.as_fd()).is_err());
        netlink.set_up("lo").unwrap();
        netlink.set_up("leg0").unwrap();
        assert!(netlink.set_up("nolink").unwrap_err().to_string().contains("nolink"));
        let link = netlink.links().unwrap().into_iter().find(|link| link.name == "leg0").unwrap();
        assert_eq!((link.mac, link.mtu, link.up), (mac, 9001, true));
        assert!(link.peer.is_some());

        let address = Address { link: "lo".to_owned(), address: "10.0.0.2/32".parse().unwrap() };
        netlink.add_address(&address).unwrap();
        netlink.add_address(&address).unwrap();
        assert_eq!(netlink.addresses().unwrap(), std::slice::from_ref(&address));
        netlink.delete_address(&address).unwrap();
        assert_eq!(netlink.addresses().unwrap(), []);

        let pinned = Neighbour { link: "leg0".to_owned(), address: "10.0.0.9".parse().unwrap(), mac: other };
        netlink.add_neighbour(&pinned).unwrap();
        assert_eq!(netlink.neighbours().unwrap(), std::slice::from_ref(&pinned));

        let leg = "leg0".to_owned();
        let route =
            |table, destination: &str, hop| Route { table, destination: destination.parse().unwrap(), hop };
        netlink.set_up("lo").unwrap();
        let mut routes = [
            route(100, "0.0.0.0/0", Hop::Local),
            route(254, "0.0.0.0/0", Hop::Blackhole),
            route(500, "10.0.0.9/32", Hop::Link(leg.clone())),
            route(1001, "0.0.0.0/0", Hop::Gateway { link: leg, address: "10.0.0.9".parse().unwrap() }),
            route(1001, "10.0.0.0/16", Hop::Throw),
        ];
        for route in &routes {
            netlink.add_route(route).unwrap();
        }
        routes[3].hop = Hop::Blackhole;
        netlink.add_route(&routes[3]).unwrap();
        let mut seen = netlink.routes().unwrap();
        seen.sort();
        assert_eq!(seen, routes);
        for route in &routes {
            netlink.delete_route(route).unwrap();
        }
        assert_eq!(netlink.routes().unwrap(), []);

        let defaults = netlink.rules().unwrap();
        assert_eq!(defaults.len(), 2);
        let rules = [
            Rule { priority: 100, mark: Some(3), action: RuleAction::Table(1001) },
            Rule { priority: 300, mark: None, action: RuleAction::Blackhole },
        ];
        for rule in &rules {
            netlink.add_rule(rule).unwrap();
        }
        for rule in &defaults {
            netlink.delete_rule(rule).unwrap();
        }
        assert_eq!(netlink.rules().unwrap(), rules);
        netlink.delete_neighbour(&pinned).unwrap();
        netlink.delete_link("leg0").unwrap();
        for (near, far) in [("leg1", "eth1"), ("leg2", "eth2"), ("stays", "eth3")] {
            let ends = [near, far].map(|name| VethEnd { name, mac: other, mtu: 1500, gso_ipv4_max: None });
            netlink.add_veth(&ends[0], &ends[1], far_end.as_fd()).unwrap();
        }
        netlink.delete_links(["leg1", "gone", "leg2"]).unwrap();
        netlink.delete_links(["leg1", "gone", "leg2"]).unwrap();
        let left: Vec<String> = netlink.links().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo", "stays"]);
        netlink.delete_links(["stays"]).unwrap();
        assert_eq!(netlink.links().unwrap().len(), 1);
    })
    .unwrap();
    let left = netns::within(&far, || Netlink::open().unwrap().links().unwrap().len()).unwrap();
    assert_eq!(left, 1, "the far end went with the near one");
}
