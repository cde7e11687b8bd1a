use super::Stack;
use crate::testing::element;

#[test]
fn a_vpc_gets_a_second_range_and_loses_it_again() {
    let stack = Stack::new();
    let text = stack.ok("AssociateVpcCidrBlock", "VpcId={vpc}&CidrBlock=100.64.3.3/16");
    assert_eq!(element(&text, "cidrBlock"), "100.64.0.0/16");
    assert_eq!(element(&text, "state"), "associating");
    let id = element(&text, "associationId").to_owned();
    let shown = stack.ok("DescribeVpcs", "VpcId.1={vpc}");
    let both: Vec<&str> = shown.split("<associationId>").skip(1).collect();
    assert!(both[0].contains("10.194.0.0/16") && both[1].starts_with(&id), "{shown}");
    assert_eq!(element(&shown, "cidrBlock"), "10.194.0.0/16", "the primary one");
    for (name, value) in [
        ("cidr", "10.194.0.0/16"),
        ("cidr-block-association.cidr-block", "100.64.0.0/16"),
        ("cidr-block-association.association-id", id.as_str()),
        ("cidr-block-association.state", "associated"),
    ] {
        let found = stack.ok("DescribeVpcs", &format!("Filter.1.Name={name}&Filter.1.Value.1={value}"));
        assert!(found.contains(&stack.vpc), "{name}: {found}");
    }
    let table = stack.ok("DescribeRouteTables", "RouteTableId.1={table}");
    assert_eq!(table.matches("<gatewayId>local</gatewayId>").count(), 2, "{table}");
    stack.refused(
        "CreateRoute",
        "RouteTableId={table}&DestinationCidrBlock=100.64.1.0/24&GatewayId={gateway}",
        "InvalidParameterValue",
        "equal to or more specific",
    );
    stack.refused(
        "DeleteRoute",
        "RouteTableId={table}&DestinationCidrBlock=100.64.0.0/16",
        "InvalidParameterValue",
        "cannot remove local route",
    );
    let subnet = stack.ok("CreateSubnet", "VpcId={vpc}&CidrBlock=100.64.255.0/24");
    stack.refused(
        "DisassociateVpcCidrBlock",
        &format!("AssociationId={id}"),
        "InvalidCidrBlock.InUse",
        "The vpc currently has a subnet within CIDR block 100.64.0.0/16",
    );
    stack.ok("DeleteSubnet", &format!("SubnetId={}", element(&subnet, "subnetId")));
    let text = stack.ok("DisassociateVpcCidrBlock", &format!("AssociationId={id}"));
    assert_eq!(element(&text, "state"), "disassociating");
    let words = format!("The vpc CIDR block association ID '{id}' does not exist");
    stack.refused(
        "DisassociateVpcCidrBlock",
        &format!("AssociationId={id}"),
        "InvalidVpcCidrBlockAssociationID.NotFound",
        &words,
    );
    let shown = stack.ok("DescribeVpcs", "VpcId.1={vpc}");
    let primary = element(&shown, "associationId");
    stack.refused(
        "DisassociateVpcCidrBlock",
        &format!("AssociationId={primary}"),
        "OperationNotPermitted",
        "may not be disassociated. It is the primary IPv4 CIDR block of the VPC",
    );
}

#[test]
fn which_ranges_go_together_is_as_documented() {
    let stack = Stack::new();
    let restricted = "is restricted. Use a CIDR from the same private address range";
    for (primary, secondary, words) in [
        ("10.5.0.0/16", "172.16.0.0/16", restricted),
        ("10.5.0.0/16", "192.168.0.0/24", restricted),
        ("10.5.0.0/16", "10.0.0.0/16", ""),
        ("10.5.0.0/16", "203.0.113.0/24", ""),
        ("10.0.0.0/24", "10.0.1.0/24", restricted),
        ("10.1.0.0/16", "10.0.1.0/24", restricted),
        ("10.0.0.0/16", "10.1.0.0/16", ""),
        ("172.16.0.0/16", "10.0.0.0/16", restricted),
        ("172.16.0.0/16", "172.31.0.0/16", restricted),
        ("172.16.0.0/16", "172.17.0.0/16", ""),
        ("192.168.0.0/24", "172.17.0.0/16", restricted),
        ("192.168.0.0/24", "192.168.1.0/24", ""),
        ("100.64.0.0/16", "10.0.0.0/16", restricted),
        ("100.64.0.0/16", "100.65.0.0/16", ""),
        ("203.0.113.0/24", "192.168.0.0/16", restricted),
        ("203.0.113.0/24", "100.64.0.0/16", ""),
        ("10.5.0.0/16", "10.5.1.0/24", "conflicts with"),
        ("10.5.0.0/24", "10.5.0.0/16", "conflicts with"),
        ("10.5.0.0/16", "10.6.0.0/15", "is invalid"),
        ("10.5.0.0/16", "10.6.0.0/29", "is invalid"),
        ("10.5.0.0/16", "198.19.0.0/24", "is invalid"),
        ("10.5.0.0/16", "169.254.3.0/24", "is invalid"),
    ] {
        let vpc = stack.ok("CreateVpc", &format!("CidrBlock={primary}"));
        let vpc = element(&vpc, "vpcId");
        let body = format!("VpcId={vpc}&CidrBlock={secondary}");
        if words.is_empty() {
            stack.ok("AssociateVpcCidrBlock", &body);
        } else {
            stack.refused("AssociateVpcCidrBlock", &body, "InvalidVpc.Range", words);
        }
        stack.ok("DeleteVpc", &format!("VpcId={vpc}"));
    }
}

#[test]
fn a_vpc_has_five_ranges_and_none_that_hides_a_route() {
    let stack = Stack::new();
    stack.ok("CreateRoute", "RouteTableId={table}&DestinationCidrBlock=203.0.113.0/25&GatewayId={gateway}");
    stack.refused(
        "AssociateVpcCidrBlock",
        "VpcId={vpc}&CidrBlock=203.0.113.0/24",
        "InvalidVpc.Range",
        "of a route in the route table '{table}'",
    );
    for n in 1..=4 {
        stack.ok("AssociateVpcCidrBlock", &format!("VpcId={{vpc}}&CidrBlock=100.10{n}.0.0/16"));
    }
    stack.refused(
        "AssociateVpcCidrBlock",
        "VpcId={vpc}&CidrBlock=100.99.0.0/16",
        "CidrLimitExceeded",
        "This network '{vpc}' has met its maximum number of allowed CIDRs: 5",
    );
    stack.refused("AssociateVpcCidrBlock", "VpcId={vpc}", "MissingParameter", "cidrBlock");
    stack.refused(
        "AssociateVpcCidrBlock",
        "VpcId={vpc}&AmazonProvidedIpv6CidrBlock=true",
        "InvalidParameterValue",
        "AmazonProvidedIpv6CidrBlock",
    );
}

#[test]
fn a_new_range_shows_to_peers_and_overlaps_none() {
    let stack = Stack::new();
    let peer = stack.ok("CreateVpc", "CidrBlock=10.195.0.0/16");
    let peer = element(&peer, "vpcId");
    let peering = stack.ok("CreateVpcPeeringConnection", &format!("VpcId={{vpc}}&PeerVpcId={peer}"));
    let peering = element(&peering, "vpcPeeringConnectionId");
    stack.ok("AcceptVpcPeeringConnection", &format!("VpcPeeringConnectionId={peering}"));
    stack.refused(
        "AssociateVpcCidrBlock",
        "VpcId={vpc}&CidrBlock=10.195.128.0/17",
        "InvalidVpc.Range",
        &format!("overlaps with a CIDR of the peer VPC '{peer}'"),
    );
    let (send, dirty) = std::sync::mpsc::channel();
    let send = std::sync::Mutex::new(send);
    stack.fixture.api.store.watch(move |commit| {
        let _ = send.lock().unwrap().send(commit.dirty.iter().cloned().collect::<Vec<_>>());
    });
    let text = stack.ok("AssociateVpcCidrBlock", "VpcId={vpc}&CidrBlock=100.64.0.0/16");
    let marked = dirty.recv().unwrap();
    assert!(marked.contains(&types::PartId::Vpc(types::VpcId::from(peer))), "{marked:?}");
    stack.ok("DisassociateVpcCidrBlock", &format!("AssociationId={}", element(&text, "associationId")));
    let marked = dirty.recv().unwrap();
    assert!(marked.contains(&types::PartId::Vpc(types::VpcId::from(peer))), "{marked:?}");
}

#[test]
fn attributes_are_changed_one_at_a_time() {
    let stack = Stack::new();
    for body in
        ["SubnetId={subnet}", "SubnetId={subnet}&MapPublicIpOnLaunch.Value=true&EnableDns64.Value=false"]
    {
        stack.refused("ModifySubnetAttribute", body, "InvalidParameterCombination", "Exactly one attribute");
    }
    stack.ok("ModifySubnetAttribute", "SubnetId={subnet}&EnableDns64.Value=false");
    stack.ok("ModifySubnetAttribute", "SubnetId={subnet}&PrivateDnsHostnameTypeOnLaunch=ip-name");
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsSupport.Value=false");
    stack.refused(
        "ModifyVpcAttribute",
        "VpcId={vpc}&EnableDnsHostnames.Value=true",
        "InvalidParameterCombination",
        "You can only enable DNS hostnames if you've enabled DNS support.",
    );
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsSupport.Value=true");
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=true");
    stack.ok("ModifyVpcTenancy", "VpcId={vpc}&InstanceTenancy=default");
    stack.refused(
        "ModifyVpcTenancy",
        "VpcId={vpc}&InstanceTenancy=dedicated",
        "InvalidParameterValue",
        "InstanceTenancy",
    );
}
