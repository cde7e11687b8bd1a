"""CreateService to the first 200, on a running demo stack: `cargo xtask bench service` runs it.

The image's blobs are on disk already, as the demo's task has pulled them. Each round deletes the service, waits until the
load balancer answers 503, creates the service again with its own settings, and asks until the answer is 200. Prints the
seconds of each round, one a line. The endpoint and the keys come from the environment.
"""

import sys
import time
import urllib.error
import urllib.request

import boto3


def status(name):
    """What the load balancer answers; 0 when it does not."""
    request = urllib.request.Request("http://127.0.0.1/", data=b"hello world", headers={"Host": name})
    try:
        return urllib.request.urlopen(request, timeout=12).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait(condition, seconds=120):
    """Asks until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("the stack did not get there in time: is it the demo's, and healthy?")
        time.sleep(0.01)


def main():
    ecs, elb = boto3.client("ecs"), boto3.client("elbv2")
    name = elb.describe_load_balancers(Names=["echo-lb"])["LoadBalancers"][0]["DNSName"]
    service = ecs.describe_services(cluster="echo", services=["echo"])["services"][0]
    settings = {
        "cluster": "echo",
        "serviceName": "echo",
        "taskDefinition": service["taskDefinition"],
        "desiredCount": 1,
        "launchType": "FARGATE",
        "networkConfiguration": service["networkConfiguration"],
        "loadBalancers": service["loadBalancers"],
    }

    def is_gone():
        found = ecs.describe_services(cluster="echo", services=["echo"])["services"][0]
        return found["status"] == "INACTIVE" and not ecs.list_tasks(cluster="echo")["taskArns"]

    for _ in range(int(sys.argv[1])):
        ecs.delete_service(cluster="echo", service="echo", force=True)
        wait(is_gone)
        wait(lambda: status(name) == 503)
        begun = time.monotonic()
        ecs.create_service(**settings)
        wait(lambda: status(name) == 200)
        print(f"{time.monotonic() - begun:.3f}", flush=True)


main()
