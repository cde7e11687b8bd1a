use super::Stack;
use crate::testing::element;

const OWN: &str = "DhcpConfiguration.1.Key=domain-name-servers&DhcpConfiguration.1.Value.1=AmazonProvidedDNS";

#[test]
fn a_set_of_dhcp_options_is_given_to_a_vpc_and_taken_back() {
    let stack = Stack::new();
    let default = stack.ok("DescribeVpcs", "VpcId.1={vpc}");
    let default = element(&default, "dhcpOptionsId");
    let domain =
        "DhcpConfiguration.2.Key=domain-name&DhcpConfiguration.2.Value.1=ap-northeast-2.compute.internal";
    let made = stack.ok("CreateDhcpOptions", &format!("{OWN}&{domain}"));
    let id = element(&made, "dhcpOptionsId");
    let keys: Vec<&str> = made.split("<key>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(keys, ["domain-name", "domain-name-servers"]);
    let associate = |id: &str| stack.ok("AssociateDhcpOptions", &format!("VpcId={{vpc}}&DhcpOptionsId={id}"));
    associate(id);
    assert_eq!(element(&stack.ok("DescribeVpcs", "VpcId.1={vpc}"), "dhcpOptionsId"), id);
    let words = format!("The dhcpOptions '{id}' has dependencies and cannot be deleted.");
    stack.refused("DeleteDhcpOptions", &format!("DhcpOptionsId={id}"), "DependencyViolation", &words);
    let new = stack.ok("CreateVpc", "CidrBlock=10.9.0.0/16");
    assert_eq!(element(&new, "dhcpOptionsId"), default, "a new VPC gets the region's");
    associate("default");
    assert_eq!(element(&stack.ok("DescribeVpcs", "VpcId.1={vpc}"), "dhcpOptionsId"), "default");
    stack.ok("DeleteDhcpOptions", &format!("DhcpOptionsId={id}"));
    let words = format!("The dhcpOption ID '{id}' does not exist");
    for (action, body) in [
        ("DeleteDhcpOptions", format!("DhcpOptionsId={id}")),
        ("DescribeDhcpOptions", format!("DhcpOptionsId.1={id}")),
        ("AssociateDhcpOptions", format!("VpcId={{vpc}}&DhcpOptionsId={id}")),
    ] {
        stack.refused(action, &body, "InvalidDhcpOptionsID.NotFound", &words);
    }
}

#[test]
fn dhcp_options_that_no_container_would_get_are_refused_by_name() {
    let stack = Stack::new();
    let option = |key: &str, value: &str| {
        format!("{OWN}&DhcpConfiguration.2.Key={key}&DhcpConfiguration.2.Value.1={value}")
    };
    for (body, words) in [
        (option("domain-name", "example.com"), "(example.com) for parameter domain-name"),
        (option("domain-name-servers", "10.0.0.2"), "(10.0.0.2) for parameter domain-name-servers"),
        (option("ntp-servers", "10.0.0.2"), "parameter ntp-servers"),
        (option("netbios-node-type", "2"), "parameter netbios-node-type"),
        (option("x", "y"), "(x) for parameter key"),
        (String::new(), "must contain domain-name-servers=AmazonProvidedDNS"),
    ] {
        stack.refused("CreateDhcpOptions", &body, "InvalidParameterValue", words);
    }
}

#[test]
fn what_nobody_can_have_is_listed_as_nothing() {
    let stack = Stack::new();
    for (action, filter, unknown, code) in [
        (
            "DescribeEgressOnlyInternetGateways",
            "tag-key",
            "EgressOnlyInternetGatewayId.1=eigw-1",
            "InvalidGatewayID.NotFound",
        ),
        ("DescribeVpnGateways", "attachment.vpc-id", "VpnGatewayId.1=vgw-1", "InvalidVpnGatewayID.NotFound"),
        ("DescribeFlowLogs", "resource-id", "FlowLogId.1=fl-1", "InvalidFlowLogId.NotFound"),
    ] {
        let text = stack.ok(action, &format!("Filter.1.Name={filter}&Filter.1.Value.1=x"));
        assert!(!text.contains("<item>"), "{text}");
        stack.refused(action, unknown, code, "does not exist");
        stack.refused(action, "Filter.1.Name=x&Filter.1.Value.1=x", "InvalidParameterValue", "filter 'x'");
    }
    stack.refused("CreateFlowLogs", "", "InvalidAction", "Flow logs need CloudWatch Logs");
    stack.refused("CreateEgressOnlyInternetGateway", "", "InvalidAction", "No VPC has IPv6.");
}
