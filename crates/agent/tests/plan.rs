//! What a VPC compiles to, as plain data.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use agent::network::{compile, leg_link};
use expect_test::expect;
use sys::netlink::Hop;
use topology::*;

/// A chain as `nft` would print it.
fn chain(vpc: &desired::Vpc, name: &str) -> String {
    let table = compile(vpc).unwrap().router.table.unwrap();
    let chain =
        table.chains.get(name).unwrap_or_else(|| panic!("no chain {name}: {:?}", table.chains.keys()));
    chain.to_string().lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn set(vpc: &desired::Vpc, name: &str) -> String {
    compile(vpc).unwrap().router.table.unwrap().sets[name].to_string()
}

#[test]
fn a_security_group_rule_becomes_a_packet_filter() {
    let mut vpc = article(VPC);
    expect![[r#"
        jump sg-000000000000000ec5/ingress/untracked
        meta l4proto 6 th dport 3000 ip saddr @sg-000000000000000b1/members counter name sg-000000000000000ec5/ingress/tcp/3000-3000/sg-000000000000000b1 goto track_receiver"#]]
    .assert_eq(&chain(&vpc, "sg-000000000000000ec5/ingress"));
    expect!["10.194.0.10, 10.194.1.10"].assert_eq(members(&set(&vpc, "sg-000000000000000b1/members")));
    // For all addresses: not tracked when the other direction lets every answer through, but for NAT gateways.
    expect![[r#"
        jump sg-000000000000000ec5/egress/untracked
        counter name sg-000000000000000ec5/egress/all/all/0.0.0.0/0 goto track_sender"#]]
    .assert_eq(&chain(&vpc, "sg-000000000000000ec5/egress"));
    expect![[r#"
        meta l4proto 6 iifname @open_ingress_tcp oifname != @always_tracked counter name sg-000000000000000ec5/egress/all/all/0.0.0.0/0 accept
        meta l4proto 17 iifname @open_ingress_udp oifname != @always_tracked counter name sg-000000000000000ec5/egress/all/all/0.0.0.0/0 accept"#]]
    .assert_eq(&chain(&vpc, "sg-000000000000000ec5/egress/untracked"));
    expect![[r#"
        type filter hook forward priority 0; policy drop;
        ct state established ct mark & 0x3 == 0x3 accept
        ct state related accept
        ct state established ct direction original ct mark & 0x1 == 0x1 accept
        ct state established ct direction reply ct mark & 0x2 == 0x2 accept
        iifname vmap @sg_out
        goto denied/security-group-egress"#]]
    .assert_eq(&chain(&vpc, "sg_egress"));
    eni(&mut vpc, TASK0).security_groups = vec![SG_ECS.into(), SG_DEFAULT.into()];
    expect![[r#"
        jump sg-000000000000000d0/ingress/untracked
        jump sg-000000000000000ec5/ingress/untracked
        jump sg-000000000000000d0/ingress
        jump sg-000000000000000ec5/ingress"#]]
    .assert_eq(&chain(&vpc, "sg-000000000000000d0/ingress+sg-000000000000000ec5/ingress"));
}

fn members(set: &str) -> &str {
    set.split_once("{ ").unwrap().1.trim_end_matches([' ', '}'])
}

#[test]
fn a_network_acl_is_an_ordered_list_that_ends_with_a_denial() {
    let mut vpc = article(VPC);
    vpc.network_acls[0].ingress =
        vec![entry(200, true, "10.0.0.0/8", Some((1024, 65535))), entry(100, false, "10.194.1.0/24", None)];
    expect![[r#"
        ip saddr 10.194.1.0/24 counter name acl-0000000000000000a/ingress/100 log prefix "acl-0000000000000000a/ingress/100" group 1 snaplen 80 goto denied/network-acl-ingress
        meta l4proto 6 th dport 1024-65535 ip saddr 10.0.0.0/8 counter name acl-0000000000000000a/ingress/200 return
        counter name acl-0000000000000000a/ingress/default log prefix "acl-0000000000000000a/ingress/default" group 1 snaplen 80 goto denied/network-acl-ingress"#]]
    .assert_eq(&chain(&vpc, "acl-0000000000000000a/ingress"));
}

#[test]
fn route_tables_are_kernel_tables_and_subnets_are_rules() {
    let mut vpc = article(VPC);
    let print = |vpc: &desired::Vpc| {
        let router = compile(vpc).unwrap().router;
        let hop = |hop: &Hop| match hop {
            Hop::Blackhole => "blackhole".to_owned(),
            Hop::Throw => "throw".to_owned(),
            Hop::Local => "local".to_owned(),
            Hop::Link(link) => format!("dev {link}"),
            Hop::Gateway { link, address } => format!("via {address} dev {link} onlink"),
        };
        let routes = router
            .routes
            .iter()
            .filter(|route| route.destination.prefix_len() < 32)
            .map(|route| format!("{} {} {}", route.table, route.destination, hop(&route.hop)));
        let rules = router
            .rules
            .as_ref()
            .unwrap()
            .iter()
            .map(|rule| format!("{} mark {:?} {:?}", rule.priority, rule.mark, rule.action));
        routes.chain(rules).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        500 0.0.0.0/0 dev lo
        500 10.194.0.0/16 dev lo
        1001 0.0.0.0/0 via 169.254.255.1 dev igw0 onlink
        1001 10.194.0.0/16 throw
        1002 0.0.0.0/0 via 10.194.0.20 dev e0000000000a020 onlink
        1002 10.194.0.0/16 throw
        100 mark Some(1) Table(1001)
        100 mark Some(2) Table(1001)
        100 mark Some(3) Table(1002)
        100 mark Some(4) Table(1002)
        200 mark None Table(500)
        300 mark None Blackhole"#]]
    .assert_eq(&print(&vpc));
    // Without the gateway and the interface that routes lead to, they lead nowhere.
    vpc.internet_gateway = false;
    vpc.interfaces.retain(|interface| interface.id.as_str() != NAT);
    let text = print(&vpc);
    assert!(text.contains("1001 0.0.0.0/0 dev lo") && text.contains("1002 0.0.0.0/0 dev lo"), "{text}");
}

#[test]
fn a_nat_gateway_translates_to_its_own_address_and_takes_nothing_from_outside() {
    let plan = compile(&article(VPC)).unwrap();
    let table = plan.legs[NAT].inside.table.as_ref().unwrap();
    expect![[r#"
        table ip nat_gateway {
          counter denied/nat-gateway
          chain forward {
            type filter hook forward priority 0; policy drop;
            ct state established,related accept
            ip saddr 10.194.0.20/32 drop
            ct state invalid ip saddr 10.194.0.0/16 meta l4proto 6 reject with tcp reset
            ct state new ip saddr 10.194.0.0/16 meta l4proto 1 accept
            ct state new ip saddr 10.194.0.0/16 meta l4proto 6 accept
            ct state new ip saddr 10.194.0.0/16 meta l4proto 17 accept
            counter name denied/nat-gateway
          }
          chain input {
            type filter hook input priority 0; policy drop;
            ct state established,related accept
            counter name denied/nat-gateway
          }
          chain pieces {
            type filter hook prerouting priority -450; policy accept;
            meta l4proto 1 ip frag-off & 0x3fff != 0 drop
            meta l4proto 6 ip frag-off & 0x3fff != 0 drop
          }
          chain translate {
            type nat hook postrouting priority 100; policy accept;
            oifname "eth0" ip saddr != 10.194.0.20/32 meta l4proto 6 snat to 10.194.0.20:1024-65535
            oifname "eth0" ip saddr != 10.194.0.20/32 meta l4proto 17 snat to 10.194.0.20:1024-65535
            oifname "eth0" ip saddr != 10.194.0.20/32 snat to 10.194.0.20
          }
        }"#]]
    .assert_eq(&table.to_string());
    assert!(plan.legs[TASK0].inside.table.is_none());
}

#[test]
fn one_rule_that_comes_is_one_rule_in_the_kernel() {
    let before = article(VPC);
    let mut after = before.clone();
    sg(&mut after, SG_ECS).ingress.push(tcp(22, cidr("10.194.0.0/24")));
    let [before, after] = [before, after].map(|vpc| compile(&vpc).unwrap().router.table.unwrap());
    let changes = sys::nft::diff(&before, &after);
    assert_eq!(changes.len(), 2, "a counter and a rule: {changes:?}");
    assert_eq!(compile(&article(VPC)).unwrap(), compile(&article(VPC)).unwrap());
}

#[test]
fn names_of_links_fit_the_kernel() {
    assert_eq!(leg_link(&"eni-0123456789abcdef0".into()), "e3456789abcdef0");
    assert_eq!(leg_link(&"eni-12345678".into()), "eeni-12345678");
    assert!(leg_link(&"eni-0123456789abcdef0".into()).len() <= 15);
}
