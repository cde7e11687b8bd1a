"""RunTask to RUNNING, memory of idle tasks, many tasks at once: `cargo xtask bench tasks` runs it, as root.

`python -B -m oracle.bench_tasks LANDFALL ROUNDS MANY [DOCKER]`: a server of its own, an image whose blobs are on disk after
a first task, then each round one task from the call to RUNNING as DescribeTasks tells it. DOCKER is a folder with dockerd,
docker, containerd and runc: its daemon is run with everything in a folder of its own, no bridge and no packet filter, in a
network namespace of its own, and starts the same program from the same image. Prints one JSON document.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from . import image
from .server import Server

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
PATIENCE = 240


class Stack:
    """A VPC with a public subnet, a repository with the image, a cluster and a task definition."""

    def __init__(self, server):
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
        image.put(self, "bench:latest")
        role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.attach_role_policy(
            RoleName="bench", PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")
        self.ecs.create_cluster(clusterName="bench")
        self.ecs.register_task_definition(
            family="bench", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            executionRoleArn=role, containerDefinitions=[{"name": "app", "image": f"{uri}:latest", "stopTimeout": 1}])

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
        """The proportional memory of all of Landfall's own processes, by role, in MiB."""
        roles = {}
        state = os.fsencode(self.server.state)
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if pathlib.Path(os.fsdecode(words[0])).name != "landfall" or not any(w.startswith(state) for w in words):
                    continue
                role = words[words.index(b"role") + 1] if b"role" in words else words[1]
                line = next(l for l in (process / "smaps_rollup").read_text().splitlines() if l.startswith("Pss:"))
                roles[role.decode()] = roles.get(role.decode(), 0) + int(line.split()[1]) / 1024
        return roles


class Docker:
    """A daemon of the bench's own."""

    def __init__(self, programs, folder, archive):
        self.programs, self.folder = pathlib.Path(programs), pathlib.Path(folder)
        self.environment = {"PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder),
                            "DOCKER_HOST": f"unix://{folder}/docker.sock"}
        log = open(self.folder / "log", "wb")
        self.daemon = subprocess.Popen(
            ["unshare", "--net", "--mount", self.programs / "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false",
             "--ip-forward=false", "--ip-masq=false", f"--data-root={folder}/data", f"--exec-root={folder}/exec",
             f"--pidfile={folder}/pid", f"--host=unix://{folder}/docker.sock"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while subprocess.run([self.programs / "docker", "info"], env=self.environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, timeout=30).returncode:
            if time.monotonic() > deadline or self.daemon.poll() is not None:
                sys.exit("dockerd does not start: " + (self.folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        self.call("load", "--input", archive)

    def call(self, *words):
        done = subprocess.run([self.programs / "docker", *words], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        if done.returncode:
            sys.exit(f"docker {words[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def round(self):
        """Seconds until `docker run --detach` says that the container runs."""
        begun = time.perf_counter()
        made = self.call("run", "--detach", "--network", "none", "--cpus", "0.25", "--memory", "512m", "echo:latest")
        seconds = time.perf_counter() - begun
        self.call("rm", "--force", made)
        return seconds

    def end(self):
        self.daemon.terminate()
        self.daemon.wait(timeout=60)
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            place = line.split()[4]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", place], check=False)


def main():
    binary, rounds, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    docker_programs = sys.argv[4] if len(sys.argv) > 4 else None
    result = {}
    with Server(binary) as server, tempfile.TemporaryDirectory(prefix="landfall-bench-") as folder:
        stack = Stack(server)
        stack.round()
        docker = None
        if docker_programs:
            archive = pathlib.Path(folder) / "image.tar"
            image.build(archive)
            docker = Docker(docker_programs, folder, archive)
            docker.round()
        try:
            # By turns, so that what else the machine does meets both.
            result["landfall"], result["docker"] = [], []
            for _ in range(rounds):
                result["landfall"].append(stack.round())
                if docker:
                    result["docker"].append(docker.round())
        finally:
            if docker:
                docker.end()
        before = stack.memory()
        begun = time.perf_counter()
        arns = stack.run(many)
        stack.wait(arns, "RUNNING", pause=0.05)
        result["many"] = time.perf_counter() - begun
        after = stack.memory()
        result["memory"] = {role: (after[role] - before.get(role, 0)) / many for role in after}
        begun = time.perf_counter()
        stack.stop(arns)
        result["stopped"] = time.perf_counter() - begun
        shutil.rmtree(pathlib.Path(folder) / "data", ignore_errors=True)
    print(json.dumps(result))


main()
