//! What the actions answer when all is well.

use desired::{LoadBalancerStatus, Observation};
use expect_test::expect;

use super::Stack;
use crate::Service;
use crate::testing::element;

#[test]
fn a_load_balancer_is_shown_as_clients_read_it() {
    let stack = Stack::new();
    stack.shows(
        "DescribeLoadBalancers",
        "Names.member.1=lb",
        &expect![[r#"
            DescribeLoadBalancersResponse
              DescribeLoadBalancersResult
                LoadBalancers
                  member
                    LoadBalancerArn: {lb}
                    DNSName: lb-N.ap-northeast-2.elb.localhost
                    CanonicalHostedZoneId: ZWKZPGTI48KDX
                    CreatedTime: TIME
                    LoadBalancerName: lb
                    Scheme: internet-facing
                    VpcId: {vpc}
                    State
                      Code: provisioning
                    Type: application
                    AvailabilityZones
                      member
                        ZoneName: ap-northeast-2a
                        SubnetId: {a}
                        LoadBalancerAddresses:
                      member
                        ZoneName: ap-northeast-2b
                        SubnetId: {b}
                        LoadBalancerAddresses:
                    SecurityGroups
                      member: {group}
                    IpAddressType: ipv4
        "#]],
    );
}

#[test]
fn a_load_balancer_is_active_once_its_nodes_have_answered() {
    let stack = Stack::new();
    let report = |ready: bool, error: Option<&str>| {
        stack.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
            load_balancer: stack.balancer(),
            generation: 1,
            ready,
            error: error.map(str::to_owned),
            targets: Default::default(),
        }));
        let machine = stack.fixture.api.machine.clone();
        let advance = move |rows: &mut store::Tx| -> Result<(), std::convert::Infallible> {
            crate::elbv2::load_balancer::advance(rows, &machine);
            Ok(())
        };
        stack.fixture.api.store.write(advance).unwrap().unwrap();
        let shown = stack.ok("DescribeLoadBalancers", "");
        let reason = shown.contains("<Reason>").then(|| element(&shown, "Reason").to_owned());
        (element(&shown, "Code").to_owned(), reason)
    };
    assert_eq!(report(false, None), ("provisioning".to_owned(), None));
    let why = "port 80 cannot be listened on";
    assert_eq!(report(false, Some(why)), ("provisioning".to_owned(), Some(why.to_owned())));
    assert_eq!(report(true, None), ("active".to_owned(), None));
    assert_eq!(report(false, Some(why)), ("active_impaired".to_owned(), Some(why.to_owned())));
    assert_eq!(report(true, None), ("active".to_owned(), None));
}

#[test]
fn an_internal_load_balancer_needs_no_internet_gateway() {
    let mut stack = Stack::network();
    let body = "Name=in&Scheme=internal&SubnetMappings.member.1.SubnetId={x}&SubnetMappings.member.2.SubnetId={y}&SecurityGroups.member.1={group2}&Type=application&IpAddressType=ipv4&Tags.member.1.Key=k&Tags.member.1.Value=v";
    let made = stack.make(Service::Elbv2, "CreateLoadBalancer", body, "LoadBalancerArn", "lb");
    expect![[r#"
        CreateLoadBalancerResponse
          CreateLoadBalancerResult
            LoadBalancers
              member
                LoadBalancerArn: {lb}
                DNSName: internal-in-N.ap-northeast-2.elb.amazonaws.com
                CanonicalHostedZoneId: ZWKZPGTI48KDX
                CreatedTime: TIME
                LoadBalancerName: in
                Scheme: internal
                VpcId: {vpc2}
                State
                  Code: provisioning
                Type: application
                AvailabilityZones
                  member
                    ZoneName: ap-northeast-2a
                    SubnetId: {x}
                    LoadBalancerAddresses:
                  member
                    ZoneName: ap-northeast-2b
                    SubnetId: {y}
                    LoadBalancerAddresses:
                SecurityGroups
                  member: {group2}
                IpAddressType: ipv4
    "#]]
    .assert_eq(&stack.hide(&made));
    assert_eq!(stack.ok("CreateLoadBalancer", body), made, "the same call again");
}

#[test]
fn a_load_balancer_takes_its_listeners_and_interfaces_with_it() {
    let stack = Stack::new();
    let interfaces =
        |stack: &Stack| stack.ec2("DescribeNetworkInterfaces", "").matches("<networkInterfaceId>").count();
    assert_eq!(interfaces(&stack), 2);
    stack.ok("DeleteLoadBalancer", "LoadBalancerArn={lb}");
    assert_eq!(interfaces(&stack), 0);
    stack.refused("DescribeListeners", "ListenerArns.member.1={listener}", "ListenerNotFound", "One or more");
    let group = stack.ok("DescribeTargetGroups", "Names.member.1=app");
    assert!(!group.contains(&stack.fill("{lb}")), "{group}");
    stack.ok("DeleteLoadBalancer", "LoadBalancerArn={lb}");
    stack.ok("DeleteTargetGroup", "TargetGroupArn={app}");
    stack.ok("DeleteTargetGroup", "TargetGroupArn={app}");
    stack.ec2("DeleteSecurityGroup", "GroupId={group}");
}

#[test]
fn security_groups_are_set_on_every_node() {
    let mut stack = Stack::new();
    let group = "VpcId={vpc}&GroupName=other&GroupDescription=d";
    stack.make(Service::Ec2, "CreateSecurityGroup", group, "groupId", "other");
    stack.shows(
        "SetSecurityGroups",
        "LoadBalancerArn={lb}&SecurityGroups.member.1={other}&SecurityGroups.member.2={other}",
        &expect![[r#"
            SetSecurityGroupsResponse
              SetSecurityGroupsResult
                SecurityGroupIds
                  member: {other}
        "#]],
    );
    let shown = stack.ec2("DescribeNetworkInterfaces", "");
    assert_eq!(shown.matches(&stack.fill("<groupId>{other}</groupId>")).count(), 2);
    let shown = stack.ok("DescribeLoadBalancers", "");
    assert!(
        shown.contains(&stack.fill("<SecurityGroups><member>{other}</member></SecurityGroups>")),
        "{shown}"
    );
}

#[test]
fn a_target_group_is_shown_as_clients_read_it() {
    let stack = Stack::new();
    // What provider 5.100 sends.
    stack.ok("CreateTargetGroup", "Name=second&Protocol=HTTP&ProtocolVersion=HTTP1&Port=8080&VpcId={vpc}&TargetType=ip&IpAddressType=ipv4&HealthCheckEnabled=true&HealthCheckProtocol=HTTP&HealthCheckPort=8081&HealthCheckPath=%2Fup%3Fa%3D1&HealthCheckIntervalSeconds=10&HealthCheckTimeoutSeconds=4&HealthyThresholdCount=2&UnhealthyThresholdCount=3&Matcher.HttpCode=200-299%2C404");
    stack.shows(
        "DescribeTargetGroups",
        "LoadBalancerArn={lb}",
        &expect![[r#"
        DescribeTargetGroupsResponse
          DescribeTargetGroupsResult
            TargetGroups
              member
                TargetGroupArn: {app}
                TargetGroupName: app
                Protocol: HTTP
                Port: 3000
                VpcId: {vpc}
                HealthCheckProtocol: HTTP
                HealthCheckPort: traffic-port
                HealthCheckEnabled: true
                HealthCheckIntervalSeconds: 30
                HealthCheckTimeoutSeconds: 5
                HealthyThresholdCount: 5
                UnhealthyThresholdCount: 2
                HealthCheckPath: /
                Matcher
                  HttpCode: 200
                LoadBalancerArns
                  member: {lb}
                TargetType: ip
                ProtocolVersion: HTTP1
                IpAddressType: ipv4
    "#]],
    );
    let second = stack.ok("DescribeTargetGroups", "Names.member.1=second");
    let arn = element(&second, "TargetGroupArn").to_owned();
    expect![[r#"
        DescribeTargetGroupsResponse
          DescribeTargetGroupsResult
            TargetGroups
              member
                TargetGroupArn: ARN
                TargetGroupName: second
                Protocol: HTTP
                Port: 8080
                VpcId: {vpc}
                HealthCheckProtocol: HTTP
                HealthCheckPort: 8081
                HealthCheckEnabled: true
                HealthCheckIntervalSeconds: 10
                HealthCheckTimeoutSeconds: 4
                HealthyThresholdCount: 2
                UnhealthyThresholdCount: 3
                HealthCheckPath: /up?a=1
                Matcher
                  HttpCode: 200-299,404
                LoadBalancerArns:
                TargetType: ip
                ProtocolVersion: HTTP1
                IpAddressType: ipv4
    "#]]
    .assert_eq(&stack.hide(&second.replace(&arn, "ARN")));
    // A change of one setting leaves the others.
    stack.shows(
        "ModifyTargetGroup",
        "TargetGroupArn={app}&HealthCheckPath=%2Fhealth&Matcher.HttpCode=204&HealthCheckProtocol=HTTP&HealthCheckEnabled=true",
        &expect![[r#"
            ModifyTargetGroupResponse
              ModifyTargetGroupResult
                TargetGroups
                  member
                    TargetGroupArn: {app}
                    TargetGroupName: app
                    Protocol: HTTP
                    Port: 3000
                    VpcId: {vpc}
                    HealthCheckProtocol: HTTP
                    HealthCheckPort: traffic-port
                    HealthCheckEnabled: true
                    HealthCheckIntervalSeconds: 30
                    HealthCheckTimeoutSeconds: 5
                    HealthyThresholdCount: 5
                    UnhealthyThresholdCount: 2
                    HealthCheckPath: /health
                    Matcher
                      HttpCode: 204
                    LoadBalancerArns
                      member: {lb}
                    TargetType: ip
                    ProtocolVersion: HTTP1
                    IpAddressType: ipv4
        "#]],
    );
}

#[test]
fn a_listener_is_shown_and_modified() {
    let mut stack = Stack::new();
    stack.shows(
        "DescribeListeners",
        "LoadBalancerArn={lb}",
        &expect![[r#"
        DescribeListenersResponse
          DescribeListenersResult
            Listeners
              member
                ListenerArn: {listener}
                LoadBalancerArn: {lb}
                Port: 80
                Protocol: HTTP
                DefaultActions
                  member
                    Type: forward
                    TargetGroupArn: {app}
                    ForwardConfig
                      TargetGroups
                        member
                          TargetGroupArn: {app}
                          Weight: 1
                      TargetGroupStickinessConfig
                        Enabled: false
    "#]],
    );
    let second = "Name=second&Protocol=HTTP&Port=8080&VpcId={vpc}&TargetType=ip";
    stack.make(Service::Elbv2, "CreateTargetGroup", second, "TargetGroupArn", "second");
    stack.shows(
        "ModifyListener",
        "ListenerArn={listener}&Port=8080&Protocol=HTTP&DefaultActions.member.1.Type=forward&DefaultActions.member.1.Order=3&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={second}&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=7&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=false",
        &expect![[r#"
            ModifyListenerResponse
              ModifyListenerResult
                Listeners
                  member
                    ListenerArn: {listener}
                    LoadBalancerArn: {lb}
                    Port: 8080
                    Protocol: HTTP
                    DefaultActions
                      member
                        Type: forward
                        TargetGroupArn: {second}
                        Order: 3
                        ForwardConfig
                          TargetGroups
                            member
                              TargetGroupArn: {second}
                              Weight: 7
                          TargetGroupStickinessConfig
                            Enabled: false
        "#]],
    );
    let groups = stack.ok("DescribeTargetGroups", "LoadBalancerArn={lb}");
    assert_eq!(element(&groups, "TargetGroupName"), "second", "the first group is free again");
    stack.ok("DeleteTargetGroup", "TargetGroupArn={app}");
    stack.shows(
        "ModifyListener",
        "ListenerArn={listener}&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=503&DefaultActions.member.1.FixedResponseConfig.ContentType=text%2Fhtml&DefaultActions.member.1.FixedResponseConfig.MessageBody=away",
        &expect![[r#"
            ModifyListenerResponse
              ModifyListenerResult
                Listeners
                  member
                    ListenerArn: {listener}
                    LoadBalancerArn: {lb}
                    Port: 8080
                    Protocol: HTTP
                    DefaultActions
                      member
                        Type: fixed-response
                        FixedResponseConfig
                          MessageBody: away
                          StatusCode: 503
                          ContentType: text/html
        "#]],
    );
    stack.shows(
        "DescribeListenerAttributes",
        "ListenerArn={listener}",
        &expect![[r#"
        DescribeListenerAttributesResponse
          DescribeListenerAttributesResult
            Attributes
              member
                Key: routing.http.response.server.enabled
                Value: true
    "#]],
    );
    stack.ok("DeleteListener", "ListenerArn={listener}");
    assert!(!stack.ok("DescribeListeners", "LoadBalancerArn={lb}").contains("<ListenerArn>"));
}

#[test]
fn the_same_call_again_makes_nothing_new() {
    let stack = Stack::new();
    for (action, body, named, name) in [
        (
            "CreateLoadBalancer",
            "Name=lb&Subnets.member.1={b}&Subnets.member.2={a}&SecurityGroups.member.1={group}",
            "LoadBalancerArn",
            "{lb}",
        ),
        (
            "CreateTargetGroup",
            "Name=app&Protocol=HTTP&Port=3000&VpcId={vpc}&TargetType=ip&HealthCheckPath=%2F",
            "TargetGroupArn",
            "{app}",
        ),
        (
            "CreateListener",
            "LoadBalancerArn={lb}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={app}",
            "ListenerArn",
            "{listener}",
        ),
    ] {
        let before = stack.fixture.api.store.snapshot().sequence();
        assert_eq!(element(&stack.ok(action, body), named), stack.fill(name));
        assert_eq!(stack.fixture.api.store.snapshot().sequence(), before, "{action}");
    }
}

#[test]
fn attributes_have_their_defaults_until_they_are_set() {
    let stack = Stack::new();
    let value = |shown: &str, key: &str| {
        let start = shown.find(&format!("<Key>{key}</Key>")).unwrap_or_else(|| panic!("{key}: {shown}"));
        element(&shown[start..], "Value").to_owned()
    };
    let balancer = "DescribeLoadBalancerAttributes";
    let shown = stack.ok(balancer, "LoadBalancerArn={lb}");
    assert_eq!(value(&shown, "idle_timeout.timeout_seconds"), "60");
    assert_eq!(value(&shown, "deletion_protection.enabled"), "false");
    assert_eq!(value(&shown, "routing.http2.enabled"), "true");
    stack.ok("ModifyLoadBalancerAttributes", "LoadBalancerArn={lb}&Attributes.member.1.Key=idle_timeout.timeout_seconds&Attributes.member.1.Value=4000&Attributes.member.2.Key=deletion_protection.enabled&Attributes.member.2.Value=true&Attributes.member.3.Key=routing.http2.enabled&Attributes.member.3.Value=true&Attributes.member.4.Key=access_logs.s3.bucket&Attributes.member.4.Value=");
    let shown = stack.ok(balancer, "LoadBalancerArn={lb}");
    assert_eq!(value(&shown, "idle_timeout.timeout_seconds"), "4000");
    stack.refused(
        "DeleteLoadBalancer",
        "LoadBalancerArn={lb}",
        "OperationNotPermitted",
        "deletion protection is enabled",
    );
    stack.ok("ModifyLoadBalancerAttributes", "LoadBalancerArn={lb}&Attributes.member.1.Key=deletion_protection.enabled&Attributes.member.1.Value=false");
    let shown = stack.ok("DescribeTargetGroupAttributes", "TargetGroupArn={app}");
    assert_eq!(value(&shown, "deregistration_delay.timeout_seconds"), "300");
    let set = "TargetGroupArn={app}&Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value=5";
    let shown = stack.ok("ModifyTargetGroupAttributes", set);
    assert_eq!(value(&shown, "deregistration_delay.timeout_seconds"), "5");
    assert_eq!(value(&shown, "stickiness.enabled"), "false");
    stack.shows(
        "DescribeCapacityReservation",
        "LoadBalancerArn={lb}",
        &expect![[r#"
            DescribeCapacityReservationResponse
              DescribeCapacityReservationResult
                DecreaseRequestsRemaining: 2
                CapacityReservationState:
        "#]],
    );
}

#[test]
fn tags_of_every_resource_are_added_and_removed() {
    let stack = Stack::new();
    let all = "ResourceArns.member.1={lb}&ResourceArns.member.2={app}&ResourceArns.member.3={listener}";
    stack.ok("AddTags", &format!("{all}&Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b"));
    stack.ok("AddTags", "ResourceArns.member.1={app}&Tags.member.1.Key=a&Tags.member.1.Value=2");
    stack.ok("RemoveTags", "ResourceArns.member.1={lb}&TagKeys.member.1=a&TagKeys.member.2=none");
    stack.shows(
        "DescribeTags",
        all,
        &expect![[r#"
            DescribeTagsResponse
              DescribeTagsResult
                TagDescriptions
                  member
                    ResourceArn: {lb}
                    Tags
                      member
                        Key: b
                        Value:
                  member
                    ResourceArn: {app}
                    Tags
                      member
                        Key: b
                        Value:
                      member
                        Key: a
                        Value: 2
                  member
                    ResourceArn: {listener}
                    Tags
                      member
                        Key: a
                        Value: 1
                      member
                        Key: b
                        Value:
        "#]],
    );
}

#[test]
fn listings_come_in_pages() {
    let stack = Stack::new();
    for name in ["one", "two", "three"] {
        stack.ok(
            "CreateTargetGroup",
            &format!("Name={name}&Protocol=HTTP&Port=1&VpcId={{vpc}}&TargetType=ip"),
        );
        stack.ok("CreateLoadBalancer", &format!("Name={name}&Subnets.member.1={{a}}&Subnets.member.2={{b}}"));
    }
    let port = |port: u16| {
        format!(
            "LoadBalancerArn={{lb}}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=200"
        )
    };
    for at in 81..84 {
        stack.ok("CreateListener", &port(at));
    }
    for (action, which, element_name) in [
        ("DescribeLoadBalancers", "", "LoadBalancerName"),
        ("DescribeTargetGroups", "", "TargetGroupName"),
        ("DescribeListeners", "LoadBalancerArn={lb}&", "ListenerArn"),
    ] {
        let (mut seen, mut pages, mut marker) = (Vec::new(), 0, String::new());
        loop {
            let shown = stack.ok(action, &format!("{which}PageSize=3{marker}"));
            pages += 1;
            let open = format!("<{element_name}>");
            let found = shown.split(&open).skip(1);
            seen.extend(found.map(|rest| rest.split('<').next().unwrap().to_owned()));
            if !shown.contains("<NextMarker>") {
                break;
            }
            marker = format!("&Marker={}", element(&shown, "NextMarker"));
        }
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), pages), (4, 2), "{action}");
    }
}

#[test]
fn every_region_has_its_hosted_zone() {
    let zones: std::collections::BTreeSet<_> = types::Region::all()
        .map(|region| crate::elbv2::load_balancer_description::hosted_zone(region.as_str()))
        .collect();
    assert_eq!(zones.len(), types::Region::all().count());
}
