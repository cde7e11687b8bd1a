"""The command."""

import argparse
import json
import pathlib
import sys

from . import page, probe
from .play import Act, Player
from .scenario import STEPS
from .server import Server, operations


def main():
    arguments = argparse.ArgumentParser(prog="oracle", description=__doc__)
    arguments.add_argument("--landfall", required=True, help="the binary")
    arguments.add_argument("--results", required=True, help="where to leave what was found, as JSON")
    arguments.add_argument("--only", choices=["requests", "answers"], help="one half alone, for whoever works on it")
    chosen = arguments.parse_args()
    table = operations(chosen.landfall)
    failures, passed = [], 0
    requests, seen = {}, {}

    if chosen.only != "answers":
        # A server of its own: the probes make and delete whatever they like.
        with Server(chosen.landfall) as server:
            prober = probe.Prober(server)
            for service, operation in table:
                before = len(prober.failures)
                requests[service, operation] = prober.operation(service, operation)
                passed += before == len(prober.failures)
            before = len(prober.failures)
            absent = sum(
                prober.absent(service, {name for of, name in table if of == service})
                for service in sorted({service for service, _ in table})
            )
            passed += absent - (len(prober.failures) - before)
        failures += prober.failures
        print(f"requests: {len(table)} operations, {absent} more refused as a whole, {prober.calls} calls")

    if chosen.only != "requests":
        with Server(chosen.landfall) as server:
            player = Player(server)
            player.play(STEPS)
        failures += player.failures
        seen = player.seen
        missing = sorted(set(table) - {(step.service, step.operation) for step in STEPS if not isinstance(step, Act)})
        failures += [f"{service}:{operation}: no step of the scenario calls it" for service, operation in missing]
        passed += player.steps - player.failed
        print(f"answers: {player.steps} steps")

    for failure in failures:
        print(f"FAILED {failure}")
    if not chosen.only:
        results = {"page": page.write(table, requests, seen)}
        pathlib.Path(chosen.results).write_text(json.dumps(results))
    print(f"oracle: {passed} passed, {len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
