//! What a task needs on its way to ECR, taken away piece by piece from the example's stack and put back. Each time a
//! deployment begins while the piece is missing: its task stops for AWS's reason, the service's events say it, the task
//! that runs goes on, and with the piece back the next try succeeds. All blobs of the image are on disk from the second
//! case on: it changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{REGION, text_of, texts_of};
use crate::stack::{Stack, text};

/// Where AWS's names lead without VPC endpoints: the ECR API, the registry, the layer bucket.
pub(crate) const API: &str = "198.19.0.10";
pub(crate) const REGISTRY: &str = "198.19.0.11";
pub(crate) const LAYERS: &str = "198.19.0.12";

/// A `stoppedReason`: how it begins and how it ends.
pub(crate) struct Reason(pub(crate) String, pub(crate) String);

impl Reason {
    fn is(&self, said: &str) -> bool {
        said.starts_with(&self.0) && said.ends_with(&self.1)
    }
}

/// No token: what AWS's SDK says about the API's address.
pub(crate) fn no_token(cause: &str) -> Reason {
    let begins = format!(
        "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from \
         Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network \
         configuration. operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https \
         response error StatusCode: 0, RequestID: , request send failed, Post \
         \"https://api.ecr.{REGION}.amazonaws.com/\": dial tcp"
    );
    Reason(begins, cause.to_owned())
}

/// Packets to the ECR API get lost.
pub(crate) fn no_api(address: &str) -> Reason {
    no_token(&format!(" {address}:443: i/o timeout"))
}

/// There is a token, and packets to the registry get lost.
pub(crate) fn no_registry(stack: &Stack, address: &str) -> Reason {
    let (image, account) = (image(stack), account(stack));
    let begins = format!(
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: \
         failed to do request: Head \"https://{account}.dkr.ecr.{REGION}.amazonaws.com/v2/echo/manifests/latest\": \
         dial tcp {address}:443: i/o timeout"
    );
    Reason(begins, String::new())
}

/// There is a manifest, and packets to the layer bucket get lost.
pub(crate) fn no_layers(stack: &Stack, address: &str) -> Reason {
    let image = image(stack);
    let begins = format!(
        "CannotPullContainerError: The task cannot pull {image} from the registry {image}. There is a connection issue \
         between the task and the registry. Check your task network configuration. : failed to copy: httpReadSeeker: \
         failed open: failed to do request: Get {image}: dial tcp {address}:443: i/o timeout"
    );
    Reason(begins, String::new())
}

fn image(stack: &Stack) -> String {
    format!("{}/echo:latest", stack.listen)
}

fn account(stack: &Stack) -> String {
    let service = service(stack);
    service["serviceArn"].as_str().unwrap().split(':').nth(4).unwrap().to_owned()
}

fn service(stack: &Stack) -> Value {
    stack.ecs("DescribeServices", &json!({"cluster": "echo", "services": ["echo"]}))["services"][0].clone()
}

/// The messages of the service's events, the newest first.
fn events(stack: &Stack) -> Vec<String> {
    let text = |event: &Value| event["message"].as_str().unwrap().to_owned();
    service(stack)["events"].as_array().unwrap().iter().map(text).collect()
}

/// The tasks that somebody started and that have stopped, the oldest first.
fn stopped(stack: &Stack, started_by: &str) -> Vec<Value> {
    let list = json!({"cluster": "echo", "desiredStatus": "STOPPED", "startedBy": started_by});
    let arns = stack.ecs("ListTasks", &list)["taskArns"].clone();
    if arns.as_array().is_none_or(Vec::is_empty) {
        return Vec::new();
    }
    let described = stack.ecs("DescribeTasks", &json!({"cluster": "echo", "tasks": arns}));
    let mut tasks = described["tasks"].as_array().unwrap().clone();
    tasks.retain(|task| task["lastStatus"] == "STOPPED");
    tasks.sort_by(|a, b| at(a, "createdAt").total_cmp(&at(b, "createdAt")));
    tasks
}

fn at(task: &Value, moment: &str) -> f64 {
    task[moment].as_f64().unwrap_or_else(|| panic!("no {moment} in {task:#}"))
}

/// Begins a deployment.
pub(crate) fn begin(stack: &Stack) -> String {
    let deploy = json!({"cluster": "echo", "service": "echo", "forceNewDeployment": true});
    let deployed = stack.ecs("UpdateService", &deploy);
    deployed["service"]["deployments"][0]["id"].as_str().unwrap().to_owned()
}

/// Begins a deployment while something is missing, and sees it fail for a reason. Gives the deployment.
#[track_caller]
pub(crate) fn fails(stack: &Stack, reason: &Reason) -> String {
    let deployment = begin(stack);
    let task = stack.wait("a task that cannot start", Duration::from_secs(90), || {
        stopped(stack, &deployment).into_iter().next().ok_or_else(|| format!("{:#?}", events(stack)))
    });
    let said = task["stoppedReason"].as_str().unwrap();
    assert!(reason.is(said), "{said}\ninstead of {} … {}", reason.0, reason.1);
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    assert_eq!(task["containers"][0]["reason"], said);
    let told = format!("(service echo) was unable to place a task. Reason: {said}.");
    let events = events(stack);
    assert!(events.contains(&told), "{events:#?}");
    explained(stack, false);
    deployment
}

/// `landfall explain` says the same as the packets.
#[track_caller]
fn explained(stack: &Stack, reachable: bool) {
    let explained = stack.landfall(&["explain", "echo", "ecr"]);
    assert_eq!(explained.status.code(), Some(i32::from(!reachable)), "{}", text(&explained));
}

/// With everything there the deployment succeeds by itself: the service tries again.
#[track_caller]
pub(crate) fn heals(stack: &Stack, deployment: &str) {
    stack.wait("the deployment succeeds", Duration::from_secs(120), || {
        let service = service(stack);
        let primary = &service["deployments"][0];
        let done = primary["id"] == deployment && primary["rolloutState"] == "COMPLETED";
        if done && service["runningCount"] == 1 { Ok(()) } else { Err(format!("{service:#}")) }
    });
    explained(stack, true);
}

/// Takes something away, sees the task fail, puts it back, and sees the service heal.
#[track_caller]
pub(crate) fn without<T>(
    stack: &Stack,
    take_away: impl FnOnce(),
    reason: &Reason,
    put_back: impl FnOnce() -> T,
) -> T {
    take_away();
    let deployment = fails(stack, reason);
    let back = put_back();
    heals(stack, &deployment);
    back
}

/// The id of what the example has given a name to.
pub(crate) fn named(stack: &Stack, action: &str, name: &str, element: &str) -> String {
    stack.ec2_id(action, "tag:Name", name, element)
}

pub(crate) fn table(stack: &Stack, name: &str) -> String {
    named(stack, "DescribeRouteTables", name, "routeTableId")
}

pub(crate) fn default_route(table: &str) -> String {
    format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0")
}

/// The one NAT gateway that is there.
pub(crate) fn nat_gateway(stack: &Stack) -> String {
    stack.ec2_id("DescribeNatGateways", "state", "available", "natGatewayId")
}

/// Waits until a NAT gateway is in a state.
fn wait_for_nat(stack: &Stack, id: &str, state: &str) {
    stack.wait(&format!("{id} {state}"), Duration::from_secs(60), || {
        let found = stack.ec2("DescribeNatGateways", &format!("NatGatewayId.1={id}"));
        if text_of(&found, "state") == Some(state) { Ok(()) } else { Err(found) }
    });
}

/// The wait before the next try grows, and the service says when it has become a habit.
pub(crate) fn without_the_route_to_the_nat_gateway_it_is_tried_again_with_growing_waits(stack: &Stack) {
    let (table, nat) = (table(stack, "echo-private"), nat_gateway(stack));
    stack.ec2("DeleteRoute", &default_route(&table));
    let deployment = fails(stack, &no_api(API));
    let habit = "(service echo) is unable to consistently start tasks successfully. For more information, see the \
                 Troubleshooting section of the Amazon ECS Developer Guide.";
    stack.wait("the service says that it is a habit", Duration::from_secs(120), || {
        let events = events(stack);
        if events.iter().any(|event| event == habit) { Ok(()) } else { Err(format!("{events:#?}")) }
    });
    let tasks = stopped(stack, &deployment);
    assert!(tasks.len() >= 4, "{tasks:#?}");
    for (pair, least) in tasks.windows(2).zip([0.0, 1.0, 2.0]) {
        let waited = at(&pair[1], "createdAt") - at(&pair[0], "stoppingAt");
        assert!(waited >= least - 0.05, "{waited} seconds instead of {least}: {tasks:#?}");
    }
    assert!(service(stack)["deployments"][0]["failedTasks"].as_u64() >= Some(4));
    assert_eq!(service(stack)["runningCount"], 1, "what ran before runs on");
    stack.ec2("CreateRoute", &format!("{}&NatGatewayId={nat}", default_route(&table)));
    heals(stack, &deployment);
}

/// A NAT gateway that is gone leaves a black hole; a private one has no address outside, so that the internet gateway
/// drops what it sends. The address of one that is there cannot be taken away.
pub(crate) fn without_the_nat_gateway_or_its_address(stack: &Stack) {
    let (table, nat) = (table(stack, "echo-private"), nat_gateway(stack));
    let described = stack.ec2("DescribeNatGateways", &format!("NatGatewayId.1={nat}"));
    let of_nat = |name: &str| text_of(&described, name).unwrap().to_owned();
    let (subnet, allocation) = (of_nat("subnetId"), of_nat("allocationId"));
    let refused = stack.try_ec2("ReleaseAddress", &format!("AllocationId={allocation}")).unwrap_err();
    assert_eq!(text_of(&refused, "Code"), Some("InvalidIPAddress.InUse"), "{refused}");
    let lead_to = |nat: &str| {
        wait_for_nat(stack, nat, "available");
        stack.ec2("ReplaceRoute", &format!("{}&NatGatewayId={nat}", default_route(&table)));
    };
    let make = |with: &str| {
        let made = stack.ec2("CreateNatGateway", &format!("SubnetId={subnet}&{with}"));
        text_of(&made, "natGatewayId").unwrap().to_owned()
    };
    stack.ec2("DeleteNatGateway", &format!("NatGatewayId={nat}"));
    wait_for_nat(stack, &nat, "deleted");
    let routes = stack.ec2("DescribeRouteTables", &format!("RouteTableId.1={table}"));
    assert!(texts_of(&routes, "state").contains(&"blackhole"), "{routes}");
    fails(stack, &no_api(API));
    let private = make("ConnectivityType=private");
    lead_to(&private);
    let deployment = fails(stack, &no_api(API));
    lead_to(&make(&format!("AllocationId={allocation}")));
    heals(stack, &deployment);
    stack.ec2("DeleteNatGateway", &format!("NatGatewayId={private}"));
    wait_for_nat(stack, &private, "deleted");
}

/// The NAT gateway's own subnet has no way out.
pub(crate) fn without_the_public_subnet_s_route_to_the_internet_gateway(stack: &Stack) {
    let table = table(stack, "echo-public");
    let gateway = named(stack, "DescribeInternetGateways", "echo", "internetGatewayId");
    without(
        stack,
        || drop(stack.ec2("DeleteRoute", &default_route(&table))),
        &no_api(API),
        || drop(stack.ec2("CreateRoute", &format!("{}&GatewayId={gateway}", default_route(&table)))),
    );
    stack.wait_for_200(Duration::from_secs(30));
}

pub(crate) fn without_the_tasks_egress_rule(stack: &Stack) {
    let group = stack.ec2_id("DescribeSecurityGroups", "group-name", "echo-app", "groupId");
    let all =
        format!("GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0");
    without(
        stack,
        || drop(stack.ec2("RevokeSecurityGroupEgress", &all)),
        &no_api(API),
        || drop(stack.ec2("AuthorizeSecurityGroupEgress", &all)),
    );
}

/// An entry of the network ACL that denies, before the one that allows all.
fn with_denied(stack: &Stack, egress: bool, cidr: &str, reason: &Reason) {
    let vpc = named(stack, "DescribeVpcs", "echo", "vpcId");
    let acl = stack.ec2_id("DescribeNetworkAcls", "vpc-id", &vpc, "networkAclId");
    let entry = format!("NetworkAclId={acl}&RuleNumber=50&Egress={egress}");
    without(
        stack,
        || {
            let deny = format!("{entry}&Protocol=-1&RuleAction=deny&CidrBlock={cidr}");
            stack.ec2("CreateNetworkAclEntry", &deny);
        },
        reason,
        || drop(stack.ec2("DeleteNetworkAclEntry", &entry)),
    );
}

pub(crate) fn with_a_network_acl_that_lets_nothing_out_to_the_api(stack: &Stack) {
    with_denied(stack, true, "198.19.0.10/32", &no_api(API));
}

/// Stateless: what goes out does not let the answer in.
pub(crate) fn with_a_network_acl_that_lets_no_answer_of_the_registry_in(stack: &Stack) {
    with_denied(stack, false, "198.19.0.11/32", &no_registry(stack, REGISTRY));
}

/// The layers are on disk, and are asked for all the same.
pub(crate) fn with_a_network_acl_that_lets_nothing_out_to_the_layers(stack: &Stack) {
    with_denied(stack, true, "198.19.0.12/32", &no_layers(stack, LAYERS));
}

/// The main route table takes over: it leads nowhere.
pub(crate) fn without_the_private_subnets_route_table_association(stack: &Stack) {
    let table = table(stack, "echo-private");
    let described = stack.ec2("DescribeRouteTables", &format!("RouteTableId.1={table}"));
    let associations = texts_of(&described, "routeTableAssociationId");
    let subnets = texts_of(&described, "subnetId");
    assert_eq!((associations.len(), subnets.len()), (2, 2), "{described}");
    without(
        stack,
        || {
            for id in &associations {
                stack.ec2("DisassociateRouteTable", &format!("AssociationId={id}"));
            }
        },
        &no_api(API),
        || {
            for subnet in &subnets {
                stack.ec2("AssociateRouteTable", &format!("RouteTableId={table}&SubnetId={subnet}"));
            }
        },
    );
}

pub(crate) fn without_dns_in_the_vpc(stack: &Stack) {
    let vpc = named(stack, "DescribeVpcs", "echo", "vpcId");
    let support = |on: bool| {
        stack.ec2("ModifyVpcAttribute", &format!("VpcId={vpc}&EnableDnsSupport.Value={on}"));
    };
    without(stack, || support(false), &no_dns("10.20.0.2"), || support(true));
}

/// The task's DNS server does not answer.
fn no_dns(server: &str) -> Reason {
    let silent = no_token(&format!("->{server}:53: i/o timeout"));
    let asked = format!(": lookup api.ecr.{REGION}.amazonaws.com on {server}:53: read udp 10.20.10");
    Reason(silent.0 + &asked, silent.1)
}

/// The names are asked where the VPC's DHCP options say, and nobody is there.
pub(crate) fn with_dhcp_options_that_name_a_server_that_is_not_there(stack: &Stack) {
    let vpc = named(stack, "DescribeVpcs", "echo", "vpcId");
    let associate = |options: &str| {
        stack.ec2("AssociateDhcpOptions", &format!("VpcId={vpc}&DhcpOptionsId={options}"));
    };
    let before = stack.ec2_id("DescribeVpcs", "vpc-id", &vpc, "dhcpOptionsId");
    let option = "DhcpConfiguration.1.Key=domain-name-servers&DhcpConfiguration.1.Value.1=10.20.100.250";
    let made = stack.ec2("CreateDhcpOptions", option);
    let own = text_of(&made, "dhcpOptionsId").unwrap();
    without(stack, || associate(own), &no_dns("10.20.100.250"), || associate(&before));
    stack.ec2("DeleteDhcpOptions", &format!("DhcpOptionsId={own}"));
}

/// In a public subnet the way out is the task's own public address.
pub(crate) fn in_a_public_subnet_without_a_public_address(stack: &Stack) {
    let subnet = named(stack, "DescribeSubnets", "echo-public-1", "subnetId");
    let group = stack.ec2_id("DescribeSecurityGroups", "group-name", "echo-app", "groupId");
    let run = |assign: &str| {
        let network = json!({"awsvpcConfiguration": {
            "subnets": [subnet], "securityGroups": [group], "assignPublicIp": assign,
        }});
        let started = stack.ecs(
            "RunTask",
            &json!({"cluster": "echo", "taskDefinition": "echo", "launchType": "FARGATE", "networkConfiguration": network}),
        );
        let arn = started["tasks"][0]["taskArn"].clone();
        let find = json!({"cluster": "echo", "tasks": [arn]});
        let task = stack.wait("the task runs or ends", Duration::from_secs(60), || {
            let task = stack.ecs("DescribeTasks", &find)["tasks"][0].clone();
            let settled = task["lastStatus"] == "RUNNING" || task["lastStatus"] == "STOPPED";
            if settled { Ok(task) } else { Err(format!("{task:#}")) }
        });
        if task["lastStatus"] == "RUNNING" {
            stack.ecs("StopTask", &json!({"cluster": "echo", "task": arn}));
        }
        (task["lastStatus"].clone(), task["stoppedReason"].as_str().unwrap_or_default().to_owned())
    };
    let (status, said) = run("DISABLED");
    assert!(status == "STOPPED" && no_api(API).is(&said), "{status}: {said}");
    assert_eq!(run("ENABLED"), ("RUNNING".into(), String::new()));
}
