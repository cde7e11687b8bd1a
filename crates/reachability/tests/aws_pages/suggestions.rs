use reachability::{Topology, analyse};

use crate::fixture::*;

/// The first blocker's suggestion, and its counters.
fn suggestion(change: fn(&mut Topology), from: &str, to: &str, traffic: &str) -> String {
    let mut topology = topology();
    change(&mut topology);
    let analysis = analyse(&topology, &query(from, to, traffic)).unwrap();
    let (_, hop, block) = analysis.blocker().unwrap();
    let said = block.suggestion.as_ref().map(ToString::to_string).unwrap_or_default();
    let counters: Vec<&str> = hop.counters.iter().map(|counter| counter.name.as_str()).collect();
    format!("{said} [{}]", counters.join(" "))
}

#[test]
fn what_is_missing_is_said_in_one_sentence() {
    let check = |change: fn(&mut Topology), from, to, traffic, expected: &str| {
        assert_eq!(suggestion(change, from, to, traffic), expected);
    };
    check(
        |t| t.group("sg-task").ingress.clear(),
        "eni-lb",
        "eni-task",
        "tcp 3000",
        "Add to sg-task an ingress rule that allows tcp 3000 from sg-lb. [denied/security-group-ingress/eni-task denied/security-group-ingress]",
    );
    check(
        |t| t.group("sg-task").egress.clear(),
        "eni-task",
        "internet",
        "tcp 443",
        "Add to sg-task an egress rule that allows tcp 443 to 0.0.0.0/0. [denied/security-group-egress/eni-task denied/security-group-egress]",
    );
    check(
        |t| t.acl(reachability::Direction::Egress, &[entry(100, true, tcp(443, 443, "0.0.0.0/0"))]),
        "eni-lb",
        "eni-task",
        "tcp 3000",
        "Add to acl-own an egress entry with number 110 that allows tcp 1024-65535 to 10.0.0.0/24. [acl-own/egress/default denied/network-acl-egress/eni-task denied/network-acl-egress]",
    );
    check(
        |t| {
            t.routes("rtb-private").remove(0);
        },
        "eni-task",
        "internet",
        "tcp 443",
        "Add to rtb-private a route to 0.0.0.0/0 by the NAT gateway at eni-nat. [denied/no-route/eni-task denied/no-route]",
    );
    check(
        |t| {
            t.routes("rtb-public").remove(0);
        },
        "internet",
        "eni-lb",
        "tcp 80",
        "Add to rtb-public a route to 0.0.0.0/0 by the internet gateway. [denied/no-route/eni-lb denied/no-route]",
    );
    check(
        |t| {
            t.routes("rtb-b").remove(0);
        },
        "eni-task",
        "eni-b",
        "tcp 8080",
        "Add to rtb-b a route to 10.0.0.0/16 by pcx-ab. [denied/no-route/eni-b denied/no-route]",
    );
    check(
        |t| {
            t.routes("rtb-private").remove(1);
            t.routes("rtb-public").remove(1);
        },
        "eni-task",
        "eni-b",
        "tcp 8080",
        "Add to rtb-private a route to 10.1.0.0/16 by pcx-ab. []",
    );
    check(
        |t| t.vpc("vpc-a").subnets[1].route_table = "rtb-public".into(),
        "eni-task",
        "internet",
        "tcp 443",
        "Give eni-task a public address, or a route by a NAT gateway. [denied/no-public-address/eni-task denied/no-public-address]",
    );
    check(
        |t| {
            for subnet in &mut t.vpc("vpc-a").subnets {
                subnet.route_table = "rtb-public".into();
            }
        },
        "eni-task",
        "internet",
        "tcp 443",
        "Associate rtb-private with subnet-private. [denied/no-public-address/eni-task denied/no-public-address]",
    );
    check(
        |t| t.vpc("vpc-a").internet_gateway = false,
        "eni-task",
        "internet",
        "tcp 443",
        "Attach an internet gateway to vpc-a. [denied/no-route/eni-nat denied/no-route]",
    );
}

#[test]
fn from_outside_a_nat_gateway_is_no_way_in() {
    assert_eq!(suggestion(|_| (), "internet", "eni-task", "tcp 3000"), "Give eni-task a public address. []");
}

#[test]
fn no_gateway_is_suggested_for_another_vpcs_private_address() {
    let check = |change: fn(&mut Topology), from, to, expected: &str| {
        assert_eq!(suggestion(change, from, to, "tcp 8080"), expected);
    };
    // The private subnets' default route leads to the NAT gateway, the public one's to the internet gateway.
    check(
        |_| (),
        "eni-task",
        "eni-c",
        "Connect vpc-a and vpc-c by a peering connection, with a route to it on both sides. []",
    );
    check(
        |t| t.routes("rtb-private").clear(),
        "eni-task",
        "10.2.0.10",
        "Connect vpc-a and vpc-c by a peering connection, with a route to it on both sides. [denied/no-route/eni-task denied/no-route]",
    );
    // The peering connection was deleted, its route is left.
    check(
        |t| {
            t.vpc("vpc-a").peerings.clear();
            t.vpc("vpc-b").peerings.remove(0);
        },
        "eni-task",
        "10.1.0.10",
        "Connect vpc-a and vpc-b by a peering connection, with a route to it on both sides. [denied/no-route/eni-task denied/no-route]",
    );
    // Nobody has it; two VPCs have it; its VPC cannot be peered.
    check(
        |t| t.routes("rtb-private").clear(),
        "eni-task",
        "192.168.0.1",
        " [denied/no-route/eni-task denied/no-route]",
    );
    check(
        |t| {
            t.routes("rtb-private").clear();
            t.vpc("vpc-b").cidr_blocks.push("10.2.0.0/16".parse().unwrap());
        },
        "eni-task",
        "10.2.0.10",
        " [denied/no-route/eni-task denied/no-route]",
    );
    check(
        |t| {
            t.routes("rtb-private").clear();
            t.vpc("vpc-c").cidr_blocks.push("10.0.128.0/17".parse().unwrap());
        },
        "eni-task",
        "eni-c",
        " []",
    );
}

#[test]
fn of_two_peers_with_one_range_the_one_that_was_asked_for_is_suggested() {
    let change = |t: &mut Topology| {
        let range = "10.0.0.0/16".parse().unwrap();
        t.vpc("vpc-c").cidr_blocks.push(range);
        t.routes("rtb-b").clear();
        let peerings = &mut t.vpc("vpc-b").peerings;
        peerings[1].cidr_blocks.push(range);
        peerings.reverse();
    };
    assert_eq!(
        suggestion(change, "eni-b", "eni-task", "tcp 3000"),
        "Add to rtb-b a route to 10.0.0.0/16 by pcx-ab. [denied/no-route/eni-b denied/no-route]"
    );
}
