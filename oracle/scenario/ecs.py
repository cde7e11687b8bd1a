"""A cluster, a task definition, a service behind the load balancer, and a task of one's own."""

from .step import ecs, elbv2

TAGS = [{"key": "team", "value": "oracle"}]
CONTAINER = {
    "name": "app", "image": "${uri}:latest", "essential": True, "cpu": 128, "memory": 256, "stopTimeout": 5,
    "portMappings": [{"containerPort": 3000, "protocol": "tcp"}],
    "environment": [{"name": "STAGE", "value": "test"}],
}
DEFINITION = {
    "family": "oracle", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
    "executionRoleArn": "$execution", "containerDefinitions": [CONTAINER], "tags": TAGS,
}
NETWORK = {"awsvpcConfiguration": {
    "subnets": ["$private_a", "$private_c"], "securityGroups": ["$task_group"], "assignPublicIp": "DISABLED"}}
BEHIND = [{"targetGroupArn": "$group", "containerName": "app", "containerPort": 3000}]
SERVICE = {"cluster": "oracle", "services": ["web"]}

STEPS = [
    ecs("CreateCluster", {"clusterName": "oracle", "tags": TAGS}, save={"cluster": "cluster.clusterArn"},
        expect={"cluster.status": "ACTIVE", "cluster.clusterArn": "arn:aws:ecs:ap-northeast-2:${account}:cluster/oracle"}),
    ecs("ListClusters", expect={"clusterArns": ["$cluster"]}),
    ecs("DescribeClusters", {"clusters": ["oracle", "none"], "include": ["TAGS", "SETTINGS", "STATISTICS"]},
        expect={"clusters[0].tags": TAGS, "failures[0].reason": "MISSING"}),
    ecs("RegisterTaskDefinition", DEFINITION, save={"definition": "taskDefinition.taskDefinitionArn"},
        expect={"taskDefinition.revision": 1, "taskDefinition.status": "ACTIVE",
                "taskDefinition.containerDefinitions[0].name": "app", "tags": TAGS}),
    ecs("RegisterTaskDefinition", {**DEFINITION, "cpu": "100"}, error="ClientException"),
    ecs("RegisterTaskDefinition", DEFINITION, save={"second": "taskDefinition.taskDefinitionArn"},
        expect={"taskDefinition.revision": 2}),
    ecs("DescribeTaskDefinition", {"taskDefinition": "oracle:1", "include": ["TAGS"]},
        expect={"taskDefinition.taskDefinitionArn": "$definition", "tags": TAGS}),
    ecs("DescribeTaskDefinition", {"taskDefinition": "none"}, error="ClientException"),
    ecs("ListTaskDefinitions", {"familyPrefix": "oracle"}, expect={"taskDefinitionArns": ["$definition", "$second"]}),
    ecs("ListTaskDefinitions", {"familyPrefix": "oracle", "maxResults": 1}, save={"token": "nextToken"}),
    ecs("ListTaskDefinitions", {"familyPrefix": "oracle", "nextToken": "$token"}, expect={"taskDefinitionArns": ["$second"]}),
    ecs("ListTaskDefinitionFamilies", {"familyPrefix": "oracle"}, expect={"families": ["oracle"]}),
    ecs("CreateService",
        {"cluster": "oracle", "serviceName": "web", "taskDefinition": "oracle:1", "desiredCount": 1, "launchType": "FARGATE",
         "networkConfiguration": NETWORK, "loadBalancers": BEHIND, "tags": TAGS, "propagateTags": "SERVICE",
         "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 50}},
        save={"service": "service.serviceArn"},
        expect={"service.status": "ACTIVE", "service.desiredCount": 1, "service.runningCount": 0,
                "service.deployments[0].status": "PRIMARY"}),
    ecs("CreateService",
        {"cluster": "oracle", "serviceName": "web", "taskDefinition": "oracle:1", "desiredCount": 1, "launchType": "FARGATE",
         "networkConfiguration": NETWORK}, error="InvalidParameterException"),
    ecs("ListServices", {"cluster": "oracle"}, expect={"serviceArns": ["$service"]}),
    ecs("DescribeServices", {**SERVICE, "include": ["TAGS"]},
        until="services[0].runningCount == `1` && services[0].deployments[0].rolloutState == 'COMPLETED'",
        expect={"services[0].tags": TAGS, "services[0].loadBalancers[0].containerPort": 3000, "failures": []}),
    ecs("DescribeServices", {"cluster": "oracle", "services": ["none"]}, expect={"failures[0].reason": "MISSING"}),
    ecs("DescribeServices", {"cluster": "none", "services": ["web"]}, error="ClusterNotFoundException"),
    ecs("ListTasks", {"cluster": "oracle", "serviceName": "web"}, save={"task": "taskArns[0]"},
        expect={"length(taskArns)": 1}),
    ecs("DescribeTasks", {"cluster": "oracle", "tasks": ["$task"], "include": ["TAGS"]},
        expect={"tasks[0].lastStatus": "RUNNING", "tasks[0].containers[0].lastStatus": "RUNNING",
                "tasks[0].attachments[0].status": "ATTACHED", "tasks[0].group": "service:web"}),
    elbv2("DescribeTargetHealth", {"TargetGroupArn": "$group"},
          until="TargetHealthDescriptions[0].TargetHealth.State == 'healthy'"),
    # A task of its own, stopped by hand.
    ecs("RunTask",
        {"cluster": "oracle", "taskDefinition": "oracle:2", "launchType": "FARGATE", "networkConfiguration": NETWORK,
         "startedBy": "oracle", "tags": TAGS},
        save={"own": "tasks[0].taskArn"}, expect={"failures": [], "tasks[0].startedBy": "oracle"}),
    ecs("DescribeTasks", {"cluster": "oracle", "tasks": ["$own"]}, until="tasks[0].lastStatus == 'RUNNING'"),
    ecs("StopTask", {"cluster": "oracle", "task": "$own", "reason": "enough"},
        expect={"task.desiredStatus": "STOPPED", "task.stoppedReason": "enough"}),
    ecs("DescribeTasks", {"cluster": "oracle", "tasks": ["$own"]}, until="tasks[0].lastStatus == 'STOPPED'",
        expect={"tasks[0].stopCode": "UserInitiated", "tasks[0].containers[0].exitCode": 0}),
    # An image that no registry here has.
    ecs("RegisterTaskDefinition",
        {**DEFINITION, "family": "nowhere", "containerDefinitions": [{"name": "app", "image": "nginx"}]}),
    ecs("RunTask", {"cluster": "oracle", "taskDefinition": "nowhere", "launchType": "FARGATE", "networkConfiguration": NETWORK},
        save={"nowhere": "tasks[0].taskArn"}),
    ecs("DescribeTasks", {"cluster": "oracle", "tasks": ["$nowhere"]}, until="tasks[0].lastStatus == 'STOPPED'",
        expect={"tasks[0].stopCode": "TaskFailedToStart", "starts_with(tasks[0].stoppedReason, 'CannotPullContainerError')": True}),
    ecs("DeregisterTaskDefinition", {"taskDefinition": "nowhere:1"}, expect={"taskDefinition.status": "INACTIVE"}),
    ecs("TagResource", {"resourceArn": "$service", "tags": [{"key": "stage", "value": "test"}]}),
    ecs("UntagResource", {"resourceArn": "$service", "tagKeys": ["stage"]}),
    ecs("ListTagsForResource", {"resourceArn": "$service"}, expect={"tags": TAGS}),
    ecs("DeleteCluster", {"cluster": "oracle"}, error="ClusterContainsServicesException"),
    ecs("DeleteService", {"cluster": "oracle", "service": "web"}, error="InvalidParameterException"),
    # A new task definition rolls out, then everything goes.
    ecs("UpdateService", {"cluster": "oracle", "service": "web", "taskDefinition": "oracle:2"},
        expect={"service.taskDefinition": "$second", "length(service.deployments)": 2}),
    ecs("DescribeServices", SERVICE,
        until="length(services[0].deployments) == `1` && services[0].deployments[0].rolloutState == 'COMPLETED'",
        expect={"services[0].deployments[0].taskDefinition": "$second"}),
    ecs("UpdateService", {"cluster": "oracle", "service": "web", "desiredCount": 0}),
    ecs("DescribeServices", SERVICE, until="services[0].runningCount == `0`"),
    ecs("DeleteService", {"cluster": "oracle", "service": "web"}),
    ecs("DescribeServices", SERVICE, until="services[0].status == 'INACTIVE'"),
    ecs("DeregisterTaskDefinition", {"taskDefinition": "oracle:1"}, expect={"taskDefinition.status": "INACTIVE"}),
    ecs("DeregisterTaskDefinition", {"taskDefinition": "oracle:2"}),
    ecs("DeleteCluster", {"cluster": "oracle"}, expect={"cluster.status": "INACTIVE"}),
]
