"""The scenario: steps as data, each a call with real values, its answer compared with the model and with what is expected."""

import dataclasses
import time

import botocore.exceptions
import jmespath
from botocore import xform_name

from .answers import Answer


# botocore's names of protocols, and how answers.py calls their documents.
PROTOCOLS = {"ec2": "ec2", "query": "query", "json": "json", "smithy-rpc-v2-cbor": "cbor"}


@dataclasses.dataclass
class Step:
    """A call.

    In `parameters` and `expect`, a text `$name` stands for what was saved under that name, `${name}` for the same within
    a longer text. Paths are JMESPath over botocore's parsed answer.
    """

    service: str
    operation: str
    parameters: dict = dataclasses.field(default_factory=dict)
    save: dict = dataclasses.field(default_factory=dict)
    expect: dict = dataclasses.field(default_factory=dict)
    #: Call again until this path gives something true.
    until: str = ""
    #: The code of the error that AWS answers with.
    error: str = ""
    #: Seconds to wait for `until`.
    patience: int = 60


@dataclasses.dataclass
class Act:
    """Something else than a call: a function of the player."""

    name: str
    do: object


class Player:
    def __init__(self, server):
        self.server = server
        self.saved = {"account": server.account, "endpoint": server.address}
        self.failures = []
        self.seen = {}
        self.steps = 0
        self.failed = 0
        self._clients = {}
        self._answers = []

    def play(self, steps):
        for step in steps:
            self.steps += 1
            before = len(self.failures)
            try:
                step.do(self) if isinstance(step, Act) else self._step(step)
            except Exception as error:
                name = step.name if isinstance(step, Act) else f"{step.service}:{step.operation}"
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
            self.failed += before < len(self.failures)

    def _client(self, service):
        if service not in self._clients:
            client = self.server.client(service)
            client.meta.events.register("response-received", self._received)
            self._clients[service] = client
        return self._clients[service]

    def _received(self, response_dict, **_):
        if response_dict is not None:
            self._answers.append(response_dict)

    def _step(self, step):
        where = f"{step.service}:{step.operation}"
        client = self._client(step.service)
        call = getattr(client, xform_name(step.operation))
        parameters = self.filled(step.parameters)
        deadline = time.monotonic() + step.patience
        while True:
            self._answers.clear()
            try:
                parsed = call(**parameters)
            except botocore.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code != step.error:
                    self.failures.append(f"{where}: {error}" + (f", not {step.error}" if step.error else ""))
                return
            if step.error:
                self.failures.append(f"{where}: succeeded, and AWS answers {step.error}")
                return
            seen = self._compare(client, step, where)
            if not step.until or jmespath.search(step.until, parsed):
                # What was seen on the way here is different from run to run.
                self.seen.setdefault((step.service, step.operation), set()).update(seen)
                break
            if time.monotonic() > deadline:
                self.failures.append(f"{where}: after {step.patience} s there is no {step.until}: {parsed}")
                break
            # The one way to wait for a state with AWS: ask again.
            time.sleep(0.1)
        for name, path in step.save.items():
            value = jmespath.search(path, parsed)
            if value is None:
                self.failures.append(f"{where}: no {path} in {parsed}")
            self.saved[name] = value
        for path, expected in step.expect.items():
            found, expected = jmespath.search(path, parsed), self.filled(expected)
            if found != expected:
                self.failures.append(f"{where}: {path} is {found!r}, not {expected!r}")

    def _compare(self, client, step, where):
        model = client.meta.service_model.operation_model(step.operation)
        protocol = PROTOCOLS[client.meta.service_model.resolved_protocol]
        seen = set()
        for response in self._answers:
            answer = Answer(model, protocol).check(response["body"])
            for problem in answer.problems:
                text = f"{where}: {problem}"
                if text not in self.failures:
                    self.failures.append(text)
            seen |= answer.seen
        return seen

    def filled(self, value):
        if isinstance(value, dict):
            return {key: self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if value.startswith("$") and value[1:] in self.saved:
            return self.saved[value[1:]]
        for name, saved in self.saved.items():
            value = value.replace("${" + name + "}", str(saved))
        return value
