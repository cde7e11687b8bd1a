//! A reconciler that finds a network half made, changed by somebody else, or not wanted any more.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::collections::BTreeSet;

use sys::netlink::{Hop, Link, Neighbour, Netlink, Route};
use sys::{netns, nft};
use topology::traffic::{Server, get, open, open_from, silent};
use topology::*;
use types::{NetworkInterfaceId, VpcId};

/// Everything that the article needs.
fn works(world: &World) {
    let _servers = [
        Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0"),
        Server::start(&world.path(LB0), LB0_IP, 80, "lb0"),
        Server::start(&world.internet(), WEB, 443, "web"),
    ];
    assert_eq!(get(&world.path(LB0), TASK0_IP, 3000), "task0 saw 10.194.0.10");
    assert_eq!(get(&world.path(TASK0), WEB, 443), "web saw 198.18.0.20");
    assert_eq!(open_from(&world.internet(), Some(HOST), LB0_PUBLIC, 80).say(), "lb0 saw 198.19.0.1");
    silent(&world.path(TASK0), TASK1_IP, 3000);
}

fn links(world: &World, name: &str) -> Vec<Link> {
    netns::within(&world.path(name), || Netlink::open().unwrap().links().unwrap()).unwrap()
}

fn indexes(world: &World) -> BTreeSet<(String, u32)> {
    links(world, VPC).into_iter().map(|link| (link.name, link.index)).collect()
}

#[test]
fn a_restarted_reconciler_leaves_what_is_right_alone() {
    let (mut world, vpc) = World::article();
    let before = indexes(&world);
    let _server = Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0");
    let mut open = open(&world.path(LB0), TASK0_IP, 3000);
    assert_eq!(open.say(), "task0 saw 10.194.0.10");
    world.restart();
    world.network.apply(&vpc).unwrap();
    assert_eq!(open.say(), "task0 saw 10.194.0.10", "flows live through it");
    assert_eq!(indexes(&world), before);
    let generation = || netns::within(&world.path(VPC), || nft::generation().unwrap()).unwrap();
    let before = generation();
    world.network.apply(&vpc).unwrap();
    assert_eq!(generation(), before, "a second look changes nothing");
}

#[test]
fn whatever_was_lost_is_made_again() {
    let (mut world, vpc) = World::article();
    let task0 = agent::network::leg_link(&NetworkInterfaceId::from(TASK0));
    let break_in: [&dyn Fn(&World); 9] = [
        &|world| netns::delete(&world.path(TASK0)).unwrap(),
        &|world| netns::delete(&world.path(NAT)).unwrap(),
        &|world| netns::delete(&world.path(VPC)).unwrap(),
        &|world| {
            netns::within(&world.path(VPC), || Netlink::open().unwrap().delete_link("igw0").unwrap())
                .unwrap();
        },
        &|world| {
            netns::within(&world.path(VPC), || Netlink::open().unwrap().delete_link(&task0).unwrap())
                .unwrap();
        },
        &|world| {
            let empty = nft::Table { name: "vpc".to_owned(), ..nft::Table::default() };
            netns::within(&world.path(VPC), || nft::replace(&empty).unwrap()).unwrap();
        },
        &|world| {
            // Half made: no routes, no rules, no neighbours.
            netns::within(&world.path(VPC), || {
                let mut netlink = Netlink::open().unwrap();
                for route in netlink.routes().unwrap() {
                    netlink.delete_route(&route).unwrap();
                }
                for rule in netlink.rules().unwrap() {
                    netlink.delete_rule(&rule).unwrap();
                }
                for neighbour in netlink.neighbours().unwrap() {
                    netlink.delete_neighbour(&neighbour).unwrap();
                }
            })
            .unwrap();
        },
        &|world| {
            // Too much: a stray route and a wrong neighbour.
            netns::within(&world.path(VPC), || {
                let mut netlink = Netlink::open().unwrap();
                let wrong = Neighbour { link: task0.clone(), address: TASK0_IP, mac: [2, 0, 0, 0, 0, 9] };
                netlink.add_neighbour(&wrong).unwrap();
                let stray =
                    Route { table: 1002, destination: "198.19.0.0/24".parse().unwrap(), hop: Hop::Throw };
                netlink.add_route(&stray).unwrap();
            })
            .unwrap();
        },
        &|world| {
            netns::within(&world.internet(), || {
                let mut netlink = Netlink::open().unwrap();
                for route in netlink.routes().unwrap().into_iter().filter(|route| route.hop != Hop::Blackhole)
                {
                    netlink.delete_route(&route).unwrap();
                }
            })
            .unwrap();
        },
    ];
    for (number, damage) in break_in.iter().enumerate() {
        damage(&world);
        // Every other time without what the process remembers.
        if number % 2 == 0 {
            world.restart();
            world.network.set_internet([WEB].into()).unwrap();
        }
        world.network.apply(&vpc).unwrap();
        works(&world);
    }
}

#[test]
fn an_interface_that_gets_anothers_address_gets_none_of_its_flows() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0");
    let mut open = open(&world.path(LB0), TASK0_IP, 3000);
    assert_eq!(open.say(), "task0 saw 10.194.0.10");
    let (old, new) = (TASK0, "eni-0000000000000c010");
    eni(&mut vpc, old).id = new.into();
    world.network.apply(&vpc).unwrap();
    assert!(!world.path(old).exists());
    let flows = netns::within(&world.path(VPC), || sys::conntrack::flows().unwrap()).unwrap();
    assert!(!flows.iter().any(|flow| flow.addresses().contains(&TASK0_IP)), "{flows:?}");
    open.is_cut();
    let _server = Server::start(&world.path(new), TASK0_IP, 3000, "new");
    assert_eq!(get(&world.path(LB0), TASK0_IP, 3000), "new saw 10.194.0.10");
}

#[test]
fn a_vpc_without_interfaces_has_no_namespace_and_removal_leaves_nothing() {
    let (mut world, mut vpc) = World::article();
    // A process with a socket in the router, as the resolver has.
    let _socket = Server::start(&world.path(VPC), [169, 254, 170, 2].into(), 80, "metadata");
    let _other = Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0");
    let interfaces = std::mem::take(&mut vpc.interfaces);
    world.network.apply(&vpc).unwrap();
    let names = |world: &World| -> Vec<String> {
        let paths = netns::list(&world.state.path().join("netns")).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(&world), ["internet"]);
    assert_eq!(links(&world, "internet").len(), 1);
    vpc.interfaces = interfaces;
    world.network.apply(&vpc).unwrap();
    works(&world);
    // What a crash has left: a namespace that nothing wants, and a file that never became one.
    netns::create(&world.path("eni-00000000000000bad")).unwrap();
    std::fs::write(world.path("vpc-00000000000000bad"), "").unwrap();
    world.restart();
    let wanted: BTreeSet<String> = names(&world).into_iter().filter(|name| !name.ends_with("bad")).collect();
    world.network.sweep(|| wanted.clone()).unwrap();
    assert_eq!(names(&world).into_iter().collect::<BTreeSet<_>>(), wanted);
    works(&world);
    world.network.remove(&VpcId::from(VPC)).unwrap();
    assert_eq!(names(&world), ["internet"]);
    world.network.remove_all().unwrap();
    assert!(!world.state.path().join("netns").exists());
    assert!(sys::mount::under(world.state.path()).unwrap().is_empty());
}

#[test]
fn a_vpc_that_contradicts_itself_is_refused_and_nothing_changes() {
    let (world, mut vpc) = World::article();
    vpc.subnets[0].route_table = "rtb-gone".into();
    let error = world.network.apply(&vpc).unwrap_err().to_string();
    assert_eq!(error, "subnet-public0 names rtb-gone, which is not in the VPC");
    works(&world);
}
