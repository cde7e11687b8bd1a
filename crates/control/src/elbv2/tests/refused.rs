//! What the actions refuse, and in which words.

use super::Stack;

const FORWARD: &str = "DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={app}";

#[test]
fn load_balancers() {
    let stack = Stack::new();
    let two = "Subnets.member.1={a}&Subnets.member.2={b}";
    for (body, code, words) in [
        (format!("Name=a_b&{two}"), "ValidationError", "The load balancer name 'a_b' can only contain"),
        (
            format!("Name={}&{two}", "a".repeat(33)),
            "ValidationError",
            "cannot be longer than '32' characters",
        ),
        (format!("Name=-a&{two}"), "ValidationError", "cannot begin or end with '-'"),
        (format!("Name=internal-a&{two}"), "ValidationError", "cannot begin with 'internal-'"),
        (two.to_owned(), "ValidationError", "Value null at 'name' failed to satisfy constraint"),
        (
            format!("Name=a&{two}&Scheme=public"),
            "ValidationError",
            "Value 'public' at 'scheme' failed to satisfy constraint: Member must satisfy enum value set",
        ),
        (
            format!("Name=a&{two}&Type=network"),
            "InvalidParameterValue",
            "Type: only the default 'application' is supported",
        ),
        (
            format!("Name=a&{two}&IpAddressType=dualstack"),
            "InvalidParameterValue",
            "IpAddressType: only the default 'ipv4'",
        ),
        (
            format!("Name=a&{two}&EnablePrefixForIpv6SourceNat=on"),
            "ValidationError",
            "EnablePrefixForIpv6SourceNat is not supported",
        ),
        (
            format!("Name=a&{two}&SubnetMappings.member.1.SubnetId={{a}}"),
            "ValidationError",
            "Only one of subnets and subnet mappings",
        ),
        (
            "Name=a&SubnetMappings.member.1.SubnetId={a}&SubnetMappings.member.1.AllocationId=eipalloc-1"
                .to_owned(),
            "ValidationError",
            "AllocationId is not supported",
        ),
        ("Name=a".to_owned(), "ValidationError", "At least two subnets in two different Availability Zones"),
        (
            "Name=a&Subnets.member.1={a}".to_owned(),
            "ValidationError",
            "At least two subnets in two different Availability Zones",
        ),
        (
            "Name=a&Subnets.member.1={a}&Subnets.member.2={a2}".to_owned(),
            "InvalidConfigurationRequest",
            "cannot be attached to multiple subnets in the same Availability Zone",
        ),
        (
            "Name=a&Subnets.member.1={a}&Subnets.member.2={y}".to_owned(),
            "InvalidSubnet",
            "must belong to the same VPC",
        ),
        (
            "Name=a&Subnets.member.1={a}&Subnets.member.2=subnet-1".to_owned(),
            "SubnetNotFound",
            "The subnet ID 'subnet-1' does not exist",
        ),
        (
            "Name=a&Subnets.member.1={x}&Subnets.member.2={y}".to_owned(),
            "InvalidSubnet",
            "VPC {vpc2} has no internet gateway",
        ),
        (
            format!("Name=a&{two}&SecurityGroups.member.1={{group2}}"),
            "InvalidConfigurationRequest",
            "One or more security groups are invalid: '{group2}'",
        ),
        (
            format!("Name=lb&{two}"),
            "DuplicateLoadBalancerName",
            "A load balancer with the same name 'lb' exists, but with different settings",
        ),
        (
            format!("Name=a&{two}&Tags.member.1.Key=aws:a"),
            "ValidationError",
            "aws: prefixed tag key names are not allowed",
        ),
        (format!("Name=a&{two}&Tags.member.1.Key=a&Tags.member.2.Key=a"), "DuplicateTagKeys", "Tag key 'a'"),
        (
            format!("Name=a&{two}&Tags.member.1.Key=a%21"),
            "ValidationError",
            "Value 'a!' at 'tags.1.member.key' failed to satisfy constraint",
        ),
    ] {
        stack.refused("CreateLoadBalancer", &body, code, words);
    }
    for (action, body, code, words) in [
        (
            "DescribeLoadBalancers",
            "Names.member.1=none&Names.member.2=lb",
            "LoadBalancerNotFound",
            "Load balancers '[none, lb]' not found",
        ),
        (
            "DescribeLoadBalancers",
            "LoadBalancerArns.member.1={lb}0",
            "LoadBalancerNotFound",
            "One or more load balancers not found",
        ),
        (
            "DescribeLoadBalancers",
            "LoadBalancerArns.member.1={app}",
            "ValidationError",
            "is not a valid load balancer ARN",
        ),
        (
            "DescribeLoadBalancers",
            "LoadBalancerArns.member.1={lb}&Names.member.1=lb",
            "ValidationError",
            "at the same time",
        ),
        (
            "DescribeLoadBalancers",
            "PageSize=0",
            "ValidationError",
            "Value '0' at 'pageSize' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "DescribeLoadBalancers",
            "PageSize=401",
            "ValidationError",
            "Member must have value less than or equal to 400",
        ),
        ("DescribeLoadBalancers", "Marker=zzz", "ValidationError", "marker is not valid"),
        (
            "DeleteLoadBalancer",
            "LoadBalancerArn=lb",
            "ValidationError",
            "'lb' is not a valid load balancer ARN",
        ),
        ("SetSecurityGroups", "LoadBalancerArn={lb}", "ValidationError", "'securityGroups'"),
        (
            "SetSecurityGroups",
            "LoadBalancerArn={lb}&SecurityGroups.member.1=sg-1",
            "InvalidConfigurationRequest",
            "One or more security groups are invalid",
        ),
        (
            "SetSecurityGroups",
            "LoadBalancerArn={lb}0&SecurityGroups.member.1={group}",
            "LoadBalancerNotFound",
            "Load balancer '{lb}0' not found",
        ),
        ("DescribeCapacityReservation", "LoadBalancerArn={lb}0", "LoadBalancerNotFound", "not found"),
    ] {
        stack.refused(action, body, code, words);
    }
}

#[test]
fn a_subnet_without_room() {
    let mut stack = Stack::network();
    for at in 0..4 {
        let body = "SubnetId={tiny}&ConnectivityType=private".to_owned();
        stack.make(
            crate::Service::Ec2,
            "CreateNatGateway",
            &body,
            "natGatewayId",
            ["n0", "n1", "n2", "n3"][at],
        );
    }
    stack.refused(
        "CreateLoadBalancer",
        "Name=a&Subnets.member.1={a}&Subnets.member.2={tiny}",
        "InvalidSubnet",
        "Not enough IP space available in {tiny}. ELB requires at least 8 free IP addresses in each subnet.",
    );
}

#[test]
fn target_groups() {
    let stack = Stack::new();
    let good = "Protocol=HTTP&Port=80&VpcId={vpc}&TargetType=ip";
    for (body, code, words) in [
        (format!("Name=a.b&{good}"), "ValidationError", "Target group name 'a.b' can only contain"),
        (
            format!("Name=app&{good}"),
            "DuplicateTargetGroupName",
            "A target group with the same name 'app' exists, but with different settings",
        ),
        (
            "Name=a&Port=80&VpcId={vpc}&TargetType=ip".to_owned(),
            "ValidationError",
            "A protocol must be specified",
        ),
        (
            "Name=a&Protocol=HTTP&VpcId={vpc}&TargetType=ip".to_owned(),
            "ValidationError",
            "A port must be specified",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&TargetType=ip".to_owned(),
            "ValidationError",
            "A VPC ID must be specified",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip".to_owned(),
            "ValidationError",
            "The VPC ID 'vpc-1' is not found",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&VpcId={vpc}".to_owned(),
            "UnsupportedOperation",
            "target groups of type 'instance'",
        ),
        (
            "Name=a&Protocol=HTTPS&Port=80&VpcId={vpc}&TargetType=ip".to_owned(),
            "UnsupportedOperation",
            "target groups of protocol 'HTTPS'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=65536&VpcId={vpc}&TargetType=ip".to_owned(),
            "ValidationError",
            "Value '65536' at 'port' failed to satisfy constraint: Member must have value less than or equal to 65535",
        ),
        (
            format!("Name=a&{good}&ProtocolVersion=GRPC"),
            "InvalidParameterValue",
            "ProtocolVersion: only the default 'HTTP1'",
        ),
        (
            format!("Name=a&{good}&TargetControlPort=80"),
            "ValidationError",
            "TargetControlPort is not supported",
        ),
        (format!("Name=a&{good}&Matcher.GrpcCode=0"), "InvalidParameterValue", "Matcher.GrpcCode"),
    ] {
        stack.refused("CreateTargetGroup", &body, code, words);
    }
    for (body, words) in [
        ("HealthCheckPort=0", "Health check port '0' must be either 'traffic-port' or in the range 1-65535"),
        ("HealthCheckPort=%2B80", "Health check port '+80'"),
        ("HealthCheckPath=up", "must begin with a '/' character"),
        ("HealthCheckPath=%2Fa%20b", "without spaces"),
        (
            "HealthCheckIntervalSeconds=4",
            "Value '4' at 'healthCheckIntervalSeconds' failed to satisfy constraint",
        ),
        ("HealthCheckTimeoutSeconds=121", "Value '121' at 'healthCheckTimeoutSeconds'"),
        ("HealthyThresholdCount=1", "Member must have value greater than or equal to 2"),
        ("UnhealthyThresholdCount=11", "Member must have value less than or equal to 10"),
        ("HealthCheckTimeoutSeconds=30", "Health check timeout '30' must be smaller than the interval '30'"),
        ("Matcher.HttpCode=500", "Health check matcher HTTP code '500' must be within '200-499' inclusive"),
        ("Matcher.HttpCode=299-200", "HTTP code '299-200'"),
        ("Matcher.HttpCode=200%2C", "HTTP code '200,'"),
    ] {
        stack.refused("CreateTargetGroup", &format!("Name=a&{good}&{body}"), "ValidationError", words);
        stack.refused(
            "ModifyTargetGroup",
            &format!("TargetGroupArn={{app}}&{body}"),
            "ValidationError",
            words,
        );
    }
    for (action, body, code, words) in [
        (
            "DeleteTargetGroup",
            "TargetGroupArn={app}",
            "ResourceInUse",
            "Target group '{app}' is currently in use by a listener or a rule",
        ),
        (
            "DeleteTargetGroup",
            "TargetGroupArn={lb}",
            "ValidationError",
            "'{lb}' is not a valid target group ARN",
        ),
        (
            "ModifyTargetGroup",
            "TargetGroupArn={app}0",
            "TargetGroupNotFound",
            "Target group '{app}0' not found",
        ),
        (
            "DescribeTargetGroups",
            "Names.member.1=none",
            "TargetGroupNotFound",
            "One or more target groups not found",
        ),
        (
            "DescribeTargetGroups",
            "TargetGroupArns.member.1={app}0",
            "TargetGroupNotFound",
            "One or more target groups not found",
        ),
        ("DescribeTargetGroups", "LoadBalancerArn={lb}0", "LoadBalancerNotFound", "not found"),
        ("DescribeTargetGroups", "LoadBalancerArn={lb}&Names.member.1=app", "ValidationError", "Only one of"),
        (
            "ModifyTargetGroupAttributes",
            "TargetGroupArn={app}&Attributes.member.1.Key=a.b",
            "ValidationError",
            "Target group attribute key 'a.b' is not recognized",
        ),
        (
            "ModifyTargetGroupAttributes",
            "TargetGroupArn={app}&Attributes.member.1.Key=stickiness.enabled&Attributes.member.1.Value=true",
            "InvalidConfigurationRequest",
            "only the default 'false' is supported by Landfall, not 'true'",
        ),
        (
            "ModifyTargetGroupAttributes",
            "TargetGroupArn={app}&Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value=3601",
            "InvalidConfigurationRequest",
            "invalid value '3601'",
        ),
        (
            "ModifyLoadBalancerAttributes",
            "LoadBalancerArn={lb}&Attributes.member.1.Key=idle_timeout.timeout_seconds&Attributes.member.1.Value=%2B5",
            "InvalidConfigurationRequest",
            "invalid value '+5'",
        ),
        (
            "ModifyLoadBalancerAttributes",
            "LoadBalancerArn={lb}&Attributes.member.1.Key=deletion_protection.enabled&Attributes.member.1.Value=yes",
            "InvalidConfigurationRequest",
            "invalid value 'yes'",
        ),
        (
            "ModifyLoadBalancerAttributes",
            "LoadBalancerArn={lb}&Attributes.member.1.Key=deletion_protection.enabled&Attributes.member.1.Value=true&Attributes.member.2.Key=deletion_protection.enabled&Attributes.member.2.Value=false",
            "ValidationError",
            "more than once",
        ),
        ("ModifyLoadBalancerAttributes", "LoadBalancerArn={lb}", "ValidationError", "'attributes'"),
    ] {
        stack.refused(action, body, code, words);
    }
}

#[test]
fn too_many_attributes() {
    let stack = Stack::new();
    let many: String = (1..=21).map(|at| format!("&Attributes.member.{at}.Key=a{at}")).collect();
    let words = "Member must have length less than or equal to 20";
    stack.refused(
        "ModifyLoadBalancerAttributes",
        &format!("LoadBalancerArn={{lb}}{many}"),
        "ValidationError",
        words,
    );
}

#[test]
fn listeners() {
    let mut stack = Stack::new();
    let far = "Name=far&Protocol=HTTP&Port=80&VpcId={vpc2}&TargetType=ip";
    stack.make(crate::Service::Elbv2, "CreateTargetGroup", far, "TargetGroupArn", "far");
    let second = "Name=second&Subnets.member.1={a}&Subnets.member.2={b}";
    stack.make(crate::Service::Elbv2, "CreateLoadBalancer", second, "LoadBalancerArn", "second");
    let fixed =
        "DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode";
    let config = "DefaultActions.member.1.ForwardConfig.TargetGroups.member";
    for (body, code, words) in [
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&{FORWARD}"), "ValidationError", "A port must be specified"),
        (format!("LoadBalancerArn={{lb}}&Port=81&{FORWARD}"), "ValidationError", "A protocol must be specified"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTPS&Port=443&{FORWARD}"), "UnsupportedOperation", "listeners of protocol 'HTTPS'"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=0&{FORWARD}"), "ValidationError", "Value '0' at 'port'"),
        (format!("LoadBalancerArn={{lb}}0&Protocol=HTTP&Port=81&{FORWARD}"), "LoadBalancerNotFound", "not found"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=81&{FORWARD}0"), "TargetGroupNotFound", "not found"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=80&{fixed}=200"), "DuplicateListener", "A listener already exists on this port for this load balancer '{lb}'"),
        (format!("LoadBalancerArn={{second}}&Protocol=HTTP&Port=80&{FORWARD}"), "TargetGroupAssociationLimit", "cannot be associated with more than one load balancer: {app}"),
        ("LoadBalancerArn={lb}&Protocol=HTTP&Port=81&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={far}".to_owned(), "InvalidConfigurationRequest", "Target group '{far}' is in a different VPC than load balancer '{lb}'"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=81&{FORWARD}&SslPolicy=ELBSecurityPolicy-2016-08"), "InvalidParameterValue", "SslPolicy"),
        (format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=81&{FORWARD}&MutualAuthentication.Mode=off"), "ValidationError", "MutualAuthentication is not supported"),
    ] {
        stack.refused("CreateListener", &body, code, words);
    }
    for (action, code, words) in [
        ("DefaultActions.member.1.Type=forward".to_owned(), "ValidationError", "A target group ARN must be specified"),
        ("DefaultActions.member.1.Type=reroute".to_owned(), "ValidationError", "Value 'reroute' at 'defaultActions.1.member.type' failed to satisfy constraint"),
        ("DefaultActions.member.1.Type=authenticate-oidc".to_owned(), "UnsupportedOperation", "the listener action 'authenticate-oidc'"),
        ("DefaultActions.member.1.Type=redirect&DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_301".to_owned(), "ValidationError", "RedirectConfig is not supported"),
        (format!("{FORWARD}&DefaultActions.member.2.Type=forward"), "UnsupportedOperation", "several default actions"),
        (format!("{FORWARD}&DefaultActions.member.1.Order=0"), "ValidationError", "Value '0' at 'defaultActions.1.member.order'"),
        (format!("{FORWARD}&{config}.1.TargetGroupArn={{far}}"), "ValidationError", "name different target groups"),
        (format!("{FORWARD}&{config}.1.TargetGroupArn={{app}}&{config}.2.TargetGroupArn={{far}}"), "UnsupportedOperation", "several weighted target groups"),
        (format!("{FORWARD}&{config}.1.TargetGroupArn={{app}}&{config}.1.Weight=0"), "UnsupportedOperation", "weight 0"),
        (format!("{FORWARD}&{config}.1.TargetGroupArn={{app}}&{config}.1.Weight=1000"), "ValidationError", "weight '1000' must be between '0' and '999'"),
        (format!("{FORWARD}&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true"), "UnsupportedOperation", "stickiness"),
        (format!("{FORWARD}&DefaultActions.member.1.FixedResponseConfig.StatusCode=200"), "ValidationError", "An action of type 'forward' cannot have a FixedResponseConfig"),
        (format!("{fixed}=200&DefaultActions.member.1.TargetGroupArn={{app}}"), "ValidationError", "An action of type 'fixed-response' cannot have a TargetGroupArn"),
        (format!("{fixed}=302"), "ValidationError", "Value '302' at 'defaultActions.1.member.fixedResponseConfig.statusCode'"),
        (format!("{fixed}=200&DefaultActions.member.1.FixedResponseConfig.ContentType=a"), "ValidationError", "Content type 'a' must be one of: text/plain, text/css"),
        ("DefaultActions.member.1.Type=fixed-response".to_owned(), "ValidationError", "must be specified for a fixed-response action"),
    ] {
        stack.refused("CreateListener", &format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=81&{action}"), code, words);
        stack.refused("ModifyListener", &format!("ListenerArn={{listener}}&{action}"), code, words);
    }
    let other = format!("LoadBalancerArn={{lb}}&Protocol=HTTP&Port=81&{fixed}=200");
    stack.make(crate::Service::Elbv2, "CreateListener", &other, "ListenerArn", "other");
    for (action, body, code, words) in [
        (
            "ModifyListener",
            "ListenerArn={listener}&Port=81",
            "DuplicateListener",
            "A listener already exists on this port",
        ),
        ("ModifyListener", "ListenerArn={listener}0", "ListenerNotFound", "One or more listeners not found"),
        (
            "ModifyListener",
            "ListenerArn={listener}&Protocol=HTTPS",
            "InvalidParameterValue",
            "Protocol: only the default 'HTTP'",
        ),
        ("DeleteListener", "ListenerArn={listener}0", "ListenerNotFound", "One or more listeners not found"),
        (
            "DescribeListeners",
            "",
            "ValidationError",
            "A load balancer ARN or listener ARNs must be specified",
        ),
        (
            "DescribeListeners",
            "LoadBalancerArn={lb}&ListenerArns.member.1={listener}",
            "ValidationError",
            "at the same time",
        ),
        ("DescribeListeners", "LoadBalancerArn={lb}0", "LoadBalancerNotFound", "not found"),
        (
            "DescribeListenerAttributes",
            "ListenerArn={app}",
            "ValidationError",
            "'{app}' is not a valid listener ARN",
        ),
    ] {
        stack.refused(action, body, code, words);
    }
}

#[test]
fn tags() {
    let stack = Stack::new();
    let many: String = (1..=51).map(|at| format!("&Tags.member.{at}.Key=k{at}")).collect();
    let most: String = (1..=50).map(|at| format!("&Tags.member.{at}.Key=k{at}")).collect();
    stack.ok("AddTags", &format!("ResourceArns.member.1={{app}}{most}"));
    for (action, body, code, words) in [
        (
            "AddTags",
            format!("ResourceArns.member.1={{lb}}{many}"),
            "TooManyTags",
            "limit on the number of tags",
        ),
        (
            "AddTags",
            "ResourceArns.member.1={lb}&ResourceArns.member.2={app}&Tags.member.1.Key=a".to_owned(),
            "TooManyTags",
            "limit on the number of tags",
        ),
        (
            "AddTags",
            "ResourceArns.member.1={lb}&Tags.member.1.Value=a".to_owned(),
            "ValidationError",
            "Value null at 'tags.Key'",
        ),
        (
            "AddTags",
            "ResourceArns.member.1={lb}0&Tags.member.1.Key=a".to_owned(),
            "LoadBalancerNotFound",
            "not found",
        ),
        (
            "AddTags",
            "ResourceArns.member.1={lb}&Tags.member.1.Key=".to_owned(),
            "ValidationError",
            "Member must have length greater than or equal to 1",
        ),
        (
            "RemoveTags",
            "ResourceArns.member.1={app}0&TagKeys.member.1=a".to_owned(),
            "TargetGroupNotFound",
            "not found",
        ),
        ("DescribeTags", "ResourceArns.member.1={listener}0".to_owned(), "ListenerNotFound", "not found"),
        (
            "DescribeTags",
            "ResourceArns.member.1=a".to_owned(),
            "ValidationError",
            "'a' is not a valid load balancer, target group or listener ARN",
        ),
    ] {
        stack.refused(action, &body, code, words);
    }
}
