use types::Timestamp;

use super::Stack;
use crate::ec2::network_insights_analysis;
use crate::testing::{element, settings};

/// Lets the reconciler answer what is asked, `later` seconds from now.
fn settle(stack: &Stack, later: u64) {
    let now = Timestamp::now().plus(std::time::Duration::from_secs(later));
    let written: Result<(), wire::ApiError> = stack
        .fixture
        .api
        .store
        .write(move |rows| {
            network_insights_analysis::settle(rows, &settings(), now);
            Ok(())
        })
        .unwrap();
    written.unwrap();
}

/// A path between the stack's gateway and a public interface of its group.
struct Paths {
    stack: Stack,
    interface: String,
}

impl Paths {
    fn new() -> Self {
        let stack = Stack::new();
        let interface = stack.interface(vec![stack.group.clone()], true).unwrap().id.to_string();
        Self { stack, interface }
    }

    fn path(&self, body: &str) -> String {
        let body = body.replace("{interface}", &self.interface);
        element(&self.stack.ok("CreateNetworkInsightsPath", &body), "networkInsightsPathId").to_owned()
    }

    /// Asks a path and gives back the answer.
    fn analysis(&self, path: &str, body: &str) -> String {
        let asked = format!("NetworkInsightsPathId={path}{body}");
        let started = self.stack.ok("StartNetworkInsightsAnalysis", &asked);
        assert_eq!(element(&started, "status"), "running");
        assert!(!started.contains("networkPathFound"), "{started}");
        settle(&self.stack, 0);
        let id = element(&started, "networkInsightsAnalysisId");
        let text =
            self.stack.ok("DescribeNetworkInsightsAnalyses", &format!("NetworkInsightsAnalysisId.1={id}"));
        assert_eq!(element(&text, "status"), "succeeded");
        text
    }
}

const IN: &str = "Source={gateway}&Destination={interface}&Protocol=tcp&DestinationPort=80";

#[test]
fn a_path_from_the_internet_is_analysed_step_by_step() {
    let paths = Paths::new();
    let stack = &paths.stack;
    let path = paths.path(IN);
    let first = paths.analysis(&path, "");
    assert_eq!(element(&first, "networkPathFound"), "false");
    assert_eq!(element(&first, "explanationCode"), "ENI_SG_RULES_MISMATCH", "{first}");
    assert!(first.contains(&format!("<networkInterface><id>{}</id>", paths.interface)), "{first}");
    stack.ok(
        "AuthorizeSecurityGroupIngress",
        "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
    );
    let second = paths.analysis(&path, "");
    assert_eq!(element(&second, "explanationCode"), "NO_ROUTE_TO_DESTINATION", "{second}");
    assert!(second.contains("<returnPathComponentSet>"), "{second}");
    stack.ok("CreateRoute", "RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    stack.ok("AssociateRouteTable", "RouteTableId={table}&SubnetId={subnet}");
    let third = paths.analysis(&path, "");
    assert_eq!(element(&third, "networkPathFound"), "true", "{third}");
    assert!(!third.contains("<explanationSet>"), "{third}");
    let ids: Vec<&str> = third
        .split("<component><id>")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap())
        .collect();
    assert_eq!(ids, ["igw", "acl", "sg", "eni", "eni", "sg", "acl", "rtb", "igw"]);
    assert!(third.contains(&stack.fill("<gatewayId>{gateway}</gatewayId>")), "{third}");
    // The earlier answers stay what they were.
    let all = stack.ok("DescribeNetworkInsightsAnalyses", &format!("NetworkInsightsPathId={path}"));
    assert_eq!(all.matches("<networkPathFound>false</networkPathFound>").count(), 2);
}

#[test]
fn filters_of_a_path_and_of_an_analysis_hold() {
    let paths = Paths::new();
    let stack = &paths.stack;
    stack.ok(
        "AuthorizeSecurityGroupIngress",
        "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=198.51.100.0/24",
    );
    stack.ok("CreateRoute", "RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    stack.ok("AssociateRouteTable", "RouteTableId={table}&SubnetId={subnet}");
    let from = |address: &str| {
        format!(
            "Source={{gateway}}&Destination={{interface}}&Protocol=tcp&FilterAtSource.SourceAddress={address}&FilterAtSource.DestinationPortRange.FromPort=80&FilterAtSource.DestinationPortRange.ToPort=80"
        )
    };
    let found = |path: &str, body: &str| {
        let text = paths.analysis(path, body);
        let code = text.contains("<explanationCode>").then(|| element(&text, "explanationCode").to_owned());
        code.unwrap_or_else(|| element(&text, "networkPathFound").to_owned())
    };
    let open = paths.path(&from("198.51.100.7"));
    assert_eq!(found(&open, ""), "true");
    assert_eq!(found(&paths.path(&from("203.0.113.7")), ""), "ENI_SG_RULES_MISMATCH");
    let any = "Source={gateway}&Destination={interface}&Protocol=tcp";
    assert_eq!(found(&paths.path(any), ""), "true", "one address and one port get through");
    let elsewhere = format!("{any}&DestinationIp=10.194.0.99");
    assert_eq!(found(&paths.path(&elsewhere), ""), "NO_POSSIBLE_DESTINATION");
    let arriving = format!("{any}&FilterAtDestination.SourceAddress=203.0.113.9");
    assert_eq!(found(&paths.path(&arriving), ""), "FILTER_AT_DESTINATION_SOURCE_ADDRESS");
    let arn = |kind: &str, id: &str| format!("arn:aws:ec2:ap-northeast-2:123456789012:{kind}/{id}");
    let table = arn("route-table", &stack.table);
    assert_eq!(found(&open, &format!("&FilterInArn.1={table}")), "true");
    let other = arn("natgateway", "nat-0123456789abcdef0");
    assert_eq!(found(&open, &format!("&FilterInArn.1={other}")), "COMPONENT_FILTER_RESTRICTION");
    assert_eq!(
        found(&open, &format!("&FilterOutArn.1={table}")),
        "COMPONENT_FILTER_RESTRICTION_REMOVED_COMPONENT"
    );
}

#[test]
fn paths_are_kept_shown_and_deleted_as_aws_does() {
    let paths = Paths::new();
    let stack = &paths.stack;
    let path = paths.path(&format!("{IN}&ClientToken=t&TagSpecification.1.ResourceType=network-insights-path&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=in"));
    assert_eq!(paths.path(&format!("{IN}&ClientToken=t")), path, "the same token is the same path");
    stack.refused(
        "CreateNetworkInsightsPath",
        "Source={gateway}&DestinationIp=10.0.0.1&Protocol=tcp&ClientToken=t",
        "IdempotentParameterMismatch",
        "other parameters",
    );
    let shown = stack.ok("DescribeNetworkInsightsPaths", "Filter.1.Name=tag:Name&Filter.1.Value.1=in");
    assert_eq!(element(&shown, "destination"), paths.interface);
    assert_eq!(element(&shown, "destinationPort"), "80");
    assert!(element(&shown, "sourceArn").ends_with(&stack.fill("internet-gateway/{gateway}")), "{shown}");
    let started = paths.analysis(&path, "");
    let delete = format!("NetworkInsightsPathId={path}");
    stack.refused("DeleteNetworkInsightsPath", &delete, "AnalysisExistsForNetworkInsightsPath", &path);
    let analysis = format!("NetworkInsightsAnalysisId={}", element(&started, "networkInsightsAnalysisId"));
    stack.ok("DeleteNetworkInsightsAnalysis", &analysis);
    stack.refused(
        "DeleteNetworkInsightsAnalysis",
        &analysis,
        "InvalidNetworkInsightsAnalysisId.NotFound",
        "does not exist",
    );
    let kept = paths.analysis(&path, "");
    settle(stack, 121 * 24 * 3600);
    let left = stack.ok("DescribeNetworkInsightsAnalyses", "");
    assert!(!left.contains(element(&kept, "networkInsightsAnalysisId")), "120 days are over");
    stack.ok("DeleteNetworkInsightsPath", &delete);
    stack.refused("DeleteNetworkInsightsPath", &delete, "InvalidNetworkInsightsPathId.NotFound", &path);
}

#[test]
fn what_cannot_be_an_end_or_a_filter_is_refused_by_name() {
    let stack = Stack::new();
    for (body, code, words) in [
        (
            "Source=i-0123456789abcdef0&Destination={gateway}&Protocol=tcp",
            "InvalidParameterValue",
            "i-0123456789abcdef0",
        ),
        ("Source=tgw-1&Destination={gateway}&Protocol=tcp", "InvalidParameterValue", "tgw-1"),
        (
            "Source=eni-0123456789abcdef0&Destination={gateway}&Protocol=tcp",
            "InvalidNetworkInterfaceID.NotFound",
            "eni-",
        ),
        ("Source={gateway}&Protocol=tcp", "MissingParameter", "Destination"),
        ("Source={gateway}&DestinationIp=10.0.0.1&Protocol=icmp", "InvalidParameterValue", "tcp, udp"),
        ("Source={gateway}&DestinationIp=10.0.0.300&Protocol=tcp", "InvalidParameterValue", "10.0.0.300"),
        (
            "Source={gateway}&DestinationIp=10.0.0.1&Protocol=tcp&DestinationPort=70000",
            "InvalidParameterValue",
            "70000",
        ),
        (
            "Source={gateway}&DestinationIp=10.0.0.1&Protocol=tcp&FilterAtSource.DestinationPortRange.FromPort=80&FilterAtSource.DestinationPortRange.ToPort=90",
            "InvalidParameterValue",
            "FilterAtSource.DestinationPortRange",
        ),
        (
            "Source={gateway}&DestinationIp=10.0.0.1&Protocol=tcp&SourceIp=1.1.1.1&FilterAtSource.SourceAddress=1.1.1.1",
            "InvalidParameterCombination",
            "SourceIp",
        ),
    ] {
        stack.refused("CreateNetworkInsightsPath", body, code, words);
    }
}
