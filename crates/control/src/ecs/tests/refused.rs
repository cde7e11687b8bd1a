//! What is refused, and in whose words.

use serde_json::{Value, json};
use wire::ApiError;

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
            (register, with(&good, "/taskRoleArn", json!("app")), "ClientException", "Role is not valid"),
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
                "The 'memory' setting for container 'app' is greater than for the task.",
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
                container("logConfiguration", json!({"logDriver": "awslogs"})),
                "ClientException",
                "Log driver awslogs requires option: awslogs-group",
            ),
            (
                register,
                container(
                    "secrets",
                    json!([{"name": "a", "valueFrom": "b"}, {"name": "a", "valueFrom": "c"}]),
                ),
                "ClientException",
                "Duplicate secret names found: a. Each secret name must be unique.",
            ),
            (
                register,
                with(
                    &container("secrets", json!([{"name": "a", "valueFrom": "b"}])),
                    "/containerDefinitions/0/environment",
                    json!([{"name": "a", "value": "b"}]),
                ),
                "ClientException",
                "The secret name must be unique and not shared with any new or existing environment variables set on the \
                 container, such as 'a'.",
            ),
            (
                register,
                container("secrets", json!([{"name": "a", "valueFrom": ""}])),
                "ClientException",
                "The secret 'a' of container 'app' must have a value for 'valueFrom'.",
            ),
            (
                register,
                with(
                    &with(&good, "/executionRoleArn", Value::Null),
                    "/containerDefinitions",
                    json!([{"name": "app", "image": "nginx", "secrets": [{"name": "a", "valueFrom": "b"}]}]),
                ),
                "ClientException",
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
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
fn what_fargate_refuses_of_a_container_is_refused_in_ecs_s_words() {
    let world = World::new(false);
    let good = world.definition("127.0.0.1:4566/app:1");
    #[track_caller]
    fn check(world: &World, good: &Value, (member, value): (&str, Value), words: &str) {
        let request = with(good, &format!("/containerDefinitions/0/{member}"), value);
        let (code, message) = world.refused("RegisterTaskDefinition", &request);
        assert!(message.starts_with(words), "{member}: {code}: {message}");
        let ours = words.starts_with("Landfall");
        assert_eq!(code, if ours { "UnsupportedOperation" } else { "ClientException" }, "{member}");
    }
    for (member, value, words) in [
        ("privileged", json!(true), "Fargate requires that the 'privileged' setting be 'false'"),
        ("disableNetworking", json!(true), "Disable Networking is not supported on container when"),
        ("links", json!(["b"]), "Links are not supported when networkMode=awsvpc"),
        ("hostname", json!("h"), "Hostname is not supported on container when networkMode=awsvpc"),
        ("dnsServers", json!(["1.1.1.1"]), "DNS servers are not supported on container when"),
        ("dnsSearchDomains", json!(["a.b"]), "DNS search domains are not supported on container when"),
        ("extraHosts", json!([{"hostname": "a", "ipAddress": "1.1.1.1"}]), "Extra hosts are not supported"),
        ("dockerSecurityOptions", json!(["x"]), "Fargate compatible task definitions do not support docker"),
        (
            "credentialSpecs",
            json!(["x"]),
            "Fargate compatible task definitions do not support credentialSpecs",
        ),
        (
            "resourceRequirements",
            json!([{"type": "GPU", "value": "1"}]),
            "Tasks using the Fargate launch type do not support GPU resource requirements",
        ),
        (
            "linuxParameters",
            json!({"devices": [{"hostPath": "/dev/x"}]}),
            "Fargate compatible task definitions",
        ),
        ("linuxParameters", json!({"sharedMemorySize": 64}), "Fargate compatible task definitions do not"),
        (
            "linuxParameters",
            json!({"maxSwap": 0}),
            "Fargate compatible task definitions do not support maxSwap",
        ),
        (
            "linuxParameters",
            json!({"swappiness": 60}),
            "Fargate compatible task definitions do not support swap",
        ),
        (
            "linuxParameters",
            json!({"capabilities": {"add": ["SYS_PTRACE", "NET_ADMIN"]}}),
            "NET_ADMIN is not allowed on Fargate.",
        ),
        ("linuxParameters", json!({"capabilities": {"drop": ["FLY"]}}), "Invalid capability 'FLY'"),
        ("linuxParameters", json!({"tmpfs": [{"containerPath": "run", "size": 1}]}), "Invalid tmpfs 'run'"),
        (
            "linuxParameters",
            json!({"tmpfs": [{"containerPath": "/run", "size": 1, "mountOptions": ["uid=1"]}]}),
            "Landfall does not support the mount option 'uid=1'",
        ),
        ("ulimits", json!([{"name": "nproc", "softLimit": 1, "hardLimit": 1}]), "Invalid ulimit 'nproc'"),
        ("ulimits", json!([{"name": "nofile", "softLimit": 1, "hardLimit": 1_048_577}]), "Invalid ulimit"),
        ("memory", json!(5), "Invalid 'memory' setting for container 'app'"),
        ("memoryReservation", json!(1024), "The 'memoryReservation' setting for container 'app' is greater"),
        ("startTimeout", json!(1), "Invalid 'startTimeout' setting for container 'app'"),
        ("startTimeout", json!(121), "Invalid 'startTimeout' setting for container 'app'"),
        (
            "healthCheck",
            json!({"command": []}),
            "Invalid 'healthCheck' setting for container 'app': the command",
        ),
        ("healthCheck", json!({"command": ["curl x"]}), "Invalid 'healthCheck' setting for container 'app'"),
        ("healthCheck", json!({"command": ["CMD", "x"], "interval": 4}), "Invalid 'healthCheck' setting"),
        ("healthCheck", json!({"command": ["CMD", "x"], "timeout": 61}), "Invalid 'healthCheck' setting"),
        ("healthCheck", json!({"command": ["CMD", "x"], "retries": 11}), "Invalid 'healthCheck' setting"),
        (
            "healthCheck",
            json!({"command": ["CMD", "x"], "startPeriod": 301}),
            "Invalid 'healthCheck' setting",
        ),
        ("mountPoints", json!([{"sourceVolume": "v", "containerPath": "/v"}]), "Unknown volume 'v'."),
        (
            "linuxParameters",
            json!({"tmpfs": [{"containerPath": "/", "size": 1}]}),
            "Invalid tmpfs '/' for container 'app': it needs an absolute path, which is not '/'",
        ),
        ("volumesFrom", json!([{"sourceContainer": "b"}]), "Invalid 'volumesFrom' setting"),
        (
            "systemControls",
            json!([{"namespace": "vm.swappiness", "value": "1"}]),
            "Invalid system control 'vm",
        ),
        (
            "systemControls",
            json!([{"namespace": "net../x", "value": "1"}]),
            "Invalid system control 'net../x'",
        ),
        (
            "dependsOn",
            json!([{"containerName": "b", "condition": "START"}]),
            "Cannot depend on container + 'b' because it does not exist",
        ),
        (
            "restartPolicy",
            json!({"enabled": true, "restartAttemptPeriod": 59}),
            "Invalid 'restartPolicy' setting for container 'app': restartAttemptPeriod must be from 60 to 1800 seconds.",
        ),
        (
            "restartPolicy",
            json!({"enabled": true, "ignoredExitCodes": vec![0; 51]}),
            "Invalid 'restartPolicy' setting for container 'app': ignoredExitCodes must have at most 50 exit codes.",
        ),
        (
            "environmentFiles",
            json!([{"type": "s3", "value": "x"}]),
            "Landfall does not support environmentFiles",
        ),
        (
            "firelensConfiguration",
            json!({"type": "fluentbit"}),
            "Landfall does not support firelensConfiguration",
        ),
        (
            "repositoryCredentials",
            json!({"credentialsParameter": "x"}),
            "Landfall does not support repository",
        ),
    ] {
        check(&world, &good, (member, value), words);
    }
}

#[test]
fn what_fargate_refuses_of_a_task_is_refused_in_ecs_s_words() {
    let world = World::new(false);
    let good = world.definition("127.0.0.1:4566/app:1");
    let volume = |member: &str, value: Value| json!([{"name": "v", member: value}]);
    for (member, value, words) in [
        (
            "placementConstraints",
            json!([{"type": "memberOf"}]),
            "Fargate compatible task definitions do not support constr",
        ),
        ("ipcMode", json!("task"), "Fargate compatible task definitions do not support ipcMode"),
        ("pidMode", json!("host"), "Tasks using the Fargate launch type do not support pidMode 'host'"),
        ("inferenceAccelerators", json!([{"deviceName": "x"}]), "Unsupported field 'inferenceAccelerators'"),
        ("proxyConfiguration", json!({"containerName": "x"}), "Landfall does not support proxyConfiguration"),
        ("ephemeralStorage", json!({"sizeInGiB": 20}), "Ephemeral storage size must be between"),
        ("ephemeralStorage", json!({"sizeInGiB": 201}), "Ephemeral storage size must be between"),
        (
            "volumes",
            volume("host", json!({"sourcePath": "/x"})),
            "Fargate compatible task definitions do not support sourcePath",
        ),
        (
            "volumes",
            volume("dockerVolumeConfiguration", json!({"scope": "task"})),
            "Fargate compatible task definitions do not support dockerVolumeConfiguration",
        ),
        (
            "volumes",
            volume("efsVolumeConfiguration", json!({"fileSystemId": "fs-1"})),
            "Landfall does not support efsVolume",
        ),
        (
            "volumes",
            volume("configuredAtLaunch", json!(true)),
            "Landfall does not support configuredAtLaunch",
        ),
        ("volumes", json!([{"name": "a b"}]), "Volume.name should not be"),
        ("volumes", json!([{"name": "a"}, {"name": "a"}]), "Volume names must be unique"),
        (
            "runtimePlatform",
            json!({"cpuArchitecture": "ARM64"}),
            "Landfall does not support runtimePlatform.cpu",
        ),
    ] {
        let (_, message) =
            world.refused("RegisterTaskDefinition", &with(&good, &format!("/{member}"), value));
        assert!(message.starts_with(words), "{member}: {message}");
    }
}

#[test]
fn containers_that_cannot_hang_together_so_are_refused() {
    let world = World::new(false);
    let good = world.definition("");
    let on = |name: &str, condition: &str| json!([{"containerName": name, "condition": condition}]);
    let c = |name: &str, more: Value| {
        let mut container = json!({"name": name, "image": "nginx"});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    };
    let essential =
        "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container";
    let unhealthy = "A dependency container with HEALTHY condition must have health check configured";
    let cycle = "Container dependencies should not have a cycle";
    let many: Vec<Value> = (0..11).map(|number| c(&format!("c{number}"), json!({}))).collect();
    for (containers, words) in [
        (json!(many), "Too many containers."),
        (json!([c("a", json!({"dependsOn": on("b", "SUCCESS")})), c("b", json!({}))]), essential),
        (json!([c("a", json!({"dependsOn": on("b", "COMPLETE")})), c("b", json!({}))]), essential),
        (json!([c("a", json!({"dependsOn": on("b", "HEALTHY")})), c("b", json!({}))]), unhealthy),
        (
            json!([
                c("a", json!({"dependsOn": on("b", "HEALTHY")})),
                c("b", json!({"healthCheck": {"command": ["NONE"]}}))
            ]),
            unhealthy,
        ),
        (json!([c("a", json!({"dependsOn": on("a", "START")}))]), cycle),
        (
            json!([
                c("a", json!({"dependsOn": on("b", "START")})),
                c("b", json!({"volumesFrom": [{"sourceContainer": "c"}]})),
                c("c", json!({"dependsOn": on("a", "START")})),
            ]),
            cycle,
        ),
        (
            json!([c("a", json!({"memory": 300})), c("b", json!({"memoryReservation": 300}))]),
            "The containers' memory, 600 MiB together, exceeds the task's 512 MiB.",
        ),
        (
            json!([c("a", json!({"memory": 200, "memoryReservation": 300}))]),
            "Invalid setting for container 'a'. 'memory' must be greater than or equal to 'memoryReservation'.",
        ),
        (
            json!([c(
                "a",
                json!({"linuxParameters": {"tmpfs": [{"containerPath": "/v", "size": 1}]},
                "mountPoints": [{"sourceVolume": "v", "containerPath": "/v/"}]})
            )]),
            "Duplicate mount point '/v/' of container 'a'.",
        ),
        (
            json!([c("a", json!({"mountPoints": [{"sourceVolume": "v", "containerPath": "/"}]}))]),
            "Invalid 'containerPath' '/' of a mount point of container 'a': it must be absolute, without '..', and not the \
             root directory '/'.",
        ),
    ] {
        let request =
            with(&with(&good, "/containerDefinitions", containers), "/volumes", json!([{"name": "v"}]));
        let (_, message) = world.refused("RegisterTaskDefinition", &request);
        assert!(message.starts_with(words), "{message}");
    }
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
                    json!({"alarms": {"alarmNames": [], "enable": true, "rollback": false}}),
                ),
                "InvalidParameterException",
                "deploymentConfiguration.alarms.alarmNames cannot be empty",
            ),
            (
                create,
                with(&good, "/deploymentConfiguration", json!({"strategy": "BLUE_GREEN"})),
                "InvalidParameterException",
                "deploymentConfiguration.strategy",
            ),
            (
                create,
                with(&good, "/deploymentController", json!({"type": "CODE_DEPLOY"})),
                "InvalidParameterException",
                "deploymentController.type",
            ),
            (
                create,
                with(
                    &with(&good, "/availabilityZoneRebalancing", json!("ENABLED")),
                    "/deploymentConfiguration",
                    json!({"maximumPercent": 100, "minimumHealthyPercent": 50}),
                ),
                "InvalidParameterException",
                "Availability Zone rebalancing does not support a maximumPercent of 100",
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
                "The DAEMON scheduling strategy is not supported for tasks on AWS Fargate.",
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
fn who_may_not_pass_a_role_neither_registers_it_nor_runs_a_task_with_it() {
    let world = World::new(false);
    let definition = world.definition("127.0.0.1:4566/app:1");
    let run = json!({
        "cluster": "c", "taskDefinition": "app", "launchType": "FARGATE",
        "networkConfiguration": world.service(1, false)["networkConfiguration"],
    });
    let overridden = {
        let mut run = run.clone();
        run["overrides"] = json!({"executionRoleArn": world.role});
        run
    };
    for (run, request) in [(false, definition), (true, run), (true, overridden)] {
        let error = refused_as_a_session(&world, run, request);
        assert_eq!(error.code, "AccessDeniedException");
        let denied =
            "is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000001:role/exec";
        assert!(error.message.contains(denied), "{}", error.message);
    }
    assert!(world.tasks().is_empty());
}

/// What a session of the role `exec`, which no policy allows anything, hears of RunTask or RegisterTaskDefinition itself.
fn refused_as_a_session(world: &World, run: bool, request: Value) -> ApiError {
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
        if run {
            let request = serde_json::from_value(request).unwrap();
            return crate::ecs::task::run::run(rows, &context, request).map(|_| ());
        }
        let request = serde_json::from_value(request).unwrap();
        crate::ecs::task_definition::register::register(rows, &context, request).map(|_| ())
    });
    refused.unwrap().unwrap_err()
}

#[test]
fn protection_that_cannot_be_is_refused() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    let network = world.service(1, false)["networkConfiguration"].clone();
    let run = json!({
        "cluster": "c", "taskDefinition": "app", "launchType": "FARGATE", "networkConfiguration": network,
    });
    let alone = world.json("RunTask", &run)["tasks"][0]["taskArn"].clone();
    let request = json!({"cluster": "c", "tasks": ["1"], "protectionEnabled": true});
    let code = "InvalidParameterException";
    let many = |count: usize| json!(vec!["1"; count]);
    let minutes = "expiresInMinutes must be between 1 and 2880.";
    check_refusals(
        &world,
        &[
            ("UpdateTaskProtection", with(&request, "/tasks", json!([])), code, "Tasks cannot be empty."),
            (
                "UpdateTaskProtection",
                with(&request, "/tasks", many(11)),
                code,
                "Tasks cannot have more than 10",
            ),
            ("UpdateTaskProtection", with(&request, "/expiresInMinutes", json!(0)), code, minutes),
            ("UpdateTaskProtection", with(&request, "/expiresInMinutes", json!(2881)), code, minutes),
            ("UpdateTaskProtection", with(&request, "/cluster", json!("d")), "ClusterNotFoundException", ""),
            ("GetTaskProtection", json!({"cluster": "c"}), code, "Tasks cannot be empty."),
            (
                "GetTaskProtection",
                json!({"cluster": "c", "tasks": many(101)}),
                code,
                "Tasks cannot have more",
            ),
        ],
    );
    let told = world.json("UpdateTaskProtection", &with(&request, "/tasks", json!(["1", alone])));
    let missing = "arn:aws:ecs:ap-northeast-2:000000000001:task/c/1";
    let failures = json!([{"arn": missing, "reason": "MISSING"}, {"arn": alone, "reason": "TASK_NOT_VALID"}]);
    assert_eq!(told, json!({"protectedTasks": [], "failures": failures}));
}
