//! What is refused, and in whose words.

use serde_json::{Value, json};

use super::with;
use crate::schedule::tests::world::World;
use crate::{Context, Principal, Service};

/// Each case: an action, the request, the code and the beginning of the message.
fn check_refusals(world: &World, cases: &[(&str, Value, &str, &str)]) {
    for (action, request, code, words) in cases {
        let (found, message) = world.refused(action, request);
        assert_eq!(
            (&*found, message.starts_with(words)),
            (*code, true),
            "{action} {request}: {found}: {message}"
        );
    }
}

#[test]
fn task_definitions_that_cannot_be_are_refused() {
    let world = World::new(false);
    let good = world.definition("127.0.0.1:4566/app:1");
    let container = |name: &str, value: Value| with(&good, &format!("/containerDefinitions/0/{name}"), value);
    let register = "RegisterTaskDefinition";
    check_refusals(
        &world,
        &[
            (
                register,
                with(&good, "/family", json!("a b")),
                "ClientException",
                "Family contains invalid characters.",
            ),
            (
                register,
                with(&good, "/networkMode", json!("bridge")),
                "ClientException",
                "Fargate only supports network mode 'awsvpc'.",
            ),
            (
                register,
                with(&good, "/requiresCompatibilities", json!(["EC2"])),
                "UnsupportedOperation",
                "Landfall does not support requiresCompatibilities without FARGATE",
            ),
            (
                register,
                with(&good, "/cpu", json!("100")),
                "ClientException",
                "Invalid 'cpu' setting for task.",
            ),
            (
                register,
                with(&good, "/memory", json!("4096")),
                "ClientException",
                "No Fargate configuration exists for given values",
            ),
            (
                register,
                with(&good, "/cpu", Value::Null),
                "ClientException",
                "Fargate requires that 'cpu' be defined at the task level.",
            ),
            (
                register,
                with(&good, "/executionRoleArn", Value::Null),
                "ClientException",
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            ),
            (
                register,
                with(&good, "/executionRoleArn", json!("exec")),
                "ClientException",
                "Role is not valid",
            ),
            (
                register,
                with(&good, "/containerDefinitions", json!([])),
                "ClientException",
                "Container definitions should not be empty.",
            ),
            (
                register,
                with(&good, "/taskRoleArn", json!("arn:aws:iam::000000000001:role/x")),
                "InvalidParameterException",
                "taskRoleArn: ",
            ),
            (
                register,
                with(&good, "/volumes", json!([{"name": "v"}])),
                "InvalidParameterException",
                "volumes: ",
            ),
            (
                register,
                with(&good, "/runtimePlatform", json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"})),
                "UnsupportedOperation",
                "Landfall does not support runtimePlatform.operatingSystemFamily",
            ),
            (
                register,
                with(&good, "/somethingNew", json!(1)),
                "InvalidParameterException",
                "The parameter somethingNew is not supported",
            ),
            (
                register,
                container("name", json!("")),
                "ClientException",
                "Container.name should not be null or empty.",
            ),
            (
                register,
                container("image", json!("")),
                "ClientException",
                "Container.image should not be null or empty.",
            ),
            (register, container("essential", json!(false)), "ClientException", "At least one container"),
            (register, container("cpu", json!(512)), "ClientException", "The containers' CPU shares"),
            (
                register,
                container("memory", json!(1024)),
                "ClientException",
                "Invalid 'memory' setting for container 'app'",
            ),
            (
                register,
                container("stopTimeout", json!(121)),
                "ClientException",
                "Invalid 'stopTimeout' setting",
            ),
            (
                register,
                container("portMappings", json!([{"containerPort": 3000, "hostPort": 80}])),
                "ClientException",
                "When networkMode=awsvpc, the host ports and container ports",
            ),
            (
                register,
                container(
                    "portMappings",
                    json!([{"containerPort": 3000, "name": "a"}, {"containerPort": 3000}]),
                ),
                "ClientException",
                "Port mappings must be unique",
            ),
            (
                register,
                container("ulimits", json!([{"name": "nofile", "softLimit": 2, "hardLimit": 1}])),
                "ClientException",
                "Invalid ulimit 'nofile'",
            ),
            (
                register,
                container("privileged", json!(true)),
                "InvalidParameterException",
                "containerDefinitions[0].privileged",
            ),
            (
                register,
                container("memoryReservation", json!(128)),
                "InvalidParameterException",
                "containerDefinitions[0].memoryReservation",
            ),
            (
                register,
                container("logConfiguration", json!({"logDriver": "awslogs"})),
                "InvalidParameterException",
                "containerDefinitions[0].logConfiguration",
            ),
            (
                register,
                container("healthCheck", json!({"command": ["CMD", "true"]})),
                "InvalidParameterException",
                "containerDefinitions[0].healthCheck",
            ),
            (
                register,
                container("secrets", json!([{"name": "a", "valueFrom": "b"}])),
                "InvalidParameterException",
                "containerDefinitions[0].secrets",
            ),
            (
                "DescribeTaskDefinition",
                json!({"taskDefinition": "app:9"}),
                "ClientException",
                "Unable to describe task definition.",
            ),
            (
                "DeregisterTaskDefinition",
                json!({"taskDefinition": "app"}),
                "ClientException",
                "Invalid revision number.",
            ),
        ],
    );
}

#[test]
fn services_that_cannot_be_are_refused() {
    let world = World::new(true);
    let good = world.service(1, true);
    let create = "CreateService";
    let network = "/networkConfiguration/awsvpcConfiguration";
    let balancer = "/loadBalancers/0";
    let other = world.fixture.ok(Service::Ec2, "CreateVpc", "CidrBlock=10.9.0.0/16");
    let other = crate::testing::element(&other, "vpcId").to_owned();
    let body = format!("VpcId={other}&CidrBlock=10.9.0.0/24");
    let far = world.fixture.ok(Service::Ec2, "CreateSubnet", &body);
    let far = crate::testing::element(&far, "subnetId").to_owned();
    check_refusals(
        &world,
        &[
            (
                create,
                with(&good, "/cluster", json!("none")),
                "ClusterNotFoundException",
                "Cluster not found.",
            ),
            (
                create,
                with(&good, "/serviceName", json!("a b")),
                "InvalidParameterException",
                "Service name is invalid",
            ),
            (
                create,
                with(&good, "/taskDefinition", json!("none")),
                "ClientException",
                "TaskDefinition not found.",
            ),
            (
                create,
                with(&good, "/launchType", json!("EC2")),
                "UnsupportedOperation",
                "Landfall does not support launchType EC2",
            ),
            (
                create,
                with(&good, "/desiredCount", json!(-1)),
                "InvalidParameterException",
                "desiredCount must be",
            ),
            (
                create,
                with(&good, "/networkConfiguration", Value::Null),
                "InvalidParameterException",
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            ),
            (
                create,
                with(&good, &format!("{network}/subnets"), json!([])),
                "InvalidParameterException",
                "subnets can not be empty.",
            ),
            (
                create,
                with(&good, &format!("{network}/subnets"), json!(["subnet-0"])),
                "InvalidParameterException",
                "The subnet ID 'subnet-0' does not exist",
            ),
            (
                create,
                with(&good, &format!("{network}/subnets"), json!([world.subnets[0], far])),
                "InvalidParameterException",
                "The subnets must be in the same VPC.",
            ),
            (
                create,
                with(&good, &format!("{network}/subnets"), json!([far])),
                "InvalidParameterException",
                "Security group and subnet belong to different networks.",
            ),
            (
                create,
                with(&good, &format!("{network}/securityGroups"), json!(["sg-0"])),
                "InvalidParameterException",
                "The security group 'sg-0' does not exist",
            ),
            (
                create,
                with(&good, &format!("{balancer}/containerName"), json!("web")),
                "InvalidParameterException",
                "The container web does not exist in the task definition.",
            ),
            (
                create,
                with(&good, &format!("{balancer}/containerPort"), json!(80)),
                "InvalidParameterException",
                "The container app did not have a container port 80 defined.",
            ),
            (
                create,
                with(
                    &good,
                    &format!("{balancer}/targetGroupArn"),
                    json!("arn:aws:elasticloadbalancing:ap-northeast-2:000000000001:targetgroup/x/0"),
                ),
                "InvalidParameterException",
                "The specified target group does not exist.",
            ),
            (create, with(&good, "/platformVersion", json!("9")), "PlatformUnknownException", ""),
            (
                create,
                with(
                    &good,
                    "/deploymentConfiguration",
                    json!({"maximumPercent": 100, "minimumHealthyPercent": 100}),
                ),
                "InvalidParameterException",
                "Both maximumPercent and minimumHealthyPercent cannot be 100",
            ),
            (
                create,
                with(
                    &good,
                    "/deploymentConfiguration",
                    json!({"deploymentCircuitBreaker": {"enable": true, "rollback": false}}),
                ),
                "InvalidParameterException",
                "deploymentConfiguration.deploymentCircuitBreaker",
            ),
            (
                create,
                with(&good, "/enableExecuteCommand", json!(true)),
                "InvalidParameterException",
                "enableExecuteCommand",
            ),
            (
                create,
                with(&good, "/schedulingStrategy", json!("DAEMON")),
                "InvalidParameterException",
                "schedulingStrategy",
            ),
            (
                create,
                with(&good, "/tags", json!([{"key": "aws:x", "value": "y"}])),
                "InvalidParameterException",
                "System tags",
            ),
            (
                "UpdateService",
                json!({"cluster": "c", "service": "none"}),
                "ServiceNotFoundException",
                "Service not found.",
            ),
            (
                "DeleteService",
                json!({"cluster": "c", "service": "none"}),
                "ServiceNotFoundException",
                "Service not found.",
            ),
            (
                "DescribeServices",
                json!({"cluster": "c", "services": []}),
                "InvalidParameterException",
                "Services cannot be empty.",
            ),
            (
                "DescribeTasks",
                json!({"cluster": "c", "tasks": []}),
                "InvalidParameterException",
                "Tasks cannot be empty.",
            ),
            (
                "StopTask",
                json!({"cluster": "c", "task": "0"}),
                "InvalidParameterException",
                "The referenced task was not found.",
            ),
            (
                "ListTasks",
                json!({"cluster": "c", "serviceName": "none"}),
                "ServiceNotFoundException",
                "Service not found.",
            ),
        ],
    );
    // What Terraform sends with every service and says nothing.
    let mut sent = with(&good, "/vpcLatticeConfigurations", json!([]));
    for (name, value) in [
        ("capacityProviderStrategy", json!([])),
        ("deploymentConfiguration", json!({"maximumPercent": 200, "minimumHealthyPercent": 100})),
        ("deploymentController", json!({"type": "ECS"})),
        ("enableECSManagedTags", json!(false)),
        ("enableExecuteCommand", json!(false)),
        ("schedulingStrategy", json!("REPLICA")),
        ("clientToken", json!("terraform-1")),
    ] {
        sent[name] = value;
    }
    let first = world.json(create, &sent);
    let again = world.json(create, &sent);
    assert_eq!(first["service"]["deployments"], again["service"]["deployments"]);
    check_refusals(
        &world,
        &[
            (create, good, "InvalidParameterException", "Creation of service was not idempotent."),
            (
                "DeleteService",
                json!({"cluster": "c", "service": "app"}),
                "InvalidParameterException",
                "The service cannot be stopped while it is scaled above 0.",
            ),
            (
                "DeleteCluster",
                json!({"cluster": "c"}),
                "ClusterContainsServicesException",
                "The Cluster cannot be deleted while Services are active.",
            ),
        ],
    );
}

#[test]
fn a_target_group_without_a_listener_is_refused_until_it_has_one() {
    let world = World::new(false);
    let request = world.service(1, true);
    let (code, message) = world.refused("CreateService", &request);
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        format!(
            "The target group with targetGroupArn {} does not have an associated load balancer.",
            world.target_group
        )
    );
    world.listen();
    world.json("CreateService", &request);
}

#[test]
fn a_caller_that_may_not_pass_the_execution_role_is_refused() {
    let world = World::new(false);
    let request = world.definition("127.0.0.1:4566/app:1");
    let api = &world.fixture.api;
    let (settings, machine, now) = (api.settings.clone(), api.machine.clone(), world.now());
    let refused = api.store.write(move |rows| {
        let role = crate::iam::find(rows, &settings.account, "exec").unwrap();
        let context = Context {
            account: settings.account.clone(),
            region: types::Region::new("ap-northeast-2").unwrap(),
            principal: Principal::Session {
                role: "exec".to_owned(),
                role_id: role.id.clone(),
                session: "s".to_owned(),
            },
            through: None,
            now,
            machine,
            request_id: String::new(),
            settings,
        };
        let request = serde_json::from_value(request).unwrap();
        crate::ecs::task_definition::register::register(rows, &context, request).map(|_| ())
    });
    let error = refused.unwrap().unwrap_err();
    assert_eq!(error.code, "AccessDeniedException");
    assert!(
        error.message.contains(
            "is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000001:role/exec"
        ),
        "{}",
        error.message
    );
}
