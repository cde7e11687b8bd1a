//! The API as clients see it: what is taken, what is refused in whose words, what is printed.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::Service;
use crate::schedule::tests::world::World;

/// Prints an answer with what is minted taken out.
fn shown(world: &World, value: &Value) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match &**name {
                        "createdAt" | "updatedAt" | "registeredAt" | "deregisteredAt" | "connectivityAt"
                        | "pullStartedAt" | "pullStoppedAt" | "startedAt" | "stoppingAt" | "stoppedAt"
                        | "executionStoppedAt" => *value = json!("TIME"),
                        "id" | "attachmentId" | "privateIpv4Address" | "runtimeId" | "imageDigest"
                        | "startedBy" => *value = json!("ID"),
                        "taskArn" | "containerArn" | "rolloutStateReason" | "message" => {
                            *value = json!("TEXT")
                        }
                        _ => walk(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    let mut value = value.clone();
    walk(&mut value);
    let mut text = serde_json::to_string_pretty(&value).unwrap();
    for (minted, name) in [
        (&world.subnets[0], "SUBNET-A"),
        (&world.subnets[1], "SUBNET-C"),
        (&world.group, "GROUP"),
        (&world.target_group, "TARGET-GROUP"),
    ] {
        text = text.replace(minted.as_str(), name);
    }
    text
}

fn check(world: &World, answer: &Value, expected: &Expect) {
    expected.assert_eq(&shown(world, answer));
}

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

/// A request with members set anew; null takes one away.
fn with(base: &Value, path: &str, value: Value) -> Value {
    let mut changed = base.clone();
    match changed.pointer_mut(path) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = path.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[name] = value;
        }
    }
    changed
}

#[test]
fn a_cluster_as_it_is_printed() {
    let world = World::new(false);
    let include = json!({"clusters": ["c"], "include": ["SETTINGS", "CONFIGURATIONS", "TAGS"]});
    check(
        &world,
        &world.json("DescribeClusters", &include),
        &expect![[r#"
        {
          "clusters": [
            {
              "activeServicesCount": 0,
              "capacityProviders": [],
              "clusterArn": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/c",
              "clusterName": "c",
              "defaultCapacityProviderStrategy": [],
              "pendingTasksCount": 0,
              "registeredContainerInstancesCount": 0,
              "runningTasksCount": 0,
              "settings": [
                {
                  "name": "containerInsights",
                  "value": "disabled"
                }
              ],
              "statistics": [],
              "status": "ACTIVE",
              "tags": []
            }
          ],
          "failures": []
        }"#]],
    );
}

#[test]
fn a_task_definition_as_it_is_printed() {
    let world = World::new(false);
    let described =
        world.json("DescribeTaskDefinition", &json!({"taskDefinition": "app", "include": ["TAGS"]}));
    check(
        &world,
        &described,
        &expect![[r#"
        {
          "tags": [],
          "taskDefinition": {
            "compatibilities": [
              "EC2",
              "FARGATE"
            ],
            "containerDefinitions": [
              {
                "cpu": 0,
                "environment": [],
                "essential": true,
                "image": "127.0.0.1:4566/app:1",
                "mountPoints": [],
                "name": "app",
                "portMappings": [
                  {
                    "containerPort": 3000,
                    "hostPort": 3000,
                    "protocol": "tcp"
                  }
                ],
                "systemControls": [],
                "volumesFrom": []
              }
            ],
            "cpu": "256",
            "enableFaultInjection": false,
            "executionRoleArn": "arn:aws:iam::000000000001:role/exec",
            "family": "app",
            "memory": "512",
            "networkMode": "awsvpc",
            "placementConstraints": [],
            "registeredAt": "TIME",
            "registeredBy": "arn:aws:iam::000000000001:root",
            "requiresCompatibilities": [
              "FARGATE"
            ],
            "revision": 1,
            "status": "ACTIVE",
            "taskDefinitionArn": "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1",
            "volumes": []
          }
        }"#]],
    );
}

#[test]
fn a_service_and_its_task_as_they_are_printed() {
    let world = World::new(true);
    world.json("CreateService", &world.service(1, true));
    world.play();
    let services = json!({"cluster": "c", "services": ["app", "other"], "include": ["TAGS"]});
    check(
        &world,
        &world.json("DescribeServices", &services),
        &expect![[r#"
        {
          "failures": [
            {
              "arn": "arn:aws:ecs:ap-northeast-2:000000000001:service/c/other",
              "reason": "MISSING"
            }
          ],
          "services": [
            {
              "availabilityZoneRebalancing": "DISABLED",
              "clusterArn": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/c",
              "createdAt": "TIME",
              "createdBy": "arn:aws:iam::000000000001:root",
              "deploymentConfiguration": {
                "bakeTimeInMinutes": 0,
                "deploymentCircuitBreaker": {
                  "enable": false,
                  "rollback": false
                },
                "maximumPercent": 200,
                "minimumHealthyPercent": 100,
                "strategy": "ROLLING"
              },
              "deploymentController": {
                "type": "ECS"
              },
              "deployments": [
                {
                  "createdAt": "TIME",
                  "desiredCount": 1,
                  "failedTasks": 0,
                  "id": "ID",
                  "launchType": "FARGATE",
                  "networkConfiguration": {
                    "awsvpcConfiguration": {
                      "assignPublicIp": "DISABLED",
                      "securityGroups": [
                        "GROUP"
                      ],
                      "subnets": [
                        "SUBNET-A",
                        "SUBNET-C"
                      ]
                    }
                  },
                  "pendingCount": 0,
                  "platformFamily": "Linux",
                  "platformVersion": "1.4.0",
                  "rolloutState": "COMPLETED",
                  "rolloutStateReason": "TEXT",
                  "runningCount": 1,
                  "status": "PRIMARY",
                  "taskDefinition": "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1",
                  "updatedAt": "TIME"
                }
              ],
              "desiredCount": 1,
              "enableECSManagedTags": false,
              "enableExecuteCommand": false,
              "events": [
                {
                  "createdAt": "TIME",
                  "id": "ID",
                  "message": "TEXT"
                },
                {
                  "createdAt": "TIME",
                  "id": "ID",
                  "message": "TEXT"
                },
                {
                  "createdAt": "TIME",
                  "id": "ID",
                  "message": "TEXT"
                },
                {
                  "createdAt": "TIME",
                  "id": "ID",
                  "message": "TEXT"
                }
              ],
              "healthCheckGracePeriodSeconds": 0,
              "launchType": "FARGATE",
              "loadBalancers": [
                {
                  "containerName": "app",
                  "containerPort": 3000,
                  "targetGroupArn": "TARGET-GROUP"
                }
              ],
              "networkConfiguration": {
                "awsvpcConfiguration": {
                  "assignPublicIp": "DISABLED",
                  "securityGroups": [
                    "GROUP"
                  ],
                  "subnets": [
                    "SUBNET-A",
                    "SUBNET-C"
                  ]
                }
              },
              "pendingCount": 0,
              "placementConstraints": [],
              "placementStrategy": [],
              "platformFamily": "Linux",
              "platformVersion": "LATEST",
              "propagateTags": "NONE",
              "roleArn": "arn:aws:iam::000000000001:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
              "runningCount": 1,
              "schedulingStrategy": "REPLICA",
              "serviceArn": "arn:aws:ecs:ap-northeast-2:000000000001:service/c/app",
              "serviceName": "app",
              "serviceRegistries": [],
              "status": "ACTIVE",
              "tags": [],
              "taskDefinition": "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1"
            }
          ]
        }"#]],
    );
    let tasks = world.json("ListTasks", &json!({"cluster": "c", "serviceName": "app"}));
    let mut described = world.json("DescribeTasks", &json!({"cluster": "c", "tasks": tasks["taskArns"]}));
    for detail in described["tasks"][0]["attachments"][0]["details"].as_array_mut().unwrap() {
        if detail["name"] != "subnetId" {
            detail["value"] = json!("MINTED");
        }
    }
    check(
        &world,
        &described,
        &expect![[r#"
            {
              "failures": [],
              "tasks": [
                {
                  "attachments": [
                    {
                      "details": [
                        {
                          "name": "subnetId",
                          "value": "SUBNET-A"
                        },
                        {
                          "name": "networkInterfaceId",
                          "value": "MINTED"
                        },
                        {
                          "name": "macAddress",
                          "value": "MINTED"
                        },
                        {
                          "name": "privateDnsName",
                          "value": "MINTED"
                        },
                        {
                          "name": "privateIPv4Address",
                          "value": "MINTED"
                        }
                      ],
                      "id": "ID",
                      "status": "ATTACHED",
                      "type": "ElasticNetworkInterface"
                    }
                  ],
                  "attributes": [
                    {
                      "name": "ecs.cpu-architecture",
                      "value": "x86_64"
                    }
                  ],
                  "availabilityZone": "ap-northeast-2a",
                  "clusterArn": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/c",
                  "connectivity": "CONNECTED",
                  "connectivityAt": "TIME",
                  "containers": [
                    {
                      "containerArn": "TEXT",
                      "cpu": "0",
                      "healthStatus": "UNKNOWN",
                      "image": "127.0.0.1:4566/app:1",
                      "imageDigest": "ID",
                      "lastStatus": "RUNNING",
                      "name": "app",
                      "networkBindings": [],
                      "networkInterfaces": [
                        {
                          "attachmentId": "ID",
                          "privateIpv4Address": "ID"
                        }
                      ],
                      "runtimeId": "ID",
                      "taskArn": "TEXT"
                    }
                  ],
                  "cpu": "256",
                  "createdAt": "TIME",
                  "desiredStatus": "RUNNING",
                  "enableExecuteCommand": false,
                  "ephemeralStorage": {
                    "sizeInGiB": 20
                  },
                  "group": "service:app",
                  "healthStatus": "UNKNOWN",
                  "lastStatus": "RUNNING",
                  "launchType": "FARGATE",
                  "memory": "512",
                  "overrides": {
                    "containerOverrides": [
                      {
                        "name": "app"
                      }
                    ],
                    "inferenceAcceleratorOverrides": []
                  },
                  "platformFamily": "Linux",
                  "platformVersion": "1.4.0",
                  "pullStartedAt": "TIME",
                  "pullStoppedAt": "TIME",
                  "startedAt": "TIME",
                  "startedBy": "ID",
                  "tags": [],
                  "taskArn": "TEXT",
                  "taskDefinitionArn": "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1",
                  "version": 4
                }
              ]
            }"#]],
    );
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
fn what_a_container_definition_says_is_printed_again() {
    let world = World::new(false);
    let container = json!({
        "name": "app", "image": "127.0.0.1:4566/app:1", "cpu": 128, "memory": 256, "essential": true,
        "portMappings": [{"containerPort": 53, "hostPort": 53, "protocol": "udp", "name": "dns", "appProtocol": "http"}],
        "entryPoint": ["/bin/sh", "-c"], "command": ["true"], "environment": [{"name": "A", "value": "b"}],
        "workingDirectory": "/srv", "user": "1000:1000", "readonlyRootFilesystem": true,
        "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}], "stopTimeout": 5,
        "mountPoints": [], "volumesFrom": [], "systemControls": [],
        "privileged": false, "interactive": false, "pseudoTerminal": false, "disableNetworking": false,
        "versionConsistency": "disabled",
    });
    let request = with(&world.definition(""), "/containerDefinitions", json!([container]));
    let request = with(&request, "/tags", json!([{"key": "team", "value": "a"}]));
    let made = world.json("RegisterTaskDefinition", &request);
    assert_eq!(made["taskDefinition"]["containerDefinitions"], json!([container]));
    assert_eq!(made["tags"], json!([{"key": "team", "value": "a"}]));
    // The empty members that Terraform's SDK may send say nothing.
    let empty = json!({
        "name": "app", "image": "nginx", "dnsServers": [], "dependsOn": [], "secrets": null, "links": [],
        "dockerLabels": {}, "environmentFiles": [], "extraHosts": [], "resourceRequirements": [],
        "credentialSpecs": [], "dockerSecurityOptions": [], "dnsSearchDomains": [], "linuxParameters": {},
    });
    let request = with(&world.definition(""), "/containerDefinitions", json!([empty]));
    world.json("RegisterTaskDefinition", &request);
}

#[test]
fn revisions_are_numbered_and_never_used_twice() {
    let world = World::new(false);
    let number = |answer: &Value| answer["taskDefinition"]["revision"].as_u64().unwrap();
    assert_eq!(number(&world.register("127.0.0.1:4566/app:2")), 2);
    let gone = world.json("DeregisterTaskDefinition", &json!({"taskDefinition": "app:2"}));
    assert_eq!(gone["taskDefinition"]["status"], "INACTIVE");
    let newest = world.json("DescribeTaskDefinition", &json!({"taskDefinition": "app"}));
    assert_eq!(number(&newest), 1);
    assert_eq!(number(&world.register("127.0.0.1:4566/app:3")), 3);
    let arns = |request: &Value| {
        let listed = world.json("ListTaskDefinitions", request);
        let last = |arn: &Value| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        listed["taskDefinitionArns"].as_array().unwrap().iter().map(last).collect::<Vec<_>>()
    };
    assert_eq!(arns(&json!({})), ["app:1", "app:3"]);
    assert_eq!(arns(&json!({"sort": "DESC", "familyPrefix": "app"})), ["app:3", "app:1"]);
    assert_eq!(arns(&json!({"status": "INACTIVE"})), ["app:2"]);
    assert!(arns(&json!({"familyPrefix": "ap"})).is_empty());
    let first = world.json("ListTaskDefinitions", &json!({"maxResults": 1}));
    assert_eq!(arns(&json!({"maxResults": 1, "nextToken": first["nextToken"]})), ["app:3"]);
    let families =
        world.json("ListTaskDefinitionFamilies", &json!({"familyPrefix": "a", "status": "ACTIVE"}));
    assert_eq!(families["families"], json!(["app"]));
    let (code, message) =
        world.refused("CreateService", &with(&world.service(1, false), "/taskDefinition", json!("app:2")));
    assert_eq!((&*code, &*message), ("ClientException", "TaskDefinition is inactive"));
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
fn a_cluster_ends_when_nothing_is_in_it() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    world.json("DeleteService", &json!({"cluster": "c", "service": "app", "force": true}));
    let (code, _) = world.refused("DeleteCluster", &json!({"cluster": "c"}));
    assert_eq!(code, "ClusterContainsServicesException");
    world.play();
    let gone = world.json("DeleteCluster", &json!({"cluster": "c"}));
    assert_eq!(gone["cluster"]["status"], "INACTIVE");
    assert_eq!(world.json("ListClusters", &json!({}))["clusterArns"], json!([]));
    let (code, message) = world.refused("CreateService", &world.service(1, false));
    assert_eq!((&*code, &*message), ("ClusterNotFoundException", "The referenced cluster was inactive."));
    let unknown = world.json("DescribeClusters", &json!({"clusters": ["d"]}));
    assert_eq!(unknown["failures"][0]["reason"], "MISSING");
    assert_eq!(unknown["failures"][0]["arn"], "arn:aws:ecs:ap-northeast-2:000000000001:cluster/d");
}

#[test]
fn tags_are_put_and_taken_on_every_resource() {
    let world = World::new(false);
    let made =
        world.json("CreateService", &with(&world.service(1, false), "/propagateTags", json!("SERVICE")));
    let service = made["service"]["serviceArn"].as_str().unwrap().to_owned();
    world.json("TagResource", &json!({"resourceArn": service, "tags": [{"key": "team", "value": "a"}]}));
    world.play();
    let task = world.json("ListTasks", &json!({"cluster": "c"}))["taskArns"][0].as_str().unwrap().to_owned();
    for arn in [
        &*service,
        &*task,
        "arn:aws:ecs:ap-northeast-2:000000000001:cluster/c",
        "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:1",
    ] {
        let add =
            json!({"resourceArn": arn, "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]});
        world.json("TagResource", &add);
        world.json("UntagResource", &json!({"resourceArn": arn, "tagKeys": ["a"]}));
        let tags = world.json("ListTagsForResource", &json!({"resourceArn": arn}))["tags"].to_string();
        assert!(tags.contains(r#"{"key":"b","value":"2"}"#) && !tags.contains(r#""a","#), "{arn}: {tags}");
        // The task has its service's tag from its start.
        assert_eq!(tags.contains("team"), arn == service || arn == task, "{arn}: {tags}");
    }
    let (code, _) = world.refused(
        "ListTagsForResource",
        &json!({"resourceArn": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/d"}),
    );
    assert_eq!(code, "ClusterNotFoundException");
}

#[test]
fn tasks_are_listed_by_what_they_belong_to() {
    let world = World::new(false);
    world.json("CreateService", &world.service(3, false));
    world.play();
    let count = |filter: Value| {
        let mut request = filter;
        request["cluster"] = json!("c");
        world.json("ListTasks", &request)["taskArns"].as_array().unwrap().len()
    };
    let deployment = world.service_row().deployments[0].id.clone();
    for (filter, expected) in [
        (json!({}), 3),
        (json!({"family": "app"}), 3),
        (json!({"family": "ap"}), 0),
        (json!({"serviceName": "app"}), 3),
        (json!({"startedBy": deployment}), 3),
        (json!({"startedBy": "me"}), 0),
        (json!({"desiredStatus": "STOPPED"}), 0),
        (json!({"desiredStatus": "PENDING"}), 0),
        (json!({"launchType": "EC2"}), 0),
        (json!({"maxResults": 2}), 2),
    ] {
        assert_eq!(count(filter.clone()), expected, "{filter}");
    }
}
