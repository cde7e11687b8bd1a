use super::Stack;
use crate::ec2::dhcp_options;
use crate::ec2::vpc::Vpc;
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

/// An option of CreateDhcpOptions.
fn option(number: usize, key: &str, values: &[&str]) -> String {
    let values = values.iter().enumerate();
    let values = values.map(|(at, value)| format!("&DhcpConfiguration.{number}.Value.{}={value}", at + 1));
    format!("DhcpConfiguration.{number}.Key={key}{}", values.collect::<String>())
}

#[test]
fn what_a_vpc_s_tasks_are_told_of_dns_is_its_set_s() {
    let stack = Stack::new();
    let dns = || {
        let rows = stack.fixture.api.store.snapshot();
        let vpc = rows.scan::<Vpc>("").find(|vpc| vpc.id.as_str() == stack.vpc).unwrap();
        let dns = dhcp_options::dns(&rows, &vpc);
        (dns.search.join(","), dns.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    let told = |search: &str, servers: &str| (search.to_owned(), servers.to_owned());
    assert_eq!(dns(), told("ap-northeast-2.compute.internal", "10.194.0.2"));
    let associate = |id: &str| stack.ok("AssociateDhcpOptions", &format!("VpcId={{vpc}}&DhcpOptionsId={id}"));
    associate("default");
    assert_eq!(dns(), told("", "169.254.169.253"));
    let set = |options: &[String]| {
        let made = stack.ok("CreateDhcpOptions", &options.join("&"));
        associate(element(&made, "dhcpOptionsId"));
        made
    };
    set(&[option(1, "domain-name", &["example.com%20corp.example.com"])]);
    assert_eq!(dns(), told("example.com,corp.example.com", "169.254.169.253"));
    set(&[option(1, "domain-name-servers", &["10.0.0.9,8.8.8.8", "AmazonProvidedDNS"])]);
    assert_eq!(dns(), told("", "10.0.0.9,8.8.8.8,10.194.0.2"));
    // What only DHCP would announce is shown.
    let made = set(&[
        option(1, "ntp-servers", &["169.254.169.123"]),
        option(2, "netbios-name-servers", &["10.0.0.3", "10.0.0.4"]),
        option(3, "netbios-node-type", &["2"]),
    ]);
    let shown: Vec<&str> =
        made.split("<value>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(shown, ["10.0.0.3", "10.0.0.4", "2", "169.254.169.123"]);
}

#[test]
fn dhcp_options_that_no_host_could_have_are_refused() {
    let stack = Stack::new();
    for (body, words) in [
        (option(1, "domain-name", &["a", "b"]), "(a,b) for parameter domain-name"),
        (option(1, "domain-name", &["a%0Anameserver"]), "for parameter domain-name"),
        (option(1, "domain-name-servers", &["10.0.0.999"]), "(10.0.0.999) for parameter domain-name-servers"),
        (option(1, "domain-name-servers", &["1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5"]), "one to four"),
        (option(1, "ntp-servers", &["AmazonProvidedDNS"]), "parameter ntp-servers"),
        (option(1, "netbios-node-type", &["3"]), "parameter netbios-node-type"),
        (option(1, "x", &["y"]), "(x) for parameter key"),
        (
            [option(1, "domain-name", &["a"]), option(2, "domain-name", &["b"])].join("&"),
            "(domain-name) for parameter key",
        ),
    ] {
        stack.refused("CreateDhcpOptions", &body, "InvalidParameterValue", words);
    }
    for (body, words) in [
        (option(1, "domain-name-servers", &["2001:db8::1"]), "an IPv6 address"),
        (option(1, "ipv6-address-preferred-lease-time", &["140"]), "ipv6-address-preferred-lease-time"),
    ] {
        stack.refused("CreateDhcpOptions", &body, "UnsupportedOperation", words);
    }
    stack.refused("CreateDhcpOptions", "", "MissingParameter", "dhcpConfiguration");
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
        ("DescribeInstances", "network-interface.vpc-id", "InstanceId.1=i-1", "InvalidInstanceID.NotFound"),
        (
            "DescribeInstances",
            "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn",
            "InstanceId.1=i-1",
            "InvalidInstanceID.NotFound",
        ),
        ("DescribeTransitGateways", "state", "TransitGatewayIds.1=tgw-1", "InvalidTransitGatewayID.NotFound"),
        (
            "DescribeCarrierGateways",
            "vpc-id",
            "CarrierGatewayId.1=cagw-1",
            "InvalidCarrierGatewayID.NotFound",
        ),
        (
            "DescribeVpcEndpointServiceConfigurations",
            "service-id",
            "ServiceId.1=vpce-svc-1",
            "InvalidVpcEndpointServiceId.NotFound",
        ),
        (
            "DescribeVpcEndpointAssociations",
            "vpc-endpoint-id",
            "VpcEndpointId.1=vpce-1",
            "InvalidVpcEndpointId.NotFound",
        ),
    ] {
        let text = stack.ok(action, &format!("Filter.1.Name={filter}&Filter.1.Value.1=x"));
        assert!(!text.contains("<item>"), "{text}");
        stack.refused(action, unknown, code, "not exist");
        stack.refused(action, "Filter.1.Name=x&Filter.1.Value.1=x", "InvalidParameterValue", "filter 'x'");
    }
    stack.refused("CreateEgressOnlyInternetGateway", "", "InvalidAction", "No VPC has IPv6.");
}
