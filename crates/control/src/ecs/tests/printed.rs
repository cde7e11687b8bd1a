//! Answers as they are printed.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

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
                            *value = json!("TEXT");
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
