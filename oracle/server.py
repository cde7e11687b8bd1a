"""A `landfall serve` of the oracle's own, and clients for it."""

import json
import os
import pathlib
import random
import subprocess
import tempfile

import botocore.config
import botocore.session

REGION = "ap-northeast-2"


class Server:
    """Runs `landfall serve` in a new state folder; everything of it is removed on exit."""

    def __init__(self, binary):
        self.binary = pathlib.Path(binary).resolve()

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="landfall-oracle-")
        self.state = pathlib.Path(self._folder.name) / "state"
        # An address of the oracle's own: load balancers listen on port 80 of it.
        host = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        command = [self.binary, "serve", "--listen", "127.0.0.1:0", "--host-address", host, "--state-dir", self.state]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        ready = self._process.stdout.readline()
        if "http://" not in ready:
            self.__exit__()
            raise RuntimeError(f"landfall serve did not get ready: {ready!r}")
        self.endpoint = "http://" + ready.split("http://", 1)[1].split(",")[0].strip()
        self.address = self.endpoint.removeprefix("http://")
        kept = json.loads((self.state / "credentials.json").read_text())
        self.account = kept["account"]
        self._keys = {
            "aws_access_key_id": kept["access_key_id"],
            "aws_secret_access_key": kept["secret_access_key"],
        }
        # What the machine's user has configured is none of ours.
        os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
        self.session = botocore.session.get_session()
        # botocore would speak JSON, which the AWS CLI does in other tests: here it speaks what newer SDKs do.
        model = self.session.get_component("data_loader").load_service_model("cloudwatch", "service-2")
        model["metadata"]["protocols"] = ["smithy-rpc-v2-cbor"]
        return self

    def __exit__(self, *_):
        try:
            # Ends `serve` too, and everything that it started.
            subprocess.run(
                [self.binary, "down", "--purge", "--state-dir", self.state],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120, check=True,
            )
            self._process.wait(timeout=30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        self._folder.cleanup()

    def command(self, *args):
        """Runs a `landfall` command on this state folder."""
        done = subprocess.run(
            [self.binary, *args, "--state-dir", self.state],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )
        if done.returncode:
            raise RuntimeError(f"landfall {args[0]} failed: {done.stderr.strip()}")

    def client(self, service):
        """A client that sends what it is given, once."""
        config = botocore.config.Config(
            parameter_validation=False, inject_host_prefix=False, retries={"total_max_attempts": 1}, read_timeout=30,
            connect_timeout=5,
        )
        return self.session.create_client(
            service, region_name=REGION, endpoint_url=self.endpoint, config=config, **self._keys
        )


def operations(binary):
    """The table of operations: `[(service, operation)]`, services by botocore's names."""
    text = subprocess.run([binary, "operations"], capture_output=True, text=True, check=True, timeout=30).stdout
    return [(entry["service"], entry["operation"]) for entry in json.loads(text)]
