use crate::Service;
use crate::ec2::default_vpc;
use crate::ec2::tests::Stack;
use crate::testing::{Fixture, element};

fn ok(fixture: &Fixture, action: &str, body: &str) -> String {
    fixture.ok(Service::Ec2, action, body)
}

#[test]
fn a_region_comes_with_a_default_vpc() {
    let fixture = Fixture::new();
    assert_eq!(fixture.api.store.snapshot().sequence(), 0, "a region that nobody uses has no rows");
    let vpc = ok(&fixture, "DescribeVpcs", "Filter.1.Name=is-default&Filter.1.Value.1=true");
    assert_eq!(element(&vpc, "cidrBlock"), "172.31.0.0/16");
    assert_eq!(element(&vpc, "isDefault"), "true");
    let id = element(&vpc, "vpcId");
    let subnets = ok(&fixture, "DescribeSubnets", "Filter.1.Name=default-for-az&Filter.1.Value.1=true");
    for (zone, range) in [
        ("ap-northeast-2a", "172.31.0.0/20"),
        ("ap-northeast-2b", "172.31.16.0/20"),
        ("ap-northeast-2c", "172.31.32.0/20"),
        ("ap-northeast-2d", "172.31.48.0/20"),
    ] {
        let words = format!("<cidrBlock>{range}</cidrBlock><availabilityZone>{zone}</availabilityZone>");
        assert!(subnets.contains(&words), "{words}: {subnets}");
    }
    assert_eq!(subnets.matches("<mapPublicIpOnLaunch>true</mapPublicIpOnLaunch>").count(), 4);
    assert_eq!(subnets.matches("<availableIpAddressCount>4091</availableIpAddressCount>").count(), 4);
    let of_vpc = format!("Filter.1.Name=vpc-id&Filter.1.Value.1={id}");
    let tables = ok(&fixture, "DescribeRouteTables", &of_vpc);
    let gateway = ok(
        &fixture,
        "DescribeInternetGateways",
        &format!("Filter.1.Name=attachment.vpc-id&Filter.1.Value.1={id}"),
    );
    let route = format!(
        "<destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>{}</gatewayId>",
        element(&gateway, "internetGatewayId")
    );
    assert!(tables.contains(&route) && tables.contains("<main>true</main>"), "{tables}");
    let acls = ok(&fixture, "DescribeNetworkAcls", &of_vpc);
    assert_eq!(acls.matches("<subnetId>").count(), 4, "{acls}");
    let groups = ok(&fixture, "DescribeSecurityGroups", "GroupName.1=default");
    assert_eq!(element(&groups, "vpcId"), id);
    for attribute in ["enableDnsSupport", "enableDnsHostnames"] {
        let text = ok(&fixture, "DescribeVpcAttribute", &format!("VpcId={id}&Attribute={attribute}"));
        assert!(text.contains("<value>true</value>"), "{text}");
    }
    let account = ok(&fixture, "DescribeAccountAttributes", "AttributeName.1=default-vpc");
    assert_eq!(element(&account, "attributeValue"), id);
    assert_eq!(ok(&fixture, "DescribeVpcs", "").matches("<vpcId>").count(), 1, "it is made once");
}

#[test]
fn the_first_call_may_be_a_refused_one() {
    let stack = Fixture::new();
    let (status, _) = stack.call(Service::Ec2, "DescribeVpcs", "VpcId.1=vpc-1");
    assert_eq!(status, 400);
    assert!(ok(&stack, "DescribeVpcs", "").contains("172.31.0.0/16"));
}

#[test]
fn a_deleted_default_vpc_stays_deleted_until_it_is_asked_for() {
    let stack = Stack::new();
    let default = stack.ok("DescribeVpcs", "Filter.1.Name=isDefault&Filter.1.Value.1=true");
    let id = element(&default, "vpcId");
    stack.refused("CreateDefaultVpc", "", "DefaultVpcAlreadyExists", "A Default VPC already exists");
    let in_use = format!("The vpc '{id}' has dependencies");
    stack.refused("DeleteVpc", &format!("VpcId={id}"), "DependencyViolation", &in_use);
    let subnets = stack.ok("DescribeSubnets", "Filter.1.Name=defaultForAz&Filter.1.Value.1=true");
    let subnets: Vec<&str> =
        subnets.split("<subnetId>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    stack.refused(
        "CreateDefaultSubnet",
        "AvailabilityZone=ap-northeast-2c",
        "DefaultSubnetAlreadyExistsInAvailabilityZone",
        "is already the default subnet in ap-northeast-2c",
    );
    let c = stack.ok(
        "DescribeSubnets",
        "Filter.1.Name=availabilityZone&Filter.1.Value.1=ap-northeast-2c&Filter.2.Name=defaultForAz&Filter.2.Value.1=true",
    );
    stack.ok("DeleteSubnet", &format!("SubnetId={}", element(&c, "subnetId")));
    let again = stack.ok("CreateDefaultSubnet", "AvailabilityZoneId=apne2-az3");
    assert_eq!(element(&again, "cidrBlock"), "172.31.32.0/20", "the range that is free");
    assert_eq!(element(&again, "defaultForAz"), "true");
    for subnet in subnets.iter().copied().filter(|one| *one != element(&c, "subnetId")) {
        stack.ok("DeleteSubnet", &format!("SubnetId={subnet}"));
    }
    stack.ok("DeleteSubnet", &format!("SubnetId={}", element(&again, "subnetId")));
    let gateway = stack
        .ok("DescribeInternetGateways", &format!("Filter.1.Name=attachment.vpc-id&Filter.1.Value.1={id}"));
    let gateway = element(&gateway, "internetGatewayId");
    stack.ok("DetachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={id}"));
    stack.ok("DeleteInternetGateway", &format!("InternetGatewayId={gateway}"));
    stack.ok("DeleteVpc", &format!("VpcId={id}"));
    assert!(default_vpc::is_furnished(&stack.fixture.api.store.snapshot(), &stack.context()));
    let none = stack.ok("DescribeVpcs", "Filter.1.Name=isDefault&Filter.1.Value.1=true");
    assert!(!none.contains("<vpcId>"), "{none}");
    let account = stack.ok("DescribeAccountAttributes", "AttributeName.1=default-vpc");
    assert_eq!(element(&account, "attributeValue"), "none");
    stack.refused(
        "CreateDefaultSubnet",
        "AvailabilityZone=ap-northeast-2a",
        "DefaultVpcDoesNotExist",
        "No default VPC exists for this account in this region.",
    );
    stack.refused(
        "CreateSecurityGroup",
        "GroupName=x&GroupDescription=x",
        "VPCIdNotSpecified",
        "No default VPC for this user",
    );
    let new = stack.ok("CreateDefaultVpc", "");
    assert_eq!(element(&new, "isDefault"), "true");
    let subnets = stack.ok("DescribeSubnets", "Filter.1.Name=defaultForAz&Filter.1.Value.1=true");
    assert_eq!(subnets.matches("<subnetId>").count(), 4);
}

#[test]
fn who_names_no_vpc_means_the_default_one() {
    let stack = Stack::new();
    let default = stack.ok("DescribeVpcs", "Filter.1.Name=isDefault&Filter.1.Value.1=true");
    let id = element(&default, "vpcId");
    let group = stack.ok("CreateSecurityGroup", "GroupName=web&GroupDescription=d");
    let group = element(&group, "groupId");
    let shown = stack.ok("DescribeSecurityGroups", "GroupName.1=web");
    assert_eq!((element(&shown, "groupId"), element(&shown, "vpcId")), (group, id));
    let words = format!("The security group 'app' does not exist in default VPC '{id}'");
    stack.refused("DescribeSecurityGroups", "GroupName.1=app", "InvalidGroup.NotFound", &words);
    stack.refused("DeleteSecurityGroup", "GroupName=app", "InvalidGroup.NotFound", &words);
    stack.ok("DeleteSecurityGroup", "GroupName=web");
    stack.refused("DeleteSecurityGroup", "", "MissingParameter", "groupName or groupId");
}

#[test]
fn rules_of_a_group_in_the_default_vpc_change_by_the_groups_name() {
    let stack = Stack::new();
    let group = stack.ok("CreateSecurityGroup", "GroupName=web&GroupDescription=d");
    let id = element(&group, "groupId");
    let rule = "GroupName=web&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
                &IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8";
    let made = stack.ok("AuthorizeSecurityGroupIngress", rule);
    assert_eq!(element(&made, "groupId"), id);
    let described = format!("{rule}&IpPermissions.1.IpRanges.1.Description=inside");
    stack.ok("UpdateSecurityGroupRuleDescriptionsIngress", &described);
    let shown = stack.ok("DescribeSecurityGroups", "GroupName.1=web");
    assert_eq!(element(&shown, "description"), "inside");
    stack.ok("RevokeSecurityGroupIngress", rule);
    let both = format!("{rule}&GroupId={id}");
    stack.refused("AuthorizeSecurityGroupIngress", &both, "InvalidParameterCombination", "used together");
    stack.refused("AuthorizeSecurityGroupEgress", rule, "UnknownParameter", "GroupName");
    let other = rule.replace("=web", "=app");
    stack.refused("AuthorizeSecurityGroupIngress", &other, "InvalidGroup.NotFound", "'app' does not exist");
}

#[test]
fn a_region_has_five_vpcs_and_as_many_internet_gateways() {
    let stack = Stack::new();
    for n in 1..=3 {
        stack.ok("CreateVpc", &format!("CidrBlock=10.{n}.0.0/16"));
        stack.ok("CreateInternetGateway", "");
    }
    stack.refused(
        "CreateVpc",
        "CidrBlock=10.9.0.0/16",
        "VpcLimitExceeded",
        "The maximum number of VPCs has been reached.",
    );
    stack.refused(
        "CreateInternetGateway",
        "",
        "InternetGatewayLimitExceeded",
        "The maximum number of internet gateways has been reached.",
    );
}
