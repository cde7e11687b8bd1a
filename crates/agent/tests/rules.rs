//! A change of rules alone, on its short way to the packets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use agent::network::NOT_LET_IN;
use desired::{PrefixList, Vpc};
use sys::{netns, nft};
use topology::traffic::{Server, get, open, silent};
use topology::*;

fn generation(world: &World) -> u32 {
    netns::within(&world.path(VPC), || nft::generation().unwrap()).unwrap()
}

/// Applies a change that is one of rules alone. A look at everything must find nothing left to do.
fn quickly(world: &World, vpc: &Vpc) {
    assert!(world.network.apply_rules(vpc).unwrap());
    let before = generation(world);
    world.network.apply(vpc).unwrap();
    assert_eq!(generation(world), before, "the whole is what the quick change made of it");
}

#[test]
fn rules_come_and_go_and_no_other_flow_is_touched() {
    let (world, mut vpc) = World::article();
    let (lb0, d0, task0) = (world.path(LB0), world.path(D0), world.path(TASK0));
    let _servers =
        [Server::start(&task0, TASK0_IP, 3000, "task0"), Server::start(&task0, TASK0_IP, 22, "ssh")];
    let mut other = open(&lb0, TASK0_IP, 3000);
    assert_eq!(other.say(), "task0 saw 10.194.0.10");
    // In front of the others, where it may stand as rules have no order; tracked and not.
    for rule in [tcp(22, cidr("10.194.100.0/24")), tcp(22, cidr("0.0.0.0/0")), tcp(22, group(SG_DEFAULT))] {
        silent(&d0, TASK0_IP, 22);
        sg(&mut vpc, SG_ECS).ingress.insert(0, rule);
        quickly(&world, &vpc);
        assert_eq!(get(&d0, TASK0_IP, 22), "ssh saw 10.194.100.30");
        assert_eq!(other.say(), "task0 saw 10.194.0.10");
        sg(&mut vpc, SG_ECS).ingress.remove(0);
        quickly(&world, &vpc);
        silent(&d0, TASK0_IP, 22);
        assert_eq!(other.say(), "task0 saw 10.194.0.10");
    }
    // Several at once, in two groups and an ACL.
    sg(&mut vpc, SG_ECS).ingress.push(tcp(22, cidr("10.194.0.0/16")));
    sg(&mut vpc, SG_LB).egress = vec![tcp(22, group(SG_ECS)), tcp(3000, group(SG_ECS))];
    vpc.network_acls[0].ingress.insert(0, entry(50, false, "10.194.1.0/24", None));
    quickly(&world, &vpc);
    assert_eq!(get(&lb0, TASK0_IP, 22), "ssh saw 10.194.0.10");
    silent(&world.path(LB1), TASK0_IP, 22);
    assert!(world.refused(NOT_LET_IN, TASK0) > 0);
    vpc.network_acls[0].ingress.remove(0);
    quickly(&world, &vpc);
    assert_eq!(get(&world.path(LB1), TASK0_IP, 22), "ssh saw 10.194.1.10");
    assert_eq!(other.say(), "task0 saw 10.194.0.10");
    quickly(&world, &vpc);
}

#[test]
fn what_is_more_than_a_change_of_rules_is_left_to_a_look_at_everything() {
    let (mut world, vpc) = World::article();
    let before = generation(&world);
    let changes: [&dyn Fn(&mut Vpc); 8] = [
        &|vpc| eni(vpc, TASK0).security_groups.push(SG_DEFAULT.into()),
        &|vpc| eni(vpc, TASK0).public_address = Some([198, 18, 0, 77].into()),
        &|vpc| drop(vpc.interfaces.pop()),
        &|vpc| routes(vpc, PRIVATE_TABLE).clear(),
        &|vpc| vpc.cidr_blocks.push("10.9.0.0/16".parse().unwrap()),
        &|vpc| drop(vpc.security_groups.pop()),
        &|vpc| vpc.prefix_lists.push(PrefixList { id: "pl-1".into(), entries: Vec::new() }),
        // Whether an interface lets every answer out decides about the rules of the other direction.
        &|vpc| sg(vpc, SG_ECS).ingress.push(all("0.0.0.0/0")),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = vpc.clone();
        change(&mut changed);
        assert!(!world.network.apply_rules(&changed).unwrap(), "change {number}");
    }
    assert_eq!(generation(&world), before);
    let mut changed = vpc.clone();
    sg(&mut changed, SG_ECS).ingress.clear();
    // Somebody else has written: what stands there is not known.
    let stray = nft::Table { name: "stray".to_owned(), ..nft::Table::default() };
    netns::within(&world.path(VPC), || nft::replace(&stray).unwrap()).unwrap();
    assert!(!world.network.apply_rules(&changed).unwrap());
    world.network.apply(&changed).unwrap();
    assert!(world.network.apply_rules(&vpc).unwrap());
    // A process that has looked at nothing yet.
    world.restart();
    assert!(!world.network.apply_rules(&changed).unwrap());
    // Nor without the network.
    world.network.apply(&changed).unwrap();
    netns::delete(&world.path(VPC)).unwrap();
    assert!(!world.network.apply_rules(&vpc).unwrap());
}
