//! Internet gateway, NAT gateway, route tables, network ACLs, the router's services, two VPCs: with real packets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use agent::network::{INTERNET, NO_PUBLIC_ADDRESS, NO_SERVICE, NOT_ADDRESSED};
use desired::{NetworkAcl, Route, RouteTarget};
use sys::netlink::{self, Hop, Netlink};
use sys::netns;
use topology::traffic::{Server, answer_udp, ask_udp, get, nowhere, open, open_from, silent, silent_from};
use topology::*;

#[test]
fn the_internet_reaches_a_public_address_on_the_allowed_port_alone() {
    let (world, mut vpc) = World::article();
    let internet = world.internet();
    let _server = Server::start(&world.path(LB0), LB0_IP, 80, "lb0");
    let mut open = open_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    assert_eq!(open.say(), "lb0 saw 198.19.0.1");
    assert!(open.segment() <= 1460, "segments fit the internet's 1500 bytes: {}", open.segment());
    silent_from(&internet, Some(HOST), LB0_PUBLIC, 81);
    // A private address is none in the internet, even when somebody leads it to the gateway.
    let stray = netlink::Route {
        table: netlink::Route::MAIN,
        destination: TASK0_IP.into(),
        hop: Hop::Gateway {
            link: agent::network::internet_link(&vpc.id),
            address: [169, 254, 255, 2].into(),
        },
    };
    netns::within(&internet, || Netlink::open().unwrap().add_route(&stray).unwrap()).unwrap();
    silent_from(&internet, Some(HOST), TASK0_IP, 3000);
    assert!(world.count(NOT_ADDRESSED) > 0);
    world.network.apply(&vpc).unwrap();
    let left = netns::within(&internet, || Netlink::open().unwrap().routes().unwrap()).unwrap();
    assert!(!left.contains(&stray), "the stray route is taken back");

    eni(&mut vpc, LB0).public_address = None;
    world.network.apply(&vpc).unwrap();
    open.is_cut();
    nowhere(&internet, LB0_PUBLIC, 80);
}

#[test]
fn a_public_address_that_moves_takes_no_flow_with_it() {
    let (world, mut vpc) = World::article();
    let internet = world.internet();
    let _servers = [
        Server::start(&world.path(LB0), LB0_IP, 80, "lb0"),
        Server::start(&world.path(LB1), LB1_IP, 80, "lb1"),
    ];
    let mut open = open_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    assert_eq!(open.say(), "lb0 saw 198.19.0.1");
    eni(&mut vpc, LB0).public_address = None;
    eni(&mut vpc, LB1).public_address = Some(LB0_PUBLIC);
    world.network.apply(&vpc).unwrap();
    open.is_cut();
    assert_eq!(open_from(&internet, Some(HOST), LB0_PUBLIC, 80).say(), "lb1 saw 198.19.0.1");
}

#[test]
fn private_subnets_reach_the_internet_through_the_nat_gateway_alone() {
    let (world, mut vpc) = World::article();
    let (internet, task0) = (world.internet(), world.path(TASK0));
    let _servers = [
        Server::start(&internet, WEB, 443, "web"),
        Server::start(&world.path(NAT), NAT_IP, 3000, "nat"),
        Server::start(&world.path(LB0), LB0_IP, 80, "lb0"),
    ];
    let mut through = open(&task0, WEB, 443);
    assert_eq!(through.say(), "web saw 198.18.0.20", "the NAT gateway's public address");
    assert_eq!(get(&world.path(TASK1), WEB, 443), "web saw 198.18.0.20");
    silent(&world.path(LB0), WEB, 443);
    silent_from(&internet, Some(HOST), NAT_PUBLIC, 3000);
    silent(&task0, NAT_IP, 3000);
    assert_eq!(get(&task0, LB0_PUBLIC, 80), "lb0 saw 198.18.0.20", "a hairpin through both gateways");

    let nat = std::mem::take(routes(&mut vpc, PRIVATE_TABLE));
    world.network.apply(&vpc).unwrap();
    silent(&task0, WEB, 443);
    through.is_cut();
    routes(&mut vpc, PRIVATE_TABLE).clone_from(&nat);
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&task0, WEB, 443), "web saw 198.18.0.20");

    routes(&mut vpc, PRIVATE_TABLE)[0].target = RouteTarget::Blackhole;
    world.network.apply(&vpc).unwrap();
    silent(&task0, WEB, 443);
    *routes(&mut vpc, PRIVATE_TABLE) = nat;

    // A public subnet without its route: the NAT gateway in it is useless, and so is the load balancer.
    let public = std::mem::take(routes(&mut vpc, PUBLIC_TABLE));
    world.network.apply(&vpc).unwrap();
    silent(&task0, WEB, 443);
    silent_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    *routes(&mut vpc, PUBLIC_TABLE) = public;
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&task0, WEB, 443), "web saw 198.18.0.20");

    // Only what is longest decides.
    let hole = Route {
        destination: "198.19.0.0/24".parse().unwrap(),
        target: RouteTarget::Blackhole,
        prefix_list: None,
    };
    routes(&mut vpc, PRIVATE_TABLE).push(hole);
    world.network.apply(&vpc).unwrap();
    silent(&task0, WEB, 443);
    assert_eq!(get(&task0, LB0_PUBLIC, 80), "lb0 saw 198.18.0.20");
}

#[test]
fn what_is_large_arrives_whole_through_both_gateways_and_over_a_longer_link_alike() {
    const SIZE: usize = 24 << 20;
    let (world, _vpc) = World::article();
    let (internet, task0, lb0) = (world.internet(), world.path(TASK0), world.path(LB0));
    for (from, to, address, port) in [(&task0, &internet, WEB, 443), (&lb0, &task0, TASK0_IP, 3000)] {
        let address = SocketAddr::from((address, port));
        let listener = netns::within(to, || TcpListener::bind(address).unwrap()).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
        let sender = netns::within(from, connect).unwrap();
        let sends = std::thread::spawn(move || {
            let bytes: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
            (&sender).write_all(&bytes).unwrap();
            bytes
        });
        let mut arrived = Vec::new();
        listener.accept().unwrap().0.take(2 * SIZE as u64).read_to_end(&mut arrived).unwrap();
        assert!(
            arrived == sends.join().unwrap(),
            "{address}: {} of {SIZE} bytes arrived as they were",
            arrived.len()
        );
    }
}

#[test]
fn an_interface_without_a_public_address_has_no_use_of_an_internet_gateway() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.internet(), WEB, 443, "web");
    routes(&mut vpc, PRIVATE_TABLE)[0].target = RouteTarget::InternetGateway;
    world.network.apply(&vpc).unwrap();
    silent(&world.path(TASK0), WEB, 443);
    assert!(world.count(NO_PUBLIC_ADDRESS) > 0);
    eni(&mut vpc, TASK0).public_address = Some([198, 18, 0, 30].into());
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(TASK0), WEB, 443), "web saw 198.18.0.30");
    vpc.internet_gateway = false;
    world.network.apply(&vpc).unwrap();
    silent(&world.path(TASK0), WEB, 443);
    let links = netns::within(&world.internet(), || Netlink::open().unwrap().links().unwrap()).unwrap();
    assert_eq!(links.len(), 1, "{links:?}");
}

#[test]
fn a_packet_too_long_for_the_internet_is_told_so_and_comes_shorter() {
    let (world, mut vpc) = World::article();
    eni(&mut vpc, LB0).public_address = Some(LB0_PUBLIC);
    sg(&mut vpc, SG_LB).egress = vec![all("0.0.0.0/0")];
    world.network.apply(&vpc).unwrap();
    let bind = |name: &str, address: Ipv4Addr| {
        netns::within(&world.path(name), || UdpSocket::bind((address, 5000)).unwrap()).unwrap()
    };
    let (inside, web) = (bind(LB0, LB0_IP), bind(INTERNET, WEB));
    web.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // The first is longer than the internet takes, and the router answers with ICMP; then the sender knows.
    let arrives = |_| {
        inside.send_to(&[1; 5000], (WEB, 5000)).unwrap();
        matches!(web.recv(&mut [0; 9000]), Ok(5000))
    };
    assert!((0..20).any(arrives));
    // The same through the NAT gateway, which hands the router's answer on.
    let inside = bind(TASK0, TASK0_IP);
    let arrives = |_| {
        inside.send_to(&[2; 5000], (WEB, 5000)).unwrap();
        matches!(web.recv(&mut [0; 9000]), Ok(5000))
    };
    assert!((0..20).any(arrives), "through the NAT gateway");
}

#[test]
fn a_load_balancer_reaches_another_by_its_public_address() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.path(LB1), LB1_IP, 80, "lb1");
    sg(&mut vpc, SG_LB).egress.push(tcp(80, cidr("0.0.0.0/0")));
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(LB0), LB1_PUBLIC, 80), "lb1 saw 198.18.0.10");
    let inside = open(&world.path(LB0), LB1_IP, 80);
    assert!(inside.segment() > 8000, "inside the VPC packets are long: {}", inside.segment());
}

#[test]
fn a_network_acl_knows_no_flows_and_does_not_hold_inside_a_subnet() {
    let (world, mut vpc) = World::article();
    let (lb0, task0) = (world.path(LB0), world.path(TASK0));
    let _servers = [
        Server::start(&task0, TASK0_IP, 3000, "task0"),
        Server::start(&world.internet(), WEB, 443, "web"),
        Server::start(&world.path(D1), D1_IP, 9000, "d1"),
    ];
    vpc.network_acls.push(NetworkAcl {
        id: "acl-private".into(),
        ingress: vec![entry(100, true, "10.194.0.0/16", Some((3000, 3000)))],
        egress: vec![entry(100, true, "0.0.0.0/0", None)],
    });
    vpc.subnets[2].network_acl = "acl-private".into();
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&lb0, TASK0_IP, 3000), "task0 saw 10.194.0.10");
    silent(&task0, WEB, 443);
    assert!(world.count("acl-private/ingress/default") > 0, "the answer is not let in");
    vpc.network_acls[1].ingress.push(entry(110, true, "0.0.0.0/0", Some((1024, 65535))));
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&task0, WEB, 443), "web saw 198.18.0.20");

    let mut open = open(&lb0, TASK0_IP, 3000);
    assert_eq!(open.say(), "task0 saw 10.194.0.10");
    vpc.network_acls[1].ingress.push(entry(90, false, "10.194.0.0/24", None));
    world.network.apply(&vpc).unwrap();
    open.is_cut();
    assert!(world.count("acl-private/ingress/90") > 0);
    assert_eq!(get(&world.path(D0), D1_IP, 9000), "d1 saw 10.194.100.30");

    vpc.network_acls[1].ingress.pop();
    vpc.network_acls[1].egress = vec![entry(90, false, "10.194.0.0/24", None)];
    world.network.apply(&vpc).unwrap();
    silent(&lb0, TASK0_IP, 3000);
}

#[test]
fn the_routers_services_answer_whatever_groups_and_acls_say_and_nothing_else_does() {
    let (world, mut vpc) = World::article();
    let router = world.path(VPC);
    let [base, link_local] = [[10, 194, 0, 2], [169, 254, 169, 253]].map(Ipv4Addr::from);
    answer_udp(&router, base, 53, "dns", 1);
    answer_udp(&router, link_local, 53, "dns", 1);
    let metadata = [169, 254, 170, 2].into();
    let _servers =
        [Server::start(&router, metadata, 80, "metadata"), Server::start(&router, base, 3000, "other")];
    sg(&mut vpc, SG_ECS).egress.clear();
    vpc.network_acls[0].ingress.clear();
    vpc.network_acls[0].egress.clear();
    world.network.apply(&vpc).unwrap();
    assert_eq!(ask_udp(&world.path(TASK0), base, 53), "dns saw 10.194.100.10");
    assert_eq!(ask_udp(&world.path(LB0), link_local, 53), "dns saw 10.194.0.10");
    assert_eq!(get(&world.path(TASK0), metadata, 80), "metadata saw 10.194.100.10", "who asks is known");
    silent(&world.path(TASK0), base, 3000);
    assert!(world.count(NO_SERVICE) > 0);
    // An address of the range that nobody has is a black hole.
    silent(&world.path(D0), [10, 194, 100, 77].into(), 80);
}

#[test]
fn two_vpcs_with_the_same_ranges_addresses_and_macs_do_not_meet() {
    let (world, mut a) = World::article();
    let mut b = article("vpc-0b0000000000000b1");
    let id = |index: usize| b.interfaces[index].id.to_string();
    let (b_lb0, b_task0) = (id(0), id(3));
    for (index, public) in [(0, 110), (1, 111), (2, 120)] {
        b.interfaces[index].public_address = Some([198, 18, 0, public].into());
    }
    sg(&mut b, SG_LB).egress.push(all("0.0.0.0/0"));
    world.network.apply(&b).unwrap();
    let _servers = [
        Server::start(&world.path(TASK0), TASK0_IP, 3000, "a-task"),
        Server::start(&world.path(&b_task0), TASK0_IP, 3000, "b-task"),
        Server::start(&world.path(LB1), LB1_IP, 80, "a-lb1"),
        Server::start(&world.path(&b_lb0), LB0_IP, 80, "b-lb0"),
    ];
    assert_eq!(get(&world.path(LB0), TASK0_IP, 3000), "a-task saw 10.194.0.10");
    assert_eq!(get(&world.path(&b_lb0), TASK0_IP, 3000), "b-task saw 10.194.0.10");
    let internet = world.internet();
    assert_eq!(open_from(&internet, Some(HOST), [198, 18, 0, 110].into(), 80).say(), "b-lb0 saw 198.19.0.1");
    assert_eq!(get(&world.path(&b_lb0), LB1_PUBLIC, 80), "a-lb1 saw 198.18.0.110");
    // A public address that goes from one VPC to the other.
    eni(&mut a, LB0).public_address = None;
    b.interfaces[0].public_address = Some(LB0_PUBLIC);
    world.network.apply(&b).unwrap();
    world.network.apply(&a).unwrap();
    assert_eq!(open_from(&internet, Some(HOST), LB0_PUBLIC, 80).say(), "b-lb0 saw 198.19.0.1");
    world.network.remove(&b.id).unwrap();
    assert_eq!(get(&world.path(LB0), TASK0_IP, 3000), "a-task saw 10.194.0.10");
    assert!(!world.path(&b_task0).exists());
}

#[test]
fn what_a_program_listens_on_is_seen_in_its_own_namespace_alone() {
    let (world, _vpc) = World::article();
    let _server = Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0");
    let found = world.network.listening(&TASK0.into()).unwrap().unwrap();
    assert!(found.iter().any(|one| one.protocol == 6 && one.takes(TASK0_IP, 3000)), "{found:?}");
    assert_eq!(world.network.listening(&TASK1.into()).unwrap(), Some(Vec::new()));
    assert_eq!(world.network.listening(&"eni-0000000000000dead".into()).unwrap(), None);
}
