"""Requests: every input member of every operation, one at a time.

A member is honoured (the call fails for other reasons, or succeeds), taken with AWS's default alone, or refused by name.
What is never right: an internal failure, an error that is not of AWS's shape, a refusal that names another member.
"""

import dataclasses
import re

import botocore.exceptions
from botocore import xform_name

from . import samples

HONOURED, PARTLY, DEFAULT_ONLY, REFUSED = "honoured", "some values", "default only", "refused"
INTERNAL = {"InternalFailure", "InternalError", "ServiceFailure", "ServerException", "ServiceUnavailable"}
# How a value that the model knows is refused as if it were none.
INVALID = {"InvalidParameterValue": r"^Value \(.*\) for parameter .* is invalid", "ValidationError": "^Value '.*' at '.*' is not valid"}
UNKNOWN_MEMBER = "LandfallOracleUnknown"


@dataclasses.dataclass
class Member:
    """One leaf of a request: its path with the spelling of AWS's documentation."""

    path: str
    status: str
    note: str = ""


def leaves(shape, path=(), above=()):
    """The leaves of a structure as `(path, shape)`; a list is a step named `[]`."""
    for name, member in shape.members.items():
        yield from _leaves(member, (*path, name), above)


def _leaves(shape, path, above):
    if shape.type_name == "list" and shape.member.type_name in ("structure", "list"):
        yield from _leaves(shape.member, (*path, "[]"), above)
    elif shape.type_name == "structure" and shape.members:
        # A shape within itself says nothing new.
        if shape.name not in above:
            yield from leaves(shape, path, (*above, shape.name))
    else:
        yield path, shape


def request(shape, path, value, besides):
    """A request that holds `value` at `path`, and around it what the model requires and `besides` has."""
    if not path:
        return value
    if path[0] == "[]":
        return [request(shape.member, path[1:], value, besides[0] if besides else {})]
    around = {**samples.required(shape), **(besides or {})}
    return {**around, path[0]: request(shape.members[path[0]], path[1:], value, around.get(path[0]) if len(path) > 1 else None)}


def named(error_message, shape, path):
    """Whether a refusal names the member or a structure around it, in whichever spelling the protocol has."""
    words = {word.lower() for word in re.findall(r"[A-Za-z][A-Za-z0-9]*", error_message)}
    spellings = set()
    for step in path:
        shape = shape.member if step == "[]" else shape.members[step]
        names = {step, *(shape.serialization.get(key, "") for key in ("name", "queryName"))} - {"", "[]"}
        spellings |= names | {name.removesuffix("s") for name in names}
    return any(spelling.lower() in words for spelling in spellings)


def _with_unknown(body):
    """A map of CBOR, of fewer than 23 members, with another one in front."""
    body = body or b"\xa0"
    name = UNKNOWN_MEMBER.encode()
    member = bytes([0x60 + len(name)]) if len(name) < 24 else bytes([0x78, len(name)])
    return bytes([body[0] + 1]) + member + name + b"\x611" + body[1:]


class Prober:
    def __init__(self, server):
        self.server = server
        self.failures = []
        self.calls = 0

    def operation(self, service, operation):
        """The members of an operation's request."""
        client = self.server.client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        self._unknown(client, service, operation, shape)
        members = []
        for path, leaf in leaves(shape) if shape else ():
            members.append(self._member(client, f"{service}:{operation}", operation, shape, path, leaf))
        return members

    def absent(self, service, supported):
        """Every other operation of the service's model is refused by its name."""
        client = self.server.client(service)
        model = client.meta.service_model
        names = [name for name in model.operation_names if name not in supported]
        for name in names:
            self.calls += 1
            shape = model.operation_model(name).input_shape
            where = f"{service}:{name}"
            try:
                getattr(client, xform_name(name))(**(samples.required(shape) if shape else {}))
                self.failures.append(f"{where}: is answered, and not in the table of operations")
            except botocore.exceptions.ClientError as error:
                told = error.response["Error"]
                if told.get("Code") == "MissingAuthenticationToken" and model.operation_model(name).auth_type == "none":
                    continue  # Made for callers without keys, whom nobody lets in here.
                if name not in told.get("Message", "") or not told.get("Code") or told["Code"] in INTERNAL:
                    self.failures.append(f"{where}: not refused by name: {told}")
            except Exception as error:
                self.failures.append(f"{where}: {type(error).__name__}: {error}")
        return len(names)

    def _member(self, client, where, operation, shape, path, leaf):
        besides = samples.BESIDES.get(tuple(where.split(":")), {})
        dotted = ".".join(path).replace(".[]", "[]")
        outcomes = {}
        for value in samples.of(leaf, path[-1] if path[-1] != "[]" else path[-2]):
            status, message = self._send(client, where, operation, request(shape, path, value, besides), dotted, leaf)
            if status != HONOURED and not named(message, shape, path):
                self.failures.append(f"{where}: {dotted}: the refusal does not name it: {message}")
            outcomes.setdefault(status, []).append(value)
        if len(outcomes) == 1:
            return Member(dotted, next(iter(outcomes)))
        taken = outcomes.get(HONOURED)
        if not taken:
            return Member(dotted, REFUSED)
        if set(outcomes) == {HONOURED, DEFAULT_ONLY} and len(taken) == 1:
            return Member(dotted, DEFAULT_ONLY)
        flat = [value[0] if isinstance(value, list) else value for value in taken]
        return Member(dotted, PARTLY, ", ".join(str(value) for value in flat))

    def _send(self, client, where, operation, parameters, what, leaf):
        self.calls += 1
        try:
            getattr(client, xform_name(operation))(**parameters)
        except botocore.exceptions.ClientError as error:
            code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code in INTERNAL or status >= 500:
                self.failures.append(f"{where}: {what}: {status} {code}: {message}")
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]+", code) or not error.response["ResponseMetadata"].get("RequestId"):
                self.failures.append(f"{where}: {what}: not an error as AWS writes it: {error.response}")
            if code == "UnsupportedOperation":
                # Refused as a whole, whatever it says.
                return REFUSED, what
            if code in ("SerializationException", "MalformedInput", "MalformedQueryString"):
                self.failures.append(f"{where}: {what}: a good document is called malformed: {code}: {message}")
                return REFUSED, what
            if getattr(leaf, "enum", None) and re.search(INVALID.get(code, "^$"), message):
                return REFUSED, message
            if "Landfall" in message:
                return (DEFAULT_ONLY if "only " in message else REFUSED), message
        except Exception as error:  # A cut connection, a document that does not parse.
            self.failures.append(f"{where}: {what}: {type(error).__name__}: {error}")
        return HONOURED, ""

    def _unknown(self, client, service, operation, shape):
        """A member that no model knows is refused by its name."""
        model = client.meta.service_model
        where = f"{service}:{operation}: {UNKNOWN_MEMBER}"

        def before_call(params, **_):
            body = params["body"]
            if isinstance(body, dict):
                body[UNKNOWN_MEMBER] = "1"
            elif model.resolved_protocol == "smithy-rpc-v2-cbor":
                params["body"] = _with_unknown(body)
            else:
                text = body.decode() if isinstance(body, bytes) else body
                joint = "" if text.strip() == "{}" else ","
                params["body"] = (text.rstrip()[:-1] + f'{joint}"{UNKNOWN_MEMBER}":"1"}}').encode()

        besides = samples.BESIDES.get((service, operation), {})
        parameters = {**samples.required(shape), **besides} if shape else {}
        event = f"before-call.{model.service_id.hyphenize()}.{operation}"
        client.meta.events.register(event, before_call)
        try:
            getattr(client, xform_name(operation))(**parameters)
            self.failures.append(f"{where}: accepted and ignored")
        except botocore.exceptions.ClientError as error:
            told = error.response["Error"]
            if UNKNOWN_MEMBER not in told.get("Message", "") and told.get("Code") != "UnsupportedOperation":
                self.failures.append(f"{where}: not refused by name: {error}")
        except Exception as error:
            self.failures.append(f"{where}: {type(error).__name__}: {error}")
        finally:
            client.meta.events.unregister(event, before_call)
        self.calls += 1
