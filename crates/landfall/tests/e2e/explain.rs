//! `landfall explain` on the example's stack: with one piece taken away it names the piece, where it is missing, and what
//! to add, in Terraform's names. Nothing is waited for: the analysis looks at what is wanted, not at what has failed.

use serde_json::Value;

use crate::stack::{Stack, text};

/// What is asked, with the exit code and the document that come back.
fn explain(stack: &Stack, ask: &[&str]) -> (i32, Value) {
    let state = stack.folder.join("terraform.tfstate");
    let mut arguments = vec!["explain", "--json", "--tfstate", state.to_str().unwrap()];
    arguments.extend(ask);
    let output = stack.landfall(&arguments);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (output.status.code().unwrap(), document)
}

/// While a piece is missing the first path that blocks does so for a reason, in these words, and there is a remedy.
#[track_caller]
fn blocked(stack: &Stack, ask: &[&str], code: &str, words: &[&str], remedy: &[&str]) {
    let (exit, document) = explain(stack, ask);
    assert_eq!(exit, 1, "{document:#}");
    assert_eq!(document["paths"][0]["explanation_code"], code, "{document:#}");
    let said = document["verdict"].as_str().unwrap();
    assert!(words.iter().all(|word| said.contains(word)), "{said} says nothing of {words:?}");
    let add = document["remedy"].as_str().unwrap_or_default();
    assert!(remedy.iter().all(|word| add.contains(word)), "{add} says nothing of {remedy:?}");
}

#[track_caller]
fn reachable(stack: &Stack, ask: &[&str]) {
    let (exit, document) = explain(stack, ask);
    assert_eq!((exit, &document["reachable"]), (0, &Value::Bool(true)), "{ask:?}: {document:#}");
}

const FROM_OUTSIDE: &[&str] = &["internet", "lb/echo-lb"];
const TO_ECR: &[&str] = &["service/echo", "ecr"];
const ALONE: &[&str] = &["lb/echo-lb"];

pub(crate) fn each_missing_piece_is_named_with_what_to_add(stack: &Stack) {
    for ask in [ALONE, TO_ECR, FROM_OUTSIDE, &["service/echo"], &["service/echo", "internet"]] {
        reachable(stack, ask);
    }
    questions_that_make_no_sense(stack);
    security_group_rules(stack);
    routes(stack);
    network_acl(stack);
    another_listener(stack);
    for ask in [ALONE, TO_ECR, FROM_OUTSIDE] {
        reachable(stack, ask);
    }
}

fn questions_that_make_no_sense(stack: &Stack) {
    for ask in
        [&["nobody"] as &[&str], &["internet"], &["ecr", "service/echo"], &["service/echo", "10.20.0.9"]]
    {
        let output = stack.landfall(&[&["explain"], ask].concat());
        assert_eq!(output.status.code(), Some(2), "{ask:?}: {}", text(&output));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{ask:?}: {}", text(&output));
    }
}

/// A listener that leads to another target group concerns the load balancer, and not the service.
fn another_listener(stack: &Stack) {
    let vpc = stack.ec2_id("DescribeVpcs", "tag:Name", "echo", "vpcId");
    let balancers = stack.aws("elbv2 describe-load-balancers --names echo-lb");
    let balancer = balancers["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned();
    let made = stack.aws(&format!(
        "elbv2 create-target-group --name nobody --protocol HTTP --port 3000 --target-type ip --vpc-id {vpc}"
    ));
    let group = made["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned();
    let made = stack.aws(&format!(
        "elbv2 create-listener --load-balancer-arn {balancer} --protocol HTTP --port 8081 \
         --default-actions Type=forward,TargetGroupArn={group}"
    ));
    let listener = made["Listeners"][0]["ListenerArn"].as_str().unwrap().to_owned();
    reachable(stack, &["service/echo"]);
    let (exit, document) = explain(stack, ALONE);
    assert_eq!(exit, 1, "{document:#}");
    let said = document.to_string();
    assert!(said.contains("target group nobody has no registered target"), "{document:#}");
    stack.aws(&format!("elbv2 delete-listener --listener-arn {listener}"));
    stack.aws(&format!("elbv2 delete-target-group --target-group-arn {group}"));
}

fn security_group_rules(stack: &Stack) {
    let group = |name: &str| stack.ec2_id("DescribeSecurityGroups", "group-name", name, "groupId");
    let (lb, app) = (group("echo-lb"), group("echo-app"));
    let rule = |of: &str, peer: &str| {
        format!(
            "GroupId={of}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=3000&IpPermissions.1.ToPort=3000\
             &IpPermissions.1.Groups.1.GroupId={peer}"
        )
    };
    let ingress = rule(&app, &lb);
    stack.ec2("RevokeSecurityGroupIngress", &ingress);
    let none = ["aws_security_group.app", "no ingress rule for tcp 3000"];
    blocked(
        stack,
        ALONE,
        "ENI_SG_RULES_MISMATCH",
        &none,
        &["aws_security_group.app", "aws_security_group.lb", "tcp 3000"],
    );
    stack.ec2("AuthorizeSecurityGroupIngress", &ingress);

    let egress = rule(&lb, &app);
    stack.ec2("RevokeSecurityGroupEgress", &egress);
    blocked(
        stack,
        ALONE,
        "ENI_SG_RULES_MISMATCH",
        &["aws_security_group.lb", "no egress rule"],
        &["egress", "aws_security_group.app"],
    );
    stack.ec2("AuthorizeSecurityGroupEgress", &egress);

    let http = format!(
        "GroupId={lb}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
         &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
    );
    stack.ec2("RevokeSecurityGroupIngress", &http);
    blocked(
        stack,
        FROM_OUTSIDE,
        "ENI_SG_RULES_MISMATCH",
        &["aws_security_group.lb", "tcp 80"],
        &["ingress", "tcp 80"],
    );
    stack.ec2("AuthorizeSecurityGroupIngress", &http);
}

fn routes(stack: &Stack) {
    let table = |name: &str| stack.ec2_id("DescribeRouteTables", "tag:Name", name, "routeTableId");
    let default = |table: &str| format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0");
    let (private, public) = (table("echo-private"), table("echo-public"));

    let nat = stack.ec2_id("DescribeNatGateways", "state", "available", "natGatewayId");
    stack.ec2("DeleteRoute", &default(&private));
    let missing = ["aws_route_table.private", "no route to 198.19.0.10"];
    blocked(
        stack,
        TO_ECR,
        "NO_ROUTE_TO_DESTINATION",
        &missing,
        &["aws_route_table.private", "0.0.0.0/0", "aws_nat_gateway.this"],
    );
    stack.ec2("CreateRoute", &format!("{}&NatGatewayId={nat}", default(&private)));

    // The load balancer hears, and cannot answer.
    let gateway = stack.ec2_id("DescribeInternetGateways", "tag:Name", "echo", "internetGatewayId");
    stack.ec2("DeleteRoute", &default(&public));
    let answer = ["the answer of tcp 80", "aws_route_table.public", "no route to"];
    blocked(
        stack,
        FROM_OUTSIDE,
        "NO_ROUTE_TO_DESTINATION",
        &answer,
        &["aws_route_table.public", "internet gateway"],
    );
    blocked(stack, TO_ECR, "NO_ROUTE_TO_DESTINATION", &["aws_route_table.public"], &[]);
    stack.ec2("CreateRoute", &format!("{}&GatewayId={gateway}", default(&public)));
}

fn network_acl(stack: &Stack) {
    let vpc = stack.ec2_id("DescribeVpcs", "tag:Name", "echo", "vpcId");
    let acl = stack.ec2_id("DescribeNetworkAcls", "vpc-id", &vpc, "networkAclId");
    let entry = format!("NetworkAclId={acl}&RuleNumber=50&Egress=true");
    // Stateless: what came in does not let the answer out.
    stack.ec2(
        "CreateNetworkAclEntry",
        &format!("{entry}&Protocol=-1&RuleAction=deny&CidrBlock=198.19.0.1/32"),
    );
    let denied = ["the answer of tcp 80", &acl, "egress 50: deny"];
    blocked(stack, &["198.19.0.1", "lb/echo-lb"], "SUBNET_ACL_RESTRICTION", &denied, &[&acl, "egress"]);
    stack.ec2("DeleteNetworkAclEntry", &entry);
}
