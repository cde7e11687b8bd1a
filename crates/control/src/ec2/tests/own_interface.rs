//! Interfaces and elastic addresses of users.

use super::Stack;
use crate::testing::element;

impl Stack {
    fn own_interface(&self, body: &str) -> String {
        let made = self.ok("CreateNetworkInterface", &format!("SubnetId={{subnet}}&{body}"));
        element(&made, "networkInterfaceId").to_owned()
    }

    fn interface_shown(&self, id: &str) -> String {
        self.ok("DescribeNetworkInterfaces", &format!("NetworkInterfaceId.1={id}"))
    }
}

#[test]
fn a_users_interface_holds_its_addresses_and_has_no_place_in_the_network() {
    let stack = Stack::new();
    let addresses = "PrivateIpAddresses.1.PrivateIpAddress=10.194.0.10&PrivateIpAddresses.1.Primary=true&PrivateIpAddresses.2.PrivateIpAddress=10.194.0.11&PrivateIpAddresses.2.Primary=false";
    let id = stack.own_interface(&format!("{addresses}&Description=mine&SecurityGroupId.1={{group}}"));
    let shown = stack.interface_shown(&id);
    for (name, text) in [
        ("status", "available"),
        ("interfaceType", "interface"),
        ("requesterManaged", "false"),
        ("description", "mine"),
        ("privateIpAddress", "10.194.0.10"),
    ] {
        assert_eq!(element(&shown, name), text, "{shown}");
    }
    assert!(!shown.contains("<attachment>") && shown.contains("<privateIpAddress>10.194.0.11<"), "{shown}");
    let subnet = stack.ok("DescribeSubnets", "SubnetId.1={subnet}");
    assert_eq!(element(&subnet, "availableIpAddressCount"), "249");
    for (address, code, words) in [
        ("10.194.0.11", "InvalidIPAddress.InUse", "already in use"),
        ("10.194.0.1", "InvalidParameterValue", "reserved address range"),
        ("10.194.9.9", "InvalidParameterValue", "does not fall within the subnet's address range"),
    ] {
        let body = format!("SubnetId={{subnet}}&PrivateIpAddress={address}");
        stack.refused("CreateNetworkInterface", &body, code, words);
    }
    stack.ok(
        "CreateRoute",
        &format!("RouteTableId={{table}}&DestinationCidrBlock=1.0.0.0/8&NetworkInterfaceId={id}"),
    );
    let table = stack.ok("DescribeRouteTables", "RouteTableId.1={table}");
    assert!(table.contains("<state>blackhole</state>"), "{table}");
    stack.interface(vec![], false).unwrap();
    let context = stack.context();
    let rows = stack.fixture.api.store.snapshot();
    let vpc = stack.vpc.as_str().into();
    let network = crate::project::vpc::project(&rows, &context.account, &context.region, &vpc).unwrap();
    assert_eq!(network.interfaces.len(), 1, "only the load balancer's");
    stack.refused("DeleteSecurityGroup", "GroupId={group}", "DependencyViolation", "dependent object");
    stack.ok("DeleteNetworkInterface", &format!("NetworkInterfaceId={id}"));
    stack.ok("DeleteSecurityGroup", "GroupId={group}");
    for (body, words) in [
        ("Ipv6AddressCount=1", "Ipv6AddressCount"),
        ("Ipv4PrefixCount=1", "Ipv4PrefixCount"),
        ("InterfaceType=efa", "InterfaceType"),
    ] {
        let (status, text) = stack.fixture.call(
            crate::Service::Ec2,
            "CreateNetworkInterface",
            &stack.fill(&format!("SubnetId={{subnet}}&{body}")),
        );
        assert!(status == 400 && text.contains(words), "{text}");
    }
}

#[test]
fn an_interface_made_twice_with_one_token_is_one() {
    let stack = Stack::new();
    let id = stack.own_interface("ClientToken=t");
    assert_eq!(stack.own_interface("ClientToken=t"), id);
    let body = "SubnetId={subnet}&ClientToken=t&Description=other";
    stack.refused("CreateNetworkInterface", body, "IdempotentParameterMismatch", "token");
}

#[test]
fn the_attributes_of_a_users_interface_change_and_a_services_do_not() {
    let stack = Stack::new();
    let id = stack.own_interface("");
    let modify = |body: &str| {
        stack.ok("ModifyNetworkInterfaceAttribute", &format!("NetworkInterfaceId={id}&{body}"));
    };
    let check = |attribute: &str, text: &str| {
        let body = format!("NetworkInterfaceId={id}&Attribute={attribute}");
        let shown = stack.ok("DescribeNetworkInterfaceAttribute", &body);
        assert!(shown.contains(&stack.fill(text)), "{shown}");
    };
    modify("Description.Value=new");
    check("description", "<description><value>new</value></description>");
    modify("SourceDestCheck.Value=false");
    check("sourceDestCheck", "<value>false</value>");
    stack.ok("ResetNetworkInterfaceAttribute", &format!("NetworkInterfaceId={id}&SourceDestCheck=x"));
    check("sourceDestCheck", "<value>true</value>");
    modify("SecurityGroupId.1={group}");
    check("groupSet", "<groupId>{group}</groupId>");
    let of_service = stack.interface(vec![], false).unwrap();
    let name = format!("NetworkInterfaceId={}", of_service.id);
    for (action, body) in [
        ("ModifyNetworkInterfaceAttribute", "&SourceDestCheck.Value=false"),
        ("AssignPrivateIpAddresses", "&SecondaryPrivateIpAddressCount=1"),
        ("AssociateAddress", "&AllocationId={allocation}"),
    ] {
        stack.refused(action, &format!("{name}{body}"), "AuthFailure", "permission");
    }
    stack.refused("DeleteNetworkInterface", &name, "InvalidParameterValue", "is currently in use.");
    let attach = format!("NetworkInterfaceId={id}&InstanceId=i-1&DeviceIndex=1");
    stack.refused("AttachNetworkInterface", &attach, "InvalidInstanceID.NotFound", "'i-1' does not exist");
    let attachment = of_service.attachment_id.as_ref().unwrap();
    let detach = format!("AttachmentId={attachment}");
    stack.refused("DetachNetworkInterface", &detach, "OperationNotPermitted", "not allowed");
    stack.refused(
        "DetachNetworkInterface",
        "AttachmentId=eni-attach-1",
        "InvalidAttachmentID.NotFound",
        "eni-attach-1",
    );
}

#[test]
fn secondary_addresses_are_assigned_and_taken_away() {
    let stack = Stack::new();
    let id = stack.own_interface("SecondaryPrivateIpAddressCount=2");
    let count = || stack.interface_shown(&id).matches("<primary>false</primary>").count();
    assert_eq!(count(), 2);
    let name = format!("NetworkInterfaceId={id}");
    let assign = |body: &str| stack.ok("AssignPrivateIpAddresses", &format!("{name}&{body}"));
    assert!(assign("PrivateIpAddress.1=10.194.0.99").contains("10.194.0.99"));
    assign("SecondaryPrivateIpAddressCount=1");
    assert_eq!(count(), 4);
    stack.ok("UnassignPrivateIpAddresses", &format!("{name}&PrivateIpAddress.1=10.194.0.99"));
    assert_eq!(count(), 3);
    stack.refused(
        "UnassignPrivateIpAddresses",
        &format!("{name}&PrivateIpAddress.1=10.194.0.99"),
        "InvalidParameterValue",
        "is not assigned to interface",
    );
}

#[test]
fn an_elastic_address_leads_to_a_users_interface_and_moves() {
    let stack = Stack::new();
    let (a, b) = (stack.own_interface(""), stack.own_interface("SecondaryPrivateIpAddressCount=1"));
    let associate = |interface: &str, more: &str| {
        let body = format!("AllocationId={{allocation}}&NetworkInterfaceId={interface}{more}");
        element(&stack.ok("AssociateAddress", &body), "associationId").to_owned()
    };
    let first = associate(&a, "");
    assert_eq!(associate(&a, ""), first, "it leads there already");
    let body = format!("AllocationId={{allocation}}&NetworkInterfaceId={b}&AllowReassociation=false");
    stack.refused("AssociateAddress", &body, "Resource.AlreadyAssociated", &first);
    let second = associate(&b, "");
    assert!(!stack.interface_shown(&a).contains("<association>"));
    assert!(stack.interface_shown(&b).contains(&second));
    let shown = stack.interface_shown(&b);
    let (_, secondary) = shown.rsplit_once("<privateIpAddress>").unwrap();
    let secondary = &secondary[..secondary.find('<').unwrap()];
    let body = format!("AllocationId={{allocation}}&NetworkInterfaceId={b}&PrivateIpAddress={secondary}");
    stack.refused("AssociateAddress", &body, "UnsupportedOperation", secondary);
    stack.refused(
        "AssociateAddress",
        "AllocationId={allocation}&InstanceId=i-1",
        "InvalidInstanceID.NotFound",
        "i-1",
    );
    stack.ok("DisassociateAddress", &format!("AssociationId={second}"));
    stack.refused(
        "DisassociateAddress",
        &format!("AssociationId={second}"),
        "InvalidAssociationID.NotFound",
        &second,
    );
    associate(&a, "");
    stack.ok("DeleteNetworkInterface", &format!("NetworkInterfaceId={a}"));
    stack.ok("ReleaseAddress", "AllocationId={allocation}");
    for _ in 0..5 {
        stack.ok("AllocateAddress", "");
    }
    stack.refused("AllocateAddress", "", "AddressLimitExceeded", "maximum number of addresses");
}
