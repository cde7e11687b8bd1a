use super::Stack;
use crate::testing::element;

/// The routes of the stack's table: destination, target, state.
fn routes(stack: &Stack) -> Vec<String> {
    let text = stack.ok("DescribeRouteTables", "RouteTableId.1={table}");
    let set = element(&text, "routeSet");
    let names = [
        "destinationCidrBlock",
        "destinationPrefixListId",
        "gatewayId",
        "natGatewayId",
        "vpcPeeringConnectionId",
        "networkInterfaceId",
        "state",
    ];
    let show = |item: &str| {
        let shown =
            names.iter().filter(|name| item.contains(&format!("<{name}>"))).map(|name| element(item, name));
        shown.collect::<Vec<_>>().join(" ")
    };
    set.split("<item>").skip(1).map(show).collect()
}

#[test]
fn a_route_by_prefix_list_counts_and_is_shown() {
    let stack = Stack::new();
    let new = |name: &str, most: usize| {
        let body =
            format!("PrefixListName={name}&MaxEntries={most}&AddressFamily=IPv4&Entry.1.Cidr=1.0.0.0/8");
        element(&stack.ok("CreateManagedPrefixList", &body), "prefixListId").to_owned()
    };
    let (small, big) = (new("small", 9), new("big", 495));
    let by = |id: &str| format!("RouteTableId={{table}}&DestinationPrefixListId={id}&GatewayId={{gateway}}");
    stack.ok("CreateRoute", &by(&small));
    let words = format!("The route identified by {small} already exists.");
    stack.refused("CreateRoute", &by(&small), "RouteAlreadyExists", &words);
    stack.refused("CreateRoute", &by(&big), "RouteLimitExceeded", "");
    stack.refused("CreateRoute", &by("pl-1"), "InvalidPrefixListID.NotFound", "(pl-1)");
    assert_eq!(routes(&stack)[1], format!("{small} {} active", stack.gateway));
    let delete = format!("RouteTableId={{table}}&DestinationPrefixListId={small}");
    stack.ok("DeleteRoute", &delete);
    let words = format!("no route with destination-prefix-list-id {small} in route table {{table}}");
    stack.refused("DeleteRoute", &delete, "InvalidRoute.NotFound", &words);
    let text = stack.ok(
        "CreateManagedPrefixList",
        "PrefixListName=x&MaxEntries=1&AddressFamily=IPv6&Entry.1.Cidr=2001:db8::/32",
    );
    let ipv6 = by(element(&text, "prefixListId"));
    stack.refused("CreateRoute", &ipv6, "UnsupportedOperation", "IPv6 prefix list");
}

#[test]
fn a_route_to_a_peer_is_a_black_hole_until_and_after_the_connection_is_active() {
    let stack = Stack::new();
    let peer = element(&stack.ok("CreateVpc", "CidrBlock=10.195.0.0/16"), "vpcId").to_owned();
    let text = stack.ok("CreateVpcPeeringConnection", &format!("VpcId={{vpc}}&PeerVpcId={peer}"));
    let id = element(&text, "vpcPeeringConnectionId").to_owned();
    let route =
        format!("RouteTableId={{table}}&DestinationCidrBlock=10.195.0.0/16&VpcPeeringConnectionId={id}");
    stack.ok("CreateRoute", &route);
    let at = |state: &str| assert_eq!(routes(&stack)[1], format!("10.195.0.0/16 {id} {state}"));
    at("blackhole");
    stack.ok("AcceptVpcPeeringConnection", &format!("VpcPeeringConnectionId={id}"));
    at("active");
    let inside = route.replace("10.195.0.0/16", "10.194.0.0/24");
    stack.refused("CreateRoute", &inside, "InvalidParameterValue", "equal to or more specific");
    let third = element(&stack.ok("CreateVpc", "CidrBlock=10.196.0.0/16"), "vpcId").to_owned();
    let table = stack.ok("CreateRouteTable", &format!("VpcId={third}"));
    let foreign = route.replace("{table}", element(&table, "routeTableId"));
    stack.refused("CreateRoute", &foreign, "InvalidParameterValue", "belong to different networks");
    stack.ok("DeleteVpcPeeringConnection", &format!("VpcPeeringConnectionId={id}"));
    at("blackhole");
    let again = route.replace("10.195.0.0/16", "10.195.0.0/17");
    stack.refused("CreateRoute", &again, "InvalidVpcPeeringConnectionID.NotFound", &id);
}

#[test]
fn the_local_route_may_lead_to_a_nat_gateway_and_back() {
    let stack = Stack::new();
    let nat = stack.ok("CreateNatGateway", "SubnetId={subnet}&ConnectivityType=private");
    let nat = element(&nat, "natGatewayId").to_owned();
    let local = "RouteTableId={table}&DestinationCidrBlock=10.194.0.0/16";
    let to_nat = format!("{local}&NatGatewayId={nat}");
    stack.refused("CreateRoute", &to_nat, "RouteAlreadyExists", "10.194.0.0/16");
    let to_gateway = format!("{local}&GatewayId={{gateway}}");
    stack.refused("ReplaceRoute", &to_gateway, "InvalidParameterValue", "only an interface or an instance");
    stack.ok("ReplaceRoute", &to_nat);
    assert_eq!(routes(&stack), [format!("10.194.0.0/16 {nat} active")]);
    stack.refused("DeleteRoute", local, "InvalidParameterValue", "cannot remove local route");
    stack.ok("ReplaceRoute", &format!("{local}&LocalTarget=true"));
    assert_eq!(routes(&stack), ["10.194.0.0/16 local active"]);
    let subnet = format!("RouteTableId={{table}}&DestinationCidrBlock=10.194.0.0/24&NatGatewayId={nat}");
    stack.ok("CreateRoute", &subnet);
    let half = subnet.replace("/24", "/25");
    stack.refused("CreateRoute", &half, "InvalidParameterValue", "entire IPv4 CIDR block of a subnet");
    let elsewhere = "RouteTableId={table}&DestinationCidrBlock=10.194.0.0/24&GatewayId=local";
    stack.refused("ReplaceRoute", elsewhere, "InvalidParameterValue", "no local route");
}

#[test]
fn what_no_route_may_be_is_refused_by_name() {
    let stack = Stack::new();
    for (body, code, words) in [
        ("DestinationIpv6CidrBlock=::/0&GatewayId={gateway}", "UnsupportedOperation", "IPv6 routes (::/0)"),
        ("GatewayId={gateway}", "MissingParameter", "destinationCidrBlock"),
        ("DestinationCidrBlock=1.0.0.0/8", "MissingParameter", "vpcPeeringConnectionId"),
        (
            "DestinationCidrBlock=1.0.0.0/8&DestinationPrefixListId=pl-1&GatewayId={gateway}",
            "InvalidPrefixListID.NotFound",
            "pl-1",
        ),
        (
            "DestinationIpv6CidrBlock=::/0&EgressOnlyInternetGatewayId=eigw-1",
            "UnknownParameter",
            "EgressOnlyInternetGatewayId",
        ),
        (
            "DestinationCidrBlock=1.0.0.0/8&GatewayId={gateway}&VpcPeeringConnectionId=pcx-1",
            "InvalidParameterCombination",
            "exactly one",
        ),
        ("DestinationCidrBlock=169.254.169.254/32&GatewayId={gateway}", "InvalidParameterValue", "reserved"),
        ("DestinationCidrBlock=1.0.0.0/8&GatewayId=vpce-1", "InvalidParameterValue", "ModifyVpcEndpoint"),
    ] {
        stack.refused("CreateRoute", &format!("RouteTableId={{table}}&{body}"), code, words);
    }
    let gateway = "RouteTableId={table}&GatewayId={gateway}";
    stack.refused("AssociateRouteTable", gateway, "UnknownParameter", "GatewayId");
    stack.refused("EnableVgwRoutePropagation", gateway, "InvalidAction", "EnableVgwRoutePropagation");
}
