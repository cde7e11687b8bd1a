//! Two VPCs, a peering connection between them, and a third that only one of them has: what real tasks reach, by
//! packets from their own networks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::json;

use crate::api::{text_of, texts_of};
use crate::cases;
use crate::stack::Stack;

/// Long enough for a lost packet to be sent again once.
const SILENCE: Duration = Duration::from_millis(1500);
/// Long enough for an answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A VPC with one public subnet, in which tasks pull by their own public addresses.
struct Vpc {
    id: String,
    cidr: String,
    table: String,
    subnet: String,
    group: String,
    acl: String,
}

/// A task that runs the echo program.
struct Task {
    arn: String,
    /// Its interface, by which its network namespace is named.
    interface: String,
    address: Ipv4Addr,
}

impl Vpc {
    fn make(stack: &Stack, second: u8) -> Self {
        let cidr = format!("10.{second}.0.0/16");
        let id = made(stack, "CreateVpc", &format!("CidrBlock={cidr}"), "vpcId");
        stack.ec2("ModifyVpcAttribute", &format!("VpcId={id}&EnableDnsHostnames.Value=true"));
        let subnet =
            made(stack, "CreateSubnet", &format!("VpcId={id}&CidrBlock=10.{second}.1.0/24"), "subnetId");
        let gateway = made(stack, "CreateInternetGateway", "", "internetGatewayId");
        stack.ec2("AttachInternetGateway", &format!("VpcId={id}&InternetGatewayId={gateway}"));
        let table = stack.ec2_id("DescribeRouteTables", "vpc-id", &id, "routeTableId");
        stack.ec2(
            "CreateRoute",
            &format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}"),
        );
        let acl = stack.ec2_id("DescribeNetworkAcls", "vpc-id", &id, "networkAclId");
        let group = format!("VpcId={id}&GroupName=task&GroupDescription=tasks");
        let group = made(stack, "CreateSecurityGroup", &group, "groupId");
        Self { id, cidr, table, subnet, group, acl }
    }

    /// Starts a task and waits for it.
    fn run(&self, stack: &Stack) -> Task {
        let network = json!({"awsvpcConfiguration": {
            "subnets": [self.subnet], "securityGroups": [self.group], "assignPublicIp": "ENABLED",
        }});
        let run = json!({
            "cluster": "peers", "taskDefinition": "echo", "launchType": "FARGATE", "networkConfiguration": network,
        });
        let arn = stack.ecs("RunTask", &run)["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
        let find = json!({"cluster": "peers", "tasks": [arn]});
        let task = stack.wait("a task runs", Duration::from_secs(60), || {
            let task = stack.ecs("DescribeTasks", &find)["tasks"][0].clone();
            if task["lastStatus"] == "RUNNING" { Ok(task) } else { Err(format!("{task:#}")) }
        });
        let details = task["attachments"][0]["details"].as_array().unwrap();
        let detail = |name: &str| {
            let detail = details.iter().find(|detail| detail["name"] == name).unwrap();
            detail["value"].as_str().unwrap().to_owned()
        };
        Task {
            arn,
            interface: detail("networkInterfaceId"),
            address: detail("privateIPv4Address").parse().unwrap(),
        }
    }
}

impl Task {
    /// Does something in the task's own network.
    fn within<T: Send>(&self, stack: &Stack, work: impl FnOnce() -> T + Send) -> T {
        sys::netns::within(&stack.state.join("netns").join(&self.interface), work).unwrap()
    }

    fn connect(&self, stack: &Stack, to: SocketAddr) -> Option<TcpStream> {
        self.within(stack, || TcpStream::connect_timeout(&to, SILENCE).ok())
    }

    /// Whom another task sees when this one connects; None when nothing comes back.
    fn seen_by(&self, stack: &Stack, other: &Task) -> Option<Ipv4Addr> {
        let mut connection = self.connect(stack, (other.address, 3000).into())?;
        peer(&mut connection, SILENCE)
    }

    /// What the VPC's DNS server says about a name.
    fn resolve(&self, stack: &Stack, name: &str) -> Option<Ipv4Addr> {
        let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let mut answer = [0; 512];
        let length = self.within(stack, || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            socket.send_to(&query, (Ipv4Addr::new(169, 254, 169, 253), 53)).unwrap();
            socket.recv(&mut answer).unwrap()
        });
        // One answer at most, whose four bytes of address stand at the end.
        let last = answer[..length].last_chunk::<4>().unwrap();
        (answer[7] > 0).then(|| Ipv4Addr::from(*last))
    }
}

/// Whom the other side of an echo connection sees.
fn peer(connection: &mut TcpStream, within: Duration) -> Option<Ipv4Addr> {
    connection.set_read_timeout(Some(within)).unwrap();
    connection.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    // The head and the body may come one after the other.
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    while !answer.windows(16).any(|window| window == b"x-forwarded-for ") {
        match connection.read(&mut part).ok()? {
            0 => return None,
            length => answer.extend_from_slice(&part[..length]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    text.lines().find_map(|line| line.strip_prefix("peer ")).and_then(|address| address.parse().ok())
}

fn made(stack: &Stack, action: &str, parameters: &str, element: &str) -> String {
    let document = stack.ec2(action, parameters);
    text_of(&document, element).unwrap_or_else(|| panic!("no {element} in {document}")).to_owned()
}

/// What runs: an image, a cluster, a task definition.
fn prepare(stack: &Stack) {
    stack.ecr("CreateRepository", &json!({"repositoryName": "echo"}));
    cases::push_echo(stack);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let role = stack.iam("CreateRole", &format!("RoleName=execution&AssumeRolePolicyDocument={trust}"));
    let policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    stack.iam("AttachRolePolicy", &format!("RoleName=execution&PolicyArn={policy}"));
    stack.ecs("CreateCluster", &json!({"clusterName": "peers"}));
    stack.ecs(
        "RegisterTaskDefinition",
        &json!({
            "family": "echo", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "executionRoleArn": text_of(&role, "Arn").unwrap(),
            "containerDefinitions": [{"name": "app", "image": format!("{}/echo:latest", stack.listen)}],
        }),
    );
}

/// A peering connection that both sides want.
fn peered(stack: &Stack, from: &Vpc, to: &Vpc) -> String {
    let ask = format!("VpcId={}&PeerVpcId={}", from.id, to.id);
    let id = made(stack, "CreateVpcPeeringConnection", &ask, "vpcPeeringConnectionId");
    stack.ec2("AcceptVpcPeeringConnection", &format!("VpcPeeringConnectionId={id}"));
    stack.wait("the peering is active", Duration::from_secs(30), || {
        let found = stack.ec2("DescribeVpcPeeringConnections", &format!("VpcPeeringConnectionId.1={id}"));
        if text_of(&found, "code") == Some("active") { Ok(()) } else { Err(found) }
    });
    id
}

/// Waits until one task is seen by another as it shall be. What is answered takes a moment to reach the packets.
#[track_caller]
fn sees(stack: &Stack, from: &Task, to: &Task, want: Option<Ipv4Addr>, when: &str) {
    stack.wait(when, Duration::from_secs(10), || {
        let seen = from.seen_by(stack, to);
        if seen == want { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// The whole test.
pub(crate) fn tasks_in_two_vpcs(stack: &Stack) {
    prepare(stack);
    let [red, blue, green] = [50, 60, 70].map(|second| Vpc::make(stack, second));
    let [a, b, c] = [&red, &blue, &green].map(|vpc| vpc.run(stack));
    let to_b = |want: Option<Ipv4Addr>, when: &str| sees(stack, &a, &b, want, when);
    let route = |from: &Vpc, to: &Vpc, peering: &str| {
        let (table, cidr) = (&from.table, &to.cidr);
        format!("RouteTableId={table}&DestinationCidrBlock={cidr}&VpcPeeringConnectionId={peering}")
    };
    let without_target =
        |from: &Vpc, to: &Vpc| format!("RouteTableId={}&DestinationCidrBlock={}", from.table, to.cidr);
    let from_red = format!(
        "GroupId={}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=3000&IpPermissions.1.ToPort=3000&\
         IpPermissions.1.Groups.1.GroupId={}",
        blue.group, red.group
    );

    // A group of another VPC may be named only when there is a peering.
    let refused = stack.try_ec2("AuthorizeSecurityGroupIngress", &from_red).unwrap_err();
    assert_eq!(text_of(&refused, "Code"), Some("InvalidGroup.NotFound"), "{refused}");
    to_b(None, "without a peering");

    let peering = peered(stack, &red, &blue);
    let onwards = peered(stack, &blue, &green);
    stack.ec2("AuthorizeSecurityGroupIngress", &from_red);
    to_b(None, "without routes");
    stack.ec2("CreateRoute", &route(&red, &blue, &peering));
    to_b(None, "without a way back");
    stack.ec2("CreateRoute", &route(&blue, &red, &peering));
    to_b(Some(a.address), "by its private address");

    // The group is the members' addresses: without the rule nothing comes in, and by it nobody else does.
    stack.ec2("RevokeSecurityGroupIngress", &from_red);
    to_b(None, "without the rule");
    stack.ec2("AuthorizeSecurityGroupIngress", &from_red);
    to_b(Some(a.address), "with the rule put back");
    let mut open = a.connect(stack, (b.address, 3000).into()).unwrap();
    assert_eq!(peer(&mut open, PATIENCE), Some(a.address));

    // Stateless: an entry that denies cuts what is open, and nothing of it is left when the entry is gone.
    let entry = format!("NetworkAclId={}&RuleNumber=50&Egress=false", blue.acl);
    stack
        .ec2("CreateNetworkAclEntry", &format!("{entry}&Protocol=-1&RuleAction=deny&CidrBlock={}", red.cidr));
    to_b(None, "with an entry that denies");
    assert_eq!(peer(&mut open, SILENCE), None, "what was open is cut");
    stack.ec2("DeleteNetworkAclEntry", &entry);
    to_b(Some(a.address), "with everything put back");

    // Not transitive: green knows blue, and red knows blue, and both have routes.
    for (from, to, over) in [
        (&red, &green, &peering),
        (&green, &red, &onwards),
        (&blue, &green, &onwards),
        (&green, &blue, &onwards),
    ] {
        stack.ec2("CreateRoute", &route(from, to, over));
    }
    let any = format!(
        "GroupId={}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
        green.group
    );
    stack.ec2("AuthorizeSecurityGroupIngress", &any);
    sees(stack, &b, &c, Some(b.address), "with a peering of its own");
    sees(stack, &a, &c, None, "through another VPC");

    names(stack, &peering, &a, &b);

    // What is gone leaves a black hole.
    stack.ec2("DeleteRoute", &without_target(&blue, &red));
    to_b(None, "without the way back");
    stack.ec2("CreateRoute", &route(&blue, &red, &peering));
    to_b(Some(a.address), "with everything put back");
    stack.ec2("DeleteVpcPeeringConnection", &format!("VpcPeeringConnectionId={peering}"));
    to_b(None, "without the peering");
    let routes = stack.ec2("DescribeRouteTables", &format!("RouteTableId.1={}", red.table));
    assert!(texts_of(&routes, "state").contains(&"blackhole"), "{routes}");

    for task in [a, b, c] {
        stack.ecs("StopTask", &json!({"cluster": "peers", "task": task.arn}));
    }
}

/// The public name of an interface leads to its private address in the peer VPC too, once the peering says so.
fn names(stack: &Stack, peering: &str, a: &Task, b: &Task) {
    let described = stack.ec2("DescribeNetworkInterfaces", &format!("NetworkInterfaceId.1={}", b.interface));
    let public: Ipv4Addr = text_of(&described, "publicIp").unwrap().parse().unwrap();
    let name = text_of(&described, "publicDnsName").unwrap();
    assert_eq!(b.resolve(stack, name), Some(b.address));
    assert_eq!(a.resolve(stack, name), Some(public));
    let allow = |on: bool| {
        let option = format!("AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc={on}");
        let modify = format!("VpcPeeringConnectionId={peering}&{option}");
        stack.ec2("ModifyVpcPeeringConnectionOptions", &modify);
    };
    let resolves_to = |address: Ipv4Addr| {
        stack.wait("the name leads there", Duration::from_secs(5), || {
            let found = a.resolve(stack, name);
            if found == Some(address) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    allow(true);
    resolves_to(b.address);
    allow(false);
    resolves_to(public);
}
