//! The example's private subnets without a NAT gateway: the three VPC endpoints that a pull needs on AWS, each taken away
//! and put back, and those that parameters, secrets and logs need.

use std::time::Duration;

use serde_json::json;

use crate::api::{REGION, text_of, texts_of};
use crate::image_path::{
    API, LAYERS, REGISTRY, Reason, begin, default_route, fails, heals, named, nat_gateway, no_api, no_layers,
    no_registry, no_token, table, without,
};
use crate::secrets::{described, run, wait_for};
use crate::stack::{Stack, text};

/// The private part of the example's network, with a security group for endpoints.
struct Private<'a> {
    stack: &'a Stack,
    vpc: String,
    table: String,
    subnets: Vec<String>,
    group: String,
}

impl<'a> Private<'a> {
    fn look(stack: &'a Stack) -> Self {
        let vpc = named(stack, "DescribeVpcs", "echo", "vpcId");
        let table = table(stack, "echo-private");
        let described = stack.ec2("DescribeRouteTables", &format!("RouteTableId.1={table}"));
        let subnets = texts_of(&described, "subnetId").into_iter().map(str::to_owned).collect();
        let group = format!("VpcId={vpc}&GroupName=endpoints&GroupDescription=endpoints");
        let group = stack.ec2("CreateSecurityGroup", &group);
        let group = text_of(&group, "groupId").unwrap().to_owned();
        Self { stack, vpc, table, subnets, group }
    }

    /// An interface endpoint in every private subnet, with the service's own names.
    fn interfaces(&self, service: &str) -> String {
        let mut ask = format!(
            "VpcId={}&ServiceName=com.amazonaws.{REGION}.{service}&VpcEndpointType=Interface&SecurityGroupId.1={}&\
             PrivateDnsEnabled=true",
            self.vpc, self.group
        );
        for (index, subnet) in self.subnets.iter().enumerate() {
            ask += &format!("&SubnetId.{}={subnet}", index + 1);
        }
        self.make(&ask)
    }

    fn gateway(&self) -> String {
        let (vpc, table) = (&self.vpc, &self.table);
        self.make(&format!("VpcId={vpc}&ServiceName=com.amazonaws.{REGION}.s3&RouteTableId.1={table}"))
    }

    fn make(&self, ask: &str) -> String {
        let made = self.stack.ec2("CreateVpcEndpoint", ask);
        let id = text_of(&made, "vpcEndpointId").unwrap().to_owned();
        self.stack.wait("the endpoint is available", Duration::from_secs(30), || {
            let found = self.stack.ec2("DescribeVpcEndpoints", &format!("VpcEndpointId.1={id}"));
            if text_of(&found, "state") == Some("available") { Ok(()) } else { Err(found) }
        });
        id
    }

    fn delete(&self, endpoint: &str) {
        let id = format!("VpcEndpointId.1={endpoint}");
        self.stack.ec2("DeleteVpcEndpoints", &id);
        self.stack.wait("the endpoint is gone", Duration::from_secs(30), || {
            match self.stack.try_ec2("DescribeVpcEndpoints", &id) {
                Err(refused) if refused.contains("InvalidVpcEndpointId.NotFound") => Ok(()),
                found => Err(format!("{found:?}")),
            }
        });
    }
}

/// The whole test. Each endpoint is missed by its own part of the pull, with its own address.
pub(crate) fn through_three_vpc_endpoints_and_not_through_two(stack: &Stack) {
    let private = Private::look(stack);
    let hostnames = |on: bool| {
        let attribute = format!("VpcId={}&EnableDnsHostnames.Value={on}", private.vpc);
        stack.ec2("ModifyVpcAttribute", &attribute);
    };
    let app = stack.ec2_id("DescribeSecurityGroups", "group-name", "echo-app", "groupId");
    let rule = format!(
        "GroupId={}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443&IpPermissions.1.ToPort=443&\
         IpPermissions.1.Groups.1.GroupId={app}",
        private.group
    );
    let nat = nat_gateway(stack);
    hostnames(true);
    stack.ec2("AuthorizeSecurityGroupIngress", &rule);
    stack.ec2("DeleteRoute", &default_route(&private.table));

    // One after the other, until all are there.
    fails(stack, &no_api(API));
    let mut api = private.interfaces("ecr.api");
    fails(stack, &no_registry(stack, REGISTRY));
    let mut registry = private.interfaces("ecr.dkr");
    fails(stack, &no_layers(stack, LAYERS));
    let layers = private.gateway();
    heals(stack, &begin(stack));

    let again = || private.interfaces("ecr.api");
    api = without(stack, || private.delete(&api), &no_api(API), again);
    let again = || private.interfaces("ecr.dkr");
    registry = without(stack, || private.delete(&registry), &no_registry(stack, REGISTRY), again);

    // A gateway endpoint that the subnet's table does not know is none.
    let modify = |how: &str| {
        let change = format!("VpcEndpointId={layers}&{how}={}", private.table);
        stack.ec2("ModifyVpcEndpoint", &change);
    };
    without(
        stack,
        || modify("RemoveRouteTableId.1"),
        &no_layers(stack, LAYERS),
        || modify("AddRouteTableId.1"),
    );

    // An endpoint whose security group lets nobody in: the address is the endpoint's own.
    let inside = Reason(no_token(" 10.20.10").0 + " 10.20.10", ":443: i/o timeout".to_owned());
    without(
        stack,
        || drop(stack.ec2("RevokeSecurityGroupIngress", &rule)),
        &inside,
        || drop(stack.ec2("AuthorizeSecurityGroupIngress", &rule)),
    );

    // Packets pass, and the policies of the endpoints decide.
    let policy = |endpoint: &str, action: &str| {
        let statement = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"{action}","Resource":"*"}}}}"#
        );
        stack.ec2("ModifyVpcEndpoint", &format!("VpcEndpointId={endpoint}&PolicyDocument={statement}"));
    };
    let refused = |endpoint: &str, allowed: &str, action: &str, reason: &Reason| {
        without(
            stack,
            || {
                policy(endpoint, allowed);
                let said = stack.landfall(&["explain", "echo", "ecr"]);
                let said = text(&said);
                assert!(said.contains(endpoint) && said.contains(action), "{said}");
            },
            reason,
            || policy(endpoint, "*"),
        );
    };
    let cannot =
        |begins: &str, ends: &str| Reason(format!("CannotPullContainerError: {begins}"), ends.to_owned());
    let none = |action: &str| format!("because no VPC endpoint policy allows the {action} action");
    let token = "ecr:GetAuthorizationToken";
    refused(&api, "ecr:Describe*", token, &cannot("unable to pull", &none(token)));
    refused(&registry, "ecr:Get*", "ecr:BatchGetImage", &cannot("", ""));
    refused(&layers, "s3:PutObject", "s3:GetObject", &cannot("", ""));

    let more = with_a_parameter_a_secret_and_logs(&private);
    for endpoint in [api, registry, layers].iter().chain(&more) {
        private.delete(endpoint);
    }
    stack.ec2("CreateRoute", &format!("{}&NatGatewayId={nat}", default_route(&private.table)));
    hostnames(false);
    heals(stack, &begin(stack));
    stack.ec2("DeleteSecurityGroup", &format!("GroupId={}", private.group));
}

/// A task that gets a parameter and a secret and writes to a log group needs three endpoints more, and says which one it
/// lacks. Gives them.
fn with_a_parameter_a_secret_and_logs(private: &Private) -> [String; 3] {
    let stack = private.stack;
    let echo =
        stack.ecs("DescribeTaskDefinition", &json!({"taskDefinition": "echo"}))["taskDefinition"].clone();
    let parameter = "ssm put-parameter --name /endpoints/level --type SecureString --value chatty";
    stack.aws(parameter);
    let secret =
        stack.aws("secretsmanager create-secret --name endpoints --secret-string hunter2")["ARN"].clone();
    stack.aws("logs create-log-group --log-group-name /endpoints");
    let policy = r#"{"Statement":{"Effect":"Allow","Action":["ssm:GetParameters","secretsmanager:GetSecretValue"],"Resource":"*"}}"#;
    stack.iam(
        "PutRolePolicy",
        &format!("RoleName=echo-execution&PolicyName=endpoints&PolicyDocument={policy}"),
    );
    let definition = json!({
        "family": "endpoints", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "256", "memory": "512", "executionRoleArn": echo["executionRoleArn"],
        "containerDefinitions": [{
            "name": "app", "image": echo["containerDefinitions"][0]["image"],
            "secrets": [
                {"name": "LEVEL", "valueFrom": "/endpoints/level"}, {"name": "PASSWORD", "valueFrom": secret},
            ],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/endpoints", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs",
            }},
        }],
    });
    stack.ecs("RegisterTaskDefinition", &definition);
    let lacks = |words: &str| {
        let task = run(stack, "endpoints");
        let task = wait_for(stack, &task, "STOPPED");
        let said = task["stoppedReason"].as_str().unwrap();
        assert!(said.starts_with("ResourceInitializationError: ") && said.contains(words), "{said}");
        assert_eq!(task["stopCode"], "TaskFailedToStart");
    };
    lacks("There is a connection issue between the task and AWS Secrets Manager.");
    let secretsmanager = private.interfaces("secretsmanager");
    lacks("There is a connection issue between the task and AWS Systems Manager Parameter Store.");
    let ssm = private.interfaces("ssm");
    lacks(
        "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream",
    );
    let logs = private.interfaces("logs");

    let task = run(stack, "endpoints");
    stack.wait("the program's first words", Duration::from_secs(60), || {
        let events = stack.aws("logs filter-log-events --log-group-name /endpoints");
        let said = events["events"][0]["message"].as_str().unwrap_or_default();
        if said.starts_with("listening on port") { Ok(()) } else { Err(described(stack, &task).to_string()) }
    });
    stack.ecs("StopTask", &json!({"cluster": "echo", "task": task}));
    wait_for(stack, &task, "STOPPED");
    stack.iam("DeleteRolePolicy", "RoleName=echo-execution&PolicyName=endpoints");
    stack.aws("logs delete-log-group --log-group-name /endpoints");
    stack.aws("ssm delete-parameter --name /endpoints/level");
    stack.aws("secretsmanager delete-secret --secret-id endpoints --force-delete-without-recovery");
    stack.ecs("DeregisterTaskDefinition", &json!({"taskDefinition": "endpoints:1"}));
    [ssm, secretsmanager, logs]
}
