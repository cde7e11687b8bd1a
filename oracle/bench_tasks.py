"""RunTask to RUNNING, memory of idle tasks, many tasks at once: `cargo xtask bench tasks` runs it, as root.

`python -B -m oracle.bench_tasks LANDFALL ROUNDS MANY [DOCKER]`: a server of its own, an image whose blobs are on disk after
a first task, then each round one task from the call to RUNNING as DescribeTasks tells it. DOCKER is a folder with dockerd,
docker, containerd and runc: its daemon is run with everything in a folder of its own, no bridge and no packet filter, in a
network namespace of its own, and starts the same program from the same image. Prints one JSON document.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from . import image
from .bench_stack import Stack
from .server import Server


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
