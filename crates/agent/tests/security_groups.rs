//! Security groups with real packets, through the reconciler.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use agent::network::{Direction, EGRESS_DENIED, INGRESS_DENIED, SPOOFED, rule_counter};
use desired::{Ports, Protocol, Rule};
use sys::netlink::{Address, Netlink};
use sys::netns;
use topology::traffic::{A_REPLY, NO_REPLY, Server, get, open, open_from, ping, silent, silent_from};
use topology::*;
use types::SecurityGroupId;

#[test]
fn both_an_egress_and_an_ingress_rule_are_needed() {
    let (world, mut vpc) = World::article();
    let (lb0, task0) = (world.path(LB0), world.path(TASK0));
    let _servers = [
        Server::start(&task0, TASK0_IP, 3000, "task0"),
        Server::start(&task0, TASK0_IP, 22, "ssh"),
        Server::start(&world.path(TASK1), TASK1_IP, 3000, "task1"),
    ];
    assert_eq!(get(&lb0, TASK0_IP, 3000), "task0 saw 10.194.0.10");
    assert_eq!(get(&world.path(LB1), TASK1_IP, 3000), "task1 saw 10.194.1.10", "across zones");
    silent(&lb0, TASK0_IP, 22);
    assert!(world.count(EGRESS_DENIED) > 0);
    assert_eq!(world.count(INGRESS_DENIED), 0);
    silent(&task0, TASK1_IP, 3000);
    assert!(world.count(INGRESS_DENIED) > 0, "the same group without a rule for itself");
    let rule = &vpc.security_groups[1].ingress[0];
    assert_eq!(world.count(&rule_counter(&SecurityGroupId::from(SG_ECS), Direction::Ingress, rule)), 2);

    let mut open = open(&lb0, TASK0_IP, 3000);
    let egress = std::mem::take(&mut sg(&mut vpc, SG_LB).egress);
    world.network.apply(&vpc).unwrap();
    silent(&lb0, TASK0_IP, 3000);
    assert_eq!(open.say(), "task0 saw 10.194.0.10", "a tracked flow goes on without the egress rule");
    sg(&mut vpc, SG_LB).egress = egress;
    let ingress = std::mem::take(&mut sg(&mut vpc, SG_ECS).ingress);
    world.network.apply(&vpc).unwrap();
    silent(&lb0, TASK0_IP, 3000);
    assert_eq!(open.say(), "task0 saw 10.194.0.10", "nor does the ingress rule's end cut it");
    sg(&mut vpc, SG_ECS).ingress = ingress;
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&lb0, TASK0_IP, 3000), "task0 saw 10.194.0.10");
    assert_eq!(open.say(), "task0 saw 10.194.0.10");
}

#[test]
fn a_rule_for_a_group_follows_the_groups_interfaces() {
    let (world, mut vpc) = World::article();
    let (lb0, _task0) = (world.path(LB0), Server::start(&world.path(TASK0), TASK0_IP, 3000, "task0"));
    // Another group lets it out, but only members of the load balancer's group are let in.
    sg(&mut vpc, SG_DEFAULT).egress = vec![all("0.0.0.0/0")];
    eni(&mut vpc, LB0).security_groups = vec![SG_DEFAULT.into()];
    world.network.apply(&vpc).unwrap();
    silent(&lb0, TASK0_IP, 3000);
    assert!(world.count(INGRESS_DENIED) > 0);
    eni(&mut vpc, LB0).security_groups = vec![SG_DEFAULT.into(), SG_LB.into()];
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&lb0, TASK0_IP, 3000), "task0 saw 10.194.0.10");
    // An interface that comes is a member at once.
    let new = "eni-00000000000000099";
    vpc.interfaces.push(interface(new, "subnet-public0", [10, 194, 0, 99].into(), &[SG_LB]));
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&world.path(new), TASK0_IP, 3000), "task0 saw 10.194.0.99");
    vpc.interfaces.pop();
    world.network.apply(&vpc).unwrap();
    assert!(!world.path(new).exists());
}

#[test]
fn an_interface_in_several_groups_has_the_rules_of_all() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.path(TASK0), TASK0_IP, 9000, "task0");
    silent(&world.path(D0), TASK0_IP, 9000);
    for _ in 0..2 {
        eni(&mut vpc, TASK0).security_groups = vec![SG_ECS.into(), SG_DEFAULT.into()];
        world.network.apply(&vpc).unwrap();
        assert_eq!(get(&world.path(D0), TASK0_IP, 9000), "task0 saw 10.194.100.30");
        eni(&mut vpc, TASK0).security_groups = vec![SG_ECS.into()];
        world.network.apply(&vpc).unwrap();
        silent(&world.path(D0), TASK0_IP, 9000);
    }
}

#[test]
fn a_group_that_names_itself_lets_its_interfaces_reach_each_other_and_nobody_else() {
    let (world, _) = World::article();
    let _server = Server::start(&world.path(D1), D1_IP, 9000, "d1");
    assert_eq!(
        get(&world.path(D0), D1_IP, 9000),
        "d1 saw 10.194.100.30",
        "in one subnet, through the router"
    );
    silent(&world.path(TASK0), D1_IP, 9000);
}

#[test]
fn an_untracked_flow_is_cut_at_once_when_its_rule_goes() {
    let (world, mut vpc) = World::article();
    let (internet, _server) = (world.internet(), Server::start(&world.path(LB0), LB0_IP, 80, "lb0"));
    // Tracked, as the answers need it: the group lets nothing out by itself.
    let mut tracked = open_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    assert_eq!(tracked.say(), "lb0 saw 198.19.0.1");
    let ingress = std::mem::take(&mut sg(&mut vpc, SG_LB).ingress);
    world.network.apply(&vpc).unwrap();
    assert_eq!(tracked.say(), "lb0 saw 198.19.0.1");
    tracked.close();
    // Everybody in on one port, everything out: not tracked.
    sg(&mut vpc, SG_LB).ingress.clone_from(&ingress);
    sg(&mut vpc, SG_LB).egress = vec![all("0.0.0.0/0")];
    world.network.apply(&vpc).unwrap();
    let mut untracked = open_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    assert_eq!(untracked.say(), "lb0 saw 198.19.0.1");
    sg(&mut vpc, SG_LB).ingress.clear();
    world.network.apply(&vpc).unwrap();
    untracked.is_cut();
    // The other direction's rule carries the answers: without it the flow ends as well.
    sg(&mut vpc, SG_LB).ingress = ingress;
    world.network.apply(&vpc).unwrap();
    let mut untracked = open_from(&internet, Some(HOST), LB0_PUBLIC, 80);
    assert_eq!(untracked.say(), "lb0 saw 198.19.0.1");
    sg(&mut vpc, SG_LB).egress.clear();
    world.network.apply(&vpc).unwrap();
    untracked.is_cut();
}

#[test]
fn a_flow_through_a_nat_gateway_is_tracked_whatever_the_rules_are() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.internet(), WEB, 443, "web");
    // All in and all out would not be tracked elsewhere.
    sg(&mut vpc, SG_ECS).ingress = vec![all("0.0.0.0/0")];
    world.network.apply(&vpc).unwrap();
    let mut open = open(&world.path(TASK0), WEB, 443);
    assert_eq!(open.say(), "web saw 198.18.0.20");
    sg(&mut vpc, SG_ECS).egress.clear();
    world.network.apply(&vpc).unwrap();
    assert_eq!(open.say(), "web saw 198.18.0.20");
    silent(&world.path(TASK0), WEB, 443);
}

#[test]
fn icmp_rules_go_by_type_and_code() {
    let (world, mut vpc) = World::article();
    let d0 = world.path(D0);
    let icmp = |from, to| Rule {
        protocol: Protocol::Icmp,
        ports: Some(Ports { from, to }),
        peer: cidr("10.194.0.0/16"),
    };
    assert!(!ping(&d0, TASK0_IP, NO_REPLY));
    for (rule, passes) in [
        (icmp(8, 0), true),
        (icmp(3, -1), false),
        (icmp(8, -1), true),
        (icmp(8, 1), false),
        (icmp(-1, -1), true),
    ] {
        sg(&mut vpc, SG_ECS).ingress = vec![rule];
        world.network.apply(&vpc).unwrap();
        assert_eq!(
            ping(&d0, TASK0_IP, if passes { A_REPLY } else { NO_REPLY }),
            passes,
            "{rule:?}",
            rule = vpc.security_groups[1].ingress
        );
    }
}

#[test]
fn a_packet_with_anothers_source_is_dropped_unless_the_check_is_off() {
    let (world, mut vpc) = World::article();
    let _server = Server::start(&world.path(D1), D1_IP, 9000, "d1");
    let task0 = world.path(TASK0);
    let borrowed = Address { link: "eth0".to_owned(), address: "10.194.100.30/32".parse().unwrap() };
    netns::within(&task0, || Netlink::open().unwrap().add_address(&borrowed).unwrap()).unwrap();
    silent_from(&task0, Some(D0_IP), D1_IP, 9000);
    let spoofed = world.count(SPOOFED);
    assert!(spoofed > 0);
    // Without the check it leaves the interface, and the groups decide.
    eni(&mut vpc, TASK0).source_dest_check = false;
    world.network.apply(&vpc).unwrap();
    silent_from(&task0, Some(D0_IP), D1_IP, 9000);
    assert_eq!(world.count(SPOOFED), spoofed);
}
