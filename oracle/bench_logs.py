"""A container that floods its log: `cargo xtask bench logs` runs it, as root.

`python -B -m oracle.bench_logs LANDFALL RATE SECONDS`: a server of its own, and in each mode of the awslogs driver a task
that prints RATE bytes a second for so many seconds. Prints one JSON document.
"""

import json
import pathlib
import statistics
import sys
import time

from .bench_stack import Stack
from .server import REGION, Server

FLOOD = pathlib.Path(__file__).resolve().parent / "flood.rs"
PATIENCE = 300


def flood(server, stack, sts, mode):
    """One task's whole life."""
    [arn] = stack.run()
    stack.wait([arn], "RUNNING")
    most, calls, deadline = {}, [], time.monotonic() + PATIENCE
    while True:
        begun = time.perf_counter()
        sts.get_caller_identity()
        calls.append(time.perf_counter() - begun)
        for role, mebibytes in stack.memory().items():
            most[role] = max(most.get(role, 0), mebibytes)
        [task] = stack.ecs.describe_tasks(cluster="bench", tasks=[arn])["tasks"]
        if task["lastStatus"] == "STOPPED":
            break
        if time.monotonic() > deadline:
            sys.exit(f"the task is still {task['lastStatus']} after {PATIENCE} s")
        time.sleep(0.05)
    if task["containers"][0].get("exitCode") != 0:
        sys.exit(f"the program failed: {task.get('stoppedReason')}")
    stream = f"ecs/app/{arn.rsplit('/', 1)[1]}"
    last = server.client("logs").get_log_events(logGroupName="/bench", logStreamName=stream, limit=1)["events"]
    if not last or not last[0]["message"].startswith("LAST "):
        sys.exit(f"{mode}: the last line did not arrive: {last}")
    _, lines, milliseconds = last[0]["message"].split()
    return {"rate": int(lines) * 1024 / int(milliseconds) * 1000, "call": statistics.median(calls), "memory": most}


def main():
    binary, rate, seconds = sys.argv[1:]
    result = {}
    for mode in ("non-blocking", "blocking"):
        logs = {"logDriver": "awslogs", "options": {
            "awslogs-group": "/bench", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs", "mode": mode}}
        environment = [{"name": "RATE", "value": rate}, {"name": "SECONDS", "value": seconds}]
        with Server(binary) as server:
            stack = Stack(server, FLOOD, cpu="1024", logConfiguration=logs, environment=environment)
            server.client("logs").create_log_group(logGroupName="/bench")
            sts, calls = server.client("sts"), []
            for _ in range(50):
                begun = time.perf_counter()
                sts.get_caller_identity()
                calls.append(time.perf_counter() - begun)
            before = stack.memory()
            result[mode] = flood(server, stack, sts, mode) | {"idle_call": statistics.median(calls), "before": before}
    print(json.dumps(result))


main()
