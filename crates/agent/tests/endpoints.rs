//! Gateway and interface endpoints with real packets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod topology;

use std::net::Ipv4Addr;

use agent::network::{EGRESS_DENIED, INGRESS_DENIED, NO_ROUTE};
use desired::{GatewayEndpoint, InterfaceKind, Route, RouteTarget, Vpc};
use sys::netlink::Netlink;
use sys::netns;
use topology::traffic::{Server, get, open, silent, silent_from};
use topology::*;

const ENDPOINT: &str = "vpce-0000000000000053";
const S3: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 12);

/// The article's VPC with a gateway endpoint, to which the private subnets have a route.
fn with_endpoint() -> (World, Vpc) {
    let (world, mut vpc) = World::article();
    vpc.gateway_endpoints.push(GatewayEndpoint { id: ENDPOINT.into(), addresses: vec![S3] });
    routes(&mut vpc, PRIVATE_TABLE).push(Route {
        destination: S3.into(),
        target: RouteTarget::Endpoint(ENDPOINT.into()),
        prefix_list: Some("pl-00000000000000053".into()),
    });
    world.network.apply(&vpc).unwrap();
    (world, vpc)
}

#[test]
fn a_gateway_endpoint_is_reached_by_its_route_alone_and_sees_private_addresses() {
    let (world, mut vpc) = with_endpoint();
    let endpoint = world.path(ENDPOINT);
    let (task0, lb0) = (world.path(TASK0), world.path(LB0));
    let _servers = [Server::start(&endpoint, S3, 443, "s3"), Server::start(&task0, TASK0_IP, 3000, "task0")];
    assert_eq!(get(&task0, S3, 443), "s3 saw 10.194.100.10");
    assert_eq!(get(&world.path(TASK1), S3, 443), "s3 saw 10.194.101.10");
    // The public subnets lead the address to the internet.
    sg(&mut vpc, SG_LB).egress.push(all("0.0.0.0/0"));
    world.network.apply(&vpc).unwrap();
    silent(&lb0, S3, 443);
    // It answers and begins nothing, also to who would let it in.
    sg(&mut vpc, SG_ECS).ingress.push(all("0.0.0.0/0"));
    world.network.apply(&vpc).unwrap();
    silent_from(&endpoint, Some(S3), TASK0_IP, 3000);
    assert!(world.count(EGRESS_DENIED) > 0);
    // Neither the internet side nor the other addresses of a VPC are to be reached from it.
    silent_from(&endpoint, Some(S3), WEB, 443);
    silent(&task0, [198, 19, 0, 13].into(), 443);

    let mut through = open(&task0, S3, 443);
    assert_eq!(through.say(), "s3 saw 10.194.100.10");
    let all_out = std::mem::replace(&mut sg(&mut vpc, SG_ECS).egress, vec![tcp(443, cidr("198.19.0.12/32"))]);
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&task0, S3, 443), "s3 saw 10.194.100.10");
    sg(&mut vpc, SG_ECS).egress.clear();
    world.network.apply(&vpc).unwrap();
    silent(&task0, S3, 443);
    assert!(world.refused(EGRESS_DENIED, TASK0) > 0);
    sg(&mut vpc, SG_ECS).egress = all_out;

    vpc.network_acls[0].ingress.push(entry(50, false, "198.19.0.12/32", None));
    world.network.apply(&vpc).unwrap();
    silent(&task0, S3, 443);
    assert!(world.count("acl-0000000000000000a/ingress/50") > 0, "the answers enter the subnet");
    vpc.network_acls[0].ingress.pop();

    let route = routes(&mut vpc, PRIVATE_TABLE).pop().unwrap();
    let default = routes(&mut vpc, PRIVATE_TABLE).pop().unwrap();
    world.network.apply(&vpc).unwrap();
    silent(&task0, S3, 443);
    assert!(world.refused(NO_ROUTE, TASK0) > 0);
    routes(&mut vpc, PRIVATE_TABLE).push(route);
    world.network.apply(&vpc).unwrap();
    assert_eq!(get(&task0, S3, 443), "s3 saw 10.194.100.10", "with no other way out");

    routes(&mut vpc, PRIVATE_TABLE).push(default);
    vpc.gateway_endpoints.clear();
    world.network.apply(&vpc).unwrap();
    silent(&task0, S3, 443);
    assert!(!world.path(ENDPOINT).exists());
    let links = netns::within(&world.path(VPC), || Netlink::open().unwrap().links().unwrap()).unwrap();
    assert!(!links.iter().any(|link| link.name.starts_with('g')), "{links:?}");
}

#[test]
fn a_gateway_endpoint_that_was_lost_is_made_again() {
    let (mut world, vpc) = with_endpoint();
    let damages: [&dyn Fn(&World); 2] = [&|world| netns::delete(&world.path(ENDPOINT)).unwrap(), &|world| {
        netns::within(&world.path(ENDPOINT), || Netlink::open().unwrap().delete_link("eth0").unwrap())
            .unwrap();
    }];
    for damage in damages {
        damage(&world);
        world.restart();
        world.network.apply(&vpc).unwrap();
        let _server = Server::start(&world.path(ENDPOINT), S3, 443, "s3");
        assert_eq!(get(&world.path(TASK0), S3, 443), "s3 saw 10.194.100.10");
    }
}

#[test]
fn an_interface_endpoint_has_security_groups_of_its_own_and_its_flows_are_always_tracked() {
    let (world, mut vpc) = World::article();
    let id = "eni-00000000000000e9d";
    let address = Ipv4Addr::new(10, 194, 101, 77);
    let mut endpoint = interface(id, "subnet-private1", address, &[SG_DEFAULT]);
    endpoint.kind = InterfaceKind::Endpoint;
    vpc.interfaces.push(endpoint);
    world.network.apply(&vpc).unwrap();
    let task0 = world.path(TASK0);
    let _server = Server::start(&world.path(id), address, 443, "ecr");
    silent(&task0, address, 443);
    assert!(world.refused(INGRESS_DENIED, id) > 0);
    // All in and all out on both sides: anywhere else such a flow would not be tracked.
    sg(&mut vpc, SG_DEFAULT).ingress.push(all("0.0.0.0/0"));
    sg(&mut vpc, SG_ECS).ingress.push(all("0.0.0.0/0"));
    world.network.apply(&vpc).unwrap();
    let mut open = open(&task0, address, 443);
    assert_eq!(open.say(), "ecr saw 10.194.100.10");
    sg(&mut vpc, SG_ECS).egress.clear();
    sg(&mut vpc, SG_DEFAULT).ingress.clear();
    world.network.apply(&vpc).unwrap();
    silent(&task0, address, 443);
    assert_eq!(open.say(), "ecr saw 10.194.100.10");
}
