//! Which refusal is counted for which interface, and what else a VPC does to packets by AWS's pages: with real packets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::net::{Ipv4Addr, UdpSocket};

use agent::network::{
    Direction, EGRESS_DENIED, INGRESS_DENIED, INVALID, MISDIRECTED, NO_INTERFACE, NO_PUBLIC_ADDRESS,
    NO_ROUTE, NO_SERVICE, NOT_ADDRESSED, NOT_LET_IN, NOT_LET_OUT, SPOOFED, UNSOLICITED, rule_counter,
};
use desired::{Peer, Ports, PrefixList, Protocol, Route, RouteTarget, Rule};
use sys::netlink::{Address, Netlink};
use sys::{conntrack, netns};
use topology::traffic::*;
use topology::*;

#[test]
fn a_refused_packet_is_counted_for_its_interface_and_its_reason() {
    let (world, mut vpc) = World::article();
    let (task0, d0) = (world.path(TASK0), world.path(D0));
    let refused = |reason: &str, interface: &str, send: &mut dyn FnMut()| {
        let before = (world.count(reason), world.refused(reason, interface));
        send();
        let after = (world.count(reason), world.refused(reason, interface));
        assert!(after.0 > before.0 && after.1 > before.1, "{reason} of {interface}: {before:?} {after:?}");
    };
    refused(EGRESS_DENIED, LB0, &mut || silent(&world.path(LB0), TASK0_IP, 22));
    refused(INGRESS_DENIED, TASK1, &mut || silent(&task0, TASK1_IP, 3000));
    refused(NO_SERVICE, TASK0, &mut || silent(&task0, [10, 194, 0, 2].into(), 80));
    refused(NO_INTERFACE, D0, &mut || silent(&d0, [10, 194, 100, 77].into(), 80));
    assert_eq!(world.refused(INGRESS_DENIED, D0), 0, "no other interface, no other reason");
    assert_eq!(world.refused(NO_ROUTE, D0), 0);

    let borrowed = Address { link: "eth0".to_owned(), address: "10.194.9.9/32".parse().unwrap() };
    netns::within(&d0, || Netlink::open().unwrap().add_address(&borrowed).unwrap()).unwrap();
    refused(SPOOFED, D0, &mut || silent_from(&d0, Some([10, 194, 9, 9].into()), D1_IP, 80));

    // Answers that nobody asked for: the middle of a connection that was forgotten.
    let _server = Server::start(&world.path(D1), D1_IP, 9000, "d1");
    let mut open = open(&d0, D1_IP, 9000);
    open.say();
    netns::within(&world.path(VPC), || conntrack::forget(|_| true).unwrap()).unwrap();
    refused(INVALID, D0, &mut || open.is_cut());

    let whole = vpc.clone();
    let change = |vpc: &desired::Vpc| drop(world.network.apply(vpc).unwrap());
    routes(&mut vpc, PRIVATE_TABLE).clear();
    change(&vpc);
    refused(NO_ROUTE, TASK0, &mut || silent(&task0, WEB, 443));
    vpc = whole.clone();
    routes(&mut vpc, PRIVATE_TABLE)[0].target = RouteTarget::Blackhole;
    change(&vpc);
    refused(NO_ROUTE, TASK1, &mut || silent(&world.path(TASK1), WEB, 443));
    vpc = whole.clone();
    routes(&mut vpc, PRIVATE_TABLE)[0].target = RouteTarget::InternetGateway;
    change(&vpc);
    refused(NO_PUBLIC_ADDRESS, TASK0, &mut || silent(&task0, WEB, 443));
    // A route to an interface that takes packets for its own address alone.
    vpc = whole.clone();
    routes(&mut vpc, PRIVATE_TABLE)[0].target = RouteTarget::Interface(D1.into());
    change(&vpc);
    refused(MISDIRECTED, D1, &mut || silent(&task0, WEB, 443));
    vpc = whole.clone();
    vpc.network_acls[0].egress =
        vec![entry(10, false, "10.194.101.0/24", None), entry(20, true, "0.0.0.0/0", None)];
    change(&vpc);
    refused(NOT_LET_OUT, TASK0, &mut || silent(&task0, TASK1_IP, 3000));
    vpc.network_acls[0].egress.remove(0);
    vpc.network_acls[0].ingress.clear();
    change(&vpc);
    refused(NOT_LET_IN, TASK1, &mut || silent(&task0, TASK1_IP, 3000));
    change(&whole);
    // To a NAT gateway nobody speaks unasked, from outside or inside.
    for (from, to) in [(world.internet(), NAT_PUBLIC), (task0.clone(), NAT_IP)] {
        let source = (to == NAT_PUBLIC).then_some(HOST);
        refused(UNSOLICITED, NAT, &mut || silent_from(&from, source, to, 443));
    }
    assert_eq!(world.count(NOT_ADDRESSED), 0);
}

#[test]
fn a_prefix_list_in_a_rule_means_all_its_ranges() {
    let (world, mut vpc) = World::article();
    let lists = |entries: &[&str]| {
        vec![PrefixList {
            id: "pl-0000000000000001".into(),
            entries: entries.iter().map(|range| range.parse().unwrap()).collect(),
        }]
    };
    let rule = tcp(3000, Peer::PrefixList("pl-0000000000000001".into()));
    sg(&mut vpc, SG_ECS).ingress = vec![rule.clone()];
    let _server = Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0");
    // Ranges may touch and hold each other.
    for (entries, passes) in [
        (&["10.194.100.0/28", "10.194.100.16/28", "10.9.0.0/16"][..], true),
        (&["10.194.100.0/28"], false),
        (&["0.0.0.0/0", "10.194.100.0/28"], true),
        (&[], false),
        (&["10.194.0.0/16", "10.194.100.30/32", "10.194.100.31/32"], true),
    ] {
        vpc.prefix_lists = lists(entries);
        world.network.apply(&vpc).unwrap();
        if passes {
            assert_eq!(get(&world.path(D0), TASK0_IP, 3000), "task0 saw 10.194.100.30", "{entries:?}");
        } else {
            silent(&world.path(D0), TASK0_IP, 3000);
        }
    }
    assert_eq!(world.count(&rule_counter(&SG_ECS.into(), Direction::Ingress, &rule)), 3, "one counter");
    // As the other end of an egress rule.
    sg(&mut vpc, SG_DEFAULT).egress = vec![Rule { peer: rule.peer.clone(), ..rule }];
    vpc.prefix_lists = lists(&["10.194.100.0/24"]);
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(D0), TASK0_IP, 3000), "task0 saw 10.194.100.30");
    vpc.prefix_lists = lists(&["10.194.100.30/32"]);
    world.network.apply(&vpc).unwrap();
    silent(&world.path(D0), TASK0_IP, 3000);
}

#[test]
fn a_nat_gateway_resets_a_connection_that_it_has_forgotten() {
    let (world, _) = World::article();
    let _server = Server::start(&world.internet(), WEB, 443, "web");
    let mut open = open(&world.path(TASK0), WEB, 443);
    assert_eq!(open.say(), "web saw 198.18.0.20");
    netns::within(&world.path(NAT), || conntrack::forget(|_| true).unwrap()).unwrap();
    open.is_reset();
}

#[test]
fn a_nat_gateway_translates_icmp_and_pieces_of_udp_and_no_other_protocol() {
    let (world, _) = World::article();
    let task0 = world.path(TASK0);
    assert!(ping(&task0, WEB, A_REPLY), "ICMP through the NAT gateway");
    answer_udp(&world.internet(), WEB, 53, "web", 2);
    assert_eq!(ask_udp(&task0, WEB, 53), "web saw 198.18.0.20");
    assert_eq!(ask_udp_with(&task0, WEB, 53, 4000), "web saw 198.18.0.20", "in pieces");
    let refused = world.refused(UNSOLICITED, NAT);
    send_raw(&task0, WEB, 253);
    wait_until(|| world.refused(UNSOLICITED, NAT) > refused);
}

#[test]
fn a_private_nat_gateway_hides_its_subnets_addresses_inside_the_vpc() {
    let (world, mut vpc) = World::article();
    // It has no public address: the internet gateway drops what it sends there ("NAT gateways").
    eni(&mut vpc, NAT).public_address = None;
    // More specific than the local route, as for a subnet of another part of the VPC.
    routes(&mut vpc, PRIVATE_TABLE).push(Route {
        destination: "10.194.1.0/24".parse().unwrap(),
        target: RouteTarget::Interface(NAT.into()),
        prefix_list: None,
    });
    sg(&mut vpc, SG_LB).ingress.push(tcp(8080, cidr("10.194.0.20/32")));
    world.network.apply(&vpc).unwrap();
    let _servers = [
        Server::start(&world.path(LB1), LB1_IP, 8080, "lb1"),
        Server::start(&world.internet(), WEB, 443, "web"),
    ];
    assert_eq!(get(&world.path(TASK0), LB1_IP, 8080), "lb1 saw 10.194.0.20");
    silent(&world.path(TASK0), WEB, 443);
    assert!(world.refused(NO_PUBLIC_ADDRESS, NAT) > 0);
    // A gateway whose own subnet leads back to it sends nothing round and round.
    routes(&mut vpc, PUBLIC_TABLE)[0].target = RouteTarget::Interface(NAT.into());
    world.network.apply(&vpc).unwrap();
    silent(&world.path(TASK0), WEB, 443);
}

#[test]
fn pieces_of_a_packet_are_judged_as_the_whole() {
    let (world, mut vpc) = World::article();
    sg(&mut vpc, SG_ECS).ingress = vec![Rule {
        protocol: Protocol::Udp,
        ports: Some(Ports { from: 5000, to: 5000 }),
        peer: cidr("10.194.100.0/24"),
    }];
    world.network.apply(&vpc).unwrap();
    answer_udp(&world.path(TASK0), TASK0_IP, 5000, "task0", 1);
    assert_eq!(ask_udp_with(&world.path(D0), TASK0_IP, 5000, 30_000), "task0 saw 10.194.100.30");
    // To another port not one piece arrives.
    let receiver = netns::within(&world.path(TASK0), || UdpSocket::bind((TASK0_IP, 5001)).unwrap()).unwrap();
    receiver.set_read_timeout(Some(NO_REPLY)).unwrap();
    let sender = netns::within(&world.path(D0), || UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    sender.send_to(&[0; 30_000], (TASK0_IP, 5001)).unwrap();
    assert!(receiver.recv(&mut [0; 65_535]).is_err());
    assert!(world.refused(INGRESS_DENIED, TASK0) > 0);
}

#[test]
fn a_protocol_by_number_and_all_protocols_are_rules_like_others() {
    let (world, mut vpc) = World::article();
    let number = |number| Rule { protocol: Protocol::Number(number), ports: None, peer: cidr("0.0.0.0/0") };
    let (d0, count) = (world.path(D0), |rule: &Rule| rule_counter(&SG_ECS.into(), Direction::Ingress, rule));
    for (rule, passes) in [(number(253), true), (number(254), false), (all("10.194.100.0/24"), true)] {
        sg(&mut vpc, SG_ECS).ingress = vec![rule.clone()];
        world.network.apply(&vpc).unwrap();
        let refused = world.refused(INGRESS_DENIED, TASK0);
        send_raw(&d0, TASK0_IP, 253);
        if passes {
            wait_until(|| world.count(&count(&rule)) > 0);
        } else {
            wait_until(|| world.refused(INGRESS_DENIED, TASK0) > refused);
        }
        netns::within(&world.path(VPC), || conntrack::forget(|_| true).unwrap()).unwrap();
    }
    // In an ACL: all protocols whatever the ports, a number, the code of an ICMP type.
    let mut acl = entry(10, false, "0.0.0.0/0", None);
    acl.protocol = Protocol::All;
    acl.ports = Some(Ports { from: 1, to: 2 });
    sg(&mut vpc, SG_ECS).ingress = vec![all("0.0.0.0/0")];
    for (protocol, ports, passes) in [
        (Protocol::All, Some((1, 2)), false),
        (Protocol::Number(253), None, true),
        (Protocol::Icmp, Some((8, 0)), false),
        (Protocol::Icmp, Some((8, 1)), true),
        (Protocol::Icmp, Some((-1, -1)), false),
        (Protocol::Tcp, None, true),
    ] {
        acl.protocol = protocol;
        acl.ports = ports.map(|(from, to)| Ports { from, to });
        vpc.network_acls[0].ingress = vec![acl.clone(), entry(20, true, "0.0.0.0/0", None)];
        world.network.apply(&vpc).unwrap();
        let patience = if passes { A_REPLY } else { NO_REPLY };
        assert_eq!(ping(&world.path(TASK1), TASK0_IP, patience), passes, "{acl:?}");
    }
}

#[test]
fn a_secondary_range_is_the_vpcs_own_like_the_first() {
    let (world, mut vpc) = World::article();
    vpc.cidr_blocks.push("100.64.0.0/16".parse().unwrap());
    let mut subnet = vpc.subnets[2].clone();
    (subnet.id, subnet.number) = ("subnet-second".into(), 5);
    subnet.cidr_block = "100.64.7.0/24".parse().unwrap();
    vpc.subnets.push(subnet);
    let (id, address) = ("eni-00000000000000640", Ipv4Addr::new(100, 64, 7, 7));
    vpc.interfaces.push(interface(id, "subnet-second", address, &[SG_DEFAULT]));
    world.network.apply(&vpc).unwrap();
    let path = world.path(id);
    let _servers = [
        Server::start(&path, address, 9000, "second"),
        Server::start(&world.path(D1), D1_IP, 9000, "d1"),
        Server::start(&world.internet(), WEB, 443, "web"),
    ];
    assert_eq!(get(&world.path(D0), address, 9000), "second saw 10.194.100.30");
    assert_eq!(get(&path, D1_IP, 9000), "d1 saw 100.64.7.7");
    assert_eq!(get(&path, WEB, 443), "web saw 198.18.0.20", "through the NAT gateway");
    // The DNS server is the first range's alone.
    answer_udp(&world.path(VPC), [10, 194, 0, 2].into(), 53, "dns", 1);
    assert_eq!(ask_udp(&path, [10, 194, 0, 2].into(), 53), "dns saw 100.64.7.7");
    silent(&world.path(D0), [100, 64, 0, 2].into(), 53);
    assert!(world.refused(NO_INTERFACE, D0) > 0);
    vpc.interfaces.pop();
    vpc.cidr_blocks.pop();
    world.network.apply(&vpc).unwrap();
    silent(&world.path(D0), address, 9000);
}

#[test]
fn of_two_routes_to_one_range_the_one_without_a_prefix_list_holds() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.internet(), WEB, 443, "web");
    let listed = Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        target: RouteTarget::Blackhole,
        prefix_list: Some("pl-0000000000000001".into()),
    };
    routes(&mut vpc, PRIVATE_TABLE).insert(0, listed.clone());
    routes(&mut vpc, PRIVATE_TABLE).push(listed);
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(TASK0), WEB, 443), "web saw 198.18.0.20");
    routes(&mut vpc, PRIVATE_TABLE).remove(1);
    world.network.apply(&vpc).unwrap();
    silent(&world.path(TASK0), WEB, 443);
}

#[test]
fn another_interfaces_public_address_is_reached_through_the_gateway_and_groups_do_not_match_there() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.path(LB1), LB1_IP, 80, "lb1");
    sg(&mut vpc, SG_LB).egress = vec![all("0.0.0.0/0")];
    sg(&mut vpc, SG_LB).ingress = vec![tcp(80, group(SG_LB))];
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(LB0), LB1_IP, 80), "lb1 saw 10.194.0.10");
    silent(&world.path(LB0), LB1_PUBLIC, 80);
    assert!(world.refused(INGRESS_DENIED, LB1) > 0);
    sg(&mut vpc, SG_LB).ingress = vec![tcp(80, cidr("198.18.0.10/32"))];
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(LB0), LB1_PUBLIC, 80), "lb1 saw 198.18.0.10");
    silent(&world.path(LB0), LB1_IP, 80);
}
