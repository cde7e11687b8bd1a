"""A VPC, a cluster and a task of one image on a server of a bench's own: what the benches of tasks share."""

import contextlib
import json
import os
import pathlib
import sys
import time

from . import image

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
PATIENCE = 240


class Stack:
    """A VPC with a public subnet, a repository with the image of a program, a cluster and a task definition."""

    def __init__(self, server, source=image.SOURCE, cpu="256", **container):
        self.server = server
        self.ecs = server.client("ecs")
        ec2, ecr, iam = server.client("ec2"), server.client("ecr"), server.client("iam")
        vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
            ec2.modify_vpc_attribute(**{"VpcId": vpc, attribute: {"Value": True}})
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/20", AvailabilityZone="ap-northeast-2a")["Subnet"]["SubnetId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        ec2.create_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.network = {"awsvpcConfiguration": {"subnets": [subnet], "assignPublicIp": "ENABLED"}}
        uri = ecr.create_repository(repositoryName="bench")["repository"]["repositoryUri"]
        image.put(self, "bench:latest", source)
        role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.attach_role_policy(
            RoleName="bench", PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")
        self.ecs.create_cluster(clusterName="bench")
        self.ecs.register_task_definition(
            family="bench", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu=cpu, memory=str(2 * int(cpu)),
            executionRoleArn=role,
            containerDefinitions=[{"name": "app", "image": f"{uri}:latest", "stopTimeout": 1, **container}])

    def run(self, count=1):
        """The ARNs of so many new tasks."""
        arns = []
        while len(arns) < count:
            made = self.ecs.run_task(
                cluster="bench", taskDefinition="bench", launchType="FARGATE", networkConfiguration=self.network,
                count=min(10, count - len(arns)))
            arns += [task["taskArn"] for task in made["tasks"]]
        return arns

    def wait(self, arns, status, pause=0.002):
        """Waits until all are there; a task that stopped instead ends the bench."""
        deadline, left = time.monotonic() + PATIENCE, list(arns)
        while left:
            described = []
            for first in range(0, len(left), 100):
                described += self.ecs.describe_tasks(cluster="bench", tasks=left[first:first + 100])["tasks"]
            for task in described:
                if task["lastStatus"] == "STOPPED" != status:
                    sys.exit(f"a task stopped: {task.get('stoppedReason')}")
            left = [task["taskArn"] for task in described if task["lastStatus"] != status]
            if time.monotonic() > deadline:
                sys.exit(f"{len(left)} tasks are not {status} after {PATIENCE} s")
            if left:
                time.sleep(pause)

    def stop(self, arns):
        for arn in arns:
            self.ecs.stop_task(cluster="bench", task=arn)
        self.wait(arns, "STOPPED", pause=0.05)

    def round(self):
        """Seconds from the call to RUNNING."""
        begun = time.perf_counter()
        arns = self.run()
        self.wait(arns, "RUNNING")
        seconds = time.perf_counter() - begun
        self.stop(arns)
        return seconds

    def memory(self):
        """The proportional memory of all of Landfall's own processes, by role, in MiB: those that name the state folder, and
        their children, which name nothing."""
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if pathlib.Path(os.fsdecode(words[0])).name != "landfall":
                    continue
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
                line = next(l for l in (process / "smaps_rollup").read_text().splitlines() if l.startswith("Pss:"))
                found[int(process.name)] = words, parent, int(line.split()[1]) / 1024
        state, roles = os.fsencode(self.server.state), {}
        own = {number for number, (words, _, _) in found.items() if any(word.startswith(state) for word in words)}
        for number, (words, parent, mebibytes) in found.items():
            if number in own or parent in own:
                role = (words[words.index(b"role") + 1] if b"role" in words else words[1]).decode()
                roles[role] = roles.get(role, 0) + mebibytes
        return roles
