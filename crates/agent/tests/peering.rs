//! VPC peering with real packets: two and three VPCs, in every order.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::net::Ipv4Addr;

use agent::network::{NO_ROUTE, NO_SERVICE, SPOOFED, peering_link};
use desired::{RouteTarget, Rule, Vpc};
use sys::netlink::{Address, Netlink};
use sys::{conntrack, netns};
use topology::traffic::{Server, answer_udp, ask_udp, get, open, silent, silent_from};
use topology::*;

const PCX: &str = "pcx-00000000000000ab1";
const OTHER: &str = "vpc-0b0000000000000b1";
/// The other VPC's task.
const FAR_IP: Ipv4Addr = Ipv4Addr::new(10, 195, 100, 10);

/// The article's VPC and another, in 10.195.0.0/16, whose tasks let everything of the first one in and out.
fn two() -> (Vpc, Vpc) {
    let (mut a, mut b) = (article(VPC), moved(article(OTHER), 195));
    for vpc in [&mut a, &mut b] {
        sg(vpc, SG_ECS).ingress.push(tcp(3000, cidr("10.0.0.0/8")));
    }
    peer(&mut a, &mut b, PCX);
    (a, b)
}

fn task(vpc: &Vpc) -> String {
    vpc.interfaces[3].id.to_string()
}

#[test]
fn peered_vpcs_reach_each_other_when_both_have_a_route() {
    let world = World::empty();
    let (mut a, mut b) = two();
    world.apply(&[&a, &b]);
    let far = world.path(&task(&b));
    let _servers = [
        Server::start(&far, FAR_IP, 3000, "far"),
        Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0"),
    ];
    assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
    assert_eq!(get(&far, TASK0_IP, 3000), "task0 saw 10.195.100.10");
    let long = open(&world.path(TASK0), FAR_IP, 3000).segment();
    assert!(long > 8000, "packets are as long as inside a VPC: {long}");
    silent(&world.path(TASK0), FAR_IP, 22);

    let back = std::mem::take(routes(&mut b, PRIVATE_TABLE));
    world.apply(&[&a, &b]);
    silent(&world.path(TASK0), FAR_IP, 3000);
    let answers = world.count_in(OTHER, &format!("{NO_ROUTE}/{}", task(&b)));
    assert!(answers > 0, "the answers find no way back");
    *routes(&mut b, PRIVATE_TABLE) = back;
    let there = routes(&mut a, PRIVATE_TABLE).pop().unwrap();
    world.apply(&[&a, &b]);
    let refused = world.count(NO_ROUTE);
    // The default route leads to the NAT gateway, and its subnet's table has the route still.
    assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.0.20");
    routes(&mut a, PUBLIC_TABLE).pop();
    routes(&mut a, PRIVATE_TABLE).clear();
    world.apply(&[&a, &b]);
    silent(&world.path(TASK0), FAR_IP, 3000);
    assert!(world.count(NO_ROUTE) > refused);
    routes(&mut a, PRIVATE_TABLE).push(there);
    world.apply(&[&a, &b]);
    assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
}

#[test]
fn a_rule_for_a_group_of_the_peer_means_the_addresses_of_its_interfaces() {
    let world = World::empty();
    let (a, mut b) = two();
    let rule = Rule { peer: group("sg-0000000000000000a"), ..tcp(3000, cidr("0.0.0.0/0")) };
    sg(&mut b, SG_ECS).ingress = vec![rule];
    let members = &mut b.peerings[0].security_groups[0];
    members.id = "sg-0000000000000000a".into();
    members.members = vec![TASK0_IP];
    world.apply(&[&a, &b]);
    let _server = Server::start(&world.path(&task(&b)), FAR_IP, 3000, "far");
    assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
    silent(&world.path(TASK1), FAR_IP, 3000);
    b.peerings[0].security_groups[0].members = vec![TASK1_IP];
    world.apply(&[&a, &b]);
    silent(&world.path(TASK0), FAR_IP, 3000);
    assert_eq!(get(&world.path(TASK1), FAR_IP, 3000), "far saw 10.194.101.10");
}

#[test]
fn a_peering_connection_leads_to_the_peers_interfaces_and_no_further() {
    let world = World::empty();
    let (mut a, mut b) = two();
    let third = "vpc-0c0000000000000c1";
    let mut c = moved(article(third), 196);
    for interface in &mut c.interfaces {
        interface.id = interface.id.as_str().replace("0b", "0c").replace("b1", "c1").into();
    }
    let nat = c.interfaces[2].id.clone();
    routes(&mut c, PRIVATE_TABLE)[0].target = RouteTarget::Interface(nat);
    sg(&mut c, SG_ECS).ingress.push(tcp(3000, cidr("10.0.0.0/8")));
    peer(&mut b, &mut c, "pcx-00000000000000bc1");
    // Both ends lead to each other by way of the one in the middle, and to the internet.
    for (vpc, destination) in [(&mut a, "10.196.0.0/16"), (&mut c, "10.194.0.0/16")] {
        let own = vpc.peerings[0].id.clone();
        let table = routes(vpc, PRIVATE_TABLE);
        table[0].target = RouteTarget::Peering(own);
        let mut route = table[0].clone();
        route.destination = destination.parse().unwrap();
        table.push(route);
    }
    world.apply(&[&a, &b, &c]);
    let far = world.path(&task(&b));
    let _servers = [
        Server::start(&far, FAR_IP, 3000, "far"),
        Server::start(&world.path(&task(&c)), [10, 196, 100, 10].into(), 3000, "third"),
        Server::start(&world.internet(), WEB, 443, "web"),
    ];
    let task0 = world.path(TASK0);
    assert_eq!(get(&task0, FAR_IP, 3000), "far saw 10.194.100.10");
    assert_eq!(get(&world.path(&task(&c)), FAR_IP, 3000), "far saw 10.196.100.10");
    assert_eq!(get(&far, WEB, 443), "web saw 198.18.0.120");
    silent(&task0, [10, 196, 100, 10].into(), 3000);
    silent(&task0, WEB, 443);
    assert!(world.count_in(OTHER, NO_ROUTE) > 0, "not by the peer's gateways and connections");
    // Nor to the peer's DNS server.
    answer_udp(&world.path(OTHER), [10, 195, 0, 2].into(), 53, "dns", 1);
    assert_eq!(ask_udp(&far, [10, 195, 0, 2].into(), 53), "dns saw 10.195.100.10");
    silent(&task0, [10, 195, 0, 2].into(), 53);
    assert!(world.count_in(OTHER, NO_SERVICE) > 0);
    // What comes from an address that the peer does not have is not taken.
    let foreign = Address { link: "eth0".to_owned(), address: "10.9.9.9/32".parse().unwrap() };
    netns::within(&task0, || Netlink::open().unwrap().add_address(&foreign).unwrap()).unwrap();
    eni(&mut a, TASK0).source_dest_check = false;
    world.apply(&[&a]);
    silent_from(&task0, Some([10, 9, 9, 9].into()), FAR_IP, 3000);
    assert!(world.count_in(OTHER, SPOOFED) > 0);
}

#[test]
fn two_vpcs_are_connected_whatever_the_order_and_whatever_was_lost() {
    let mut world = World::empty();
    let (a, b) = two();
    let link = peering_link(&PCX.into());
    let works = |world: &World| {
        let _server = Server::start(&world.path(&task(&b)), FAR_IP, 3000, "far");
        assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
    };
    let has_link = |world: &World, vpc: &str| {
        let links = netns::within(&world.path(vpc), || Netlink::open().unwrap().links().unwrap()).unwrap();
        links.iter().any(|found| found.name == link)
    };
    assert!(world.network.apply(&a).unwrap().is_empty(), "the other has no network yet");
    assert_eq!(world.network.apply(&b).unwrap(), [a.id.clone()].into());
    assert!(world.network.apply(&a).unwrap().is_empty());
    works(&world);
    // Both at once.
    world.network.remove(&a.id).unwrap();
    assert!(!has_link(&world, OTHER));
    world.network.remove(&b.id).unwrap();
    std::thread::scope(|scope| {
        for vpc in [&a, &b] {
            let network = &world.network;
            scope.spawn(move || (0..3).for_each(|_| drop(network.apply(vpc).unwrap())));
        }
    });
    works(&world);
    let damages: [&dyn Fn(&World); 5] = [
        &|world| {
            netns::within(&world.path(VPC), || Netlink::open().unwrap().delete_link(&link).unwrap()).unwrap();
        },
        &|world| {
            netns::within(&world.path(OTHER), || Netlink::open().unwrap().delete_link(&link).unwrap())
                .unwrap();
        },
        &|world| netns::delete(&world.path(OTHER)).unwrap(),
        &|world| netns::delete(&world.path(VPC)).unwrap(),
        &|world| {
            // A namespace that is held by somebody keeps its end.
            let held = netns::open(&world.path(OTHER)).unwrap();
            netns::delete(&world.path(OTHER)).unwrap();
            world.apply(&[&a, &b]);
            drop(held);
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        for order in [[&a, &b], [&b, &a]] {
            damage(&world);
            if number % 2 == 0 {
                world.restart();
            }
            world.apply(&order);
            works(&world);
        }
    }
    let indexes = |world: &World| {
        netns::within(&world.path(VPC), || Netlink::open().unwrap().links().unwrap()).unwrap().len()
    };
    let before = indexes(&world);
    world.apply(&[&a, &b]);
    assert_eq!(indexes(&world), before);
    // The peer's network goes: the VPC goes on without, and is connected again.
    world.network.remove(&b.id).unwrap();
    assert!(!has_link(&world, VPC));
    world.apply(&[&a]);
    silent(&world.path(TASK0), FAR_IP, 3000);
    assert!(world.refused(NO_ROUTE, TASK0) > 0);
    world.apply(&[&b, &a]);
    works(&world);
}

/// "Network MTU for your EC2 instance", Amazon EC2 User Guide.
#[test]
fn packets_between_regions_are_no_longer_than_8500_bytes() {
    let world = World::empty();
    let (mut a, mut b) = two();
    for (between_regions, longest) in [(false, 9001), (true, 8500)] {
        for vpc in [&mut a, &mut b] {
            vpc.peerings[0].between_regions = between_regions;
        }
        world.apply(&[&a, &b]);
        world.apply(&[&a, &b]);
        for vpc in [VPC, OTHER] {
            let links =
                netns::within(&world.path(vpc), || Netlink::open().unwrap().links().unwrap()).unwrap();
            let link = links.iter().find(|link| link.name.starts_with('p')).unwrap();
            assert_eq!(link.mtu, longest);
        }
        let _server = Server::start(&world.path(&task(&b)), FAR_IP, 3000, "far");
        assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
    }
}

#[test]
fn a_peering_connection_that_ends_takes_its_flows_along() {
    let world = World::empty();
    let (mut a, mut b) = two();
    world.apply(&[&a, &b]);
    let _server = Server::start(&world.path(&task(&b)), FAR_IP, 3000, "far");
    let mut open = open(&world.path(TASK0), FAR_IP, 3000);
    assert_eq!(open.say(), "far saw 10.194.100.10");
    let ended = (a.clone(), b.clone());
    for vpc in [&mut a, &mut b] {
        vpc.peerings.clear();
    }
    world.apply(&[&a, &b]);
    open.is_cut();
    for vpc in [VPC, OTHER] {
        let links = netns::within(&world.path(vpc), || Netlink::open().unwrap().links().unwrap()).unwrap();
        assert!(!links.iter().any(|link| link.name.starts_with('p')), "{links:?}");
        let flows = netns::within(&world.path(vpc), || conntrack::flows().unwrap()).unwrap();
        assert!(!flows.iter().any(|flow| flow.addresses().contains(&FAR_IP)), "{flows:?}");
    }
    world.apply(&[&ended.0, &ended.1]);
    assert_eq!(get(&world.path(TASK0), FAR_IP, 3000), "far saw 10.194.100.10");
}
